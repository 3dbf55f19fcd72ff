//! The port through which stacks make, change and delete resources.

use crate::schema::Schema;
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The stack that a resource belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackContext {
    /// Its ARN.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Tags of the stack, which providers may put on what they make.
    pub tags: BTreeMap<String, String>,
}

/// What is asked of a provider.
#[derive(Clone)]
pub struct Request {
    /// The stack.
    pub stack: StackContext,
    /// The resource's name in the template.
    pub logical_id: String,
    /// The type as the template writes it; differs from the schema's name for `Custom::…`.
    pub resource_type: String,
    /// The name to give if the properties give none: `STACK-LOGICALID-SUFFIX`, cut and cased by the schema's naming.
    pub proposal: String,
    /// Resolved properties, coerced to the schema's kinds; always an object.
    pub properties: Value,
    /// The same for every repetition of one call, different for every other call. A repeated create with the same
    /// token must find what the first one made.
    pub token: String,
}

/// A resource as it stands.
#[derive(Clone)]
pub struct Current {
    /// The provider's id of it, what `Ref` gives. `None` if a create was broken off before it answered: then there may
    /// or may not be something under [`Current::proposal`] or [`Current::token`].
    pub physical_id: Option<String>,
    /// What `Fn::GetAtt` gives.
    pub attributes: Map<String, Value>,
    /// Properties that it was last made or changed with.
    pub properties: Value,
    /// [`Request::proposal`] of its create.
    pub proposal: String,
    /// [`Request::token`] of its create.
    pub token: String,
}

/// What a create made, or what an update left.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// What `Ref` gives. If an update returns another one than before, the former is deleted in the clean-up.
    pub physical_id: String,
    /// What `Fn::GetAtt` gives.
    pub attributes: Map<String, Value>,
}

/// How an update went.
#[derive(Clone, Debug, PartialEq)]
pub enum Updated {
    /// The resource was changed where it stands.
    InPlace(Made),
    /// It cannot be changed like this: make a new one and delete this one afterwards.
    Replace,
}

/// Why a provider did not do it. The message is shown to the user as the resource's status reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// What is wrong, in the user's terms.
    pub message: String,
    /// If a create failed but left something to be deleted: its id.
    pub physical_id: Option<String>,
}

impl ProviderError {
    /// Failed, and left nothing.
    pub fn new(message: impl Into<String>) -> Self {
        ProviderError { message: message.into(), physical_id: None }
    }

    /// Failed, and left something to be deleted.
    pub fn leaving(message: impl Into<String>, physical_id: impl Into<String>) -> Self {
        ProviderError { message: message.into(), physical_id: Some(physical_id.into()) }
    }
}

/// Makes, changes and deletes resources of one type.
///
/// Every call may be dropped at any await point and is repeated with the same token after a crash, so each must bear
/// repetition: a create finds what it made, a delete of something missing succeeds.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The type as templates see it.
    fn schema(&self) -> &Schema;

    /// Makes the resource.
    async fn create(&self, request: Request) -> Result<Made, ProviderError>;

    /// Changes the resource to `request.properties`. Also called to go back to the former properties when an update of
    /// the stack fails, whether or not the change before it came to an end.
    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError>;

    /// Deletes the resource; `request.properties` are those it was last made or changed with.
    async fn delete(&self, request: Request, current: Current) -> Result<(), ProviderError>;
}

/// The known resource types.
#[derive(Clone, Default)]
pub struct Registry {
    exact: BTreeMap<String, Arc<dyn Provider>>,
    prefixes: Vec<(String, Arc<dyn Provider>)>,
}

impl Registry {
    /// Without any types.
    pub fn new() -> Self {
        Registry::default()
    }

    /// Adds a type under its schema's name.
    #[must_use]
    pub fn with(mut self, provider: impl Provider) -> Self {
        self.exact.insert(provider.schema().type_name.to_owned(), Arc::new(provider));
        self
    }

    /// Adds all types whose names begin so, such as `Custom::`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str, provider: impl Provider) -> Self {
        self.prefixes.push((prefix.to_owned(), Arc::new(provider)));
        self
    }

    /// The provider of a type.
    pub fn find(&self, resource_type: &str) -> Option<&Arc<dyn Provider>> {
        self.exact.get(resource_type).or_else(|| {
            let matching = |(prefix, _): &&(String, _)| {
                resource_type.len() > prefix.len() && resource_type.starts_with(prefix.as_str())
            };
            self.prefixes.iter().find(matching).map(|(_, provider)| provider)
        })
    }

    /// Names of the types, ascending; prefixes with a star.
    pub fn types(&self) -> Vec<String> {
        let mut names: Vec<String> = self.exact.keys().cloned().collect();
        names.extend(self.prefixes.iter().map(|(prefix, _)| format!("{prefix}*")));
        names.sort();
        names
    }
}

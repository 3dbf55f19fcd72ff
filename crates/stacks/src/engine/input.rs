//! What callers ask of the engine, and why it refuses.

use crate::state::{OnFailure, StackStatus};
use crate::template::TemplateError;
use std::collections::BTreeMap;

/// Where the template of an update comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateSource {
    /// JSON or YAML.
    Text(String),
    /// The stack's present template.
    Previous,
}

/// A parameter's value as a caller gives it.
#[derive(Clone, PartialEq, Eq)]
pub enum Given {
    /// This value; lists are written with commas.
    Value(String),
    /// The stack's present value.
    Previous,
}

/// A new stack.
#[derive(Clone)]
pub struct CreateStack {
    /// `[a-zA-Z][-a-zA-Z0-9]*`, up to 128 characters.
    pub name: String,
    /// JSON or YAML.
    pub template: String,
    /// By name.
    pub parameters: BTreeMap<String, Given>,
    /// Such as `CAPABILITY_NAMED_IAM`.
    pub capabilities: Vec<String>,
    /// By key.
    pub tags: BTreeMap<String, String>,
    /// What happens if it fails.
    pub on_failure: OnFailure,
    /// Minutes until it fails.
    pub timeout_min: Option<u32>,
    /// Repeated with the same token, the same stack is returned.
    pub client_token: Option<String>,
    /// Shown, and given by `AWS::NotificationARNs`.
    pub notification_arns: Vec<String>,
    /// Shown.
    pub role_arn: Option<String>,
    /// Whether a delete is refused.
    pub termination_protection: bool,
}

impl CreateStack {
    /// A stack without parameters, with everything acknowledged: what the command line means.
    pub fn new(name: impl Into<String>, template: impl Into<String>) -> Self {
        CreateStack {
            name: name.into(),
            template: template.into(),
            parameters: BTreeMap::new(),
            capabilities: Vec::new(),
            tags: BTreeMap::new(),
            on_failure: OnFailure::Rollback,
            timeout_min: None,
            client_token: None,
            notification_arns: Vec::new(),
            role_arn: None,
            termination_protection: false,
        }
    }
}

/// A change of a stack.
#[derive(Clone)]
pub struct UpdateStack {
    /// Name or ARN.
    pub stack: String,
    /// The new template.
    pub template: TemplateSource,
    /// By name.
    pub parameters: BTreeMap<String, Given>,
    /// Such as `CAPABILITY_NAMED_IAM`.
    pub capabilities: Vec<String>,
    /// New tags, or the present ones.
    pub tags: Option<BTreeMap<String, String>>,
    /// `Rollback` or `DoNothing`.
    pub on_failure: OnFailure,
    /// Repeated with the same token, the same update is meant.
    pub client_token: Option<String>,
}

impl UpdateStack {
    /// A change to another template, keeping the values of parameters that both have.
    pub fn new(stack: impl Into<String>, template: impl Into<String>) -> Self {
        UpdateStack {
            stack: stack.into(),
            template: TemplateSource::Text(template.into()),
            parameters: BTreeMap::new(),
            capabilities: Vec::new(),
            tags: None,
            on_failure: OnFailure::Rollback,
            client_token: None,
        }
    }
}

/// The end of a stack.
#[derive(Clone, Debug, Default)]
pub struct DeleteStack {
    /// Name or ARN.
    pub stack: String,
    /// Logical ids to leave alone; only for a stack whose delete has failed.
    pub retain: Vec<String>,
    /// Repeated with the same token, the same delete is meant.
    pub client_token: Option<String>,
}

/// Why the engine refuses or fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The template, or it with these parameters, does not work.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// There is no such stack, or it is deleted and was named by name.
    #[error("Stack with id {0} does not exist")]
    NoStack(String),
    /// The name is taken.
    #[error("Stack [{0}] already exists")]
    Exists(String),
    /// The name is not one.
    #[error("stack name {0:?} is not 1 to 128 letters, digits and hyphens that begin with a letter")]
    Name(String),
    /// The stack is where this cannot be done.
    #[error("Stack:{id} is in {status} state and can not be {wanted}")]
    State {
        /// The stack.
        id: String,
        /// Where it is.
        status: StackStatus,
        /// `updated`, ….
        wanted: &'static str,
    },
    /// The template does what must be acknowledged first.
    #[error("Requires capabilities : [{}]", .needed.join(", "))]
    Capabilities {
        /// What must be acknowledged.
        needed: Vec<String>,
    },
    /// The update changes nothing.
    #[error("No updates are to be performed.")]
    NoChange,
    /// Deleting is forbidden for this stack.
    #[error("Stack [{0}] cannot be deleted while TerminationProtection is enabled")]
    Protected(String),
    /// The same client token was used for another operation.
    #[error("client request token {0:?} was used before")]
    Token(String),
    /// A previous value was asked for where there is none.
    #[error("there is no previous {0}")]
    NoPrevious(String),
    /// There is no such resource in the stack.
    #[error("Resource {logical_id} does not exist for stack {stack}")]
    NoResource {
        /// As asked for.
        stack: String,
        /// As asked for.
        logical_id: String,
    },
    /// There is no such change set.
    #[error("ChangeSet [{0}] does not exist")]
    NoChangeSet(String),
    /// The change set exists.
    #[error("ChangeSet {0} already exists")]
    ChangeSetExists(String),
    /// The change set cannot be executed.
    #[error("ChangeSet [{id}] cannot be executed in its current status of [{status}]")]
    ChangeSetStatus {
        /// The change set.
        id: String,
        /// Where it is.
        status: String,
    },
    /// The store failed.
    #[error("store")]
    Store(#[from] headwater_store::Error),
}

//! `AWS::Lambda::Function` and `AWS::Lambda::Permission`.

use super::claims::{self, Found};
use super::given::{Given, failed, made};
use crate::lambda::settings::{Change, MEMORY_MB_MAX, MEMORY_MB_MIN, Settings, TIMEOUT_S_MAX};
use crate::lambda::{self, Code, NewFunction, permissions};
use crate::{Control, Error};
use async_trait::async_trait;
use headwater_model::Timestamp;
use headwater_model::function::{self, Function, Permission};
use headwater_stacks::schema::{Case, Kind, Property, Schema};
use headwater_stacks::{Current, Made, Provider, ProviderError, Request, Updated};
use std::collections::BTreeMap;

const FUNCTION: &str = "function";

/// A missing thing that should be gone is gone.
fn tolerant<T>(result: Result<T, lambda::Error>) -> Result<(), ProviderError> {
    match result {
        Ok(_) | Err(lambda::Error::Control(Error::NotFound { .. })) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// `AWS::Lambda::Function`.
pub struct FunctionProvider {
    control: Control,
    schema: Schema,
}

impl FunctionProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let code = Kind::Object(vec![
            Property::new("ZipFile", Kind::Text),
            Property::new("S3Bucket", Kind::Text),
            Property::new("S3Key", Kind::Text),
        ]);
        let environment = Kind::Object(vec![Property::new("Variables", Kind::MapOf(Box::new(Kind::Text)))]);
        let whole = |min: u32, max: u32| Kind::Integer { min: i64::from(min), max: i64::from(max) };
        let schema = Schema::new("AWS::Lambda::Function")
            .named("FunctionName", 64, Case::Kept)
            .property(Property::new("FunctionName", Kind::Text).replaces())
            .property(Property::new("PackageType", Kind::OneOf(&["Zip"])).replaces())
            .property(Property::new("Code", code).required())
            .property(Property::new("Role", Kind::Text).required())
            .property(Property::new("Handler", Kind::Text).required())
            .property(Property::new("Runtime", Kind::Text).required())
            .property(Property::new("Timeout", whole(1, TIMEOUT_S_MAX)))
            .property(Property::new("MemorySize", whole(MEMORY_MB_MIN, MEMORY_MB_MAX)))
            .property(Property::new("Environment", environment))
            .property(Property::new("Description", Kind::Text))
            .property(Property::new("Tags", Kind::tags()))
            // One machine, one architecture, no tracing: nothing follows from these two.
            .property(Property::new("Architectures", Kind::list(Kind::OneOf(&["x86_64", "arm64"]))))
            .property(Property::new("TracingConfig", Kind::Json))
            .attributes(&["Arn"]);
        FunctionProvider { control: control.clone(), schema }
    }

    fn name(request: &Request) -> String {
        Given(&request.properties).text("FunctionName").unwrap_or(&request.proposal).to_owned()
    }
}

fn code(given: Given<'_>) -> Result<Code, ProviderError> {
    let code = given.inner("Code").unwrap_or(given);
    match (code.text("ZipFile"), code.text("S3Bucket"), code.text("S3Key")) {
        (Some(source), None, None) => Ok(Code::Inline(source.to_owned())),
        (None, Some(bucket), Some(key)) => Ok(Code::Object { bucket: bucket.to_owned(), key: key.to_owned() }),
        _ => Err(ProviderError::new("Code must have either ZipFile, or S3Bucket and S3Key")),
    }
}

/// All settings: what a template leaves out has its default, also in an update.
fn settings(given: Given<'_>) -> Settings {
    let variables = given.inner("Environment").and_then(|environment| environment.inner("Variables"));
    let variables = variables.and_then(|variables| variables.0.as_object());
    let pairs = variables.into_iter().flatten();
    let environment: BTreeMap<String, String> =
        pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    Settings {
        description: Some(given.text("Description").unwrap_or_default().to_owned()),
        timeout_s: Some(given.number("Timeout").unwrap_or(function::TIMEOUT_S_DEFAULT)),
        memory_mb: Some(given.number("MemorySize").unwrap_or(function::MEMORY_MB_DEFAULT)),
        environment: Some(environment),
    }
}

fn made_function(function: &Function) -> Made {
    made(function.name.clone(), &[("Arn", function.arn.clone())])
}

#[async_trait]
impl Provider for FunctionProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let control = &self.control;
        let given = Given(&request.properties);
        let name = FunctionProvider::name(&request);
        let code = code(given)?;
        let standing = headwater_store::find::<Function>(control.store(), &name).await.map_err(failed)?;
        let found = claims::claim(control, FUNCTION, &name, &request.token, standing.is_some()).await;
        let function = match (found.map_err(failed)?, standing) {
            (Found::Own, Some(function)) => function,
            _ => {
                let new = NewFunction {
                    name,
                    runtime: given.required("Runtime").to_owned(),
                    handler: given.required("Handler").to_owned(),
                    role_arn: given.required("Role").to_owned(),
                    code,
                    settings: settings(given),
                    tags: given.tags(&request.stack.tags),
                };
                lambda::create_function(control, new, Timestamp::now()).await.map_err(failed)?
            }
        };
        Ok(made_function(&function))
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let control = &self.control;
        let given = Given(&request.properties);
        let name = current.physical_id.unwrap_or_default();
        let now = Timestamp::now();
        let change = Change {
            runtime: given.owned("Runtime"),
            handler: given.owned("Handler"),
            role_arn: given.owned("Role"),
            settings: settings(given),
        };
        lambda::update_configuration(control, &name, change, None, now).await.map_err(failed)?;
        let mut function = lambda::update_code(control, &name, code(given)?, None, now).await.map_err(failed)?;
        let tags = given.tags(&request.stack.tags);
        if function.tags != tags {
            let gone: Vec<String> = function.tags.keys().filter(|key| !tags.contains_key(*key)).cloned().collect();
            function = lambda::change_tags(control, &name, tags, &gone).await.map_err(failed)?;
        }
        Ok(Updated::InPlace(made_function(&function)))
    }

    async fn delete(&self, request: Request, current: Current) -> Result<(), ProviderError> {
        let control = &self.control;
        let proposed = FunctionProvider::name(&request);
        let Some(name) = claims::to_delete(control, FUNCTION, &proposed, &current).await.map_err(failed)? else {
            return Ok(());
        };
        tolerant(lambda::delete_function(control, &name).await)?;
        claims::release(control, FUNCTION, &name).await.map_err(failed)
    }
}

/// `AWS::Lambda::Permission`.
pub struct PermissionProvider {
    control: Control,
    schema: Schema,
}

/// Characters of a statement id.
const STATEMENT_ID_LENGTH_MAX: usize = 100;

impl PermissionProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let text = |name| Property::new(name, Kind::Text).replaces();
        let mut schema = Schema::new("AWS::Lambda::Permission")
            .property(text("FunctionName").required())
            .property(text("Action").required())
            .property(text("Principal").required())
            .property(text("SourceArn"))
            .property(text("SourceAccount"))
            .attributes(&["Id"]);
        schema.naming.length_max = STATEMENT_ID_LENGTH_MAX;
        PermissionProvider { control: control.clone(), schema }
    }
}

#[async_trait]
impl Provider for PermissionProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let given = Given(&request.properties);
        let permission = Permission {
            statement_id: request.proposal.clone(),
            action: given.required("Action").to_owned(),
            principal: given.required("Principal").to_owned(),
            source_arn: given.owned("SourceArn"),
            source_account: given.owned("SourceAccount"),
        };
        match permissions::add_permission(&self.control, given.required("FunctionName"), permission, None).await {
            // The id has a random end of this create's: a statement of the same id is its own.
            Ok(_) | Err(lambda::Error::Control(Error::Exists { .. })) => {}
            Err(error) => return Err(failed(error)),
        }
        Ok(made(request.proposal.clone(), &[("Id", request.proposal)]))
    }

    async fn update(&self, _: Request, _: Current) -> Result<Updated, ProviderError> {
        Ok(Updated::Replace)
    }

    async fn delete(&self, request: Request, current: Current) -> Result<(), ProviderError> {
        let function = Given(&request.properties).required("FunctionName");
        let id = current.physical_id.unwrap_or(current.proposal);
        tolerant(permissions::remove_permission(&self.control, function, &id, None).await)
    }
}

//! Functions: deployed, changed, invoked, deleted. Source: Lambda `lambda` 2015-03-31.
//!
//! | module | what stands there |
//! |---|---|
//! | [`permissions`] | resource policies: who may invoke a function |
//! | [`settings`] | what a function may be set to |
//!
//! Deliberate differences: there is one version, `$LATEST`; layers, container images, networks, file systems and
//! dead-letter queues are refused rather than ignored.

pub mod permissions;
pub mod settings;
#[cfg(test)]
mod tests;

pub use headwater_functions::{CredentialsError, DeployError, EnqueueError, InvokeError, InvokeOptions, Outcome};

use crate::{Control, iam};
use bytes::Bytes;
use headwater_functions::{DeployedCode, Package};
use headwater_model::bucket::Object;
use headwater_model::function::{self, Function, FunctionRef, LATEST};
use headwater_model::iam::Role;
use headwater_model::{Timestamp, bucket};
use headwater_store::{Batch, BlobError, Select};
use settings::{Change, Settings};

/// Lambda: packages that come through S3 are at most 250 MB when they are unpacked, and no larger before.
const OBJECT_BYTES_MAX: u64 = 250 * 1024 * 1024;

/// Why an operation on functions did not take place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// As operations of other services.
    #[error(transparent)]
    Control(#[from] crate::Error),
    /// The package was refused; if something is missing on this machine, the text names the command that installs it.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// The function did not run.
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// The asynchronous invocation was not taken.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// The function has changed since the caller read it.
    #[error("the function is not at revision {wanted} any more")]
    RevisionChanged {
        /// The revision that the caller named.
        wanted: String,
    },
    /// The resource policy would grow too long.
    #[error("the function's policy would have more than {max} bytes")]
    PolicyTooLong {
        /// The limit.
        max: usize,
    },
}

impl From<headwater_store::Error> for Error {
    fn from(error: headwater_store::Error) -> Self {
        Error::Control(error.into())
    }
}

/// Where a function's code comes from.
#[derive(Clone, Debug)]
pub enum Code {
    /// Source of one file, as templates have it.
    Inline(String),
    /// A zip archive.
    Zip(Bytes),
    /// A zip archive in a bucket of this server.
    Object {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
    },
}

/// A function to be made.
#[derive(Clone, Debug)]
pub struct NewFunction {
    /// Its name.
    pub name: String,
    /// Such as `python3.12`.
    pub runtime: String,
    /// `FILE.FUNCTION`.
    pub handler: String,
    /// ARN of the role that it takes.
    pub role_arn: String,
    /// What it runs.
    pub code: Code,
    /// What has a default.
    pub settings: Settings,
    /// Tags, by key.
    pub tags: std::collections::BTreeMap<String, String>,
}

/// Makes a function. It can be invoked when this returns.
///
/// # Errors
/// [`crate::Error::Exists`]; [`crate::Error::Invalid`]; [`Error::Deploy`]; [`crate::Error::Store`].
pub async fn create_function(control: &Control, new: NewFunction, now: Timestamp) -> Result<Function, Error> {
    let NewFunction { name, runtime, handler, role_arn, code, settings, tags } = new;
    if !function::is_function_name(&name) {
        return Err(crate::Error::invalid(format!(
            "FunctionName {name:?} must have 1 to 64 characters of a-z, A-Z, 0-9, - and _"
        ))
        .into());
    }
    if headwater_store::find::<Function>(control.store(), &name).await?.is_some() {
        return Err(exists(&name));
    }
    let mut function = Function {
        arn: control.realm().function_arn(&name),
        name,
        runtime,
        handler,
        role_arn,
        timeout_s: function::TIMEOUT_S_DEFAULT,
        memory_mb: function::MEMORY_MB_DEFAULT,
        description: String::new(),
        environment: Default::default(),
        code_sha256: String::new(),
        code_bytes: 0,
        log_stream: function::log_stream_name(now),
        revision_id: revision(),
        last_modified: now,
        permissions: Vec::new(),
        tags: Default::default(),
        retry_attempts_max: None,
        event_age_s_max: None,
    };
    settings::set_tags(&mut function, tags)?;
    settings.apply(&mut function);
    settings::check(&function)?;
    check_role(control, &function.role_arn, now).await?;
    let deployed = deploy(control, code, &function.runtime, &function.handler).await?;
    function.code_sha256 = deployed.sha256;
    function.code_bytes = deployed.bytes;
    let mut batch = Batch::new();
    batch.insert(&function)?;
    match control.store().commit(batch).await {
        Ok(_) => Ok(function),
        Err(headwater_store::Error::Exists { .. }) => Err(exists(&function.name)),
        Err(error) => Err(error.into()),
    }
}

/// The function that a name, ARN or partial ARN names.
///
/// # Errors
/// [`crate::Error::NotFound`]; [`crate::Error::Invalid`] if it is none of these; [`crate::Error::Store`].
pub async fn function(control: &Control, named: &str) -> Result<Function, Error> {
    let name = resolve(control, named)?;
    let function = headwater_store::find::<Function>(control.store(), &name).await?;
    function.ok_or_else(|| missing(control, &name))
}

/// Functions in order of their names, after a name, at most so many.
///
/// # Errors
/// [`crate::Error::Store`].
pub async fn list_functions(control: &Control, after: Option<String>, limit: u32) -> Result<Vec<Function>, Error> {
    Ok(headwater_store::list(control.store(), Select { after, limit, ..Select::default() }).await?)
}

/// Replaces a function's code. `revision` is the one that the caller expects.
///
/// # Errors
/// As [`function()`]; [`Error::Deploy`]; [`Error::RevisionChanged`].
pub async fn update_code(
    control: &Control,
    named: &str,
    code: Code,
    revision: Option<&str>,
    now: Timestamp,
) -> Result<Function, Error> {
    let before = function(control, named).await?;
    let deployed = deploy(control, code, &before.runtime, &before.handler).await?;
    change(control, &before.name, revision, now, |function| {
        function.code_sha256.clone_from(&deployed.sha256);
        function.code_bytes = deployed.bytes;
        Ok(())
    })
    .await
}

/// Changes what a function is set to; what `change` leaves out stays.
///
/// # Errors
/// As [`function()`]; [`crate::Error::Invalid`]; [`Error::RevisionChanged`].
pub async fn update_configuration(
    control: &Control,
    named: &str,
    wanted: Change,
    revision: Option<&str>,
    now: Timestamp,
) -> Result<Function, Error> {
    let name = resolve(control, named)?;
    if let Some(role) = &wanted.role_arn {
        check_role(control, role, now).await?;
    }
    change(control, &name, revision, now, |function| {
        wanted.apply(function);
        Ok(settings::check(function)?)
    })
    .await
}

/// Deletes a function. Its log stays; asynchronous invocations that wait are dropped.
///
/// # Errors
/// As [`function()`].
pub async fn delete_function(control: &Control, named: &str) -> Result<(), Error> {
    let function = function(control, named).await?;
    let mut batch = Batch::new();
    batch.delete::<Function>(&function.name);
    control.store().commit(batch).await?;
    control.functions().retire(&function.name);
    Ok(())
}

/// Runs a function and waits for its answer.
///
/// # Errors
/// As [`function()`]; [`Error::Invoke`] if it did not run.
pub async fn invoke(control: &Control, named: &str, payload: Bytes, options: InvokeOptions) -> Result<Outcome, Error> {
    let function = function(control, named).await?;
    Ok(control.functions().invoke(&function, payload, options).await?)
}

/// Takes an asynchronous invocation; it is durable when this returns. Returns its request id.
///
/// # Errors
/// As [`function()`]; [`Error::Enqueue`].
pub async fn invoke_async(
    control: &Control,
    named: &str,
    payload: Bytes,
    options: InvokeOptions,
) -> Result<String, Error> {
    let function = function(control, named).await?;
    let mut batch = Batch::new();
    let request_id = control.functions().enqueue_in(&mut batch, &function.name, payload, options)?;
    control.store().commit(batch).await?;
    Ok(request_id)
}

/// Sets how asynchronous invocations are tried; `None` is Lambda's default.
///
/// # Errors
/// As [`function()`]; [`crate::Error::Invalid`].
pub async fn set_event_invoke_config(
    control: &Control,
    named: &str,
    retry_attempts_max: Option<u32>,
    event_age_s_max: Option<u32>,
) -> Result<Function, Error> {
    settings::check_event_config(retry_attempts_max, event_age_s_max)?;
    let name = resolve(control, named)?;
    amend(control, &name, |function| {
        function.retry_attempts_max = retry_attempts_max;
        function.event_age_s_max = event_age_s_max;
        Ok(())
    })
    .await
}

/// Adds tags to a function and takes others away.
///
/// # Errors
/// As [`function()`]; [`crate::Error::Invalid`].
pub async fn change_tags(
    control: &Control,
    named: &str,
    add: std::collections::BTreeMap<String, String>,
    remove: &[String],
) -> Result<Function, Error> {
    let name = resolve(control, named)?;
    amend(control, &name, |function| {
        function.tags.retain(|key, _| !remove.contains(key));
        Ok(settings::set_tags(function, add.clone())?)
    })
    .await
}

/// The name of the function that a text names. The only qualifier that exists is `$LATEST`.
fn resolve(control: &Control, named: &str) -> Result<String, Error> {
    let parsed = FunctionRef::parse(named, control.realm());
    let FunctionRef { name, qualifier } = parsed.map_err(|error| crate::Error::invalid(error.to_string()))?;
    match qualifier.as_deref() {
        None | Some(LATEST) => Ok(name),
        Some(other) => Err(missing(control, &format!("{name}:{other}"))),
    }
}

fn missing(control: &Control, name: &str) -> Error {
    crate::Error::not_found("function", control.realm().function_arn(name)).into()
}

fn exists(name: &str) -> Error {
    crate::Error::Exists { kind: "function", id: name.into() }.into()
}

fn revision() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Lambda must be allowed to take the role.
async fn check_role(control: &Control, role_arn: &str, now: Timestamp) -> Result<(), Error> {
    let name = role_arn.rsplit('/').next().unwrap_or_default();
    let role = headwater_store::find::<Role>(control.store(), name).await?.filter(|role| role.arn == role_arn);
    if role.is_some_and(|role| iam::roles::trusts_service(control.realm(), &role, "lambda.amazonaws.com", now)) {
        Ok(())
    } else {
        Err(crate::Error::invalid("The role defined for the function cannot be assumed by Lambda.").into())
    }
}

async fn deploy(control: &Control, code: Code, runtime: &str, handler: &str) -> Result<DeployedCode, Error> {
    let package = match code {
        Code::Inline(source) => Package::Inline(source),
        Code::Zip(bytes) => Package::Zip(bytes),
        Code::Object { bucket, key } => Package::Zip(read_object(control, &bucket, &key).await?),
    };
    Ok(control.functions().deploy(package, runtime, handler).await?)
}

async fn read_object(control: &Control, bucket: &str, key: &str) -> Result<Bytes, Error> {
    let place = || format!("{bucket}/{key}");
    let absent = || Error::from(crate::Error::invalid(format!("there is no object {}", place())));
    if !bucket::Bucket::is_valid_name(bucket) {
        return Err(absent());
    }
    let object = headwater_store::find::<Object>(control.store(), &place()).await?.ok_or_else(absent)?;
    if object.size > OBJECT_BYTES_MAX {
        return Err(DeployError::TooLarge { max: OBJECT_BYTES_MAX }.into());
    }
    control.blobs().bytes(&object.blob).await.map_err(|error| match error {
        BlobError::Missing(_) => absent(),
        other => crate::Error::Failed { part: "object store", source: Box::new(other) }.into(),
    })
}

/// Changes what a function is, which makes a new revision.
async fn change(
    control: &Control,
    name: &str,
    revision_wanted: Option<&str>,
    now: Timestamp,
    mut change: impl FnMut(&mut Function) -> Result<(), Error>,
) -> Result<Function, Error> {
    amend(control, name, |function| {
        check_revision(function, revision_wanted)?;
        change(function)?;
        function.revision_id = revision();
        function.last_modified = now;
        Ok(())
    })
    .await
}

fn check_revision(function: &Function, wanted: Option<&str>) -> Result<(), Error> {
    match wanted {
        Some(wanted) if wanted != function.revision_id => Err(Error::RevisionChanged { wanted: wanted.into() }),
        _ => Ok(()),
    }
}

/// Changes a function's record.
async fn amend(
    control: &Control,
    name: &str,
    change: impl FnMut(&mut Function) -> Result<(), Error>,
) -> Result<Function, Error> {
    match headwater_store::update(control.store(), name, change).await {
        Err(Error::Control(crate::Error::Store(headwater_store::Error::Missing { .. }))) => Err(missing(control, name)),
        other => other,
    }
}

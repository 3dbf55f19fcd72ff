//! What a function may be set to, and the rules for it.

use crate::Error;
use headwater_functions::Runtime;
use headwater_model::function::Function;
use std::collections::BTreeMap;

/// Longest run, seconds (Lambda quota).
pub const TIMEOUT_S_MAX: u32 = 900;
/// Least memory, megabytes (Lambda quota).
pub const MEMORY_MB_MIN: u32 = 128;
/// Most memory, megabytes (Lambda quota).
pub const MEMORY_MB_MAX: u32 = 10_240;
/// Bytes of all environment variables' names and values (Lambda quota).
pub const ENVIRONMENT_BYTES_MAX: usize = 4096;
/// Tags of a function (Lambda quota).
pub const TAGS_MAX: usize = 50;
/// Names that Lambda sets itself.
///
/// Source: Lambda "Defined runtime environment variables", the reserved ones.
const RESERVED: &[&str] = &[
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// What has a default when a function is made.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Up to 256 characters.
    pub description: Option<String>,
    /// Seconds until it is killed; 3 by default.
    pub timeout_s: Option<u32>,
    /// Megabytes until it is killed; 128 by default.
    pub memory_mb: Option<u32>,
    /// Environment of its process.
    pub environment: Option<BTreeMap<String, String>>,
}

/// A change of a function; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Such as `python3.12`.
    pub runtime: Option<String>,
    /// `FILE.FUNCTION`.
    pub handler: Option<String>,
    /// ARN of the role that it takes.
    pub role_arn: Option<String>,
    /// The rest; an environment replaces the former one.
    pub settings: Settings,
}

impl Settings {
    pub(super) fn apply(&self, function: &mut Function) {
        set(&mut function.description, &self.description);
        set(&mut function.timeout_s, &self.timeout_s);
        set(&mut function.memory_mb, &self.memory_mb);
        set(&mut function.environment, &self.environment);
    }
}

impl Change {
    pub(super) fn apply(&self, function: &mut Function) {
        set(&mut function.runtime, &self.runtime);
        set(&mut function.handler, &self.handler);
        set(&mut function.role_arn, &self.role_arn);
        self.settings.apply(function);
    }
}

fn set<T: Clone>(member: &mut T, wanted: &Option<T>) {
    if let Some(wanted) = wanted {
        member.clone_from(wanted);
    }
}

/// Replaces or adds tags.
pub(super) fn set_tags(function: &mut Function, tags: BTreeMap<String, String>) -> Result<(), Error> {
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(Error::invalid("a tag has a key of 1 to 128 and a value of up to 256 characters"));
        }
        function.tags.insert(key, value);
    }
    if function.tags.len() > TAGS_MAX {
        return Err(Error::invalid(format!("a function has at most {TAGS_MAX} tags")));
    }
    Ok(())
}

/// Whether everything about a function but its name and code is within the rules.
pub(super) fn check(function: &Function) -> Result<(), Error> {
    Runtime::parse(&function.runtime).map_err(|error| Error::invalid(error.to_string()))?;
    check_range("Timeout", function.timeout_s, 1, TIMEOUT_S_MAX)?;
    check_range("MemorySize", function.memory_mb, MEMORY_MB_MIN, MEMORY_MB_MAX)?;
    let handler = &function.handler;
    if handler.is_empty() || handler.len() > 128 || handler.chars().any(char::is_whitespace) {
        return Err(Error::invalid("Handler must have 1 to 128 characters and no white space"));
    }
    if function.description.chars().count() > 256 {
        return Err(Error::invalid("Description may have 256 characters"));
    }
    check_environment(&function.environment)
}

fn check_range(what: &str, value: u32, min: u32, max: u32) -> Result<(), Error> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(Error::invalid(format!("{what} {value} is not within {min} to {max}")))
    }
}

/// Messages name variables, never their values: these may be secrets.
fn check_environment(environment: &BTreeMap<String, String>) -> Result<(), Error> {
    let reserved: Vec<&str> = environment.keys().map(String::as_str).filter(|name| RESERVED.contains(name)).collect();
    if !reserved.is_empty() {
        return Err(Error::invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided contains reserved keys that are currently not supported for modification. Reserved keys used in \
             this request: {}",
            reserved.join(", ")
        )));
    }
    for (name, value) in environment {
        let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let well_named = name.len() >= 2 && name.as_bytes()[0].is_ascii_alphabetic() && name.bytes().all(letters);
        if !well_named {
            return Err(Error::invalid(format!(
                "the environment variable {name:?} must begin with a letter and have 2 or more letters, digits and _"
            )));
        }
        if value.contains('\0') {
            return Err(Error::invalid(format!("the environment variable {name} has a NUL in its value")));
        }
    }
    let bytes: usize = environment.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ENVIRONMENT_BYTES_MAX {
        return Err(Error::invalid(format!("environment variables may have {ENVIRONMENT_BYTES_MAX} bytes in all")));
    }
    Ok(())
}

/// Whether tries and age of asynchronous invocations are within the rules.
pub(super) fn check_event_config(attempts: Option<u32>, age_s: Option<u32>) -> Result<(), Error> {
    if let Some(attempts) = attempts {
        check_range("MaximumRetryAttempts", attempts, 0, 2)?;
    }
    if let Some(age_s) = age_s {
        check_range("MaximumEventAgeInSeconds", age_s, 60, 21_600)?;
    }
    Ok(())
}

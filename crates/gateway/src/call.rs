//! What a service's module gets and gives: [`Call`], [`Input`], [`Reply`], [`ServiceError`].

use ::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use headwater_control::credentials::KnownKey;
use headwater_control::iam::{self, Facts};
use headwater_control::{Control, Error};
use headwater_model::Timestamp;
use headwater_model::iam::Principal;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// A verified request for one operation.
#[derive(Debug)]
pub struct Call {
    /// Name in the service model, such as `CreateChannel`.
    pub operation: String,
    /// Who asks.
    pub principal: Principal,
    /// The key that the request is signed with.
    pub caller: Arc<KnownKey>,
    /// What conditions may look at.
    pub facts: Facts,
    /// For the answer's headers and the log.
    pub request_id: String,
    /// When the request arrived.
    pub now: Timestamp,
    /// HTTP method.
    pub method: Method,
    /// Path as sent, percent-encoded.
    pub path: String,
    /// Query parameters, decoded, in order.
    pub query: Vec<(String, String)>,
    /// Request headers.
    pub headers: HeaderMap,
    /// Body as sent.
    pub body: Bytes,
    /// The operation's input: the JSON body, or the query protocol's parameters as nested values (every leaf a text),
    /// with what the path names put in by the service's `route`.
    pub input: Input,
}

impl Call {
    /// Whether the caller may also do this.
    ///
    /// # Errors
    /// If the policies cannot be read.
    pub async fn may(&self, control: &Control, action: &str, resource: &str) -> Result<bool, ServiceError> {
        Ok(iam::decide(control, &self.caller, action, resource, &self.facts, self.now).await?.is_allowed())
    }

    /// The first query parameter of this name.
    pub fn query_value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A header's value, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An operation's input members. Reading a member that has another type is a validation error with the member's name;
/// in the query protocol every leaf is a text, so numbers and booleans are read from texts too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input(pub Map<String, Value>);

impl Input {
    /// A member that may be missing; `null` counts as missing.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text that may be missing.
    ///
    /// # Errors
    /// A validation error if it is not a text.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ServiceError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ServiceError::validation(format!("{name} must be a string"))),
        }
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// A validation error if it is missing or not a text.
    pub fn required(&self, name: &str) -> Result<&str, ServiceError> {
        self.text(name)?.ok_or_else(|| ServiceError::validation(format!("{name} is required")))
    }

    /// A whole number that may be missing.
    ///
    /// # Errors
    /// A validation error if it is not a whole number.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, ServiceError> {
        let wrong = || ServiceError::validation(format!("{name} must be an integer"));
        match self.value(name) {
            None => Ok(None),
            Some(Value::Number(number)) => number.as_i64().map(Some).ok_or_else(wrong),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| wrong()),
            Some(_) => Err(wrong()),
        }
    }

    /// A truth value that may be missing.
    ///
    /// # Errors
    /// A validation error if it is something else.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, ServiceError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(ServiceError::validation(format!("{name} must be a boolean"))),
        }
    }

    /// A list; empty if missing. The query protocol sends an empty list as an empty text.
    ///
    /// # Errors
    /// A validation error if it is not a list.
    pub fn list(&self, name: &str) -> Result<&[Value], ServiceError> {
        match self.value(name) {
            None => Ok(&[]),
            Some(Value::Array(values)) => Ok(values),
            Some(Value::String(text)) if text.is_empty() => Ok(&[]),
            Some(_) => Err(ServiceError::validation(format!("{name} must be a list"))),
        }
    }

    /// A list of texts; empty if missing.
    ///
    /// # Errors
    /// A validation error if it is not a list of texts.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, ServiceError> {
        let text = |value: &Value| value.as_str().map(String::from);
        self.list(name)?
            .iter()
            .map(|value| text(value).ok_or_else(|| ServiceError::validation(format!("{name} must hold strings"))))
            .collect()
    }

    /// A list of structures; empty if missing.
    ///
    /// # Errors
    /// A validation error if it is not a list of structures.
    pub fn structures(&self, name: &str) -> Result<Vec<Input>, ServiceError> {
        self.list(name)?
            .iter()
            .map(|value| match value {
                Value::Object(members) => Ok(Input(members.clone())),
                _ => Err(ServiceError::validation(format!("{name} must hold structures"))),
            })
            .collect()
    }

    /// A structure that may be missing.
    ///
    /// # Errors
    /// A validation error if it is not a structure.
    pub fn structure(&self, name: &str) -> Result<Option<Input>, ServiceError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Input(members.clone()))),
            Some(_) => Err(ServiceError::validation(format!("{name} must be a structure"))),
        }
    }

    /// A map of texts, such as IVS' tags; `None` if missing.
    ///
    /// # Errors
    /// A validation error if it is not a map of texts.
    pub fn text_map(&self, name: &str) -> Result<Option<std::collections::BTreeMap<String, String>>, ServiceError> {
        let wrong = || ServiceError::validation(format!("{name} must be a map of strings"));
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(map)) => map
                .iter()
                .map(|(key, value)| Ok((key.clone(), value.as_str().ok_or_else(wrong)?.to_string())))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(wrong()),
        }
    }

    /// All members as a type; members that it does not know are ignored, as AWS does.
    ///
    /// # Errors
    /// A validation error that names the first member that does not fit.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ServiceError> {
        serde_json::from_value(Value::Object(self.0.clone()))
            .map_err(|error| ServiceError::validation(error.to_string()))
    }
}

/// What a service's module answers.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// Members of the output shape, written in the service's protocol: as JSON, or in the query protocol as XML, where
    /// arrays become `<member>` elements in order and `null` is left out. Status 200.
    Members(Value),
    /// No body; status 204 where the service model says so.
    Empty(StatusCode),
    /// Bytes as they are, such as a function's answer.
    Raw {
        /// HTTP status.
        status: StatusCode,
        /// Besides the request id.
        headers: HeaderMap,
        /// Body.
        body: Bytes,
    },
    /// Members with another status than 200, such as 201 and 202 of Lambda. Only JSON protocols have them.
    Status(StatusCode, Value),
}

impl Reply {
    /// 200 and an empty structure.
    pub fn none() -> Self {
        Reply::Members(Value::Object(Map::new()))
    }
}

/// Whose leave an operation needs: an action on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Such as `ivs:PutMetadata`.
    pub action: String,
    /// The resource's ARN, or `*` if the operation is about none in particular.
    pub resource: String,
}

/// An error as the caller sees it. Nothing internal gets in: [`ServiceError::internal`] logs the cause and says only
/// that the server failed.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceError {
    /// Name in the service model, such as `ResourceNotFoundException`.
    pub code: Cow<'static, str>,
    /// HTTP status; 5xx is the server's fault.
    pub status: StatusCode,
    /// For the caller.
    pub message: String,
    /// Further members of the error's shape.
    pub members: Box<Map<String, Value>>,
}

impl ServiceError {
    /// An error with the caller's fault's status.
    pub fn new(code: impl Into<Cow<'static, str>>, status: StatusCode, message: impl Into<String>) -> Self {
        ServiceError { code: code.into(), status, message: message.into(), members: Box::default() }
    }

    /// The input breaks a rule. `ValidationException`; services with another name for it rename it in their module
    /// ([`ServiceError::named`]).
    pub fn validation(message: impl Into<String>) -> Self {
        ServiceError::new("ValidationException", StatusCode::BAD_REQUEST, message)
    }

    /// An operation that the service does not have here.
    pub fn unknown_operation(operation: &str) -> Self {
        ServiceError::new(
            "UnknownOperationException",
            StatusCode::BAD_REQUEST,
            format!("the operation {operation} is not known here"),
        )
    }

    /// The server failed. The cause goes into the log, not to the caller.
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %Chain(cause), "an operation failed");
        ServiceError::new(
            "InternalServerException",
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server failed to do this; its log says why under the request id",
        )
    }

    /// The same error under another name and status, if its name is `from`.
    #[must_use]
    pub fn named(self, from: &str, code: &'static str, status: StatusCode) -> Self {
        if self.code == from { ServiceError { code: code.into(), status, ..self } } else { self }
    }

    /// With a further member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }
}

/// The names that most of AWS' JSON services share. A service whose names differ matches [`Error`] itself and leaves
/// the rest to this.
impl From<Error> for ServiceError {
    fn from(error: Error) -> Self {
        let (code, status) = match &error {
            Error::Invalid { .. } => ("ValidationException", StatusCode::BAD_REQUEST),
            Error::Malformed { .. } => ("MalformedPolicyDocumentException", StatusCode::BAD_REQUEST),
            Error::NotFound { .. } => ("ResourceNotFoundException", StatusCode::NOT_FOUND),
            Error::Exists { .. } | Error::Conflict { .. } => ("ConflictException", StatusCode::CONFLICT),
            Error::QuotaExceeded { .. } => ("ServiceQuotaExceededException", StatusCode::PAYMENT_REQUIRED),
            Error::Throttled { .. } => ("ThrottlingException", StatusCode::TOO_MANY_REQUESTS),
            Error::NotBroadcasting { .. } => ("ChannelNotBroadcasting", StatusCode::NOT_FOUND),
            Error::Denied { .. } => ("AccessDeniedException", StatusCode::FORBIDDEN),
            _ => return ServiceError::internal(&error),
        };
        ServiceError::new(code, status, error.to_string())
    }
}

/// An error and its causes in one line, for the log.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

//! Who makes a request, and whether they may: signatures against stored keys, roles' policies.

use crate::services::{Definition, Protocol};
use crate::sigv4::{self, SignatureError, Target};
use crate::{Access, ServiceError};
use headwater_control::Control;
use headwater_model::Timestamp;
use headwater_model::iam::{AccessKey, Principal};
use http::{HeaderMap, StatusCode};

/// Service part of the credential scope, if a request presents one. Nothing is verified.
pub(crate) fn scope_service(headers: &HeaderMap, query: &str) -> Option<String> {
    sigv4::presented(headers, query).ok().flatten().map(|presented| presented.service)
}

/// The error for a request that is not signed at all.
pub(crate) fn missing_token(protocol: Protocol) -> ServiceError {
    ServiceError::new(
        by_protocol(protocol, "MissingAuthenticationToken", "MissingAuthenticationTokenException"),
        StatusCode::FORBIDDEN,
        "Request is missing Authentication Token",
    )
}

/// The key that a request is signed with, verified.
pub(crate) async fn key(
    control: &Control,
    definition: &Definition,
    target: Target<'_>,
    body: &[u8],
    now: Timestamp,
) -> Result<AccessKey, ServiceError> {
    let protocol = definition.protocol;
    let refuse = |error: &SignatureError| refusal(protocol, error);
    let presented = sigv4::presented(target.headers, target.query)
        .map_err(|error| refuse(&error))?
        .ok_or_else(|| missing_token(protocol))?;
    if !is_right_scope(control, definition, &presented) {
        return Err(ServiceError::new(
            by_protocol(protocol, "SignatureDoesNotMatch", "InvalidSignatureException"),
            status(protocol),
            format!(
                "Credential should be scoped to a valid region. This server answers for {}.",
                control.realm().region
            ),
        ));
    }
    let key = control.credentials().access_key(&presented.access_key_id).await?;
    let Some(key) = key else { return Err(refuse(&SignatureError::TokenInvalid)) };
    sigv4::verify(&presented, target, body, &key, now).map_err(|error| {
        tracing::debug!(access_key_id = presented.access_key_id, reason = %error, "a signature does not stand");
        refuse(&error)
    })?;
    Ok(key)
}

/// IAM and STS are global: SDKs sign for them in us-east-1 wherever they are.
fn is_right_scope(control: &Control, definition: &Definition, presented: &sigv4::Presented) -> bool {
    let is_global = matches!(definition.signing_name, "iam" | "sts") && presented.region == "us-east-1";
    presented.service == definition.signing_name && (presented.region == control.realm().region || is_global)
}

/// Whether the principal's policies allow what it asks for.
pub(crate) async fn check_policies(
    control: &Control,
    definition: &Definition,
    principal: &Principal,
    access: &Access,
    now: Timestamp,
) -> Result<(), ServiceError> {
    // STS: "No permissions are required to perform this operation."
    let is_free = access.action == "sts:GetCallerIdentity";
    if is_free || headwater_control::iam::is_allowed(control, principal, &access.action, &access.resource, now).await? {
        return Ok(());
    }
    let who = headwater_control::iam::principal_arn(control.realm(), principal);
    Err(ServiceError::new(
        by_protocol(definition.protocol, "AccessDenied", "AccessDeniedException"),
        match definition.protocol {
            Protocol::Json11 => StatusCode::BAD_REQUEST,
            _ => StatusCode::FORBIDDEN,
        },
        format!(
            "User: {who} is not authorized to perform: {} on resource: {} because no identity-based policy allows the \
             {} action",
            access.action, access.resource, access.action
        ),
    ))
}

fn by_protocol(protocol: Protocol, query: &'static str, json: &'static str) -> &'static str {
    match protocol {
        Protocol::Query => query,
        Protocol::RestJson | Protocol::Json11 => json,
    }
}

/// JSON 1.1 services answer with 400 where the others answer with 403.
fn status(protocol: Protocol) -> StatusCode {
    match protocol {
        Protocol::Json11 => StatusCode::BAD_REQUEST,
        _ => StatusCode::FORBIDDEN,
    }
}

fn refusal(protocol: Protocol, error: &SignatureError) -> ServiceError {
    let (query, json) = match error {
        SignatureError::Incomplete { .. } => ("IncompleteSignature", "IncompleteSignatureException"),
        SignatureError::Expired { .. } => ("RequestExpired", "InvalidSignatureException"),
        SignatureError::Mismatch | SignatureError::Payload | SignatureError::NotYetCurrent { .. } => {
            ("SignatureDoesNotMatch", "InvalidSignatureException")
        }
        SignatureError::TokenExpired => ("ExpiredToken", "ExpiredTokenException"),
        SignatureError::TokenInvalid => ("InvalidClientTokenId", "UnrecognizedClientException"),
    };
    let status = match error {
        SignatureError::Incomplete { .. } => StatusCode::BAD_REQUEST,
        SignatureError::Expired { .. } if protocol == Protocol::Query => StatusCode::BAD_REQUEST,
        _ => status(protocol),
    };
    ServiceError::new(by_protocol(protocol, query, json), status, error.to_string())
}

//! Who makes a request, and whether they may: signatures against stored keys, roles' policies.

use crate::services::{Definition, Protocol};
use crate::sigv4::{self, SignatureError, SigningKeys, Target};
use crate::{Access, ServiceError};
use bytes::Bytes;
use headwater_control::Control;
use headwater_control::credentials::KnownKey;
use headwater_control::iam::{self, Facts};
use headwater_model::Timestamp;
use headwater_model::policy::Decision;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;

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

/// The key that a request is signed with, verified, and the payload that its body carries.
pub(crate) async fn key(
    control: &Control,
    keys: &SigningKeys,
    definition: &Definition,
    target: Target<'_>,
    body: &Bytes,
    now: Timestamp,
) -> Result<(Arc<KnownKey>, Bytes), ServiceError> {
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
    let payload = sigv4::verify_with(keys, &presented, target, body, &key.key, now).map_err(|error| {
        tracing::debug!(access_key_id = presented.access_key_id, reason = %error, "a signature does not stand");
        refuse(&error)
    })?;
    Ok((key, payload))
}

/// IAM and STS are global: SDKs sign for them in us-east-1 wherever they are.
fn is_right_scope(control: &Control, definition: &Definition, presented: &sigv4::Presented) -> bool {
    let is_global = matches!(definition.signing_name, "iam" | "sts") && presented.region == "us-east-1";
    presented.service == definition.signing_name && (presented.region == control.realm().region || is_global)
}

/// Whether the policies of the key's owner and of its session allow what is asked for.
pub(crate) async fn check_policies(
    control: &Control,
    definition: &Definition,
    caller: &KnownKey,
    access: &Access,
    facts: &Facts,
    now: Timestamp,
) -> Result<(), ServiceError> {
    // STS: "No permissions are required to perform this operation." Who may take a role is for its trust policy to say
    // too, so that operation judges by itself.
    let by_itself =
        matches!(access.action.as_str(), "sts:GetCallerIdentity" | "sts:GetSessionToken" | "sts:AssumeRole");
    if by_itself {
        return Ok(());
    }
    let decision = iam::decide(control, caller, &access.action, &access.resource, facts, now).await?;
    let reason = match decision {
        Decision::Allowed => return Ok(()),
        Decision::ExplicitlyDenied => "with an explicit deny in a policy".to_owned(),
        Decision::NotAllowed if caller.narrowing.is_some() => {
            format!("because no identity-based policy or no session policy allows the {} action", access.action)
        }
        Decision::NotAllowed => format!("because no identity-based policy allows the {} action", access.action),
    };
    let who = iam::principal_arn(control.realm(), &caller.key.principal);
    Err(ServiceError::new(
        by_protocol(definition.protocol, "AccessDenied", "AccessDeniedException"),
        match definition.protocol {
            Protocol::Json11 | Protocol::Json10 | Protocol::Cbor => StatusCode::BAD_REQUEST,
            _ => StatusCode::FORBIDDEN,
        },
        format!(
            "User: {who} is not authorized to perform: {} on resource: {} {reason}",
            access.action, access.resource
        ),
    ))
}

fn by_protocol(protocol: Protocol, query: &'static str, json: &'static str) -> &'static str {
    match protocol {
        Protocol::Query => query,
        _ => json,
    }
}

/// JSON 1.1 services answer with 400 where the others answer with 403.
fn status(protocol: Protocol) -> StatusCode {
    match protocol {
        Protocol::Json11 | Protocol::Json10 | Protocol::Cbor => StatusCode::BAD_REQUEST,
        _ => StatusCode::FORBIDDEN,
    }
}

fn refusal(protocol: Protocol, error: &SignatureError) -> ServiceError {
    let (query, json) = match error {
        SignatureError::Incomplete { .. } => ("IncompleteSignature", "IncompleteSignatureException"),
        SignatureError::Mismatch
        | SignatureError::Payload
        | SignatureError::Expired { .. }
        | SignatureError::NotYetCurrent { .. } => ("SignatureDoesNotMatch", "InvalidSignatureException"),
        SignatureError::TokenExpired => ("ExpiredToken", "ExpiredTokenException"),
        SignatureError::TokenInvalid => ("InvalidClientTokenId", "UnrecognizedClientException"),
    };
    let status = match error {
        SignatureError::Incomplete { .. } => StatusCode::BAD_REQUEST,
        _ => status(protocol),
    };
    ServiceError::new(by_protocol(protocol, query, json), status, error.to_string())
}

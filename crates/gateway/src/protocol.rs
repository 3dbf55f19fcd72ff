//! Answers in each protocol's form: [`success`], [`failure`], [`stray_failure`].

use crate::cbor;
use crate::services::{Definition, Protocol, Service};
use crate::{Reply, ServiceError};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use serde_json::{Map, Value, json};
use std::io::Write;

const JSON10: &str = "application/x-amz-json-1.0";
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// A service's answer as a response.
pub(crate) fn success(definition: &Definition, operation: &str, reply: Reply, request_id: &str) -> Response {
    match reply {
        Reply::Members(members) if definition.protocol == Protocol::Query => {
            let body = document(&format!("{operation}Response"), definition.namespace, |xml| {
                if !matches!(&members, Value::Object(map) if map.is_empty()) {
                    element(xml, &format!("{operation}Result"), &members)?;
                }
                element(xml, "ResponseMetadata", &json!({ "RequestId": request_id }))
            });
            response(StatusCode::OK, "text/xml", body.into())
        }
        Reply::Members(members) if definition.protocol == Protocol::Cbor => cbor_response(StatusCode::OK, &members),
        Reply::Members(members) => {
            let mut response = response(StatusCode::OK, json_type(definition), json_bytes(&members));
            // The model has these headers on the answers of the batch operations, and on those of no others.
            if definition.service == Service::Ivs && operation.starts_with("Batch") {
                add_ivs_headers(response.headers_mut());
            }
            response
        }
        Reply::Status(status, members) => response(status, json_type(definition), json_bytes(&members)),
        Reply::Empty(status) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = status;
            response
        }
        Reply::Raw { status, headers, body } => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            response
        }
    }
}

/// An error as a response of a service.
pub(crate) fn failure(definition: &Definition, error: &ServiceError, request_id: &str) -> Response {
    match definition.protocol {
        Protocol::Query => xml_failure(definition.namespace, error, request_id),
        Protocol::Json11 => json_failure(error, "application/x-amz-json-1.1"),
        Protocol::Json10 => with_query_error(json_failure(&modelled(error), JSON10), error),
        Protocol::Cbor => {
            let modelled = modelled(error);
            let members = json!({ "__type": modelled.code, "message": error.message });
            let response = with_error_type(cbor_response(error.status, &members), &modelled);
            with_query_error(response, error)
        }
        Protocol::RestJson if definition.service == Service::Native => {
            let mut members = Map::new();
            members.insert("code".into(), error.code.as_ref().into());
            members.insert("message".into(), error.message.as_str().into());
            members.extend(error.members.iter().map(|(name, value)| (name.clone(), value.clone())));
            response(error.status, "application/json", json_bytes(&json!({ "error": members })))
        }
        Protocol::RestJson => {
            let mut members = Map::new();
            members.insert("message".into(), error.message.as_str().into());
            let is_ivs = definition.service == Service::Ivs;
            if is_ivs {
                // The model's member; SDKs read the other one.
                members.insert("exceptionMessage".into(), error.message.as_str().into());
            }
            members.extend(error.members.iter().map(|(name, value)| (name.clone(), value.clone())));
            let mut response =
                with_error_type(response(error.status, "application/json", json_bytes(&Value::Object(members))), error);
            if is_ivs {
                add_ivs_headers(response.headers_mut());
            }
            response
        }
    }
}

/// An error as a response of nobody: the service could not be told, or is none of ours. Written as the request's body
/// lets guess that the caller reads.
pub(crate) fn stray_failure(request: &HeaderMap, error: &ServiceError, request_id: &str) -> Response {
    let content_type = request.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if content_type.starts_with(b"application/json") || content_type.starts_with(b"application/x-amz-json") {
        return json_failure(error, "application/x-amz-json-1.1");
    }
    xml_failure("", error, request_id)
}

fn xml_failure(namespace: &str, error: &ServiceError, request_id: &str) -> Response {
    let kind = if error.status.is_server_error() { "Receiver" } else { "Sender" };
    let body = document("ErrorResponse", namespace, |xml| {
        element(xml, "Error", &json!({ "Type": kind, "Code": error.code, "Message": error.message }))?;
        element(xml, "RequestId", &Value::String(request_id.into()))
    });
    response(error.status, "text/xml", body.into())
}

fn json_failure(error: &ServiceError, content_type: &'static str) -> Response {
    let mut members = Map::new();
    members.insert("__type".into(), error.code.as_ref().into());
    members.insert("message".into(), error.message.as_str().into());
    members.extend(error.members.iter().map(|(name, value)| (name.clone(), value.clone())));
    let body = json_bytes(&Value::Object(members));
    with_error_type(response(error.status, content_type, body), error)
}

/// A service that spoke the query protocol first names an error's shape in its newer protocols, and the code that it
/// had before in a header. Source: Smithy "awsQueryCompatible".
fn modelled(error: &ServiceError) -> ServiceError {
    let shape = match error.code.as_ref() {
        "InvalidParameterValue" => "InvalidParameterValueException",
        "MissingParameter" => "MissingRequiredParameterException",
        "InvalidParameterCombination" => "InvalidParameterCombinationException",
        other => other,
    };
    ServiceError { code: shape.to_owned().into(), ..error.clone() }
}

fn with_query_error(mut response: Response, error: &ServiceError) -> Response {
    let kind = if error.status.is_server_error() { "Receiver" } else { "Sender" };
    if let Ok(value) = HeaderValue::from_str(&format!("{};{kind}", error.code)) {
        response.headers_mut().insert("x-amzn-query-error", value);
    }
    response
}

fn cbor_response(status: StatusCode, members: &Value) -> Response {
    let mut response = response(status, "application/cbor", cbor::bytes(members).into());
    response.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    response
}

/// Headers that the model `ivs` declares as outputs of errors. `Access-Control-*` are among them and are set for
/// every answer by the router.
fn add_ivs_headers(headers: &mut HeaderMap) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'"),
        ("strict-transport-security", "max-age=31536000"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn with_error_type(mut response: Response, error: &ServiceError) -> Response {
    if let Ok(value) = HeaderValue::from_str(&error.code) {
        response.headers_mut().insert(ERROR_TYPE, value);
    }
    response
}

fn json_type(definition: &Definition) -> &'static str {
    match definition.protocol {
        Protocol::Json11 => "application/x-amz-json-1.1",
        Protocol::Json10 => JSON10,
        _ => "application/json",
    }
}

fn json_bytes(value: &Value) -> Bytes {
    value.to_string().into()
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    let length = body.len();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

/// An XML document with one root in a name space.
fn document(root: &str, namespace: &str, content: impl FnOnce(&mut Writer<Vec<u8>>) -> std::io::Result<()>) -> Vec<u8> {
    let mut xml = Writer::new(Vec::new());
    let write = || -> std::io::Result<()> {
        xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let mut start = BytesStart::new(root);
        if !namespace.is_empty() {
            start.push_attribute(("xmlns", namespace));
        }
        xml.write_event(Event::Start(start))?;
        content(&mut xml)?;
        xml.write_event(Event::End(BytesEnd::new(root)))
    };
    write().expect("a vector takes every byte");
    xml.into_inner()
}

/// A value as an element: members in order, arrays as `<member>` elements, nulls left out.
fn element<W: Write>(xml: &mut Writer<W>, name: &str, value: &Value) -> std::io::Result<()> {
    if value.is_null() {
        return Ok(());
    }
    xml.write_event(Event::Start(BytesStart::new(name)))?;
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (name, value) in members {
                element(xml, name, value)?;
            }
        }
        Value::Array(items) => {
            for item in items {
                element(xml, "member", item)?;
            }
        }
        Value::String(text) => xml.write_event(Event::Text(BytesText::new(&printable(text))))?,
        other => xml.write_event(Event::Text(BytesText::new(&other.to_string())))?,
    }
    xml.write_event(Event::End(BytesEnd::new(name)))
}

/// XML 1.0 section 2.2 "Characters" has no place for most control characters: they become U+FFFD.
fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    let is_bad = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}');
    if text.contains(is_bad) { text.replace(is_bad, "\u{fffd}").into() } else { text.into() }
}

//! Custom resources: functions that make, change and delete something, and answer by a PUT to an address of ours.
//!
//! A call is one record that is written together with the function's asynchronous invocation, so it takes place just
//! once however often the stack's task asks for it. The address has an unguessable part; the first answer to it
//! counts. Source: CloudFormation "Custom resource reference", request and response objects.
//!
//! Deliberate differences: only functions can be asked, not topics; a delete whose function is gone has succeeded,
//! where CloudFormation waits an hour; answers may have 64 KiB instead of 4096 bytes.

use super::given::{Given, failed};
use crate::lambda::{self, InvokeOptions};
use crate::{Control, Error};
use async_trait::async_trait;
use bytes::Bytes;
use headwater_model::{Secret, Timestamp, id};
use headwater_stacks::schema::{Kind, Property, Schema};
use headwater_stacks::{Current, Made, Provider, ProviderError, Request, Updated};
use headwater_store::{Batch, Document, Select, Topic, find, list};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Bytes of an answer. CloudFormation takes 4096; those who test with larger ones should see why elsewhere.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Seconds that a function may take to answer, unless the template says less (`ServiceTimeout`).
const TIMEOUT_S_DEFAULT: u32 = 3600;
/// How long a call's record is kept after its time is up, so that late answers are known, milliseconds.
const KEPT_MS: i64 = 24 * 3600 * 1000;
/// Characters of the address' unguessable part: 238 bits.
const SECRET_LENGTH: usize = 40;
/// Bytes of a physical id.
const PHYSICAL_ID_BYTES_MAX: usize = 1024;

/// One request to a function, and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomCall {
    /// Lowercase hex SHA-256 of the provider call's token.
    pub id: String,
    /// The unguessable part of the address.
    pub secret: Secret,
    /// As the function sees it.
    pub request_id: String,
    /// When it has failed without an answer.
    pub deadline: Timestamp,
    /// The first answer.
    pub answer: Option<Answer>,
}

/// What a function answered.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it did it; else why not.
    pub outcome: Result<(), String>,
    /// Its id of the resource.
    pub physical_id: Option<String>,
    /// What `Fn::GetAtt` gives.
    pub data: Map<String, Value>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Data may hold secrets.
        f.debug_struct("Answer").field("outcome", &self.outcome).field("physical_id", &self.physical_id).finish()
    }
}

impl Document for CustomCall {
    const KIND: &'static str = "custom-call";
    fn id(&self) -> String {
        self.id.clone()
    }
}

fn call_id(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// Takes an answer: `address` is the part of the path after the fixed one. Later answers change nothing.
///
/// # Errors
/// [`Error::NotFound`] if nobody waits at this address; [`Error::Invalid`] if the answer is too long; [`Error::Store`].
pub async fn answer(control: &Control, address: &str, body: &[u8]) -> Result<(), Error> {
    let unknown = || Error::not_found("response address", "");
    let (id, secret) = address.split_once('.').ok_or_else(unknown)?;
    let call = find::<CustomCall>(control.store(), id).await?.ok_or_else(unknown)?;
    if !call.secret.matches(secret) {
        return Err(unknown());
    }
    if body.len() > ANSWER_BYTES_MAX {
        return Err(Error::invalid(format!("an answer may have {ANSWER_BYTES_MAX} bytes")));
    }
    let read = read_answer(body, &call.request_id);
    tracing::debug!(request_id = call.request_id, outcome = ?read.outcome, "custom resource answered");
    headwater_store::update(control.store(), id, |call: &mut CustomCall| {
        call.answer.get_or_insert_with(|| read.clone());
        Ok::<(), Error>(())
    })
    .await?;
    Ok(())
}

/// Reads an answer; one that breaks the rules is a failure that says which.
fn read_answer(body: &[u8], request_id: &str) -> Answer {
    let refused = |reason: &str| Answer {
        outcome: Err(format!("Invalid Response object: {reason}")),
        physical_id: None,
        data: Map::new(),
    };
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else { return refused("it is not a JSON object") };
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if text("RequestId").is_some_and(|given| given != request_id) {
        return refused("RequestId is of another request");
    }
    let physical_id = text("PhysicalResourceId").filter(|id| !id.is_empty()).map(str::to_owned);
    if physical_id.as_ref().is_some_and(|id| id.len() > PHYSICAL_ID_BYTES_MAX) {
        return refused("PhysicalResourceId has more than 1024 bytes");
    }
    let outcome = match text("Status") {
        Some("SUCCESS") => Ok(()),
        Some("FAILED") => Err(format!(
            "Received response status [FAILED] from custom resource. Message returned: {}",
            text("Reason").unwrap_or("no Reason given")
        )),
        _ => return refused("Status must be SUCCESS or FAILED"),
    };
    let data = members.get("Data").and_then(Value::as_object).cloned().unwrap_or_default();
    Answer { outcome, physical_id, data }
}

/// Properties as functions get them: numbers and booleans are texts.
fn as_texts(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Bool(flag) => Value::String(flag.to_string()),
        Value::Array(items) => Value::Array(items.iter().map(as_texts).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), as_texts(value))).collect())
        }
        other => other.clone(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Create,
    Update,
    Delete,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Verb::Create => "Create",
            Verb::Update => "Update",
            Verb::Delete => "Delete",
        }
    }
}

/// `AWS::CloudFormation::CustomResource` and `Custom::…`.
pub struct CustomProvider {
    control: Control,
    schema: Schema,
}

impl CustomProvider {
    /// Works through a control, under a type's name.
    pub fn new(control: &Control, type_name: &'static str) -> Self {
        let timeout = Kind::Integer { min: 1, max: i64::from(TIMEOUT_S_DEFAULT) };
        let schema = Schema::new(type_name)
            .property(Property::new("ServiceToken", Kind::Text).required().replaces())
            .property(Property::new("ServiceTimeout", timeout))
            .open();
        CustomProvider { control: control.clone(), schema }
    }

    /// Asks the function, once for a token, and waits for its answer.
    async fn ask(
        &self,
        verb: Verb,
        request: &Request,
        physical_id: Option<&str>,
        old: Option<&Value>,
    ) -> Result<Answer, ProviderError> {
        let control = &self.control;
        let id = call_id(&request.token);
        let mut changes = control.store().watch(Topic::Kind(CustomCall::KIND.into()));
        if find::<CustomCall>(control.store(), &id).await.map_err(failed)?.is_none() {
            self.send(verb, request, physical_id, old, &id).await?;
        }
        loop {
            changes.borrow_and_update();
            let call = find::<CustomCall>(control.store(), &id).await.map_err(failed)?;
            let Some(call) = call else { return Err(ProviderError::new("the request to the function is gone")) };
            if let Some(answer) = call.answer {
                return Ok(answer);
            }
            let left = call.deadline.since_ms(Timestamp::now());
            let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else {
                return Err(ProviderError::new(format!(
                    "CloudFormation did not receive a response from your Custom Resource. Please check your logs for \
                     requestId [{}].",
                    call.request_id
                )));
            };
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(Duration::from_millis(left)) => {}
            }
        }
    }

    async fn send(
        &self,
        verb: Verb,
        request: &Request,
        physical_id: Option<&str>,
        old: Option<&Value>,
        id: &str,
    ) -> Result<(), ProviderError> {
        let control = &self.control;
        let given = Given(&request.properties);
        let service = given.required("ServiceToken");
        let function = match lambda::function(control, service).await {
            Ok(function) => function,
            Err(lambda::Error::Control(Error::Invalid { .. })) => {
                return Err(ProviderError::new(format!("ServiceToken {service:?} is not a function's ARN")));
            }
            Err(error) => return Err(failed(error)),
        };
        let now = Timestamp::now();
        let timeout_s = given.number("ServiceTimeout").unwrap_or(TIMEOUT_S_DEFAULT);
        let call = CustomCall {
            id: id.to_owned(),
            secret: Secret::new(id::random_alphanumeric(SECRET_LENGTH)),
            request_id: uuid::Uuid::new_v4().to_string(),
            deadline: now.plus_ms(i64::from(timeout_s) * 1000),
            answer: None,
        };
        let mut event = json!({
            "RequestType": verb.as_str(),
            "ServiceToken": service,
            "ResponseURL": format!(
                "{}/_headwater/cloudformation/response/{}.{}",
                control.endpoints().api_url, call.id, call.secret.expose()
            ),
            "StackId": request.stack.id,
            "RequestId": call.request_id,
            "LogicalResourceId": request.logical_id,
            "ResourceType": request.resource_type,
            "ResourceProperties": as_texts(&request.properties),
        });
        if let Some(physical_id) = physical_id {
            event["PhysicalResourceId"] = physical_id.into();
        }
        if let Some(old) = old {
            event["OldResourceProperties"] = as_texts(old);
        }
        let mut batch = Batch::new();
        batch.insert(&call).map_err(failed)?;
        for old in list::<CustomCall>(control.store(), Select::default()).await.map_err(failed)? {
            if now.since_ms(old.deadline) > KEPT_MS {
                batch.delete::<CustomCall>(&old.id);
            }
        }
        let payload = Bytes::from(event.to_string());
        let options = InvokeOptions::default();
        control.functions().enqueue_in(&mut batch, &function.name, payload, options).map_err(failed)?;
        control.store().commit(batch).await.map_err(failed)?;
        Ok(())
    }
}

#[async_trait]
impl Provider for CustomProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let sent = |error: ProviderError| async {
            // Once the function has been asked it may have made something, whatever came of it.
            match find::<CustomCall>(self.control.store(), &call_id(&request.token)).await {
                Ok(None) => error,
                _ => ProviderError::leaving(error.message, request.proposal.clone()),
            }
        };
        let answer = match self.ask(Verb::Create, &request, None, None).await {
            Ok(answer) => answer,
            Err(error) => return Err(sent(error).await),
        };
        match (answer.outcome, answer.physical_id) {
            (Ok(()), Some(physical_id)) => Ok(Made { physical_id, attributes: answer.data }),
            (Ok(()), None) => Err(sent(ProviderError::new("Invalid PhysicalResourceId: the answer has none")).await),
            (Err(reason), Some(physical_id)) => Err(ProviderError::leaving(reason, physical_id)),
            (Err(reason), None) => Err(sent(ProviderError::new(reason)).await),
        }
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let physical_id = current.physical_id.unwrap_or(current.proposal);
        let answer = self.ask(Verb::Update, &request, Some(&physical_id), Some(&current.properties)).await?;
        match answer.outcome {
            Ok(()) => {
                let physical_id = answer.physical_id.unwrap_or(physical_id);
                Ok(Updated::InPlace(Made { physical_id, attributes: answer.data }))
            }
            Err(reason) => Err(ProviderError::new(reason)),
        }
    }

    async fn delete(&self, request: Request, current: Current) -> Result<(), ProviderError> {
        let control = &self.control;
        let physical_id = match &current.physical_id {
            Some(physical_id) => physical_id.clone(),
            None => {
                let created = find::<CustomCall>(control.store(), &call_id(&current.token)).await.map_err(failed)?;
                // A create that was never sent has made nothing.
                let Some(created) = created else { return Ok(()) };
                let told = created.answer.and_then(|answer| answer.physical_id);
                told.unwrap_or_else(|| current.proposal.clone())
            }
        };
        let service = Given(&request.properties).required("ServiceToken");
        if let Err(lambda::Error::Control(Error::NotFound { .. })) = lambda::function(control, service).await {
            tracing::warn!(
                stack = request.stack.name,
                resource = request.logical_id,
                "the function of a custom resource is gone: what it made may be left"
            );
            return Ok(());
        }
        let answer = self.ask(Verb::Delete, &request, Some(&physical_id), None).await?;
        answer.outcome.map_err(ProviderError::new)
    }
}

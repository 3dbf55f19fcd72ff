//! Amazon IVS: `ivs` 2020-07-14, rest-json.

mod ads;
mod key_pairs;
mod recording;
mod restriction_policies;
mod revocations;
mod shapes;
mod slates;
mod wire;

use crate::{Access, Call, Gateway, Input, Reply, ServiceError, path};
use ::http::{Method, StatusCode};
use headwater_control::ivs::channels::{self, Filter};
use headwater_control::ivs::{Page, PageRequest, Resource, keys, metadata, rates, resource, streams, tags};
use headwater_control::{Control, Error};
use headwater_model::Realm;
use headwater_model::ivs::{
    AdConfiguration, FailoverSlate, PlaybackKeyPair, PlaybackRestrictionPolicy, RecordingConfiguration, StreamHealth,
};
use serde_json::{Map, Value, json};

/// Operation and path members: `/OPERATION`, and `/tags/ARN` for the three about tags.
pub(crate) fn route(method: &Method, sent: &str) -> Option<(String, Input)> {
    if let Some(arn) = sent.strip_prefix("/tags/") {
        let operation = match *method {
            Method::GET => "ListTagsForResource",
            Method::POST => "TagResource",
            Method::DELETE => "UntagResource",
            _ => return None,
        };
        let mut input = Input::default();
        // Some SDKs leave the slash of an ARN as it is.
        input.0.insert("resourceArn".into(), path::decoded(arn)?.into());
        return Some((operation.into(), input));
    }
    let operation = sent.strip_prefix('/')?;
    let is_name = !operation.is_empty() && operation.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (*method == Method::POST && is_name).then(|| (operation.into(), Input::default()))
}

/// The action of the operation's name on the channel or key that the input names. The `BatchGet…` operations are about
/// several, and policies must allow them on `*`.
pub(crate) fn access(_realm: &Realm, operation: &str, input: &Input) -> Option<Access> {
    let arn = ["arn", "channelArn", "resourceArn"].into_iter().find_map(|name| input.0.get(name)?.as_str())?;
    Some(Access { action: format!("ivs:{operation}"), resource: arn.into() })
}

/// Answers one operation.
///
/// # Errors
/// As the service model says.
pub async fn call(gateway: &Gateway, call: Call) -> Result<Reply, ServiceError> {
    let control = gateway.control();
    let operation = call.operation.clone();
    answer(control, call).await.map_err(|error| match error {
        Failure::Operation(error) => worded(&operation, error),
        Failure::Service(error) => error,
    })
}

enum Failure {
    Operation(Error),
    Service(ServiceError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Operation(error)
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Failure::Service(error)
    }
}

/// Messages in the service's words; the names are the common ones.
fn worded(operation: &str, error: Error) -> ServiceError {
    let message = match &error {
        Error::NotFound { kind, id } => format!("Resource {kind} {id} does not exist."),
        Error::NotBroadcasting { channel_arn } => {
            format!("Channel {channel_arn} is not broadcasting: it must be live for {operation}.")
        }
        Error::QuotaExceeded { quota, limit } => format!("The quota of {limit} for {quota} is exceeded."),
        Error::Throttled { operation, per_second, scope } => {
            format!("Rate exceeded: {operation} allows {per_second} requests per second for {scope}.")
        }
        _ => return error.into(),
    };
    ServiceError { message, ..error.into() }
}

async fn answer(control: &Control, call: Call) -> Result<Reply, Failure> {
    let input = &call.input;
    rates::admit(control, &call.operation)?;
    shapes::check(&call.operation, input)?;
    let reply = match call.operation.as_str() {
        "CreateChannel" => {
            let tags = input.text_map("tags")?.unwrap_or_default();
            let (channel, key) = channels::create_channel(control, &wire::settings(input)?, tags, call.now).await?;
            json!({"channel": wire::channel(control, &channel), "streamKey": wire::stream_key(&key)})
        }
        "GetChannel" => {
            let channel = headwater_control::ivs::channel(control, input.required("arn")?).await?;
            json!({"channel": wire::channel(control, &channel)})
        }
        "BatchGetChannel" => {
            let got = channels::batch_get_channel(control, &input.texts("arns")?).await?;
            let found: Vec<Value> = got.found.iter().map(|channel| wire::channel(control, channel)).collect();
            json!({"channels": found, "errors": wire::missing(&got.missing)})
        }
        "ListChannels" => {
            let page = channels::list_channels(control, &filter(input)?, &page_request(input)?).await?;
            let found: Vec<Value> = page.items.iter().map(wire::channel_summary).collect();
            with_token(json!({ "channels": found }), page.next_token)
        }
        "UpdateChannel" => {
            let arn = input.required("arn")?;
            let channel = channels::update_channel(control, arn, &wire::settings(input)?).await?;
            json!({"channel": wire::channel(control, &channel)})
        }
        "DeleteChannel" => {
            channels::delete_channel(control, input.required("arn")?).await?;
            return Ok(Reply::Empty(StatusCode::NO_CONTENT));
        }
        "CreateStreamKey" => {
            let tags = input.text_map("tags")?.unwrap_or_default();
            let key = keys::create_stream_key(control, input.required("channelArn")?, tags, call.now).await?;
            json!({"streamKey": wire::stream_key(&key)})
        }
        "GetStreamKey" => {
            let key = keys::stream_key(control, input.required("arn")?).await?;
            json!({"streamKey": wire::stream_key(&key)})
        }
        "BatchGetStreamKey" => {
            let got = keys::batch_get_stream_key(control, &input.texts("arns")?).await?;
            let found: Vec<Value> = got.found.iter().map(wire::stream_key).collect();
            json!({"streamKeys": found, "errors": wire::missing(&got.missing)})
        }
        "ListStreamKeys" => {
            let channel_arn = input.required("channelArn")?;
            let page = keys::list_stream_keys(control, channel_arn, &page_request(input)?).await?;
            let found: Vec<Value> = page.items.iter().map(wire::stream_key_summary).collect();
            with_token(json!({ "streamKeys": found }), page.next_token)
        }
        "DeleteStreamKey" => {
            keys::delete_stream_key(control, input.required("arn")?).await?;
            return Ok(Reply::Empty(StatusCode::NO_CONTENT));
        }
        "GetStream" => {
            let (channel, stream) = streams::stream(control, input.required("channelArn")?).await?;
            let mut members = wire::stream_summary(&stream);
            members["playbackUrl"] = channels::playback_url(control, &channel).into();
            json!({ "stream": members })
        }
        "ListStreams" => {
            let page = streams::list_streams(control, health(input)?, &page_request(input)?)?;
            let found: Vec<Value> = page.items.iter().map(wire::stream_summary).collect();
            with_token(json!({ "streams": found }), page.next_token)
        }
        "GetStreamSession" => {
            let channel_arn = input.required("channelArn")?;
            let session = streams::stream_session(control, channel_arn, input.text("streamId")?).await?;
            json!({"streamSession": wire::stream_session(control, &session)})
        }
        "ListStreamSessions" => {
            let channel_arn = input.required("channelArn")?;
            let page = streams::list_stream_sessions(control, channel_arn, &page_request(input)?).await?;
            let found: Vec<Value> = page.items.iter().map(wire::stream_session_summary).collect();
            with_token(json!({ "streamSessions": found }), page.next_token)
        }
        "StopStream" => {
            streams::stop_stream(control, input.required("channelArn")?).await?;
            return Ok(Reply::none());
        }
        "PutMetadata" => {
            let channel_arn = input.required("channelArn")?;
            metadata::put_metadata(control, channel_arn, input.required("metadata")?, call.now).await?;
            return Ok(Reply::Empty(StatusCode::NO_CONTENT));
        }
        "ListTagsForResource" => json!({"tags": tags::list_tags(control, input.required("resourceArn")?).await?}),
        "TagResource" => {
            let added = input.text_map("tags")?.ok_or_else(|| ServiceError::validation("tags is required"))?;
            tags::tag(control, input.required("resourceArn")?, &added).await?;
            return Ok(Reply::none());
        }
        "UntagResource" => {
            let keys = call.query.iter().filter(|(name, _)| name == "tagKeys").map(|(_, key)| key.clone());
            let keys: Vec<String> = keys.collect();
            if keys.is_empty() {
                return Err(ServiceError::validation("tagKeys is required").into());
            }
            tags::untag(control, input.required("resourceArn")?, &keys).await?;
            return Ok(Reply::none());
        }
        "ImportPlaybackKeyPair" => key_pairs::import(control, &call).await?,
        "GetPlaybackKeyPair" => key_pairs::read(control, input).await?,
        "ListPlaybackKeyPairs" => key_pairs::list(control, input).await?,
        "DeletePlaybackKeyPair" => {
            delete::<PlaybackKeyPair>(control, input).await?;
            return Ok(Reply::none());
        }
        "CreatePlaybackRestrictionPolicy" => restriction_policies::create(control, &call).await?,
        "GetPlaybackRestrictionPolicy" => restriction_policies::read(control, input).await?,
        "UpdatePlaybackRestrictionPolicy" => restriction_policies::update(control, input).await?,
        "ListPlaybackRestrictionPolicies" => restriction_policies::list(control, input).await?,
        "DeletePlaybackRestrictionPolicy" => return delete::<PlaybackRestrictionPolicy>(control, input).await,
        "CreateRecordingConfiguration" => recording::create(control, &call).await?,
        "GetRecordingConfiguration" => recording::read(control, input).await?,
        "ListRecordingConfigurations" => recording::list(control, input).await?,
        "DeleteRecordingConfiguration" => return delete::<RecordingConfiguration>(control, input).await,
        "CreateAdConfiguration" => ads::create(control, &call).await?,
        "GetAdConfiguration" => ads::read(control, input).await?,
        "UpdateAdConfiguration" => ads::update(control, input).await?,
        "ListAdConfigurations" => ads::list(control, input).await?,
        "DeleteAdConfiguration" => return delete::<AdConfiguration>(control, input).await,
        "InsertAdBreak" => ads::insert_break(control, &call).await?,
        "CreateFailoverSlateConfiguration" => slates::create(control, &call).await?,
        "GetFailoverSlateConfiguration" => slates::read(control, input).await?,
        "UpdateFailoverSlateConfiguration" => slates::update(control, input).await?,
        "ListFailoverSlateConfigurations" => slates::list(control, input).await?,
        "DeleteFailoverSlateConfiguration" => return delete::<FailoverSlate>(control, input).await,
        "StartViewerSessionRevocation" => revocations::start(control, &call).await?,
        "BatchStartViewerSessionRevocation" => revocations::start_batch(control, &call).await?,
        other => return Err(ServiceError::unknown_operation(other).into()),
    };
    Ok(Reply::Members(reply))
}

/// Deletes the resource that `arn` names.
async fn delete<R: Resource>(control: &Control, input: &Input) -> Result<Reply, Failure> {
    resource::delete::<R>(control, input.required("arn")?).await?;
    Ok(Reply::Empty(StatusCode::NO_CONTENT))
}

/// A page of a list under its member's name.
fn page_of<T>(name: &str, page: Page<T>, members: impl Fn(&T) -> Value) -> Value {
    let mut reply = Map::new();
    reply.insert(name.into(), page.items.iter().map(members).collect::<Vec<_>>().into());
    with_token(reply.into(), page.next_token)
}

fn page_request(input: &Input) -> Result<PageRequest, ServiceError> {
    Ok(PageRequest {
        next_token: input.text("nextToken")?.filter(|token| !token.is_empty()).map(String::from),
        max_results: input.integer("maxResults")?,
    })
}

fn filter(input: &Input) -> Result<Filter, ServiceError> {
    let text = |name: &str| input.text(name).map(|text| text.map(String::from));
    Ok(Filter {
        name: text("filterByName")?,
        recording_configuration_arn: text("filterByRecordingConfigurationArn")?,
        playback_restriction_policy_arn: text("filterByPlaybackRestrictionPolicyArn")?,
        ad_configuration_arn: text("filterByAdConfigurationArn")?,
        failover_slate_configuration_arn: text("filterByFailoverSlateConfigurationArn")?,
    })
}

fn health(input: &Input) -> Result<Option<StreamHealth>, ServiceError> {
    match input.structure("filterBy")? {
        Some(filter) => wire::choice(&filter, "health"),
        None => Ok(None),
    }
}

/// The last page has no token.
fn with_token(mut members: Value, token: Option<String>) -> Value {
    if let Some(token) = token {
        members["nextToken"] = token.into();
    }
    members
}

//! CloudWatch Logs: `logs` 2014-03-28, JSON 1.1.
//!
//! Times are milliseconds since the epoch. There are no subscriptions, metric filters, queries or exports.

use crate::{Access, Call, Gateway, Input, Reply, ServiceError};
use ::http::StatusCode;
use headwater_control::logs::{self, Direction, FilterEvents, FilterPattern, GetEvents, LogGroup, LogStream};
use headwater_control::{Control, Error};
use headwater_model::{Realm, Timestamp};
use serde_json::{Map, Value, json};

/// Items of a page unless fewer are asked for (`logs` 2014-03-28, DescribeLimit).
const DESCRIBE_MAX: i64 = 50;

/// The group with a star behind, as policies name it (`log-group:NAME:*`), the stream, or what is tagged.
pub(crate) fn access(realm: &Realm, operation: &str, input: &Input) -> Option<Access> {
    let member = |name: &str| input.0.get(name).and_then(Value::as_str);
    let action = format!("logs:{operation}");
    if let Some(arn) = member("resourceArn") {
        return Some(Access { action, resource: arn.into() });
    }
    let identifier = member("logGroupName").or(member("logGroupIdentifier"))?;
    let group = match identifier.starts_with("arn:") {
        true => identifier.trim_end_matches(":*").to_owned(),
        false => realm.log_group_arn(identifier),
    };
    let resource = match (operation, member("logStreamName")) {
        ("PutLogEvents" | "GetLogEvents" | "DeleteLogStream", Some(stream)) => {
            format!("{group}:log-stream:{stream}")
        }
        _ => format!("{group}:*"),
    };
    Some(Access { action, resource })
}

/// Answers one operation.
///
/// # Errors
/// As the service model says.
pub async fn call(gateway: &Gateway, call: Call) -> Result<Reply, ServiceError> {
    answer(gateway.control(), call)
        .await
        .map_err(|error| error.named("ValidationException", "InvalidParameterException", StatusCode::BAD_REQUEST))
}

async fn answer(control: &Control, call: Call) -> Result<Reply, ServiceError> {
    let (input, now) = (&call.input, call.now);
    match call.operation.as_str() {
        "CreateLogGroup" => {
            let tags = input.text_map("tags")?.unwrap_or_default();
            logs::create_group(control, input.required("logGroupName")?, tags, now).await.map_err(worded)?;
            Ok(Reply::Empty(StatusCode::OK))
        }
        "DeleteLogGroup" => {
            logs::delete_group(control, input.required("logGroupName")?).await.map_err(worded)?;
            Ok(Reply::Empty(StatusCode::OK))
        }
        "DescribeLogGroups" => describe_groups(control, input).await,
        "PutRetentionPolicy" => {
            let days = input.integer("retentionInDays")?.ok_or_else(|| required("retentionInDays"))?;
            let days = u32::try_from(days).unwrap_or(0);
            logs::set_retention(control, input.required("logGroupName")?, Some(days)).await.map_err(worded)?;
            Ok(Reply::Empty(StatusCode::OK))
        }
        "DeleteRetentionPolicy" => {
            logs::set_retention(control, input.required("logGroupName")?, None).await.map_err(worded)?;
            Ok(Reply::Empty(StatusCode::OK))
        }
        "CreateLogStream" => {
            let (group, stream) = (input.required("logGroupName")?, input.required("logStreamName")?);
            logs::create_stream(control, group, stream, now).await.map_err(worded)?;
            Ok(Reply::Empty(StatusCode::OK))
        }
        "DescribeLogStreams" => describe_streams(control, input).await,
        "PutLogEvents" => put_events(control, input, now).await,
        "GetLogEvents" => get_events(control, input, now).await,
        "FilterLogEvents" => filter_events(control, input, now).await,
        "TagResource" => {
            let (group, tags) = (tagged_group(control, input)?, input.text_map("tags")?.unwrap_or_default());
            logs::tag_group(control, &group, tags).await.map_err(worded)?;
            Ok(Reply::Empty(StatusCode::OK))
        }
        "UntagResource" => {
            let (group, keys) = (tagged_group(control, input)?, input.texts("tagKeys")?);
            logs::untag_group(control, &group, &keys).await.map_err(worded)?;
            Ok(Reply::Empty(StatusCode::OK))
        }
        "ListTagsForResource" => {
            let group = logs::group(control, &tagged_group(control, input)?).await.map_err(worded)?;
            Ok(Reply::Members(json!({"tags": group.tags})))
        }
        "ListTagsLogGroup" => {
            let group = logs::group(control, input.required("logGroupName")?).await.map_err(worded)?;
            Ok(Reply::Members(json!({"tags": group.tags})))
        }
        operation => Err(ServiceError::unknown_operation(operation)),
    }
}

fn required(name: &str) -> ServiceError {
    ServiceError::validation(format!("{name} is required"))
}

/// The service's names; JSON 1.1 knows no other status for a caller's mistake than 400.
fn worded(error: Error) -> ServiceError {
    let named = |code, message: String| ServiceError::new(code, StatusCode::BAD_REQUEST, message);
    match &error {
        Error::NotFound { kind, .. } => {
            named("ResourceNotFoundException", format!("The specified {kind} does not exist."))
        }
        Error::Exists { kind, .. } => {
            named("ResourceAlreadyExistsException", format!("The specified {kind} already exists"))
        }
        _ => ServiceError::from(error),
    }
}

/// The group named by `logGroupName`, or by name or ARN in `logGroupIdentifier`.
fn group_of(control: &Control, input: &Input) -> Result<String, ServiceError> {
    match (input.text("logGroupName")?, input.text("logGroupIdentifier")?) {
        (Some(name), None) => Ok(name.into()),
        (None, Some(identifier)) => Ok(logs::group_name(control, identifier)),
        (None, None) => Err(required("logGroupName")),
        (Some(_), Some(_)) => {
            Err(ServiceError::validation("only one of logGroupName and logGroupIdentifier may be given"))
        }
    }
}

fn tagged_group(control: &Control, input: &Input) -> Result<String, ServiceError> {
    Ok(logs::group_name(control, input.required("resourceArn")?))
}

fn time(input: &Input, name: &str) -> Result<Option<Timestamp>, ServiceError> {
    match input.integer(name)? {
        Some(ms) if ms < 0 => Err(ServiceError::validation(format!("{name} must not be negative"))),
        ms => Ok(ms.map(Timestamp)),
    }
}

/// Cuts a page out of items in order of `key`; a token is the key of the last item before it.
fn page<T>(input: &Input, items: Vec<T>, key: impl Fn(&T) -> String) -> Result<(Vec<T>, Option<String>), ServiceError> {
    let limit = input.integer("limit")?.unwrap_or(DESCRIBE_MAX);
    if !(1..=DESCRIBE_MAX).contains(&limit) {
        return Err(ServiceError::validation(format!("limit must be between 1 and {DESCRIBE_MAX}")));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let first = match input.text("nextToken")? {
        None => 0,
        Some(token) => match items.iter().position(|item| key(item) == token) {
            Some(last_before) => last_before + 1,
            None => return Err(ServiceError::validation("The specified nextToken is invalid.")),
        },
    };
    let mut items: Vec<T> = items.into_iter().skip(first).collect();
    let token = items.get(limit).map(|_| key(&items[limit - 1]));
    items.truncate(limit);
    Ok((items, token))
}

fn paged(name: &str, items: Vec<Value>, next_token: Option<String>) -> Reply {
    let mut members = Map::new();
    members.insert(name.into(), items.into());
    if let Some(token) = next_token {
        members.insert("nextToken".into(), token.into());
    }
    Reply::Members(Value::Object(members))
}

async fn describe_groups(control: &Control, input: &Input) -> Result<Reply, ServiceError> {
    let prefix = input.text("logGroupNamePrefix")?;
    let part = input.text("logGroupNamePattern")?;
    if prefix.is_some() && part.is_some() {
        return Err(ServiceError::validation("logGroupNamePrefix and logGroupNamePattern exclude one another"));
    }
    let wanted: Vec<String> =
        input.texts("logGroupIdentifiers")?.iter().map(|id| logs::group_name(control, id)).collect();
    let mut groups = logs::groups(control, prefix.unwrap_or_default()).await.map_err(worded)?;
    groups.retain(|group| part.is_none_or(|part| group.name.contains(part)));
    groups.retain(|group| wanted.is_empty() || wanted.contains(&group.name));
    let (groups, token) = page(input, groups, |group| group.name.clone())?;
    Ok(paged("logGroups", groups.iter().map(|group| group_members(control.realm(), group)).collect(), token))
}

fn group_members(realm: &Realm, group: &LogGroup) -> Value {
    let arn = realm.log_group_arn(&group.name);
    let mut members = json!({
        "logGroupName": group.name,
        "creationTime": group.created_at.0,
        "metricFilterCount": 0,
        "arn": format!("{arn}:*"),
        "logGroupClass": "STANDARD",
        "logGroupArn": arn,
    });
    if let Some(days) = group.retention_days {
        members["retentionInDays"] = days.into();
    }
    members
}

async fn describe_streams(control: &Control, input: &Input) -> Result<Reply, ServiceError> {
    let group = group_of(control, input)?;
    let prefix = input.text("logStreamNamePrefix")?;
    let by_time = match input.text("orderBy")? {
        None | Some("LogStreamName") => false,
        Some("LastEventTime") if prefix.is_some() => {
            return Err(ServiceError::validation("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        Some("LastEventTime") => true,
        Some(_) => return Err(ServiceError::validation("orderBy must be LogStreamName or LastEventTime")),
    };
    let mut streams = logs::streams(control, &group, prefix.unwrap_or_default()).await.map_err(worded)?;
    if by_time {
        streams.sort_by_key(|stream| stream.lines.map(|(_, last)| last));
    }
    if input.boolean("descending")? == Some(true) {
        streams.reverse();
    }
    let (streams, token) = page(input, streams, |stream| stream.name.clone())?;
    let realm = control.realm();
    Ok(paged("logStreams", streams.iter().map(|stream| stream_members(realm, &group, stream)).collect(), token))
}

fn stream_members(realm: &Realm, group: &str, stream: &LogStream) -> Value {
    let mut members = json!({
        "logStreamName": stream.name,
        "creationTime": stream.created_at.0,
        "arn": format!("{}:log-stream:{}", realm.log_group_arn(group), stream.name),
        // AWS has answered 0 since 2019, when it stopped to count for each stream.
        "storedBytes": 0,
    });
    if let Some((first, last)) = stream.lines {
        members["firstEventTimestamp"] = first.0.into();
        members["lastEventTimestamp"] = last.0.into();
        members["lastIngestionTime"] = last.0.into();
    }
    members
}

async fn put_events(control: &Control, input: &Input, now: Timestamp) -> Result<Reply, ServiceError> {
    let (group, stream) = (input.required("logGroupName")?, input.required("logStreamName")?);
    let event = |event: &Input| {
        let at = time(event, "timestamp")?.ok_or_else(|| required("timestamp"))?;
        Ok((at, event.required("message")?.to_owned()))
    };
    let events = input.structures("logEvents")?.iter().map(event).collect::<Result<_, ServiceError>>()?;
    let rejected = logs::put_events(control, group, stream, events, now).await.map_err(worded)?;
    let mut info = Map::new();
    let indices = [
        ("tooNewLogEventStartIndex", rejected.too_new_from),
        ("tooOldLogEventEndIndex", rejected.too_old_before),
        ("expiredLogEventEndIndex", rejected.expired_before),
    ];
    for (name, index) in indices {
        if let Some(index) = index {
            info.insert(name.into(), index.into());
        }
    }
    Ok(if info.is_empty() { Reply::none() } else { Reply::Members(json!({"rejectedLogEventsInfo": info})) })
}

/// Tokens of `GetLogEvents`: `f/NUMBER` goes forward after a line, `b/NUMBER` backward before one.
fn direction(token: &str) -> Option<Direction> {
    let (way, number) = token.split_once('/')?;
    let number = number.parse().ok()?;
    match way {
        "f" => Some(Direction::Forward(number)),
        "b" => Some(Direction::Backward(number)),
        _ => None,
    }
}

fn invalid_token() -> ServiceError {
    ServiceError::validation("The specified nextToken is invalid.")
}

fn events_limit(input: &Input) -> Result<u32, ServiceError> {
    let limit = input.integer("limit")?.unwrap_or(i64::from(logs::EVENTS_MAX));
    Ok(u32::try_from(limit).unwrap_or(0))
}

async fn get_events(control: &Control, input: &Input, now: Timestamp) -> Result<Reply, ServiceError> {
    let from_head = input.boolean("startFromHead")? == Some(true);
    let direction = match input.text("nextToken")? {
        Some(token) => Some(direction(token).ok_or_else(invalid_token)?),
        None if from_head => Some(Direction::Forward(0)),
        None => None,
    };
    let get = GetEvents {
        group: group_of(control, input)?,
        stream: input.required("logStreamName")?.into(),
        from: time(input, "startTime")?,
        to: time(input, "endTime")?,
        direction,
        limit: events_limit(input)?,
    };
    let page = logs::get_events(control, &get, now).await.map_err(worded)?;
    let events: Vec<Value> = page
        .lines
        .iter()
        .map(|(_, line)| json!({"timestamp": line.at.0, "message": line.message, "ingestionTime": line.at.0}))
        .collect();
    Ok(Reply::Members(json!({
        "events": events,
        "nextForwardToken": format!("f/{}", page.forward),
        "nextBackwardToken": format!("b/{}", page.backward),
    })))
}

async fn filter_events(control: &Control, input: &Input, now: Timestamp) -> Result<Reply, ServiceError> {
    let streams = input.texts("logStreamNames")?;
    let stream_prefix = input.text("logStreamNamePrefix")?.map(str::to_owned);
    if !streams.is_empty() && stream_prefix.is_some() {
        return Err(ServiceError::validation("logStreamNames and logStreamNamePrefix exclude one another"));
    }
    let pattern = FilterPattern::parse(input.text("filterPattern")?.unwrap_or_default())
        .map_err(|error| ServiceError::validation(error.to_string()))?;
    let after = match input.text("nextToken")? {
        None => 0,
        Some(token) => token.parse().map_err(|_| invalid_token())?,
    };
    let filter = FilterEvents {
        group: group_of(control, input)?,
        streams,
        stream_prefix,
        from: time(input, "startTime")?,
        // Unlike GetLogEvents' end this one is included (API reference, FilterLogEvents, endTime).
        to: time(input, "endTime")?.map(|to| to.plus_ms(1)),
        pattern,
        after,
        limit: events_limit(input)?,
    };
    let page = logs::filter_events(control, &filter, now).await.map_err(worded)?;
    let events: Vec<Value> = page
        .lines
        .iter()
        .map(|(number, line)| {
            json!({
                "logStreamName": line.stream,
                "timestamp": line.at.0,
                "message": line.message,
                "ingestionTime": line.at.0,
                // `aws logs tail` tells events apart by it.
                "eventId": format!("{number:056}"),
            })
        })
        .collect();
    let mut members = json!({"events": events, "searchedLogStreams": []});
    if let Some(next) = page.next {
        members["nextToken"] = next.to_string().into();
    }
    Ok(Reply::Members(members))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]
    use super::*;

    fn input(value: Value) -> Input {
        Input(value.as_object().unwrap().clone())
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended() {
        let items = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let cut = |members: Value, names: &[&str]| page(&input(members), items(names), Clone::clone);
        let (first, token) = cut(json!({"limit": 2}), &["a", "b", "c"]).unwrap();
        assert_eq!((first, token.as_deref()), (items(&["a", "b"]), Some("b")));
        let (rest, token) = cut(json!({"limit": 2, "nextToken": "b"}), &["a", "b", "c", "d"]).unwrap();
        assert_eq!((rest, token), (items(&["c", "d"]), None));
        assert!(cut(json!({"nextToken": "none"}), &["a"]).is_err());
        assert!(cut(json!({"limit": 51}), &["a"]).is_err());
        assert!(cut(json!({"limit": 0}), &["a"]).is_err());
    }

    #[test]
    fn tokens_say_which_way() {
        assert_eq!(direction("f/12"), Some(Direction::Forward(12)));
        assert_eq!(direction("b/0"), Some(Direction::Backward(0)));
        for token in ["", "12", "x/1", "f/", "f/-1"] {
            assert_eq!(direction(token), None, "{token}");
        }
    }

    #[test]
    fn shapes_have_their_members() {
        let realm = Realm::default();
        let group =
            LogGroup { name: "/g".into(), created_at: Timestamp(5), retention_days: Some(7), tags: Default::default() };
        let arn = "arn:aws:logs:us-east-1:000000000000:log-group:/g";
        assert_eq!(
            group_members(&realm, &group),
            json!({"logGroupName": "/g", "creationTime": 5, "metricFilterCount": 0, "arn": format!("{arn}:*"),
                   "logGroupClass": "STANDARD", "logGroupArn": arn, "retentionInDays": 7})
        );
        let lines = Some((Timestamp(6), Timestamp(7)));
        let stream = LogStream { name: "s".into(), created_at: Timestamp(5), lines };
        assert_eq!(
            stream_members(&realm, "/g", &stream),
            json!({"logStreamName": "s", "creationTime": 5, "arn": format!("{arn}:log-stream:s"), "storedBytes": 0,
                   "firstEventTimestamp": 6, "lastEventTimestamp": 7, "lastIngestionTime": 7})
        );
    }

    #[test]
    fn errors_have_the_service_models_names() {
        let name = |error| {
            let error =
                worded(error).named("ValidationException", "InvalidParameterException", StatusCode::BAD_REQUEST);
            (error.code.into_owned(), error.status.as_u16(), error.message)
        };
        let missing = name(Error::not_found("log group", "g"));
        assert_eq!(
            missing,
            ("ResourceNotFoundException".into(), 400, "The specified log group does not exist.".into())
        );
        let exists = name(Error::Exists { kind: "log stream", id: "s".into() });
        assert_eq!((exists.0.as_str(), exists.1), ("ResourceAlreadyExistsException", 400));
        assert_eq!(name(Error::invalid("x")), ("InvalidParameterException".into(), 400, "x".into()));
    }

    #[test]
    fn policies_are_asked_about_the_group_or_stream() {
        let resource = |operation: &str, members: Value| {
            access(&Realm::default(), operation, &input(members)).map(|access| access.resource)
        };
        let arn = "arn:aws:logs:us-east-1:000000000000:log-group:/g";
        let stream = json!({"logGroupName": "/g", "logStreamName": "s"});
        assert_eq!(resource("CreateLogStream", stream.clone()), Some(format!("{arn}:*")));
        assert_eq!(resource("PutLogEvents", stream), Some(format!("{arn}:log-stream:s")));
        let by_arn = json!({"logGroupIdentifier": format!("{arn}:*")});
        assert_eq!(resource("FilterLogEvents", by_arn), Some(format!("{arn}:*")));
        assert_eq!(resource("TagResource", json!({"resourceArn": arn})), Some(arn.into()));
        assert_eq!(resource("DescribeLogGroups", json!({})), None);
    }
}

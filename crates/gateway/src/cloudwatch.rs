//! CloudWatch: `monitoring` 2010-08-01, in the three protocols that its clients speak: CBOR, JSON 1.0 and query.
//!
//! | module | what stands there |
//! |---|---|
//! | `data` | GetMetricData |
//! | `math` | the text of an expression, read |
//! | `evaluate` | what an expression is |
//! | `search` | metrics by what their names and dimensions are |

mod data;
mod evaluate;
mod math;
mod search;
#[cfg(test)]
mod tests;

pub(crate) use data::worked_out;

use crate::{Access, Call, Gateway, Input, Reply, ServiceError};
use ::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use headwater_control::metrics::{Filter, MetricId, Period, Statistic, Summary};
use headwater_control::{Control, Error};
use headwater_model::{Realm, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Points in one answer of `GetMetricStatistics`.
const STATISTICS_POINTS_MAX: i64 = 1_440;
/// Metrics in a page of `ListMetrics`.
const PAGE: usize = 500;
/// Metrics in one `PutMetricData`.
const PUT_MAX: usize = 1_000;
/// Times that are taken, seconds since the Unix epoch: those that a text of ISO 8601 can say.
const SECONDS: RangeInclusive<f64> = -377_705_116_800.0..=253_402_300_799.0;
/// Values of a metric in one `PutMetricData`.
const VALUES_MAX: usize = 150;

/// The action of the operation's name; metrics have no ARNs.
pub(crate) fn access(_realm: &Realm, operation: &str, _input: &Input) -> Option<Access> {
    Some(Access { action: format!("cloudwatch:{operation}"), resource: "*".into() })
}

/// Answers one operation.
///
/// # Errors
/// As the service model says.
pub async fn call(gateway: &Gateway, call: Call) -> Result<Reply, ServiceError> {
    let control = gateway.control();
    let reply = match call.operation.as_str() {
        "GetMetricData" => data::metric_data(control, &call),
        "GetMetricStatistics" => metric_statistics(control, &call),
        "ListMetrics" => list_metrics(control, &call.input),
        "PutMetricData" => put_metric_data(control, &call),
        other => return Err(ServiceError::unknown_operation(other)),
    };
    reply.map_err(|error| error.named("ValidationException", INVALID, StatusCode::BAD_REQUEST))
}

const INVALID: &str = "InvalidParameterValue";

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::new(INVALID, StatusCode::BAD_REQUEST, message)
}

fn required<T>(value: Option<T>, name: &str) -> Result<T, ServiceError> {
    value.ok_or_else(|| {
        let message = format!("The parameter {name} is required.");
        ServiceError::new("MissingParameter", StatusCode::BAD_REQUEST, message)
    })
}

/// A time as this call's protocol writes it.
fn written(call: &Call, second: i64) -> Value {
    let is_query = call.header("smithy-protocol").is_none() && call.header("x-amz-target").is_none();
    if is_query { Timestamp(second * 1_000).iso_seconds().into() } else { second.into() }
}

/// A time in the input: seconds, or a text of ISO 8601.
fn seconds(input: &Input, name: &str) -> Result<Option<i64>, ServiceError> {
    let wrong = || invalid(format!("{name} must be a timestamp"));
    match input.value(name) {
        None => Ok(None),
        Some(Value::Number(number)) => {
            let seconds = number.as_f64().map(f64::floor).filter(|seconds| SECONDS.contains(seconds));
            seconds.map(|seconds| Some(seconds as i64)).ok_or_else(wrong)
        }
        Some(Value::String(text)) => {
            let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wrong())?;
            Ok(Some(time.unix_timestamp()))
        }
        Some(_) => Err(wrong()),
    }
}

fn metric(input: &Input) -> Result<MetricId, ServiceError> {
    let mut dimensions = BTreeMap::new();
    for dimension in input.structures("Dimensions")? {
        let name = required(dimension.text("Name")?, "Dimensions.Name")?;
        dimensions.insert(name.to_owned(), required(dimension.text("Value")?, "Dimensions.Value")?.to_owned());
    }
    Ok(MetricId {
        namespace: required(input.text("Namespace")?, "Namespace")?.to_owned(),
        name: required(input.text("MetricName")?, "MetricName")?.to_owned(),
        dimensions,
    })
}

fn period(input: &Input) -> Result<Period, ServiceError> {
    let seconds = required(input.integer("Period")?, "Period")?;
    Period::of_seconds(seconds)
        .ok_or_else(|| invalid("Period must be 1, 5, 10, 30 or a multiple of 60 seconds, up to a day"))
}

fn statistic(name: &str) -> Result<Statistic, ServiceError> {
    Statistic::named(name).ok_or_else(|| invalid(format!("the statistic {name} is not known here")))
}

fn span(input: &Input) -> Result<(i64, i64), ServiceError> {
    let start = required(seconds(input, "StartTime")?, "StartTime")?;
    let end = required(seconds(input, "EndTime")?, "EndTime")?;
    if start >= end {
        return Err(invalid("The parameter StartTime must be less than the parameter EndTime."));
    }
    Ok((start, end))
}

fn metric_statistics(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    let input = &call.input;
    let metric = metric(input)?;
    let (start, end) = span(input)?;
    let period = period(input)?;
    let names = input.texts("Statistics")?;
    let extended = input.texts("ExtendedStatistics")?;
    if names.is_empty() && extended.is_empty() {
        return Err(ServiceError::new(
            "MissingParameter",
            StatusCode::BAD_REQUEST,
            "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
        ));
    }
    if (end - start) / period.seconds() > STATISTICS_POINTS_MAX {
        return Err(ServiceError::new(
            "InvalidParameterCombination",
            StatusCode::BAD_REQUEST,
            format!(
                "You have requested more than {STATISTICS_POINTS_MAX} datapoints. Increase Period or reduce the time range."
            ),
        ));
    }
    let statistics = names.iter().map(|name| Ok((name, statistic(name)?))).collect::<Result<Vec<_>, ServiceError>>()?;
    let percentiles =
        extended.iter().map(|name| Ok((name, statistic(name)?))).collect::<Result<Vec<_>, ServiceError>>()?;
    let label = metric.name.clone();
    let (points, unit) = control.metrics().read(metric, input.text("Unit")?, start, end, period);
    let datapoints = points.iter().map(|point| {
        let mut members = Map::new();
        members.insert("Timestamp".into(), written(call, point.start_s));
        for (name, statistic) in &statistics {
            members.insert((*name).clone(), point.statistic(*statistic).into());
        }
        members.insert("Unit".into(), unit.clone().into());
        let told = percentiles
            .iter()
            .filter_map(|(name, statistic)| Some(((*name).clone(), point.statistic(*statistic)?.into())));
        let told: Map<String, Value> = told.collect();
        if !told.is_empty() {
            members.insert("ExtendedStatistics".into(), Value::Object(told));
        }
        Value::Object(members)
    });
    Ok(Reply::Members(json!({ "Label": label, "Datapoints": datapoints.collect::<Vec<_>>() })))
}

fn list_metrics(control: &Control, input: &Input) -> Result<Reply, ServiceError> {
    let mut filter = Filter {
        namespace: input.text("Namespace")?.map(String::from),
        name: input.text("MetricName")?.map(String::from),
        dimensions: Vec::new(),
    };
    for dimension in input.structures("Dimensions")? {
        let name = required(dimension.text("Name")?, "Dimensions.Name")?.to_owned();
        filter.dimensions.push((name, dimension.text("Value")?.map(String::from)));
    }
    let after = input.text("NextToken")?.map(from_token).transpose()?;
    let mut found = control.metrics().list(&filter, after.as_ref(), PAGE + 1);
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(to_token);
    let realm = control.realm();
    let metrics: Vec<Value> = found.iter().map(|id| listed(realm, id)).collect();
    Ok(Reply::Members(json!({ "Metrics": metrics, "NextToken": next })))
}

fn listed(realm: &Realm, id: &MetricId) -> Value {
    let dimension = |(name, value): (&String, &String)| {
        // IVS' documentation has the ARN for views and the bare id for the rest; both are understood in questions.
        let is_arn = id.name == "ConcurrentViews" && name == "Channel";
        let value = if is_arn { realm.ivs_arn("channel", value) } else { value.clone() };
        json!({ "Name": name, "Value": value })
    };
    let dimensions: Vec<Value> = id.dimensions.iter().map(dimension).collect();
    json!({ "Namespace": id.namespace, "MetricName": id.name, "Dimensions": dimensions })
}

fn to_token(id: &MetricId) -> String {
    BASE64.encode(json!([id.namespace, id.name, id.dimensions]).to_string())
}

fn from_token(token: &str) -> Result<MetricId, ServiceError> {
    let read = || {
        let bytes = BASE64.decode(token).ok()?;
        let (namespace, name, dimensions) = serde_json::from_slice(&bytes).ok()?;
        Some(MetricId { namespace, name, dimensions })
    };
    read().ok_or_else(|| {
        ServiceError::new("InvalidNextToken", StatusCode::BAD_REQUEST, "NextToken is not one that this operation gave")
    })
}

fn put_metric_data(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    let input = &call.input;
    let namespace = required(input.text("Namespace")?, "Namespace")?;
    let mut data = input.structures("MetricData")?;
    for entity in input.structures("EntityMetricData")? {
        data.extend(entity.structures("MetricData")?);
    }
    if data.len() > PUT_MAX {
        return Err(invalid(format!("MetricData may have {PUT_MAX} members")));
    }
    for datum in &data {
        let mut named = datum.clone();
        named.0.insert("Namespace".into(), namespace.into());
        let second = seconds(datum, "Timestamp")?.unwrap_or(call.now.0 / 1_000);
        let unit = datum.text("Unit")?.unwrap_or("None");
        for summary in summaries(datum)? {
            control.metrics().put(metric(&named)?, unit, second, summary).map_err(|error| match error {
                Error::QuotaExceeded { quota, limit } => {
                    ServiceError::new("LimitExceeded", StatusCode::BAD_REQUEST, format!("{quota}: {limit}"))
                }
                other => other.into(),
            })?;
        }
    }
    Ok(Reply::none())
}

/// What a caller measured, in one of three forms.
fn summaries(datum: &Input) -> Result<Vec<Summary>, ServiceError> {
    let finite = |value: &Value| {
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
        number.filter(|number| number.is_finite()).ok_or_else(|| invalid("a value must be a number"))
    };
    let forms = ["Value", "Values", "StatisticValues"].into_iter().filter(|name| datum.value(name).is_some());
    if forms.count() > 1 {
        let message = "a datum may have only one of Value, Values and StatisticValues";
        return Err(ServiceError::new("InvalidParameterCombination", StatusCode::BAD_REQUEST, message));
    }
    if let Some(set) = datum.structure("StatisticValues")? {
        let of = |name: &str| finite(required(set.value(name), name)?);
        let (count, sum, minimum, maximum) = (of("SampleCount")?, of("Sum")?, of("Minimum")?, of("Maximum")?);
        if count <= 0.0 {
            return Err(invalid("SampleCount must be greater than 0"));
        }
        return Ok(vec![Summary { count, sum, minimum, maximum }]);
    }
    if let Some(value) = datum.value("Value") {
        return Ok(vec![Summary::one(finite(value)?)]);
    }
    let (values, counts) = (datum.list("Values")?, datum.list("Counts")?);
    if values.is_empty() || values.len() > VALUES_MAX || !(counts.is_empty() || counts.len() == values.len()) {
        return Err(invalid("a datum must have Value, StatisticValues, or Values with as many Counts"));
    }
    let mut summaries = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let value = finite(value)?;
        let count = counts.get(at).map(finite).transpose()?.unwrap_or(1.0);
        summaries.push(Summary { count, sum: value * count, minimum: value, maximum: value });
    }
    Ok(summaries)
}

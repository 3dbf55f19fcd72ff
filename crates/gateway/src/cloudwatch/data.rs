//! `GetMetricData`: points of metrics, and metric math over them.
//!
//! Errors of expressions carry CloudWatch's code `ValidationError` and name the query, as there.

use super::evaluate::{self, Finder, Scope, Series, Value};
use super::math::{self, Expression};
use super::search;
use super::{invalid, metric, period, required, span, statistic, written};
use crate::{Call, Input, Reply, ServiceError};
use ::http::StatusCode;
use headwater_control::Control;
use headwater_control::metrics::{Filter, MetricId, Period, Point, Statistic};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Metrics and expressions in one call (its documentation).
const QUERIES_MAX: usize = 500;
/// Points in one answer.
const DATAPOINTS_MAX: usize = 100_800;
/// Period of a search that names none.
const SEARCH_PERIOD_S: i64 = 300;
/// Characters of an id (model `monitoring`, `MetricId`).
const ID_CHARACTERS_MAX: usize = 255;

/// A query that is looked at.
struct Query {
    id: String,
    label: Option<String>,
    is_returned: bool,
    /// `None` of a metric.
    expression: Option<Expression>,
}

fn wrong(message: impl Into<String>) -> ServiceError {
    ServiceError::new("ValidationError", StatusCode::BAD_REQUEST, message)
}

fn wrong_expression(id: &str, what: &str) -> ServiceError {
    wrong(format!("Error in expression '{id}': {what}"))
}

pub(super) fn metric_data(control: &Control, call: &Call) -> Result<Reply, ServiceError> {
    let input = &call.input;
    let asked = input.structures("MetricDataQueries")?;
    if asked.is_empty() || asked.len() > QUERIES_MAX {
        return Err(invalid(format!("MetricDataQueries must have 1 to {QUERIES_MAX} members")));
    }
    let span_s = span(input)?;
    let ascending = match input.text("ScanBy")? {
        None | Some("TimestampDescending") => false,
        Some("TimestampAscending") => true,
        Some(_) => return Err(invalid("ScanBy must be TimestampDescending or TimestampAscending")),
    };
    let limit = input.integer("MaxDatapoints")?.and_then(|limit| usize::try_from(limit).ok());
    let mut left = limit.unwrap_or(DATAPOINTS_MAX).min(DATAPOINTS_MAX);
    let mut queries: Vec<Query> = Vec::with_capacity(asked.len());
    let mut known = BTreeMap::new();
    for (place, member) in asked.iter().enumerate() {
        let query = query(member, place)?;
        if queries.iter().any(|other| other.id == query.id) {
            return Err(wrong("The values for parameter id in MetricDataQueries are not unique."));
        }
        if query.expression.is_none() {
            known.insert(query.id.clone(), Value::Series(series(control, member, span_s)?));
        }
        queries.push(query);
    }
    let search = |text: &str, statistic: &str, period_s: Option<i64>| found(control, text, statistic, period_s, span_s);
    evaluate_all(&queries, &mut known, span_s, &search)?;
    let mut results = Vec::new();
    for query in queries.iter().filter(|query| query.is_returned) {
        let (found, is_list) = match known.remove(&query.id) {
            Some(Value::Series(series)) => (vec![series], false),
            Some(Value::List(list)) => (list, true),
            _ => return Err(wrong_expression(&query.id, "the result is a number, it must be a time series")),
        };
        for one in found {
            let label = match (&query.label, is_list) {
                (Some(label), false) => label.clone(),
                (Some(label), true) => format!("{label} {}", one.label),
                (None, true) => one.label.clone(),
                (None, false) if query.expression.is_some() => query.id.clone(),
                (None, false) => one.label.clone(),
            };
            results.push(result(call, &query.id, &label, one.points, ascending, &mut left));
        }
    }
    Ok(Reply::Members(json!({ "MetricDataResults": results, "Messages": [] })))
}

fn query(member: &Input, place: usize) -> Result<Query, ServiceError> {
    let id = required(member.text("Id")?, "Id")?;
    let is_good = id.starts_with(|first: char| first.is_ascii_lowercase())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && id.len() <= ID_CHARACTERS_MAX;
    if !is_good {
        return Err(wrong(format!(
            "The value {id} for parameter MetricDataQueries.member.{}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.",
            place + 1
        )));
    }
    let (text, stat) = (member.text("Expression")?, member.value("MetricStat"));
    let expression = match (text, stat) {
        (Some(text), None) => Some(math::parse(text).map_err(|what| wrong_expression(id, &what))?),
        (None, Some(_)) => None,
        _ => return Err(wrong(format!("The query {id} must have either MetricStat or Expression."))),
    };
    Ok(Query {
        id: id.to_owned(),
        label: member.text("Label")?.map(String::from),
        is_returned: member.boolean("ReturnData")? != Some(false),
        expression,
    })
}

/// A metric's points.
fn series(control: &Control, member: &Input, (start_s, end_s): (i64, i64)) -> Result<Series, ServiceError> {
    let stat = required(member.structure("MetricStat")?, "MetricStat")?;
    let metric = metric(&required(stat.structure("Metric")?, "Metric")?)?;
    let statistic = statistic(required(stat.text("Stat")?, "Stat")?)?;
    let period = period(&stat)?;
    let label = member.text("Label")?.unwrap_or(&metric.name).to_owned();
    let (points, _) = control.metrics().read(metric, stat.text("Unit")?, start_s, end_s, period);
    let told = |point: &Point| Some((point.start_s, point.statistic(statistic)?));
    Ok(Series { label, period_s: period.seconds(), points: points.iter().filter_map(told).collect() })
}

/// What a search finds, each with its points.
fn found(
    control: &Control,
    text: &str,
    statistic: &str,
    period_s: Option<i64>,
    (start_s, end_s): (i64, i64),
) -> Result<Vec<Series>, String> {
    let search = search::parse(text)?;
    let statistic =
        Statistic::named(statistic).ok_or_else(|| format!("the statistic {statistic} is not known here"))?;
    let period = Period::of_seconds(period_s.unwrap_or(SEARCH_PERIOD_S)).ok_or("the period of the search is none")?;
    let filter = Filter {
        namespace: Some(search.namespace.clone()),
        name: None,
        dimensions: search.dimensions.iter().map(|name| (name.clone(), None)).collect(),
    };
    let all = control.metrics().list(&filter, None, usize::MAX);
    let found = all.into_iter().filter(|id| search.finds(id)).take(search::FOUND_MAX);
    let series = |id: MetricId| {
        let values = id.dimensions.values().cloned();
        let label = std::iter::once(id.name.clone()).chain(values).collect::<Vec<_>>().join(" ");
        let (points, _) = control.metrics().read(id, None, start_s, end_s, period);
        let told = |point: &Point| Some((point.start_s, point.statistic(statistic)?));
        Series { label, period_s: period.seconds(), points: points.iter().filter_map(told).collect() }
    };
    Ok(found.map(series).collect())
}

/// Expressions may name each other, in any order but not in a circle.
fn evaluate_all(
    queries: &[Query],
    known: &mut BTreeMap<String, Value>,
    span_s: (i64, i64),
    search: &Finder<'_>,
) -> Result<(), ServiceError> {
    let is_metric = |query: &&Query| query.expression.is_none();
    let metrics: Vec<String> = queries.iter().filter(is_metric).map(|query| query.id.clone()).collect();
    let mut open: Vec<(&str, &Expression, BTreeSet<&str>)> = Vec::new();
    for query in queries {
        if let Some(expression) = &query.expression {
            let mut names = BTreeSet::new();
            names_in(expression, &mut names);
            open.push((&query.id, expression, names));
        }
    }
    let mut work_left = evaluate::work();
    while !open.is_empty() {
        let ids: BTreeSet<&str> = open.iter().map(|(id, ..)| *id).collect();
        // What names no expression that is still open; a name of nothing at all is found by evaluating.
        let Some(ready) = open.iter().position(|(_, _, names)| names.is_disjoint(&ids)) else {
            let (id, ..) = open[0];
            return Err(wrong_expression(id, "it depends on itself"));
        };
        let (id, expression, _) = open.remove(ready);
        let mut scope = Scope { known, metrics: &metrics, span_s, work_left, search };
        let value = scope.evaluate(expression).map_err(|what| wrong_expression(id, &what))?;
        work_left = scope.work_left;
        known.insert(id.to_owned(), value);
    }
    Ok(())
}

/// Expressions over two metrics, for [`crate::doors`].
pub(crate) fn worked_out(expressions: &[&str]) -> Result<Vec<Vec<(i64, f64)>>, String> {
    const MINUTES: i64 = 30;
    let metric = |id: &str, every: i64| {
        let points = (0..MINUTES).filter(|minute| minute % every == 0).map(|minute| (60 * minute, minute as f64 - 3.0));
        Series { label: id.into(), period_s: 60, points: points.collect() }
    };
    let both = [metric("m1", 1), metric("m2", 2)];
    let query = |id: String, expression| Query { id, label: None, is_returned: true, expression };
    let mut queries: Vec<Query> = both.iter().map(|series| query(series.label.clone(), None)).collect();
    for (place, text) in expressions.iter().take(QUERIES_MAX).enumerate() {
        queries.push(query(format!("e{place}"), Some(math::parse(text)?)));
    }
    let found = |text: &str, statistic: &str, _: Option<i64>| {
        let search = search::parse(text)?;
        let id = MetricId::ivs("IngestBitrate", Some("abc"));
        let is_known = Statistic::named(statistic).is_some() && search.finds(&id);
        Ok(if is_known { both.to_vec() } else { Vec::new() })
    };
    let named = both.iter().map(|series| (series.label.clone(), Value::Series(series.clone())));
    let mut known: BTreeMap<String, Value> = named.collect();
    evaluate_all(&queries, &mut known, (0, 60 * MINUTES), &found).map_err(|error| error.message)?;
    let series = known.into_values().flat_map(|value| match value {
        Value::Series(series) => vec![series.points],
        Value::List(list) => list.into_iter().map(|series| series.points).collect(),
        Value::Scalar(_) | Value::Text(_) => Vec::new(),
    });
    Ok(series.collect())
}

fn names_in<'e>(mut expression: &'e Expression, names: &mut BTreeSet<&'e str>) {
    while let Expression::Two(_, left, right) = expression {
        names_in(right, names);
        expression = left;
    }
    match expression {
        Expression::Number(_) | Expression::Text(_) => {}
        Expression::Name(name) => {
            names.insert(name);
        }
        Expression::List(all) | Expression::Call(_, all) => all.iter().for_each(|one| names_in(one, names)),
        Expression::Negated(inner) => names_in(inner, names),
        // Taken apart above.
        Expression::Two(..) => {}
    }
}

fn result(
    call: &Call,
    id: &str,
    label: &str,
    mut points: Vec<(i64, f64)>,
    ascending: bool,
    left: &mut usize,
) -> serde_json::Value {
    if !ascending {
        points.reverse();
    }
    let status = if points.len() > *left { "PartialData" } else { "Complete" };
    points.truncate(*left);
    *left -= points.len();
    json!({
        "Id": id,
        "Label": label,
        "Timestamps": points.iter().map(|(second, _)| written(call, *second)).collect::<Vec<_>>(),
        "Values": points.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
        "StatusCode": status,
    })
}

#[cfg(test)]
mod tests;

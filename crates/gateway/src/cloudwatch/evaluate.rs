//! Metric math: what an expression is, over the points of queries.
//!
//! Source: CloudWatch, "Using math expressions with CloudWatch metrics", its table of functions. Left out, and refused by name:
//! `ANOMALY_DETECTION_BAND`, `DB_PERF_INSIGHTS`, `INSIGHT_RULE_METRIC`, `LAMBDA`, `SERVICE_QUOTA`, `SLICE`, `SORT`, `TIMESTAMP`
//! and the functions of the calendar.
//!
//! Where two series meet, only periods that both have are left; functions over a list take what there is in each period, so
//! `SUM([m1, m2])` has a point where `m1 + m2` has none. What has no finite result (a division by 0) has no point.

use super::math::{Expression, Operator};
use std::collections::BTreeMap;

/// Points that one call may touch, a bound on its time: 500 metrics of three hours at five seconds are a million.
const WORK_MAX: usize = 10_000_000;

/// What a search takes besides its points: it looks at every metric's name.
const SEARCH_WORK: usize = 20_000;

/// Points of one metric, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// For whoever looks at it.
    pub(super) label: String,
    pub(super) period_s: i64,
    pub(super) points: Vec<(i64, f64)>,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Scalar(f64),
    Series(Series),
    List(Vec<Series>),
    /// Of `FILL` and `METRICS`.
    Text(String),
}

/// Answers `SEARCH`: by the search, the statistic, and the period in seconds, if there is one.
pub(super) type Finder<'f> = dyn Fn(&str, &str, Option<i64>) -> Result<Vec<Series>, String> + 'f;

/// What expressions are evaluated over.
pub(super) struct Scope<'s> {
    /// Queries by their ids, in order, as far as they are known.
    pub(super) known: &'s BTreeMap<String, Value>,
    /// Ids of the queries that are metrics and no expressions, in order.
    pub(super) metrics: &'s [String],
    /// The time that is asked for: from the first second, before the last.
    pub(super) span_s: (i64, i64),
    /// Points that may still be touched.
    pub(super) work_left: usize,
    pub(super) search: &'s Finder<'s>,
}

/// The work of a call.
pub(super) const fn work() -> usize {
    WORK_MAX
}

impl Scope<'_> {
    /// Evaluates.
    ///
    /// # Errors
    /// What is wrong, in words for the expression's author.
    pub(super) fn evaluate(&mut self, expression: &Expression) -> Result<Value, String> {
        match expression {
            Expression::Number(number) => Ok(Value::Scalar(*number)),
            Expression::Text(text) => Ok(Value::Text(text.clone())),
            Expression::Name(name) => match self.known.get(name) {
                Some(value) => {
                    let value = value.clone();
                    self.work(&value)?;
                    Ok(value)
                }
                None if matches!(name.as_str(), "REPEAT" | "LINEAR") => Ok(Value::Text(name.clone())),
                None => Err(format!("Undefined Id {name}")),
            },
            Expression::List(all) => {
                let mut list = Vec::new();
                for one in all {
                    match self.evaluate(one)? {
                        Value::Series(series) => list.push(series),
                        Value::List(further) => list.extend(further),
                        Value::Scalar(_) | Value::Text(_) => return Err("a list may hold time series only".into()),
                    }
                }
                Ok(Value::List(list))
            }
            Expression::Negated(inner) => {
                let inner = self.evaluate(inner)?;
                self.each(inner, |value| -value)
            }
            // A sum of a thousand terms is a thousand deep on its left: nothing is called within itself for that.
            Expression::Two(operator, left, right) => {
                let (mut begins, mut rest) = (&**left, vec![(*operator, &**right)]);
                while let Expression::Two(operator, left, right) = begins {
                    begins = left;
                    rest.push((*operator, right));
                }
                let mut value = self.evaluate(begins)?;
                for (operator, right) in rest.into_iter().rev() {
                    let right = self.evaluate(right)?;
                    value = self.two(operator, value, right)?;
                }
                Ok(value)
            }
            Expression::Call(name, arguments) => {
                let arguments = arguments.iter().map(|one| self.evaluate(one)).collect::<Result<Vec<_>, _>>()?;
                self.call(name, arguments)
            }
        }
    }

    /// Takes its points from the work that is left.
    fn work(&mut self, value: &Value) -> Result<(), String> {
        let points = match value {
            Value::Series(series) => series.points.len(),
            Value::List(list) => list.iter().map(|series| series.points.len() + 1).sum(),
            Value::Scalar(_) | Value::Text(_) => 1,
        };
        self.work_left = self.work_left.checked_sub(points).ok_or("the expressions take too much work")?;
        Ok(())
    }

    /// One function for each value.
    fn each(&mut self, value: Value, of: impl Fn(f64) -> f64) -> Result<Value, String> {
        self.work(&value)?;
        let mapped = |series: Series| Series {
            points: finite(series.points.into_iter().map(|(at, value)| (at, of(value)))),
            ..series
        };
        Ok(match value {
            Value::Scalar(number) => Value::Scalar(of(number)),
            Value::Series(series) => Value::Series(mapped(series)),
            Value::List(list) => Value::List(list.into_iter().map(mapped).collect()),
            Value::Text(text) => return Err(format!("Unsupported operand: {text:?} is a text")),
        })
    }

    fn two(&mut self, operator: Operator, left: Value, right: Value) -> Result<Value, String> {
        let of = |left, right| apply(operator, left, right);
        self.work(&left)?;
        self.work(&right)?;
        Ok(match (left, right) {
            (Value::Scalar(left), Value::Scalar(right)) => Value::Scalar(of(left, right)),
            (left, Value::Scalar(right)) => return self.each(left, |left| of(left, right)),
            (Value::Scalar(left), right) => return self.each(right, |right| of(left, right)),
            (Value::Series(left), Value::Series(right)) => Value::Series(joined(&left, &right, of)),
            (Value::Series(left), Value::List(right)) => {
                self.work_left = self.work_left.saturating_sub(left.points.len() * right.len());
                Value::List(
                    right
                        .iter()
                        .map(|right| Series { label: right.label.clone(), ..joined(&left, right, of) })
                        .collect(),
                )
            }
            (Value::List(left), Value::Series(right)) => {
                self.work_left = self.work_left.saturating_sub(right.points.len() * left.len());
                Value::List(left.iter().map(|left| joined(left, &right, of)).collect())
            }
            (Value::List(_), Value::List(_)) => return Err("two lists of time series cannot be combined".into()),
            (Value::Text(text), _) | (_, Value::Text(text)) => {
                return Err(format!("Unsupported operand: {text:?} is a text"));
            }
        })
    }

    fn call(&mut self, name: &str, arguments: Vec<Value>) -> Result<Value, String> {
        arguments.iter().try_for_each(|argument| self.work(argument))?;
        let wrong = || format!("the arguments of {name} are of the wrong number or kind");
        let mut arguments = arguments.into_iter();
        let (first, second, third) = (arguments.next(), arguments.next(), arguments.next());
        if arguments.next().is_some() {
            return Err(wrong());
        }
        match (name, first, second, third) {
            ("METRICS", filter, None, None) => self.metrics_named(filter).ok_or_else(wrong),
            ("SEARCH", Some(Value::Text(text)), Some(Value::Text(statistic)), period) => {
                let period_s = match period {
                    None => None,
                    Some(Value::Scalar(seconds)) => Some(seconds as i64),
                    Some(_) => return Err(wrong()),
                };
                self.work_left = self.work_left.checked_sub(SEARCH_WORK).ok_or("the expressions take too much work")?;
                let found = Value::List((self.search)(&text, &statistic, period_s)?);
                self.work(&found)?;
                Ok(found)
            }
            ("IF", Some(condition), Some(then), otherwise) => self.either(condition, then, otherwise),
            ("FILL", Some(value), Some(with), None) => self.filled(value, &with),
            ("TIME_SERIES", Some(Value::Scalar(number)), None, None) => {
                let period_s = self.period_s();
                let points = self.periods(period_s)?.map(|at| (at, number)).collect();
                Ok(Value::Series(Series { label: name.into(), period_s, points }))
            }
            ("ABS", Some(value), None, None) => self.each(value, f64::abs),
            ("CEIL", Some(value), None, None) => self.each(value, f64::ceil),
            ("FLOOR", Some(value), None, None) => self.each(value, f64::floor),
            ("LOG", Some(value), None, None) => self.each(value, f64::ln),
            ("LOG10", Some(value), None, None) => self.each(value, f64::log10),
            ("PERIOD", Some(Value::Series(series)), None, None) => Ok(Value::Scalar(series.period_s as f64)),
            ("METRIC_COUNT", Some(Value::List(list)), None, None) => Ok(Value::Scalar(list.len() as f64)),
            ("FIRST", Some(Value::List(list)), None, None) => {
                list.into_iter().next().map(Value::Series).ok_or_else(wrong)
            }
            ("LAST", Some(Value::List(list)), None, None) => {
                list.into_iter().last().map(Value::Series).ok_or_else(wrong)
            }
            ("REMOVE_EMPTY", Some(Value::List(mut list)), None, None) => {
                list.retain(|series| !series.points.is_empty());
                Ok(Value::List(list))
            }
            ("DIFF" | "RATE" | "DIFF_TIME" | "RUNNING_SUM", Some(value), None, None) => match value {
                Value::Series(series) => Ok(Value::Series(along(name, &series))),
                Value::List(list) => Ok(Value::List(list.iter().map(|series| along(name, series)).collect())),
                Value::Scalar(_) | Value::Text(_) => Err(wrong()),
            },
            ("SUM" | "AVG" | "MAX" | "MIN" | "STDDEV" | "DATAPOINT_COUNT", Some(value), None, None) => {
                let of = |values: &[f64]| fold(name, values);
                match value {
                    Value::Series(series) => {
                        let values: Vec<f64> = series.points.iter().map(|(_, value)| *value).collect();
                        // Of nothing there is nothing to tell; a NaN leaves no point behind.
                        Ok(Value::Scalar(of(&values)))
                    }
                    Value::List(list) => Ok(Value::Series(across(name, &list, of))),
                    Value::Scalar(_) | Value::Text(_) => Err(wrong()),
                }
            }
            (known, ..) if FUNCTIONS.contains(&known) => Err(wrong()),
            (other, ..) => Err(format!("Unsupported function: {other}")),
        }
    }

    /// `METRICS()`: all metrics of the call; with a text, those with it in their ids.
    fn metrics_named(&mut self, filter: Option<Value>) -> Option<Value> {
        let part = match filter {
            None => String::new(),
            Some(Value::Text(part)) => part,
            Some(_) => return None,
        };
        let named = self.metrics.iter().filter(|id| id.contains(&part));
        let series = named.filter_map(|id| match self.known.get(id) {
            Some(Value::Series(series)) => Some(series.clone()),
            _ => None,
        });
        let list = Value::List(series.collect());
        self.work(&list).ok()?;
        Some(list)
    }

    /// `IF(condition, then, otherwise)`; without the last there is no point where the condition is 0.
    fn either(&mut self, condition: Value, then: Value, otherwise: Option<Value>) -> Result<Value, String> {
        let at = |value: &Value, at: i64| match value {
            Value::Scalar(number) => Ok(Some(*number)),
            Value::Series(series) => {
                Ok(series.points.binary_search_by_key(&at, |(at, _)| *at).ok().map(|place| series.points[place].1))
            }
            Value::List(_) | Value::Text(_) => Err("IF takes time series and numbers".to_owned()),
        };
        match condition {
            Value::Scalar(number) if number != 0.0 => Ok(then),
            Value::Scalar(_) => {
                otherwise.ok_or_else(|| "IF with a number as its condition needs three arguments".into())
            }
            Value::Series(condition) => {
                let mut points = Vec::with_capacity(condition.points.len());
                for (second, holds) in &condition.points {
                    let value = match (&otherwise, *holds != 0.0) {
                        (_, true) => at(&then, *second)?,
                        (Some(otherwise), false) => at(otherwise, *second)?,
                        (None, false) => None,
                    };
                    points.extend(value.map(|value| (*second, value)));
                }
                Ok(Value::Series(Series { points, ..condition }))
            }
            Value::List(_) | Value::Text(_) => Err("IF takes time series and numbers".into()),
        }
    }

    /// `FILL(series, number | REPEAT | LINEAR)`.
    fn filled(&mut self, value: Value, with: &Value) -> Result<Value, String> {
        match value {
            Value::Series(series) => Ok(Value::Series(self.filled_series(series, with)?)),
            Value::List(list) => {
                let filled = list.into_iter().map(|series| self.filled_series(series, with));
                Ok(Value::List(filled.collect::<Result<_, _>>()?))
            }
            Value::Scalar(_) | Value::Text(_) => Err("FILL takes time series".into()),
        }
    }

    fn filled_series(&mut self, series: Series, with: &Value) -> Result<Series, String> {
        let known: BTreeMap<i64, f64> = series.points.iter().copied().collect();
        let mut points = Vec::new();
        for at in self.periods(series.period_s)? {
            let value = known.get(&at).copied().or_else(|| match with {
                Value::Scalar(number) => Some(*number),
                Value::Text(how) if how == "REPEAT" => known.range(..at).next_back().map(|(_, value)| *value),
                _ => {
                    let (before, after) = (known.range(..at).next_back()?, known.range(at..).next()?);
                    let share = (at - before.0) as f64 / (after.0 - before.0) as f64;
                    Some(before.1 + (after.1 - before.1) * share)
                }
            });
            points.extend(value.map(|value| (at, value)));
        }
        match with {
            Value::Scalar(_) => Ok(Series { points, ..series }),
            Value::Text(how) if how == "REPEAT" || how == "LINEAR" => Ok(Series { points, ..series }),
            _ => Err("FILL takes a number, REPEAT or LINEAR".into()),
        }
    }

    /// The starts of all periods in the time that is asked for.
    fn periods(&mut self, period_s: i64) -> Result<impl Iterator<Item = i64> + use<>, String> {
        let (start, end) = self.span_s;
        let first = start.div_euclid(period_s) * period_s;
        let count = usize::try_from(end.saturating_sub(first) / period_s).unwrap_or(0);
        self.work_left = self.work_left.checked_sub(count).ok_or("the expressions take too much work")?;
        Ok((first..end).step_by(usize::try_from(period_s).unwrap_or(usize::MAX)))
    }

    /// The shortest period of the call's metrics; a minute if there are none.
    fn period_s(&self) -> i64 {
        let of = |value: &Value| if let Value::Series(series) = value { Some(series.period_s) } else { None };
        self.metrics.iter().filter_map(|id| of(self.known.get(id)?)).min().unwrap_or(60)
    }
}

/// Functions that are known here; with these the arguments are wrong.
const FUNCTIONS: [&str; 25] = [
    "ABS",
    "AVG",
    "CEIL",
    "DATAPOINT_COUNT",
    "DIFF",
    "DIFF_TIME",
    "FILL",
    "FIRST",
    "FLOOR",
    "IF",
    "LAST",
    "LOG",
    "LOG10",
    "MAX",
    "METRICS",
    "METRIC_COUNT",
    "MIN",
    "PERIOD",
    "RATE",
    "REMOVE_EMPTY",
    "RUNNING_SUM",
    "STDDEV",
    "SUM",
    "TIME_SERIES",
    "SEARCH",
];

fn apply(operator: Operator, left: f64, right: f64) -> f64 {
    let truth = |holds: bool| f64::from(u8::from(holds));
    match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Power => left.powf(right),
        Operator::Equal => truth(left == right),
        Operator::Unequal => truth(left != right),
        Operator::Less => truth(left < right),
        Operator::AtMost => truth(left <= right),
        Operator::Greater => truth(left > right),
        Operator::AtLeast => truth(left >= right),
        Operator::And => truth(left != 0.0 && right != 0.0),
        Operator::Or => truth(left != 0.0 || right != 0.0),
    }
}

fn finite(points: impl Iterator<Item = (i64, f64)>) -> Vec<(i64, f64)> {
    points.filter(|(_, value)| value.is_finite()).collect()
}

/// Periods that both have.
fn joined(left: &Series, right: &Series, of: impl Fn(f64, f64) -> f64) -> Series {
    let mut points = Vec::with_capacity(left.points.len().min(right.points.len()));
    let mut others = right.points.iter().peekable();
    for (at, value) in &left.points {
        while others.next_if(|(other, _)| other < at).is_some() {}
        if let Some((_, other)) = others.next_if(|(other, _)| other == at) {
            points.push((*at, of(*value, *other)));
        }
    }
    Series {
        label: left.label.clone(),
        period_s: left.period_s.max(right.period_s),
        points: finite(points.into_iter()),
    }
}

/// A function that looks at a series' points one after another.
fn along(name: &str, series: &Series) -> Series {
    let pairs = series.points.windows(2).filter_map(|pair| match pair {
        [before, now] => Some((*before, *now)),
        _ => None,
    });
    let points = match name {
        "DIFF" => finite(pairs.map(|(before, now)| (now.0, now.1 - before.1))),
        "RATE" => finite(pairs.map(|(before, now)| (now.0, (now.1 - before.1) / (now.0 - before.0) as f64))),
        "DIFF_TIME" => finite(pairs.map(|(before, now)| (now.0, (now.0 - before.0) as f64))),
        _ => {
            let mut sum = 0.0;
            finite(series.points.iter().map(|(at, value)| {
                sum += value;
                (*at, sum)
            }))
        }
    };
    Series { points, ..series.clone() }
}

/// A function over what there is of all series in each period.
fn across(name: &str, list: &[Series], of: impl Fn(&[f64]) -> f64) -> Series {
    let mut periods: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (at, value) in list.iter().flat_map(|series| &series.points) {
        periods.entry(*at).or_default().push(*value);
    }
    let points = finite(periods.iter().map(|(at, values)| (*at, of(values))));
    let period_s = list.iter().map(|series| series.period_s).max().unwrap_or(60);
    Series { label: name.into(), period_s, points }
}

fn fold(name: &str, values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    match name {
        "SUM" => sum,
        "MAX" => values.iter().copied().fold(f64::NAN, f64::max),
        "MIN" => values.iter().copied().fold(f64::NAN, f64::min),
        "DATAPOINT_COUNT" => count,
        "STDDEV" => {
            let mean = sum / count;
            (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
        }
        _ => sum / count,
    }
}

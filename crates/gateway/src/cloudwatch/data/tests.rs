//! Expressions over points, and what is refused.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn one(label: &str, points: &[(i64, f64)]) -> Value {
    Value::Series(Series { label: label.into(), period_s: 60, points: points.to_vec() })
}

/// `m1` has four minutes, `m2` three of them and a 0; four minutes are asked for.
fn evaluated(expressions: &[(&str, &str)]) -> Result<BTreeMap<String, Value>, String> {
    let mut known = BTreeMap::from([
        ("m1".to_owned(), one("one", &[(0, 1.0), (60, 2.0), (120, 3.0), (180, 6.0)])),
        ("m2".to_owned(), one("two", &[(0, 4.0), (60, 0.0), (180, 3.0)])),
    ]);
    let metric = |id: &str| Query { id: id.into(), label: None, is_returned: true, expression: None };
    let mut queries = vec![metric("m1"), metric("m2")];
    for (id, text) in expressions {
        queries.push(Query { expression: Some(math::parse(text)?), ..metric(id) });
    }
    evaluate_all(&queries, &mut known, (0, 240), &searched).map_err(|error| error.message.to_string())?;
    Ok(known)
}

/// A search for two finds two series.
fn searched(text: &str, statistic: &str, period_s: Option<i64>) -> Result<Vec<Series>, String> {
    assert_eq!((text, statistic), ("two", "Sum"));
    let series = |value| Series { label: "found".into(), period_s: period_s.unwrap_or(300), points: vec![(60, value)] };
    Ok(vec![series(1.0), series(2.0)])
}

fn points(text: &str) -> Vec<(i64, f64)> {
    match evaluated(&[("e1", text)]).unwrap().remove("e1").unwrap() {
        Value::Series(series) => series.points,
        other => panic!("{text} is {other:?}"),
    }
}

#[test]
fn arithmetic_is_of_the_periods_that_both_have() {
    assert_eq!(points("m1+m2"), [(0, 5.0), (60, 2.0), (180, 9.0)]);
    assert_eq!(points("m1/m2*100"), [(0, 25.0), (180, 200.0)], "a division by 0 has no point");
    assert_eq!(points("-(m1-1)^2"), [(0, -0.0), (60, -1.0), (120, -4.0), (180, -25.0)]);
    assert_eq!(points("100*(m1>2)"), [(0, 0.0), (60, 0.0), (120, 100.0), (180, 100.0)]);
}

#[test]
fn a_sum_of_as_many_numbers_as_fit_is_worked_out() {
    let sum = format!("m1{}", "+1".repeat((math::CHARACTERS_MAX - 2) / 2));
    assert_eq!(points(&sum)[0], (0, 1_024.0));
}

#[test]
fn functions_of_lists_take_what_there_is_in_each_period() {
    assert_eq!(points("SUM([m1,m2])"), [(0, 5.0), (60, 2.0), (120, 3.0), (180, 9.0)]);
    assert_eq!(points("SUM(METRICS())"), points("SUM([m1,m2])"));
    assert_eq!(points("AVG(METRICS(\"m\"))"), [(0, 2.5), (60, 1.0), (120, 3.0), (180, 4.5)]);
    assert_eq!(points("MAX([m1,m2])"), [(0, 4.0), (60, 2.0), (120, 3.0), (180, 6.0)]);
    assert_eq!(points("MIN([m1,m2])"), [(0, 1.0), (60, 0.0), (120, 3.0), (180, 3.0)]);
    assert_eq!(points("STDDEV([m1,m2])")[0], (0, 1.5));
}

#[test]
fn functions_of_one_series_are_numbers() {
    assert_eq!(points("m1*0+AVG(m1)"), [(0, 3.0), (60, 3.0), (120, 3.0), (180, 3.0)]);
    assert_eq!(points("m1*0+MAX(m1)-MIN(m1)")[0], (0, 5.0));
    assert_eq!(points("m1/PERIOD(m1)")[1], (60, 2.0 / 60.0));
    assert_eq!(points("m1*0+METRIC_COUNT(METRICS())+DATAPOINT_COUNT(m2)")[0], (0, 5.0));
    assert_eq!(points("RUNNING_SUM(m1)"), [(0, 1.0), (60, 3.0), (120, 6.0), (180, 12.0)]);
    assert_eq!(points("RATE(m1)"), [(60, 1.0 / 60.0), (120, 1.0 / 60.0), (180, 3.0 / 60.0)]);
    assert_eq!(points("CEIL(ABS(-m1/2))"), [(0, 1.0), (60, 1.0), (120, 2.0), (180, 3.0)]);
}

#[test]
fn gaps_are_filled_as_asked() {
    assert_eq!(points("FILL(m2,0)"), [(0, 4.0), (60, 0.0), (120, 0.0), (180, 3.0)]);
    assert_eq!(points("FILL(m2,REPEAT)"), points("FILL(m2,-0)"));
    assert_eq!(points("FILL(m2,LINEAR)"), [(0, 4.0), (60, 0.0), (120, 1.5), (180, 3.0)]);
    assert_eq!(points("m1+FILL(m2,10)")[2], (120, 13.0));
    assert_eq!(points("TIME_SERIES(7)"), [(0, 7.0), (60, 7.0), (120, 7.0), (180, 7.0)]);
    assert_eq!(points("SUM(SEARCH('two', 'Sum', 60))"), [(60, 3.0)]);
    assert_eq!(points("IF(m1>=3, m1, 0)"), [(0, 0.0), (60, 0.0), (120, 3.0), (180, 6.0)]);
    assert_eq!(points("IF(m1>1 AND m1<6, m1)"), [(60, 2.0), (120, 3.0)]);
}

#[test]
fn expressions_name_each_other_in_any_order() {
    let known = evaluated(&[("e1", "e2*2"), ("e2", "m1+1"), ("e3", "[e1,m2]")]).unwrap();
    let Some(Value::Series(first)) = known.get("e1") else { panic!("a series") };
    assert_eq!(first.points[0], (0, 4.0));
    assert!(matches!(known.get("e3"), Some(Value::List(list)) if list.len() == 2));
}

#[test]
fn what_cannot_be_is_refused_with_the_expression_s_name() {
    let refused = |text: &str| evaluated(&[("e1", text)]).unwrap_err();
    assert_eq!(refused("m3+1"), "Error in expression 'e1': Undefined Id m3");
    assert_eq!(
        refused("ANOMALY_DETECTION_BAND(m1)"),
        "Error in expression 'e1': Unsupported function: ANOMALY_DETECTION_BAND"
    );
    assert!(refused("SEARCH('two')").contains("arguments of SEARCH"));
    assert!(refused("SUM(m1,m2)").contains("arguments of SUM"));
    assert!(refused("m1+\"x\"").contains("is a text"));
    assert!(refused("[m1,2]").contains("time series only"));
    assert!(refused("FILL(m1,\"ZERO\")").contains("REPEAT"));
    let circle = evaluated(&[("e1", "e2"), ("e2", "e1")]).unwrap_err();
    assert_eq!(circle, "Error in expression 'e1': it depends on itself");
}

#[test]
fn work_is_bounded() {
    let many: Vec<(i64, f64)> = (0..10_800).map(|second| (second, 1.0)).collect();
    let known = BTreeMap::from([("m1".to_owned(), one("one", &many))]);
    let text = vec!["m1"; 600].join("+");
    let mut scope = Scope {
        known: &known,
        metrics: &["m1".to_owned()],
        span_s: (0, 10_800),
        work_left: evaluate::work(),
        search: &searched,
    };
    // 600 additions of 10,800 points are looked at as operands and as results.
    assert!(scope.evaluate(&math::parse(&text).unwrap()).is_err_and(|error| error.contains("too much work")));
    let mut scope = Scope { span_s: (0, i64::MAX), work_left: 1_000, ..scope };
    assert!(
        scope.evaluate(&math::parse("TIME_SERIES(1)").unwrap()).is_err_and(|error| error.contains("too much work"))
    );
}

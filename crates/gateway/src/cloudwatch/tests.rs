//! The forms of times and of what callers put.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn input(value: Value) -> Input {
    Input(value.as_object().unwrap().clone())
}

#[test]
fn times_are_seconds_or_iso_texts() {
    let of = |value: Value| seconds(&input(json!({ "T": value })), "T");
    assert_eq!(of(json!(1_795_498_200)).unwrap(), Some(1_795_498_200));
    assert_eq!(of(json!(1_795_498_200.9)).unwrap(), Some(1_795_498_200));
    assert_eq!(of(json!("2026-11-24T05:30:00Z")).unwrap(), Some(1_795_498_200));
    assert_eq!(of(json!("2026-11-24T06:30:00.5+01:00")).unwrap(), Some(1_795_498_200));
    assert_eq!(of(Value::Null).unwrap(), None);
    assert!(of(json!("yesterday")).is_err() && of(json!([1])).is_err());
    // A span between such times would not fit into seconds.
    assert!(of(json!(-1e300)).is_err() && of(json!(1e300)).is_err());
}

#[test]
fn a_datum_has_one_of_three_forms() {
    let of = |value: Value| summaries(&input(value));
    assert_eq!(of(json!({"Value": "2.5"})).unwrap(), [Summary::one(2.5)]);
    let set = json!({"StatisticValues": {"SampleCount": 2, "Sum": 5, "Minimum": 1, "Maximum": 4}});
    assert_eq!(of(set).unwrap(), [Summary { count: 2.0, sum: 5.0, minimum: 1.0, maximum: 4.0 }]);
    let counted = of(json!({"Values": [1, 2], "Counts": [3, 1]})).unwrap();
    assert_eq!(counted[0], Summary { count: 3.0, sum: 3.0, minimum: 1.0, maximum: 1.0 });
    for wrong in [
        json!({}),
        json!({"Value": "much"}),
        json!({"Values": [1, 2], "Counts": [1]}),
        json!({"StatisticValues": {"SampleCount": 0, "Sum": 5, "Minimum": 1, "Maximum": 4}}),
        json!({"StatisticValues": {"SampleCount": 1}}),
    ] {
        assert!(of(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn a_token_names_the_metric_that_was_told_last() {
    let id = MetricId::ivs("IngestBitrate", Some("abc"));
    assert_eq!(from_token(&to_token(&id)).unwrap(), id);
    assert_eq!(from_token("x").unwrap_err().code, "InvalidNextToken");
}

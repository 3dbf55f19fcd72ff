#![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn matches(pattern: Value, event: Value) -> bool {
    Pattern::parse(&pattern).unwrap().matches(&event)
}

/// A condition on the field `a`.
fn on_a(condition: Value) -> Value {
    json!({"a": [condition]})
}

#[track_caller]
fn check(condition: Value, yes: &[Value], no: &[Value]) {
    let pattern = Pattern::parse(&on_a(condition.clone())).unwrap();
    for value in yes {
        assert!(pattern.matches(&json!({"a": value})), "{condition} should match {value}");
    }
    for value in no {
        assert!(!pattern.matches(&json!({"a": value})), "{condition} should not match {value}");
    }
}

#[test]
fn the_rule_of_the_template_sees_stream_starts_of_its_source_only() {
    let pattern = json!({"source": ["aws.ivs"], "detail-type": ["IVS Stream State Change"],
                         "detail": {"event_name": ["Stream Start"]}});
    let event = |source: &str, name: &str| json!({"source": source, "detail-type": "IVS Stream State Change", "detail": {"event_name": name}});
    assert!(matches(pattern.clone(), event("aws.ivs", "Stream Start")));
    assert!(!matches(pattern.clone(), event("aws.ivs", "Stream End")));
    assert!(!matches(pattern, event("aws.s3", "Stream Start")));
}

#[test]
fn exact_values_have_their_type() {
    check(json!("1"), &[json!("1"), json!(["0", "1"])], &[json!(1), json!(null), json!("")]);
    check(json!(1), &[json!(1)], &[json!("1"), json!(1.0), json!(2)]);
    check(json!(1.5), &[json!(1.5)], &[json!(1)]);
    check(json!(true), &[json!(true)], &[json!("true"), json!(false)]);
    check(json!(null), &[json!(null)], &[json!(""), json!("null")]);
    check(json!(""), &[json!("")], &[json!(null), json!("x")]);
    check(json!("a"), &[], &[json!("A")]);
}

#[test]
fn a_missing_field_matches_absence_only() {
    for condition in [json!(null), json!({"anything-but": "x"}), json!({"exists": true}), json!({"prefix": ""})] {
        assert!(!matches(on_a(condition.clone()), json!({"b": 1})), "{condition}");
    }
    assert!(matches(on_a(json!({"exists": false})), json!({"b": 1})));
    assert!(!matches(on_a(json!({"exists": false})), json!({"a": null})));
}

#[test]
fn text_operators() {
    check(json!({"prefix": "us-"}), &[json!("us-east-1"), json!("us-")], &[json!("eu-us-"), json!("US-"), json!(5)]);
    check(json!({"suffix": ".png"}), &[json!("a.png")], &[json!("a.png.gz"), json!("a.PNG")]);
    check(json!({"equals-ignore-case": "ALice"}), &[json!("alicE")], &[json!("alicex"), json!("alic")]);
    check(json!({"prefix": {"equals-ignore-case": "EventB"}}), &[json!("EVENTBridge")], &[json!("even")]);
    check(json!({"suffix": {"equals-ignore-case": ".PnG"}}), &[json!("a.png")], &[json!("png")]);
    check(json!({"wildcard": "dir/*.png"}), &[json!("dir/a/b.png"), json!("dir/.png")], &[json!("dir.png")]);
    check(json!({"wildcard": "*a*"}), &[json!("a"), json!("bab")], &[json!("b")]);
    check(json!({"wildcard": "a*a"}), &[json!("aa")], &[json!("a")]);
}

#[test]
fn anything_but_in_all_forms() {
    check(json!({"anything-but": "x"}), &[json!("y"), json!(1), json!(null)], &[json!("x")]);
    check(json!({"anything-but": 5}), &[json!(4), json!("5")], &[json!(5)]);
    check(json!({"anything-but": ["x", "y"]}), &[json!("z")], &[json!("x"), json!("y")]);
    check(json!({"anything-but": [1, 2]}), &[json!(3)], &[json!(1), json!(2)]);
    check(json!({"anything-but": {"prefix": "x"}}), &[json!("yx"), json!(1)], &[json!("xy")]);
    check(json!({"anything-but": {"suffix": ["x", "y"]}}), &[json!("xz")], &[json!("zx"), json!("zy")]);
    check(json!({"anything-but": {"equals-ignore-case": ["A", "b"]}}), &[json!("c")], &[json!("a"), json!("B")]);
    check(json!({"anything-but": {"wildcard": "*/lib/*"}}), &[json!("a/b")], &[json!("a/lib/b")]);
    // Any element of an array that is something else will do.
    check(json!({"anything-but": "x"}), &[json!(["x", "y"])], &[json!(["x"]), json!([])]);
}

#[test]
fn numeric_ranges() {
    check(json!({"numeric": ["=", 5]}), &[json!(5), json!(5.0)], &[json!(4), json!("5")]);
    check(json!({"numeric": [">", 0, "<=", 5]}), &[json!(0.1), json!(5)], &[json!(0), json!(5.1), json!(-1)]);
    check(json!({"numeric": [">=", -1.5]}), &[json!(-1.5), json!(1e300)], &[json!(-2)]);
    check(json!({"numeric": ["<", 3]}), &[json!(2)], &[json!(3), json!(null), json!(true)]);
}

#[test]
fn address_blocks() {
    check(json!({"cidr": "10.0.0.0/24"}), &[json!("10.0.0.255")], &[json!("10.0.1.0"), json!("::a00:1"), json!("x")]);
    check(json!({"cidr": "0.0.0.0/0"}), &[json!("255.1.2.3")], &[json!("::1")]);
    check(json!({"cidr": "10.0.0.7/32"}), &[json!("10.0.0.7")], &[json!("10.0.0.6")]);
    check(json!({"cidr": "2001:db8::/32"}), &[json!("2001:db8:1::1")], &[json!("2001:db9::1"), json!("10.0.0.1")]);
}

#[test]
fn the_fields_of_one_object_hold_in_the_same_element() {
    let pattern = json!({"list": {"x": [1], "y": [2]}});
    assert!(matches(pattern.clone(), json!({"list": [{"x": 0, "y": 2}, {"x": 1, "y": 2}]})));
    assert!(!matches(pattern.clone(), json!({"list": [{"x": 1, "y": 0}, {"x": 0, "y": 2}]})));
    assert!(matches(pattern, json!({"list": [[{"x": [5, 1], "y": 2}]]})));
}

#[test]
fn absence_is_asked_of_the_whole_event() {
    let pattern = json!({"list": {"x": [{"exists": false}]}});
    assert!(!matches(pattern.clone(), json!({"list": [{"x": 1}, {"y": 1}]})));
    assert!(matches(pattern.clone(), json!({"list": [{"y": 1}]})));
    assert!(matches(pattern.clone(), json!({"list": 5})));
    assert!(matches(pattern.clone(), json!({})));
    // Only leaves exist.
    assert!(matches(pattern, json!({"list": {"x": {"deeper": 1}}})));
    assert!(matches(json!({"a": [{"exists": false}, "x"]}), json!({"a": "x"})));
    assert!(!matches(json!({"a": [{"exists": false}, "x"]}), json!({"a": "y"})));
    assert!(!matches(json!({"a": [{"exists": true}]}), json!({"a": {"b": 1}})));
}

#[test]
fn alternatives_stand_at_any_level() {
    let pattern = json!({"source": ["s"], "detail": {"$or": [{"a": [1]}, {"b": [{"exists": false}], "c": [2]}]}});
    assert!(matches(pattern.clone(), json!({"source": "s", "detail": {"a": 1, "b": 1}})));
    assert!(matches(pattern.clone(), json!({"source": "s", "detail": {"c": 2}})));
    assert!(!matches(pattern.clone(), json!({"source": "s", "detail": {"c": 2, "b": 1}})));
    assert!(!matches(pattern, json!({"source": "t", "detail": {"a": 1}})));
}

#[test]
fn a_mistake_is_told_with_its_place() {
    #[track_caller]
    fn told(pattern: Value, text: &str) {
        assert_eq!(Pattern::parse(&pattern).unwrap_err().to_string(), text, "{pattern}");
    }
    told(json!([]), "pattern: must be an object");
    told(json!({}), "pattern: must not be empty");
    told(json!({"source": "aws.ivs"}), "source: must be an object or an array of values");
    told(json!({"detail": {"x": []}}), "detail.x: must not be empty");
    told(json!({"detail": {}}), "detail: must not be empty");
    told(json!({"a": [["x"]]}), "a[0]: must be a string, a number, true, false, null or an object with one operator");
    told(json!({"a": ["x", {"prefix": "a", "suffix": "b"}]}), "a[1]: must have exactly one operator");
    told(json!({"a": [{}]}), "a[0]: must have exactly one operator");
    told(json!({"a": [{"like": "x"}]}), "a[0].like: operator \"like\" is not known");
    told(json!({"a": [{"prefix": 5}]}), "a[0].prefix: must be a string");
    told(json!({"a": [{"prefix": {"suffix": "x"}}]}), "a[0].prefix.suffix: operator \"suffix\" is not known");
    told(json!({"a": [{"exists": "yes"}]}), "a[0].exists: must be true or false");
    told(
        json!({"a": [{"cidr": "10.0.0.0/33"}]}),
        "a[0].cidr: \"10.0.0.0/33\" is not an address block such as 10.0.0.0/24 or 2001:db8::/32",
    );
    told(json!({"a": [{"wildcard": "**"}]}), "a[0].wildcard: must not have two * in a row");
    told(
        json!({"a": [{"anything-but": ["x", 5]}]}),
        "a[0].anything-but: must be a list of strings or a list of numbers",
    );
    told(
        json!({"a": [{"anything-but": {"numeric": ["=", 1]}}]}),
        "a[0].anything-but.numeric[0]: operator \"numeric\" is not known",
    );
    told(
        json!({"a": [{"numeric": ["=", 9_007_199_254_740_993_u64]}]}),
        "a[0].numeric: 9007199254740993 is beyond what can be compared exactly",
    );
    told(json!({"a": {"$or": [{"b": [1]}]}}), "a.$or: must be an array of at least two objects");
    told(json!({"$or": [{"b": [1]}, {"c": 1}]}), "$or[1].c: must be an object or an array of values");
    for numeric in [json!([]), json!([">"]), json!(["=", 1, "<", 2]), json!(["<", 2, ">", 1]), json!([">", 2, "<", 2])]
    {
        let error = Pattern::parse(&on_a(json!({"numeric": numeric}))).unwrap_err();
        assert_eq!((error.at.as_str(), error.problem), ("a[0].numeric", PatternProblem::Numeric), "{numeric}");
    }
}

#[test]
fn a_text_is_bounded_and_its_last_field_counts() {
    let (pattern, value) = Pattern::parse_text(r#"{"a": [1], "a": [2]}"#).unwrap();
    assert!(pattern.matches(&json!({"a": 2})) && !pattern.matches(&json!({"a": 1})));
    assert_eq!(value, json!({"a": [2]}));
    let long = format!("{{\"a\": [\"{}\"]}}", "x".repeat(Pattern::TEXT_CHARS_MAX));
    assert!(matches!(Pattern::parse_text(&long).unwrap_err().problem, PatternProblem::TooLong { .. }));
    assert!(matches!(Pattern::parse_text("{").unwrap_err().problem, PatternProblem::Syntax(_)));
    let deep = format!("{}[1]{}", "{\"a\":".repeat(70), "}".repeat(70));
    assert_eq!(Pattern::parse_text(&deep).unwrap_err().problem, PatternProblem::TooDeep);
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..3).prop_map(Value::from),
        (-3.0f64..3.0).prop_map(Value::from),
        "[ab]{0,3}".prop_map(Value::from),
    ]
}

/// Names are few, so that patterns meet events.
fn json() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[abc]|\\$or|prefix|numeric|exists|anything-but|cidr|wildcard", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The pattern that names every leaf of an event, or nothing if there is none.
fn exact_pattern(value: &Value) -> Option<Value> {
    let object = value.as_object()?;
    let fields: Map<String, Value> = object
        .iter()
        .filter(|(name, _)| *name != "$or")
        .filter_map(|(name, value)| {
            let leaves = leaves(Some(value));
            let pattern = match leaves.first() {
                Some(leaf) => Some(json!([leaf])),
                None => objects(Some(value)).iter().find_map(|o| exact_pattern(&Value::Object((*o).clone()))),
            };
            Some((name.clone(), pattern?))
        })
        .collect();
    (!fields.is_empty()).then_some(Value::Object(fields))
}

proptest! {
    #[test]
    fn no_json_makes_parsing_or_matching_panic(pattern in json(), event in json()) {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            pattern.matches(&event);
        }
    }

    #[test]
    fn an_event_matches_the_pattern_of_its_own_leaves(event in json()) {
        if let Some(pattern) = exact_pattern(&event) {
            prop_assert!(matches(pattern, event));
        }
    }

    #[test]
    fn anything_but_is_the_contrary_of_exact(value in scalar(), event in scalar()) {
        let exact = matches(on_a(value.clone()), json!({"a": event}));
        prop_assert_eq!(matches(on_a(json!({"anything-but": value})), json!({"a": event})), !exact);
    }

    #[test]
    fn presence_is_the_contrary_of_absence(event in json()) {
        let event = json!({"b": event});
        for pattern in [json!({"b": [0]}), json!({"b": {"a": [0]}}), json!({"b": {"a": {"c": [0]}}})] {
            let asking = |exists: bool| -> Value {
                serde_json::from_str(&pattern.to_string().replace('0', &json!({"exists": exists}).to_string())).unwrap()
            };
            prop_assert_ne!(matches(asking(true), event.clone()), matches(asking(false), event.clone()));
        }
    }

    #[test]
    fn or_is_one_of_both(one in scalar(), other in scalar(), event in json()) {
        let (one, other) = (json!({"a": [one]}), json!({"b": [other]}));
        let either = json!({"$or": [one, other]});
        let expected = [&one, &other].into_iter().any(|pattern| matches(pattern.clone(), event.clone()));
        prop_assert_eq!(matches(either, event), expected);
    }

    #[test]
    fn ranges_compare_as_numbers_do(lower in -50i32..50, width in 1i32..20, number in -60.0f64..60.0) {
        let (lower, upper) = (f64::from(lower), f64::from(lower + width));
        let pattern = on_a(json!({"numeric": [">=", lower, "<", upper]}));
        prop_assert_eq!(matches(pattern, json!({"a": number})), lower <= number && number < upper);
    }
}

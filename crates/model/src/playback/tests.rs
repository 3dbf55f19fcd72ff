//! Tokens' claims, origins, sizes.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const CHANNEL: &str = "arn:aws:ivs:us-east-1:000000000000:channel/AbCdef1G2hij";
const UUID: &str = "0e0b4a9c-6d8f-4a49-9f1e-0123456789ab";
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const NOW_S: i64 = 1_700_000_000;

fn claims(change: impl FnOnce(&mut Value)) -> Result<Claims, Refusal> {
    let mut json = json!({"aws:channel-arn": CHANNEL, "exp": NOW_S + 60});
    change(&mut json);
    Claims::parse(json)
}

fn admitted(change: impl FnOnce(&mut Value)) -> Result<(), Refusal> {
    claims(change)?.admit(CHANNEL, NOW)
}

#[test]
fn a_token_with_every_claim_is_understood() {
    let claims = claims(|json| {
        json["aws:access-control-allow-origin"] = json!("https://a.example, https://*.b.example");
        json["aws:strict-origin-enforcement"] = json!(true);
        json["aws:single-use-uuid"] = json!(UUID.to_uppercase());
        json["aws:viewer-id"] = json!("viewer");
        json["aws:viewer-session-version"] = json!(3);
        json["aws:maximum-resolution"] = json!("HD");
        json["aws:ads-opt-out"] = json!(true);
        json["iat"] = json!(NOW_S);
    })
    .unwrap();
    let expected = Claims {
        channel_arn: CHANNEL.into(),
        expires_at: Timestamp((NOW_S + 60) * 1000),
        origins: Origins::from_list(["https://a.example", "https://*.b.example"]),
        strict_origin: true,
        single_use: Some(UUID.into()),
        viewer: Some(Viewer { id: "viewer".into(), version: 3 }),
        maximum_resolution: Some(MaximumResolution::Hd),
    };
    assert_eq!(claims, expected);
}

#[test]
fn a_claim_of_a_wrong_form_is_refused() {
    let wrong: [(&str, Value); 12] = [
        ("aws:channel-arn", json!(7)),
        ("aws:channel-arn", Value::Null),
        ("exp", json!("1700000060")),
        ("exp", Value::Null),
        ("aws:access-control-allow-origin", json!(["https://a.example"])),
        ("aws:strict-origin-enforcement", json!("true")),
        ("aws:single-use-uuid", json!("once")),
        ("aws:viewer-id", json!("x".repeat(41))),
        ("aws:viewer-id", json!("")),
        ("aws:viewer-session-version", json!(1.5)),
        ("aws:maximum-resolution", json!("UHD")),
        ("aws:maximum-resolution", json!(720)),
    ];
    for (name, value) in wrong {
        assert!(claims(|json| json[name] = value.clone()).is_err(), "{name} {value}");
    }
    let six = (0..6).map(|n| format!("https://{n}.example")).collect::<Vec<_>>().join(",");
    let strict = |json: &mut Value| {
        json["aws:access-control-allow-origin"] = json!(six);
        json["aws:strict-origin-enforcement"] = json!(true);
    };
    assert_eq!(claims(strict), Err(Refusal::Claim("aws:access-control-allow-origin")));
    for other in [json!([]), json!([CHANNEL, NOW_S]), json!({}), Value::Null, json!("x"), json!(1)] {
        assert!(Claims::parse(other.clone()).is_err(), "{other}");
    }
}

#[test]
fn the_end_may_be_far_ahead_in_milliseconds_unless_the_token_is_short_lived() {
    assert_eq!(admitted(|json| json["exp"] = json!(NOW.0 + 60_000)), Ok(()));
    assert_eq!(admitted(|json| json["exp"] = json!(i64::MAX)), Ok(()));
    assert_eq!(admitted(|json| json["exp"] = json!(NOW_S)), Err(Refusal::Expired));
    assert_eq!(admitted(|json| json["exp"] = json!(NOW_S as f64 + 0.5)), Ok(()));
    assert_eq!(admitted(|json| json["exp"] = json!(-1e300)), Err(Refusal::Expired));
    for (name, value) in [("aws:viewer-id", "v"), ("aws:single-use-uuid", UUID)] {
        let with_end = |end: i64| {
            admitted(|json| {
                json[name] = json!(value);
                json["exp"] = json!(end);
            })
        };
        assert_eq!(with_end(NOW_S + 600), Ok(()), "{name}");
        assert_eq!(with_end(NOW_S + 601), Err(Refusal::TooFarAhead), "{name}");
        assert_eq!(with_end(NOW_S + 3600), Err(Refusal::TooFarAhead), "{name}");
    }
}

#[test]
fn a_token_is_for_its_channel() {
    let claims = claims(|_| {}).unwrap();
    assert_eq!(claims.admit(&CHANNEL.replace('A', "B"), NOW), Err(Refusal::OtherChannel));
    assert_eq!(claims.admit("", NOW), Err(Refusal::OtherChannel));
}

#[test]
fn origins_match_whole_or_below_a_star() {
    let origins = Origins::parse("https://a.example, http://*.b.example:8080 ,HTTPS://C.example:443");
    for good in [
        "https://a.example",
        "https://A.EXAMPLE:443",
        "http://x.b.example:8080",
        "http://x.y.b.example:8080",
        "https://c.example",
    ] {
        assert!(origins.allow(good), "{good}");
    }
    for bad in [
        "http://a.example",
        "https://a.example:8443",
        "https://a.example.evil",
        "https://evil-a.example",
        "http://b.example:8080",
        "http://.b.example:8080x",
        "http://evilb.example:8080",
        "http://x.b.example",
        "null",
        "",
    ] {
        assert!(!origins.allow(bad), "{bad}");
    }
    assert!(Origins::parse("").allow("https://any.example") && Origins::parse("*").allow("null"));
    assert_eq!(Origins::parse("*").admit(None), Err(Refusal::Origin));
    assert_eq!(Origins::parse("https://a.example").admit(Some("https://a.example")), Ok(()));
}

#[test]
fn sizes_go_by_pixels_and_the_longer_edge() {
    use MaximumResolution::{FullHd, Hd, Sd};
    for (class, width, height, within) in [
        (Sd, 852, 480, true),
        (Sd, 480, 852, true),
        (Sd, 1280, 720, false),
        (Sd, 900, 100, false),
        (Hd, 1280, 720, true),
        (Hd, 720, 1280, true),
        (Hd, 1920, 1080, false),
        (FullHd, 1080, 1920, true),
        (FullHd, 3840, 2160, false),
        (FullHd, u32::MAX, u32::MAX, false),
    ] {
        assert_eq!(is_within(class, width, height), within, "{class:?} {width}x{height}");
    }
}

/// Any JSON, often with members that claims have.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,50}".prop_map(Value::from),
        Just(json!(CHANNEL)),
        Just(json!(UUID)),
    ];
    let name = prop_oneof![
        Just("aws:channel-arn"),
        Just("exp"),
        Just("aws:access-control-allow-origin"),
        Just("aws:strict-origin-enforcement"),
        Just("aws:single-use-uuid"),
        Just("aws:viewer-id"),
        Just("aws:viewer-session-version"),
        Just("aws:maximum-resolution"),
    ];
    prop::collection::btree_map(name, leaf, 0..9).prop_map(|members| json!(members))
}

proptest! {
    #[test]
    fn whatever_is_let_in_is_for_the_channel_in_time_and_within_bounds(json in anything(), now in any::<i64>()) {
        let now = Timestamp(now);
        if let Ok(claims) = Claims::parse(json.clone())
            && claims.admit(CHANNEL, now).is_ok()
        {
            prop_assert_eq!(&json["aws:channel-arn"], CHANNEL);
            prop_assert!(claims.expires_at > now);
            if claims.viewer.is_some() || claims.single_use.is_some() {
                prop_assert!(i128::from(claims.expires_at.0) - i128::from(now.0) <= i128::from(EXPIRY_AHEAD_MS_MAX));
            }
            prop_assert!(!claims.strict_origin || claims.origins.len() <= STRICT_ORIGINS_MAX);
            prop_assert!(claims.viewer.is_none_or(|viewer| (1..=40).contains(&viewer.id.chars().count()) && viewer.version >= 0));
        }
    }

    #[test]
    fn a_token_is_good_exactly_until_its_end(end in 1i64..4_000_000_000, now in 0i64..4_000_000_000_000) {
        let claims = claims(|json| json["exp"] = json!(end)).unwrap();
        prop_assert_eq!(claims.admit(CHANNEL, Timestamp(now)).is_ok(), now < end * 1000);
    }

    #[test]
    fn an_origin_of_another_domain_never_matches(host in "[a-z]{1,8}(\\.[a-z]{1,8}){0,3}") {
        let origins = Origins::parse("https://*.good.example,https://good.example");
        let expected = host == "good.example" || host.ends_with(".good.example");
        let allowed = origins.allow(&format!("https://{}", host));
        prop_assert_eq!(allowed, expected);
    }

    #[test]
    fn no_text_panics(text in ".{0,80}", other in ".{0,80}") {
        let _ = Origins::parse(&text).allow(&other);
    }
}

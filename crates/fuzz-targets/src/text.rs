//! Queries, headers, bodies, signatures, templates, patterns, policies. Bytes that are no text are read as far as they are one.

use headwater_model::{Realm, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// When all of it happens.
const NOW: Timestamp = Timestamp(1_795_498_182_000);

/// Headers of an input's lines, `name: value`.
fn headers<'a>(lines: impl Iterator<Item = &'a str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value.trim())) {
            headers.append(name, value);
        }
    }
    headers
}

fn text(input: &[u8]) -> &str {
    match std::str::from_utf8(input) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&input[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// The query of a media playlist: what was read reads the same when it is written the usual way.
pub fn playlist_query(input: &[u8]) {
    use headwater_edge::query::{self, Directives};
    if let Ok(directives) = Directives::parse(text(input)) {
        let mut usual = String::new();
        if let Some(wait_for) = directives.wait_for {
            usual += &format!("_HLS_msn={}", wait_for.msn);
            usual += &wait_for.part.map(|part| format!("&_HLS_part={part}")).unwrap_or_default();
        }
        if directives.delta == headwater_hls::Delta::Skip {
            usual += "&_HLS_skip=YES";
        }
        assert_eq!(Directives::parse(&usual), Ok(directives));
    }
    let _ = query::sound_alone(text(input));
}

/// The form of a query-protocol operation, with nested members: read or refused, and no deeper than its bound.
pub fn form(input: &[u8]) {
    if let Ok(members) = headwater_gateway::query::members(form_urlencoded::parse(input).into_owned()) {
        let depth = depth(&Value::Object(members));
        assert!(depth <= 20, "{depth} deep");
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// What a viewer's request says: directives and measurements in its query (the first line), a file's name (the second), ranges and measurements
/// in its headers (the others, `name: value`).
pub fn viewer_request(input: &[u8]) {
    use headwater_edge::doors;
    let mut lines = text(input).lines();
    let (query, file) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let headers = headers(lines);
    for (measures, latency_ms) in doors::told(query, &headers, file, NOW) {
        assert!(latency_ms.is_none() || measures);
    }
    for length in [0, 1, 100, u64::MAX] {
        if let Some((start, end)) = doors::wanted(&headers, length) {
            assert!((start < end || length == 0) && end <= length, "{start} to {end} of {length}");
        }
    }
    let _ = doors::is_resource(file);
    playlist_query(query.as_bytes());
}

/// A playback token: as it comes, and its claims (the first line, JSON) with the origin of a page (the second).
pub fn playback_token(input: &[u8]) {
    use headwater_model::playback::Claims;
    let text = text(input);
    assert!(headwater_edge::doors::token(text).is_err(), "nobody has signed it");
    let (claims, origin) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(claims) = serde_json::from_str(claims) else { return };
    if let Ok(claims) = Claims::parse(claims) {
        let _ = claims.admit("arn:aws:ivs:us-east-1:000000000000:channel/abc", NOW);
        assert_eq!(claims.origins.allow(origin), claims.origins.admit(Some(origin)).is_ok());
    }
}

/// What a request for an object says in its headers (`name: value`), and its host (the first line): ranges lie within the object.
pub fn object_request(input: &[u8]) {
    use headwater_model::bucket::Object;
    use headwater_sites::conditions::{ByteRange, Conditions, http_date, parse_http_date};
    let mut lines = text(input).lines();
    let host = lines.next().unwrap_or_default();
    if let Some(bucket) = headwater_sites::s3::bucket_of_host(host) {
        assert!(!bucket.is_empty() && host.starts_with(bucket));
    }
    let headers = headers(lines);
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    for size in [0, 1, 1_000, u64::MAX] {
        if let Some(Ok(range)) = value("range").and_then(ByteRange::parse).map(|range| range.within(size)) {
            assert!(range.start < range.end && range.end <= size, "{range:?} of {size}");
        }
    }
    let date = |name: &str| value(name).and_then(parse_http_date);
    if let Some(seconds) = date("if-modified-since") {
        let written = http_date(Timestamp(seconds.saturating_mul(1_000)));
        assert_eq!(parse_http_date(&written), Some(seconds), "{written}");
    }
    let conditions = Conditions {
        if_match: value("if-match").map(str::to_owned),
        if_none_match: value("if-none-match").map(str::to_owned),
        if_modified_since: date("if-modified-since"),
        if_unmodified_since: date("if-unmodified-since"),
    };
    let object = Object {
        bucket: "bucket".into(),
        key: "key".into(),
        blob: "blob".into(),
        size: 1_000,
        etag: "d41d8cd98f00b204e9800998ecf8427e".into(),
        content_type: "text/html".into(),
        headers: Default::default(),
        metadata: Default::default(),
        last_modified: NOW,
    };
    assert_eq!(conditions.judge(&object), conditions.judge(&object));
    let _ = conditions.allow_write("bucket", "key", Some(&object));
}

/// A CBOR body: what was read and is written again reads the same, but for what is null.
pub fn cbor(input: &[u8]) {
    use headwater_gateway::doors;
    let Some((members, written)) = doors::cbor(input) else { return };
    let depth = depth(&Value::Object(members));
    assert!(depth <= 20, "{depth} deep");
    let (again, rewritten) = doors::cbor(&written).expect("what we write can be read");
    assert_eq!(rewritten, written, "{again:?}");
}

/// A body in signed or unsigned chunks: read or refused, never longer than it came, and never good without its signatures.
pub fn chunked_body(input: &[u8]) {
    let [unsigned, signed, with_trailer] = headwater_gateway::doors::chunked(input);
    assert!(unsigned.is_none_or(|payload| payload.len() < input.len()));
    assert_eq!((signed, with_trailer), (None, None));
}

/// Expressions of metric math, one a line, that may name each other: worked out or refused; points are finite and in order.
pub fn metric_math(input: &[u8]) {
    let expressions: Vec<&str> = text(input).lines().take(8).collect();
    for points in headwater_gateway::doors::metric_math(&expressions).unwrap_or_default() {
        assert!(points.is_sorted_by(|before, after| before.0 < after.0), "{points:?}");
        assert!(points.iter().all(|(_, value)| value.is_finite()), "{points:?}");
    }
}

/// A filter pattern of logs (the first line) and a message: what it finds has its terms.
pub fn log_filter(input: &[u8]) {
    use headwater_control::logs::FilterPattern;
    let text = text(input);
    let (pattern, message) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(pattern) = FilterPattern::parse(pattern) {
        assert_eq!(pattern.matches(message), pattern.clone().matches(message));
    }
}

/// A policy, as each kind that there is, and requests that it is asked about.
pub fn policy(input: &[u8]) {
    use headwater_model::iam::Principal;
    use headwater_model::policy::{Context, Policy, Request, evaluate};
    let Ok(document) = serde_json::from_str(text(input)) else { return };
    let context = Context::new()
        .at(NOW)
        .with("aws:SourceIp", "10.0.0.1")
        .with("aws:username", "a*b")
        .with("aws:PrincipalTag/team", "red")
        .with("s3:prefix", "home/a*b/")
        .with("aws:TagKeys", "one")
        .with("aws:TagKeys", "two");
    let user = Principal::User { user: "a*b".into() };
    for read in
        [Policy::parse(&document), Policy::parse_resource_policy(&document), Policy::parse_trust_policy(&document)]
    {
        let Ok(policy) = read else { continue };
        for principal in [&user, &Principal::Anonymous] {
            let (action, resource) = ("s3:GetObject", "arn:aws:s3:::bucket/home/a*b/x");
            let request = Request { principal, account: "000000000000", action, resource, context: &context };
            let decision = evaluate([&policy], &request);
            assert_eq!(decision, evaluate([&policy, &policy], &request), "said twice it is the same");
        }
        let _ = policy.is_public();
    }
}

/// A signature in a query (the first line) or in headers (the others, `name: value`): read or refused, and never good.
pub fn signature(input: &[u8]) {
    use headwater_gateway::sigv4;
    use headwater_model::iam::AccessKey;
    let mut lines = text(input).lines();
    let query = lines.next().unwrap_or_default();
    let headers = headers(lines);
    let Ok(Some(presented)) = sigv4::presented(&headers, query) else { return };
    assert!(presented.signed_headers.iter().any(|name| name == "host"));
    assert!(!presented.access_key_id.is_empty());
    let key: AccessKey = serde_json::from_value(json!({
        "access_key_id": presented.access_key_id, "secret_access_key": "secret", "session_token": null,
        "expires_at": null, "principal": "Root",
    }))
    .expect("a key");
    let target = sigv4::Target { method: "POST", path: "/a/../b%2F//c", query, headers: &headers, host: "localhost" };
    assert!(sigv4::verify(&presented, target, &bytes::Bytes::from_static(b"{}"), &key, NOW).is_err());
}

/// Templates in JSON and YAML, all their way to a plan: planned, or refused with each problem named.
pub fn template(input: &[u8]) {
    if let Err(error) = headwater_stacks::doors::plan(text(input)) {
        assert!(!error.problems.is_empty() && !error.to_string().is_empty());
    }
}

/// A template, values of its parameters (`name=value`, a line each), a changed template and values of its parameters, with a record separator
/// between any two; what is left out is as before. Nothing is planned for what stands already, what is sure is done, what is done was planned, and
/// after that nothing is planned again.
pub fn template_update(input: &[u8]) {
    use headwater_stacks::doors::{Update, Version, update};
    use headwater_stacks::plan::{Action, Certainty};
    use headwater_stacks::template::limits::RESOURCES_MAX;
    let mut parts = text(input).split('\u{1e}');
    let mut version = |template| Version {
        template: parts.next().filter(|part| !part.is_empty()).unwrap_or(template),
        given: parts
            .next()
            .into_iter()
            .flat_map(str::lines)
            .filter_map(|line| line.split_once('='))
            .map(owned)
            .collect(),
    };
    let former = version("");
    let next = version(former.template);
    let Update { same, planned, done, after } = match update(&former, &next) {
        Ok(update) => update,
        Err(error) => {
            assert!(!error.problems.is_empty() && !error.to_string().is_empty());
            return;
        }
    };
    assert!(same.changes.is_empty(), "nothing has changed: {same:?}");
    assert!(after.changes.is_empty(), "all is done: {after:?}");
    if (former.template, &former.given) == (next.template, &next.given) {
        assert!(planned.changes.is_empty() && done.is_empty(), "{planned:?} {done:?}");
    }
    assert!(planned.changes.len() <= 2 * RESOURCES_MAX);
    for change in planned.changes.iter().filter(|change| change.certainty == Certainty::Certain) {
        assert_eq!(done.get(&change.logical_id), Some(&change.action), "{change:?}");
    }
    for (logical_id, action) in &done {
        let change = planned.changes.iter().find(|change| change.logical_id == *logical_id);
        let told = change.is_some_and(|change| {
            // What may turn out to be another one may turn out to be a change.
            change.action == *action || (change.action, *action) == (Action::Replace, Action::Modify)
        });
        assert!(told, "{logical_id}: {action:?} is done, planned was {change:?}");
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn event(detail: Value) -> headwater_model::event::Event {
    headwater_model::event::Event {
        id: "x".into(),
        source: "aws.ivs".into(),
        detail_type: "IVS Stream State Change".into(),
        time: NOW,
        resources: vec!["arn:aws:ivs:us-east-1:0:channel/a".into()],
        detail,
    }
}

/// Event patterns (the first line) and an event's detail (the others): read or refused, and the same event gives the same answer.
pub fn event_pattern(input: &[u8]) {
    let text = text(input);
    let (pattern, detail) = text.split_once('\n').unwrap_or((text, ""));
    let Ok((pattern, _)) = headwater_bus::Pattern::parse_text(pattern) else { return };
    let usual = json!({
        "event_name": "Stream Start", "n": 1.5, "list": [1, "a", null, true, [{"b": 2}]], "none": null, "ip": "10.0.0.1",
    });
    for detail in [Some(usual), serde_json::from_str(detail).ok()].into_iter().flatten() {
        let envelope = event(detail).envelope(&Realm::default());
        assert_eq!(pattern.matches(&envelope), pattern.matches(&envelope));
    }
}

/// A rule's template (the last line) with its paths (the lines before, `name path`), or a path alone: what passes the check can be filled, and the
/// result is bounded.
pub fn target_input(input: &[u8]) {
    use headwater_bus::input::{INPUT_CHARS_MAX, RENDERED_BYTES_MAX, check, render};
    use headwater_model::event::{Rule, TargetInput};
    let text = text(input);
    let (paths, template) = text.rsplit_once('\n').unwrap_or(("", text));
    let paths = paths.lines().filter_map(|line| line.split_once(' '));
    let transformer = TargetInput::Transformer {
        paths: paths.map(|(name, path)| (name.to_owned(), path.to_owned())).collect(),
        template: template.to_owned(),
    };
    let rule: Rule =
        serde_json::from_value(json!({"name": "r", "arn": "arn:r", "event_pattern": null})).expect("a rule");
    let event = event(json!({"a": [{"b": "say \"hi\""}, {"b": 2}, {}], "text": "\u{7}\\ é", "n": null}));
    for input in [transformer, TargetInput::Path(text.to_owned()), TargetInput::Constant(text.to_owned())] {
        if check(&input).is_ok() {
            let made = render(&input, &rule, &event, event.envelope(&Realm::default())).to_string();
            // A character of a template has four bytes at most, and a result that is no JSON is a text in quotes: each byte one of six.
            assert!(made.len() <= 6 * (RENDERED_BYTES_MAX + 4 * INPUT_CHARS_MAX));
        }
    }
}

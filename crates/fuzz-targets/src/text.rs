//! Queries, forms, signatures, templates, patterns. Bytes that are no text are read as far as they are one.

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
        let depth = depth(&serde_json::Value::Object(members));
        assert!(depth <= 20, "{depth} deep");
    }
}

fn depth(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// A signature in a query (the first line) or in headers (the others, `name: value`): read or refused, and never accepted.
pub fn signature(input: &[u8]) {
    use headwater_gateway::sigv4;
    use http::{HeaderMap, HeaderName, HeaderValue};
    let mut lines = text(input).lines();
    let query = lines.next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value.trim())) {
            headers.append(name, value);
        }
    }
    if let Ok(Some(presented)) = sigv4::presented(&headers, query) {
        assert!(presented.signed_headers.iter().any(|name| name == "host"));
        assert!(!presented.access_key_id.is_empty());
    }
}

/// Templates in JSON and YAML: read, or refused with each problem named.
pub fn template(input: &[u8]) {
    if let Err(error) = headwater_stacks::Template::parse(text(input)) {
        assert!(!error.problems.is_empty() && !error.to_string().is_empty());
    }
}

/// Event patterns: read or refused, and the same event gives the same answer.
pub fn event_pattern(input: &[u8]) {
    let Ok((pattern, _)) = headwater_bus::Pattern::parse_text(text(input)) else { return };
    let event = serde_json::json!({
        "version": "0", "id": "x", "detail-type": "IVS Stream State Change", "source": "aws.ivs", "account": "0",
        "time": "2026-11-24T05:29:42Z", "region": "us-east-1", "resources": ["arn:aws:ivs:us-east-1:0:channel/a"],
        "detail": {"event_name": "Stream Start", "n": 1.5, "list": [1, "a", null, true], "none": null, "ip": "10.0.0.1"},
    });
    let first = pattern.matches(&event);
    assert_eq!(first, pattern.matches(&event));
}

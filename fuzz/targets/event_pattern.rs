//! Event patterns: read or refused, and matched against an event that has a bit of everything.
#![no_main]

use headwater_bus::Pattern;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|text: &str| {
    let Ok((pattern, _)) = Pattern::parse_text(text) else { return };
    let event = json!({
        "version": "0", "id": "x", "detail-type": "IVS Stream State Change", "source": "aws.ivs", "account": "0",
        "time": "2026-11-24T05:29:42Z", "region": "us-east-1", "resources": ["arn:aws:ivs:us-east-1:0:channel/a"],
        "detail": {"event_name": "Stream Start", "n": 1.5, "list": [1, "a", null, true], "none": null, "ip": "10.0.0.1"},
    });
    let first = pattern.matches(&event);
    assert_eq!(first, pattern.matches(&event));
});

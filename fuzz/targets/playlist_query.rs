//! The query of a playlist: delivery directives.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The module as it stands: its room needs sockets that a target does not.
#[allow(dead_code, reason = "a target reads only")]
#[path = "../../crates/edge/src/query.rs"]
mod query;

fuzz_target!(|query: &str| {
    if let Ok(directives) = query::Directives::parse(query) {
        // Written the usual way it reads the same.
        let mut usual = String::new();
        if let Some(wait_for) = directives.wait_for {
            usual += &format!("_HLS_msn={}", wait_for.msn);
            usual += &wait_for.part.map(|part| format!("&_HLS_part={part}")).unwrap_or_default();
        }
        if directives.delta == headwater_hls::Delta::Skip {
            usual += "&_HLS_skip=YES";
        }
        assert_eq!(query::Directives::parse(&usual), Ok(directives));
    }
});

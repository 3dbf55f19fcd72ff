//! Templates in JSON and YAML: read, or refused with each problem named.
#![no_main]

use headwater_stacks::Template;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = Template::parse(text) {
        assert!(!error.problems.is_empty() && !error.to_string().is_empty());
    }
});

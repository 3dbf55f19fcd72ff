#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| headwater_fuzz_targets::publisher::publisher_metadata(input));

//! AMF0: what was read and is written again reads the same.
#![no_main]

use bytes::BytesMut;
use headwater_rtmp::amf0;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(values) = amf0::decode_all(input) else { return };
    let mut written = BytesMut::new();
    amf0::encode_all(&values, &mut written);
    let again = amf0::decode_all(&written).expect("what we write can be read");
    // Not a number is not equal to itself.
    assert_eq!(format!("{values:?}"), format!("{again:?}"));
});

//! CBOR as values: the bodies of Smithy's RPC protocol.
//!
//! Source: RFC 8949; Smithy "RPC v2 CBOR". Texts, numbers, truth values, lists, maps and epoch timestamps (tag 1); byte
//! strings have no place in the services here.

use minicbor::data::{Tag, Type};
use minicbor::{Decoder, Encoder};
use serde_json::{Map, Number, Value};

/// Nested lists and maps; service models nest six deep.
const DEPTH_MAX: usize = 16;
/// The tag of an epoch timestamp, RFC 8949 section 3.4.2.
const TIMESTAMP: u64 = 1;
/// Members that hold timestamps, as seconds since the Unix epoch.
const TIMESTAMPS: [&str; 2] = ["Timestamp", "Timestamps"];

/// Why bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CborError {
    #[error("the body is not CBOR: {0}")]
    Malformed(#[from] minicbor::decode::Error),
    #[error("the body is nested more than {DEPTH_MAX} deep")]
    TooDeep,
    #[error("the body holds a {0}, which no operation here takes")]
    Unexpected(Type),
    #[error("the body is CBOR, but not a map")]
    NoMap,
}

/// Members of the map that the bytes are. A timestamp is its seconds.
pub(crate) fn members(bytes: &[u8]) -> Result<Map<String, Value>, CborError> {
    let mut decoder = Decoder::new(bytes);
    match value(&mut decoder, 0)? {
        Value::Object(members) => Ok(members),
        _ => Err(CborError::NoMap),
    }
}

fn value(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, CborError> {
    if depth > DEPTH_MAX {
        return Err(CborError::TooDeep);
    }
    Ok(match decoder.datatype()? {
        Type::Bool => decoder.bool()?.into(),
        Type::Null => {
            decoder.null()?;
            Value::Null
        }
        Type::Undefined => {
            decoder.undefined()?;
            Value::Null
        }
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => decoder.u64()?.into(),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 => decoder.i64()?.into(),
        Type::F32 => decoder.f32()?.into(),
        Type::F64 => decoder.f64()?.into(),
        Type::String => decoder.str()?.into(),
        Type::StringIndef => decoder.str_iter()?.collect::<Result<String, _>>()?.into(),
        Type::Array | Type::ArrayIndef => {
            let mut left = decoder.array()?;
            let mut items = Vec::new();
            while goes_on(decoder, &mut left)? {
                items.push(value(decoder, depth + 1)?);
            }
            Value::Array(items)
        }
        Type::Map | Type::MapIndef => {
            let mut left = decoder.map()?;
            let mut members = Map::new();
            while goes_on(decoder, &mut left)? {
                let Value::String(name) = value(decoder, DEPTH_MAX)? else { return Err(CborError::NoMap) };
                members.insert(name, value(decoder, depth + 1)?);
            }
            Value::Object(members)
        }
        Type::Tag => {
            decoder.tag()?;
            value(decoder, depth + 1)?
        }
        other => return Err(CborError::Unexpected(other)),
    })
}

/// Whether a list or map of a known or unknown length has another item.
fn goes_on(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, CborError> {
    match left {
        Some(0) => Ok(false),
        Some(count) => {
            *count -= 1;
            Ok(true)
        }
        None if decoder.datatype()? == Type::Break => {
            decoder.set_position(decoder.position() + 1);
            Ok(false)
        }
        None => Ok(true),
    }
}

/// A value as bytes; members that are null are left out.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    write(&mut encoder, value, false).expect("a vector takes every byte");
    encoder.into_writer()
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn write(encoder: &mut Encoder<Vec<u8>>, value: &Value, is_timestamp: bool) -> Written {
    match value {
        Value::Null => encoder.null().map(|_| ()),
        Value::Bool(truth) => encoder.bool(*truth).map(|_| ()),
        Value::Number(number) => {
            if is_timestamp {
                encoder.tag(Tag::new(TIMESTAMP))?;
            }
            write_number(encoder, number)
        }
        Value::String(text) => encoder.str(text).map(|_| ()),
        Value::Array(items) => {
            encoder.array(items.len() as u64)?;
            items.iter().try_for_each(|item| write(encoder, item, is_timestamp))
        }
        Value::Object(members) => {
            let there = || members.iter().filter(|(_, value)| !value.is_null());
            encoder.map(there().count() as u64)?;
            for (name, value) in there() {
                encoder.str(name)?;
                write(encoder, value, TIMESTAMPS.contains(&name.as_str()))?;
            }
            Ok(())
        }
    }
}

fn write_number(encoder: &mut Encoder<Vec<u8>>, number: &Number) -> Written {
    match (number.as_i64(), number.as_u64()) {
        (Some(whole), _) => encoder.i64(whole).map(|_| ()),
        (None, Some(whole)) => encoder.u64(whole).map(|_| ()),
        (None, None) => encoder.f64(number.as_f64().unwrap_or(0.0)).map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_again() {
        let value =
            json!({"Id": "m1", "Values": [1.5, -2, 3_000_000_000_u64], "Ok": true, "Timestamps": [1_795_498_200]});
        let written = bytes(&value);
        assert_eq!(Value::Object(members(&written).unwrap()), value);
        // RFC 8949: c1 is tag 1, and a number of four bytes begins with 1a.
        assert!(written.windows(2).any(|two| two == [0xc1, 0x1a]));
        assert_eq!(bytes(&json!({"a": null})), [0xa0]);
    }

    #[test]
    fn lengths_may_be_left_open_and_depth_is_bounded() {
        // {_ "a": [_ 1, "b" ], "t": 1(1.5) }
        let open = [
            &[0xbf, 0x61, b'a', 0x9f, 0x01, 0x61, b'b', 0xff, 0x61, b't', 0xc1, 0xf9 ^ 0x02][..],
            &1.5_f64.to_be_bytes(),
            &[0xff],
        ]
        .concat();
        assert_eq!(Value::Object(members(&open).unwrap()), json!({"a": [1, "b"], "t": 1.5}));
        let deep = [&[0xa1, 0x61, b'a'][..], &[0x81; 40], &[0x00]].concat();
        assert!(matches!(members(&deep), Err(CborError::TooDeep)));
        assert!(matches!(members(&[0x80]), Err(CborError::NoMap)));
        assert!(matches!(members(&[0xa1, 0x61, b'a', 0x41, 0x00]), Err(CborError::Unexpected(_))));
        assert!(members(&[0xba, 0xff, 0xff, 0xff, 0xff]).is_err(), "it says that it has 4 billion members");
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = members(&bytes);
        }
    }
}

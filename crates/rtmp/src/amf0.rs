//! AMF0 values, decoding, encoding. Source: "Action Message Format -- AMF 0".
//!
//! Depth, number of values and length of strings are capped by [`crate::limits`]: what a message costs in memory is a
//! small multiple of its bytes, whatever it says of itself.

use crate::limits::{AMF_DEPTH_MAX, AMF_STRING_BYTES_MAX, AMF_VALUES_MAX};
use bytes::{BufMut, BytesMut};

const NUMBER: u8 = 0x00;
const BOOLEAN: u8 = 0x01;
const STRING: u8 = 0x02;
const OBJECT: u8 = 0x03;
const NULL: u8 = 0x05;
const UNDEFINED: u8 = 0x06;
const ECMA_ARRAY: u8 = 0x08;
const OBJECT_END: u8 = 0x09;
const STRICT_ARRAY: u8 = 0x0A;
const DATE: u8 = 0x0B;
const LONG_STRING: u8 = 0x0C;
const UNSUPPORTED: u8 = 0x0D;
const XML_DOCUMENT: u8 = 0x0F;
const TYPED_OBJECT: u8 = 0x10;

/// One AMF0 value. A typed object loses its class name, an XML document is read as a string.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The only number type.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Text; bytes that are not UTF-8 were replaced.
    String(String),
    /// Named values.
    Object(Object),
    /// No value.
    Null,
    /// No value either; encoders use it for "not set".
    Undefined,
    /// Named values, in the form that metadata takes.
    EcmaArray(Object),
    /// Values by position.
    StrictArray(Vec<Value>),
    /// Milliseconds since the Unix epoch, UTC.
    Date(f64),
}

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The named values of an object or an ECMA array.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(object) | Value::EcmaArray(object) => Some(object),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Number(number)
    }
}

/// Named values in the order of the wire. A name may repeat; [`Object::get`] takes the first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// An object without values.
    pub fn new() -> Self {
        Object::default()
    }

    /// The object with one more value at its end.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Names and values in the order of the wire.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(values: I) -> Self {
        Object(values.into_iter().collect())
    }
}

/// Reads values until the bytes end.
///
/// # Errors
/// Bytes that are no AMF0, end within a value, or exceed a limit.
pub fn decode_all(mut bytes: &[u8]) -> Result<Vec<Value>, Error> {
    let mut decoder = Decoder { values: 0 };
    let mut values = Vec::new();
    while !bytes.is_empty() {
        values.push(decoder.value(&mut bytes, 0)?);
    }
    Ok(values)
}

/// Appends values. Text that is longer than its length field is written as a long string.
pub fn encode_all<'a>(values: impl IntoIterator<Item = &'a Value>, out: &mut BytesMut) {
    for value in values {
        encode(value, out);
    }
}

fn encode(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Number(number) => {
            out.put_u8(NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(truth) => {
            out.put_u8(BOOLEAN);
            out.put_u8(u8::from(*truth));
        }
        Value::String(text) => match u16::try_from(text.len()) {
            Ok(length) => {
                out.put_u8(STRING);
                out.put_u16(length);
                out.put_slice(text.as_bytes());
            }
            Err(_) => {
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                out.put_u8(LONG_STRING);
                out.put_u32(length);
                out.put_slice(&text.as_bytes()[..length as usize]);
            }
        },
        Value::Object(object) => {
            out.put_u8(OBJECT);
            encode_pairs(object, out);
        }
        Value::Null => out.put_u8(NULL),
        Value::Undefined => out.put_u8(UNDEFINED),
        Value::EcmaArray(object) => {
            out.put_u8(ECMA_ARRAY);
            out.put_u32(u32::try_from(object.len()).unwrap_or(u32::MAX));
            encode_pairs(object, out);
        }
        Value::StrictArray(values) => {
            out.put_u8(STRICT_ARRAY);
            out.put_u32(u32::try_from(values.len()).unwrap_or(u32::MAX));
            encode_all(values, out);
        }
        Value::Date(ms) => {
            out.put_u8(DATE);
            out.put_f64(*ms);
            out.put_i16(0);
        }
    }
}

fn encode_pairs(object: &Object, out: &mut BytesMut) {
    for (name, value) in object.iter() {
        // A longer name cannot be written; ours are constants.
        let length = u16::try_from(name.len()).unwrap_or(0);
        out.put_u16(length);
        out.put_slice(&name.as_bytes()[..usize::from(length)]);
        encode(value, out);
    }
    out.put_u16(0);
    out.put_u8(OBJECT_END);
}

struct Decoder {
    values: usize,
}

impl Decoder {
    fn value(&mut self, bytes: &mut &[u8], depth: usize) -> Result<Value, Error> {
        if depth > AMF_DEPTH_MAX {
            return Err(Error::TooDeep);
        }
        self.values += 1;
        if self.values > AMF_VALUES_MAX {
            return Err(Error::TooManyValues);
        }
        let marker = take_array::<1>(bytes)?[0];
        Ok(match marker {
            NUMBER => Value::Number(f64::from_be_bytes(take_array(bytes)?)),
            BOOLEAN => Value::Boolean(take_array::<1>(bytes)?[0] != 0),
            STRING => Value::String(short_string(bytes)?),
            OBJECT => Value::Object(self.pairs(bytes, depth, End::Marked)?),
            NULL | UNSUPPORTED => Value::Null,
            UNDEFINED => Value::Undefined,
            ECMA_ARRAY => {
                // The count is advice only: encoders write 0, or forget to raise it.
                take_array::<4>(bytes)?;
                Value::EcmaArray(self.pairs(bytes, depth, End::MarkedOrCut)?)
            }
            STRICT_ARRAY => {
                let count = u32::from_be_bytes(take_array(bytes)?) as usize;
                if count > AMF_VALUES_MAX {
                    return Err(Error::TooManyValues);
                }
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(bytes, depth + 1)?);
                }
                Value::StrictArray(values)
            }
            DATE => {
                let ms = f64::from_be_bytes(take_array(bytes)?);
                // The time zone is reserved and zero.
                take_array::<2>(bytes)?;
                Value::Date(ms)
            }
            LONG_STRING | XML_DOCUMENT => {
                let length = u32::from_be_bytes(take_array(bytes)?) as usize;
                Value::String(text(bytes, length)?)
            }
            TYPED_OBJECT => {
                short_string(bytes)?;
                Value::Object(self.pairs(bytes, depth, End::Marked)?)
            }
            marker => return Err(Error::Marker { marker }),
        })
    }

    fn pairs(&mut self, bytes: &mut &[u8], depth: usize, end: End) -> Result<Object, Error> {
        let mut object = Object::new();
        loop {
            if bytes.is_empty() && matches!(end, End::MarkedOrCut) {
                return Ok(object);
            }
            let name = short_string(bytes)?;
            if name.is_empty() && bytes.first() == Some(&OBJECT_END) {
                *bytes = &bytes[1..];
                return Ok(object);
            }
            let value = self.value(bytes, depth + 1)?;
            object.0.push((name, value));
        }
    }
}

/// How a list of named values may end. Some encoders leave out the end marker of their metadata array.
enum End {
    Marked,
    MarkedOrCut,
}

fn short_string(bytes: &mut &[u8]) -> Result<String, Error> {
    let length = usize::from(u16::from_be_bytes(take_array(bytes)?));
    text(bytes, length)
}

fn text(bytes: &mut &[u8], length: usize) -> Result<String, Error> {
    if length > AMF_STRING_BYTES_MAX {
        return Err(Error::StringTooLong { length });
    }
    let (text, rest) = bytes.split_at_checked(length).ok_or(Error::Cut)?;
    *bytes = rest;
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Error> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or(Error::Cut)?;
    *bytes = rest;
    Ok(*taken)
}

/// Why bytes are no AMF0 that we read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end within a value.
    #[error("a value is cut short")]
    Cut,
    /// A type that is not read.
    #[error("marker {marker:#04x} is no value that is read here")]
    Marker {
        /// The type byte.
        marker: u8,
    },
    /// [`AMF_DEPTH_MAX`] exceeded.
    #[error("values nest deeper than {AMF_DEPTH_MAX}")]
    TooDeep,
    /// [`AMF_VALUES_MAX`] exceeded.
    #[error("more than {AMF_VALUES_MAX} values")]
    TooManyValues,
    /// [`AMF_STRING_BYTES_MAX`] exceeded.
    #[error("a string of {length} bytes, at most {AMF_STRING_BYTES_MAX} are read")]
    StringTooLong {
        /// What it announces, in bytes.
        length: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<f64>().prop_filter("NaN is not equal to itself", |n| !n.is_nan()).prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,12}".prop_map(Value::String),
            Just(Value::Null),
            Just(Value::Undefined),
            (0u32..).prop_map(|ms| Value::Date(f64::from(ms))),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            let pairs = prop::collection::vec(("[a-zA-Z]{1,8}", inner.clone()), 0..6);
            prop_oneof![
                pairs.clone().prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
                pairs.prop_map(|pairs| Value::EcmaArray(pairs.into_iter().collect())),
                prop::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
            ]
        })
    }

    proptest! {
        #[test]
        fn decoding_what_was_encoded_is_identity(values in prop::collection::vec(values(), 0..6)) {
            let mut out = BytesMut::new();
            encode_all(&values, &mut out);
            prop_assert_eq!(decode_all(&out), Ok(values));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode_all(&bytes);
        }

        #[test]
        fn no_damage_to_a_good_message_panics(values in prop::collection::vec(values(), 1..4), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut out = BytesMut::new();
            encode_all(&values, &mut out);
            let at = at.index(out.len());
            out[at] = byte;
            let _ = decode_all(&out);
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let mut bytes = Vec::new();
        for _ in 0..=AMF_DEPTH_MAX {
            bytes.extend_from_slice(&[STRICT_ARRAY, 0, 0, 0, 1]);
        }
        bytes.push(NULL);
        assert_eq!(decode_all(&bytes), Err(Error::TooDeep));
    }

    #[test]
    fn a_million_nulls_are_refused_early() {
        assert_eq!(decode_all(&vec![NULL; 1 << 20]), Err(Error::TooManyValues));
        assert_eq!(decode_all(&[STRICT_ARRAY, 0xFF, 0xFF, 0xFF, 0xFF]), Err(Error::TooManyValues));
    }

    #[test]
    fn a_long_string_is_refused_by_its_length_alone() {
        assert_eq!(decode_all(&[LONG_STRING, 0x7F, 0, 0, 0]), Err(Error::StringTooLong { length: 0x7F00_0000 }));
    }

    #[test]
    fn an_array_without_end_marker_is_taken() {
        let bytes = [ECMA_ARRAY, 0, 0, 0, 0, 0, 1, b'a', BOOLEAN, 1];
        let object = Object::new().with("a", Value::Boolean(true));
        assert_eq!(decode_all(&bytes), Ok(vec![Value::EcmaArray(object)]));
    }
}

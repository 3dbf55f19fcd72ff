//! AV1: the AV1CodecConfigurationRecord (AV1-ISOBMFF, 2.3) and the size in its sequence header (AV1 bitstream, 5.5).

use super::{ConfigError, own};
use crate::bits::BitReader;
use bytes::Bytes;

const CODEC: &str = "av1";

/// An av1C and what is known from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The record as it came.
    pub record: Bytes,
    /// Width and height in pixels; absent if there is no sequence header or it could not be read.
    pub dimensions: Option<(u32, u32)>,
}

impl Config {
    /// Reads a record.
    ///
    /// # Errors
    /// [`ConfigError`] if it is cut short, too long or of another version.
    pub fn parse(record: &[u8]) -> Result<Config, ConfigError> {
        let owned = own(CODEC, record)?;
        let (head, units) =
            record.split_first_chunk::<4>().ok_or(ConfigError::Short { codec: CODEC, bytes: record.len() })?;
        if head[0] != 0x81 {
            return Err(ConfigError::Value { codec: CODEC, field: "version", value: head[0].into() });
        }
        Ok(Config { record: owned, dimensions: sequence_header(units).and_then(read_size) })
    }

    /// `av01.P.LLT.DD` (AV1-ISOBMFF, 5). Colour fields are left at their defaults.
    pub fn rfc6381(&self) -> String {
        let byte = |index: usize| self.record.get(index).copied().unwrap_or_default();
        let (profile, level) = (byte(1) >> 5, byte(1) & 0x1f);
        let tier = if byte(2) & 0x80 == 0 { 'M' } else { 'H' };
        let depth = match (byte(2) & 0x40 != 0, byte(2) & 0x20 != 0) {
            (true, true) => 12,
            (true, false) => 10,
            (false, _) => 8,
        };
        format!("av01.{profile}.{level:02}{tier}.{depth:02}")
    }
}

/// The payload of the first sequence header among the configuration's OBUs (5.3.1; each has a size here).
fn sequence_header(mut units: &[u8]) -> Option<&[u8]> {
    while let Some((&header, rest)) = units.split_first() {
        let rest = if header & 4 != 0 { rest.get(1..)? } else { rest };
        if header & 2 == 0 {
            return None;
        }
        let mut size = 0usize;
        let mut length = 0;
        loop {
            let &byte = rest.get(length)?;
            size |= usize::from(byte & 0x7f) << (7 * length);
            length += 1;
            if byte & 0x80 == 0 {
                break;
            }
            if length == 4 {
                return None;
            }
        }
        let (payload, after) = rest.get(length..)?.split_at_checked(size)?;
        if header >> 3 & 0xf == 1 {
            return Some(payload);
        }
        units = after;
    }
    None
}

fn read_size(payload: &[u8]) -> Option<(u32, u32)> {
    let mut bits = BitReader::new(payload);
    bits.skip(4)?;
    if bits.flag()? {
        // reduced_still_picture_header: one level, then the size.
        bits.skip(5)?;
    } else {
        let mut delay_bits = None;
        if bits.flag()? {
            bits.skip(64)?;
            if bits.flag()? {
                bits.exp_golomb()?;
            }
            if bits.flag()? {
                delay_bits = Some(bits.bits(5)? as usize + 1);
                bits.skip(42)?;
            }
        }
        let initial_display_delay = bits.flag()?;
        let points = bits.bits(5)? + 1;
        for _ in 0..points {
            bits.skip(12)?;
            if bits.bits(5)? > 7 {
                bits.skip(1)?;
            }
            if let Some(delay_bits) = delay_bits
                && bits.flag()?
            {
                bits.skip(2 * delay_bits + 1)?;
            }
            if initial_display_delay && bits.flag()? {
                bits.skip(4)?;
            }
        }
    }
    let (width_bits, height_bits) = (bits.bits(4)? + 1, bits.bits(4)? + 1);
    Some((bits.bits(width_bits)? + 1, bits.bits(height_bits)? + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Main profile, level 3.1 (index 5), 8 bits; sequence header of SVT-AV1 for 1280x720.
    const RECORD: [u8; 17] =
        [0x81, 0x05, 0x0c, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x2d, 0x4c, 0xff, 0xb3, 0xc0, 0x00, 0x00, 0x00];

    #[test]
    fn codec_string_and_size() {
        let config = Config::parse(&RECORD).unwrap();
        assert_eq!(config.rfc6381(), "av01.0.05M.08");
        assert_eq!(config.dimensions, Some((1280, 720)));
    }

    #[test]
    fn record_without_a_sequence_header_has_no_size() {
        assert_eq!(Config::parse(&RECORD[..4]).unwrap().dimensions, None);
        assert!(matches!(Config::parse(&RECORD[..3]), Err(ConfigError::Short { .. })));
    }
}

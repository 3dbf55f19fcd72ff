//! H.265: the HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1) and the size in its first SPS (ISO/IEC 23008-2, 7.3.2.2).

use super::{ConfigError, own};
use crate::bits::{BitReader, without_emulation_prevention};
use bytes::Bytes;

const CODEC: &str = "hevc";
/// NAL unit type of a sequence parameter set.
const SPS: u8 = 33;

/// An hvcC and what is known from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The record as it came.
    pub record: Bytes,
    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    pub nal_length_bytes: usize,
    /// Width and height in pixels; absent if the SPS could not be read.
    pub dimensions: Option<(u32, u32)>,
}

impl Config {
    /// Reads a record.
    ///
    /// # Errors
    /// [`ConfigError`] if it is cut short, too long, of another version, or has no SPS.
    pub fn parse(record: &[u8]) -> Result<Config, ConfigError> {
        let owned = own(CODEC, record)?;
        let short = || ConfigError::Short { codec: CODEC, bytes: record.len() };
        let (head, mut rest) = record.split_first_chunk::<23>().ok_or_else(short)?;
        if head[0] != 1 {
            return Err(ConfigError::Value { codec: CODEC, field: "version", value: head[0].into() });
        }
        let nal_length_bytes = usize::from(head[21] & 3) + 1;
        if nal_length_bytes == 3 {
            return Err(ConfigError::Value { codec: CODEC, field: "NAL length size", value: 3 });
        }
        let mut sps = None;
        for _ in 0..head[22] {
            let (array, after) = rest.split_first_chunk::<3>().ok_or_else(short)?;
            rest = after;
            for _ in 0..u16::from_be_bytes([array[1], array[2]]) {
                let (length, after) = rest.split_first_chunk::<2>().ok_or_else(short)?;
                let (nal, after) =
                    after.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(short)?;
                rest = after;
                if array[0] & 0x3f == SPS {
                    sps.get_or_insert(nal);
                }
            }
        }
        let Some(sps) = sps else {
            return Err(ConfigError::Value { codec: CODEC, field: "SPS count", value: 0 });
        };
        Ok(Config { record: owned, nal_length_bytes, dimensions: read_size(sps) })
    }

    /// `hvc1.PROFILE.COMPATIBILITY.TIERLEVEL.CONSTRAINTS` (ISO/IEC 14496-15, Annex E.3).
    pub fn rfc6381(&self) -> String {
        let byte = |index: usize| self.record.get(index).copied().unwrap_or_default();
        let space = ["", "A", "B", "C"][usize::from(byte(1) >> 6)];
        let compatibility = u32::from_be_bytes([byte(2), byte(3), byte(4), byte(5)]).reverse_bits();
        let tier = if byte(1) & 0x20 == 0 { 'L' } else { 'H' };
        let mut text = format!("hvc1.{space}{}.{compatibility:X}.{tier}{}", byte(1) & 0x1f, byte(12));
        let constraints: Vec<u8> = (6..12).map(byte).collect();
        let used = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        for byte in &constraints[..used] {
            text.push_str(&format!(".{byte:X}"));
        }
        text
    }
}

fn read_size(nal: &[u8]) -> Option<(u32, u32)> {
    let payload = without_emulation_prevention(nal.get(2..)?);
    let mut bits = BitReader::new(&payload);
    bits.skip(4)?;
    let sub_layers = bits.bits(3)? as usize;
    bits.skip(1)?;
    // profile_tier_level: 88 bits of general profile, 8 of level, then which sub-layers have their own (7.3.3).
    bits.skip(96)?;
    let mut own_bits = 0;
    for _ in 0..sub_layers {
        own_bits += if bits.flag()? { 88 } else { 0 };
        own_bits += if bits.flag()? { 8 } else { 0 };
    }
    if sub_layers > 0 {
        bits.skip((8 - sub_layers) * 2)?;
    }
    bits.skip(own_bits)?;
    bits.exp_golomb()?;
    let chroma_format = bits.exp_golomb()?;
    if chroma_format == 3 {
        bits.flag()?;
    }
    let (width, height) = (bits.exp_golomb()?, bits.exp_golomb()?);
    if !bits.flag()? {
        return (width > 0 && height > 0).then_some((width, height));
    }
    let across = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
    let down = if chroma_format == 1 { 2 } else { 1 };
    let sides = [bits.exp_golomb()?, bits.exp_golomb()?, bits.exp_golomb()?, bits.exp_golomb()?];
    let width = width.checked_sub(sides[0].checked_add(sides[1])?.checked_mul(across)?)?;
    let height = height.checked_sub(sides[2].checked_add(sides[3])?.checked_mul(down)?)?;
    (width > 0 && height > 0).then_some((width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Main profile, level 3.1, with the SPS that x265 3.5 wrote for 1280x720 (VPS and PPS left out).
    fn record() -> Vec<u8> {
        let sps: &[u8] = &[
            0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5d,
            0xa0, 0x02, 0x80, 0x80, 0x2d, 0x16, 0x59, 0x59, 0xa4, 0x93, 0x2b, 0xc0, 0x5a, 0x02, 0x00, 0x00, 0x03, 0x00,
            0x02, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x10,
        ];
        let mut record = vec![1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
        record.extend([0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 1, 0xa1, 0, 1]);
        record.extend((sps.len() as u16).to_be_bytes());
        record.extend(sps);
        record
    }

    #[test]
    fn codec_string_and_size() {
        let config = Config::parse(&record()).unwrap();
        assert_eq!(config.rfc6381(), "hvc1.1.6.L93.90");
        assert_eq!(config.dimensions, Some((1280, 720)));
        assert_eq!(config.nal_length_bytes, 4);
    }

    #[test]
    fn every_cut_is_an_error() {
        let record = record();
        for end in 0..record.len() {
            assert!(matches!(Config::parse(&record[..end]), Err(ConfigError::Short { .. })));
        }
    }
}

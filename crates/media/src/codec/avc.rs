//! H.264: the AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1) and what its first SPS says (ISO/IEC 14496-10, 7.3.2.1 and E.1).

use super::{ConfigError, own};
use crate::bits::{BitReader, without_emulation_prevention};
use bytes::Bytes;

const CODEC: &str = "avc";

/// An avcC and what is known from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The record as it came.
    pub record: Bytes,
    /// `AVCProfileIndication`.
    pub profile: u8,
    /// `profile_compatibility`.
    pub constraints: u8,
    /// `AVCLevelIndication`: 31 is level 3.1.
    pub level: u8,
    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    pub nal_length_bytes: usize,
    /// Width and height in pixels after cropping; absent if the SPS could not be read.
    pub dimensions: Option<(u32, u32)>,
    /// Frames in 1000 seconds, if the SPS has timing information that makes sense.
    pub frame_rate_millis: Option<u32>,
}

impl Config {
    /// Reads a record.
    ///
    /// # Errors
    /// [`ConfigError`] if it is cut short, too long, of another version, or without an SPS or a PPS.
    pub fn parse(record: &[u8]) -> Result<Config, ConfigError> {
        let owned = own(CODEC, record)?;
        let short = || ConfigError::Short { codec: CODEC, bytes: record.len() };
        let &[version, profile, constraints, level, length_size, sets, ref rest @ ..] = record else {
            return Err(short());
        };
        if version != 1 {
            return Err(ConfigError::Value { codec: CODEC, field: "version", value: version.into() });
        }
        let nal_length_bytes = usize::from(length_size & 3) + 1;
        if nal_length_bytes == 3 {
            return Err(ConfigError::Value { codec: CODEC, field: "NAL length size", value: 3 });
        }
        let mut rest = rest;
        let mut sps = None;
        let sps_count = sets & 0x1f;
        for _ in 0..sps_count {
            let set = take_set(&mut rest).ok_or_else(short)?;
            sps.get_or_insert(set);
        }
        let (&pps_count, after) = rest.split_first().ok_or_else(short)?;
        rest = after;
        for _ in 0..pps_count {
            take_set(&mut rest).ok_or_else(short)?;
        }
        let Some(sps) = sps else {
            return Err(ConfigError::Value { codec: CODEC, field: "SPS count", value: 0 });
        };
        if pps_count == 0 {
            return Err(ConfigError::Value { codec: CODEC, field: "PPS count", value: 0 });
        }
        let facts = read_sps(sps);
        Ok(Config {
            record: owned,
            profile,
            constraints,
            level,
            nal_length_bytes,
            dimensions: facts.as_ref().map(|facts| facts.dimensions),
            frame_rate_millis: facts.and_then(|facts| facts.frame_rate_millis),
        })
    }

    /// `avc1.PPCCLL`.
    pub fn rfc6381(&self) -> String {
        format!("avc1.{:02X}{:02X}{:02X}", self.profile, self.constraints, self.level)
    }
}

/// A parameter set with its 16-bit length. `None` if it is empty or points past the end.
fn take_set<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (set, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = after;
    (!set.is_empty()).then_some(set)
}

struct SpsFacts {
    dimensions: (u32, u32),
    frame_rate_millis: Option<u32>,
}

fn read_sps(nal: &[u8]) -> Option<SpsFacts> {
    if nal.first()? & 0x1f != 7 {
        return None;
    }
    let payload = without_emulation_prevention(&nal[1..]);
    let mut bits = BitReader::new(&payload);
    let profile = bits.bits(8)?;
    bits.skip(16)?;
    bits.exp_golomb()?;
    let mut chroma_format = 1;
    if matches!(profile, 44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244) {
        chroma_format = bits.exp_golomb()?;
        if chroma_format == 3 {
            bits.flag()?;
        }
        bits.exp_golomb()?;
        bits.exp_golomb()?;
        bits.flag()?;
        if bits.flag()? {
            let lists = if chroma_format == 3 { 12 } else { 8 };
            for list in 0..lists {
                if bits.flag()? {
                    skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.exp_golomb()?;
    match bits.exp_golomb()? {
        0 => {
            bits.exp_golomb()?;
        }
        1 => {
            bits.flag()?;
            bits.exp_golomb()?;
            bits.exp_golomb()?;
            let count = bits.exp_golomb()?;
            if count > 255 {
                return None;
            }
            for _ in 0..count {
                bits.exp_golomb()?;
            }
        }
        _ => {}
    }
    bits.exp_golomb()?;
    bits.flag()?;
    let width = bits.exp_golomb()?.checked_add(1)?.checked_mul(16)?;
    let map_height = bits.exp_golomb()?.checked_add(1)?.checked_mul(16)?;
    let fields = if bits.flag()? { 1 } else { 2 };
    if fields == 2 {
        bits.flag()?;
    }
    let height = map_height.checked_mul(fields)?;
    bits.flag()?;
    let dimensions = if bits.flag()? {
        let across = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
        let down = fields * if chroma_format == 1 { 2 } else { 1 };
        let (left, right) = (bits.exp_golomb()?, bits.exp_golomb()?);
        let (top, bottom) = (bits.exp_golomb()?, bits.exp_golomb()?);
        let cropped = |size: u32, a: u32, b: u32, unit: u32| size.checked_sub(a.checked_add(b)?.checked_mul(unit)?);
        (cropped(width, left, right, across)?, cropped(height, top, bottom, down)?)
    } else {
        (width, height)
    };
    if dimensions.0 == 0 || dimensions.1 == 0 {
        return None;
    }
    // Timing is a bonus: an SPS that ends here still told its size.
    let frame_rate_millis = read_frame_rate(&mut bits);
    Some(SpsFacts { dimensions, frame_rate_millis })
}

fn skip_scaling_list(bits: &mut BitReader<'_>, size: usize) -> Option<()> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.signed_exp_golomb()?).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// The VUI up to its timing information (E.1.1). A frame is two ticks.
fn read_frame_rate(bits: &mut BitReader<'_>) -> Option<u32> {
    if !bits.flag()? {
        return None;
    }
    if bits.flag()? && bits.bits(8)? == 255 {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.flag()?;
    }
    if bits.flag()? {
        bits.skip(4)?;
        if bits.flag()? {
            bits.skip(24)?;
        }
    }
    if bits.flag()? {
        bits.exp_golomb()?;
        bits.exp_golomb()?;
    }
    if !bits.flag()? {
        return None;
    }
    let (units_in_tick, time_scale) = (u64::from(bits.bits(32)?), u64::from(bits.bits(32)?));
    let millis = (time_scale * 1000).checked_div(units_in_tick * 2)?;
    u32::try_from(millis).ok().filter(|millis| (1_000..=1_000_000).contains(millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use h264_reader::nal::sps::SeqParameterSet;
    use h264_reader::nal::{Nal, RefNal};

    /// ffmpeg 5.1 with x264: 1280x720, 30 frames a second, High, level 3.1.
    const X264_720P30: &str = "0164001fffe1001a6764001facd9405005bb0110000003001000000303c0f183\
                               196001000668ebe3cb22c0fdf8f800";
    /// ffmpeg 5.1 with x264: 1920x1080 (cropped from 1088), 30000/1001 frames a second, High, level 4.0.
    const X264_1080P2997: &str = "01640028ffe1001967640028acd940780227e5c04400000fa40003a9803c60\
                                  c65801000668ebe3cb22c0fdf8f800";

    #[test]
    fn size_and_rate_agree_with_an_independent_reader() {
        let known =
            [(X264_720P30, "avc1.64001F", (1280, 720), 30_000), (X264_1080P2997, "avc1.640028", (1920, 1080), 29_970)];
        for (text, codec, dimensions, frame_rate_millis) in known {
            let record = hex(text);
            let config = Config::parse(&record).unwrap();
            assert_eq!(config.rfc6381(), codec);
            assert_eq!(config.dimensions, Some(dimensions));
            assert_eq!(config.frame_rate_millis, Some(frame_rate_millis));
            let sps = &record[8..8 + usize::from(record[7])];
            let bits = RefNal::new(sps, &[], true).rbsp_bits();
            let theirs = SeqParameterSet::from_bits(bits).unwrap();
            assert_eq!(theirs.pixel_dimensions().unwrap(), dimensions);
            assert_eq!((theirs.fps().unwrap() * 1000.0) as u32, frame_rate_millis);
        }
    }

    #[test]
    fn every_cut_is_an_error_or_smaller_knowledge() {
        let record = hex(X264_720P30);
        for end in 0..record.len() - 4 {
            let error = Config::parse(&record[..end]).unwrap_err();
            assert_eq!(error, ConfigError::Short { codec: "avc", bytes: end });
        }
    }

    #[test]
    fn record_without_parameter_sets_is_refused() {
        assert!(matches!(
            Config::parse(&[1, 100, 0, 31, 0xff, 0xe0, 0]),
            Err(ConfigError::Value { field: "SPS count", .. })
        ));
    }

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }
}

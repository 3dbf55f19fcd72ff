//! Fragmented MP4 in: what an encoder process writes to its pipe, several tracks in one file.
//!
//! [`Demuxer`] takes bytes as they come. The pipe's other end decodes what strangers sent, so it is trusted no more than they are: lengths
//! are checked, boxes and samples bounded, and an error ends the reading.
//!
//! *Shape*: `ftyp`, `moov`, then `moof` and `mdat` in turn, data offsets from the `moof` (default-base-is-moof). Other boxes are passed over.
//! *Units*: times in ticks of the track as [`Track::new`] has it, whatever the file's timescale. *Source*: ISO/IEC 14496-12.

use crate::codec::{CodecConfig, ConfigError, aac, av1, avc, hevc};
use crate::time::{MediaTime, Timescale};
use crate::track::{AccessUnit, Keyframe, Track, TrackKind};
use bytes::{Buf as _, Bytes, BytesMut};

/// Largest box: a fragment of every track's largest access units.
pub const BOX_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Tracks of a file: a ladder has at most five renditions with two each.
pub const TRACKS_MAX: usize = 16;
/// Samples of a fragment, all its runs together: it is far shorter than a second.
pub const FRAGMENT_SAMPLES_MAX: usize = 4_096;
/// Bytes of a box's size and type.
const BOX_HEADER: usize = 8;

/// Bytes that are not the fragmented MP4 that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A box that is smaller than its header or larger than [`BOX_BYTES_MAX`].
    #[error("box '{}' claims {bytes} bytes", name.escape_ascii())]
    BoxSize {
        /// Its type.
        name: [u8; 4],
        /// What it claims.
        bytes: u64,
    },
    /// A box that ends before its fields do, or whose fields contradict others.
    #[error("box '{}' cannot be read", name.escape_ascii())]
    Malformed {
        /// Its type.
        name: [u8; 4],
    },
    /// A sample outside of the fragment's data, or one too many for it: samples do not share bytes.
    #[error("sample of {bytes} bytes at {at} lies outside of its fragment")]
    SampleRange {
        /// Where, from the data's start.
        at: i64,
        /// Its size.
        bytes: u32,
    },
    /// More than [`TRACKS_MAX`] tracks or [`FRAGMENT_SAMPLES_MAX`] samples.
    #[error("{count} are more than {max}")]
    TooMany {
        /// How many.
        count: usize,
        /// How many may be.
        max: usize,
    },
    /// A codec configuration that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What a file holds. Tracks are told by their place in it, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A track; all come before the first unit.
    Track(usize, Track),
    /// An access unit.
    Unit(usize, AccessUnit),
}

#[derive(Clone, Debug)]
struct Known {
    id: u32,
    scale: Timescale,
    track: Track,
    defaults: Defaults,
}

#[derive(Clone, Copy, Debug, Default)]
struct Defaults {
    duration: u32,
    size: u32,
    flags: u32,
}

/// Reads a file as it grows.
#[derive(Debug, Default)]
pub struct Demuxer {
    buffer: BytesMut,
    tracks: Vec<Known>,
    moof: Option<Bytes>,
}

impl Demuxer {
    /// A demuxer that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes; returns what they completed.
    ///
    /// # Errors
    /// [`Error`]: the file cannot be read on.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Item>, Error> {
        self.buffer.extend_from_slice(bytes);
        let mut items = Vec::new();
        while let Some(header) = self.buffer.first_chunk::<BOX_HEADER>() {
            let (size, name) = box_header(header);
            if !(BOX_HEADER..=BOX_BYTES_MAX).contains(&size) {
                return Err(Error::BoxSize { name, bytes: size as u64 });
            }
            if self.buffer.len() < size {
                break;
            }
            let mut whole = self.buffer.split_to(size).freeze();
            match &name {
                b"moov" => {
                    whole.advance(BOX_HEADER);
                    self.tracks = read_moov(&whole)?;
                    items.extend(
                        self.tracks.iter().map(|known| known.track.clone()).enumerate().map(|(i, t)| Item::Track(i, t)),
                    );
                }
                b"moof" => self.moof = Some(whole),
                b"mdat" => {
                    whole.advance(BOX_HEADER);
                    if let Some(moof) = self.moof.take() {
                        self.read_fragment(&moof, &whole, &mut items)?;
                    }
                }
                _ => {}
            }
        }
        Ok(items)
    }

    fn read_fragment(&self, moof: &Bytes, data: &Bytes, items: &mut Vec<Item>) -> Result<(), Error> {
        // Offsets are from the start of `moof`; the data begins after it and the header of `mdat`.
        let before = (moof.len() + BOX_HEADER) as i64;
        let (mut count, mut bytes_left) = (0, data.len());
        for traf in children(&moof[BOX_HEADER..]).filter_map(|(name, body)| (&name == b"traf").then_some(body)) {
            let mut found: Option<(usize, Defaults)> = None;
            let mut decode = 0i64;
            let mut at = 0i64;
            for (name, body) in children(traf) {
                match &name {
                    b"tfhd" => {
                        let (id, defaults) = self.read_tfhd(body).ok_or(Error::Malformed { name })?;
                        found = self.tracks.iter().position(|known| known.id == id).map(|index| (index, defaults));
                    }
                    b"tfdt" => decode = read_tfdt(body).ok_or(Error::Malformed { name })?,
                    b"trun" => {
                        let (index, defaults) = found.ok_or(Error::Malformed { name })?;
                        let run = read_trun(body, defaults, FRAGMENT_SAMPLES_MAX - count)?;
                        count += run.samples.len();
                        if let Some(offset) = run.offset {
                            at = i64::from(offset) - before;
                        }
                        for sample in run.samples {
                            // One without data is no picture and no sound; its duration counts.
                            if sample.size > 0 {
                                bytes_left = bytes_left
                                    .checked_sub(sample.size as usize)
                                    .ok_or(Error::SampleRange { at, bytes: sample.size })?;
                                let unit = self.unit(index, decode, at, sample, data)?;
                                items.push(Item::Unit(index, unit));
                            }
                            decode = decode.saturating_add(i64::from(sample.duration));
                            at += i64::from(sample.size);
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn unit(&self, index: usize, decode: i64, at: i64, sample: Sample, data: &Bytes) -> Result<AccessUnit, Error> {
        let outside = Error::SampleRange { at, bytes: sample.size };
        let start = usize::try_from(at).map_err(|_| outside.clone())?;
        let end = start.checked_add(sample.size as usize).filter(|&end| end <= data.len()).ok_or(outside)?;
        let known = &self.tracks[index];
        let scale = |ticks| MediaTime::new(ticks, known.scale).rescale(known.track.timescale).ticks;
        let audio = known.track.kind == TrackKind::Audio;
        let keyframe = if audio || sample.flags & NOT_SYNC == 0 { Keyframe::Yes } else { Keyframe::No };
        Ok(AccessUnit {
            kind: known.track.kind,
            dts: scale(decode),
            pts: scale(decode.saturating_add(i64::from(sample.composition))),
            keyframe,
            data: data.slice(start..end),
        })
    }

    /// A track's id and the defaults for its samples.
    fn read_tfhd(&self, body: &[u8]) -> Option<(u32, Defaults)> {
        let mut fields = Fields(body);
        let flags = fields.u32()?;
        let id = fields.u32()?;
        let mut defaults =
            self.tracks.iter().find(|known| known.id == id).map(|known| known.defaults).unwrap_or_default();
        if flags & 0x01 != 0 {
            fields.u64()?;
        }
        if flags & 0x02 != 0 {
            fields.u32()?;
        }
        for (flag, field) in [(0x08, &mut defaults.duration), (0x10, &mut defaults.size), (0x20, &mut defaults.flags)] {
            if flags & flag != 0 {
                *field = fields.u32()?;
            }
        }
        Some((id, defaults))
    }
}

/// `sample_is_non_sync_sample` of the sample flags.
const NOT_SYNC: u32 = 0x0001_0000;

#[derive(Clone, Copy)]
struct Sample {
    duration: u32,
    size: u32,
    flags: u32,
    composition: i32,
}

struct Run {
    offset: Option<i32>,
    samples: Vec<Sample>,
}

fn read_tfdt(body: &[u8]) -> Option<i64> {
    let mut fields = Fields(body);
    if fields.u32()? >> 24 == 1 { i64::try_from(fields.u64()?).ok() } else { Some(i64::from(fields.u32()?)) }
}

fn read_trun(body: &[u8], defaults: Defaults, count_max: usize) -> Result<Run, Error> {
    let malformed = || Error::Malformed { name: *b"trun" };
    let mut fields = Fields(body);
    let flags = fields.u32().ok_or_else(malformed)?;
    let count = fields.u32().ok_or_else(malformed)? as usize;
    if count > count_max {
        return Err(Error::TooMany { count, max: count_max });
    }
    let mut optional =
        |flag: u32| if flags & flag == 0 { Ok(None) } else { fields.u32().map(Some).ok_or_else(malformed) };
    // The cast keeps the bits: offsets and compositions are signed.
    let offset = optional(0x01)?.map(|offset| offset as i32);
    let first_flags = optional(0x04)?;
    let mut samples = Vec::with_capacity(count);
    for index in 0..count {
        let duration = optional(0x100)?.unwrap_or(defaults.duration);
        let size = optional(0x200)?.unwrap_or(defaults.size);
        let own = optional(0x400)?;
        let first = first_flags.filter(|_| index == 0);
        let composition = optional(0x800)?.map_or(0, |offset| offset as i32);
        samples.push(Sample { duration, size, flags: own.or(first).unwrap_or(defaults.flags), composition });
    }
    Ok(Run { offset, samples })
}

fn read_moov(moov: &[u8]) -> Result<Vec<Known>, Error> {
    let mut tracks = Vec::new();
    for (name, body) in children(moov) {
        if &name == b"trak" {
            tracks.push(read_trak(body)?);
        }
        if tracks.len() > TRACKS_MAX {
            return Err(Error::TooMany { count: tracks.len(), max: TRACKS_MAX });
        }
    }
    let extends = find(moov, &[b"mvex"]).unwrap_or_default();
    for body in children(extends).filter_map(|(name, body)| (&name == b"trex").then_some(body)) {
        let mut fields = Fields(body);
        let mut next = || fields.u32().ok_or(Error::Malformed { name: *b"trex" });
        let [_, id, _, duration, size, flags] = [next()?, next()?, next()?, next()?, next()?, next()?];
        if let Some(known) = tracks.iter_mut().find(|known| known.id == id) {
            known.defaults = Defaults { duration, size, flags };
        }
    }
    Ok(tracks)
}

fn read_trak(trak: &[u8]) -> Result<Known, Error> {
    let id = find(trak, &[b"tkhd"]).and_then(|body| {
        let mut fields = Fields(body);
        let times = if fields.u32()? >> 24 == 1 { 16 } else { 8 };
        fields.skip(times)?;
        fields.u32()
    });
    let scale = find(trak, &[b"mdia", b"mdhd"]).and_then(|body| {
        let mut fields = Fields(body);
        let times = if fields.u32()? >> 24 == 1 { 16 } else { 8 };
        fields.skip(times)?;
        Timescale::new(fields.u32()?)
    });
    let (Some(id), Some(scale)) = (id, scale) else { return Err(Error::Malformed { name: *b"trak" }) };
    let entries = find(trak, &[b"mdia", b"minf", b"stbl", b"stsd"]).and_then(|body| body.get(8..));
    let entry = entries.and_then(|entries| children(entries).next()).ok_or(Error::Malformed { name: *b"stsd" })?;
    let track = Track::new(read_entry(entry)?);
    Ok(Known { id, scale, track, defaults: Defaults::default() })
}

/// Bytes of a sample entry before its boxes.
const VISUAL_ENTRY: usize = 78;
const AUDIO_ENTRY: usize = 28;

fn read_entry((name, body): ([u8; 4], &[u8])) -> Result<CodecConfig, Error> {
    let malformed = || Error::Malformed { name };
    let inner = |skip: usize, wanted: &'static [u8; 4]| {
        body.get(skip..).and_then(|rest| find(rest, &[wanted])).ok_or_else(malformed)
    };
    match &name {
        b"avc1" | b"avc3" => Ok(CodecConfig::Avc(avc::Config::parse(inner(VISUAL_ENTRY, b"avcC")?)?)),
        b"hvc1" | b"hev1" => Ok(CodecConfig::Hevc(hevc::Config::parse(inner(VISUAL_ENTRY, b"hvcC")?)?)),
        b"av01" => Ok(CodecConfig::Av1(av1::Config::parse(inner(VISUAL_ENTRY, b"av1C")?)?)),
        b"mp4a" => {
            let esds = inner(AUDIO_ENTRY, b"esds")?;
            let config = audio_specific_config(esds).ok_or_else(malformed)?;
            Ok(CodecConfig::Aac(aac::Config::parse(config)?))
        }
        _ => Err(malformed()),
    }
}

/// The DecoderSpecificInfo within an `esds` (ISO/IEC 14496-1, 7.2.6): tag 5, inside 4, inside 3.
fn audio_specific_config(esds: &[u8]) -> Option<&[u8]> {
    let (_, es) = descriptor(esds.get(4..)?, 3)?;
    let (_, decoder) = descriptor(es.get(3..)?, 4)?;
    let (_, config) = descriptor(decoder.get(13..)?, 5)?;
    Some(config)
}

/// The descriptor at the front, if it has that tag: what follows it, and its body.
fn descriptor(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (&tag, mut rest) = bytes.split_first()?;
    let mut size = 0usize;
    for _ in 0..4 {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        size = size << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    (tag == wanted && size <= rest.len()).then(|| (&rest[size..], &rest[..size]))
}

fn box_header(header: &[u8; BOX_HEADER]) -> (usize, [u8; 4]) {
    let [a, b, c, d, name @ ..] = *header;
    (u32::from_be_bytes([a, b, c, d]) as usize, name)
}

/// The boxes of a body, one level deep; ends at the first that is not whole.
fn children(mut body: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (size, name) = box_header(body.first_chunk()?);
        let inside = body.get(BOX_HEADER..size)?;
        body = &body[size..];
        Some((name, inside))
    })
}

/// The body of a box by its path.
fn find<'a>(body: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter()
        .try_fold(body, |body, wanted| children(body).find_map(|(name, inside)| (&name == *wanted).then_some(inside)))
}

/// Takes big-endian fields from the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u32(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*head))
    }

    fn u64(&mut self) -> Option<u64> {
        let (head, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*head))
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fmp4::{self, Run as Written, Sample as WrittenSample, fragment_header, init_segment};
    use proptest::prelude::*;

    const AVCC: &[u8] = &[
        1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40, 1, 0, 4, 0x68,
        0xce, 0x3c, 0x80,
    ];

    fn tracks() -> [Track; 2] {
        [
            Track::new(CodecConfig::Avc(avc::Config::parse(AVCC).unwrap())),
            Track::new(CodecConfig::Aac(aac::Config::parse(&[0x11, 0x90]).unwrap())),
        ]
    }

    fn unit(kind: TrackKind, dts: i64, pts: i64, keyframe: Keyframe, payload: &[u8]) -> AccessUnit {
        AccessUnit { kind, dts, pts, keyframe, data: Bytes::copy_from_slice(payload) }
    }

    /// A file with one fragment, and what is in it.
    fn file(start: u32, payloads: &[Vec<u8>]) -> (Vec<u8>, Vec<Item>) {
        let [video, audio] = tracks();
        let mut out = init_segment(Some(&video), Some(&audio)).to_vec();
        let mut items = vec![Item::Track(0, video), Item::Track(1, audio)];
        let samples: Vec<WrittenSample> = payloads
            .iter()
            .enumerate()
            .map(|(index, payload)| WrittenSample {
                duration: 3_000,
                size: u32::try_from(payload.len()).unwrap(),
                composition: 6_000 - 100 * i32::try_from(index).unwrap(),
                keyframe: if index == 0 { Keyframe::Yes } else { Keyframe::No },
            })
            .collect();
        let sound = [WrittenSample { duration: 1_024, size: 3, composition: 0, keyframe: Keyframe::Yes }];
        let start = i64::from(start);
        let runs = [
            Written { track_id: fmp4::VIDEO_TRACK_ID, base_decode_time: start as u64, samples: &samples },
            Written { track_id: fmp4::AUDIO_TRACK_ID, base_decode_time: 77, samples: &sound },
        ];
        out.extend(fragment_header(1, &[], &runs));
        for (index, (payload, sample)) in payloads.iter().zip(&samples).enumerate() {
            out.extend(payload);
            let dts = start + 3_000 * i64::try_from(index).unwrap();
            let pts = dts + i64::from(sample.composition);
            items.push(Item::Unit(0, unit(TrackKind::Video, dts, pts, sample.keyframe, payload)));
        }
        out.extend([1, 2, 3]);
        items.push(Item::Unit(1, unit(TrackKind::Audio, 77, 77, Keyframe::Yes, &[1, 2, 3])));
        (out, items)
    }

    fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..30), 1..6)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(start: u32, payloads in payloads(), step in 1..200usize) {
            let (bytes, expected) = file(start, &payloads);
            let mut demuxer = Demuxer::new();
            let mut items = Vec::new();
            for chunk in bytes.chunks(step) {
                items.extend(demuxer.push(chunk).unwrap());
            }
            prop_assert_eq!(items, expected);
        }

        #[test]
        fn no_bytes_panic(
            payloads in payloads(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            noise in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let (mut bytes, _) = file(9, &payloads);
            for (index, value) in damage {
                let at = index.index(bytes.len());
                bytes[at] = value;
            }
            bytes.extend(noise);
            let mut demuxer = Demuxer::new();
            for chunk in bytes.chunks(50) {
                if demuxer.push(chunk).is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn a_box_without_bounds_is_refused() {
        let claim = |size: u32| [&size.to_be_bytes()[..], b"mdat"].concat();
        for size in [0, 1, 7, 0x0200_0001, u32::MAX] {
            let error = Demuxer::new().push(&claim(size)).unwrap_err();
            assert_eq!(error, Error::BoxSize { name: *b"mdat", bytes: size.into() });
        }
    }

    #[test]
    fn a_sample_outside_of_its_fragment_is_refused() {
        let (bytes, _) = file(0, &[vec![1; 9]]);
        let mut short = bytes[..bytes.len() - 2].to_vec();
        let mdat = short.windows(4).rposition(|name| name == b"mdat").unwrap();
        short[mdat - 1] -= 2;
        assert_eq!(Demuxer::new().push(&short).unwrap_err(), Error::SampleRange { at: 9, bytes: 3 });
    }

    /// A fragment of the first track, with these bodies of `trun`, and one byte of data.
    fn fragment(runs: &[&[u8]]) -> Vec<u8> {
        let boxed = |name: &[u8; 4], body: &[u8]| {
            [&u32::try_from(8 + body.len()).unwrap().to_be_bytes()[..], name, body].concat()
        };
        let track = boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 1]);
        let runs = runs.iter().map(|run| boxed(b"trun", run)).collect::<Vec<_>>().concat();
        [boxed(b"moof", &boxed(b"traf", &[track, runs].concat())), boxed(b"mdat", &[9])].concat()
    }

    #[test]
    fn samples_take_no_more_than_their_fragment_has() {
        let [video, audio] = tracks();
        let read = |runs: &[&[u8]]| {
            let mut demuxer = Demuxer::new();
            demuxer.push(&init_segment(Some(&video), Some(&audio))).unwrap();
            demuxer.push(&fragment(runs))
        };
        // Sixteen bytes that claim 4,096 samples of no size, which is no unit; and another one is too many.
        let empty: &[u8] = &[0, 0, 0, 0, 0, 0, 0x10, 0];
        assert_eq!(read(&[empty]), Ok(vec![]));
        assert_eq!(read(&[empty, empty]), Err(Error::TooMany { count: 4_096, max: 0 }));
        // Two samples of the same byte: each run says where it begins.
        let offset = fragment(&[&[0; 16], &[0; 16]]).len() as u8 - 1;
        let sized: &[u8] = &[0, 0, 2, 1, 0, 0, 0, 1, 0, 0, 0, offset, 0, 0, 0, 1];
        assert_eq!(read(&[sized, sized]), Err(Error::SampleRange { at: 0, bytes: 1 }));
    }
}

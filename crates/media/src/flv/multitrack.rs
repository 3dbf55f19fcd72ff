//! Multitrack messages taken apart. Source: Enhanced RTMP v2, "ExVideoTagHeader", "ExVideoTagBody" and their like for audio.

use super::reader::Reader;
use super::{Error, TRACKS_MAX};

/// `AvMultitrackType`.
mod layout {
    pub(super) const ONE_TRACK: u8 = 0;
    pub(super) const MANY_TRACKS: u8 = 1;
    pub(super) const MANY_TRACKS_MANY_CODECS: u8 = 2;
}

/// One track's share of a message.
pub(super) struct Share {
    pub(super) id: u8,
    pub(super) fourcc: [u8; 4],
    pub(super) body: Reader,
}

/// Takes a message apart after its first header: the packet type that its shares have, and the shares in their order.
pub(super) fn shares(mut reader: Reader) -> Result<(u8, Vec<Share>), Error> {
    let first = reader.u8()?;
    let (layout, packet_type) = (first >> 4, first & 0x0f);
    let mut fourcc = [0; 4];
    match layout {
        layout::ONE_TRACK | layout::MANY_TRACKS => fourcc = reader.array()?,
        layout::MANY_TRACKS_MANY_CODECS => {}
        // What is yet to be invented cannot be taken apart.
        _ => return Ok((packet_type, Vec::new())),
    }
    let mut shares = Vec::with_capacity(1);
    loop {
        if shares.len() == TRACKS_MAX {
            return Err(Error::Tracks { kind: reader.kind() });
        }
        if layout == layout::MANY_TRACKS_MANY_CODECS {
            fourcc = reader.array()?;
        }
        let id = reader.u8()?;
        let body = match layout {
            layout::ONE_TRACK => reader.split_rest(),
            _ => {
                let size = reader.u24()?;
                reader.split(size)?
            }
        };
        shares.push(Share { id, fourcc, body });
        if reader.is_at_end() {
            return Ok((packet_type, shares));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::flv::{Demuxer, Error, TRACKS_MAX, Unit, mux};
    use crate::track::{AccessUnit, FurtherTrack, Track, TrackKind};
    use bytes::Bytes;
    use proptest::prelude::*;

    const AVCC: &[u8] = &[
        1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40, 1, 0, 4, 0x68,
        0xce, 0x3c, 0x80,
    ];

    /// The shares of one video message: number, FourCC, what follows.
    type Shares = Vec<(u8, &'static [u8; 4], Vec<u8>)>;

    /// A message in the layout of that number, with a header of keyframes.
    fn message(layout: u8, packet_type: u8, shares: &Shares) -> Bytes {
        let mut body = vec![0x96, layout << 4 | packet_type];
        if layout != 2 {
            body.extend(shares[0].1);
        }
        for (id, fourcc, coded) in shares {
            if layout == 2 {
                body.extend(*fourcc);
            }
            body.push(*id);
            if layout != 0 {
                body.extend(&u32::try_from(coded.len()).unwrap().to_be_bytes()[1..]);
            }
            body.extend(coded);
        }
        body.into()
    }

    /// A configuration, and a picture with its composition time.
    fn coded(fourcc: &[u8; 4], number: u8) -> (Vec<u8>, Vec<u8>) {
        match fourcc {
            b"avc1" => (AVCC.to_vec(), vec![0, 0, number, 0, 0, 0, 1, number]),
            _ => (vec![0x81, 5, 12, 0], vec![0x12, number]),
        }
    }

    /// What a demuxer gave, by track.
    fn sorted(units: Vec<Unit>) -> Vec<(u8, Option<Track>, Option<AccessUnit>)> {
        let mut sorted: Vec<_> = units
            .into_iter()
            .map(|unit| match unit {
                Unit::Config(track) => (0, Some(track), None),
                Unit::Access(unit) => (0, None, Some(unit)),
                Unit::FurtherConfig(further, track) => (further.id(), Some(track), None),
                Unit::FurtherAccess(further, unit) => (further.id(), None, Some(unit)),
                other => panic!("{other:?}"),
            })
            .collect();
        sorted.sort_by_key(|(id, ..)| *id);
        sorted
    }

    #[test]
    fn one_track_of_a_message_is_a_slice_of_it() {
        let mut demuxer = Demuxer::new();
        demuxer.video(0, message(0, 0, &vec![(3, b"avc1", AVCC.to_vec())])).unwrap();
        let body = message(0, 1, &vec![(3, b"avc1", coded(b"avc1", 40).1)]);
        let units = demuxer.video(100, body.clone()).unwrap();
        let [Unit::FurtherAccess(further, unit)] = &units[..] else { panic!("{units:?}") };
        assert_eq!((further.id(), unit.dts, unit.pts), (3, 9_000, 12_600));
        assert_eq!(unit.data.as_ptr(), body[10..].as_ptr());
    }

    #[test]
    fn further_sound_is_told_once_and_passed_over() {
        let mut demuxer = Demuxer::new();
        let head = |packet_type, id| [&[0x95, packet_type][..], b"Opus", &[id]].concat();
        let told = demuxer.audio(0, Bytes::from([head(0, 1), b"OpusHead".to_vec()].concat())).unwrap();
        assert_eq!(told, [Unit::FurtherSound(FurtherTrack::new(1).unwrap())]);
        assert_eq!(demuxer.audio(20, Bytes::from([head(1, 1), vec![1, 2]].concat())).unwrap(), [Unit::Ignored]);
        let usual = demuxer.audio(20, Bytes::from([head(0, 0), vec![0x12, 0x10]].concat()));
        assert!(matches!(usual, Err(Error::FourCc { kind: TrackKind::Audio, .. })), "{usual:?}");
        let aac = Bytes::from_static(b"\x95\x00mp4a\x00\x12\x10");
        assert!(matches!(&demuxer.audio(20, aac).unwrap()[..], [Unit::Config(_)]));
        let frame = Bytes::from_static(b"\x95\x01mp4a\x00\x01\x02");
        assert!(matches!(&demuxer.audio(20, frame).unwrap()[..], [Unit::Access(_)]));
    }

    #[test]
    fn tracks_are_limited_and_a_message_goes_whole_or_not_at_all() {
        let mut demuxer = Demuxer::new();
        for id in 0..u8::try_from(TRACKS_MAX).unwrap() {
            demuxer.video(0, message(0, 0, &vec![(id, b"avc1", AVCC.to_vec())])).unwrap();
        }
        let one_more = message(0, 0, &vec![(200, b"avc1", AVCC.to_vec())]);
        assert_eq!(demuxer.video(0, one_more), Err(Error::Tracks { kind: TrackKind::Video }));
        let again = message(1, 0, &vec![(1, b"avc1", AVCC.to_vec()), (2, b"avc1", AVCC.to_vec())]);
        assert_eq!(demuxer.video(0, again).unwrap().len(), 2);
        let mut many: Shares = vec![(1, b"avc1", coded(b"avc1", 1).1)];
        many.push((9, b"avc1", coded(b"avc1", 1).1));
        assert_eq!(demuxer.video(0, message(1, 1, &many)), Err(Error::Unconfigured { kind: TrackKind::Video }));
        let endless: Shares = (0..100).map(|_| (1, b"avc1", Vec::new())).collect();
        assert_eq!(demuxer.video(0, message(1, 1, &endless)), Err(Error::Tracks { kind: TrackKind::Video }));
        let mut short = message(1, 0, &vec![(1, b"avc1", AVCC.to_vec())]).to_vec();
        short.truncate(20);
        assert!(matches!(demuxer.video(0, short.into()), Err(Error::Short { .. })));
        // A layout of the future.
        assert_eq!(demuxer.video(0, Bytes::from_static(&[0x96, 0x31, 1, 2, 3])).unwrap(), []);
    }

    #[test]
    fn a_plain_body_becomes_one_of_a_further_track() {
        let further = FurtherTrack::new(2).unwrap();
        let mut demuxer = Demuxer::new();
        let mut take = |at, body: &[u8]| demuxer.video(at, mux::further_body(further, body).unwrap()).unwrap();
        let legacy = [&[0x17, 0, 0, 0, 0], AVCC].concat();
        assert!(matches!(&take(0, &legacy)[..], [Unit::FurtherConfig(id, _)] if *id == further));
        let units = take(40, &[0x27, 1, 0, 0, 40, 0, 0, 0, 1, 9]);
        let [Unit::FurtherAccess(_, unit)] = &units[..] else { panic!("{units:?}") };
        assert_eq!((unit.dts, unit.pts, &unit.data[..]), (3_600, 7_200, &[0, 0, 0, 1, 9][..]));
        let units = take(80, b"\xa3avc1\0\0\0\x01\x09");
        assert!(matches!(&units[..], [Unit::FurtherAccess(_, unit)] if unit.dts == unit.pts));
        assert_eq!(mux::further_body(further, &[0x17, 0]), None);
    }

    proptest! {
        /// However an encoder spreads its tracks over messages, each track's units are those it would send alone.
        #[test]
        fn the_layout_makes_no_difference(
            ids in prop::sample::subsequence((0..12u8).collect::<Vec<_>>(), 1..=TRACKS_MAX).prop_shuffle(),
            av1 in prop::collection::vec(any::<bool>(), TRACKS_MAX),
            pictures in prop::collection::vec((any::<u8>(), 0..3u8, 1..=TRACKS_MAX), 1..12),
            at: u32,
        ) {
            // Only the last layout mixes codecs.
            let one_codec = |layout| layout != 2;
            let fourcc = |place: usize, mixed: bool| -> &'static [u8; 4] { if mixed && av1[place] { b"av01" } else { b"avc1" } };
            for mixed in [false, true] {
                let share = |place: usize, picture: Option<u8>| {
                    let fourcc = fourcc(place, mixed);
                    let (config, access) = coded(fourcc, picture.unwrap_or(0));
                    (ids[place], fourcc, if picture.is_some() { access } else { config })
                };
                let (mut spread, mut single) = (Demuxer::new(), Demuxer::new());
                let configs: Shares = (0..ids.len()).map(|place| share(place, None)).collect();
                let mut expected = Vec::new();
                for config in &configs {
                    expected.extend(single.video(at, message(0, 0, &vec![config.clone()])).unwrap());
                }
                prop_assert_eq!(sorted(spread.video(at, message(2, 0, &configs)).unwrap()), sorted(expected));
                for (step, (number, layout, together)) in pictures.iter().enumerate() {
                    let at = at.wrapping_add(step as u32 * 33);
                    let layout = if mixed && one_codec(*layout) { 2 } else { *layout };
                    let shares: Shares = (0..ids.len()).map(|place| share(place, Some(*number))).collect();
                    let (mut got, mut expected) = (Vec::new(), Vec::new());
                    for shares in shares.chunks(if layout == 0 { 1 } else { *together }) {
                        got.extend(spread.video(at, message(layout, 1, &shares.to_vec())).unwrap());
                    }
                    for share in &shares {
                        expected.extend(single.video(at, message(0, 1, &vec![share.clone()])).unwrap());
                    }
                    prop_assert_eq!(sorted(got), sorted(expected));
                }
            }
        }

        #[test]
        fn no_multitrack_message_panics(
            messages in prop::collection::vec((any::<u32>(), 0..3u8, 0..8u8, prop::collection::vec(any::<u8>(), 0..60)), 0..20),
            video: bool,
        ) {
            let mut demuxer = Demuxer::new();
            for (at, layout, packet_type, tail) in messages {
                let head = if video { 0x96 } else { 0x95 };
                let body = Bytes::from([&[head, layout << 4 | packet_type][..], b"avc1", &tail].concat());
                let units = if video { demuxer.video(at, body) } else { demuxer.audio(at, body) };
                prop_assert!(units.map_or(0, |units| units.len()) <= TRACKS_MAX);
            }
        }
    }
}

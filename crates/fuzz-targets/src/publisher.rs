//! What a publisher shows and says: the key of a configuration, the request for one, `onMetaData`.

use crate::media::linted;
use crate::messages::What;
use crate::{seeds, wire};
use headwater_control::ivs::client_configuration::{Endpoint, FrameRate, configure};
use headwater_hls::lint::Linter;
use headwater_hls::playlist::{self, Facts};
use headwater_hls::{Latency, Options, Packager};
use headwater_live::ladder::plan::{Source, TopOfStandard, plan};
use headwater_media::flv::{Demuxer, TRACKS_MAX, Unit};
use headwater_media::{StreamMetadata, WallTime};
use headwater_model::ivs::{
    ChannelType, ClientConfiguration, ClientKey, ConfiguredTrack, MaximumResolution, MultitrackInput, MultitrackPolicy,
    Shown, StreamKey, TRACKS_CONFIGURED_MAX, VideoCodec, VideoTrack,
};
use headwater_model::{Secret, Timestamp};
use headwater_rtmp::Server;
use headwater_rtmp::limits::ENCODER_NAME_CHARS_MAX;
use headwater_rtmp::server::{Capabilities, Deadlines, Event};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Instant;

/// When all of it happens.
const NOW: Timestamp = Timestamp(1_795_498_182_000);

/// The stream key that the seeds' keys are made of.
pub(crate) fn stream_key() -> StreamKey {
    StreamKey {
        id: "abcDEF012345".into(),
        arn: "arn:aws:ivs:us-east-1:000000000000:stream-key/abcDEF012345".into(),
        channel_arn: "arn:aws:ivs:us-east-1:000000000000:channel/abcDEF012345".into(),
        value: Secret::new("sk_us-east-1_abcDEF012345_of_the_fuzz_targets"),
        tags: Default::default(),
        created_at: NOW,
    }
}

/// What an encoder was told to send.
pub(crate) fn configuration() -> ClientConfiguration {
    let track = |width, height, kbps| ConfiguredTrack {
        video: VideoTrack { codec: VideoCodec::H264, width, height },
        frame_rate_millis: 30_000,
        kbps,
    };
    ClientConfiguration {
        id: uuid::Uuid::from_u128(7),
        expires_at: NOW,
        tracks: vec![track(1_280, 720, 2_000), track(640, 360, 500)],
    }
}

/// A configuration of bytes: eight of time, 16 of its id, 17 for each track.
fn configuration_of(bytes: &[u8]) -> Option<ClientConfiguration> {
    let (head, tracks) = bytes.split_at_checked(24)?;
    let number = |bytes: &[u8], at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let track = |bytes: &[u8]| ConfiguredTrack {
        video: VideoTrack {
            codec: [VideoCodec::H264, VideoCodec::H265, VideoCodec::Av1][usize::from(bytes[0]) % 3],
            width: number(bytes, 1),
            height: number(bytes, 5),
        },
        frame_rate_millis: number(bytes, 9),
        kbps: number(bytes, 13),
    };
    Some(ClientConfiguration {
        id: uuid::Uuid::from_slice(&head[8..]).ok()?,
        expires_at: Timestamp(i64::from_be_bytes(head[..8].try_into().ok()?)),
        tracks: tracks.chunks_exact(17).map(track).collect(),
    })
}

/// A key of a configuration (the first line), the id beside it (the second), and a configuration (the rest): nothing is opened but what was signed,
/// and what is written reads the same.
pub fn client_key(input: &[u8]) {
    let mut parts = input.splitn(3, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (key, id, rest) = (part(), part(), part());
    let own = stream_key();
    let other = StreamKey { value: Secret::new("sk_us-east-1_another"), ..own.clone() };
    let id = std::str::from_utf8(id).ok();
    let input = MultitrackInput::default();
    if let Some(parsed) = std::str::from_utf8(key).ok().and_then(ClientKey::parse) {
        assert!(!parsed.stream_key_id().is_empty());
        assert_eq!(parsed.open(&other), None, "that one has not signed it");
        if let Some(opened) = parsed.open(&own) {
            // The id only tells where to look for the stream key: all else is as we wrote it.
            let named = StreamKey { id: parsed.stream_key_id().to_owned(), ..own.clone() };
            let written = ClientKey::make(&named, &opened).expect("it was written before");
            assert_eq!(written.expose().as_bytes(), key, "only what we wrote opens");
            let _ = input.admits(&Shown::Configured(opened), id);
        }
    }
    let Some(told) = configuration_of(rest) else { return };
    let Some(written) = ClientKey::make(&own, &told) else { return };
    assert!((1..=TRACKS_CONFIGURED_MAX).contains(&told.tracks.len()));
    let read = ClientKey::parse(written.expose()).expect("what we write can be read");
    assert_eq!((read.stream_key_id(), read.open(&other)), (&*own.id, None));
    // Times are written in seconds; those that no clock shows come to the first that can be told.
    let expires_at = Timestamp(told.expires_at.0.div_euclid(1_000).saturating_mul(1_000));
    let again = read.open(&own).expect("we signed it");
    assert_eq!(again, ClientConfiguration { expires_at, ..told });
    let own_id = again.id.to_string();
    assert_eq!(input.admits(&Shown::Configured(again), Some(&own_id)), Ok(()));
}

/// A request for a configuration, on channels of every policy and size: what is configured suits channel and request, and its key holds it.
pub fn client_configuration(input: &[u8]) {
    let key = stream_key();
    for maximum in [MaximumResolution::Sd, MaximumResolution::Hd, MaximumResolution::FullHd] {
        for policy in [MultitrackPolicy::Allow, MultitrackPolicy::Require] {
            let multitrack = MultitrackInput { enabled: true, policy: Some(policy), maximum_resolution: Some(maximum) };
            let url_template = "rtmps://localhost:443/app/{stream_key}".to_owned();
            let endpoints = vec![Endpoint { protocol: "RTMPS", url_template }];
            let configured = headwater_gateway::doors::client_configuration(input, |asked| {
                configure(asked, multitrack, &key, endpoints, NOW)
            });
            let Some((asked, configured, answer)) = configured else { continue };
            let tracks = &configured.tracks;
            let tracks_max = asked.preferences.tracks_max.map_or(TRACKS_CONFIGURED_MAX, |max| max.max(1) as usize);
            assert!((1..=tracks_max.min(TRACKS_CONFIGURED_MAX)).contains(&tracks.len()), "{tracks:?}");
            assert!(policy == MultitrackPolicy::Allow || tracks.len() > 1);
            let (short, long) = match maximum {
                MaximumResolution::Sd => (480, 864),
                MaximumResolution::Hd => (720, 1_280),
                MaximumResolution::FullHd => (1_080, 1_920),
            };
            for track in tracks {
                let (width, height) = (track.width, track.height);
                assert!(width.min(height) <= short && width.max(height) <= long, "{tracks:?}");
                assert!(width.min(height) > 0 && width % 2 == 0 && height % 2 == 0, "{tracks:?}");
                let FrameRate { numerator, denominator } = track.frame_rate;
                assert!(numerator > 0 && u64::from(numerator) <= 60 * u64::from(denominator), "{tracks:?}");
            }
            assert!(tracks.is_sorted_by(|better, worse| better.kbps >= worse.kbps), "{tracks:?}");
            let kbps = tracks.iter().map(|track| u64::from(track.kbps)).sum::<u64>() + u64::from(configured.audio.0);
            assert!(asked.preferences.bandwidth_kbps_max.is_none_or(|max| kbps <= max), "{kbps} kb/s");

            let shown = ClientKey::parse(configured.authentication.expose()).expect("what we write can be read");
            let opened = shown.open(&key).expect("we signed it");
            assert_eq!((opened.id, opened.tracks.len()), (configured.id, tracks.len()));
            let sizes =
                |(track, rung): (&ConfiguredTrack, _)| (track.video.width, track.video.height, track.kbps) == rung;
            let rungs = tracks.iter().map(|rung| (rung.width, rung.height, rung.kbps));
            assert!(opened.tracks.iter().zip(rungs).all(sizes), "{opened:?} {tracks:?}");
            assert_eq!(answer["encoder_configurations"].as_array().map(Vec::len), Some(tracks.len()));
            assert!(!answer.to_string().contains(key.value.expose()), "the stream key stays with its holder");
        }
    }
}

/// Four seconds of a stream, as ingest hands it on.
static UNITS: LazyLock<Vec<(WallTime, Unit)>> = LazyLock::new(|| {
    let (mut demuxer, mut timestamp_ms) = (Demuxer::new(), 0u32);
    let mut units = Vec::new();
    for message in seeds::plain_stream() {
        timestamp_ms = timestamp_ms.wrapping_add_signed(message.step_ms.into());
        let read = match message.what {
            What::Video => demuxer.video(timestamp_ms, message.body),
            _ => demuxer.audio(timestamp_ms, message.body),
        };
        let at = WallTime(NOW.0).plus_ms(timestamp_ms.into());
        units.extend(read.expect("a made stream is whole").into_iter().map(|unit| (at, unit)));
        if timestamp_ms > 4_500 {
            break;
        }
    }
    units
});

/// The bytes of a publisher before its metadata.
static PUBLISH: LazyLock<Vec<u8>> = LazyLock::new(wire::publish);

/// The body of a data message of somebody who publishes: what is read of it is within its ranges, the ladder that is planned by it is no larger than
/// the source, and the stream's playlists keep the linter's rules.
pub fn publisher_metadata(input: &[u8]) {
    let now = Instant::now();
    let mut session = Server::new(now, 7, Deadlines::default(), Capabilities::default());
    session.handle_input(now, &PUBLISH).expect("a publisher");
    while let Some(event) = session.poll_event() {
        if matches!(event, Event::PublishRequested(_)) {
            session.accept(now);
        }
    }
    while session.poll_transmit().is_some() {}
    let _ = session.handle_input(now, &wire::message(18, input));
    while let Some(event) = session.poll_event() {
        let Event::Metadata(values) = event else { continue };
        let words = [Shown::StreamKey, Shown::Configured(configuration())]
            .map(|shown| headwater_ingest::doors::metadata(&values, &shown));
        words.iter().for_each(in_range);
        words.iter().for_each(ladders);
        packaged(&words);
    }
}

fn in_range(words: &StreamMetadata) {
    let name = words.encoder.as_deref().unwrap_or_default();
    assert!(name.chars().count() <= ENCODER_NAME_CHARS_MAX && !name.chars().any(char::is_control), "{name:?}");
    let rates = words.further.iter().map(|further| further.frame_rate_millis).chain([words.frame_rate_millis]);
    assert!(rates.flatten().all(|millis| (1_000..=1_000_000).contains(&millis)), "{words:?}");
    let bits = words.further.iter().map(|further| further.video_bitrate);
    let bits = bits.chain([words.video_bitrate, words.audio_bitrate]).flatten();
    assert!(bits.into_iter().all(|bits| (1_000..=1_000_000_000).contains(&bits)), "{words:?}");
    assert!([words.width, words.height].into_iter().flatten().all(|pixels| (1..=65_535).contains(&pixels)));
    assert!(words.further.len() <= TRACKS_MAX + TRACKS_CONFIGURED_MAX, "{words:?}");
    for further in &words.further {
        assert!(words.of(further.track).is_some());
    }
}

fn ladders(words: &StreamMetadata) {
    let (Some(width), Some(height), Some(frame_rate_millis)) = (words.width, words.height, words.frame_rate_millis)
    else {
        return;
    };
    let source = Source { width, height, frame_rate_millis, sound: words.audio_bitrate.is_some() };
    for kind in [ChannelType::Basic, ChannelType::Standard, ChannelType::AdvancedSd, ChannelType::AdvancedHd] {
        for top in [TopOfStandard::Source, TopOfStandard::Encoded] {
            let plan = plan(kind, "", top, &source);
            let mut names = BTreeSet::new();
            for rendition in &plan.renditions {
                assert!(names.insert(&*rendition.name), "{plan:?}");
                assert!(rendition.frame_rate_millis <= frame_rate_millis, "{plan:?}");
                let Some((wide, high)) = rendition.size else { continue };
                assert!(wide <= width && high <= height && wide > 0 && high > 0, "{source:?} {plan:?}");
                assert!(wide % 2 == 0 && high % 2 == 0, "{plan:?}");
            }
        }
    }
}

/// A stream whose encoder says the one from its start on and the other from its middle on.
fn packaged([first, second]: &[StreamMetadata; 2]) {
    let options = Options { epoch: "e".into(), rendition: "source".into(), latency: Latency::Low };
    let mut packager = Packager::new(options);
    let mut linter = Linter::new();
    packager.handle_metadata(first);
    for (number, (at, unit)) in UNITS.iter().enumerate() {
        match unit {
            Unit::Config(track) => packager.handle_track(track.clone()),
            Unit::Access(unit) => packager.handle_unit(unit.clone(), *at).expect("a made stream is small"),
            _ => {}
        }
        if number == UNITS.len() / 2 {
            packager.handle_metadata(second);
        }
        if number % 16 == 0
            && let Some(snapshot) = packager.poll_snapshot()
        {
            linted(&mut linter, &snapshot);
        }
    }
    packager.end();
    let snapshot = packager.poll_snapshot().expect("there is a stream");
    linted(&mut linter, &snapshot);
    let text = playlist::multivariant(&Facts::from(&*snapshot), "source.m3u8");
    assert_eq!(text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>(), ["source.m3u8"], "{text}");
}

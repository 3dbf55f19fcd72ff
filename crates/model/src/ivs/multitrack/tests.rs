//! Keys of configurations, and what is sent against what was configured.

use super::*;
use crate::ivs::StreamKey;
use crate::{Realm, Secret};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_795_498_182_000);

fn track(width: u32, height: u32) -> VideoTrack {
    VideoTrack { codec: VideoCodec::H264, width, height }
}

fn configured(video: &VideoTrack) -> ConfiguredTrack {
    ConfiguredTrack { video: *video, frame_rate_millis: 59_940, kbps: 6_000 }
}

fn configuration(tracks: &[VideoTrack]) -> ClientConfiguration {
    ClientConfiguration {
        id: uuid::Uuid::from_u128(7),
        expires_at: NOW,
        tracks: tracks.iter().map(configured).collect(),
    }
}

fn stream_key() -> StreamKey {
    StreamKey::new(&Realm::default(), "arn:aws:ivs:us-east-1:000000000000:channel/AbCdef1G2hij", NOW)
}

fn open(text: &str, key: &StreamKey) -> Option<ClientConfiguration> {
    ClientKey::parse(text).and_then(|parsed| parsed.open(key))
}

#[test]
fn a_key_holds_its_configuration_and_only_its_stream_key_opens_it() {
    let (key, all) =
        (stream_key(), [track(1920, 1080), track(1280, 720), track(852, 480), track(640, 360), track(284, 160)]);
    for count in 1..=all.len() {
        let told = configuration(&all[..count]);
        let text = ClientKey::make(&key, &told).expect("it has a form");
        assert_eq!(ClientKey::parse(text.expose()).expect("a key").stream_key_id(), key.id);
        assert_eq!(open(text.expose(), &key), Some(told));
        // What RTMP and the look-up of keys take, and OBS' way of putting it into a URL.
        assert!(text.expose().len() <= 160, "{}", text.expose().len());
        assert!(text.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
        assert!(!text.expose().contains(key.value.expose()));
        // The same id with another value, as of a stream key that was made anew, and another id with the same value.
        assert_eq!(open(text.expose(), &StreamKey { value: Secret::new("sk_us-east-1_other"), ..key.clone() }), None);
        assert_eq!(open(text.expose(), &StreamKey { arn: format!("{}x", key.arn), ..key.clone() }), None);
    }
    assert_eq!(ClientKey::make(&key, &configuration(&[])), None);
    assert_eq!(ClientKey::make(&key, &configuration(&[all[0]; TRACKS_CONFIGURED_MAX + 1])), None);
    assert_eq!(ClientKey::make(&key, &configuration(&[track(70_000, 2)])), None);
}

#[test]
fn no_part_of_a_key_can_be_changed() {
    let key = stream_key();
    let text = ClientKey::make(&key, &configuration(&[track(1280, 720)])).expect("it has a form");
    let text = text.expose();
    for at in 0..text.len() {
        let mut changed = text.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("letters");
        // The id is not signed, it says whose signature it is: another one is looked up, and did not sign this.
        let named = ClientKey::parse(&changed).is_some_and(|parsed| parsed.stream_key_id() == key.id);
        assert!(!named || open(&changed, &key).is_none(), "at {at}");
    }
    assert_eq!(open(&format!("{text}."), &key), None);
    assert_eq!(open(&format!("{text}A"), &key), None);
}

proptest! {
    #[test]
    fn no_text_panics(text in "(mt1\\.)?[A-Za-z0-9._-]{0,80}") {
        let _ = open(&text, &stream_key());
    }
}

const REQUIRED: MultitrackInput = MultitrackInput {
    enabled: true,
    policy: Some(MultitrackPolicy::Require),
    maximum_resolution: Some(MaximumResolution::FullHd),
};

#[test]
fn what_is_sent_must_be_what_was_configured() {
    let (open, two) = (MultitrackInput::default(), [track(1280, 720), track(640, 360)]);
    let shown = Shown::Configured(configuration(&two));
    let sent = |tracks: &[VideoTrack]| (0..).zip(tracks.iter().copied().map(Some)).collect::<Vec<_>>();
    assert_eq!(open.judge(&shown, &sent(&two)), Ok(()));
    assert_eq!(open.judge(&shown, &[(0, None), (1, Some(two[1]))]), Ok(()));
    for wrong in [sent(&two[..1]), sent(&[two[0], two[1], two[1]]), vec![(0, Some(two[0])), (2, Some(two[1]))]] {
        assert_eq!(open.judge(&shown, &wrong), Err(MultitrackCode::TrackCount));
    }
    let coded = VideoTrack { codec: VideoCodec::H265, ..two[1] };
    for wrong in [[two[1], two[0]], [two[0], track(640, 368)], [two[0], coded]] {
        assert_eq!(open.judge(&shown, &sent(&wrong)), Err(MultitrackCode::TrackProperties));
    }
    assert_eq!((open.tracks_awaited(&shown), REQUIRED.tracks_awaited(&shown)), (2, 2));
}

#[test]
fn one_track_suits_wherever_several_are_not_required() {
    let one = [(0, Some(track(1280, 720)))];
    let allowed = MultitrackInput { policy: Some(MultitrackPolicy::Allow), ..REQUIRED };
    for input in [MultitrackInput::default(), allowed, MultitrackInput { enabled: false, ..REQUIRED }] {
        assert_eq!(input.judge(&Shown::StreamKey, &one), Ok(()));
        assert_eq!(input.tracks_awaited(&Shown::StreamKey), 0);
    }
    assert_eq!(REQUIRED.judge(&Shown::StreamKey, &one), Err(MultitrackCode::InputRequired));
    assert_eq!(REQUIRED.judge(&Shown::StreamKey, &[]), Err(MultitrackCode::InputRequired));
    assert_eq!(REQUIRED.judge(&Shown::StreamKey, &[one[0], (1, None)]), Ok(()));
    let shown = Shown::Configured(configuration(&[track(1280, 720)]));
    assert_eq!(REQUIRED.judge(&shown, &one), Err(MultitrackCode::InputRequired));
}

#[test]
fn a_key_is_for_its_own_configuration() {
    let input = MultitrackInput::default();
    let shown = Shown::Configured(configuration(&[track(1280, 720)]));
    let [own, other] = [7, 8].map(|id| uuid::Uuid::from_u128(id).to_string());
    assert_eq!(input.admits(&shown, None), Ok(()));
    assert_eq!(input.admits(&shown, Some(&own.to_uppercase())), Ok(()));
    for wrong in [other.as_str(), "", "x"] {
        assert_eq!(input.admits(&shown, Some(wrong)), Err(MultitrackCode::InvalidKey));
    }
    assert_eq!(input.admits(&Shown::Expired, Some(&own)), Err(MultitrackCode::InvalidKey));
    // OBS adds it to whatever key it has.
    assert_eq!(input.admits(&Shown::StreamKey, Some(&own)), Ok(()));
}

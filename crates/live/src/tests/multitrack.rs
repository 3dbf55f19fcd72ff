//! Publishers that send their renditions themselves.

use super::*;
use crate::doctor::Code;
use headwater_hls::lint::across;
use headwater_media::{FurtherMetadata, FurtherTrack};
use headwater_model::ivs::{MaximumResolution, MultitrackCode, MultitrackInput, MultitrackPolicy};

/// 320 by 240 and otherwise like the first of [`tracks`].
fn small() -> Track {
    let avcc = [
        1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x05, 0x07, 0xc4, 0x40, 1, 0, 4, 0x68,
        0xce, 0x3c, 0x80,
    ];
    Track::new(CodecConfig::Avc(avc::Config::parse(&avcc).unwrap()))
}

/// The same of another level.
fn small_anew() -> Track {
    let mut avcc = small().config.record().to_vec();
    avcc[3] = 0x1f;
    Track::new(CodecConfig::Avc(avc::Config::parse(&avcc).unwrap()))
}

fn further(id: u8) -> FurtherTrack {
    FurtherTrack::new(id).unwrap()
}

/// A publisher's further track.
#[derive(Clone, Copy)]
struct Own {
    id: u8,
    /// The frame of its first keyframe, and the frames between them.
    first: i64,
    gop: i64,
    /// Frames that are not sent.
    away: (i64, i64),
    /// Whether its message comes before that of the first track.
    before: bool,
    /// The frame from which on it has another configuration.
    anew: i64,
}

const ALIGNED: Own = Own { id: 1, first: 0, gop: 30, away: (0, 0), before: false, anew: i64::MAX };

/// Sends `ms` of media like [`stream`], with further tracks, each of the size of [`small`].
async fn stream_many(publisher: &Publisher, own: &[Own], ms: i64) -> Result<(), Superseded> {
    configure(publisher).await;
    for own in own {
        publisher.send(Input::FurtherTrack(further(own.id), small())).await?;
    }
    let begun = Instant::now();
    for frame in 0..ms * 30 / 1_000 {
        let at = frame * 1_000 / 30;
        sleep_until(begun + Duration::from_millis(at as u64)).await;
        let unit = |kind, scale, keyframe: bool| {
            let dts = (77_000 + at) * scale;
            let keyframe = if keyframe { Keyframe::Yes } else { Keyframe::No };
            AccessUnit { kind, dts, pts: dts, keyframe, data: Bytes::from_static(b"payload") }
        };
        for own in own.iter().filter(|own| own.anew == frame) {
            publisher.send(Input::FurtherTrack(further(own.id), small_anew())).await?;
        }
        for before in [true, false] {
            for own in own.iter().filter(|own| own.before == before && !(own.away.0..own.away.1).contains(&frame)) {
                let keyframe = frame >= own.first && (frame - own.first) % own.gop == 0;
                publisher.send(Input::FurtherUnit(further(own.id), unit(TrackKind::Video, 90, keyframe))).await?;
            }
            if before {
                publisher.send(Input::Unit(unit(TrackKind::Video, 90, frame % 30 == 0))).await?;
                publisher.send(Input::Unit(unit(TrackKind::Audio, 48, true))).await?;
            }
        }
    }
    Ok(())
}

/// The names that are offered, in their order.
fn offered(live: &LiveStream) -> Vec<String> {
    live.offer()
        .renditions
        .iter()
        .filter(|rendition| rendition.offered())
        .map(|rendition| rendition.name.clone())
        .collect()
}

/// Lints all renditions, alone and against each other.
fn check(live: &LiveStream) {
    let mut texts = vec![("source".to_owned(), playlist::media(&live.snapshot(), Delta::Full))];
    for rendition in &live.offer().renditions {
        if let Some(watch) = rendition.watch() {
            texts.push((rendition.name.clone(), playlist::media(&watch.borrow(), Delta::Full)));
        }
    }
    for (name, text) in &texts {
        let mut findings = Linter::new().check(text);
        findings.retain(|finding| finding.severity == LintSeverity::Error);
        assert_eq!(findings, [], "{name}: {text}");
    }
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(across(&texts), [], "{texts:#?}");
}

fn codes(live: &LiveStream) -> Vec<Code> {
    live.findings().iter().map(|finding| finding.code).collect()
}

#[tokio::test(start_paused = true)]
async fn further_tracks_are_renditions_and_nothing_is_encoded() {
    let world = world();
    let publisher = world.publish().await;
    let own = [ALIGNED, Own { id: 2, before: true, ..ALIGNED }];
    stream_many(&publisher, &own, 9_000).await.unwrap();
    let live = world.stream();
    // Both have the same size and rate, so the second's name has its number.
    assert_eq!(offered(&live), ["240p30", "240p30-2"]);
    assert_eq!((live.offer().ladder.clone(), live.offer().source), (LadderState::Sent, true));
    check(&live);
    for name in ["240p30", "240p30-2"] {
        let (own, source) = (live.rendition(name).unwrap().watch().unwrap().borrow().clone(), live.snapshot());
        assert_eq!(own.last(), source.last(), "{name}");
        assert_eq!(own.video().unwrap().config.dimensions(), Some((320, 240)));
        assert_eq!(own.audio(), source.audio());
        let segments: Vec<_> = (0..own.next().msn).filter_map(|msn| own.segment(msn)).collect();
        assert!(segments.len() >= 3 && segments.iter().all(|segment| !segment.gap() && segment.independent()));
    }
    assert_eq!(codes(&live), [Code::MultitrackNotAllowed]);
    publisher.finish(Ending::Clean).await;
    until("ended", || world.notes.of(&world.channel).len() == 4).await;
    let kept = world.hub.stream_by_epoch(&live.epoch).unwrap();
    assert!(
        kept.offer().renditions.iter().all(|rendition| rendition.watch().is_some_and(|watch| watch.borrow().ended()))
    );
    check(&kept);
}

#[tokio::test(start_paused = true)]
async fn a_name_and_a_rate_come_from_the_encoders_words() {
    let world = world();
    let mut request = world.request(&world.channel);
    let words = FurtherMetadata { track: further(1), frame_rate_millis: Some(15_000), video_bitrate: Some(400_000) };
    request.encoder.as_mut().unwrap().further = vec![words];
    let publisher = world.hub.publish(request).await.unwrap();
    stream_many(&publisher, &[ALIGNED], 5_000).await.unwrap();
    let live = world.stream();
    assert_eq!(offered(&live), ["240p15"]);
    let start = world.notes.events.lock().unwrap()[1].clone();
    let SessionEventKind::Start { video, .. } = start.kind else { panic!("expected a start") };
    let told: Vec<_> = video.iter().map(|track| (track.width, track.target_framerate, track.target_bitrate)).collect();
    assert_eq!(told[1..], [(320, 15, 400_000)], "{told:?}");
    let snapshot = live.rendition("240p15").unwrap().watch().unwrap().borrow().clone();
    assert_eq!((snapshot.bandwidth(), snapshot.frame_rate_millis()), (400_000, Some(15_000)));
}

#[tokio::test(start_paused = true)]
async fn a_track_that_is_not_aligned_is_carried_and_told() {
    let world = world();
    let publisher = world.publish().await;
    let own = [Own { first: 10, ..ALIGNED }, Own { id: 2, ..ALIGNED }];
    stream_many(&publisher, &own, 12_000).await.unwrap();
    let live = world.stream();
    check(&live);
    let finding = live.findings().into_iter().find(|finding| finding.code == Code::TracksUnaligned);
    assert_eq!(finding.map(|finding| finding.measured), Some(1), "{:?}", live.findings());
    let snapshot = live.rendition("240p30").unwrap().watch().unwrap().borrow().clone();
    let gaps = (1..snapshot.next().msn).filter_map(|msn| snapshot.segment(msn)).filter(|segment| segment.gap()).count();
    assert_eq!(gaps, 0, "only the segment in which it begins");
    assert_eq!(snapshot.last(), live.snapshot().last());
}

#[tokio::test(start_paused = true)]
async fn a_track_that_is_configured_anew_gives_all_renditions_a_discontinuity() {
    for before in [false, true] {
        let world = world();
        let publisher = world.publish().await;
        let own = [Own { anew: 120, before, ..ALIGNED }, Own { id: 2, ..ALIGNED }];
        stream_many(&publisher, &own, 9_000).await.unwrap();
        let live = world.stream();
        check(&live);
        assert_eq!(offered(&live), ["240p30", "240p30-2"]);
        let first = live.rendition("240p30").unwrap().watch().unwrap().borrow().clone();
        let other = live.rendition("240p30-2").unwrap().watch().unwrap().borrow().clone();
        assert_eq!(first.video(), Some(&small_anew()));
        for snapshot in [&live.snapshot(), &first, &other] {
            let text = playlist::media(snapshot, Delta::Full);
            assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
            assert!(!text.contains("GAP"), "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_track_that_stops_is_not_listed_and_comes_back() {
    let world = world();
    let publisher = world.publish().await;
    let own = Own { away: (95, 395), ..ALIGNED };
    let publishing = stream_many(&publisher, std::slice::from_ref(&own), 20_000);
    let watching = async {
        until("it is listed", || world.hub.stream(&world.channel.id).is_some_and(|live| offered(&live).len() == 1))
            .await;
        let live = world.stream();
        until("it is not", || offered(&live).is_empty()).await;
        check(&live);
        until("it is again", || offered(&live).len() == 1).await;
    };
    let (published, ()) = tokio::join!(publishing, watching);
    published.unwrap();
    let live = world.stream();
    check(&live);
    assert_eq!(live.rendition("240p30").unwrap().watch().unwrap().borrow().last(), live.snapshot().last());
}

#[tokio::test(start_paused = true)]
async fn renditions_survive_a_reconnect_and_go_with_a_publisher_that_sends_none() {
    let world = world();
    let publisher = world.publish().await;
    stream_many(&publisher, &[ALIGNED], 5_000).await.unwrap();
    let live = world.stream();
    drop(publisher);
    sleep(Duration::from_secs(4)).await;
    let again = world.publish().await;
    stream_many(&again, &[Own { before: true, ..ALIGNED }], 6_000).await.unwrap();
    assert_eq!(offered(&live), ["240p30"]);
    check(&live);
    let snapshot = live.rendition("240p30").unwrap().watch().unwrap().borrow().clone();
    assert_eq!(snapshot.last(), live.snapshot().last());
    let newest = snapshot.segment(snapshot.next().msn - 1).unwrap();
    assert!(!newest.gap() && newest.independent());
    drop(again);
    let plain = world.publish().await;
    stream(&plain, 6_000).await.unwrap();
    assert_eq!(offered(&live), [""; 0]);
    assert_eq!(live.offer().ladder, LadderState::Off);
    check(&live);
}

#[tokio::test(start_paused = true)]
async fn further_sound_is_told_and_the_stream_goes_on() {
    let world = world();
    let publisher = world.publish().await;
    configure(&publisher).await;
    publisher.send(Input::FurtherSound(further(1))).await.unwrap();
    stream(&publisher, 5_000).await.unwrap();
    assert_eq!(codes(&world.stream()), [Code::AudioTracks]);
    assert!(offered(&world.stream()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_takeover_by_priority_needs_as_many_tracks() {
    let world = world();
    let publisher = world.publish().await;
    stream_many(&publisher, &[ALIGNED], 3_000).await.unwrap();
    let claim = |tracks: Vec<Track>| Publish {
        claim: Claim::Priority(1),
        tracks,
        ..Publish::new(world.channel.clone(), "10.0.0.2:5")
    };
    let refused = world.hub.publish(claim(tracks().to_vec())).await;
    assert!(matches!(refused, Err(PublishError::Takeover(TakeoverRefusal::MediaMismatch))), "{refused:?}");
    world.hub.publish(claim([&tracks()[..], &[small()]].concat())).await.unwrap();
    assert_eq!(publisher.cut().await, CutReason::TakenOver);
}

#[tokio::test(start_paused = true)]
async fn a_stall_across_a_reconnect_is_told() {
    let world = world();
    let publisher = world.publish().await;
    stream(&publisher, 5_000).await.unwrap();
    let live = world.stream();
    assert_eq!(codes(&live), []);
    drop(publisher);
    sleep(Duration::from_secs(6)).await;
    let again = world.publish().await;
    stream(&again, 20_000).await.unwrap();
    let [stall] = live.findings()[..] else { panic!("{:?}", live.findings()) };
    assert_eq!(stall.code, Code::Stalls);
    assert!((5_900..=6_200).contains(&stall.measured), "{}", stall.measured);
    // It is remembered for a minute, whoever publishes.
    drop(again);
    let third = world.publish().await;
    stream(&third, 15_000).await.unwrap();
    assert_eq!(codes(&live), [Code::Stalls]);
}

/// A channel that is set up for several tracks.
fn set_up() -> Channel {
    let multitrack = MultitrackInput {
        enabled: true,
        policy: Some(MultitrackPolicy::Allow),
        maximum_resolution: Some(MaximumResolution::FullHd),
    };
    Channel { multitrack, ..channel() }
}

#[tokio::test(start_paused = true)]
async fn what_ivs_would_refuse_is_told_and_the_stream_goes_on() {
    let world = World { channel: set_up(), ..world() };
    for (key, expected) in [(KeyShown::StreamKey, &[Code::MultitrackKey][..]), (KeyShown::Configured, &[])] {
        let publisher = world.hub.publish(Publish { key, ..world.request(&world.channel) }).await.unwrap();
        stream_many(&publisher, &[ALIGNED], 15_000).await.unwrap();
        assert_eq!(codes(&world.stream()), expected, "{key:?}");
        drop(publisher);
    }
    // One track is always welcome here: who must send several is refused before.
    let plain = world.publish().await;
    stream(&plain, 15_000).await.unwrap();
    assert_eq!(codes(&world.stream()), []);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_recorded_once_a_minute_and_not_while_there_is_a_session() {
    let world = world();
    let codes = [MultitrackCode::InputRequired, MultitrackCode::TrackCount];
    for code in [codes[0], codes[0], codes[1], codes[0]] {
        world.hub.refuse(&world.channel, code).await;
    }
    assert_eq!(world.notes.of(&world.channel), codes.map(MultitrackCode::as_str));
    sleep(Duration::from_secs(60)).await;
    world.hub.refuse(&world.channel, codes[0]).await;
    assert_eq!(world.notes.of(&world.channel).len(), 3);
    let ids: HashSet<String> = world.notes.events.lock().unwrap().iter().map(|event| event.stream_id.clone()).collect();
    assert_eq!(ids.len(), 3, "each is a session of its own");
    let _publisher = world.publish().await;
    world.hub.refuse(&world.channel, codes[1]).await;
    assert_eq!(world.notes.of(&world.channel)[3..], ["Created"]);
}

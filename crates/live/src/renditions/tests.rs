//! Who wants a rendition, in virtual time, with an encoder that the test plays.

use super::*;
use crate::ladder::pipes::Pipes;
use crate::session::Identity;
use crate::stream::{Asked, RenditionState};
use bytes::Bytes;
use headwater_hls::lint::{Linter, Severity, across};
use headwater_hls::playlist::Delta;
use headwater_hls::{Latency, Snapshot};
use headwater_media::WallTime;
use headwater_media::codec::{CodecConfig, aac, avc};
use headwater_model::ivs::ChannelType;
use headwater_model::{Realm, Timestamp};
use tokio::sync::watch;

const START: Timestamp = Timestamp(1_795_498_182_123);

/// 640x480, and turned 480x640.
const LEVEL: [u8; 4] = [0x02, 0x80, 0xf6, 0x40];
const UPRIGHT: [u8; 4] = [0x07, 0x81, 0x46, 0x40];

/// The tracks of a source whose sequence parameter set has its size at its end.
fn tracks(size: [u8; 4]) -> [Option<Track>; 2] {
    let mut avcc = vec![1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda];
    avcc.extend(size);
    avcc.extend([1, 0, 4, 0x68, 0xce, 0x3c, 0x80]);
    [
        Some(Track::new(CodecConfig::Avc(avc::Config::parse(&avcc).unwrap()))),
        Some(Track::new(CodecConfig::Aac(aac::Config::parse(&[0x11, 0x90]).unwrap()))),
    ]
}

/// A source of 640x480 and 30 pictures a second, a keyframe every two seconds, on a STANDARD channel: 360p30 and 160p30 below it.
struct Stage {
    pipes: Pipes,
    renditions: Renditions,
    packager: Packager,
    live: Option<(Arc<LiveStream>, watch::Sender<Arc<Snapshot>>)>,
    channel: Channel,
    tracks: [Option<Track>; 2],
    frame: i64,
}

impl Stage {
    fn new(demand: Policy) -> Stage {
        let mut channel = Channel::new(&Realm::default(), "show", START);
        channel.channel_type = ChannelType::Standard;
        // Any program that is there.
        let options = ladder::Options {
            encoder: Encoder::X264,
            ffmpeg: std::env::current_exe().unwrap(),
            demand,
            ..ladder::Options::default()
        };
        let pipes = Pipes::default();
        let mut packager = Packager::new(headwater_hls::Options {
            epoch: "e".into(),
            rendition: "source".into(),
            latency: Latency::Low,
        });
        packager.follow();
        let renditions = Renditions::with(pipes.start(), options, &channel, "e", "source");
        let mut stage =
            Stage { pipes, renditions, packager, live: None, channel, tracks: [const { None }; 2], frame: 0 };
        stage.configure(LEVEL);
        stage
    }

    fn configure(&mut self, size: [u8; 4]) {
        self.tracks = tracks(size);
        for track in self.tracks.iter().flatten() {
            self.renditions.track(track);
            self.packager.handle_track(track.clone());
        }
    }

    /// Streams for so long. `each` looks at the stage after each picture.
    async fn run(&mut self, ms: i64, mut each: impl FnMut(&mut Stage)) {
        let metadata = StreamMetadata { frame_rate_millis: Some(30_000), ..StreamMetadata::default() };
        for _ in 0..ms * 30 / 1_000 {
            tokio::time::advance(Duration::from_micros(33_333)).await;
            let at = 1_000 + self.frame * 1_000 / 30;
            let keyframe = if self.frame % 60 == 0 { Keyframe::Yes } else { Keyframe::No };
            for (kind, ticks) in [(TrackKind::Video, 90), (TrackKind::Audio, 48)] {
                let keyframe = if kind == TrackKind::Audio { Keyframe::Yes } else { keyframe };
                let data = Bytes::from_static(b"payload");
                let unit = AccessUnit { kind, dts: at * ticks, pts: at * ticks, keyframe, data };
                self.renditions.unit(&unit, &self.tracks, &metadata, &mut self.packager);
                self.packager.handle_unit(unit, WallTime(START.0 + at)).unwrap();
            }
            self.frame += 1;
            self.show();
            self.pipes.work();
            self.settle().await;
            each(self);
        }
    }

    fn show(&mut self) {
        if let Some(snapshot) = self.packager.poll_snapshot() {
            match &self.live {
                Some((_, sender)) => {
                    sender.send_replace(snapshot);
                }
                None => {
                    let (sender, receiver) = watch::channel(snapshot);
                    let identity = Identity {
                        channel: self.channel.clone(),
                        stream_id: "st-1".into(),
                        epoch: "e".into(),
                        started_at: START,
                        ingested: Arc::default(),
                    };
                    self.live = Some((Arc::new(LiveStream::new(&identity, receiver)), sender));
                }
            }
            let live = self.live.as_ref().map(|(live, _)| Arc::clone(live));
            self.renditions.tell(&mut self.packager, live.as_deref());
        }
        if let Some((live, _)) = &self.live {
            self.renditions.publish(live);
        }
    }

    /// Handles what happened, until there is nothing more.
    async fn settle(&mut self) {
        loop {
            let event = tokio::select! {
                biased;
                event = self.renditions.next() => event,
                () = std::future::ready(()) => break,
            };
            self.renditions.handle(event);
            self.show();
        }
    }

    fn stream(&self) -> Arc<LiveStream> {
        Arc::clone(&self.live.as_ref().expect("it is live").0)
    }

    fn states(&self) -> Vec<(String, RenditionState)> {
        self.stream().offer().renditions.iter().map(|one| (one.name.clone(), one.state)).collect()
    }

    fn ladder(&self) -> LadderState {
        self.stream().offer().ladder.clone()
    }

    fn snapshot(&self, name: &str) -> Arc<Snapshot> {
        match self.stream().rendition(name) {
            Some(Asked::Made(watch)) => watch.borrow().clone(),
            other => panic!("{name} is not made: {other:?}"),
        }
    }

    fn lint(&self, names: &[&str]) {
        let mut texts = vec![("source", playlist::media(&self.stream().snapshot(), Delta::Full))];
        texts.extend(names.iter().map(|name| (*name, playlist::media(&self.snapshot(name), Delta::Full))));
        // The others are reported, and are not read here.
        let pairs: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
        assert_eq!(across(&pairs), [], "{texts:#?}");
        for (name, text) in &texts {
            let mut findings = Linter::new().check(text);
            findings.retain(|finding| finding.severity == Severity::Error);
            assert_eq!(findings, [], "{name}: {text}");
        }
    }
}

fn named(names: &[&str], state: RenditionState) -> Vec<(String, RenditionState)> {
    names.iter().map(|name| ((*name).to_owned(), state)).collect()
}

const BOTH: [&str; 2] = ["360p30", "160p30"];

#[tokio::test(start_paused = true)]
async fn what_nobody_watches_is_offered_and_not_made() {
    let mut stage = Stage::new(Policy::OnDemand);
    stage.run(60_000, |_| {}).await;
    assert_eq!(stage.states(), named(&BOTH, RenditionState::Asleep));
    assert_eq!(stage.ladder(), LadderState::Asleep);
    stage.pipes.with(|all| assert!(all.is_empty(), "no encoder was ever started"));
    // What it will be is told all the same.
    let facts = stage.stream().offer().renditions[0].facts();
    assert_eq!((facts.size, facts.frame_rate_millis, facts.independent), (Some((480, 360)), Some(30_000), true));
    assert_eq!(facts.codecs, ["avc1.4D401F", "mp4a.40.2"]);
    assert_eq!(facts.bandwidth, 630_000 + 64_000);
}

#[tokio::test(start_paused = true)]
async fn a_request_wakes_a_rendition_at_the_last_keyframe_and_nobody_asking_puts_it_to_sleep() {
    let mut stage = Stage::new(Policy::OnDemand);
    // 0.5 s after a keyframe: the one before it is taken, so that a player finds pictures where it is.
    stage.run(12_500, |_| {}).await;
    assert!(matches!(stage.stream().rendition("160p30"), Some(Asked::Asleep(None))));
    stage.settle().await;
    assert_eq!(stage.pipes.running(), [["160p30"]], "at once, without waiting for a picture");
    assert_eq!(stage.ladder(), LadderState::Waiting);
    stage.pipes.with(|all| assert!((75..=165).contains(&all[0].past), "{} units", all[0].past));
    let stream = stage.stream();
    let made = tokio::spawn(async move { stream.made("160p30").await.is_some() });
    stage.run(100, |_| {}).await;
    assert!(made.await.unwrap(), "whoever waits is served");
    assert_eq!(stage.ladder(), LadderState::Running(1));
    let snapshot = stage.snapshot("160p30");
    let gaps: Vec<bool> = (0..6).map(|msn| snapshot.segment(msn).unwrap().gap()).collect();
    assert_eq!(gaps, [true, true, true, true, true, false]);
    assert_eq!(snapshot.last(), stage.stream().snapshot().last(), "it has caught up");

    // Somebody asks every second for a minute; then nobody does.
    let mut frames = 0;
    let ask = |stage: &mut Stage| {
        frames += 1;
        if frames % 30 == 0 {
            stage.snapshot("160p30");
        }
    };
    stage.run(60_000, ask).await;
    let snapshot = stage.snapshot("160p30");
    assert!((snapshot.next().msn - 8..snapshot.next().msn).all(|msn| !snapshot.segment(msn).unwrap().gap()));
    let asked = Instant::now();
    let mut slept = None;
    stage
        .run(40_000, |stage| {
            if slept.is_none() && stage.pipes.running().is_empty() {
                slept = Some(asked.elapsed());
            }
        })
        .await;
    // At the first keyframe after the time.
    let slept = slept.expect("the encoder is gone");
    assert!((ladder::LINGER..ladder::LINGER + Duration::from_secs(3)).contains(&slept), "{slept:?}");
    assert_eq!(stage.ladder(), LadderState::Asleep);

    // Woken again, it has today's window.
    assert!(matches!(stage.stream().rendition("160p30"), Some(Asked::Asleep(Some(_)))));
    stage.run(200, |_| {}).await;
    assert_eq!(stage.snapshot("160p30").last(), stage.stream().snapshot().last());
    stage.lint(&[]);
}

#[tokio::test(start_paused = true)]
async fn who_watches_one_rendition_does_not_notice_that_another_wakes_and_sleeps() {
    let mut stage = Stage::new(Policy::OnDemand);
    stage.run(12_500, |_| {}).await;
    let mut frames = 0;
    let mut watch_small = move |stage: &mut Stage| {
        frames += 1;
        if frames % 30 == 0 {
            let (small, source) = (stage.snapshot("160p30"), stage.stream().snapshot());
            assert_eq!(small.last(), source.last(), "never late");
        }
    };
    let _ = stage.stream().rendition("160p30");
    stage.run(10_000, &mut watch_small).await;
    // A second one is wanted: at first both encoders run, then one makes both.
    let _ = stage.stream().rendition("360p30");
    stage.settle().await;
    assert_eq!(stage.pipes.running(), [vec!["160p30"], vec!["360p30", "160p30"]]);
    // What is made already is not made of the past again.
    stage.pipes.with(|all| {
        let delivered: Vec<Vec<bool>> =
            all.iter().map(|pipe| pipe.delivered.iter().map(Option::is_some).collect()).collect();
        assert_eq!(delivered, [vec![false], vec![false], vec![false, true]]);
        // What wakes has a keyframe in each part for a while, then another encoder goes on without.
        let dense: Vec<&[Option<u32>]> = all.iter().map(|pipe| &pipe.keyframe_each[..]).collect();
        assert_eq!(dense, [&[Some(6)][..], &[None], &[Some(6), None]]);
    });
    stage.run(500, &mut watch_small).await;
    assert_eq!(stage.states(), named(&BOTH, RenditionState::Made), "the new one does not wait for the handover");
    stage.run(3_000, &mut watch_small).await;
    assert_eq!(stage.pipes.running(), [BOTH]);
    stage.lint(&BOTH);
    // Nobody wants it any more.
    stage.run(40_000, &mut watch_small).await;
    assert_eq!(stage.pipes.running(), [["160p30"]]);
    assert_eq!(stage.ladder(), LadderState::Running(1));
    let snapshot = stage.snapshot("160p30");
    let (last, first) = (snapshot.next().msn, snapshot.next().msn - 8);
    assert!((first..last).all(|msn| !snapshot.segment(msn).unwrap().gap()));
    let gaps: u64 = stage.renditions.slots.iter().map(|slot| slot.follower.gaps()).sum();
    assert_eq!(gaps, 0);
}

#[tokio::test(start_paused = true)]
async fn a_wish_does_not_wait_for_an_encoder_that_only_goes_on_with_what_woke_before() {
    let mut stage = Stage::new(Policy::OnDemand);
    stage.run(12_500, |_| {}).await;
    let _ = stage.stream().rendition("160p30");
    // The second encoder is at work from 18 s on, and takes over at 20 s.
    stage.run(6_200, |_| {}).await;
    assert_eq!(stage.pipes.running(), [["160p30"], ["160p30"]]);
    let _ = stage.stream().rendition("360p30");
    stage.run(200, |_| {}).await;
    assert_eq!(stage.pipes.running(), [vec!["160p30"], BOTH.to_vec()]);
    assert_eq!(stage.states(), named(&BOTH, RenditionState::Made));
    stage.run(10_000, |stage| assert_eq!(stage.snapshot("160p30").last(), stage.stream().snapshot().last())).await;
    stage.lint(&BOTH);
    let gaps: u64 = stage.renditions.slots.iter().map(|slot| slot.follower.gaps()).sum();
    assert_eq!(gaps, 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_encoder_that_stands_still_takes_nothing_over_and_delays_nobody() {
    let mut stage = Stage::new(Policy::OnDemand);
    stage.run(12_500, |_| {}).await;
    let _ = stage.stream().rendition("160p30");
    stage.run(2_000, |_| {}).await;
    let _ = stage.stream().rendition("360p30");
    stage.settle().await;
    stage.pipes.with(|all| all[1].stuck = true);
    stage.run(5_000, |stage| assert_eq!(stage.snapshot("160p30").last(), stage.stream().snapshot().last())).await;
    assert_eq!(stage.states()[0].1, RenditionState::Waking);
    // A third wish waits for the handover, and is not forgotten.
    stage.pipes.with(|all| all[1].stuck = false);
    stage.run(8_000, |_| {}).await;
    assert_eq!(stage.pipes.running(), [BOTH]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_watched_has_all_renditions_and_one_that_nobody_watches_none() {
    let mut stage = Stage::new(Policy::Watched);
    stage.run(12_500, |_| {}).await;
    assert_eq!(stage.states(), named(&BOTH, RenditionState::Asleep));
    // Somebody watches the source.
    let mut frames = 0;
    let watch = |stage: &mut Stage| {
        frames += 1;
        if frames % 30 == 0 {
            assert!(matches!(stage.stream().rendition("source"), Some(Asked::Made(_))));
        }
    };
    let _ = stage.stream().rendition("source");
    stage.run(100, |_| {}).await;
    assert_eq!(stage.pipes.running(), [BOTH]);
    assert_eq!(stage.states(), named(&BOTH, RenditionState::Made));
    stage.run(60_000, watch).await;
    stage.pipes.with(|all| {
        let dense: Vec<&[Option<u32>]> = all.iter().map(|pipe| &pipe.keyframe_each[..]).collect();
        assert_eq!(dense, [&[Some(6); 2], &[None; 2]], "one encoder, and one for good");
    });
    stage.lint(&BOTH);
    stage.run(40_000, |_| {}).await;
    assert_eq!(stage.pipes.running(), [[""; 0]; 0]);
    assert_eq!(stage.states(), named(&BOTH, RenditionState::Asleep));
}

#[tokio::test(start_paused = true)]
async fn without_demand_all_are_made_from_the_first_picture_on() {
    let mut stage = Stage::new(Policy::Always);
    stage.run(60_000, |_| {}).await;
    assert_eq!(stage.pipes.running(), [BOTH]);
    stage.pipes.with(|all| assert_eq!((all.len(), all[0].past), (1, 0)));
    assert_eq!(stage.ladder(), LadderState::Running(2));
    stage.lint(&BOTH);
    let gaps: u64 = stage.renditions.slots.iter().map(|slot| slot.follower.gaps()).sum();
    assert_eq!(gaps, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_shed_is_not_woken_by_whoever_asks_and_is_offered_again_later() {
    let mut stage = Stage::new(Policy::OnDemand);
    stage.run(12_500, |_| {}).await;
    let _ = (stage.stream().rendition("160p30"), stage.stream().rendition("360p30"));
    stage.run(3_000, |_| {}).await;
    stage.pipes.with(|all| all.last().unwrap().say(Made::Shed(1)));
    stage.run(100, |_| {}).await;
    assert_eq!(stage.ladder(), LadderState::Shed(1));
    assert_eq!(stage.states()[0].1, RenditionState::Gone);
    let mut frames = 0;
    let mut ask = move |stage: &mut Stage| {
        frames += 1;
        if frames % 30 == 0 {
            let _ = (stage.stream().rendition("160p30"), stage.stream().rendition("360p30"));
        }
    };
    stage.run(100_000, &mut ask).await;
    assert_eq!(stage.ladder(), LadderState::Shed(1));
    assert_eq!(stage.states(), [("360p30".into(), RenditionState::Gone), ("160p30".into(), RenditionState::Made)]);
    stage.run(70_000, &mut ask).await;
    assert_eq!(stage.states(), named(&BOTH, RenditionState::Made), "it is tried again");
    stage.pipes.with(|all| assert!(all.len() > 2));
}

/// Twelve seconds of a ladder whose encoder needs a quarter of a second; then the picture is turned.
async fn turned() -> Stage {
    let mut stage = Stage::new(Policy::Always);
    stage.run(6_000, |_| {}).await;
    stage.pipes.with(|all| all.iter_mut().for_each(|pipe| pipe.lag = 25));
    stage.run(6_000, |_| {}).await;
    assert_ne!(stage.snapshot("160p30").last(), stage.stream().snapshot().last(), "the encoder has some of it");
    stage.configure(UPRIGHT);
    stage
}

fn gaps(stage: &Stage) -> u64 {
    stage.renditions.slots.iter().map(|slot| slot.follower.gaps()).sum()
}

#[tokio::test(start_paused = true)]
async fn a_turned_picture_costs_none() {
    let mut stage = turned().await;
    stage.run(100, |_| {}).await;
    assert_eq!(stage.pipes.running(), [BOTH], "the old encoder has finished");
    stage.run(5_900, |stage| assert_eq!(stage.snapshot("160p30").last(), stage.stream().snapshot().last())).await;
    assert_eq!(stage.states(), named(&BOTH, RenditionState::Made));
    for name in BOTH {
        let snapshot = stage.snapshot(name);
        assert!((0..snapshot.next().msn).all(|msn| !snapshot.segment(msn).unwrap().gap()), "{name}");
        assert_eq!(snapshot.next(), stage.stream().snapshot().next());
    }
    assert_eq!(gaps(&stage), 0);
    stage.lint(&BOTH);
}

#[tokio::test(start_paused = true)]
async fn an_encoder_that_does_not_finish_is_waited_for_no_longer_than_its_successor_can_wait() {
    let mut stage = turned().await;
    stage.pipes.with(|all| all[0].stuck = true);
    stage.run(1_400, |_| {}).await;
    assert_eq!(stage.pipes.running(), [BOTH, BOTH]);
    stage.run(4_600, |_| {}).await;
    assert_eq!(stage.pipes.running(), [BOTH]);
    // Of twelve units, five or so of either kind, and of nothing that was shot after it.
    let snapshot = stage.snapshot("160p30");
    let lost: Vec<u64> = (0..snapshot.next().msn).filter(|&msn| snapshot.segment(msn).unwrap().gap()).collect();
    assert_eq!(lost, [5]);
    assert!((1..=6).contains(&gaps(&stage)), "{}", gaps(&stage));
    stage.lint(&BOTH);
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_is_turned_back_costs_none_either() {
    let mut stage = turned().await;
    // Two seconds, which is as soon as there is a keyframe.
    stage.run(2_000, |_| {}).await;
    stage.configure(LEVEL);
    stage.run(4_000, |_| {}).await;
    stage.pipes.with(|all| assert_eq!(all.len(), 3));
    assert_eq!(stage.pipes.running(), [BOTH]);
    assert_eq!(gaps(&stage), 0);
    stage.run(2_000, |stage| assert_eq!(stage.snapshot("160p30").last(), stage.stream().snapshot().last())).await;
    stage.lint(&BOTH);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_as_its_picture_is_turned_has_all_of_both_sides() {
    let mut stage = turned().await;
    stage.pipes.with(|all| all[0].stuck = true);
    stage.run(400, |_| {}).await;
    stage.pipes.with(|all| all[0].stuck = false);
    stage.packager.flush();
    stage.show();
    stage.renditions.finish();
    stage.pipes.work();
    while let Some(event) = stage.renditions.last().await {
        stage.renditions.handle(event);
    }
    stage.renditions.drained();
    stage.show();
    assert_eq!(gaps(&stage), 0);
    for name in BOTH {
        assert_eq!(stage.snapshot(name).last(), stage.stream().snapshot().last(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_encoder_that_cannot_work_leaves_the_source_and_says_why() {
    let mut stage = Stage::new(Policy::OnDemand);
    stage.run(12_500, |_| {}).await;
    let _ = stage.stream().rendition("160p30");
    stage.settle().await;
    let stream = stage.stream();
    let made = tokio::spawn(async move { stream.made("160p30").await.is_some() });
    stage.pipes.with(|all| all[0].say(Made::Unavailable("no room".into())));
    stage.run(100, |_| {}).await;
    assert!(!made.await.unwrap(), "nobody waits for it any longer");
    assert_eq!(stage.ladder(), LadderState::Unavailable("no room".into()));
    assert!(stage.stream().offer().source && stage.stream().offer().renditions.iter().all(|one| !one.offered()));
}

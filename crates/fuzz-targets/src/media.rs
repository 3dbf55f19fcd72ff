//! Message bodies, codec headers and the encoder's pipe.

use crate::messages::{self, What};
use headwater_hls::follow::{self, Follower};
use headwater_hls::lint::{Linter, Severity, across};
use headwater_hls::{Delta, Latency, Options, Packager, Snapshot, Splice, playlist};
use headwater_media::codec::{CodecConfig, aac, av1, avc, hevc};
use headwater_media::flv::{self, Unit};
use headwater_media::fmp4::{self, demux};
use headwater_media::{
    AccessUnit, Cue, CueOwner, FurtherTrack, Keyframe, StreamMetadata, Track, TrackKind, WallTime, matroska,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A packager with a follower for each further track, as a session has them.
struct Ladder {
    packager: Packager,
    linter: Linter,
    newest: Option<Arc<Snapshot>>,
    further: BTreeMap<FurtherTrack, Further>,
}

struct Further {
    follower: Follower,
    runs: bool,
    linter: Linter,
}

fn name(track: FurtherTrack) -> String {
    format!("track{}", track.id())
}

/// The playlist's text, which must keep the rules.
pub(crate) fn linted(linter: &mut Linter, snapshot: &Snapshot) -> String {
    let text = playlist::media(snapshot, Delta::Full);
    let broken = linter.check(&text).into_iter().find(|finding| finding.severity == Severity::Error);
    assert!(broken.is_none(), "{broken:?}\n{text}");
    text
}

impl Ladder {
    fn new(latency: Latency) -> Ladder {
        let options = Options { epoch: "e".into(), rendition: "source".into(), latency };
        let mut packager = Packager::new(options);
        packager.follow();
        Ladder { packager, linter: Linter::new(), newest: None, further: BTreeMap::new() }
    }

    /// `Err` when the stream is larger than a session holds.
    fn take(&mut self, unit: Unit, now: WallTime) -> Result<(), headwater_hls::Error> {
        match unit {
            Unit::Config(track) => self.packager.handle_track(track),
            Unit::Access(unit) => self.packager.handle_unit(unit, now)?,
            Unit::Metadata(metadata) => self.packager.handle_metadata(&metadata),
            // Tracks that come after the first cut would need what a session remembers of it.
            Unit::FurtherConfig(id, track) if self.newest.is_none() || self.further.contains_key(&id) => {
                let further = self.further.entry(id).or_insert_with(|| Further::new(id));
                further.follower.handle_track(track);
                if further.follower.poll_renewal() {
                    self.packager.renew();
                }
                self.report();
            }
            Unit::FurtherAccess(id, unit) => {
                if let Some(further) = self.further.get_mut(&id) {
                    further.take(unit);
                    if further.follower.poll_renewal() {
                        self.packager.renew();
                    }
                }
            }
            Unit::FurtherConfig(..) | Unit::FurtherSound(_) | Unit::Ignored => {}
        }
        self.look();
        Ok(())
    }

    /// `Break` when the stream is over.
    fn command(&mut self, which: u8) -> ControlFlow<()> {
        match which % 5 {
            0 => self.packager.discontinuity(),
            1 => self.packager.new_source(),
            2 => self.packager.flush(),
            3 => self.packager.handle_metadata(&StreamMetadata {
                frame_rate_millis: Some(u32::from(which) * 1_000),
                video_bitrate: Some(u64::from(which) * 100_000),
                ..StreamMetadata::default()
            }),
            _ => {
                self.packager.end();
                self.look();
                return ControlFlow::Break(());
            }
        }
        self.look();
        ControlFlow::Continue(())
    }

    fn report(&mut self) {
        let names: Vec<String> =
            std::iter::once("source".to_owned()).chain(self.further.keys().copied().map(name)).collect();
        let others = |own: &str| -> Arc<[String]> { names.iter().filter(|name| *name != own).cloned().collect() };
        self.packager.set_siblings(&others("source"));
        self.further.iter_mut().for_each(|(id, further)| further.follower.set_siblings(&others(&name(*id))));
    }

    fn look(&mut self) {
        while let Some(cut) = self.packager.poll_cut() {
            self.further.values_mut().for_each(|further| further.follower.handle_cut(cut.clone()));
        }
        if let Some(snapshot) = self.packager.poll_snapshot() {
            linted(&mut self.linter, &snapshot);
            self.newest = Some(snapshot);
        }
        for further in self.further.values_mut() {
            if let Some(snapshot) = further.follower.poll_snapshot() {
                let text = linted(&mut further.linter, &snapshot);
                if let Some(source) = &self.newest {
                    let own = playlist::media(source, Delta::Full);
                    let mut findings = across(&[("source", &own), (further.follower.rendition(), &text)]);
                    // What was published before a track was known does not report it.
                    findings.retain(|finding| finding.rule != "rendition-report");
                    assert!(findings.is_empty(), "{findings:?}\n{own}\n{text}");
                }
            }
        }
    }
}

impl Further {
    fn new(id: FurtherTrack) -> Further {
        let options = follow::Options {
            epoch: "e".into(),
            rendition: name(id),
            pictures: follow::Pictures::Sent,
            sound: follow::Sound::Source,
            bandwidth: 0,
            frame_rate_millis_max: None,
        };
        Further { follower: Follower::new(options), runs: false, linter: Linter::new() }
    }

    fn take(&mut self, unit: AccessUnit) {
        if !self.runs && unit.keyframe == Keyframe::Yes {
            self.runs = true;
            self.follower.expect_from(Some(unit.pts));
        }
        if self.runs {
            self.follower.handle_unit(unit);
        }
    }
}

/// Message bodies through the demuxer, the packager and the followers of further tracks, with cues, ad breaks and commands between them: nothing
/// panics, and what is published keeps the linter's rules. The first byte says how long the parts are.
pub fn flv(input: &[u8]) {
    let Some((&how, input)) = input.split_first() else { return };
    let mut demuxer = flv::Demuxer::new();
    let mut ladder = Ladder::new(if how % 2 == 0 { Latency::Low } else { Latency::Normal });
    let (mut timestamp_ms, mut now) = (100_000u32, WallTime(1_795_498_182_123));
    for (number, message) in messages::read(input).into_iter().enumerate() {
        timestamp_ms = timestamp_ms.wrapping_add_signed(i32::from(message.step_ms));
        now = now.plus_ms(i64::from(message.step_ms.max(0)));
        let first = message.body.first().copied().unwrap_or_default();
        let units = match message.what {
            What::Video => demuxer.video(timestamp_ms, message.body),
            What::Audio => demuxer.audio(timestamp_ms, message.body),
            What::Cue => {
                let payload = String::from_utf8_lossy(&message.body).into_owned();
                let _ = ladder.packager.handle_cue(Cue { id: format!("c-{number}"), payload, owner: CueOwner::InBand });
                continue;
            }
            What::Break => {
                let (id, duration_ms) = (format!("b-{number}"), u32::from(first) * 1_000);
                let splice = Splice { id, event_id: first.into(), start: now, duration_ms };
                let _ = ladder.packager.handle_splice(splice);
                continue;
            }
            What::Command if ladder.command(first).is_break() => return,
            What::Command => continue,
        };
        for unit in units.unwrap_or_default() {
            if ladder.take(unit, now).is_err() {
                return;
            }
        }
    }
}

/// Every codec's configuration record, also around the input as a parameter set: as the start of a track whose init segment is written.
pub fn codec_headers(input: &[u8]) {
    let length = u16::try_from(input.len()).unwrap_or(u16::MAX);
    let set = &input[..usize::from(length)];
    let of = |head: &[u8], size: &[u8], tail: &[u8]| [head, size, set, tail].concat();
    let avcc = of(&[1, 100, 0, 31, 0xff, 0xe1], &length.to_be_bytes(), &[1, 0, 1, 0x68]);
    let mut head = [1; 26];
    (head[21], head[22], head[23], head[24], head[25]) = (3, 1, 33, 0, 1);
    let hvcc = of(&head, &length.to_be_bytes(), &[]);
    let size = [(length & 0x7f) as u8 | 0x80, (length >> 7 & 0x7f) as u8 | 0x80, (length >> 14) as u8];
    let av1c = of(&[0x81, 0, 0, 0, 0x0a], &size, &[]);
    let configs = [
        avc::Config::parse(input).map(CodecConfig::Avc),
        avc::Config::parse(&avcc).map(CodecConfig::Avc),
        hevc::Config::parse(input).map(CodecConfig::Hevc),
        hevc::Config::parse(&hvcc).map(CodecConfig::Hevc),
        av1::Config::parse(input).map(CodecConfig::Av1),
        av1::Config::parse(&av1c).map(CodecConfig::Av1),
        aac::Config::parse(input).map(CodecConfig::Aac),
    ];
    for config in configs.into_iter().flatten() {
        assert!(!config.rfc6381().is_empty());
        let track = Track::new(config);
        let init = match track.kind {
            TrackKind::Video => fmp4::init_segment(Some(&track), None),
            TrackKind::Audio => fmp4::init_segment(None, Some(&track)),
        };
        assert!(init.len() > track.config.record().len());
        let mut demuxer = demux::Demuxer::new();
        let read = demuxer.push(&init).expect("what we write can be read");
        assert_eq!(read, [demux::Item::Track(0, track.clone())]);
        assert!(matroska::header(&[&track], 30_000).len() > track.config.record().len());
    }
}

/// What an encoder process may write to its pipe: tracks and units stay within their bounds, and units point into what was written. The last byte
/// says how long the pieces are.
pub fn encoder_pipe(input: &[u8]) {
    let Some((&how, bytes)) = input.split_last() else { return };
    let mut demuxer = demux::Demuxer::new();
    let (mut written, mut units) = (0, 0);
    for piece in bytes.chunks(usize::from(how) * 16 + 1) {
        written += piece.len();
        let Ok(items) = demuxer.push(piece) else { return };
        for item in items {
            match item {
                demux::Item::Track(place, track) => {
                    assert!(place < demux::TRACKS_MAX);
                    assert!(!track.config.rfc6381().is_empty());
                }
                demux::Item::Unit(place, unit) => {
                    assert!(place < demux::TRACKS_MAX);
                    units += unit.data.len();
                }
            }
        }
        assert!(units <= written, "units of {units} bytes out of {written}");
    }
}

//! Fixture encoders against the packager: golden playlists, scenarios, and properties at every revision.

mod encoder;
mod properties;
mod renditions;
mod scenarios;
mod sent;

use super::{Latency, Options, Packager};
use crate::lint::{Linter, Severity};
use crate::playlist::{self, Delta};
use crate::snapshot::{Position, Reach, Snapshot};
use encoder::{Step, audio_track, video_track};
use headwater_media::{AccessUnit, TrackKind, WallTime};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// 2026-11-24T05:29:42.123Z.
const START: WallTime = WallTime(1_795_498_182_123);

fn options(latency: Latency) -> Options {
    Options { epoch: "e".into(), rendition: "source".into(), latency }
}

/// What a viewer keeps of a stream: every playlist is linted, every part read once.
struct Viewer {
    linter: Linter,
    /// Rules that may be broken at [`Severity::Advice`].
    strict: bool,
    /// Payloads by track, in the order of the parts.
    seen: BTreeMap<u32, Vec<u32>>,
    next: Position,
    /// Texts by the position that they end with.
    texts: VecDeque<(Position, String)>,
    snapshots: Vec<Arc<Snapshot>>,
}

impl Viewer {
    fn new() -> Self {
        Viewer {
            linter: Linter::new(),
            strict: true,
            seen: BTreeMap::new(),
            next: Position { msn: 0, part: 0 },
            texts: VecDeque::new(),
            snapshots: Vec::new(),
        }
    }

    fn look(&mut self, snapshot: Arc<Snapshot>) {
        let text = playlist::media(&snapshot, Delta::Full);
        let mut findings = self.linter.check(&text);
        findings.extend(self.linter.check_delta(&playlist::media(&snapshot, Delta::Skip)));
        findings.retain(|finding| self.strict || finding.severity == Severity::Error);
        assert!(findings.is_empty(), "{findings:#?}\n{text}");
        assert!(!snapshot.segments.is_empty(), "players take a playlist without segments for empty");
        self.read_with_another_reader(&snapshot, &text);
        self.read_parts(&snapshot);
        self.read_earlier(&snapshot);
        let last = snapshot.last().expect("a snapshot has a part");
        if self.texts.back().is_none_or(|(known, _)| *known != last) {
            self.texts.push_back((last, text));
        } else if let Some(newest) = self.texts.back_mut() {
            newest.1 = text;
        }
        if self.texts.len() > 12 {
            self.texts.pop_front();
        }
        self.snapshots.push(snapshot);
        if self.snapshots.len() > 4 {
            self.snapshots.remove(0);
        }
    }

    fn read_with_another_reader(&self, snapshot: &Snapshot, text: &str) {
        let (rest, read) = m3u8_rs::parse_media_playlist(text.as_bytes()).unwrap();
        assert!(rest.is_empty());
        assert_eq!(read.target_duration, snapshot.target_duration_s() as u64);
        assert_eq!(read.end_list, snapshot.ended());
        let last = read.segments.last().map(|segment| segment.uri.clone());
        let closed = snapshot.segments.last().map(|segment| format!("s{}.m4s", segment.msn()));
        assert_eq!(last, closed);
    }

    /// Each part that is new: its boxes are read back and its payloads noted, but of those that stand for an outage and show what comes next.
    fn read_parts(&mut self, snapshot: &Snapshot) {
        while self.next < snapshot.next() {
            let Some(part) = snapshot.part(self.next) else {
                self.next = Position { msn: self.next.msn + 1, part: 0 };
                continue;
            };
            assert_eq!(snapshot.reach(self.next.msn, Some(self.next.part)), Reach::Ready);
            let bridge = snapshot.segment(self.next.msn).is_some_and(|segment| segment.bridge());
            let read = (!part.gap()).then(|| encoder::payloads(part)).filter(|_| !bridge);
            for (track, payload) in read.into_iter().flatten() {
                self.seen.entry(track).or_default().push(payload);
            }
            self.next.part += 1;
        }
    }

    /// What was the answer for a position is still the answer while the window covers it.
    fn read_earlier(&self, snapshot: &Snapshot) {
        if snapshot.ended() {
            return;
        }
        for (position, text) in self.texts.iter().rev().take(3) {
            if let Some(again) = playlist::media_at(snapshot, *position, Delta::Full) {
                assert_eq!(&again, text, "at {position:?}");
            }
        }
    }

    fn snapshot(&self) -> &Snapshot {
        self.snapshots.last().expect("something was published")
    }

    fn text(&self) -> String {
        playlist::media(self.snapshot(), Delta::Full)
    }
}

/// A packager with its viewer, driven by steps.
struct Stage {
    packager: Packager,
    viewer: Viewer,
    /// Payloads that went in, by track.
    sent: BTreeMap<u32, Vec<u32>>,
}

impl Stage {
    fn new(latency: Latency) -> Self {
        Stage { packager: Packager::new(options(latency)), viewer: Viewer::new(), sent: BTreeMap::new() }
    }

    fn configure(&mut self) {
        self.packager.handle_track(video_track(0));
        self.packager.handle_track(audio_track());
    }

    fn unit(&mut self, unit: AccessUnit, wall_ms: i64) {
        let track = if unit.kind == TrackKind::Video { 1 } else { 2 };
        self.sent.entry(track).or_default().push(encoder::number(&unit.data));
        self.packager.handle_unit(unit, START.plus_ms(wall_ms)).unwrap();
        self.look();
    }

    fn look(&mut self) {
        if let Some(snapshot) = self.packager.poll_snapshot() {
            self.viewer.look(snapshot);
        }
    }

    fn run(&mut self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            self.unit(step.unit, step.wall_ms);
        }
    }

    fn end(&mut self) {
        self.packager.end();
        self.look();
    }
}

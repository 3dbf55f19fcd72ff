//! The encoder's output: read, put on the session's timeline, handed on.

use super::Made;
use super::process::Ended;
use headwater_media::fmp4::demux::{self, Demuxer, Item};
use headwater_media::{AccessUnit, Timescale, TrackKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStdout;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long a new encoder has to catch up before it is judged, and how long it must be behind.
const CATCH_UP: Duration = Duration::from_secs(6);
const BEHIND_FOR: Duration = Duration::from_secs(3);
/// Bytes read from the pipe at once.
const CHUNK: usize = 64 * 1024;

pub(super) struct Reader {
    pub(super) give: mpsc::Sender<Made>,
    pub(super) tracks: Vec<Vec<usize>>,
    pub(super) base_ms: i64,
    /// The tracks' timescales.
    pub(super) scales: Vec<Timescale>,
    pub(super) newest_in: Arc<AtomicI64>,
    pub(super) began: Instant,
    pub(super) behind_since: Option<Instant>,
    pub(super) behind_max_ms: i64,
    pub(super) made: bool,
}

impl Reader {
    /// Reads what the encoder makes, until it fails or falls behind.
    pub(super) async fn read(&mut self, mut stdout: ChildStdout) -> Ended {
        let mut demuxer = Demuxer::new();
        let mut buffer = vec![0; CHUNK];
        loop {
            let items = match stdout.read(&mut buffer).await {
                Ok(0) => return Ended::Failed("it ended".into()),
                Ok(count) => demuxer.push(&buffer[..count]),
                Err(error) => return Ended::Failed(format!("its output is closed: {error}")),
            };
            match items {
                Ok(items) => {
                    for item in items {
                        if let Some(ended) = self.pass_on(item).await {
                            return ended;
                        }
                    }
                }
                Err(error) => return Ended::Failed(unreadable(&error)),
            }
        }
    }

    async fn pass_on(&mut self, item: Item) -> Option<Ended> {
        let index = match &item {
            Item::Track(index, _) | Item::Unit(index, _) => *index,
        };
        if let Item::Track(_, track) = &item {
            self.scales.push(track.timescale);
        }
        let users = self.tracks.get(index).cloned().unwrap_or_default();
        for rendition in users {
            let made = match &item {
                Item::Track(_, track) => Made::Track(rendition, track.clone()),
                Item::Unit(_, unit) => Made::Unit(rendition, self.on_the_timeline(index, unit)),
            };
            if self.give.send(made).await.is_err() {
                return Some(Ended::Over);
            }
        }
        let Item::Unit(_, unit) = item else { return None };
        self.made = true;
        (unit.kind == TrackKind::Video && self.is_behind(&unit)).then_some(Ended::Behind)
    }

    /// The encoder's clock begins anew with each encoder.
    fn on_the_timeline(&self, index: usize, unit: &AccessUnit) -> AccessUnit {
        let ticks = self.scales.get(index).map_or(0, |scale| scale.ticks_of_ms(self.base_ms));
        AccessUnit { dts: unit.dts.saturating_add(ticks), pts: unit.pts.saturating_add(ticks), ..unit.clone() }
    }

    /// Whether the encoder has been too far behind its input for too long.
    fn is_behind(&mut self, unit: &AccessUnit) -> bool {
        let now = Instant::now();
        let newest = self.newest_in.load(Ordering::Relaxed) / 90;
        let lag_ms = newest - (unit.pts / 90 + self.base_ms);
        if lag_ms <= self.behind_max_ms || now - self.began < CATCH_UP {
            self.behind_since = None;
            return false;
        }
        let since = *self.behind_since.get_or_insert(now);
        now - since >= BEHIND_FOR
    }
}

fn unreadable(error: &demux::Error) -> String {
    format!("its output cannot be read: {error}")
}

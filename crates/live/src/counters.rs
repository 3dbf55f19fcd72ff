//! What is counted of sessions: by the session's task, read by whoever makes metrics of it.

use headwater_media::{AccessUnit, Keyframe, Timescale, TrackKind};
use headwater_model::measure::Counter;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Before the first keyframe.
const NONE: i64 = i64::MIN;

/// What a session's publishers sent, since it began.
#[derive(Debug)]
pub struct Ingested {
    video_bytes: Counter,
    audio_bytes: Counter,
    pictures: Counter,
    /// Decode time of the newest keyframe, milliseconds of the publisher's clock.
    keyframe_ms: AtomicI64,
    keyframe_interval_ms: AtomicU64,
}

impl Default for Ingested {
    fn default() -> Self {
        Ingested {
            video_bytes: Counter::default(),
            audio_bytes: Counter::default(),
            pictures: Counter::default(),
            keyframe_ms: AtomicI64::new(NONE),
            keyframe_interval_ms: AtomicU64::new(0),
        }
    }
}

/// An [`Ingested`], read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngestedRead {
    /// Bytes of pictures.
    pub video_bytes: u64,
    /// Bytes of sound.
    pub audio_bytes: u64,
    /// Pictures.
    pub pictures: u64,
    /// Milliseconds between the newest two keyframes; 0 before there are two.
    pub keyframe_interval_ms: u64,
}

impl Ingested {
    /// Called by the session's task alone.
    pub(crate) fn note(&self, unit: &AccessUnit, scale: Timescale) {
        let bytes = unit.data.len() as u64;
        if unit.kind == TrackKind::Audio {
            self.audio_bytes.add(bytes);
            return;
        }
        self.video_bytes.add(bytes);
        self.pictures.increment();
        if unit.keyframe == Keyframe::Yes {
            let at_ms = scale.ms_of_ticks(unit.dts);
            let before_ms = self.keyframe_ms.swap(at_ms, Ordering::Relaxed);
            // An encoder that came anew counts from elsewhere.
            if before_ms != NONE && at_ms > before_ms {
                self.keyframe_interval_ms.store(at_ms.abs_diff(before_ms), Ordering::Relaxed);
            }
        }
    }

    /// What was counted so far.
    pub fn read(&self) -> IngestedRead {
        IngestedRead {
            video_bytes: self.video_bytes.count(),
            audio_bytes: self.audio_bytes.count(),
            pictures: self.pictures.count(),
            keyframe_interval_ms: self.keyframe_interval_ms.load(Ordering::Relaxed),
        }
    }
}

/// What happened in all sessions, since the hub was made.
#[derive(Debug, Default)]
pub struct Totals {
    /// Sessions that were begun.
    pub sessions: Counter,
    /// Publishers that pushed another aside.
    pub takeovers: Counter,
    /// Publishers that were not let in because another is connected.
    pub takeovers_refused: Counter,
    /// Snapshots of the source that were published: one for each part, and some at discontinuities and ends.
    pub parts: Counter,
}

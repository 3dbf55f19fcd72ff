//! Ad breaks of a stream: when their marks come into the playlist.
//!
//! A break is told as soon as it is asked for (SCTE35-OUT, with the date at which it begins) and its end when the stream
//! gets there (SCTE35-IN). Source: rfc8216bis, "Mapping SCTE-35 into EXT-X-DATERANGE".

use crate::snapshot::{AdMark, Position};
use headwater_media::WallTime;
use headwater_media::scte35::{SpliceEdge, splice_insert};

/// An ad break, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// Its id in the playlist. Letters, digits and hyphens.
    pub id: String,
    /// Its id in SCTE-35.
    pub event_id: u32,
    /// When it is to begin; with the next part at the earliest.
    pub start: WallTime,
    /// Milliseconds.
    pub duration_ms: u32,
}

/// The break that runs or is due; there is one at a time.
#[derive(Debug, Default)]
pub(super) struct Splices {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    splice: Splice,
    told: bool,
}

impl Running {
    fn end(&self) -> WallTime {
        self.splice.start.plus_ms(i64::from(self.splice.duration_ms))
    }

    fn mark(&self, edge: SpliceEdge) -> AdMark {
        AdMark {
            id: self.splice.id.clone(),
            start: self.splice.start,
            duration_ms: self.splice.duration_ms,
            edge,
            message: splice_insert(self.splice.event_id, edge),
            position: Position::default(),
            last: None,
        }
    }
}

impl Splices {
    /// Takes a break, unless another one is not over: then that one's id.
    pub(super) fn begin(&mut self, splice: Splice) -> Result<(), String> {
        match &self.running {
            Some(running) => Err(running.splice.id.clone()),
            None => {
                self.running = Some(Running { splice, told: false });
                Ok(())
            }
        }
    }

    /// The marks that a part which begins at this time brings into the playlist.
    pub(super) fn marks(&mut self, part_start: WallTime) -> Vec<AdMark> {
        let mut marks = Vec::new();
        let Some(running) = &mut self.running else { return marks };
        if !running.told {
            running.told = true;
            let duration_ms = u64::from(running.splice.duration_ms);
            marks.push(running.mark(SpliceEdge::Out { duration_ms }));
        }
        if part_start >= running.end() {
            marks.push(running.mark(SpliceEdge::In));
            self.running = None;
        }
        marks
    }
}

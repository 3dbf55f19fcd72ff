//! How long a rendition that was woken is held back: players that meet it need a whole segment, and pictures up to where they are.
//!
//! They learn from a complete segment what the rendition is like, and read on in the open one. A playlist that ends with its first pictures, seconds
//! behind the source, would have neither.

use crate::packager::learn::MS;

/// So much of the source may be cut while a woken rendition is held back. Then it is shown with what there is: Shaka breaks off at a playlist
/// without a complete segment, and a request is not held for longer than three target durations, six seconds, which this must leave time in.
pub const WAKE_HOLD_MAX_MS: i64 = 4_000;
/// How near to the source it must be: what the next encoder must be, too, before it takes over from another.
const CAUGHT_UP_MS: i64 = 500;

/// Which segment it began with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum First {
    /// It has not begun.
    #[default]
    Awaited,
    /// One that it has from its start on, and that is open.
    Open,
    /// That one is complete. Or it began in the middle of one, which is of little use however long it lasts.
    Enough,
}

/// Of a rendition that was woken and is not shown yet.
#[derive(Debug)]
pub(super) struct Hold {
    /// Ticks of the source that may still be cut.
    left: i64,
    first: First,
}

impl Default for Hold {
    fn default() -> Self {
        Hold { left: WAKE_HOLD_MAX_MS * MS, first: First::default() }
    }
}

impl Hold {
    /// The source has a part of so many ticks more.
    pub(super) fn cut(&mut self, ticks: i64) {
        self.left = self.left.saturating_sub(ticks);
    }

    /// The rendition has a part with media, at this place in its segment.
    pub(super) fn wrote(&mut self, part: usize) {
        if self.first == First::Awaited {
            self.first = if part == 0 { First::Open } else { First::Enough };
        }
    }

    /// A segment of the rendition ended.
    pub(super) fn closed(&mut self) {
        if self.first == First::Open {
            self.first = First::Enough;
        }
    }

    /// Whether players can use it, or have waited long enough, while `waiting` ticks of the source are not encoded yet.
    pub(super) fn is_over(&self, waiting: i64, part_ticks: i64) -> bool {
        let caught_up = waiting <= part_ticks.max(CAUGHT_UP_MS * MS);
        (self.first == First::Enough && caught_up) || self.left < 0
    }
}

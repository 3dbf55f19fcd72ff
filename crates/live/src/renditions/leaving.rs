//! The encoder of a plan that is over: it finishes what it has.
//!
//! When the picture is turned, or changes otherwise so that other renditions are to be made, the next plan's encoder begins with the keyframe that
//! comes. What was shot before is still in the old one, for about a quarter of a second, and belongs into parts that are cut already. So it is
//! listened to until it has no more, and the new one is heard after it: a follower is told of pictures in their order.

use super::Event;
use crate::ladder::{Made, Relay, Told, Which};
use std::time::Duration;
use tokio::time::Instant;

/// How long it may take: more than an encoder is given for its last pictures, and a second less than a part may be late
/// ([`headwater_hls::follow::LAG_MAX_MS`]), so that the next one's first parts are there in time. Then what it still has is lost.
const FINISH_MAX: Duration = Duration::from_millis(1_500);

/// An encoder that gets nothing more, and the followers that it fed.
pub(super) struct Leaving {
    relay: Relay,
    /// Place in its plan, and index of the rendition.
    fed: Vec<(usize, usize)>,
    /// Presentation time of the keyframe that the next plan begins with, ticks of 90 kHz.
    border: i64,
    until: Instant,
}

impl Leaving {
    pub(super) fn new(mut relay: Relay, fed: Vec<(usize, usize)>, border: i64) -> Self {
        relay.finish();
        Leaving { relay, fed, border, until: Instant::now() + FINISH_MAX }
    }

    pub(super) fn border(&self) -> i64 {
        self.border
    }

    /// A rendition that nothing is to be made of any more.
    pub(super) fn forget(&mut self, index: usize) {
        self.fed.retain(|&(_, fed)| fed != index);
    }

    /// The renditions that it feeds.
    pub(super) fn fed(&self) -> impl Iterator<Item = usize> {
        self.fed.iter().map(|&(_, index)| index)
    }

    /// What it does next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Event {
        match tokio::time::timeout_at(self.until, self.relay.last()).await {
            Ok(Some((which, made))) => Event::Finishing(which, made),
            Ok(None) => Event::Finished,
            Err(_) => {
                tracing::warn!(
                    "an encoder that is no longer needed does not come to its end; what it still has is lost"
                );
                Event::Finished
            }
        }
    }

    /// Sorts what it made; for each rendition what its follower is told. What else it says is of no interest any more.
    pub(super) fn handle(&mut self, which: Which, made: Made) -> Vec<(usize, Told)> {
        let fed = |place: usize| self.fed.iter().find(|&&(fed, _)| fed == place).map(|&(_, index)| index);
        let told = self.relay.handle(which, made).into_iter().filter_map(|told| match told {
            Told::Track(place, _) | Told::Unit(place, _) => fed(place).map(|index| (index, told)),
            _ => None,
        });
        told.collect()
    }
}

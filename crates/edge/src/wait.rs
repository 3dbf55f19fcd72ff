//! Waiting for a snapshot that has what a viewer asks for.

use crate::traffic::{Kind, Outcome, Traffic};
use headwater_hls::Snapshot;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// The snapshots of a rendition.
pub(crate) type Snapshots = watch::Receiver<Arc<Snapshot>>;

/// A waiting request gives up after this many target durations. rfc8216bis, "Blocking Playlist Reload".
const TARGET_DURATIONS_MAX: u64 = 3;

/// How many requests may wait at once.
pub(crate) struct Room {
    places: usize,
    traffic: Traffic,
}

/// Of a request that waits. Dropped before it left, its viewer went away.
struct Place<'a> {
    room: &'a Room,
    left: bool,
}

impl Room {
    pub(crate) fn new(places: usize, traffic: Traffic) -> Self {
        Room { places, traffic }
    }

    fn enter(&self) -> Option<Place<'_>> {
        let before = self.traffic.enter();
        let place = Place { room: self, left: before >= self.places };
        if place.left { None } else { Some(place) }
    }
}

impl Place<'_> {
    /// There is an answer.
    fn leave(mut self) {
        self.left = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.room.traffic.leave();
        if !self.left {
            self.room.traffic.note(Outcome::Abandoned);
        }
    }
}

/// What a snapshot means to someone who waits.
pub(crate) enum Look<T> {
    /// It is there, or it is certain what to answer.
    Answer(T),
    /// Look at the next one.
    Wait,
}

/// Why waiting came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// Nothing came in time.
    Late,
    /// Too many wait already.
    Full,
    /// The stream vanished without an end.
    Gone,
}

/// Waits for something else as long as for a part of a stream with that target duration.
pub(crate) async fn within<T>(
    target_duration_s: i64,
    room: &Room,
    awaited: impl Future<Output = T>,
) -> Result<T, GivenUp> {
    let place = room.enter().ok_or(GivenUp::Full)?;
    let answer = timeout(time_max(target_duration_s), awaited).await.map_err(|_| GivenUp::Late);
    place.leave();
    answer
}

fn time_max(target_duration_s: i64) -> Duration {
    Duration::from_secs(TARGET_DURATIONS_MAX * u64::try_from(target_duration_s).unwrap_or(1).max(1))
}

/// Looks at the newest snapshot, then at each that follows, until there is an answer.
///
/// While it waits it holds a receiver and a timer, nothing of the stream.
pub(crate) async fn for_answer<T>(
    mut watch: Snapshots,
    room: &Room,
    kind: Kind,
    mut look: impl FnMut(&Arc<Snapshot>) -> Look<T>,
) -> Result<T, GivenUp> {
    let first = watch.borrow_and_update().clone();
    if let Look::Answer(answer) = look(&first) {
        return Ok(answer);
    }
    let place = room.enter().ok_or(GivenUp::Full)?;
    let time_max = time_max(first.target_duration_s());
    drop(first);
    let answered = timeout(time_max, async {
        loop {
            watch.changed().await.map_err(|_| GivenUp::Gone)?;
            let snapshot = watch.borrow_and_update().clone();
            if let Look::Answer(answer) = look(&snapshot) {
                room.traffic.delivered(kind, snapshot.published_at());
                return Ok(answer);
            }
        }
    });
    let answer = answered.await.unwrap_or(Err(GivenUp::Late));
    place.leave();
    answer
}

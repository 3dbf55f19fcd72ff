//! Viewers by the thousand: one thread a core, each with a loop of its own, so that they cost as little as they can.

use crate::http::{Body, Connection};
use crate::playlist::{self, Reader};
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How often a viewer without parts looks at the playlist: half a target duration.
const POLL: Duration = Duration::from_secs(1);

/// How viewers follow a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// The playlist with the next part, which blocks, then that part.
    Parts,
    /// The playlist each second, and each new segment.
    Segments,
}

/// Who comes, and when.
#[derive(Clone)]
pub struct Crowd {
    pub port: u16,
    /// Path of the stream's first playlist.
    pub first: String,
    pub follow: Follow,
    pub viewers: usize,
    /// From one viewer's coming to the next one's.
    pub ramp: Duration,
    /// What is seen from here on counts.
    pub begin: Instant,
    pub end: Instant,
}

/// What one viewer met from `begin` to `end`, or all of them.
#[derive(Default)]
pub struct Seen {
    /// Parts by [`name`], and when they were whole.
    pub parts: Vec<(u64, Instant)>,
    pub requests: u64,
    pub bytes: u64,
    pub failed: u64,
}

impl Crowd {
    /// Sends them on their way; what each of them met comes when `end` has passed.
    pub fn gather(self) -> Vec<JoinHandle<Vec<Seen>>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let came = Instant::now();
        (0..threads)
            .map(|thread| {
                let crowd = self.clone();
                std::thread::spawn(move || crowd.watch(came, (thread..self.viewers).step_by(threads)))
            })
            .collect()
    }

    fn watch(self, came: Instant, viewers: impl Iterator<Item = usize>) -> Vec<Seen> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut viewing = JoinSet::new();
            for n in viewers {
                let crowd = self.clone();
                viewing.spawn(async move {
                    tokio::time::sleep_until((came + crowd.ramp * n as u32).into()).await;
                    match crowd.follow {
                        Follow::Parts => crowd.follow_parts().await,
                        Follow::Segments => crowd.follow_segments().await,
                    }
                });
            }
            viewing.join_all().await
        })
    }

    async fn follow_parts(self) -> Seen {
        let mut seen = Seen::default();
        let mut connection = Connection::open(self.port).await.unwrap();
        let media = playlist::media_path(&mut connection, &self.first).await;
        let mut reader = Reader::default();
        while Instant::now() < self.end {
            let path = reader.path(&media);
            let found = connection.get(&path, Body::Keep).await.unwrap() == 200;
            self.note(&mut seen, &connection, found);
            if !found {
                reader = Reader::default();
                continue;
            }
            for part in new_parts(&mut reader, connection.text()) {
                let found = connection.get(&playlist::absolute(&media, &part), Body::Drop).await.unwrap() == 200;
                self.note(&mut seen, &connection, found);
                let now = Instant::now();
                if found && now >= self.begin && now < self.end {
                    seen.parts.push((name(&part), now));
                }
            }
        }
        seen
    }

    async fn follow_segments(self) -> Seen {
        let mut seen = Seen::default();
        let mut connection = Connection::open(self.port).await.unwrap();
        let media = playlist::media_path(&mut connection, &self.first).await;
        let mut reader = Reader::default();
        let mut next = tokio::time::Instant::now();
        while Instant::now() < self.end {
            let found = connection.get(&media, Body::Keep).await.unwrap() == 200;
            self.note(&mut seen, &connection, found);
            if let Some(segment) = reader.new_segment(connection.text()) {
                let found = connection.get(&playlist::absolute(&media, &segment), Body::Drop).await.unwrap() == 200;
                self.note(&mut seen, &connection, found);
            }
            next += POLL;
            tokio::time::sleep_until(next).await;
        }
        seen
    }

    fn note(&self, seen: &mut Seen, connection: &Connection, found: bool) {
        if Instant::now() >= self.begin {
            seen.requests += 1;
            seen.bytes += connection.bytes();
            seen.failed += u64::from(!found);
        }
    }
}

/// A part's name as a number.
pub fn name(part: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    part.hash(&mut hasher);
    hasher.finish()
}

/// A playlist that was read.
struct Read {
    text: String,
    before: Reader,
    after: Reader,
    parts: Vec<String>,
}

thread_local! {
    /// All viewers of a thread get the same playlist within a moment: the first reads it, the others remember.
    static LAST: RefCell<Option<Read>> = const { RefCell::new(None) };
}

/// As [`Reader::new_parts`].
fn new_parts(reader: &mut Reader, text: &str) -> Vec<String> {
    LAST.with_borrow_mut(|last| match last {
        Some(read) if read.text == text && read.before == *reader => {
            reader.clone_from(&read.after);
            read.parts.clone()
        }
        last => {
            let before = reader.clone();
            let parts = reader.new_parts(text);
            *last = Some(Read { text: text.to_owned(), before, after: reader.clone(), parts: parts.clone() });
            parts
        }
    })
}

//! Playlist texts, written once for all who ask for the same.
//!
//! A new part wakes every waiting viewer of a stream at once, and all want the same text: the first writes it, the others share it.

use bytes::Bytes;
use headwater_hls::{Delta, Position, Snapshot, playlist};
use headwater_live::LiveStream;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Texts kept for a stream: four parts back, in both forms, for viewers that are a little behind.
const TEXTS_MAX: usize = 8;

/// The texts of all streams.
#[derive(Default)]
pub(crate) struct Texts {
    /// By epoch and rendition. Streams that are gone are swept when a new one comes.
    streams: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    stream: Weak<LiveStream>,
    texts: Arc<Mutex<VecDeque<(Key, Bytes)>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Newest(u64, Delta),
    At(Position, Delta),
}

impl Texts {
    /// The playlist at this snapshot.
    pub(crate) fn newest(&self, stream: &Arc<LiveStream>, snapshot: &Snapshot, delta: Delta) -> Bytes {
        let write = || Some(playlist::media(snapshot, delta));
        self.shared(stream, snapshot, Key::Newest(snapshot.revision(), delta), write).unwrap_or_default()
    }

    /// The playlist that ends with the part at `position`, the same for everyone and at all times. `None` when it is too old.
    pub(crate) fn at(
        &self,
        stream: &Arc<LiveStream>,
        snapshot: &Snapshot,
        position: Position,
        delta: Delta,
    ) -> Option<Bytes> {
        self.shared(stream, snapshot, Key::At(position, delta), || playlist::media_at(snapshot, position, delta))
    }

    fn shared(
        &self,
        stream: &Arc<LiveStream>,
        snapshot: &Snapshot,
        key: Key,
        write: impl FnOnce() -> Option<String>,
    ) -> Option<Bytes> {
        let texts = self.of(stream, snapshot.rendition());
        let mut texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = texts.iter().find(|(known, _)| *known == key) {
            return Some(text.clone());
        }
        // Under the lock on purpose: the others would only do the same work.
        let text = Bytes::from(write()?);
        if texts.len() == TEXTS_MAX {
            texts.pop_front();
        }
        texts.push_back((key, text.clone()));
        Some(text)
    }

    fn of(&self, stream: &Arc<LiveStream>, rendition: &str) -> Arc<Mutex<VecDeque<(Key, Bytes)>>> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{}/{rendition}", stream.epoch);
        if let Some(entry) = streams.get(&name) {
            return Arc::clone(&entry.texts);
        }
        streams.retain(|_, entry| entry.stream.strong_count() > 0);
        let texts = Arc::default();
        streams.insert(name, Entry { stream: Arc::downgrade(stream), texts: Arc::clone(&texts) });
        texts
    }
}

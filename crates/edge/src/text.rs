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
    /// By epoch. Streams that are gone are swept when a new one comes.
    streams: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    stream: Weak<LiveStream>,
    /// By rendition, of which there are a few.
    renditions: Vec<(Box<str>, Shelf)>,
}

/// A rendition's texts, the oldest first.
type Shelf = Arc<Mutex<VecDeque<(Key, Bytes)>>>;

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

    fn of(&self, stream: &Arc<LiveStream>, rendition: &str) -> Shelf {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let known = streams.get(&stream.epoch).map(|entry| &entry.renditions);
        if let Some((_, shelf)) = known.and_then(|known| known.iter().find(|(name, _)| **name == *rendition)) {
            return Arc::clone(shelf);
        }
        streams.retain(|_, entry| entry.stream.strong_count() > 0);
        let new = || Entry { stream: Arc::downgrade(stream), renditions: Vec::new() };
        let entry = streams.entry(stream.epoch.clone()).or_insert_with(new);
        let shelf = Shelf::default();
        entry.renditions.push((rendition.into(), Arc::clone(&shelf)));
        shelf
    }
}

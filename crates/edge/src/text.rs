//! Playlist texts, written once for all who ask for the same.
//!
//! A new part wakes every waiting viewer of a stream at once, and all want the same text: the first writes it, the others share it.

use bytes::Bytes;
use headwater_hls::{Delta, Snapshot, playlist};
use headwater_live::LiveStream;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Texts kept for a rendition: of this revision and the one before, in both forms, for requests that hold the older snapshot.
const TEXTS_MAX: usize = 4;

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

/// A snapshot's revision, and the form.
type Key = (u64, Delta);

impl Texts {
    /// The playlist at this snapshot.
    pub(crate) fn newest(&self, stream: &Arc<LiveStream>, snapshot: &Snapshot, delta: Delta) -> Bytes {
        let key = (snapshot.revision(), delta);
        let texts = self.of(stream, snapshot.rendition());
        let mut texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = texts.iter().find(|(known, _)| *known == key) {
            return text.clone();
        }
        // Under the lock on purpose: the others would only do the same work.
        let text = Bytes::from(playlist::media(snapshot, delta));
        if texts.len() == TEXTS_MAX {
            texts.pop_front();
        }
        texts.push_back((key, text.clone()));
        text
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

//! Media playlists, read as a player reads them: what is new, and what to wait for next.

use crate::http::{Body, Connection};
use std::time::Duration;

/// Where a player is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Reader {
    known: Option<String>,
    query: String,
}

impl Reader {
    /// A media playlist's path with the query that waits for the part after the last one seen; as it is at first.
    pub fn path(&self, media: &str) -> String {
        let separator = if media.contains('?') { '&' } else { '?' };
        if self.query.is_empty() { media.to_owned() } else { format!("{media}{separator}{}", self.query) }
    }

    /// The parts that were not there in the playlist before, oldest first; of the first playlist the newest one.
    pub fn new_parts(&mut self, text: &str) -> Vec<String> {
        let (mut parts, mut known_at) = (Vec::new(), None);
        let (mut sequence, mut skipped, mut whole, mut open) = (0_u64, 0_u64, 0_u64, 0_u64);
        for line in text.lines() {
            if let Some(attributes) = line.strip_prefix("#EXT-X-PART:") {
                open += 1;
                if let Some(uri) = attribute(attributes, "URI") {
                    parts.push(uri);
                    if self.known.as_deref() == Some(uri) {
                        known_at = Some(parts.len());
                    }
                }
            } else if line.starts_with("#EXTINF:") {
                (whole, open) = (whole + 1, 0);
            } else if let Some(number) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                sequence = number.parse().unwrap();
            } else if let Some(attributes) = line.strip_prefix("#EXT-X-SKIP:") {
                skipped = attribute(attributes, "SKIPPED-SEGMENTS").unwrap().parse().unwrap();
            }
        }
        self.query = format!("_HLS_msn={}&_HLS_part={open}&_HLS_skip=YES", sequence + skipped + whole);
        let from = match &self.known {
            Some(_) => known_at.unwrap_or(0),
            None => parts.len().saturating_sub(1),
        };
        if let Some(last) = parts.last() {
            self.known = Some((*last).to_owned());
        }
        parts[from..].iter().map(|part| (*part).to_owned()).collect()
    }

    /// The newest segment, if it is another than before.
    pub fn new_segment(&mut self, text: &str) -> Option<String> {
        let last = text.lines().rfind(|line| !line.starts_with('#') && !line.is_empty())?;
        if self.known.as_deref() == Some(last) {
            return None;
        }
        self.known = Some(last.to_owned());
        self.known.clone()
    }
}

/// The path of a stream's media playlist, once it is there.
pub async fn media_path(connection: &mut Connection, first: &str) -> String {
    loop {
        if connection.get(first, Body::Keep).await.unwrap() == 200 {
            let text = connection.text();
            if text.contains("#EXTINF") {
                return first.to_owned();
            }
            if let Some(uri) = text.lines().find(|line| !line.starts_with('#') && !line.is_empty()) {
                return absolute(first, uri);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let value = attributes.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"'))
}

/// The path of what a playlist at `of` names; hosts are left out, as this machine is meant.
pub fn absolute(of: &str, uri: &str) -> String {
    if uri.starts_with("http") {
        return format!("/{}", uri.splitn(4, '/').nth(3).unwrap());
    }
    if uri.starts_with('/') {
        return uri.to_owned();
    }
    let folder = of.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut path: Vec<&str> = folder.split('/').collect();
    for piece in uri.split('/') {
        match piece {
            ".." => drop(path.pop()),
            piece => path.push(piece),
        }
    }
    path.join("/")
}

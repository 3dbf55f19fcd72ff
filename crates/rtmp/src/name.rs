//! Which stream key a peer asked for: it hides in the publish name or in the app, with a query or without.

use crate::limits::{PUBLISH_NAME_BYTES_MAX, QUERY_PARAMETERS_MAX};
use std::fmt;

/// What an encoder shows to publish. `Debug` prints a placeholder and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamKey(String);

impl StreamKey {
    /// Wraps a key.
    pub fn new(key: impl Into<String>) -> Self {
        StreamKey(key.into())
    }

    /// The key itself, for the one place that looks it up.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// App, key and query of a `publish`.
#[derive(Clone, PartialEq, Eq)]
pub struct PublishName {
    /// First segment of the app, such as `app`.
    pub app: String,
    /// The key; may be empty.
    pub key: StreamKey,
    /// Parameters after `?`, decoded, in order.
    pub query: Vec<(String, String)>,
}

impl fmt::Debug for PublishName {
    // Values of a query may be credentials too, and the app is the key if its owner forgot the app.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.query.iter().map(|(name, _)| name).collect();
        f.debug_struct("PublishName").field("key", &self.key).field("query", &names).finish_non_exhaustive()
    }
}

impl PublishName {
    /// Puts together what `connect` and `publish` said.
    ///
    /// Encoders cut an address in different places: the key stands in the name, in the name after the app
    /// (`app/KEY`), or at the end of the app while the name is empty. Spaces and slashes around it are slips of a paste.
    ///
    /// # Errors
    /// The name is longer than any key.
    pub fn parse(app: &str, name: &str) -> Result<Self, Error> {
        let length = app.len() + name.len();
        if length > PUBLISH_NAME_BYTES_MAX {
            return Err(Error::TooLong { length });
        }
        let (app_path, app_query) = split_query(app);
        let (name_path, name_query) = split_query(name);
        let mut app_segments = segments(app_path);
        let app = app_segments.next().unwrap_or_default();
        let key = segments(name_path).last().or_else(|| app_segments.last()).unwrap_or_default();
        let query = [name_query, app_query]
            .into_iter()
            .flat_map(|query| form_urlencoded::parse(query.as_bytes()))
            .take(QUERY_PARAMETERS_MAX)
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Ok(PublishName { app: app.to_owned(), key: StreamKey::new(key), query })
    }

    /// The first value of that parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn split_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .map(|segment| segment.trim_matches(|c: char| c.is_whitespace() || c == '\0'))
        .filter(|s| !s.is_empty())
}

/// Why a publish name is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// [`PUBLISH_NAME_BYTES_MAX`] exceeded.
    #[error("a publish name of {length} bytes, at most {PUBLISH_NAME_BYTES_MAX} are read")]
    TooLong {
        /// Bytes of app and name.
        length: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found_wherever_encoders_put_it() {
        for (app, name) in [
            ("app", "KEY"),
            ("app/", "KEY"),
            ("/app", "/KEY"),
            ("app", " KEY \r\n"),
            ("app", "KEY/"),
            ("app", "app/KEY"),
            ("app", "KEY / "),
            ("app/KEY", ""),
            ("app/KEY/", "/"),
            ("app/instance", "KEY"),
            ("app?x=1", "KEY?priority=3"),
        ] {
            let parsed = PublishName::parse(app, name).expect("short");
            assert_eq!((parsed.app.as_str(), parsed.key.expose()), ("app", "KEY"), "{app} {name}");
        }
        assert_eq!(PublishName::parse("app", "").expect("short").key.expose(), "");
    }

    #[test]
    fn the_query_is_decoded_and_the_names_come_first() {
        let parsed = PublishName::parse("app?x=2&priority=9", "KEY?priority=1&a%20b=c+d").expect("short");
        assert_eq!(parsed.parameter("priority"), Some("1"));
        assert_eq!(parsed.parameter("a b"), Some("c d"));
        assert_eq!(parsed.parameter("x"), Some("2"));
        assert_eq!(parsed.parameter("y"), None);
    }

    #[test]
    fn neither_key_nor_query_is_printed() {
        let parsed = PublishName::parse("app", "sk_secret?token=hush").expect("short");
        let printed = format!("{parsed:?}");
        assert!(printed.contains("token") && !printed.contains("hush") && !printed.contains("secret"), "{printed}");
    }

    #[test]
    fn a_name_of_any_length_costs_little() {
        let name = "k".repeat(PUBLISH_NAME_BYTES_MAX);
        assert_eq!(PublishName::parse("app", &name), Err(Error::TooLong { length: PUBLISH_NAME_BYTES_MAX + 3 }));
        let many: String = std::iter::once("KEY?".to_owned()).chain((0..100).map(|i| format!("p{i}&"))).collect();
        assert_eq!(PublishName::parse("app", &many).expect("short").query.len(), QUERY_PARAMETERS_MAX);
    }
}

//! Viewer sessions: names that media URLs carry, from which the server reads what their viewer may do.
//!
//! A session is not remembered: its name holds what a request must be checked for, and a code (HMAC-SHA256) over that and the stream's
//! epoch under a secret of this process. So sessions take no memory, nobody makes one up, and one stream's are worth nothing on another.
//! An epoch ends with the process, so a secret that does too costs no viewer anything.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use headwater_model::ivs::MaximumResolution;
use headwater_model::playback::Origins;
use ring::hmac;

/// Longest name that is looked at: five origins of 256 characters, in base64, and the rest.
const NAME_CHARACTERS_MAX: usize = 2048;
const CODE_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// Who a token was made for, as a name without content: viewers' ids do not stand in URLs.
pub(crate) type ViewerTag = [u8; TAG_BYTES];

/// What a viewer may do with one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Session {
    /// Random; counts as one viewer.
    pub(crate) number: u64,
    /// Whom to end it for: the viewer and the session's version.
    pub(crate) viewer: Option<(ViewerTag, i64)>,
    /// Larger renditions are not served.
    pub(crate) maximum_resolution: Option<MaximumResolution>,
    /// Pages that each request must come from, if any.
    pub(crate) strict_origins: Option<Origins>,
}

/// Makes and reads sessions' names.
pub(crate) struct Keeper(hmac::Key);

impl Keeper {
    pub(crate) fn new() -> Self {
        Keeper(hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()))
    }

    /// The name of a viewer of a channel.
    pub(crate) fn tag(&self, channel_arn: &str, viewer_id: &str) -> ViewerTag {
        let mut context = hmac::Context::with_key(&self.0);
        // ARNs have no such byte, so no two pairs are one text; epochs have none either.
        for part in ["viewer\0", channel_arn, "\0", viewer_id] {
            context.update(part.as_bytes());
        }
        let mut tag = ViewerTag::default();
        tag.copy_from_slice(&context.sign().as_ref()[..TAG_BYTES]);
        tag
    }

    /// The session's name on a stream.
    pub(crate) fn name(&self, epoch: &str, session: &Session) -> String {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&session.number.to_be_bytes());
        bytes.push(match session.maximum_resolution {
            None => 0,
            Some(MaximumResolution::Sd) => 1,
            Some(MaximumResolution::Hd) => 2,
            Some(MaximumResolution::FullHd) => 3,
        });
        match session.viewer {
            Some((tag, version)) => {
                bytes.push(1);
                bytes.extend_from_slice(&tag);
                bytes.extend_from_slice(&version.to_be_bytes());
            }
            None => bytes.push(0),
        }
        if let Some(origins) = &session.strict_origins {
            bytes.push(1);
            bytes.extend_from_slice(origins.entries().collect::<Vec<_>>().join(",").as_bytes());
        }
        let code = self.code(epoch, &bytes);
        bytes.extend_from_slice(code.as_ref());
        BASE64.encode(bytes)
    }

    /// The session with that name on a stream, if it has one.
    pub(crate) fn read(&self, epoch: &str, name: &str) -> Option<Session> {
        if name.len() > NAME_CHARACTERS_MAX {
            return None;
        }
        let bytes = BASE64.decode(name).ok()?;
        let (content, code) = bytes.split_at_checked(bytes.len().checked_sub(CODE_BYTES)?)?;
        hmac::verify(&self.0, &message(epoch, content), code).ok()?;
        let (number, rest) = content.split_first_chunk()?;
        let (&class, rest) = rest.split_first()?;
        let (&has_viewer, rest) = rest.split_first()?;
        let (viewer, rest) = if has_viewer == 1 {
            let (tag, rest) = rest.split_first_chunk::<TAG_BYTES>()?;
            let (version, rest) = rest.split_first_chunk()?;
            (Some((*tag, i64::from_be_bytes(*version))), rest)
        } else {
            (None, rest)
        };
        Some(Session {
            number: u64::from_be_bytes(*number),
            viewer,
            maximum_resolution: match class {
                1 => Some(MaximumResolution::Sd),
                2 => Some(MaximumResolution::Hd),
                3 => Some(MaximumResolution::FullHd),
                _ => None,
            },
            strict_origins: match rest.split_first() {
                Some((_, origins)) => Some(Origins::parse(std::str::from_utf8(origins).ok()?)),
                None => None,
            },
        })
    }

    fn code(&self, epoch: &str, content: &[u8]) -> hmac::Tag {
        hmac::sign(&self.0, &message(epoch, content))
    }
}

/// An epoch is of fixed length and has no zero byte, so no two pairs are one message.
fn message(epoch: &str, content: &[u8]) -> Vec<u8> {
    [b"session\0", epoch.as_bytes(), b"\0", content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sessions() -> impl Strategy<Value = Session> {
        let class = prop::option::of(prop::sample::select(vec![
            MaximumResolution::Sd,
            MaximumResolution::Hd,
            MaximumResolution::FullHd,
        ]));
        let origins = prop::option::of(prop::collection::vec("https://[a-z]{1,9}\\.example", 0..5));
        (any::<u64>(), prop::option::of((any::<ViewerTag>(), any::<i64>())), class, origins).prop_map(
            |(number, viewer, maximum_resolution, origins)| Session {
                number,
                viewer,
                maximum_resolution,
                strict_origins: origins.map(Origins::from_list),
            },
        )
    }

    proptest! {
        #[test]
        fn a_name_says_what_it_was_made_from_on_its_stream_only(session in sessions()) {
            let keeper = Keeper::new();
            let name = keeper.name("epoch", &session);
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert_eq!(keeper.read("epoch", &name), Some(session));
            prop_assert_eq!(keeper.read("other", &name), None);
            prop_assert_eq!(Keeper::new().read("epoch", &name), None);
        }

        #[test]
        fn a_name_that_was_changed_is_none(session in sessions(), at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_-]") {
            let keeper = Keeper::new();
            let name = keeper.name("epoch", &session);
            let at = at.index(name.len());
            let mut changed = name.clone();
            changed.replace_range(at..=at, &with);
            prop_assert!(changed == name || keeper.read("epoch", &changed).is_none());
        }

        #[test]
        fn no_text_panics(text in ".{0,80}|[A-Za-z0-9_-]{0,3000}") {
            prop_assert_eq!(Keeper::new().read("epoch", &text), None);
        }
    }
}

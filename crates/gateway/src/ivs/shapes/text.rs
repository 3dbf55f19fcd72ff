//! Texts of the model: lengths, patterns, enumerations.

/// What a text may be.
#[derive(Clone, Copy)]
pub(in crate::ivs) struct Text {
    /// Fewest characters.
    pub(super) min: usize,
    /// Most characters.
    pub(super) max: usize,
    pub(super) pattern: Pattern,
}

/// The model's patterns. A pattern without anchors there is one for the whole text, as the service reads it.
#[derive(Clone, Copy)]
pub(in crate::ivs) enum Pattern {
    /// None.
    Any,
    /// `[a-zA-Z0-9-_]*`.
    Name,
    /// ARN of an IVS resource of this kind.
    Arn(&'static str),
    /// The same, or empty.
    ArnOrEmpty(&'static str),
    /// ARN of a MediaTailor playback configuration.
    MediaTailorArn,
    /// `[a-zA-Z0-9+/=_-]*`.
    Token,
    /// `st-[a-zA-Z0-9]+`.
    StreamId,
    /// `[a-zA-Z0-9]+`.
    Alphanumeric,
    /// `[a-z0-9-.]+`.
    Bucket,
    /// An ISO 8601 time.
    Time,
    /// An enumeration.
    OneOf(&'static [&'static str]),
}

impl Text {
    /// Says which constraint a text breaks.
    pub(super) fn check(&self, value: &str) -> Result<(), String> {
        let length = value.chars().count();
        if length < self.min {
            return Err(format!("have length greater than or equal to {}", self.min));
        }
        if length > self.max {
            return Err(format!("have length less than or equal to {}", self.max));
        }
        if self.pattern.matches(value) { Ok(()) } else { Err(self.pattern.words()) }
    }
}

impl Pattern {
    fn matches(self, value: &str) -> bool {
        let all =
            |text: &str, others: &[u8]| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte));
        match self {
            Pattern::Any => true,
            Pattern::Name => all(value, b"-_"),
            Pattern::Arn(kind) => is_arn(value, "ivs", kind),
            Pattern::ArnOrEmpty(kind) => value.is_empty() || is_arn(value, "ivs", kind),
            Pattern::MediaTailorArn => is_arn(value, "mediatailor", "playbackConfiguration"),
            Pattern::Token => all(value, b"+/=_-"),
            Pattern::StreamId => value.strip_prefix("st-").is_some_and(|rest| !rest.is_empty() && all(rest, b"")),
            Pattern::Alphanumeric => !value.is_empty() && all(value, b""),
            Pattern::Bucket => {
                !value.is_empty() && all(value, b"-.") && !value.bytes().any(|byte| byte.is_ascii_uppercase())
            }
            Pattern::Time => headwater_model::Timestamp::parse_iso(value).is_some(),
            Pattern::OneOf(allowed) => allowed.contains(&value),
        }
    }

    fn words(self) -> String {
        match self {
            Pattern::Any => String::new(),
            Pattern::Name => "satisfy regular expression pattern: [a-zA-Z0-9-_]*".into(),
            Pattern::Arn(kind) => format!("be the ARN of a {kind}"),
            Pattern::ArnOrEmpty(kind) => format!("be empty or the ARN of a {kind}"),
            Pattern::MediaTailorArn => "be the ARN of a MediaTailor playback configuration".into(),
            Pattern::Token => "satisfy regular expression pattern: [a-zA-Z0-9+/=_-]*".into(),
            Pattern::StreamId => "satisfy regular expression pattern: st-[a-zA-Z0-9]+".into(),
            Pattern::Alphanumeric => "satisfy regular expression pattern: [a-zA-Z0-9]+".into(),
            Pattern::Bucket => "satisfy regular expression pattern: [a-z0-9-.]+".into(),
            Pattern::Time => "be an ISO 8601 time".into(),
            Pattern::OneOf(allowed) => format!("satisfy enum value set: [{}]", allowed.join(", ")),
        }
    }
}

/// `arn:aws:SERVICE:[a-z0-9-]+:[0-9]+:KIND/[a-zA-Z0-9-]+`.
fn is_arn(text: &str, service: &str, kind: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", "aws", found, region, account, resource] = parts[..] else { return false };
    let id = resource.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/'));
    let filled = |text: &str, allowed: fn(u8) -> bool| !text.is_empty() && text.bytes().all(allowed);
    found == service
        && filled(region, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && filled(account, |byte| byte.is_ascii_digit())
        && id.is_some_and(|id| filled(id, |byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_for_the_whole_text() {
        let good = [
            (Pattern::Name, ""),
            (Pattern::Name, "a-B_9"),
            (Pattern::Arn("channel"), "arn:aws:ivs:us-east-1:000000000000:channel/AbC-1"),
            (Pattern::ArnOrEmpty("channel"), ""),
            (Pattern::MediaTailorArn, "arn:aws:mediatailor:eu-west-1:1:playbackConfiguration/x"),
            (Pattern::Bucket, "a.b-1"),
            (Pattern::StreamId, "st-1"),
            (Pattern::Time, "2026-11-24T05:29:42Z"),
        ];
        for (pattern, text) in good {
            assert!(pattern.matches(text), "{text}");
        }
        let bad = [
            (Pattern::Name, "a b"),
            (Pattern::Name, "\u{e9}"),
            (Pattern::Arn("channel"), "arn:aws:ivs:us-east-1:000000000000:stream-key/AbC"),
            (Pattern::Arn("channel"), "arn:aws:ivs:us-east-1:000000000000:channel/"),
            (Pattern::Arn("channel"), "arn:aws:ivs:us-east-1:000000000000:channel/a/b"),
            (Pattern::Arn("channel"), "arn:aws:ivs:us-east-1:x:channel/a"),
            (Pattern::Arn("channel"), ""),
            (Pattern::Bucket, "Abc"),
            (Pattern::Bucket, ""),
            (Pattern::StreamId, "st-"),
            (Pattern::Alphanumeric, ""),
            (Pattern::Time, "yesterday"),
            (Pattern::OneOf(&["A"]), "B"),
        ];
        for (pattern, text) in bad {
            assert!(!pattern.matches(text), "{text}");
        }
    }
}

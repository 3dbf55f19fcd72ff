//! Filter patterns over unstructured log events.
//!
//! | form | matches messages with |
//! |---|---|
//! | `ERROR timeout` | both terms |
//! | `?ERROR ?WARN` | one of them |
//! | `ERROR -debug` | the first and not the second |
//! | `"a phrase"` | the phrase, with `\"` for a quote |
//!
//! Source: CloudWatch Logs User Guide, "Filter pattern syntax", unstructured log events. Left out, and refused: patterns
//! for JSON (`{…}`), for columns (`[…]`) and regular expressions (`%…%`).

/// Longest pattern (`logs` 2014-03-28, FilterPattern).
const PATTERN_CHARS_MAX: usize = 1024;

/// A parsed filter pattern. The default one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterPattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

/// Why a text is no filter pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterPatternError {
    /// Too long.
    #[error("filter pattern has more than {PATTERN_CHARS_MAX} characters")]
    TooLong,
    /// A kind of pattern that is not evaluated here.
    #[error("filter patterns for JSON, columns or regular expressions are not supported here, terms and phrases are")]
    Unsupported,
    /// A quote without its end.
    #[error("filter pattern has a quote that does not end")]
    OpenQuote,
    /// A sign without a term.
    #[error("filter pattern has a ? or - without a term")]
    NoTerm,
}

impl FilterPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`FilterPatternError`].
    pub fn parse(text: &str) -> Result<Self, FilterPatternError> {
        if text.chars().count() > PATTERN_CHARS_MAX {
            return Err(FilterPatternError::TooLong);
        }
        let mut pattern = FilterPattern::default();
        let mut rest = text.trim_start();
        if rest.starts_with(['{', '[', '%']) {
            return Err(FilterPatternError::Unsupported);
        }
        while !rest.is_empty() {
            let (terms, after_sign) = match rest.as_bytes()[0] {
                b'?' => (&mut pattern.any, &rest[1..]),
                b'-' => (&mut pattern.none, &rest[1..]),
                _ => (&mut pattern.all, rest),
            };
            let (term, after) = term(after_sign)?;
            if term.is_empty() {
                return Err(FilterPatternError::NoTerm);
            }
            terms.push(term);
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    /// Whether a message is one of those asked for.
    pub fn matches(&self, message: &str) -> bool {
        let has = |term: &String| message.contains(term.as_str());
        self.all.iter().all(has) && !self.none.iter().any(has) && (self.any.is_empty() || self.any.iter().any(has))
    }
}

/// One term or quoted phrase, and what follows it.
fn term(text: &str) -> Result<(String, &str), FilterPatternError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Ok((text[..end].into(), &text[end..]));
    };
    let mut phrase = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((phrase, &quoted[at + 1..])),
            '\\' => phrase.push(chars.next().ok_or(FilterPatternError::OpenQuote)?.1),
            c => phrase.push(c),
        }
    }
    Err(FilterPatternError::OpenQuote)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]
    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern = FilterPattern::parse(pattern).unwrap();
        for message in yes {
            assert!(pattern.matches(message), "{pattern:?} should match {message:?}");
        }
        for message in no {
            assert!(!pattern.matches(message), "{pattern:?} should not match {message:?}");
        }
    }

    #[test]
    fn terms_and_phrases() {
        check("", &["", "anything"], &[]);
        check("ERROR", &["an ERROR"], &["an error"]);
        check("ERROR timeout", &["timeout ERROR"], &["ERROR"]);
        check("?ERROR ?WARN", &["WARN", "ERROR"], &["INFO"]);
        check("ERROR -debug", &["ERROR"], &["ERROR debug"]);
        check(r#""a \"b\" c" d"#, &[r#"d a "b" c"#], &[r#"a "b" c"#, "d a b c"]);
        check(r#"-"a b""#, &["a", "b a"], &["a b"]);
    }

    #[test]
    fn other_patterns_are_refused() {
        assert_eq!(FilterPattern::parse("{ $.a = 1 }"), Err(FilterPatternError::Unsupported));
        assert_eq!(FilterPattern::parse("[a, b]"), Err(FilterPatternError::Unsupported));
        assert_eq!(FilterPattern::parse("\"a"), Err(FilterPatternError::OpenQuote));
        assert_eq!(FilterPattern::parse("a ? b"), Err(FilterPatternError::NoTerm));
        assert_eq!(FilterPattern::parse(&"a".repeat(1025)), Err(FilterPatternError::TooLong));
    }
}

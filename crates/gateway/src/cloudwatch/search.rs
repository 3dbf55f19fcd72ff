//! `SEARCH`: metrics by what their names and dimensions are.
//!
//! Source: CloudWatch, "Search expression syntax". Read are a schema, `{Namespace,Dimension,…}`, and terms that must all hold:
//! `MetricName="…"`, `Dimension="…"`, and words that stand in one of the names or values. `OR`, `NOT` and brackets are refused.

use headwater_control::metrics::MetricId;

/// Metrics that one search finds at most (CloudWatch's quota).
pub(super) const FOUND_MAX: usize = 100;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Search {
    pub(super) namespace: String,
    /// A metric must have these dimensions and no others.
    pub(super) dimensions: Vec<String>,
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    /// A name (`MetricName` or a dimension) and what it is.
    Is(String, String),
    Word(String),
}

/// Reads a search.
///
/// # Errors
/// What is wrong with it, in words for its author.
pub(super) fn parse(text: &str) -> Result<Search, String> {
    let unsupported = || "Unsupported search: it must be {Namespace,Dimension} and terms that all hold".to_owned();
    let (schema, rest) =
        text.trim_start().strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or_else(unsupported)?;
    let mut names = schema.split(',').map(|name| name.trim().trim_matches('"').to_owned());
    let namespace = names.next().filter(|name| !name.is_empty()).ok_or_else(unsupported)?;
    let mut terms = Vec::new();
    let mut rest = rest.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|character: char| character.is_whitespace() || character == '=').unwrap_or(rest.len());
        let (name, after) = if rest.starts_with('"') { value(rest)? } else { rest.split_at(end) };
        if matches!(name, "OR" | "NOT") || name.contains(['(', ')']) {
            return Err(unsupported());
        }
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix('=') {
            let (is, after) = value(after.trim_start())?;
            terms.push(Term::Is(name.to_owned(), is.to_owned()));
            rest = after.trim_start();
        } else if name != "AND" {
            terms.push(Term::Word(name.to_lowercase()));
        }
    }
    Ok(Search { namespace, dimensions: names.collect(), terms })
}

/// A value, in quotes or up to the next space, and what follows.
fn value(text: &str) -> Result<(&str, &str), String> {
    match text.strip_prefix('"') {
        Some(inner) => inner.split_once('"').ok_or_else(|| "Invalid syntax: a text in the search has no end".into()),
        None => Ok(text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))),
    }
}

impl Search {
    /// Whether a metric is one of those that are looked for.
    pub(super) fn finds(&self, id: &MetricId) -> bool {
        let has_these = id.dimensions.len() == self.dimensions.len()
            && self.dimensions.iter().all(|name| id.dimensions.contains_key(name));
        let holds = |term: &Term| match term {
            Term::Is(name, is) if name == "MetricName" => id.name == *is,
            // A channel may be given as its ARN.
            Term::Is(name, is) => {
                id.dimensions.get(name).is_some_and(|value| value == is || is.ends_with(&format!(":channel/{value}")))
            }
            Term::Word(word) => {
                let words = id.dimensions.iter().flat_map(|(name, value)| [name, value]);
                words.chain([&id.name, &id.namespace]).any(|text| text.to_lowercase().contains(word))
            }
        };
        id.namespace == self.namespace && has_these && self.terms.iter().all(holds)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_search_finds_what_all_its_terms_hold_for() {
        let id = MetricId::ivs("IngestFramerate", Some("AbCdef1G2hij"));
        let finds = |text: &str| parse(text).unwrap().finds(&id);
        for text in [
            "{AWS/IVS,Channel}",
            "{AWS/IVS,Channel} MetricName=\"IngestFramerate\"",
            "{AWS/IVS, Channel} MetricName=IngestFramerate AND Channel=\"AbCdef1G2hij\"",
            "{AWS/IVS,Channel} framerate",
            "{AWS/IVS,Channel} Channel=\"arn:aws:ivs:us-east-1:000000000000:channel/AbCdef1G2hij\"",
        ] {
            assert!(finds(text), "{text}");
        }
        for text in [
            "{AWS/IVS}",
            "{AWS/IVS,Channel,Track}",
            "{App,Channel}",
            "{AWS/IVS,Channel} MetricName=\"IngestBitrate\"",
            "{AWS/IVS,Channel} framerate bitrate",
        ] {
            assert!(!finds(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_read_is_refused() {
        for text in ["", "IngestFramerate", "{}", "{AWS/IVS,Channel} a OR b", "{AWS/IVS} NOT x", "{A} (b)", "{A} b=\"c"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\{?[A-Za-z/, ]{0,12}\\}?[a-zA-Z =\"]{0,24}|\\PC{0,30}") {
            let _ = parse(&text);
        }
    }
}

//! Texts with stars in them.

use super::PatternProblem;

/// Texts that must follow one another, with anything between them; the first is at the beginning, the last at the end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wildcard {
    pieces: Vec<String>,
}

impl Wildcard {
    pub(super) fn parse(text: &str) -> Result<Self, PatternProblem> {
        let mut pieces = vec![String::new()];
        let mut after_star = false;
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c == '*' {
                if after_star {
                    return Err(PatternProblem::DoubleStar);
                }
                pieces.push(String::new());
                after_star = true;
                continue;
            }
            after_star = false;
            let c = match c {
                '\\' => chars.next().filter(|c| matches!(c, '*' | '\\')).ok_or(PatternProblem::Escape)?,
                c => c,
            };
            pieces.last_mut().expect("it begins with one piece").push(c);
        }
        Ok(Wildcard { pieces })
    }

    /// The earliest place for each piece leaves the most room for the next ones, so no step is ever taken back.
    pub(super) fn matches(&self, text: &str) -> bool {
        let [first, rest @ ..] = self.pieces.as_slice() else { return false };
        let Some((last, middle)) = rest.split_last() else { return text == first };
        let Some(mut text) = text.strip_prefix(first.as_str()).and_then(|text| text.strip_suffix(last.as_str())) else {
            return false;
        };
        for piece in middle {
            match text.find(piece.as_str()) {
                Some(at) => text = &text[at + piece.len()..],
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]
    use super::*;
    use proptest::prelude::*;

    /// Tries every length for each star.
    fn matches_slowly(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|taken| matches_slowly(rest, &text[taken..])),
            [c, rest @ ..] => text.first() == Some(c) && matches_slowly(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_agrees_with_the_slow_one(pattern in "([ab]{0,2}\\*?){0,4}", text in "[ab]{0,8}") {
            prop_assume!(!pattern.contains("**"));
            let slow = matches_slowly(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(Wildcard::parse(&pattern).unwrap().matches(&text), slow);
        }
    }

    #[test]
    fn stars_and_backslashes_can_be_escaped() {
        assert!(Wildcard::parse(r"a\*b\\*").unwrap().matches(r"a*b\c"));
        assert!(!Wildcard::parse(r"a\*b").unwrap().matches("axb"));
        assert_eq!(Wildcard::parse(r"a\n"), Err(PatternProblem::Escape));
        assert_eq!(Wildcard::parse(r"a\"), Err(PatternProblem::Escape));
        assert_eq!(Wildcard::parse("a**b"), Err(PatternProblem::DoubleStar));
    }
}

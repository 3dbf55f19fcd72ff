//! Text with `*` and `?` wildcards and `${…}` variables.

use super::Context;

/// A pattern of a policy: `*` is any run of characters, `?` is one, `${key}` is the request's value of that key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Literal(char),
    One,
    Many,
    /// A key, and what stands for it if the request has no value.
    Variable(String, Option<String>),
}

impl Pattern {
    /// Reads a pattern; every text is one. `${*}`, `${?}` and `${$}` are the plain characters.
    pub fn new(text: &str) -> Pattern {
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some((name, after)) = rest.strip_prefix("${").and_then(|inner| inner.split_once('}')) {
                tokens.push(match name {
                    "*" => Token::Literal('*'),
                    "?" => Token::Literal('?'),
                    "$" => Token::Literal('$'),
                    name => variable(name),
                });
                rest = after;
                continue;
            }
            match first {
                // Two stars in a row say what one says.
                '*' if tokens.last() == Some(&Token::Many) => {}
                '*' => tokens.push(Token::Many),
                '?' => tokens.push(Token::One),
                other => tokens.push(Token::Literal(other)),
            }
            rest = &rest[first.len_utf8()..];
        }
        Pattern { tokens }
    }

    /// Reads a text in which only variables are special.
    pub(super) fn without_wildcards(text: &str) -> Pattern {
        let Pattern { mut tokens } = Pattern::new(&text.replace('*', "\u{0}"));
        for token in &mut tokens {
            match token {
                Token::Literal('\u{0}') => *token = Token::Literal('*'),
                Token::One => *token = Token::Literal('?'),
                _ => {}
            }
        }
        Pattern { tokens }
    }

    /// Whether the whole text fits. A variable fits nothing.
    pub fn matches(&self, text: &str) -> bool {
        self.matches_in(text, &Context::default()).unwrap_or(false)
    }

    /// Whether the whole text fits, with variables from the request; `None` if the request has no value for one.
    pub(super) fn matches_in(&self, text: &str, context: &Context) -> Option<bool> {
        if !self.tokens.iter().any(|token| matches!(token, Token::Variable(..))) {
            return Some(fits(&self.tokens, text));
        }
        let mut tokens = Vec::with_capacity(self.tokens.len());
        for token in &self.tokens {
            match token {
                // The value is taken literally: a `*` in it is a star.
                Token::Variable(name, default) => {
                    let value = context.single(name).or(default.as_deref())?;
                    tokens.extend(value.chars().map(Token::Literal));
                }
                other => tokens.push(other.clone()),
            }
        }
        Some(fits(&tokens, text))
    }

    /// The plain text before the first wildcard or variable.
    pub fn literal_prefix(&self) -> String {
        self.tokens.iter().map_while(|token| if let Token::Literal(c) = token { Some(*c) } else { None }).collect()
    }
}

/// A variable's inside: `KEY`, or `KEY, 'DEFAULT'` (IAM, "Policy variables", "Specifying default values").
fn variable(inside: &str) -> Token {
    let default = inside.split_once(',').and_then(|(key, default)| {
        let default = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        Some(Token::Variable(key.trim().to_owned(), Some(default.to_owned())))
    });
    default.unwrap_or_else(|| Token::Variable(inside.to_owned(), None))
}

/// Greedy, with one way back: a later star makes an earlier one settled, so the work is at most the product of both
/// lengths and never grows with the number of stars.
fn fits(pattern: &[Token], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut seen) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(Token::Many) => {
                last_star = Some((at, seen));
                at += 1;
                continue;
            }
            Some(Token::One) => {
                at += 1;
                seen += 1;
                continue;
            }
            Some(Token::Literal(c)) if *c == text[seen] => {
                at += 1;
                seen += 1;
                continue;
            }
            _ => {}
        }
        let Some((star, taken)) = last_star else {
            return false;
        };
        last_star = Some((star, taken + 1));
        at = star + 1;
        seen = taken + 1;
    }
    pattern[at..].iter().all(|token| *token == Token::Many)
}

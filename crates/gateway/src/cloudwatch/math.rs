//! Metric math: the text of an expression, read.
//!
//! Source: CloudWatch, "Using math expressions with CloudWatch metrics". Read are numbers, texts, names of queries, lists, `+ - * / ^`,
//! comparisons, `AND` and `OR` (also `&&` and `||`), and calls. What a call does stands in `evaluate`.

use std::iter::Peekable;
use std::str::Chars;

/// Characters of an expression (model `monitoring`, `MetricExpression`).
pub(super) const CHARACTERS_MAX: usize = 2_048;
/// How deep an expression may be nested: people write three or four.
const DEPTH_MAX: usize = 32;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Number(f64),
    Text(String),
    /// A query by its id, or one of the words `REPEAT` and `LINEAR`.
    Name(String),
    List(Vec<Expression>),
    Negated(Box<Expression>),
    Two(Operator, Box<Expression>, Box<Expression>),
    Call(String, Vec<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

impl Operator {
    /// Those that bind more strongly are higher.
    fn strength(self) -> u8 {
        match self {
            Operator::Or => 1,
            Operator::And => 2,
            Operator::Equal | Operator::Unequal => 3,
            Operator::Less | Operator::AtMost | Operator::Greater | Operator::AtLeast => 4,
            Operator::Add | Operator::Subtract => 5,
            Operator::Multiply | Operator::Divide => 6,
            Operator::Power => 8,
        }
    }
}

/// Stronger than `*`, weaker than `^`: `-m1^2` is `-(m1^2)`.
const NEGATION_STRENGTH: u8 = 7;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    Word(String),
    Operator(Operator),
    Open,
    Close,
    ListOpen,
    ListClose,
    Comma,
}

/// Reads an expression.
///
/// # Errors
/// What is wrong with it, in words for its author.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    if text.chars().count() > CHARACTERS_MAX {
        return Err(format!("an expression may have {CHARACTERS_MAX} characters"));
    }
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens, at: 0, depth: 0 };
    let expression = reader.expression(0)?;
    match reader.peek() {
        None => Ok(expression),
        Some(_) => Err("Invalid syntax: something follows the end of the expression".into()),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut characters = text.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(character) = characters.next() {
        let mut if_next = |next, then, otherwise| if characters.next_if_eq(&next).is_some() { then } else { otherwise };
        tokens.push(match character {
            ' ' | '\t' | '\r' | '\n' => continue,
            '+' => Token::Operator(Operator::Add),
            '-' => Token::Operator(Operator::Subtract),
            '*' => Token::Operator(Operator::Multiply),
            '/' => Token::Operator(Operator::Divide),
            '^' => Token::Operator(Operator::Power),
            '<' => Token::Operator(if_next('=', Operator::AtMost, Operator::Less)),
            '>' => Token::Operator(if_next('=', Operator::AtLeast, Operator::Greater)),
            '=' if characters.next_if_eq(&'=').is_some() => Token::Operator(Operator::Equal),
            '!' if characters.next_if_eq(&'=').is_some() => Token::Operator(Operator::Unequal),
            '&' if characters.next_if_eq(&'&').is_some() => Token::Operator(Operator::And),
            '|' if characters.next_if_eq(&'|').is_some() => Token::Operator(Operator::Or),
            '(' => Token::Open,
            ')' => Token::Close,
            '[' => Token::ListOpen,
            ']' => Token::ListClose,
            ',' => Token::Comma,
            '"' | '\'' => quoted(&mut characters, character)?,
            '0'..='9' | '.' => number(&mut characters, character)?,
            'A'..='Z' | 'a'..='z' | '_' => word(&mut characters, character),
            other => return Err(format!("Invalid syntax: {other:?} has no meaning")),
        });
    }
    Ok(tokens)
}

fn quoted(characters: &mut Peekable<Chars<'_>>, mark: char) -> Result<Token, String> {
    let mut text = String::new();
    for character in characters {
        if character == mark {
            return Ok(Token::Text(text));
        }
        text.push(character);
    }
    Err("Invalid syntax: a text has no end".into())
}

fn number(characters: &mut Peekable<Chars<'_>>, first: char) -> Result<Token, String> {
    let mut text = String::from(first);
    while let Some(next) = characters.next_if(|next| next.is_ascii_digit() || matches!(next, '.' | 'e' | 'E')) {
        text.push(next);
        if matches!(next, 'e' | 'E')
            && let Some(sign) = characters.next_if(|next| matches!(next, '+' | '-'))
        {
            text.push(sign);
        }
    }
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.map(Token::Number).ok_or_else(|| format!("Invalid syntax: {text} is no number"))
}

fn word(characters: &mut Peekable<Chars<'_>>, first: char) -> Token {
    let mut text = String::from(first);
    while let Some(next) = characters.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
        text.push(next);
    }
    match text.as_str() {
        "AND" => Token::Operator(Operator::And),
        "OR" => Token::Operator(Operator::Or),
        _ => Token::Word(text),
    }
}

struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn expect(&mut self, token: &Token, name: &str) -> Result<(), String> {
        if self.next().as_ref() == Some(token) { Ok(()) } else { Err(format!("Invalid syntax: {name} is missing")) }
    }

    /// What binds more strongly than `weakest`, and all that follows it and does too.
    fn expression(&mut self, weakest: u8) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("the expression is nested too deeply".into());
        }
        let mut left = self.operand()?;
        while let Some(Token::Operator(operator)) = self.peek().cloned() {
            if operator.strength() <= weakest {
                break;
            }
            self.at += 1;
            // `^` is read from the right, all others from the left.
            let right = self.expression(operator.strength() - u8::from(operator == Operator::Power))?;
            left = Expression::Two(operator, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expression, String> {
        match self.next() {
            Some(Token::Number(number)) => Ok(Expression::Number(number)),
            Some(Token::Text(text)) => Ok(Expression::Text(text)),
            Some(Token::Operator(Operator::Subtract)) => {
                Ok(Expression::Negated(Box::new(self.expression(NEGATION_STRENGTH)?)))
            }
            Some(Token::Open) => {
                let inner = self.expression(0)?;
                self.expect(&Token::Close, "a )")?;
                Ok(inner)
            }
            Some(Token::ListOpen) => Ok(Expression::List(self.several(&Token::ListClose, "a ]")?)),
            Some(Token::Word(name)) if self.peek() == Some(&Token::Open) => {
                self.at += 1;
                Ok(Expression::Call(name, self.several(&Token::Close, "a )")?))
            }
            Some(Token::Word(name)) => Ok(Expression::Name(name)),
            _ => Err("Invalid syntax: a metric, a number or a function is missing".into()),
        }
    }

    /// Expressions with commas between, up to the end mark.
    fn several(&mut self, end: &Token, name: &str) -> Result<Vec<Expression>, String> {
        let mut all = Vec::new();
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(all);
        }
        loop {
            all.push(self.expression(0)?);
            match self.next() {
                Some(Token::Comma) => {}
                Some(token) if token == *end => return Ok(all),
                _ => return Err(format!("Invalid syntax: {name} is missing")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// With all brackets written.
    fn written(expression: &Expression) -> String {
        let all = |list: &[Expression]| list.iter().map(written).collect::<Vec<_>>().join(",");
        match expression {
            Expression::Number(number) => number.to_string(),
            Expression::Text(text) => format!("{text:?}"),
            Expression::Name(name) => name.clone(),
            Expression::List(list) => format!("[{}]", all(list)),
            Expression::Negated(inner) => format!("(-{})", written(inner)),
            Expression::Two(operator, left, right) => format!("({} {operator:?} {})", written(left), written(right)),
            Expression::Call(name, list) => format!("{name}({})", all(list)),
        }
    }

    #[test]
    fn operators_bind_as_people_expect() {
        for (text, expected) in [
            ("m1+m2*2", "(m1 Add (m2 Multiply 2))"),
            ("m1/m2*100", "((m1 Divide m2) Multiply 100)"),
            ("100*(m1-m2)/m1", "((100 Multiply (m1 Subtract m2)) Divide m1)"),
            ("-m1^2^3", "(-(m1 Power (2 Power 3)))"),
            ("m1 - -1.5e3", "(m1 Subtract (-1500))"),
            ("IF(m1>=2 AND m2<1 || m3, 1, 0)", "IF((((m1 AtLeast 2) And (m2 Less 1)) Or m3),1,0)"),
            ("SUM([m1,m2])", "SUM([m1,m2])"),
            ("AVG(METRICS('view'))", "AVG(METRICS(\"view\"))"),
            ("METRICS()", "METRICS()"),
        ] {
            assert_eq!(parse(text).map(|read| written(&read)).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in
            ["", "m1+", "m1 m2", "(m1", "SUM(m1", "SUM(m1,)", "[m1", "m1 = m2", "m1;m2", "\"m1", "1.2.3", "m1 !"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"(".repeat(1_000)).is_err_and(|error| error.contains("deeply")));
        assert!(parse(&"-".repeat(1_000)).is_err_and(|error| error.contains("deeply")));
        assert!(parse(&"1+".repeat(2_000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+*/^()\\[\\],\"' a-zA-Z0-9.<>=!&|]{0,80}|\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}

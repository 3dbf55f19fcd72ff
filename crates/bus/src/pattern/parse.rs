//! JSON to pattern, with the place of each mistake.

use super::leaf::{Block, Bound, Condition, Range, TextCondition, lowercase};
use super::wildcard::Wildcard;
use super::{FieldPattern, LeafPattern, ObjectPattern, Pattern, PatternError, PatternProblem};
use serde_json::{Map, Value};

pub(super) fn pattern(value: &Value) -> Result<Pattern, PatternError> {
    let mut parser = Parser::default();
    let Value::Object(root) = value else { return Err(parser.error(PatternProblem::NotAnObject)) };
    let root = parser.object(root)?;
    Ok(Pattern { root, absences: parser.absences })
}

#[derive(Default)]
struct Parser {
    /// Where the parser is, for errors: names, and indices in brackets.
    at: Vec<String>,
    /// Where the parser is in the event: names only, without `$or`.
    names: Vec<String>,
    absences: Vec<Vec<String>>,
}

impl Parser {
    fn error(&self, problem: PatternProblem) -> PatternError {
        let mut at = String::new();
        for step in &self.at {
            if !at.is_empty() && !step.starts_with('[') {
                at.push('.');
            }
            at.push_str(step);
        }
        PatternError { at: if at.is_empty() { "pattern".into() } else { at }, problem }
    }

    /// Runs `parse` one step deeper.
    fn step<T>(
        &mut self,
        step: String,
        parse: impl FnOnce(&mut Self) -> Result<T, PatternError>,
    ) -> Result<T, PatternError> {
        self.at.push(step);
        let parsed = parse(self)?;
        self.at.pop();
        Ok(parsed)
    }

    fn each<T>(
        &mut self,
        values: &[Value],
        mut parse: impl FnMut(&mut Self, &Value) -> Result<T, PatternError>,
    ) -> Result<Vec<T>, PatternError> {
        values.iter().enumerate().map(|(n, value)| self.step(format!("[{n}]"), |p| parse(p, value))).collect()
    }

    fn object(&mut self, object: &Map<String, Value>) -> Result<ObjectPattern, PatternError> {
        if object.is_empty() {
            return Err(self.error(PatternProblem::Empty));
        }
        if self.at.len() > Pattern::DEPTH_MAX {
            return Err(self.error(PatternProblem::TooDeep));
        }
        let mut pattern = ObjectPattern::default();
        for (name, value) in object {
            self.step(name.clone(), |parser| {
                if name == "$or" {
                    pattern.alternatives.push(parser.alternatives(value)?);
                    return Ok(());
                }
                parser.names.push(name.clone());
                pattern.fields.push((name.clone(), parser.field(value)?));
                parser.names.pop();
                Ok(())
            })?;
        }
        Ok(pattern)
    }

    fn alternatives(&mut self, value: &Value) -> Result<Vec<ObjectPattern>, PatternError> {
        let Some(values) = value.as_array().filter(|values| values.len() >= 2) else {
            return Err(self.error(PatternProblem::Or));
        };
        self.each(values, |parser, value| match value {
            Value::Object(object) => parser.object(object),
            _ => Err(parser.error(PatternProblem::Or)),
        })
    }

    fn field(&mut self, value: &Value) -> Result<FieldPattern, PatternError> {
        match value {
            Value::Object(object) => self.object(object).map(FieldPattern::Object),
            Value::Array(values) if values.is_empty() => Err(self.error(PatternProblem::Empty)),
            Value::Array(values) => {
                let conditions = self.each(values, Parser::condition)?;
                let asks_absence = conditions.contains(&None);
                let absence = asks_absence.then(|| {
                    self.absences.push(self.names.clone());
                    self.absences.len() - 1
                });
                Ok(FieldPattern::Leaf(LeafPattern { conditions: conditions.into_iter().flatten().collect(), absence }))
            }
            _ => Err(self.error(PatternProblem::NeitherObjectNorArray)),
        }
    }

    /// Nothing stands for `exists: false`.
    fn condition(&mut self, value: &Value) -> Result<Option<Condition>, PatternError> {
        let object = match value {
            Value::Object(object) => object,
            Value::Array(_) => return Err(self.error(PatternProblem::NotAValue)),
            value => return Ok(Some(Condition::Equals(value.clone()))),
        };
        let (operator, operand) = self.operator(object)?;
        self.step(operator.to_owned(), |parser| {
            Ok(Some(match operator {
                "anything-but" => parser.anything_but(operand)?,
                "numeric" => Condition::Numeric(parser.numeric(operand)?),
                "cidr" => {
                    let text = parser.text(operand)?;
                    let block = Block::parse(text).ok_or_else(|| parser.error(PatternProblem::Cidr(text.into())))?;
                    Condition::Cidr(block)
                }
                "exists" => match operand {
                    Value::Bool(true) => Condition::Exists,
                    Value::Bool(false) => return Ok(None),
                    _ => return Err(parser.error(PatternProblem::Operand("true or false"))),
                },
                operator => Condition::Text(parser.text_condition(operator, operand)?),
            }))
        })
    }

    fn operator<'v>(&self, object: &'v Map<String, Value>) -> Result<(&'v str, &'v Value), PatternError> {
        let mut entries = object.iter();
        match (entries.next(), entries.next()) {
            (Some((operator, operand)), None) => Ok((operator, operand)),
            _ => Err(self.error(PatternProblem::NotOneOperator)),
        }
    }

    fn text<'v>(&self, value: &'v Value) -> Result<&'v str, PatternError> {
        value.as_str().ok_or_else(|| self.error(PatternProblem::Operand("a string")))
    }

    fn text_condition(&mut self, operator: &str, operand: &Value) -> Result<TextCondition, PatternError> {
        if let ("prefix" | "suffix", Value::Object(object)) = (operator, operand) {
            let (inner, operand) = self.operator(object)?;
            return self.step(inner.to_owned(), |parser| {
                if inner != "equals-ignore-case" {
                    return Err(parser.error(PatternProblem::UnknownOperator(inner.into())));
                }
                let text = lowercase(parser.text(operand)?);
                Ok(match operator {
                    "prefix" => TextCondition::PrefixIgnoreCase(text),
                    _ => TextCondition::SuffixIgnoreCase(text),
                })
            });
        }
        let text = match operator {
            "prefix" | "suffix" | "equals-ignore-case" | "wildcard" => self.text(operand)?,
            _ => return Err(self.error(PatternProblem::UnknownOperator(operator.into()))),
        };
        Ok(match operator {
            "prefix" => TextCondition::Prefix(text.into()),
            "suffix" => TextCondition::Suffix(text.into()),
            "equals-ignore-case" => TextCondition::EqualsIgnoreCase(lowercase(text)),
            _ => TextCondition::Wildcard(Wildcard::parse(text).map_err(|problem| self.error(problem))?),
        })
    }

    fn anything_but(&mut self, operand: &Value) -> Result<Condition, PatternError> {
        match operand {
            Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {
                Ok(Condition::AnythingBut(vec![operand.clone()]))
            }
            Value::Array(values) if values.is_empty() => Err(self.error(PatternProblem::Empty)),
            Value::Array(values) => {
                if values.iter().all(Value::is_string) || values.iter().all(Value::is_number) {
                    Ok(Condition::AnythingBut(values.clone()))
                } else {
                    Err(self.error(PatternProblem::Operand("a list of strings or a list of numbers")))
                }
            }
            Value::Object(object) => {
                let (operator, operand) = self.operator(object)?;
                self.step(operator.to_owned(), |parser| match operand {
                    Value::Array(values) if values.is_empty() => Err(parser.error(PatternProblem::Empty)),
                    Value::Array(values) => parser.each(values, |parser, value| parser.text_condition(operator, value)),
                    value => Ok(vec![parser.text_condition(operator, value)?]),
                })
                .map(Condition::AnythingButText)
            }
        }
    }

    fn numeric(&mut self, operand: &Value) -> Result<Range, PatternError> {
        let malformed = || self.error(PatternProblem::Numeric);
        let steps = operand.as_array().ok_or_else(malformed)?;
        let mut range = Range::default();
        for pair in steps.chunks(2) {
            let [Value::String(operator), Value::Number(number)] = pair else { return Err(malformed()) };
            let at = self.exact(number)?;
            let inclusive = operator.ends_with('=');
            let bound = Some(Bound { at, inclusive });
            match operator.as_str() {
                "=" if steps.len() == 2 => range = Range { lower: bound, upper: bound },
                ">" | ">=" if range == Range::default() => range.lower = bound,
                "<" | "<=" if range.upper.is_none() => range.upper = bound,
                _ => return Err(malformed()),
            }
        }
        match (range.lower, range.upper) {
            (None, None) => Err(malformed()),
            (Some(lower), Some(upper)) if steps.len() == 4 && lower.at >= upper.at => Err(malformed()),
            _ => Ok(range),
        }
    }

    /// IEEE double precision; integers beyond ±2^53 would be compared inexactly.
    fn exact(&self, number: &serde_json::Number) -> Result<f64, PatternError> {
        const INTEGER_MAX: u64 = 1 << 53;
        let integer = number.as_i64().map(i64::unsigned_abs).or(number.as_u64());
        match number.as_f64() {
            Some(value) if integer.is_none_or(|integer| integer <= INTEGER_MAX) => Ok(value),
            _ => Err(self.error(PatternProblem::NumberRange(number.to_string()))),
        }
    }
}

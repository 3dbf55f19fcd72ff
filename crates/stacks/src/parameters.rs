//! Values of parameters and their constraints.

use crate::state::Argument;
use crate::template::limits::{PARAMETER_BYTES_MAX, PATTERN_BYTES_MAX};
use crate::template::problem::Problems;
use crate::template::{Fault, Parameter, ParameterType, Template};
use headwater_model::Secret;
use regex::{Regex, RegexBuilder};
use serde_json::Value;
use std::collections::BTreeMap;

/// A parameter's pattern is compiled into at most this many bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Gives each parameter a value: the given one, or its default. `stored` are the values in Parameter Store. Mistakes are
/// added to `problems`.
pub(crate) fn bind(
    template: &Template,
    given: &BTreeMap<String, String>,
    stored: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> BTreeMap<String, Argument> {
    for name in given.keys() {
        if template.parameter(name).is_none() {
            let known = problems.nearest(name, template.parameters.iter().map(|parameter| parameter.key.name.as_str()));
            problems.add_outside(Fault::Unknown { what: "parameter", name: name.clone(), known });
        }
    }
    let mut arguments = BTreeMap::new();
    for parameter in &template.parameters {
        let name = &parameter.key.name;
        problems.within("parameter", name, |problems| match given.get(name).or(parameter.default.as_ref()) {
            None => {
                let expected = format!("a value of type {}", parameter.parameter_type.as_str());
                problems.add(parameter.key.at, Fault::Missing { what: "parameter", name: name.clone(), expected });
            }
            Some(value) if parameter.parameter_type.is_stored() && !stored.contains_key(value) => {
                let known = problems.nearest(value, stored.keys().map(String::as_str));
                let fault = Fault::Unknown { what: "parameter in Parameter Store", name: value.clone(), known };
                problems.add(parameter.key.at, fault);
            }
            Some(value) => match allowed(parameter, value) {
                Ok(()) => {
                    let argument = Argument { value: Secret::new(value.clone()), no_echo: parameter.no_echo };
                    arguments.insert(name.clone(), argument);
                }
                Err(fault) => problems.add(parameter.key.at, fault),
            },
        });
    }
    arguments
}

fn allowed(parameter: &Parameter, value: &str) -> Result<(), Fault> {
    let refused = |rule: String| Fault::Refused {
        value: if parameter.no_echo { Argument::MASK.into() } else { value.to_owned() },
        rule,
        explanation: parameter.constraint_description.clone(),
    };
    if value.len() > PARAMETER_BYTES_MAX {
        return Err(Fault::Limit { what: "bytes of the value", limit: PARAMETER_BYTES_MAX, actual: value.len() });
    }
    let items: Vec<&str> = match parameter.parameter_type.is_list() && !parameter.parameter_type.is_stored() {
        true => value.split(',').map(str::trim).collect(),
        false => vec![value],
    };
    let pattern = parameter.allowed_pattern.as_deref().map(compiled).transpose()?;
    for item in &items {
        if let Some(allowed) = &parameter.allowed_values
            && !allowed.iter().any(|other| other == item)
        {
            return Err(refused(format!("must be one of {}", allowed.join(", "))));
        }
        if matches!(parameter.parameter_type, ParameterType::Number | ParameterType::Numbers) {
            // "NaN" and "inf" are numbers to Rust, and a NaN is neither too small nor too large.
            let number = item.parse().ok().filter(|number: &f64| number.is_finite());
            let number = number.ok_or_else(|| refused("must be a number".into()))?;
            if parameter.value_min.is_some_and(|min| number < min) {
                return Err(refused(format!("must be at least {}", parameter.value_min.unwrap_or_default())));
            }
            if parameter.value_max.is_some_and(|max| number > max) {
                return Err(refused(format!("must be at most {}", parameter.value_max.unwrap_or_default())));
            }
        }
        if let Some((regex, pattern)) = &pattern
            && !regex.is_match(item)
        {
            return Err(refused(format!("must match the pattern {pattern}")));
        }
    }
    let length = value.chars().count() as u64;
    if let Some(min) = parameter.length_min.filter(|min| length < *min) {
        return Err(refused(format!("must have at least {min} characters")));
    }
    if let Some(max) = parameter.length_max.filter(|max| length > *max) {
        return Err(refused(format!("must have at most {max} characters")));
    }
    Ok(())
}

/// A pattern that the whole value must match.
fn compiled(pattern: &str) -> Result<(Regex, &str), Fault> {
    if pattern.len() > PATTERN_BYTES_MAX {
        let (limit, actual) = (PATTERN_BYTES_MAX, pattern.len());
        return Err(Fault::Limit { what: "bytes of AllowedPattern", limit, actual });
    }
    let build = |text: &str| RegexBuilder::new(text).size_limit(COMPILED_BYTES_MAX).build();
    // By itself first: `a)|(?:b` is none, and would be two halves of one with the anchors.
    let regex = build(pattern).and_then(|_| build(&format!("^(?:{pattern})$"))).map_err(|_| Fault::Expected {
        expected: "a regular expression for AllowedPattern".into(),
        found: format!("{pattern:?}"),
    })?;
    Ok((regex, pattern))
}

/// Whether secrets come out as themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// For providers.
    Everything,
    /// For events and people.
    Masked,
}

/// The values as `Ref` gives them: text, or a list of texts.
pub(crate) fn values(
    template: &Template,
    arguments: &BTreeMap<String, Argument>,
    stored: &BTreeMap<String, String>,
    show: Show,
) -> BTreeMap<String, Value> {
    let typed = |name: &str, argument: &Argument| {
        let text = if show == Show::Masked { argument.shown() } else { argument.value.expose() };
        let is_stored = template.parameter(name).is_some_and(|parameter| parameter.parameter_type.is_stored());
        let text = if is_stored { stored.get(text).map_or(text, String::as_str) } else { text };
        match template.parameter(name) {
            Some(parameter) if parameter.parameter_type.is_list() => {
                text.split(',').map(|item| Value::String(item.trim().into())).collect()
            }
            _ => Value::String(text.into()),
        }
    };
    arguments.iter().map(|(name, argument)| (name.clone(), typed(name, argument))).collect()
}

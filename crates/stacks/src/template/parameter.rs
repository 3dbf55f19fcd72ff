//! Parameters: what a template lets its caller say.

use super::limits::PARAMETER_BYTES_MAX;
use super::problem::{Fault, Problems};
use super::tree::{Data, Key, Node};

/// What a parameter takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterType {
    /// Any text.
    Text,
    /// A number.
    Number,
    /// Numbers with commas between them.
    Numbers,
    /// Texts with commas between them.
    Texts,
    /// A name of AWS, such as `AWS::EC2::VPC::Id`: any text, for nothing of the kind exists here.
    Aws(String),
    /// A list of such names.
    AwsList(String),
    /// The name of a parameter in Parameter Store, of which the value is meant, such as
    /// `AWS::SSM::Parameter::Value<String>`.
    Stored(String),
    /// The same, of a list.
    StoredList(String),
}

impl ParameterType {
    /// As templates write it.
    pub fn as_str(&self) -> &str {
        match self {
            ParameterType::Text => "String",
            ParameterType::Number => "Number",
            ParameterType::Numbers => "List<Number>",
            ParameterType::Texts => "CommaDelimitedList",
            ParameterType::Aws(name)
            | ParameterType::AwsList(name)
            | ParameterType::Stored(name)
            | ParameterType::StoredList(name) => name,
        }
    }

    /// Whether its value is a list.
    pub fn is_list(&self) -> bool {
        matches!(
            self,
            ParameterType::Numbers | ParameterType::Texts | ParameterType::AwsList(_) | ParameterType::StoredList(_)
        )
    }

    /// Whether what is given is the name of a parameter in Parameter Store.
    pub fn is_stored(&self) -> bool {
        matches!(self, ParameterType::Stored(_) | ParameterType::StoredList(_))
    }
}

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name and place.
    pub key: Key,
    /// What it takes.
    pub parameter_type: ParameterType,
    /// Used if the caller gives nothing.
    pub default: Option<String>,
    /// The only values that it takes.
    pub allowed_values: Option<Vec<String>>,
    /// Regular expression that the whole value must match.
    pub allowed_pattern: Option<String>,
    /// Fewest characters.
    pub length_min: Option<u64>,
    /// Most characters.
    pub length_max: Option<u64>,
    /// Smallest number.
    pub value_min: Option<f64>,
    /// Greatest number.
    pub value_max: Option<f64>,
    /// Whether it is masked wherever it is shown.
    pub no_echo: bool,
    /// What it is for.
    pub description: Option<String>,
    /// What is said if a value is refused.
    pub constraint_description: Option<String>,
}

const MEMBERS: [&str; 11] = [
    "Type",
    "Default",
    "AllowedValues",
    "AllowedPattern",
    "MinLength",
    "MaxLength",
    "MinValue",
    "MaxValue",
    "NoEcho",
    "Description",
    "ConstraintDescription",
];

/// Reads a parameter's definition.
pub(crate) fn parse(key: &Key, node: &Node, problems: &mut Problems) -> Option<Parameter> {
    let Data::Map(members) = &node.data else {
        let fault = Fault::Expected { expected: "an object with Type".into(), found: node.found() };
        problems.add(node.at, fault);
        return None;
    };
    for (member, _) in members {
        if !MEMBERS.contains(&member.name.as_str()) {
            let known = problems.nearest(&member.name, MEMBERS);
            problems.add(member.at, Fault::Unknown { what: "member", name: member.name.clone(), known });
        }
    }
    let Some(type_node) = node.member("Type") else {
        let expected = "String, Number, List<Number>, CommaDelimitedList".to_owned();
        problems.add(key.at, Fault::Missing { what: "member", name: "Type".into(), expected });
        return None;
    };
    let parameter_type = parameter_type(type_node, problems)?;
    let mut scalar = |name: &str| scalar_member(node, name, problems);
    let (default, allowed_pattern) = (scalar("Default"), scalar("AllowedPattern"));
    let (description, constraint_description) = (scalar("Description"), scalar("ConstraintDescription"));
    let no_echo = scalar("NoEcho").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let allowed_values = match node.member("AllowedValues").map(|values| (values, &values.data)) {
        None => None,
        Some((_, Data::List(items))) => Some(items.iter().filter_map(Node::scalar).collect()),
        Some((values, _)) => {
            problems.add(values.at, Fault::Expected { expected: "a list".into(), found: values.found() });
            None
        }
    };
    if let Some(default) = default.as_ref().filter(|default| default.len() > PARAMETER_BYTES_MAX) {
        let limit = PARAMETER_BYTES_MAX;
        problems.add(key.at, Fault::Limit { what: "bytes of the default", limit, actual: default.len() });
    }
    Some(Parameter {
        key: key.clone(),
        parameter_type,
        default,
        allowed_values,
        allowed_pattern,
        length_min: number_member(node, "MinLength", problems),
        length_max: number_member(node, "MaxLength", problems),
        value_min: number_member(node, "MinValue", problems),
        value_max: number_member(node, "MaxValue", problems),
        no_echo,
        description,
        constraint_description,
    })
}

/// Before what the stored value is, and `>`.
const STORED: &str = "AWS::SSM::Parameter::Value<";

fn parameter_type(node: &Node, problems: &mut Problems) -> Option<ParameterType> {
    let name = node.scalar().unwrap_or_default();
    match name.as_str() {
        "String" => Some(ParameterType::Text),
        "Number" => Some(ParameterType::Number),
        "List<Number>" => Some(ParameterType::Numbers),
        "CommaDelimitedList" | "List<String>" => Some(ParameterType::Texts),
        name if name.starts_with("List<AWS::") => Some(ParameterType::AwsList(name.into())),
        name if name.starts_with(STORED) => {
            let of = &name[STORED.len()..];
            let is_list = of.starts_with("List<") || of == "CommaDelimitedList>";
            Some(if is_list { ParameterType::StoredList(name.into()) } else { ParameterType::Stored(name.into()) })
        }
        name if name.starts_with("AWS::") => Some(ParameterType::Aws(name.into())),
        _ => {
            let expected = "String, Number, List<Number> or CommaDelimitedList".to_owned();
            problems.add(node.at, Fault::Expected { expected, found: node.found() });
            None
        }
    }
}

fn scalar_member(node: &Node, name: &str, problems: &mut Problems) -> Option<String> {
    let member = node.member(name)?;
    let text = member.scalar();
    if text.is_none() {
        let expected = format!("text for {name}");
        problems.add(member.at, Fault::Expected { expected, found: member.found() });
    }
    text
}

fn number_member<T: std::str::FromStr>(node: &Node, name: &str, problems: &mut Problems) -> Option<T> {
    let member = node.member(name)?;
    let number = member.scalar().and_then(|text| text.parse().ok());
    if number.is_none() {
        let expected = format!("a number for {name}");
        problems.add(member.at, Fault::Expected { expected, found: member.found() });
    }
    number
}

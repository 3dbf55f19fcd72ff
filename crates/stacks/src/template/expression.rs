//! Values with intrinsic functions in them.

use super::problem::{Fault, Position, Problems};
use super::tree::{Data, Key, Node};
use std::collections::BTreeSet;

/// A value that may have to be worked out, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub form: Form,
}

/// A literal or a function.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// What could not be read; the mistake has been told.
    Broken,
    /// Nothing.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A number's text.
    Number(String),
    /// Text.
    Text(String),
    /// Values in order.
    List(Vec<Expr>),
    /// Values by name, in order.
    Map(Vec<(Key, Expr)>),
    /// `Ref`: a parameter, pseudo parameter or resource.
    Ref(String),
    /// `Fn::GetAtt`.
    GetAtt {
        /// Logical id.
        resource: String,
        /// May contain dots.
        attribute: String,
    },
    /// `Fn::Join`.
    Join {
        /// Put between the items.
        delimiter: String,
        /// A list.
        items: Box<Expr>,
    },
    /// `Fn::Sub`.
    Sub {
        /// Text and names in order.
        pieces: Vec<Piece>,
        /// Names that the function itself gives values.
        variables: Vec<(Key, Expr)>,
    },
    /// `Fn::Select`.
    Select {
        /// From 0.
        index: Box<Expr>,
        /// A list.
        items: Box<Expr>,
    },
    /// `Fn::Split`.
    Split {
        /// Never empty.
        delimiter: String,
        /// Text.
        text: Box<Expr>,
    },
    /// `Fn::FindInMap`.
    FindInMap {
        /// Mapping.
        map: Box<Expr>,
        /// First key.
        first: Box<Expr>,
        /// Second key.
        second: Box<Expr>,
    },
    /// `Fn::If`.
    If {
        /// A condition's name.
        condition: String,
        /// If it holds.
        then: Box<Expr>,
        /// If not.
        otherwise: Box<Expr>,
    },
    /// `Fn::Base64`.
    Base64(Box<Expr>),
    /// `Fn::Length`.
    Length(Box<Expr>),
    /// `Fn::ToJsonString`.
    ToJsonString(Box<Expr>),
    /// `Fn::ImportValue`.
    ImportValue(Box<Expr>),
    /// `Fn::GetAZs`.
    GetAzs(Box<Expr>),
}

/// A piece of `Fn::Sub`'s text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Literal(String),
    /// `${Name}`: a variable, parameter, pseudo parameter or resource.
    Ref(String),
    /// `${Resource.Attribute}`.
    GetAtt {
        /// Logical id.
        resource: String,
        /// May contain dots.
        attribute: String,
    },
}

/// All functions that are understood, for messages.
const FUNCTIONS: [&str; 14] = [
    "Ref",
    "Fn::Base64",
    "Fn::FindInMap",
    "Fn::GetAZs",
    "Fn::GetAtt",
    "Fn::If",
    "Fn::ImportValue",
    "Fn::Join",
    "Fn::Length",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
    "Fn::ToJsonString",
    "Fn::Equals",
];

/// Functions of CloudFormation that need what a local server has not.
const UNSUPPORTED: [&str; 3] = ["Fn::Transform", "Fn::Cidr", "Fn::GetStackOutput"];

impl Expr {
    /// Calls a function for this expression and all within it, outermost first.
    pub fn visit<'a>(&'a self, see: &mut impl FnMut(&'a Expr)) {
        see(self);
        match &self.form {
            Form::Broken
            | Form::Null
            | Form::Flag(_)
            | Form::Number(_)
            | Form::Text(_)
            | Form::Ref(_)
            | Form::GetAtt { .. } => {}
            Form::List(items) => items.iter().for_each(|item| item.visit(see)),
            Form::Map(members) | Form::Sub { variables: members, .. } => {
                members.iter().for_each(|(_, value)| value.visit(see));
            }
            Form::Join { items: inner, .. }
            | Form::Split { text: inner, .. }
            | Form::Base64(inner)
            | Form::Length(inner)
            | Form::ToJsonString(inner)
            | Form::ImportValue(inner)
            | Form::GetAzs(inner) => inner.visit(see),
            Form::Select { index, items } => {
                index.visit(see);
                items.visit(see);
            }
            Form::FindInMap { map, first, second } => {
                map.visit(see);
                first.visit(see);
                second.visit(see);
            }
            Form::If { then, otherwise, .. } => {
                then.visit(see);
                otherwise.visit(see);
            }
        }
    }

    /// In words, for messages.
    pub fn found(&self) -> String {
        match &self.form {
            Form::Null => "nothing".into(),
            Form::Flag(flag) => flag.to_string(),
            Form::Number(text) => format!("the number {text}"),
            Form::Text(text) => super::tree::shown(text),
            Form::List(_) => "a list".into(),
            Form::Map(_) => "an object".into(),
            _ => "a function".into(),
        }
    }

    /// Names that `Ref` and `${…}` ask for, and pairs that `Fn::GetAtt` and `${….…}` ask for, with places.
    pub fn references(&self) -> Vec<(Position, Reference)> {
        let mut found = Vec::new();
        self.visit(&mut |expr| match &expr.form {
            Form::Ref(name) => found.push((expr.at, Reference::Name(name.clone()))),
            Form::GetAtt { resource, attribute } => {
                found.push((expr.at, Reference::Attribute { resource: resource.clone(), attribute: attribute.clone() }))
            }
            Form::Sub { pieces, variables } => {
                let own: BTreeSet<&str> = variables.iter().map(|(key, _)| key.name.as_str()).collect();
                for piece in pieces {
                    match piece {
                        Piece::Ref(name) if !own.contains(name.as_str()) => {
                            found.push((expr.at, Reference::Name(name.clone())));
                        }
                        Piece::GetAtt { resource, attribute }
                            if !own.contains(format!("{resource}.{attribute}").as_str()) =>
                        {
                            found.push((
                                expr.at,
                                Reference::Attribute { resource: resource.clone(), attribute: attribute.clone() },
                            ));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        });
        found
    }
}

/// What an expression asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A parameter, pseudo parameter or resource.
    Name(String),
    /// An attribute of a resource.
    Attribute {
        /// Logical id.
        resource: String,
        /// May contain dots.
        attribute: String,
    },
}

/// Reads a value with its functions. Mistakes are added to `problems`; what could not be read is [`Form::Broken`].
pub(crate) fn parse(node: &Node, problems: &mut Problems) -> Expr {
    let at = node.at;
    let form = match &node.data {
        Data::Null => Form::Null,
        Data::Flag(flag) => Form::Flag(*flag),
        Data::Number(text) => Form::Number(text.clone()),
        Data::Text(text) => Form::Text(text.clone()),
        Data::List(items) => Form::List(items.iter().map(|item| parse(item, problems)).collect()),
        Data::Map(members) => match members.iter().find(|(key, _)| is_function(&key.name)) {
            Some((key, argument)) if members.len() == 1 => function(key, argument, problems),
            Some((key, _)) => {
                let expected = format!("{} alone in its object", key.name);
                problems.add(key.at, Fault::Expected { expected, found: format!("{} members", members.len()) });
                Form::Broken
            }
            None => Form::Map(members.iter().map(|(key, value)| (key.clone(), parse(value, problems))).collect()),
        },
    };
    Expr { at, form }
}

fn is_function(name: &str) -> bool {
    name == "Ref" || name.starts_with("Fn::")
}

fn function(key: &Key, argument: &Node, problems: &mut Problems) -> Form {
    let read = match key.name.as_str() {
        "Ref" => text(argument, "a name").map(Form::Ref),
        "Fn::GetAtt" => get_att(argument),
        "Fn::Join" => pair(argument, "[delimiter, list]").and_then(|(delimiter, items)| {
            let delimiter = text(delimiter, "text as delimiter")?;
            Ok(Form::Join { delimiter, items: Box::new(parse(items, problems)) })
        }),
        "Fn::Sub" => sub(argument, problems),
        "Fn::Select" => pair(argument, "[index, list]").map(|(index, items)| Form::Select {
            index: Box::new(parse(index, problems)),
            items: Box::new(parse(items, problems)),
        }),
        "Fn::Split" => pair(argument, "[delimiter, text]").and_then(|(delimiter, source)| {
            let written = text(delimiter, "text as delimiter")?;
            if written.is_empty() {
                return Err((delimiter.at, expected("a delimiter", delimiter)));
            }
            Ok(Form::Split { delimiter: written, text: Box::new(parse(source, problems)) })
        }),
        "Fn::FindInMap" => items(argument, 3, "[mapping, first key, second key]").map(|found| Form::FindInMap {
            map: Box::new(parse(&found[0], problems)),
            first: Box::new(parse(&found[1], problems)),
            second: Box::new(parse(&found[2], problems)),
        }),
        "Fn::If" => items(argument, 3, "[condition, value if it holds, value if not]").and_then(|found| {
            Ok(Form::If {
                condition: text(&found[0], "the name of a condition")?,
                then: Box::new(parse(&found[1], problems)),
                otherwise: Box::new(parse(&found[2], problems)),
            })
        }),
        "Fn::Base64" => Ok(Form::Base64(Box::new(parse(argument, problems)))),
        "Fn::Length" => Ok(Form::Length(Box::new(parse(argument, problems)))),
        "Fn::ToJsonString" => Ok(Form::ToJsonString(Box::new(parse(argument, problems)))),
        "Fn::ImportValue" => Ok(Form::ImportValue(Box::new(parse(argument, problems)))),
        "Fn::GetAZs" => Ok(Form::GetAzs(Box::new(parse(argument, problems)))),
        "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => Err((
            key.at,
            Fault::Expected { expected: format!("{} only in Conditions", key.name), found: "it in a value".into() },
        )),
        name if UNSUPPORTED.contains(&name) || name.starts_with("Fn::ForEach::") => {
            Err((key.at, Fault::Unsupported(name.to_owned())))
        }
        name => {
            let known = problems.nearest(name, FUNCTIONS);
            Err((key.at, Fault::Unknown { what: "function", name: name.to_owned(), known }))
        }
    };
    read.unwrap_or_else(|(at, fault)| {
        problems.add(at, fault);
        Form::Broken
    })
}

type Read<T> = Result<T, (Position, Fault)>;

fn expected(what: &str, node: &Node) -> Fault {
    Fault::Expected { expected: what.to_owned(), found: node.found() }
}

fn text(node: &Node, what: &str) -> Read<String> {
    node.scalar().ok_or_else(|| (node.at, expected(what, node)))
}

fn items<'a>(node: &'a Node, count: usize, what: &str) -> Read<&'a [Node]> {
    match &node.data {
        Data::List(items) if items.len() == count => Ok(items),
        Data::List(items) => {
            Err((node.at, Fault::Expected { expected: what.to_owned(), found: format!("a list of {}", items.len()) }))
        }
        _ => Err((node.at, expected(what, node))),
    }
}

fn pair<'a>(node: &'a Node, what: &str) -> Read<(&'a Node, &'a Node)> {
    items(node, 2, what).map(|found| (&found[0], &found[1]))
}

fn get_att(node: &Node) -> Read<Form> {
    const WHAT: &str = "RESOURCE.ATTRIBUTE or [resource, attribute]";
    match &node.data {
        Data::Text(path) => match path.split_once('.') {
            Some((resource, attribute)) if !resource.is_empty() && !attribute.is_empty() => {
                Ok(Form::GetAtt { resource: resource.into(), attribute: attribute.into() })
            }
            _ => Err((node.at, expected(WHAT, node))),
        },
        Data::List(parts) if parts.len() >= 2 => {
            let resource = text(&parts[0], WHAT)?;
            let rest: Read<Vec<String>> = parts[1..].iter().map(|part| text(part, WHAT)).collect();
            Ok(Form::GetAtt { resource, attribute: rest?.join(".") })
        }
        _ => Err((node.at, expected(WHAT, node))),
    }
}

fn sub(node: &Node, problems: &mut Problems) -> Read<Form> {
    const WHAT: &str = "text or [text, {name: value}]";
    let (source, variables) = match &node.data {
        Data::List(parts) if parts.len() == 2 => {
            let Data::Map(members) = &parts[1].data else {
                return Err((parts[1].at, expected("an object of names and values", &parts[1])));
            };
            let variables = members.iter().map(|(key, value)| (key.clone(), parse(value, problems))).collect();
            (&parts[0], variables)
        }
        Data::List(parts) if parts.len() == 1 => (&parts[0], Vec::new()),
        Data::List(_) | Data::Map(_) | Data::Null => return Err((node.at, expected(WHAT, node))),
        _ => (node, Vec::new()),
    };
    let pieces = pieces(&text(source, WHAT)?).map_err(|fault| (source.at, fault))?;
    Ok(Form::Sub { pieces, variables })
}

/// Cuts `Fn::Sub`'s text: `${Name}`, `${Resource.Attribute}`, `${!literal}`. A `$` otherwise stands for itself.
fn pieces(source: &str) -> Result<Vec<Piece>, Fault> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = source;
    while let Some(start) = rest.find("${") {
        literal.push_str(&rest[..start]);
        let after = &rest[start + 2..];
        let Some(end) = after.find('}') else {
            let detail = format!("\"${{\" without \"}}\" at {}", super::tree::shown(&rest[start..]));
            return Err(Fault::Function { function: "Fn::Sub", detail });
        };
        let name = &after[..end];
        rest = &after[end + 1..];
        if let Some(kept) = name.strip_prefix('!') {
            literal.push_str(&format!("${{{kept}}}"));
            continue;
        }
        let name = name.trim();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '_' | '-' | '@');
        if name.is_empty() || !name.chars().all(legal) {
            let detail = format!("{name:?} is not a name; write \"${{!{name}}}\" to keep it as text");
            return Err(Fault::Function { function: "Fn::Sub", detail });
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(match name.split_once('.') {
            Some((resource, attribute)) => Piece::GetAtt { resource: resource.into(), attribute: attribute.into() },
            None => Piece::Ref(name.into()),
        });
    }
    literal.push_str(rest);
    if !literal.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

//! From text to a tree of located values: YAML, and JSON as a part of it.

use super::limits::{DEPTH_MAX, EXPANDED_BYTES_MAX, NODES_MAX, TEMPLATE_BYTES_MAX};
use super::problem::{Fault, Position, Problem, Problems, TemplateError};
use super::tree::{Data, Key, Node};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// YAML's short forms and what they stand for.
const SHORT_FORMS: [(&str, &str); 21] = [
    ("Ref", "Ref"),
    ("Condition", "Condition"),
    ("And", "Fn::And"),
    ("Base64", "Fn::Base64"),
    ("Cidr", "Fn::Cidr"),
    ("Contains", "Fn::Contains"),
    ("Equals", "Fn::Equals"),
    ("FindInMap", "Fn::FindInMap"),
    ("GetAZs", "Fn::GetAZs"),
    ("GetAtt", "Fn::GetAtt"),
    ("If", "Fn::If"),
    ("ImportValue", "Fn::ImportValue"),
    ("Join", "Fn::Join"),
    ("Length", "Fn::Length"),
    ("Not", "Fn::Not"),
    ("Or", "Fn::Or"),
    ("Select", "Fn::Select"),
    ("Split", "Fn::Split"),
    ("Sub", "Fn::Sub"),
    ("ToJsonString", "Fn::ToJsonString"),
    ("Transform", "Fn::Transform"),
];

/// Reads a template's text. Aliases are written out, short forms become their long ones.
pub(super) fn read(text: &str) -> Result<(Node, Problems), TemplateError> {
    if text.len() > TEMPLATE_BYTES_MAX {
        let fault = Fault::Limit { what: "bytes of the template", limit: TEMPLATE_BYTES_MAX, actual: text.len() };
        return Err(alone(Position { line: 1, column: 1 }, fault));
    }
    let text = text.trim_start_matches('\u{feff}');
    let text: Cow<'_, str> = if text.trim_start().starts_with('{') { json_as_yaml(text)? } else { text.into() };
    let mut reader = Reader::default();
    for event in Parser::new_from_str(&text) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        reader.event(event, position(span.start))?;
        if reader.done {
            break;
        }
    }
    let root = reader.root.take().unwrap_or(Node { at: Position { line: 1, column: 1 }, data: Data::Null });
    Ok((root, reader.problems))
}

fn alone(at: Position, fault: Fault) -> TemplateError {
    TemplateError { problems: vec![Problem { at: Some(at), path: Vec::new(), fault }] }
}

fn position(marker: Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

fn syntax(error: &ScanError) -> TemplateError {
    alone(position(*error.marker()), Fault::Syntax { language: "YAML", detail: error.info().to_owned() })
}

/// JSON is YAML but for two things: tabs may indent it, and characters beyond 16 bits are escaped in pairs.
fn json_as_yaml(text: &str) -> Result<Cow<'_, str>, TemplateError> {
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        let said = error.to_string();
        // serde_json appends the place, which the problem tells by itself.
        let detail = said.split(" at line ").next().unwrap_or(&said).to_owned();
        let at = Position { line: error.line().max(1), column: error.column().max(1) };
        return Err(alone(at, Fault::Syntax { language: "JSON", detail }));
    }
    let text: Cow<'_, str> = if text.contains('\t') { text.replace('\t', " ").into() } else { text.into() };
    if !text.contains("\\u") {
        return Ok(text);
    }
    let mut joined = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(start) = rest.find('\\') {
        joined.push_str(&rest[..start]);
        let escape = &rest[start..];
        if let Some(character) = surrogate_pair(escape) {
            joined.push_str(&format!("\\U{:08X}", u32::from(character)));
            rest = &escape[12..];
        } else {
            let length = 1 + escape.chars().nth(1).map_or(0, char::len_utf8);
            joined.push_str(&escape[..length]);
            rest = &escape[length..];
        }
    }
    joined.push_str(rest);
    Ok(joined.into())
}

/// The character of `\uD83D\uDE00` at the start of a text.
fn surrogate_pair(escape: &str) -> Option<char> {
    let unit = |at: usize| {
        let digits = escape.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (high, low) = (unit(0)?, unit(6)?);
    char::decode_utf16([high, low]).next()?.ok().filter(|character| *character as u32 > 0xFFFF)
}

/// A container that has begun and not ended.
enum Open {
    List {
        at: Position,
        anchor: usize,
        function: Option<&'static str>,
        items: Vec<Node>,
        size: Size,
    },
    Map {
        at: Position,
        anchor: usize,
        function: Option<&'static str>,
        members: Vec<(Key, Node)>,
        names: HashSet<String>,
        key: Option<Key>,
        size: Size,
    },
}

/// What a value takes.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    nodes: usize,
    text_bytes: usize,
}

impl Size {
    const CONTAINER: Size = Size { nodes: 1, text_bytes: 0 };

    fn add(&mut self, other: Size) {
        self.nodes += other.nodes;
        self.text_bytes += other.text_bytes;
    }
}

#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Node, Size)>,
    size: Size,
    root: Option<Node>,
    done: bool,
    problems: Problems,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, at: Position) -> Result<(), TemplateError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let size = Size { nodes: 1, text_bytes: text.len() };
                self.count(size, at)?;
                let node = self.scalar(text.into_owned(), style, tag, at);
                self.value(node, size, anchor)?;
            }
            Event::SequenceStart(anchor, tag) => {
                let function = self.function(tag.as_deref(), at);
                self.begin(Open::List { at, anchor, function, items: Vec::new(), size: Size::CONTAINER }, at)?;
            }
            Event::MappingStart(anchor, tag) => {
                let function = self.function(tag.as_deref(), at);
                let (members, names, size) = (Vec::new(), HashSet::new(), Size::CONTAINER);
                self.begin(Open::Map { at, anchor, function, members, names, key: None, size }, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { at, anchor, function, items, size }) => {
                    self.value(wrapped(function, Node { at, data: Data::List(items) }), size, anchor)?;
                }
                Some(Open::Map { at, anchor, function, members, size, .. }) => {
                    self.value(wrapped(function, Node { at, data: Data::Map(members) }), size, anchor)?;
                }
                None => {}
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((_, size)) => {
                    let size = *size;
                    // Before the copy is made, or a bomb would go off here.
                    self.count(size, at)?;
                    if let Some((node, _)) = self.anchors.get(&anchor) {
                        let node = node.clone();
                        self.value(node, size, 0)?;
                    }
                }
                // An alias inside its own anchor has no end.
                None => {
                    let fault = Fault::Unsupported("an alias to a value that has not ended".into());
                    return Err(alone(at, fault));
                }
            },
            Event::DocumentEnd => self.done = true,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
        }
        Ok(())
    }

    fn count(&mut self, size: Size, at: Position) -> Result<(), TemplateError> {
        self.size.add(size);
        let Size { nodes, text_bytes } = self.size;
        let bounds = [
            ("values of the template", NODES_MAX, nodes),
            ("bytes of the template's texts with its aliases", EXPANDED_BYTES_MAX, text_bytes),
        ];
        match bounds.into_iter().find(|(_, limit, actual)| actual > limit) {
            Some((what, limit, actual)) => Err(alone(at, Fault::Limit { what, limit, actual })),
            None => Ok(()),
        }
    }

    fn begin(&mut self, container: Open, at: Position) -> Result<(), TemplateError> {
        self.count(Size::CONTAINER, at)?;
        if self.open.len() >= DEPTH_MAX {
            let fault = Fault::Limit { what: "depth of the template", limit: DEPTH_MAX, actual: self.open.len() + 1 };
            return Err(alone(at, fault));
        }
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            let fault = Fault::Expected { expected: "a name".into(), found: "a list or an object".into() };
            return Err(alone(at, fault));
        }
        self.open.push(container);
        Ok(())
    }

    /// A complete value goes to the innermost open container.
    fn value(&mut self, node: Node, count: Size, anchor: usize) -> Result<(), TemplateError> {
        if anchor > 0 {
            // A copy too: anchors within anchors would keep each value as often as it is deep.
            self.count(count, node.at)?;
            self.anchors.insert(anchor, (node.clone(), count));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, size, .. }) => {
                items.push(node);
                size.add(count);
            }
            Some(Open::Map { members, names, key, size, .. }) => {
                size.add(count);
                match key.take() {
                    None => match node.scalar() {
                        Some(name) => {
                            if !names.insert(name.clone()) {
                                self.problems.add(node.at, Fault::Duplicate { name: name.clone() });
                            }
                            *key = Some(Key { at: node.at, name });
                        }
                        None => {
                            let fault = Fault::Expected { expected: "a name".into(), found: node.found() };
                            return Err(alone(node.at, fault));
                        }
                    },
                    Some(key) => members.push((key, node)),
                }
            }
        }
        Ok(())
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, tag: Option<Cow<'_, Tag>>, at: Position) -> Node {
        match tag.as_deref() {
            // The argument of a short form is text: `!Sub 8080`, `!Ref On`.
            Some(tag) if tag.handle == "!" => {
                let function = self.function(Some(tag), at);
                wrapped(function, Node { at, data: Data::Text(text) })
            }
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix != "str" => Node { at, data: plain(text) },
            Some(_) => Node { at, data: Data::Text(text) },
            None if style == ScalarStyle::Plain => Node { at, data: plain(text) },
            None => Node { at, data: Data::Text(text) },
        }
    }

    fn function(&mut self, tag: Option<&Tag>, at: Position) -> Option<&'static str> {
        let tag = tag?;
        if tag.handle != "!" {
            return None;
        }
        let found = SHORT_FORMS.iter().find(|(short, _)| *short == tag.suffix).map(|(_, long)| *long);
        if found.is_none() {
            let known = self.problems.nearest(&tag.suffix, SHORT_FORMS.iter().map(|(short, _)| *short));
            self.problems.add(at, Fault::Unknown { what: "short form", name: format!("!{}", tag.suffix), known });
        }
        found
    }
}

fn wrapped(function: Option<&'static str>, node: Node) -> Node {
    match function {
        None => node,
        Some(name) => {
            let at = node.at;
            Node { at, data: Data::Map(vec![(Key { at, name: name.into() }, node)]) }
        }
    }
}

/// A scalar without quotes, by YAML 1.2's core schema. Numbers with leading zeros stay text: they are account ids and
/// the like. Dates are text there.
fn plain(text: String) -> Data {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Flag(true),
        "false" | "False" | "FALSE" => Data::Flag(false),
        _ if is_number(&text) => Data::Number(text),
        _ => Data::Text(text),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    digits.starts_with(|first: char| first.is_ascii_digit())
        && !leading_zero
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

//! The part of JSONPath that target inputs use: `$`, `.name`, `['name']`, `[3]`, `[*]`.
//!
//! *Source*: EventBridge User Guide, "Amazon EventBridge input transformation": dots, dashes, underscores,
//! alphanumerics, slashes, array indices and wildcards.

use serde_json::Value;

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
    All,
}

impl Path {
    /// Nothing if the text is no such path.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let (name, after) = after.split_at(end);
                let valid = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/');
                if name.is_empty() || !name.chars().all(valid) {
                    return None;
                }
                steps.push(Step::Name(name.into()));
                rest = after;
            } else {
                let inside = rest.strip_prefix('[')?;
                if let Some(quoted) = inside.strip_prefix('\'') {
                    let (name, after) = quoted.split_once("']")?;
                    steps.push(Step::Name(name.into()));
                    rest = after;
                } else {
                    let (inside, after) = inside.split_once(']')?;
                    steps.push(if inside == "*" { Step::All } else { Step::Index(inside.parse().ok()?) });
                    rest = after;
                }
            }
        }
        Some(Path { steps })
    }

    /// What stands there; with a `[*]` on the way, the array of all that stand there. Nothing if nothing does.
    pub(crate) fn find(&self, value: &Value) -> Option<Value> {
        let mut found = vec![value];
        for step in &self.steps {
            found = found
                .into_iter()
                .flat_map(|value| match step {
                    Step::Name(name) => value.get(name).into_iter().collect::<Vec<_>>(),
                    Step::Index(index) => value.get(index).into_iter().collect(),
                    Step::All => value.as_array().into_iter().flatten().collect(),
                })
                .collect();
        }
        if self.steps.contains(&Step::All) {
            return (!found.is_empty()).then(|| found.into_iter().cloned().collect());
        }
        found.first().map(|value| (*value).clone())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step is a failing test")]
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_into_events() {
        let event = json!({"detail-type": "t", "detail": {"a b": [1, {"c": 2}], "list": [{"x": 1}, {"x": 2}, {}]}});
        let find = |path: &str| Path::parse(path).unwrap().find(&event);
        assert_eq!(find("$"), Some(event.clone()));
        assert_eq!(find("$.detail-type"), Some(json!("t")));
        assert_eq!(find("$.detail['a b'][1].c"), Some(json!(2)));
        assert_eq!(find("$.detail.list[*].x"), Some(json!([1, 2])));
        assert_eq!(find("$.detail.list[7]"), None);
        assert_eq!(find("$.nothing.there"), None);
    }

    #[test]
    fn other_texts_are_no_paths() {
        for text in ["", "detail", "$detail", "$.", "$..a", "$.a[", "$.a[-1]", "$.a[x]", "$['a'", "$.a b", "$.a[?(@)]"]
        {
            assert_eq!(Path::parse(text), None, "{text}");
        }
    }
}

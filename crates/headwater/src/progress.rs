//! A stack at work: a tree that redraws on a terminal, a line for each change elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Deserialize;

use crate::style::Style;

/// A stack as the native API tells it.
#[derive(Clone, Debug, Deserialize)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// `CREATE_IN_PROGRESS`, ….
    pub status: String,
    /// Why, if something went wrong.
    #[serde(default)]
    pub reason: Option<String>,
    /// What the template's outputs came to.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// What it is made of.
    #[serde(default)]
    pub resources: Vec<Resource>,
}

impl Stack {
    /// Whether an operation is under way.
    pub fn is_busy(&self) -> bool {
        self.status.ends_with("IN_PROGRESS")
    }

    /// Whether the last operation did what was asked.
    pub fn is_well(&self) -> bool {
        matches!(self.status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "DELETE_COMPLETE")
    }

    /// Value of an output.
    pub fn output(&self, key: &str) -> Option<&str> {
        self.outputs.iter().find(|output| output.key == key).map(|output| output.value.as_str())
    }
}

/// One output of a stack.
#[derive(Clone, Debug, Deserialize)]
pub struct Output {
    /// Its name in the template.
    pub key: String,
    /// What it came to.
    pub value: String,
    /// What the template says of it.
    #[serde(default)]
    pub description: Option<String>,
}

/// One resource of a stack.
#[derive(Clone, Debug, Deserialize)]
pub struct Resource {
    /// Its name in the template.
    pub logical_id: String,
    /// `AWS::IVS::Channel`, ….
    #[serde(rename = "type")]
    pub resource_type: String,
    /// What it is now.
    pub status: String,
    /// Why, if something went wrong.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Shows one operation on one stack.
pub struct Progress {
    style: Style,
    bars: Option<MultiProgress>,
    head: Option<ProgressBar>,
    rows: BTreeMap<String, ProgressBar>,
    seen: BTreeMap<String, String>,
}

impl Progress {
    /// Redraws on a terminal, prints lines elsewhere.
    pub fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Progress { style: Style::stdout(), bars, head: None, rows: BTreeMap::new(), seen: BTreeMap::new() }
    }

    /// Shows the stack as it is now.
    pub fn show(&mut self, stack: &Stack) {
        match self.bars.clone() {
            Some(bars) => self.draw(&bars, stack),
            None => self.print_changes(stack),
        }
    }

    /// Leaves the last picture standing.
    pub fn finish(self) {
        for bar in self.rows.values().chain(self.head.iter()) {
            bar.abandon();
        }
    }

    fn draw(&mut self, bars: &MultiProgress, stack: &Stack) {
        let total = stack.resources.len() as u64;
        let done = stack.resources.iter().filter(|r| !r.status.ends_with("IN_PROGRESS")).count() as u64;
        let head = self.head.get_or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(total));
            bar.set_style(template("{msg} {bar:24.green/dim} {pos}/{len} {elapsed}"));
            bar
        });
        head.set_length(total);
        head.set_position(done);
        head.set_message(format!("{} {}", self.style.strong(&stack.name), self.style.status(&stack.status)));
        for resource in &stack.resources {
            let line = self.line(resource);
            let row = self.rows.entry(resource.logical_id.clone()).or_insert_with(|| {
                let bar = bars.add(ProgressBar::new_spinner());
                bar.set_style(template("  {spinner} {msg}"));
                bar.enable_steady_tick(Duration::from_millis(100));
                bar
            });
            row.set_message(line);
            if !resource.status.ends_with("IN_PROGRESS") && !row.is_finished() {
                row.set_style(template("    {msg}"));
                row.abandon();
            }
        }
    }

    fn print_changes(&mut self, stack: &Stack) {
        for resource in &stack.resources {
            let state = format!("{} {:?}", resource.status, resource.reason);
            if self.seen.get(&resource.logical_id) != Some(&state) {
                eprintln!("  {}", self.line(resource));
                self.seen.insert(resource.logical_id.clone(), state);
            }
        }
        let state = format!("{} {:?}", stack.status, stack.reason);
        if self.seen.get("") != Some(&state) {
            let reason = stack.reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
            eprintln!("{} {}{reason}", stack.name, stack.status);
            self.seen.insert(String::new(), state);
        }
    }

    fn line(&self, resource: &Resource) -> String {
        let reason = resource.reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
        format!(
            "{:<26} {:<36} {}{reason}",
            resource.logical_id,
            self.style.faint(&resource.resource_type),
            self.style.status(&resource.status)
        )
    }
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text).expect("the template is a constant that indicatif reads")
}

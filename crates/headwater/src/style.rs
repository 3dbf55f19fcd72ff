//! Words with colour on a terminal, plain everywhere else.

use std::io::IsTerminal;

/// Whether and how to colour.
#[derive(Clone, Copy)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// Colours if standard output is a terminal and `NO_COLOR` is not set.
    pub fn stdout() -> Self {
        Style { colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// Something that is well.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Something that failed.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// Something in motion, or to be looked at.
    pub fn busy(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// What a reader looks for.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What stands behind.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// A status word of a stack or resource in its colour.
    pub fn status(self, status: &str) -> String {
        if status.ends_with("FAILED") || status.contains("ROLLBACK") {
            self.bad(status)
        } else if status.ends_with("IN_PROGRESS") {
            self.busy(status)
        } else {
            self.good(status)
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

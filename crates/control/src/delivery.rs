//! Brings events to the targets of rules.

//! Event log, rules, event patterns, targets and retries.

//! Rules and targets of the default event bus.

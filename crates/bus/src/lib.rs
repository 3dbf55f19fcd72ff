//! Event log, rules, event patterns, targets and retries.
//!
//! An event's way: whoever makes one commits it to the event log with what it is about ([`event`] makes it,
//! [`put_events`] takes it from outside) → the *matcher* reads the log after its cursor and, in one commit, enqueues a
//! delivery for each target of each rule that matches and moves the cursor: exactly one delivery for an event and a
//! target → the *delivery worker* hands each to [`Deliver`], again and again with longer and longer waits, until it is
//! taken, or for good reason kept as a [`DeadLetter`]. Every step is durable before the next one; after a crash each
//! goes on where it was, so a target may get an event twice, but never less than once.
//!
//! [`Bus`] runs both loops. [`rules`] has what can be done to rules and targets, [`Follow`] reads the log as it grows.

mod clock;
mod delivery;
mod follow;
pub mod input;
mod matcher;
mod path;
pub mod pattern;
mod publish;
pub mod replay;
pub mod rules;
mod run;

pub use clock::{Clock, SystemClock};
pub use delivery::{DELIVERIES, DeadLetter, Deliver, Delivery, DeliveryError, Exhausted};
pub use follow::Follow;
pub use pattern::{Pattern, PatternError};
pub use publish::{
    DETAIL_TYPE_CHARS_MAX, ENTRIES_BYTES_MAX, ENTRIES_MAX, Entry, EntryError, PutEventsError, event, put_events,
};
pub use run::{Bus, Options, run};

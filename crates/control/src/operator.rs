//! What the server's operator asks for at the command line: stacks as one thing to deploy and watch, and pages of
//! events, logs, polls and channels that can be waited for.
//!
//! Names of the answers' members are those of their fields: they are Headwater's own API, told in
//! `gateway::native`. Every wait is bounded by [`WAIT_MAX`].

mod channels;
mod diagnosis;
mod pages;
mod stacks;

pub use channels::{ChannelState, channels};
pub use diagnosis::{Conformance, Diagnosis, Problem, Symptom, diagnose, lint};
pub use pages::{EventPage, LogPage, PollAnswer, Replayed, answers, before, events, logs, polls, replay};
pub use stacks::{Begun, ChangePlan, PlannedChange, StackSummary, StackView, delete, deploy, plan, stack, stacks};

use headwater_store::Topic;
use std::future::Future;
use std::time::Duration;

/// Longest that a call waits for something new; a proxy's idle limit is often a minute.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// Why an operation did not take place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// As operations of other services.
    #[error(transparent)]
    Control(#[from] crate::Error),
    /// The stacks' engine refuses.
    #[error(transparent)]
    Stacks(#[from] headwater_stacks::Error),
}

impl From<headwater_store::Error> for Error {
    fn from(error: headwater_store::Error) -> Self {
        Error::Control(error.into())
    }
}

impl Error {
    /// One line for each mistake of a template; none for other errors.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Error::Stacks(headwater_stacks::Error::Template(template)) => {
                template.problems.iter().map(ToString::to_string).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What sort of refusal an error of the stacks' engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackRefusal {
    /// The template has mistakes.
    Template,
    /// There is no such stack.
    NotFound,
    /// Something else of the input is wrong.
    Input,
    /// The stack is where this cannot be done.
    State,
    /// Not the caller's fault.
    Server,
}

/// Sorts an error of the stacks' engine.
pub fn refusal(error: &headwater_stacks::Error) -> StackRefusal {
    use headwater_stacks::Error as Stacks;
    match error {
        Stacks::Template(_) => StackRefusal::Template,
        Stacks::NoStack(_) | Stacks::NoResource { .. } | Stacks::NoChangeSet(_) => StackRefusal::NotFound,
        Stacks::Exists(_) | Stacks::State { .. } | Stacks::NoChange | Stacks::Protected(_) => StackRefusal::State,
        Stacks::Name(_) | Stacks::Capabilities { .. } | Stacks::NoPrevious(_) => StackRefusal::Input,
        _ => StackRefusal::Server,
    }
}

/// Reads until `read` finds something or the time is up, whenever the topic changes; gives what it read last.
async fn wait_for<T, F, R>(control: &crate::Control, topic: Topic, wait: Duration, read: R) -> Result<T, Error>
where
    R: Fn() -> F,
    F: Future<Output = Result<(T, Found), Error>>,
{
    let deadline = tokio::time::Instant::now() + wait.min(WAIT_MAX);
    let mut changes = control.store().watch(topic);
    loop {
        // Marked before reading, so that no change falls between the two.
        changes.mark_unchanged();
        let (value, found) = read().await?;
        if found == Found::Something {
            return Ok(value);
        }
        match tokio::time::timeout_at(deadline, changes.changed()).await {
            Ok(Ok(())) => {}
            // The time is up, or the store is closing.
            Ok(Err(_)) | Err(_) => return Ok(value),
        }
    }
}

/// Whether a read found what is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Something,
    NothingYet,
}

impl From<bool> for Found {
    fn from(found: bool) -> Self {
        if found { Found::Something } else { Found::NothingYet }
    }
}

#[cfg(test)]
mod tests;

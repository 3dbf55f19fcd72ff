//! Polls, answers and tallies.
//!
//! A cue that is a question opens a poll in its stream session, whoever put it; the channel's poll before it is closed
//! in the same commit. A viewer's first answer counts: it is stored before it is acknowledged, and repeating the
//! request changes nothing. What viewers see is a snapshot for each channel, swapped whole at each change; a slow
//! reader gets the newest one and never a queue.
//!
//! | module | what stands there |
//! |---|---|
//! | [`polls`] | opening and closing polls, answers, results |
//! | [`channels`] | the snapshot of each channel that somebody looks at |
//! | [`limits`] | what a viewer and an address may do |
//! | [`export`] | results and answers as JSON and CSV |
//! | [`http`] | the viewers' routes |

pub mod channels;
pub mod export;
pub mod http;
pub mod limits;
pub mod polls;

pub use http::router;
pub use polls::{AnswerError, Choice, Counted, GiveAnswer, Interact, PollResult};

#[cfg(test)]
mod tests;

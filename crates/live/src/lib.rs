//! One owner task for each stream session, fan-out by published snapshots.
//!
//! A [`Hub`] keeps the sessions. A publisher's units go through one bounded inbox into its session's task, which owns the timeline, the
//! packager, the reconnect window and the health; viewers read [`LiveStream::watch`]. What happens to a session is told to a
//! [`Journal`] and awaited, so that an event is durable before the session goes on. A panic ends one session.
//!
//! | module | what stands there |
//! |---|---|
//! | [`counters`] | what is counted, for metrics |
//! | [`audience`] | who watches a stream, as the viewers' side counts them |
//! | [`doctor`] | what is wrong with an encoder, and which setting mends it |
//! | [`hub`] | who is live: publishing, commands, drain |
//! | [`publisher`] | a publisher's end of its session |
//! | [`stream`] | what others see of a session |
//! | [`takeover`] | who may push a connected publisher aside |
//! | [`ladder`] | further renditions, made by an encoder process |
//! | [`journal`] | the session's events and who keeps them |

pub mod audience;
pub mod counters;
mod demand;
pub mod doctor;
pub mod hub;
pub mod journal;
pub mod ladder;
pub mod publisher;
mod renditions;
mod session;
pub mod stream;
pub mod takeover;
mod timeline;

#[cfg(test)]
mod tests;

pub use audience::{Audience, Troubles};
pub use counters::{Ingested, IngestedRead, Totals};
pub use doctor::{Finding, LimitBreach};
pub use headwater_hls::lint::{Report, Severity as LintSeverity};
pub use hub::{
    AdBreakError, CueError, Drained, Hub, KeyShown, NotBroadcasting, Options, Publish, PublishError, PutCue,
};
pub use journal::{Journal, JournalError, SessionEvent, SessionEventKind};
pub use publisher::{CutReason, Ending, Input, Publisher, Superseded};
pub use session::{RECONNECT_WINDOW_S_MAX, RECONNECT_WINDOW_TAG, STARVATION_AFTER};
pub use stream::{Asked, LadderState, LiveStream, Offer, Rendition, RenditionState};
pub use takeover::{Claim, TakeoverRefusal};

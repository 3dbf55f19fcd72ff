//! One owner task for each stream session, fan-out by published snapshots.
//!
//! A [`Hub`] keeps the sessions. A publisher's units go through one bounded inbox into its session's task, which owns the timeline, the
//! packager, the reconnect window and the health; viewers read [`LiveStream::watch`]. What happens to a session is told to a
//! [`Journal`] and awaited, so that an event is durable before the session goes on.
//!
//! | module | what stands there |
//! |---|---|
//! | [`hub`] | who is live, publishing, commands, drain |
//! | [`stream`] | what others see of a session |
//! | [`journal`] | the session's events and who keeps them |

pub mod hub;
pub mod journal;
pub mod stream;

pub use hub::{
    CueError, CutReason, Drained, Ending, Hub, Input, NotBroadcasting, Options, Publish,
    PublishError, Publisher, PutCue, Superseded,
};
pub use journal::{Journal, JournalError, SessionEvent, SessionEventKind};
pub use stream::LiveStream;

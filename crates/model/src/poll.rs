//! Questions, polls, answers.

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// A cue that asks: JSON with `question`, `answers` and `poll_id`, in the form that the template's function sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What is asked.
    pub question: String,
    /// What can be answered, 2–12 texts.
    pub answers: Vec<String>,
    /// Chosen by the asker; a number is read as its text.
    pub poll_id: String,
}

/// A question that was put into a stream session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Poll {
    /// Unique: stream id and the asker's poll id, `st-…:POLL_ID`.
    pub id: String,
    /// The channel that it was put to.
    pub channel_arn: String,
    /// The stream session that it was put into.
    pub stream_id: String,
    /// What was asked.
    pub question: Question,
    /// Id of the cue that carried it.
    pub cue_id: String,
    /// When it was put.
    pub opened_at: Timestamp,
    /// When it was closed: by the next question or by the session's end.
    pub closed_at: Option<Timestamp>,
}

/// One viewer's answer. The first one counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The poll's unique id.
    pub poll: String,
    /// Who answered: an id that the viewer's browser made.
    pub viewer: String,
    /// Index into the question's answers.
    pub choice: u32,
    /// When it was stored.
    pub at: Timestamp,
    /// The playhead's program date-time when it was given, if the player said so.
    pub playhead: Option<Timestamp>,
}

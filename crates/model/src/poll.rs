//! Questions, polls, answers.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// Fewest answers that a question may offer.
pub const ANSWERS_MIN: usize = 2;
/// Most answers that a question may offer: what a page can show as buttons.
pub const ANSWERS_MAX: usize = 12;

impl Question {
    /// Reads a cue's payload. What is not a question is `None`: cues may carry anything. Members that are not known
    /// are ignored.
    pub fn parse(payload: &str) -> Option<Question> {
        let Ok(Value::Object(fields)) = serde_json::from_str(payload) else { return None };
        let question = fields.get("question")?.as_str()?.to_owned();
        let answers = fields.get("answers")?.as_array()?;
        let answers: Vec<String> =
            answers.iter().map(|answer| answer.as_str().map(str::to_owned)).collect::<Option<_>>()?;
        let poll_id = match fields.get("poll_id")? {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            _ => return None,
        };
        let well_formed = !question.trim().is_empty()
            && !poll_id.is_empty()
            && (ANSWERS_MIN..=ANSWERS_MAX).contains(&answers.len())
            && answers.iter().all(|answer| !answer.trim().is_empty());
        well_formed.then_some(Question { question, answers, poll_id })
    }
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

/// Which poll of a channel is open; one record for each channel that ever had one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPoll {
    /// The channel.
    pub channel_arn: String,
    /// The poll's unique id; absent between questions.
    pub poll: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cue_is_a_question_or_something_else() {
        let question = |payload: &str| Question::parse(payload).map(|question| question.poll_id);
        assert_eq!(question(r#"{"question":"?","answers":["a","b"],"poll_id":"p1","extra":[1]}"#), Some("p1".into()));
        assert_eq!(question(r#"{"question":"?","answers":["a","b"],"poll_id":7}"#), Some("7".into()));
        for other in [
            "",
            "hello",
            "[]",
            r#"{"question":"?","answers":["a","b"]}"#,
            r#"{"question":"?","answers":["a"],"poll_id":1}"#,
            r#"{"question":"?","answers":["a",2],"poll_id":1}"#,
            r#"{"question":" ","answers":["a","b"],"poll_id":1}"#,
            r#"{"question":"?","answers":["a",""],"poll_id":1}"#,
            r#"{"question":"?","answers":"ab","poll_id":1}"#,
            r#"{"question":"?","answers":["a","b"],"poll_id":""}"#,
            r#"{"question":"?","answers":["1","2","3","4","5","6","7","8","9","10","11","12","13"],"poll_id":1}"#,
        ] {
            assert_eq!(question(other), None, "{other}");
        }
    }
}

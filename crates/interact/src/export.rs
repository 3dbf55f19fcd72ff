//! Results and answers as JSON and CSV.

use crate::polls::{Interact, PollResult};
use headwater_store::Error;
use serde_json::{Value, json};

/// Answers read at once.
const PAGE: u32 = 1000;

/// First line of the CSV of answers.
pub const CSV_HEADER: &str = "channel_arn,stream_id,poll_id,question,viewer,choice,answer,at,playhead\r\n";

/// Polls with their results, as an array.
pub fn json(results: &[PollResult]) -> Value {
    results.iter().map(result).collect()
}

fn result(PollResult { poll, tally }: &PollResult) -> Value {
    json!({
        "id": poll.id,
        "poll_id": poll.question.poll_id,
        "channel_arn": poll.channel_arn,
        "stream_id": poll.stream_id,
        "question": poll.question.question,
        "answers": poll.question.answers,
        "tally": tally,
        "total": tally.iter().sum::<u64>(),
        "opened_at": poll.opened_at.iso_millis(),
        "closed_at": poll.closed_at.map(|at| at.iso_millis()),
        "cue_id": poll.cue_id,
        "closed": poll.closed_at.is_some(),
    })
}

impl Interact {
    /// One line for each answer to the polls, after [`CSV_HEADER`], handed to `write` in pieces. Source: RFC 4180.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub async fn answers_csv(&self, results: &[PollResult], mut write: impl FnMut(String)) -> Result<(), Error> {
        write(CSV_HEADER.to_owned());
        for PollResult { poll, .. } in results {
            let mut skip = 0;
            loop {
                let page = self.store().answers(&poll.id, skip, PAGE).await?;
                let more = page.len() == PAGE as usize;
                skip += page.len() as u64;
                let mut lines = String::new();
                for answer in page {
                    let text = poll.question.answers.get(answer.choice as usize).map_or("", String::as_str);
                    let cells = [
                        cell(&poll.channel_arn),
                        cell(&poll.stream_id),
                        cell(&poll.question.poll_id),
                        cell(&poll.question.question),
                        cell(&answer.viewer),
                        answer.choice.to_string(),
                        cell(text),
                        answer.at.iso_millis(),
                        answer.playhead.map(|at| at.iso_millis()).unwrap_or_default(),
                    ];
                    lines.push_str(&cells.join(","));
                    lines.push_str("\r\n");
                }
                if !lines.is_empty() {
                    write(lines);
                }
                if !more {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// A text as a cell. A text that a spreadsheet would run as a formula gets an apostrophe before it.
fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("@x,y"), "\"'@x,y\"");
    }
}

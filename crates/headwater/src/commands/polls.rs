//! Questions that were put to viewers, and their answers.

use super::{PAGE, print_json};
use crate::cli::PollsArgs;
use crate::client::Client;
use crate::style::Style;
use serde_json::{Value, json};

/// `polls`.
///
/// # Errors
/// If the server cannot be asked.
pub async fn polls(client: &Client, args: &PollsArgs) -> anyhow::Result<()> {
    let answer: Value = client.call("polls", json!({"channel": args.channel})).await?;
    let polls = answer["polls"].as_array().cloned().unwrap_or_default();
    if args.json {
        let mut whole = Vec::new();
        for mut poll in polls {
            poll["viewers"] = Value::Array(all_answers(client, &poll).await?);
            whole.push(poll);
        }
        return print_json(&Value::Array(whole));
    }
    if args.csv {
        println!("poll,channel,question,viewer,choice,answer,at,playhead");
        for poll in &polls {
            for answer in all_answers(client, poll).await? {
                let cells = [
                    &poll["id"],
                    &poll["channel_arn"],
                    &poll["question"],
                    &answer["viewer"],
                    &answer["choice"],
                    &answer["answer"],
                    &answer["at"],
                    &answer["playhead"],
                ];
                println!("{}", cells.map(csv_cell).join(","));
            }
        }
        return Ok(());
    }
    let style = Style::stdout();
    for poll in &polls {
        let total = poll["total"].as_u64().unwrap_or(0);
        let state = if poll["closed_at"].is_null() { style.good("open") } else { style.faint("closed") };
        println!("{}  {state}", style.strong(poll["question"].as_str().unwrap_or_default()));
        println!("{}", style.faint(&format!("{}  {total} answers", poll["id"].as_str().unwrap_or_default())));
        let tally: Vec<u64> = poll["tally"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        let answers = poll["answers"].as_array().cloned().unwrap_or_default();
        for (answer, count) in answers.iter().zip(tally) {
            let filled = usize::try_from(count * 24 / total.max(1)).unwrap_or(0);
            let share = count * 100 / total.max(1);
            let bar = "█".repeat(filled);
            println!("  {:<28} {bar:<24} {count:>6} {share:>3} %", answer.as_str().unwrap_or_default());
        }
        println!();
    }
    if polls.is_empty() {
        println!("No question has been put yet.");
    }
    Ok(())
}

async fn all_answers(client: &Client, poll: &Value) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    loop {
        let page: Value =
            client.call("poll_answers", json!({"poll": poll["id"], "skip": all.len(), "limit": PAGE})).await?;
        let answers = page["answers"].as_array().cloned().unwrap_or_default();
        let full = answers.len() >= PAGE as usize;
        all.extend(answers);
        if !full {
            return Ok(all);
        }
    }
}

/// One cell of RFC 4180 CSV. A text that a spreadsheet would take for a formula is quoted with an apostrophe.
fn csv_cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_cells_are_quoted_and_are_no_formulas() {
        assert_eq!(csv_cell(&json!("a \"b\", c")), "\"a \"\"b\"\", c\"");
        assert_eq!(csv_cell(&json!("=1+1")), "'=1+1");
        assert_eq!(csv_cell(&json!(3)), "3");
        assert_eq!(csv_cell(&Value::Null), "");
    }
}

//! What happened: events of the bus, and lines that functions wrote.

use super::PAGE;
use crate::cli::{EventsArgs, LogsArgs};
use crate::client::{Client, LONG_POLL};
use crate::style::Style;
use anyhow::Context as _;
use headwater_model::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// Events that are shown without `--replay-from`.
const NEWEST: u64 = 20;

/// `events`.
///
/// # Errors
/// If the server cannot be asked.
pub async fn events(client: &Client, args: &EventsArgs) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Page {
        events: Vec<Numbered>,
        last: u64,
    }
    #[derive(Deserialize)]
    struct Numbered {
        seq: u64,
        event: Value,
    }
    if let (Some(from), Some(rule)) = (&args.replay_from, &args.to_rule) {
        return replay(client, from, rule, args.json).await;
    }
    let style = Style::stdout();
    let mut begin = match &args.replay_from {
        Some(from) => json!({ "from": from }),
        None => {
            let page: Page = client.call("events", json!({"after": 0, "limit": 1})).await?;
            json!({"after": page.last.saturating_sub(NEWEST)})
        }
    };
    loop {
        let wait = if args.follow { LONG_POLL.as_secs() * 1000 } else { 0 };
        let mut input = begin.clone();
        input["limit"] = PAGE.into();
        input["wait_ms"] = wait.into();
        let page: Page = client.call("events", input).await?;
        if let Some(newest) = page.events.last() {
            begin = json!({"after": newest.seq});
        }
        let after = page.events.last().map_or(page.last, |newest| newest.seq);
        for Numbered { seq, event } in &page.events {
            if args.json {
                println!("{}", json!({"seq": seq, "event": event}));
                continue;
            }
            let text = |name: &str| event[name].as_str().unwrap_or_default();
            let detail = &event["detail"];
            let what = ["event_name", "limit_name", "recording_status"].iter().find_map(|k| detail[k].as_str());
            let about = event["resources"][0].as_str().unwrap_or_default();
            println!(
                "{seq:>6}  {}  {:<28} {:<18} {}",
                style.faint(text("time")),
                text("detail-type"),
                style.strong(what.unwrap_or_default()),
                style.faint(about)
            );
        }
        if !args.follow && (page.events.is_empty() || after >= page.last) {
            return Ok(());
        }
    }
}

/// `events --replay-from … --to-rule …`. Each call to the server enqueues a bounded number of events; if this process
/// ends in between, what was enqueued is delivered, and the rest is asked for by the printed number.
async fn replay(client: &Client, from: &str, rule: &str, as_json: bool) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Replayed {
        matched: u64,
        last: u64,
        until: u64,
        more: bool,
    }
    let name = format!("headwater-{}", Timestamp::now().0);
    let mut input = json!({"rule": rule, "replay_name": name, "from": from});
    let mut events = 0;
    loop {
        let progress: Replayed = client
            .call("replay", input)
            .await
            .with_context(|| format!("deliver again, {events} events are on their way"))?;
        events += progress.matched;
        if !progress.more {
            break;
        }
        input = json!({"rule": rule, "replay_name": name, "after": progress.last, "until": progress.until});
    }
    match as_json {
        true => println!("{}", json!({"replay_name": name, "rule": rule, "events": events})),
        false => println!("{events} events are delivered again to the targets of {rule}, as the replay {name}"),
    }
    Ok(())
}

/// `logs`.
///
/// # Errors
/// If there is no such function.
pub async fn logs(client: &Client, args: &LogsArgs) -> anyhow::Result<()> {
    let style = Style::stdout();
    let mut after = 0;
    loop {
        let wait = if args.follow { LONG_POLL.as_secs() * 1000 } else { 0 };
        let input = json!({"function": args.function, "after": after, "limit": PAGE, "wait_ms": wait});
        let page: Value = client.call("logs", input).await?;
        let lines = page["lines"].as_array().cloned().unwrap_or_default();
        for line in &lines {
            after = line["seq"].as_u64().unwrap_or(after).max(after);
            if args.json {
                println!("{line}");
            } else {
                let text = |name: &str| line[name].as_str().unwrap_or_default();
                println!("{}  {}", style.faint(text("at")), text("message"));
            }
        }
        if !args.follow && lines.len() < PAGE as usize {
            return Ok(());
        }
    }
}

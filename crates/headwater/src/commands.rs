//! What the commands do that talk to a running server.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, bail};
use headwater_model::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::{DeployArgs, EventsArgs, LogsArgs, PollsArgs};
use crate::client::{Client, LONG_POLL};
use crate::progress::{Progress, Stack};
use crate::style::Style;

/// Events or lines asked for at once.
const PAGE: u64 = 500;
/// What `events` shows without `--replay-from`, and `logs` at first.
const NEWEST: u64 = 20;

/// Reads a template from a file or, for `-`, from standard input.
///
/// # Errors
/// If it cannot be read.
pub fn read_template(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("read the template from standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("read the template {}", path.display()))
}

/// Deploys a template and shows its resources until the operation is over.
///
/// # Errors
/// If the template has mistakes, or the operation failed and was rolled back.
pub async fn deploy(
    client: &Client,
    name: &str,
    template: &str,
    parameters: &[(String, String)],
) -> anyhow::Result<Stack> {
    #[derive(Deserialize)]
    struct Begun {
        stack_id: String,
        action: String,
    }
    let parameters: BTreeMap<&str, &str> = parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let input = json!({"template": template, "stack_name": name, "parameters": parameters});
    let begun: Begun = client.call("deploy", input).await?;
    let stack = follow(client, &begun.stack_id).await?;
    if begun.action == "UNCHANGED" {
        eprintln!("{name} is as the template says; nothing was to be done");
    }
    if !stack.is_well() {
        bail!("{}", failure(&stack));
    }
    Ok(stack)
}

/// Deletes a stack and shows its resources until they are gone.
///
/// # Errors
/// If there is no such stack, or something could not be deleted.
pub async fn delete(client: &Client, name: &str) -> anyhow::Result<()> {
    let begun: Value = client.call("delete", json!({"stack_name": name})).await?;
    let id = begun["stack_id"].as_str().unwrap_or(name).to_string();
    let stack = follow(client, &id).await?;
    if stack.status != "DELETE_COMPLETE" {
        bail!("{}", failure(&stack));
    }
    Ok(())
}

/// Shows an operation until it is over.
async fn follow(client: &Client, id: &str) -> anyhow::Result<Stack> {
    #[derive(Deserialize)]
    struct Seen {
        stack: Stack,
        revision: u64,
    }
    let mut progress = Progress::new();
    let mut input = json!({"stack_name": id});
    loop {
        let seen: Seen = client.call("stack", input).await?;
        progress.show(&seen.stack);
        if !seen.stack.is_busy() {
            progress.finish();
            return Ok(seen.stack);
        }
        let wait = u64::try_from(LONG_POLL.as_millis()).unwrap_or(u64::MAX);
        input = json!({"stack_name": id, "seen": seen.revision, "wait_ms": wait});
    }
}

fn failure(stack: &Stack) -> String {
    let mut text = format!("stack {} is {}", stack.name, stack.status);
    if let Some(reason) = &stack.reason {
        text.push_str(&format!(": {reason}"));
    }
    for resource in stack.resources.iter().filter(|r| r.status.ends_with("FAILED")) {
        let reason = resource.reason.as_deref().unwrap_or("no reason given");
        text.push_str(&format!(
            "\n  {} ({}) {}: {reason}",
            resource.logical_id, resource.resource_type, resource.status
        ));
    }
    text
}

/// `deploy`.
///
/// # Errors
/// As [`deploy`].
pub async fn deploy_command(client: &Client, args: &DeployArgs) -> anyhow::Result<()> {
    let template = read_template(&args.template)?;
    let stack = deploy(client, &args.stack_name, &template, &args.parameters).await?;
    print_outputs(&stack, args.json)
}

/// `plan`.
///
/// # Errors
/// If the template has mistakes.
pub async fn plan(client: &Client, args: &DeployArgs) -> anyhow::Result<()> {
    let template = read_template(&args.template)?;
    let parameters: BTreeMap<&str, &str> = args.parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let input = json!({"template": template, "stack_name": args.stack_name, "parameters": parameters});
    let plan: Value = client.call("plan", input).await?;
    if args.json {
        return print_json(&plan);
    }
    let style = Style::stdout();
    let changes = plan["changes"].as_array().cloned().unwrap_or_default();
    for change in &changes {
        let text = |name: &str| change[name].as_str().unwrap_or_default().to_string();
        let (sign, action) = match text("action").as_str() {
            "Add" => ("+", style.good("add")),
            "Remove" => ("-", style.bad("remove")),
            "Replace" => ("±", style.bad("replace")),
            _ => ("~", style.busy("modify")),
        };
        let properties: Vec<&str> =
            change["properties"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let of = if properties.is_empty() { String::new() } else { format!(" ({})", properties.join(", ")) };
        let note = change["note"].as_str().map(|note| format!(": {}", style.busy(note))).unwrap_or_default();
        println!("{sign} {:<26} {:<36} {action}{of}{note}", text("logical_id"), style.faint(&text("type")));
    }
    if changes.is_empty() {
        println!("{} is as the template says; deploying would change nothing", args.stack_name);
    }
    Ok(())
}

/// `stacks`.
///
/// # Errors
/// If the server cannot be asked.
pub async fn stacks(client: &Client, as_json: bool) -> anyhow::Result<()> {
    let answer: Value = client.call("stacks", json!({})).await?;
    if as_json {
        return print_json(&answer["stacks"]);
    }
    let style = Style::stdout();
    for stack in answer["stacks"].as_array().into_iter().flatten() {
        let text = |name: &str| stack[name].as_str().unwrap_or_default();
        println!("{:<24} {:<28} {}", text("name"), style.status(text("status")), style.faint(text("created_at")));
    }
    Ok(())
}

/// `outputs`.
///
/// # Errors
/// If there is no such stack.
pub async fn outputs(client: &Client, name: &str, as_json: bool) -> anyhow::Result<()> {
    let answer: Value = client.call("stack", json!({"stack_name": name})).await?;
    let stack: Stack = serde_json::from_value(answer["stack"].clone()).context("read the server's answer")?;
    print_outputs(&stack, as_json)
}

fn print_outputs(stack: &Stack, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let outputs: Vec<Value> = stack
            .outputs
            .iter()
            .map(|o| json!({"key": o.key, "value": o.value, "description": o.description}))
            .collect();
        return print_json(&Value::Array(outputs));
    }
    let style = Style::stdout();
    let width = stack.outputs.iter().map(|o| o.key.len()).max().unwrap_or(0);
    for output in &stack.outputs {
        println!("{:<width$}  {}", output.key, style.strong(&output.value));
        if let Some(description) = &output.description {
            println!("{:<width$}  {}", "", style.faint(description));
        }
    }
    Ok(())
}

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

/// `channels`.
///
/// # Errors
/// If the server cannot be asked.
pub async fn channels(client: &Client, as_json: bool) -> anyhow::Result<()> {
    let answer: Value = client.call("channels", json!({})).await?;
    if as_json {
        return print_json(&answer["channels"]);
    }
    let style = Style::stdout();
    for channel in answer["channels"].as_array().into_iter().flatten() {
        let text = |name: &str| channel[name].as_str().unwrap_or_default();
        let live = channel["live"].as_bool().unwrap_or(false);
        let state = if live { style.good(&format!("live, {}", text("health"))) } else { style.faint("offline") };
        println!("{:<24} {state:<20} {}", style.strong(text("name")), text("playback_url"));
    }
    Ok(())
}

/// `doctor CHANNEL`; `false` if the encoder has a problem.
///
/// # Errors
/// If the server cannot be asked, or has no such channel.
pub async fn diagnose(client: &Client, channel: &str, as_json: bool) -> anyhow::Result<bool> {
    let answer: Value = client.call("diagnose", json!({"channel": channel})).await?;
    let findings: Vec<&Value> = answer["findings"].as_array().into_iter().flatten().collect();
    let works = findings.iter().all(|finding| finding["severity"] != "problem");
    if as_json {
        print_json(&answer)?;
        return Ok(works);
    }
    let style = Style::stdout();
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_string();
    match answer["stream_id"].as_str() {
        None => println!("{} nothing is live on {channel}", style.faint("-")),
        Some(stream) => {
            let health = text(&answer, "health").to_lowercase();
            let mark = if health == "healthy" { style.good("✔") } else { style.busy("!") };
            println!("{mark} {stream} is {health}");
            if findings.is_empty() {
                println!("{} nothing is wrong with the encoder", style.good("✔"));
            }
        }
    }
    for finding in findings {
        let mark = if finding["severity"] == "problem" { style.bad("✘") } else { style.busy("!") };
        let (measured, limit) = (&finding["measured"], &finding["limit"]);
        println!("{mark} {:<20} {measured} {}, limit {limit}", text(finding, "code"), text(finding, "unit"));
        println!("  {:<20} {}", "", style.faint(&text(finding, "advice")));
    }
    if let Some(line) = watching(&answer["audience"]) {
        println!("  {line}");
    }
    if let Some((sound, line)) = ladder_line(&answer["ladder"]) {
        println!("{} {line}", if sound { style.good("✔") } else { style.bad("✘") });
    }
    Ok(works)
}

/// How viewers fare, in a line; nothing while nothing is live.
fn watching(audience: &Value) -> Option<String> {
    let viewers = audience["viewers"].as_u64()?;
    let mut line = format!("{:<20} {viewers}", "viewers");
    if let (Some(p50), Some(p95)) = (audience["latency_p50_ms"].as_u64(), audience["latency_p95_ms"].as_u64()) {
        line.push_str(&format!(", latency p50 {p50} ms, p95 {p95} ms"));
    }
    if let Some(startup) = audience["startup_p50_ms"].as_u64() {
        line.push_str(&format!(", first picture after {startup} ms"));
    }
    if let (Some(measured @ 1..), Some(stalled)) = (audience["measured"].as_u64(), audience["stalled"].as_u64()) {
        line.push_str(&format!(", stalled lately {stalled} of {measured} that tell"));
        let minute = |name: &str| audience[name].as_u64().unwrap_or_default();
        let (stalls, stalled_ms) = (minute("stalls_per_minute"), minute("stalled_ms_per_minute"));
        if stalls > 0 {
            line.push_str(&format!(" ({stalls} stalls, {stalled_ms} ms in the last minute)"));
        }
        if let dropped @ 1.. = minute("dropped_frames_per_minute") {
            line.push_str(&format!(", {dropped} pictures dropped in the last minute"));
        }
    }
    let shares = audience["renditions"].as_array().into_iter().flatten();
    let shares: Vec<String> = shares
        .filter_map(|share| Some(format!("{} {}", share["name"].as_str()?, share["viewers"].as_u64()?)))
        .collect();
    if !shares.is_empty() {
        line.push_str(&format!(", by rendition {}", shares.join(" ")));
    }
    Some(line)
}

/// Whether a ladder is as it should be, and what it is, in words; `None` if there is nothing to tell.
fn ladder_line(ladder: &Value) -> Option<(bool, String)> {
    let state = ladder["state"].as_str()?;
    let renditions = ladder["renditions"].as_array().into_iter().flatten();
    let told = renditions.filter_map(|one| Some((one["name"].as_str()?, one["state"].as_str()?)));
    let listed: Vec<String> = told.map(|(name, state)| format!("{name} {state}")).collect();
    let listed = if listed.is_empty() { String::new() } else { format!(": {}", listed.join(", ")) };
    let reason = ladder["reason"].as_str().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let sound = !matches!(state, "shed" | "unavailable");
    Some((sound, format!("the ladder is {}{reason}{listed}", state.replace('_', " "))))
}

fn print_json(value: &Value) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_are_told_as_far_as_they_are_measured() {
        assert_eq!(watching(&Value::Null), None);
        let counted = json!({"viewers": 3, "measured": 0, "stalled": 0, "latency_p50_ms": null});
        assert_eq!(watching(&counted).as_deref(), Some("viewers              3"));
        let measured =
            json!({"viewers": 3, "measured": 2, "stalled": 1, "latency_p50_ms": 1500, "latency_p95_ms": 2500});
        assert_eq!(
            watching(&measured).as_deref(),
            Some("viewers              3, latency p50 1500 ms, p95 2500 ms, stalled lately 1 of 2 that tell")
        );
        let troubled = json!({"viewers": 2, "measured": 2, "stalled": 1, "startup_p50_ms": 640, "stalls_per_minute": 3,
            "stalled_ms_per_minute": 2100, "dropped_frames_per_minute": 12,
            "renditions": [{"name": "source", "viewers": 1}, {"name": "480p30", "viewers": 1}]});
        assert_eq!(
            watching(&troubled).as_deref(),
            Some(
                "viewers              2, first picture after 640 ms, stalled lately 1 of 2 that tell \
                 (3 stalls, 2100 ms in the last minute), 12 pictures dropped in the last minute, by rendition source 1 480p30 1"
            )
        );
    }

    #[test]
    fn a_ladder_is_told_with_its_reason_and_its_renditions() {
        let running = json!({"state": "running", "reason": null, "renditions": [{"name": "480p30", "state": "made"}, {"name": "160p30", "state": "asleep"}]});
        assert_eq!(ladder_line(&running), Some((true, "the ladder is running: 480p30 made, 160p30 asleep".into())));
        let missing = json!({"state": "unavailable", "reason": "ffmpeg is not there", "renditions": []});
        assert_eq!(ladder_line(&missing), Some((false, "the ladder is unavailable (ffmpeg is not there)".into())));
        assert_eq!(ladder_line(&Value::Null), None);
    }

    #[test]
    fn csv_cells_are_quoted_and_are_no_formulas() {
        assert_eq!(csv_cell(&json!("a \"b\", c")), "\"a \"\"b\"\", c\"");
        assert_eq!(csv_cell(&json!("=1+1")), "'=1+1");
        assert_eq!(csv_cell(&json!(3)), "3");
        assert_eq!(csv_cell(&Value::Null), "");
    }
}

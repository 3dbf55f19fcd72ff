//! Channels, and how the stream of one fares.

use super::print_json;
use crate::client::Client;
use crate::style::Style;
use serde_json::{Value, json};

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
}

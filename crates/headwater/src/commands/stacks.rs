//! Stacks: deploying, planning and deleting them, and what they give.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use super::print_json;
use crate::cli::DeployArgs;
use crate::client::{Client, LONG_POLL};
use crate::progress::{Progress, Stack};
use crate::style::Style;
use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};

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

//! The command line: what can be asked for, and the global flags that lie over the configuration.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{ConfigError, Layers};

/// From one template to a live, interactive streaming website.
#[derive(Parser, Debug)]
#[command(name = "headwater", version, about, propagate_version = true)]
pub struct Cli {
    /// Settings that lie over file and environment.
    #[command(flatten)]
    pub settings: SettingFlags,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of settings; every one is optional, so none overwrites what the file or the environment says.
#[derive(Args, Debug, Default, Clone)]
pub struct SettingFlags {
    /// Configuration file; headwater.toml in the current folder is read if it is there
    #[arg(long, global = true, env = "HEADWATER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder that holds everything
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<String>,
    /// Address of the AWS-compatible services and the native API
    #[arg(long, global = true, value_name = "ADDRESS", help_heading = "Listeners")]
    pub listen_api: Option<String>,
    /// Address of playback, sites, player script and answers
    #[arg(long, global = true, value_name = "ADDRESS", help_heading = "Listeners")]
    pub listen_web: Option<String>,
    /// Address of RTMP
    #[arg(long, global = true, value_name = "ADDRESS", help_heading = "Listeners")]
    pub listen_rtmp: Option<String>,
    /// Address of RTMPS and HTTPS; auto, off, or an address
    #[arg(long, global = true, value_name = "ADDRESS", help_heading = "Listeners")]
    pub listen_tls: Option<String>,
    /// Host name that encoders and viewers use
    #[arg(long, global = true, value_name = "NAME", help_heading = "Listeners")]
    pub host: Option<String>,
    /// What is logged: a level, or tracing directives
    #[arg(long, global = true, value_name = "FILTER")]
    pub log_filter: Option<String>,
}

impl SettingFlags {
    /// Lays file, environment and flags over the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] of the first layer that cannot be used.
    pub fn layers(&self) -> Result<Layers, ConfigError> {
        let mut layers = Layers::defaults();
        let beside = PathBuf::from("headwater.toml");
        match &self.config {
            Some(path) => layers.file(path)?,
            None if beside.is_file() => layers.file(&beside)?,
            None => {}
        }
        layers.environment(std::env::vars())?;
        layers.flag("data", self.data.clone())?;
        layers.flag("listen.api", self.listen_api.clone())?;
        layers.flag("listen.web", self.listen_web.clone())?;
        layers.flag("listen.rtmp", self.listen_rtmp.clone())?;
        layers.flag("listen.tls", self.listen_tls.clone())?;
        layers.flag("host", self.host.clone())?;
        layers.flag("log.filter", self.log_filter.clone())?;
        Ok(layers)
    }
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Start the server and deploy a template (the built-in one unless given)
    Up(UpArgs),
    /// Start the server
    Serve,
    /// Create or update a stack from a template
    Deploy(DeployArgs),
    /// Say what deploying a template would change
    Plan(DeployArgs),
    /// List stacks
    Stacks(Json),
    /// Print a stack's outputs
    Outputs(StackArgs),
    /// Delete a stack and everything that it made
    Delete(DeleteArgs),
    /// Print the event log
    Events(EventsArgs),
    /// Print what a function wrote
    Logs(LogsArgs),
    /// Print polls and their results
    Polls(PollsArgs),
    /// List channels and what is live on them
    Channels(Json),
    /// Check ports, ffmpeg, Python, Node.js and certificates; with a channel, what its encoder sends
    Doctor(DoctorArgs),
    /// Print the variables that point the AWS CLI and SDKs at this server, for eval
    Env,
    /// Show the effective configuration
    Config(ConfigArgs),
    /// Print where the local certificate authority is, or install it for this machine's programs
    Trust(TrustArgs),
}

/// `up`.
#[derive(Args, Debug)]
pub struct UpArgs {
    /// Template, JSON or YAML; the built-in one if left out
    pub template: Option<PathBuf>,
    /// Also publish a moving test picture with a clock and a tone
    #[arg(long)]
    pub demo: bool,
    /// Name of the stack
    #[arg(long, default_value = "live")]
    pub stack_name: String,
    /// Parameter of the template, KEY=VALUE; may be repeated
    #[arg(long = "parameter", value_name = "KEY=VALUE", value_parser = key_value)]
    pub parameters: Vec<(String, String)>,
}

/// `deploy` and `plan`.
#[derive(Args, Debug)]
pub struct DeployArgs {
    /// Template, JSON or YAML; - reads standard input
    pub template: PathBuf,
    /// Name of the stack
    #[arg(long)]
    pub stack_name: String,
    /// Parameter of the template, KEY=VALUE; may be repeated
    #[arg(long = "parameter", value_name = "KEY=VALUE", value_parser = key_value)]
    pub parameters: Vec<(String, String)>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Commands that take nothing else.
#[derive(Args, Debug)]
pub struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `outputs`.
#[derive(Args, Debug)]
pub struct StackArgs {
    /// Name or id of the stack
    #[arg(default_value = "live")]
    pub stack: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `delete`.
#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Name or id of the stack
    pub stack: String,
}

/// `events`.
#[derive(Args, Debug)]
pub struct EventsArgs {
    /// Go on with what comes
    #[arg(long, short)]
    pub follow: bool,
    /// Begin with this event instead of the newest twenty: its number, its id, or a time such as 2026-11-24T05:29:42Z
    #[arg(long, value_name = "NUMBER|ID|TIME")]
    pub replay_from: Option<String>,
    /// Instead of printing them, deliver these events to the targets of this rule once more
    #[arg(long, value_name = "RULE", requires = "replay_from", conflicts_with = "follow")]
    pub to_rule: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// `logs`.
#[derive(Args, Debug)]
pub struct LogsArgs {
    /// Name of the function
    pub function: String,
    /// Go on with what comes
    #[arg(long, short)]
    pub follow: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// `polls`.
#[derive(Args, Debug)]
pub struct PollsArgs {
    /// Channel by ARN, id or name; all of them if left out
    pub channel: Option<String>,
    /// Every answer as CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Polls with their tallies and answers as JSON
    #[arg(long)]
    pub json: bool,
}

/// `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Channel by id or name, whose encoder is judged; this machine if left out
    pub channel: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `config`.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// Also say where each value comes from and what it means
    #[arg(long)]
    pub explain: bool,
}

/// `trust`.
#[derive(Args, Debug)]
pub struct TrustArgs {
    /// Install it into the system's store (Debian and Ubuntu, as root)
    #[arg(long)]
    pub install: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("expected KEY=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}

//! Headwater: from one template to a live, interactive streaming website.
//!
//! This file is the life of the process: arguments, configuration, then one command. A wrong configuration ends it with
//! a sentence and the exit code for that, before any port is bound.

mod adapters;
mod assembly;
mod banner;
mod cli;
mod client;
mod commands;
mod config;
mod demo;
mod doctor;
mod http_server;
mod metrics;
mod open_files;
mod patience;
mod private;
mod progress;
mod serve;
mod server_file;
mod style;
mod trust;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::client::Client;
use crate::config::{Config, Layers, LogFormat};

/// `EX_CONFIG` of sysexits.h.
const EXIT_CONFIGURATION: u8 = 78;

/// What shells give for a program that cannot be executed.
const EXIT_NOT_RUN: u8 = 126;

fn main() -> ExitCode {
    // Not a command of the user's: how this program starts what it does not trust. Before anything else, as only one thread is confined.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == config::CONFINE) {
        let Err(error) = headwater_confine::confine(arguments);
        eprintln!("headwater: {error}");
        return ExitCode::from(EXIT_NOT_RUN);
    }
    let cli = Cli::parse();
    let layers = match cli.settings.layers() {
        Ok(layers) => layers,
        Err(error) => return wrong_configuration(&error.into()),
    };
    let config = match Config::from_layers(&layers) {
        Ok(config) => config,
        Err(error) => return wrong_configuration(&error.into()),
    };
    start_logging(&config, matches!(cli.command, Command::Serve | Command::Up(_)));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("headwater: start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(run(cli, &layers, config));
    // Blocking work that is left, such as a name look-up, must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("headwater: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli, layers: &Layers, config: Config) -> anyhow::Result<ExitCode> {
    let client = || Client::of(&config.data);
    match cli.command {
        Command::Serve => return serve::serve(config).await,
        Command::Up(args) => return serve::up(config, &args).await,
        Command::Deploy(args) => commands::deploy_command(&client()?, &args).await?,
        Command::Plan(args) => commands::plan(&client()?, &args).await?,
        Command::Stacks(args) => commands::stacks(&client()?, args.json).await?,
        Command::Outputs(args) => commands::outputs(&client()?, &args.stack, args.json).await?,
        Command::Delete(args) => commands::delete(&client()?, &args.stack).await?,
        Command::Events(args) => commands::events(&client()?, &args).await?,
        Command::Logs(args) => commands::logs(&client()?, &args).await?,
        Command::Polls(args) => commands::polls(&client()?, &args).await?,
        Command::Channels(args) => commands::channels(&client()?, args.json).await?,
        Command::Env => print_environment(&config)?,
        Command::Config(args) => print_configuration(layers, args.explain),
        Command::Trust(args) => trust::run(&config.data, args.install)?,
        Command::Doctor(args) => {
            let works = match &args.channel {
                Some(channel) => commands::diagnose(&client()?, channel, args.json).await?,
                None => doctor::run(&config, args.json),
            };
            return Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn wrong_configuration(error: &anyhow::Error) -> ExitCode {
    eprintln!("headwater: configuration: {error:#}");
    ExitCode::from(EXIT_CONFIGURATION)
}

/// `eval "$(headwater env)"` points the AWS CLI and SDKs at this server.
fn print_environment(config: &Config) -> anyhow::Result<()> {
    let credentials = server_file::read_credentials(&config.data)?;
    let api_url = match server_file::read_addresses(&config.data) {
        Some(addresses) => addresses.api_url,
        None => format!("http://{}", config.listen_api),
    };
    println!("export AWS_ENDPOINT_URL={api_url}");
    println!("export AWS_ACCESS_KEY_ID={}", credentials.access_key_id);
    println!("export AWS_SECRET_ACCESS_KEY={}", credentials.secret_access_key.expose());
    println!("export AWS_REGION={}", credentials.region);
    println!("export AWS_DEFAULT_REGION={}", credentials.region);
    Ok(())
}

fn print_configuration(layers: &Layers, explain: bool) {
    for (setting, value, origin) in layers.explain() {
        if explain {
            println!("# {} ({origin})", setting.meaning);
        }
        println!("{} = {}", setting.key, toml::Value::from(value));
    }
}

/// Logs go to standard error: a server's from `info`, a command's only if something is wrong.
fn start_logging(config: &Config, is_server: bool) {
    let filter = if is_server { config.log_filter.as_str() } else { "warn" };
    // s3s prints whole requests, signatures and all, and callers' mistakes as errors; what matters of them we log.
    let filter = tracing_subscriber::EnvFilter::new(format!("{filter},s3s=off"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    match config.log_format {
        LogFormat::Text => builder.with_ansi(terminal && std::env::var_os("NO_COLOR").is_none()).init(),
        LogFormat::Json => builder.json().init(),
    }
}

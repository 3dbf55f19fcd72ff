//! `serve` and `up`: the server from its first byte to its last.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use headwater_model::Secret;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::assembly::Server;
use crate::cli::UpArgs;
use crate::client::Client;
use crate::config::Config;
use crate::{banner, commands, demo};

/// The built-in template.
const BUILT_IN_TEMPLATE: &str = include_str!("../../../examples/live.yaml");
/// How long streams, requests and functions have to end after Ctrl-C.
pub const DRAIN: Duration = Duration::from_secs(8);

/// Runs the server until it is told to end.
///
/// # Errors
/// If it cannot start.
pub async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let ended = end_signal()?;
    let server = Server::start(config).await?;
    tracing::info!(
        api = server.addresses.api_url,
        web = server.addresses.web_url,
        rtmp_port = server.addresses.rtmp_port,
        tls_port = server.addresses.tls_port,
        "the server is up"
    );
    ended.cancelled().await;
    Ok(drain(server).await)
}

/// Runs the server and deploys a template.
///
/// # Errors
/// If it cannot start, or the template cannot be deployed.
pub async fn up(config: Config, args: &UpArgs) -> anyhow::Result<ExitCode> {
    let template = match &args.template {
        Some(path) => commands::read_template(path)?,
        None => BUILT_IN_TEMPLATE.to_string(),
    };
    let ended = end_signal()?;
    let data = config.data.clone();
    let server = Server::start(config).await?;
    let client = Client::of(&data)?;
    let deployed = tokio::select! {
        deployed = commands::deploy(&client, &args.stack_name, &template, &args.parameters) => deployed,
        () = ended.cancelled() => return Ok(drain(server).await),
    };
    let stack = match deployed {
        Ok(stack) => stack,
        Err(error) => {
            drain(server).await;
            return Err(error.context("deploy the template"));
        }
    };
    banner::print(&server.addresses, &stack, args.demo);
    let demo_cancel = ended.child_token();
    let publisher = match stack.output("StreamKey").filter(|_| args.demo) {
        Some(key) => Some(tokio::spawn(demo::publish(server.addresses.rtmp_port, Secret::new(key), demo_cancel))),
        None => {
            if args.demo {
                tracing::warn!("the template has no output StreamKey, so there is nothing to publish the demo with");
            }
            None
        }
    };
    ended.cancelled().await;
    if let Some(publisher) = publisher {
        let _ = publisher.await;
    }
    Ok(drain(server).await)
}

/// Cancelled by Ctrl-C or by a service manager; a second one ends the process at once.
fn end_signal() -> anyhow::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for the end signal")?;
    let ended = CancellationToken::new();
    let token = ended.clone();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        token.cancel();
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(130);
    });
    Ok(ended)
}

async fn drain(server: Server) -> ExitCode {
    tracing::info!("ending; streams and requests have {} s", DRAIN.as_secs());
    if server.end(DRAIN).await {
        tracing::info!("ended");
        ExitCode::SUCCESS
    } else {
        tracing::warn!("ended before everything was finished");
        ExitCode::from(1)
    }
}

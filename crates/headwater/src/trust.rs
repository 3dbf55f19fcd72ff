//! `trust`: the local certificate authority for the programs of this machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// Where Debian and Ubuntu look for authorities that an administrator adds.
const SYSTEM_STORE: &str = "/usr/local/share/ca-certificates/headwater.crt";

/// Says where the authority's certificate is, and installs it if asked.
///
/// # Errors
/// If there is none yet, or it cannot be installed.
pub fn run(data: &Path, install: bool) -> anyhow::Result<()> {
    let certificate = data.join("tls/ca.pem");
    if !certificate.is_file() {
        bail!("there is no certificate authority in {} yet: start the server once", data.display());
    }
    if !install {
        println!("{}", certificate.display());
        println!("Import this file where your browser or encoder keeps its authorities, or run as root:");
        println!("  headwater trust --install");
        return Ok(());
    }
    std::fs::copy(&certificate, SYSTEM_STORE)
        .with_context(|| format!("copy the certificate to {SYSTEM_STORE}: are you root?"))?;
    let status = Command::new("update-ca-certificates").status().context("run update-ca-certificates")?;
    if !status.success() {
        bail!("update-ca-certificates ended with {status}");
    }
    println!(
        "Programs that use the system's authorities trust this server now. Firefox and Chromium keep their own: import {} there.",
        certificate.display()
    );
    Ok(())
}

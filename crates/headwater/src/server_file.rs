//! What a running server leaves in its data folder so that commands find it, and the lock that keeps it alone there.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// Where the running server listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Addresses {
    /// `http://127.0.0.1:4566`.
    pub api_url: String,
    /// `http://localhost:8080`.
    pub web_url: String,
    /// Host that encoders use.
    pub ingest_host: String,
    /// Port of RTMP.
    pub rtmp_port: u16,
    /// Port of RTMPS and HTTPS, if it is on.
    pub tls_port: Option<u16>,
    /// Process id of the server.
    pub pid: u32,
}

/// The long-lived access key of the server's owner, as it lies in `credentials.json`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    /// `AKIA…`.
    pub access_key_id: String,
    /// What signatures are made with.
    pub secret_access_key: headwater_model::Secret,
    /// Region of the signatures.
    pub region: String,
}

/// The data folder while a server owns it. Dropping it lets the next one in.
pub struct Owned {
    folder: PathBuf,
    _lock: File,
}

impl Owned {
    /// Takes the folder for this process; makes it if need be.
    ///
    /// # Errors
    /// If it cannot be made, or another server owns it.
    pub fn take(folder: &Path) -> anyhow::Result<Owned> {
        std::fs::create_dir_all(folder).with_context(|| format!("make the data folder {}", folder.display()))?;
        let path = folder.join("lock");
        let lock = File::create(&path).with_context(|| format!("open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Owned { folder: folder.into(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let at = read_addresses(folder).map(|a| format!(" at {}", a.api_url)).unwrap_or_default();
                bail!(
                    "a server runs on the data folder {} already{at}; use its commands (headwater deploy, outputs, …), \
                     end it, or give another folder with --data",
                    folder.display()
                )
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
        }
    }

    /// Says where the server listens.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn publish(&self, addresses: &Addresses) -> anyhow::Result<()> {
        write_private(&self.folder.join("server.json"), &serde_json::to_vec_pretty(addresses)?)
    }

    /// Writes the owner's access key for the commands of the same user.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_credentials(&self, credentials: &Credentials) -> anyhow::Result<()> {
        write_private(&self.folder.join("credentials.json"), &serde_json::to_vec_pretty(credentials)?)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // A stale file would send commands to a port where nobody, or somebody else, listens.
        let _ = std::fs::remove_file(self.folder.join("server.json"));
    }
}

/// Where a running server listens, if one says so.
pub fn read_addresses(folder: &Path) -> Option<Addresses> {
    serde_json::from_slice(&std::fs::read(folder.join("server.json")).ok()?).ok()
}

/// The owner's access key.
///
/// # Errors
/// If there is none yet, or it cannot be read.
pub fn read_credentials(folder: &Path) -> anyhow::Result<Credentials> {
    let path = folder.join("credentials.json");
    let bytes = std::fs::read(&path)
        .with_context(|| format!("read {}: start the server once (headwater serve) to make it", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let temporary = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn one_server_owns_a_folder_and_its_secrets_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let owned = Owned::take(folder.path()).unwrap();
        assert!(Owned::take(folder.path()).is_err_and(|e| e.to_string().contains("runs on the data folder")));
        let credentials = Credentials {
            access_key_id: "AKIAEXAMPLE".into(),
            secret_access_key: headwater_model::Secret::new("s"),
            region: "us-east-1".into(),
        };
        owned.write_credentials(&credentials).unwrap();
        let mode = std::fs::metadata(folder.path().join("credentials.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(owned);
        Owned::take(folder.path()).unwrap();
    }
}

//! A certificate authority of our own for localhost, until there is a domain.
//!
//! Files in the folder, written whole by rename, keys with mode 0600: `ca.pem` (what a person installs to trust this server), `ca.key.pem`,
//! `leaf.pem`, `leaf.key.pem`. The leaf is made anew when it has less than 30 days left or lacks a host that is wanted.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// Hosts of every leaf. The second wildcard is for browsers, which take none directly under a top-level name.
const HOSTS: [&str; 5] = ["localhost", "*.localhost", "*.s3-website.localhost", "127.0.0.1", "::1"];
/// A leaf's life. Browsers refuse leaves of more than 398 days.
const LEAF_DAYS: i64 = 397;
/// A leaf with less left than this is made anew.
const RENEW_DAYS: i64 = 30;
/// The authority's life: longer than any installation, since a new one must be trusted by hand.
const CA_DAYS: i64 = 20 * 365;
/// Clocks of clients may be behind ours.
const BACKDATE_DAYS: i64 = 1;
/// How often a running server looks whether its leaf is due.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// The authority, its leaf, and the leaf's place in TLS configurations.
#[derive(Debug)]
pub struct LocalCa {
    folder: PathBuf,
    hosts: Vec<String>,
    ca_pem: String,
    current: Arc<Current>,
}

/// The leaf that new connections get.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl LocalCa {
    /// Reads the authority and its leaf from `folder`, making what is missing, too old, or for other hosts.
    ///
    /// `hosts` are added to localhost's names: names or IP addresses. Blocks on the disk.
    ///
    /// # Errors
    /// The folder cannot be read or written, its files are no certificates, or a host is no name.
    pub fn load_or_create(folder: impl Into<PathBuf>, hosts: &[String]) -> Result<LocalCa, Error> {
        Self::load_or_create_at(folder.into(), hosts, OffsetDateTime::now_utc())
    }

    fn load_or_create_at(folder: PathBuf, extra: &[String], now: OffsetDateTime) -> Result<LocalCa, Error> {
        std::fs::create_dir_all(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
        let (ca_path, key_path) = (folder.join("ca.pem"), folder.join("ca.key.pem"));
        if !ca_path.exists() || !key_path.exists() {
            let key = KeyPair::generate()?;
            let certificate = ca_params(now).self_signed(&key)?;
            // The certificate last: it is what says that the pair is whole.
            write_private(&key_path, &key.serialize_pem())?;
            write_private(&ca_path, &certificate.pem())?;
        }
        let hosts: Vec<_> = HOSTS.iter().map(|host| (*host).to_owned()).chain(extra.iter().cloned()).collect();
        let ca_pem = read(&ca_path)?;
        let leaf = load_or_create_leaf(&folder, &hosts, &ca_pem, now)?;
        Ok(LocalCa { folder, hosts, ca_pem, current: Arc::new(Current(RwLock::new(Arc::new(leaf)))) })
    }

    /// The authority's certificate, PEM: for trust stores and for clients that take a CA file.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Where that certificate is on disk.
    pub fn ca_path(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A configuration for [`serve_tls`](crate::serve_tls): TLS 1.2 and 1.3, ALPN `h2` and `http/1.1`. It goes on with the leaf that is
    /// current at each handshake.
    ///
    /// # Errors
    /// The cryptography lacks what TLS 1.2 and 1.3 need.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Makes the leaf anew whenever it is due, until `cancel`. A failure is logged and tried again a day later, a month before it matters.
    pub async fn keep_renewed(self: Arc<Self>, cancel: CancellationToken) {
        let mut interval = tokio::time::interval(RENEWAL_INTERVAL);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = interval.tick() => {}
            }
            let this = Arc::clone(&self);
            let renewal = tokio::task::spawn_blocking(move || this.renew(OffsetDateTime::now_utc())).await;
            match renewal {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the certificate for localhost was not renewed"
                ),
                Err(error) => {
                    tracing::error!(%error, "renewal of the certificate for localhost ended")
                }
            }
        }
    }

    fn renew(&self, now: OffsetDateTime) -> Result<(), Error> {
        let leaf = load_or_create_leaf(&self.folder, &self.hosts, &self.ca_pem, now)?;
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(leaf);
        Ok(())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn ca_params(now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Headwater local CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - time::Duration::days(BACKDATE_DAYS);
    params.not_after = now + time::Duration::days(CA_DAYS);
    params
}

fn leaf_params(hosts: &[String], now: OffsetDateTime) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(hosts.to_vec())?;
    params.distinguished_name = named("Headwater on localhost");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = now - time::Duration::days(BACKDATE_DAYS);
    params.not_after = now + time::Duration::days(LEAF_DAYS);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn load_or_create_leaf(
    folder: &Path,
    hosts: &[String],
    ca_pem: &str,
    now: OffsetDateTime,
) -> Result<CertifiedKey, Error> {
    let (leaf_path, key_path) = (folder.join("leaf.pem"), folder.join("leaf.key.pem"));
    if leaf_path.exists()
        && key_path.exists()
        && let Ok(leaf) = certified(&read(&leaf_path)?, &read(&key_path)?)
        && is_good(&leaf, hosts, ca_pem, now)?
    {
        return Ok(leaf);
    }
    let ca_key = KeyPair::from_pem(&read(&folder.join("ca.key.pem"))?)?;
    let issuer = Issuer::from_ca_cert_pem(ca_pem, ca_key)?;
    let key = KeyPair::generate()?;
    let leaf = leaf_params(hosts, now)?.signed_by(&key, &issuer)?;
    let chain = leaf.pem() + ca_pem;
    write_private(&key_path, &key.serialize_pem())?;
    write_private(&leaf_path, &chain)?;
    certified(&chain, &key.serialize_pem())
}

fn certified(chain: &str, key: &str) -> Result<CertifiedKey, Error> {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}

/// Whether a client that trusts the authority would still take the leaf for each host when it is due for renewal.
fn is_good(leaf: &CertifiedKey, hosts: &[String], ca_pem: &str, now: OffsetDateTime) -> Result<bool, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
    let Ok(verifier) = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build() else {
        return Ok(false);
    };
    let due = now + time::Duration::days(RENEW_DAYS);
    let due = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(due.unix_timestamp()).unwrap_or(0)));
    let Some((end_entity, intermediates)) = leaf.cert.split_first() else {
        return Ok(false);
    };
    let taken = |host: &String| {
        let name = ServerName::try_from(host.replace('*', "any"));
        name.is_ok_and(|name| verifier.verify_server_cert(end_entity, intermediates, &name, &[], due).is_ok())
    };
    // A wildcard directly under a top-level name is certified for those who take it; the verifier is not among them.
    let certain = |host: &&String| host.strip_prefix("*.").is_none_or(|rest| rest.contains('.'));
    Ok(hosts.iter().filter(certain).all(taken))
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// Writes by rename, readable by the owner only.
fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let write = || {
        let beside = path.with_extension("new");
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|source| Error::File { path: path.to_owned(), source })
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk.
    #[error("cannot read or write {}", path.display())]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A certificate could not be made, or a host is no name.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// A file holds no PEM.
    #[error("a certificate file is damaged")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// A certificate or key cannot be used.
    #[error("a certificate cannot be used")]
    Use(#[from] rustls::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn leaf_of(folder: &Path) -> String {
        read(&folder.join("leaf.pem")).unwrap()
    }

    #[test]
    fn a_second_start_finds_what_the_first_made() {
        let folder = tempfile::tempdir().unwrap();
        let first = LocalCa::load_or_create(folder.path(), &[]).unwrap();
        let leaf = leaf_of(folder.path());
        let second = LocalCa::load_or_create(folder.path(), &[]).unwrap();
        assert_eq!((first.ca_pem(), leaf), (second.ca_pem(), leaf_of(folder.path())));
        assert_eq!(first.server_config().unwrap().alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }

    #[test]
    fn files_are_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        LocalCa::load_or_create(folder.path(), &[]).unwrap();
        let mut names = Vec::new();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
            names.push(file.file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, ["ca.key.pem", "ca.pem", "leaf.key.pem", "leaf.pem"]);
    }

    #[test]
    fn a_leaf_is_renewed_a_month_before_it_ends_and_by_the_same_authority() {
        let folder = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::now_utc();
        let ca = LocalCa::load_or_create(folder.path(), &[]).unwrap();
        let leaf = leaf_of(folder.path());
        ca.renew(now + time::Duration::days(LEAF_DAYS - RENEW_DAYS - 1)).unwrap();
        assert_eq!(leaf_of(folder.path()), leaf);
        ca.renew(now + time::Duration::days(LEAF_DAYS - RENEW_DAYS + 1)).unwrap();
        assert_ne!(leaf_of(folder.path()), leaf);
        assert_eq!(read(&ca.ca_path()).unwrap(), ca.ca_pem());
    }

    #[test]
    fn a_new_host_brings_a_new_leaf_and_a_damaged_one_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        LocalCa::load_or_create(folder.path(), &[]).unwrap();
        let leaf = leaf_of(folder.path());
        let hosts = ["192.0.2.7".to_owned(), "live.example.com".to_owned()];
        LocalCa::load_or_create(folder.path(), &hosts).unwrap();
        assert_ne!(leaf_of(folder.path()), leaf);
        std::fs::write(folder.path().join("leaf.pem"), "no certificate").unwrap();
        LocalCa::load_or_create(folder.path(), &hosts).unwrap();
        assert!(leaf_of(folder.path()).starts_with("-----BEGIN CERTIFICATE-----"));
    }
}

//! Packages: checked, unpacked safely, kept by the SHA-256 of what was sent.

use crate::interpreters::{Interpreters, Missing};
use crate::{Runtime, UnknownRuntime};
use bytes::Bytes;
use headwater_model::id;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Cursor, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zip::ZipArchive;
use zip::result::ZipError;

/// Lambda: a package and its layers unpack to 250 MB at most.
pub(crate) const UNPACKED_BYTES_MAX: u64 = 250 * 1024 * 1024;
/// Far more than real packages have (boto3 has 3,000); bounds the inodes and the time that a package takes.
pub(crate) const FILES_MAX: usize = 50_000;
/// CloudFormation: inline source is at most 4 MB.
pub(crate) const INLINE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// From so many files on, one flush of the file system is cheaper than one for each file.
const FLUSH_SINGLY_MAX: usize = 32;

/// What a function is deployed from.
#[derive(Clone, Debug)]
pub enum Package {
    /// Source of one file, which becomes `index.py` or `index.js`.
    Inline(String),
    /// A zip archive.
    Zip(Bytes),
}

/// An unpacked package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployedCode {
    /// Lowercase hex SHA-256 of what was sent; names the folder.
    pub sha256: String,
    /// Bytes of what was sent.
    pub bytes: u64,
}

/// Why a package was not deployed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// No process of this server runs it.
    #[error(transparent)]
    Runtime(#[from] UnknownRuntime),
    /// An interpreter or module is not on this machine; the text names the command that installs it.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// Inline source is for Python and Node.js.
    #[error("inline source needs a python3 or nodejs runtime, not {runtime}")]
    InlineRuntime {
        /// The runtime that was asked for.
        runtime: String,
    },
    /// Too much to send or to unpack.
    #[error("the package has more than {max} bytes")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// Too many entries.
    #[error("the package has {files} files, at most {max} are taken")]
    TooManyFiles {
        /// How many there are.
        files: usize,
        /// The limit.
        max: usize,
    },
    /// A name that leads out of the package, a link, or a name that occurs twice.
    #[error("the package's entry {name:?} is not a plain file or folder of its own")]
    UnsafeEntry {
        /// The entry's name.
        name: String,
    },
    /// Not a zip archive, or a broken one.
    #[error("the package is not a readable zip archive: {0}")]
    Archive(#[source] ZipError),
    /// A `provided` package without its program.
    #[error("the package has no file named bootstrap")]
    NoBootstrap,
    /// The data folder could not be written.
    #[error("store the package")]
    Io(#[from] io::Error),
}

/// The folder of unpacked packages.
#[derive(Clone, Debug)]
pub(crate) struct CodeStore {
    folder: PathBuf,
    unpacked_bytes_max: u64,
}

impl CodeStore {
    pub(crate) fn in_folder(functions: &Path) -> Self {
        CodeStore { folder: functions.join("code"), unpacked_bytes_max: UNPACKED_BYTES_MAX }
    }

    /// Where a package is unpacked. A digest of another form would be a path of somebody's choice: `None`.
    pub(crate) fn path(&self, sha256: &str) -> Option<PathBuf> {
        let digest = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        digest.then(|| self.folder.join(sha256))
    }

    /// Unpacks a package beside its place, makes it durable, and moves it there. Blocks.
    pub(crate) fn unpack(&self, package: &Package, runtime: Runtime) -> Result<DeployedCode, DeployError> {
        let code = describe(package, runtime);
        let place = self.folder.join(&code.sha256);
        if place.is_dir() {
            return Ok(code);
        }
        std::fs::create_dir_all(&self.folder)?;
        let fresh = self.folder.join(format!(".new-{}", id::random_lower_alphanumeric(16)));
        std::fs::create_dir(&fresh)?;
        let done = self.write(package, runtime, &fresh).and_then(|()| {
            match std::fs::rename(&fresh, &place) {
                // Somebody else deployed the same package at the same time.
                Err(_) if place.is_dir() => std::fs::remove_dir_all(&fresh)?,
                other => other?,
            }
            File::open(&self.folder)?.sync_all()?;
            Ok(())
        });
        if let Err(error) = done {
            let _ = std::fs::remove_dir_all(&fresh);
            return Err(error);
        }
        Ok(code)
    }

    fn write(&self, package: &Package, runtime: Runtime, folder: &Path) -> Result<(), DeployError> {
        match package {
            Package::Inline(source) => {
                let mut file = create(&folder.join(inline_name(runtime)), 0o644)?;
                file.write_all(source.as_bytes())?;
                file.sync_all()?;
            }
            Package::Zip(bytes) => unzip(bytes, folder, self.unpacked_bytes_max)?,
        }
        if runtime == Runtime::Provided {
            let bootstrap = folder.join("bootstrap");
            if !bootstrap.is_file() {
                return Err(DeployError::NoBootstrap);
            }
            std::fs::set_permissions(&bootstrap, PermissionsExt::from_mode(0o755))?;
        }
        File::open(folder)?.sync_all()?;
        Ok(())
    }

    /// Removes unpacked packages, and what a crash left half unpacked, except those that `keep` names. Blocks.
    pub(crate) fn sweep(&self, keep: impl Fn(&str) -> bool) -> io::Result<usize> {
        let mut removed = 0;
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| !keep(name)) {
                std::fs::remove_dir_all(entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Checks that a package can run here, before anything is written.
pub(crate) async fn check(
    package: &Package,
    runtime_name: &str,
    interpreters: &Interpreters,
) -> Result<Runtime, DeployError> {
    let runtime = Runtime::parse(runtime_name)?;
    let (bytes, max) = match package {
        Package::Inline(_) if runtime == Runtime::Provided => {
            return Err(DeployError::InlineRuntime { runtime: runtime_name.into() });
        }
        Package::Inline(source) => (source.len(), INLINE_BYTES_MAX),
        Package::Zip(bytes) => (bytes.len(), UNPACKED_BYTES_MAX as usize),
    };
    if bytes > max {
        return Err(DeployError::TooLarge { max: max as u64 });
    }
    match runtime {
        Runtime::Python => {
            interpreters.python().await?;
            if wants_boto3(package) {
                interpreters.boto3().await?;
            }
        }
        Runtime::Node => {
            interpreters.node().await?;
        }
        Runtime::Provided => {}
    }
    Ok(runtime)
}

/// Whether a Python package needs the machine's boto3: it speaks of it and does not bring it along.
fn wants_boto3(package: &Package) -> bool {
    let speaks = |source: &str| source.contains("boto3") || source.contains("botocore");
    match package {
        Package::Inline(source) => speaks(source),
        Package::Zip(bytes) => {
            let Ok(mut archive) = ZipArchive::new(Cursor::new(bytes)) else {
                return false;
            };
            let bundled = archive.file_names().any(|name| name.is_ok_and(|name| name.starts_with("boto3/")));
            !bundled
                && (0..archive.len().min(FILES_MAX)).any(|index| {
                    let Ok(entry) = archive.by_index(index) else {
                        return false;
                    };
                    let mut source = String::new();
                    entry.name().is_ok_and(|name| name.ends_with(".py"))
                        && entry.take(INLINE_BYTES_MAX as u64).read_to_string(&mut source).is_ok()
                        && speaks(&source)
                })
        }
    }
}

fn inline_name(runtime: Runtime) -> &'static str {
    if runtime == Runtime::Node { "index.js" } else { "index.py" }
}

fn describe(package: &Package, runtime: Runtime) -> DeployedCode {
    let mut digest = Sha256::new();
    let bytes = match package {
        // The same text is another package under another name.
        Package::Inline(source) => {
            digest.update(inline_name(runtime));
            digest.update([0]);
            digest.update(source);
            source.len()
        }
        Package::Zip(bytes) => {
            digest.update(bytes);
            bytes.len()
        }
    };
    DeployedCode { sha256: hex::encode(digest.finalize()), bytes: bytes as u64 }
}

/// A file that must not exist yet. What a link points to is never written.
fn create(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

fn unzip(bytes: &[u8], folder: &Path, bytes_max: u64) -> Result<(), DeployError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(DeployError::Archive)?;
    let files = archive.len();
    if files > FILES_MAX {
        return Err(DeployError::TooManyFiles { files, max: FILES_MAX });
    }
    let mut left = bytes_max;
    for index in 0..files {
        let entry = archive.by_index(index).map_err(DeployError::Archive)?;
        let unsafe_entry = || DeployError::UnsafeEntry {
            name: entry.name().map_or_else(|_| "?".into(), |name| name.chars().take(256).collect()),
        };
        let relative = entry
            .enclosed_name()
            .filter(|_| entry.name().is_ok_and(|name| !name.starts_with('/')))
            .ok_or_else(unsafe_entry)?;
        if entry.is_symlink() {
            return Err(unsafe_entry());
        }
        let path = folder.join(relative);
        if entry.is_dir() {
            std::fs::create_dir_all(&path).map_err(|_| unsafe_entry())?;
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|_| unsafe_entry())?;
        }
        let executable = entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
        let mut file = match create(&path, if executable { 0o755 } else { 0o644 }) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(unsafe_entry());
            }
            other => other?,
        };
        // What the entry says of its size is not believed: what comes out is counted.
        let written = io::copy(&mut entry.take(left + 1), &mut file).map_err(|e| DeployError::Archive(e.into()))?;
        left = left.checked_sub(written).ok_or(DeployError::TooLarge { max: bytes_max })?;
        if files <= FLUSH_SINGLY_MAX {
            file.sync_all()?;
        }
    }
    if files > FLUSH_SINGLY_MAX {
        rustix::fs::syncfs(File::open(folder)?).map_err(io::Error::from)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn archive(entries: &[(&str, &[u8], u32)]) -> Package {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content, mode) in entries {
            writer.start_file(*name, SimpleFileOptions::default().unix_permissions(*mode)).expect("entry");
            writer.write_all(content).expect("content");
        }
        Package::Zip(writer.finish().expect("archive").into_inner().into())
    }

    fn store() -> (tempfile::TempDir, CodeStore) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = CodeStore::in_folder(folder.path());
        (folder, store)
    }

    #[test]
    fn a_package_is_unpacked_once_and_found_by_its_digest() {
        let (_folder, store) = store();
        let package = archive(&[("index.py", b"x = 1", 0o644), ("bin/tool", b"#!/bin/sh", 0o755)]);
        let code = store.unpack(&package, Runtime::Python).expect("deployed");
        let path = store.path(&code.sha256).expect("digest");
        assert_eq!(std::fs::read(path.join("index.py")).expect("file"), b"x = 1");
        let mode = std::fs::metadata(path.join("bin/tool")).expect("file").permissions().mode();
        assert_eq!(mode & 0o111, 0o111);
        assert_eq!(store.unpack(&package, Runtime::Python).expect("again"), code);
        assert_eq!(store.sweep(|name| name == code.sha256).expect("swept"), 0);
        assert_eq!(store.sweep(|_| false).expect("swept"), 1);
        assert!(!path.exists());
    }

    #[test]
    fn inline_source_becomes_the_index_file_of_its_runtime() {
        let (_folder, store) = store();
        let package = Package::Inline("pass".into());
        for (runtime, name) in [(Runtime::Python, "index.py"), (Runtime::Node, "index.js")] {
            let code = store.unpack(&package, runtime).expect("deployed");
            assert!(store.path(&code.sha256).expect("digest").join(name).is_file());
        }
    }

    #[test]
    fn no_entry_leaves_the_package_and_nothing_is_left_of_a_refused_one() {
        let (folder, store) = store();
        let refused = |package: &Package| {
            let error = store.unpack(package, Runtime::Python).expect_err("refused");
            let left = std::fs::read_dir(folder.path().join("code")).expect("folder").count();
            assert_eq!(left, 0);
            error
        };
        for name in ["../escape", "a/../../escape", "/etc/escape"] {
            let error = refused(&archive(&[(name, b"x", 0o644)]));
            assert!(matches!(&error, DeployError::UnsafeEntry { .. }), "{name}: {error}");
        }
        let mut link = ZipWriter::new(Cursor::new(Vec::new()));
        link.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).expect("link");
        let link = Package::Zip(link.finish().expect("archive").into_inner().into());
        assert!(matches!(refused(&link), DeployError::UnsafeEntry { .. }));
        let clash = archive(&[("a", b"file", 0o644), ("a/b", b"file below a file", 0o644)]);
        assert!(matches!(refused(&clash), DeployError::UnsafeEntry { .. }));
        assert!(matches!(refused(&Package::Zip(Bytes::from_static(b"PK?"))), DeployError::Archive(_)));
        assert!(!folder.path().join("escape").exists());
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let (_folder, mut store) = store();
        store.unpacked_bytes_max = 250_000;
        let zeros = vec![0; 100_000];
        let bomb = archive(&[("a", &zeros, 0o644), ("b", &zeros, 0o644), ("c", &zeros, 0o644)]);
        let Package::Zip(bytes) = &bomb else { panic!("a zip") };
        assert!(bytes.len() < 2000, "it is small until it is unpacked");
        let error = store.unpack(&bomb, Runtime::Python).expect_err("refused");
        assert!(matches!(error, DeployError::TooLarge { max: 250_000 }), "{error}");
        assert!(store.unpack(&archive(&[("a", &zeros, 0o644), ("b", &zeros, 0o644)]), Runtime::Python).is_ok());
    }

    #[test]
    fn a_provided_package_needs_its_bootstrap_and_gets_it_made_executable() {
        let (_folder, store) = store();
        let without = archive(&[("main", b"x", 0o755)]);
        assert!(matches!(store.unpack(&without, Runtime::Provided), Err(DeployError::NoBootstrap)));
        let with = store.unpack(&archive(&[("bootstrap", b"x", 0o644)]), Runtime::Provided).expect("deployed");
        let bootstrap = store.path(&with.sha256).expect("digest").join("bootstrap");
        assert_eq!(std::fs::metadata(bootstrap).expect("file").permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn only_digests_name_folders() {
        let (_folder, store) = store();
        assert!(store.path("../../etc").is_none());
        assert!(store.path(&"a".repeat(64)).is_some());
        assert!(store.path(&"A".repeat(64)).is_none());
    }

    #[test]
    fn boto3_is_wanted_by_those_who_speak_of_it_and_do_not_bring_it() {
        assert!(wants_boto3(&Package::Inline("import boto3".into())));
        assert!(!wants_boto3(&Package::Inline("import json".into())));
        assert!(wants_boto3(&archive(&[("a.py", b"import boto3", 0o644)])));
        assert!(!wants_boto3(&archive(&[("a.py", b"import boto3", 0o644), ("boto3/__init__.py", b"", 0o644)])));
    }
}

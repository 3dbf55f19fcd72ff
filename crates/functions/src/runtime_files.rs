//! The bootstraps and response modules that functions are run with: part of the binary, written to a folder.

use std::io;
use std::path::{Path, PathBuf};

const FILES: &[(&str, &str)] = &[
    ("python/bootstrap.py", include_str!("runtime/python/bootstrap.py")),
    ("python/lib/cfnresponse.py", include_str!("runtime/python/lib/cfnresponse.py")),
    ("nodejs/bootstrap.js", include_str!("runtime/nodejs/bootstrap.js")),
    ("nodejs/node_modules/cfn-response/index.js", include_str!("runtime/nodejs/cfn-response.js")),
];

/// The folder with the written files.
#[derive(Clone, Debug)]
pub(crate) struct RuntimeFiles {
    folder: PathBuf,
}

impl RuntimeFiles {
    /// Names the folder; [`RuntimeFiles::write`] fills it.
    pub(crate) fn in_folder(functions: &Path) -> Self {
        RuntimeFiles { folder: functions.join("runtime") }
    }

    /// Writes what differs. Another version of the server may have left other files.
    pub(crate) fn write(&self) -> io::Result<()> {
        for (name, text) in FILES {
            let path = self.folder.join(name);
            if std::fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
                continue;
            }
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let fresh = path.with_extension("new");
            std::fs::write(&fresh, text)?;
            std::fs::rename(&fresh, &path)?;
        }
        Ok(())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn python_bootstrap(&self) -> PathBuf {
        self.folder.join("python/bootstrap.py")
    }

    pub(crate) fn python_modules(&self) -> PathBuf {
        self.folder.join("python/lib")
    }

    pub(crate) fn node_bootstrap(&self) -> PathBuf {
        self.folder.join("nodejs/bootstrap.js")
    }

    pub(crate) fn node_modules(&self) -> PathBuf {
        self.folder.join("nodejs/node_modules")
    }
}

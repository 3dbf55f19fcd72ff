//! Python, boto3 and Node.js: found on this machine, or the command that installs what is missing.

use crate::Config;
use crate::environment::SEARCH_PATH;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::OnceCell;

/// Longest time that an interpreter may take to say where it is; importing boto3 from a cold disk is slow.
const PROBE_MAX: Duration = Duration::from_secs(60);

/// What runs a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// `python3.*`: whichever version is asked for, the one Python of the machine runs it.
    Python,
    /// `nodejs*`.
    Node,
    /// `provided`, `provided.*`: an executable `bootstrap` in the package.
    Provided,
}

/// A runtime that this server has no process for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("runtime {0:?} is not one of python3.*, nodejs*, provided, provided.*")]
pub struct UnknownRuntime(pub String);

impl Runtime {
    /// Reads a runtime's identifier.
    ///
    /// # Errors
    /// [`UnknownRuntime`].
    pub fn parse(identifier: &str) -> Result<Runtime, UnknownRuntime> {
        let number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
        if identifier.strip_prefix("python3.").is_some_and(number) {
            Ok(Runtime::Python)
        } else if identifier.strip_prefix("nodejs").is_some_and(number) {
            Ok(Runtime::Node)
        } else if identifier == "provided" || identifier.starts_with("provided.al") {
            Ok(Runtime::Provided)
        } else {
            Err(UnknownRuntime(identifier.chars().take(64).collect()))
        }
    }
}

/// What is missing, and the command that installs it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Missing {
    /// No Python 3.8 or newer.
    #[error("no Python 3.8 or newer was found; install it with: {install}")]
    Python {
        /// A shell command.
        install: String,
    },
    /// Python cannot import boto3.
    #[error("{python} cannot import boto3; install it with: {install}")]
    Boto3 {
        /// The interpreter.
        python: String,
        /// A shell command.
        install: String,
    },
    /// No Node.js.
    #[error("no Node.js was found; install it with: {install}")]
    Node {
        /// A shell command.
        install: String,
    },
}

/// Finds interpreters once; what is missing is looked for again each time, since it may have been installed meanwhile.
#[derive(Debug)]
pub(crate) struct Interpreters {
    data_dir: PathBuf,
    python_wanted: Option<PathBuf>,
    node_wanted: Option<PathBuf>,
    python: OnceCell<PathBuf>,
    boto3: OnceCell<()>,
    node: OnceCell<PathBuf>,
}

impl Interpreters {
    pub(crate) fn new(config: &Config) -> Self {
        Interpreters {
            data_dir: config.data_dir.clone(),
            python_wanted: config.python.clone(),
            node_wanted: config.node.clone(),
            python: OnceCell::new(),
            boto3: OnceCell::new(),
            node: OnceCell::new(),
        }
    }

    fn own_python(&self) -> PathBuf {
        self.data_dir.join("python")
    }

    /// Makes the data folder's own Python with boto3.
    fn make_own_python(&self, with: &str) -> String {
        let own = quoted(&self.own_python());
        format!("{with} -m venv {own} && {own}/bin/pip install boto3")
    }

    /// Path of the Python itself, behind shims and links of the search path.
    pub(crate) async fn python(&self) -> Result<&Path, Missing> {
        let find = async || {
            let own = self.own_python().join("bin/python3");
            let wanted = match &self.python_wanted {
                Some(python) => python.clone(),
                None if own.exists() => own,
                None => PathBuf::from("python3"),
            };
            let script = "import sys\nif sys.version_info >= (3, 8): print(sys.executable)";
            let found = run(Command::new(wanted).args(["-c", script])).await;
            found.filter(|path| path.is_absolute()).ok_or_else(|| Missing::Python {
                install: format!("apt-get install -y python3 python3-venv && {}", self.make_own_python("python3")),
            })
        };
        self.python.get_or_try_init(find).await.map(PathBuf::as_path)
    }

    /// Whether functions can import boto3.
    pub(crate) async fn boto3(&self) -> Result<(), Missing> {
        let python = self.python().await?;
        let check = async || {
            // In the environment of a function: a module that only the server's user sees does not count.
            let mut command = Command::new(python);
            command.env_clear().env("PATH", SEARCH_PATH).env("HOME", "/nonexistent").current_dir("/");
            let found = run(command.args(["-c", "import boto3, sys; print(sys.executable)"])).await;
            found.map(drop).ok_or_else(|| Missing::Boto3 {
                python: python.display().to_string(),
                install: if python.starts_with(self.own_python()) {
                    format!("{}/bin/pip install boto3", quoted(&self.own_python()))
                } else {
                    self.make_own_python(&quoted(python))
                },
            })
        };
        self.boto3.get_or_try_init(check).await.copied()
    }

    /// Path of Node.js itself.
    pub(crate) async fn node(&self) -> Result<&Path, Missing> {
        let find = async || {
            let wanted = self.node_wanted.clone().unwrap_or_else(|| PathBuf::from("node"));
            let found = run(Command::new(wanted).args(["-p", "process.execPath"])).await;
            found
                .filter(|path| path.is_absolute())
                .ok_or_else(|| Missing::Node { install: "apt-get install -y nodejs".into() })
        };
        self.node.get_or_try_init(find).await.map(PathBuf::as_path)
    }
}

/// A path as a word of a shell command that a person will copy.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// What a command prints, as a path; `None` if it fails, says nothing or takes too long.
async fn run(command: &mut Command) -> Option<PathBuf> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PROBE_MAX, output).await.ok()?.ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    let line = line.trim();
    let usable = output.status.success() && !line.is_empty();
    usable.then(|| PathBuf::from(OsStr::new(line)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_model::Realm;

    fn interpreters(change: impl FnOnce(&mut Config)) -> Interpreters {
        let mut config = Config::new("/srv/head water", "http://127.0.0.1:1", Realm::default());
        change(&mut config);
        Interpreters::new(&config)
    }

    #[test]
    fn any_python_node_or_provided_is_a_runtime() {
        for known in ["python3.8", "python3.13"] {
            assert_eq!(Runtime::parse(known), Ok(Runtime::Python));
        }
        assert_eq!(Runtime::parse("nodejs22.x"), Ok(Runtime::Node));
        for known in ["provided", "provided.al2", "provided.al2023"] {
            assert_eq!(Runtime::parse(known), Ok(Runtime::Provided));
        }
        for unknown in ["python2.7", "python3.", "java21", "nodejs", "", "providedx"] {
            assert!(Runtime::parse(unknown).is_err(), "{unknown}");
        }
    }

    #[tokio::test]
    async fn what_is_missing_comes_with_the_command_that_installs_it() {
        let none = interpreters(|config| {
            config.python = Some("/nonexistent/python3".into());
            config.node = Some("/nonexistent/node".into());
        });
        assert_eq!(
            none.python().await.map(Path::to_owned).map_err(|e| e.to_string()),
            Err("no Python 3.8 or newer was found; install it with: apt-get install -y python3 python3-venv && \
                 python3 -m venv '/srv/head water/python' && '/srv/head water/python'/bin/pip install boto3"
                .into())
        );
        assert_eq!(none.node().await, Err(Missing::Node { install: "apt-get install -y nodejs".into() }));
        assert!(matches!(none.boto3().await, Err(Missing::Python { .. })));
    }

    #[tokio::test]
    async fn a_python_without_boto3_is_told_apart_from_no_python() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let made = std::process::Command::new("python3")
            .args(["-m", "venv", "--without-pip"])
            .arg(folder.path().join("python"))
            .status()
            .expect("python3 runs");
        assert!(made.success());
        let own = interpreters(|config| config.data_dir = folder.path().into());
        let python = own.python().await.expect("the data folder's Python is found");
        assert_eq!(python, folder.path().join("python/bin/python3"));
        let missing = own.boto3().await.expect_err("boto3 is not in a fresh environment");
        let pip = format!("{}/python/bin/pip install boto3", folder.path().display());
        assert!(matches!(&missing, Missing::Boto3 { install, .. } if *install == pip), "{missing}");
    }
}

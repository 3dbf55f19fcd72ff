//! How a process lowers itself, and then becomes another program.

use super::arguments::{ArgumentError, Task};
use super::{Confinement, REPORT, User};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::{Gid, Uid};
use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What Landlock is asked for: files, devices, TCP, signals. An older kernel gives what it can.
const LANDLOCK: ABI = ABI::V6;

/// Why the program does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfineError {
    /// It was not asked for rightly.
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    /// The parent ended before its death could be noticed.
    #[error("parent process {parent} is gone")]
    Orphan {
        /// Whom it was to die with.
        parent: u32,
    },
    /// The program cannot be executed.
    #[error("{} cannot be run: {source}", program.display())]
    Program {
        /// Which.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Lowers this process as `arguments` say, which [`Confinement::command`] wrote, and becomes the program. To be called by a process with one
/// thread: only the caller's is lowered.
///
/// # Errors
/// [`ConfineError`] if there is no program to become. What could not be confined is no error, and told on standard error.
pub fn confine(arguments: impl IntoIterator<Item = OsString>) -> Result<Infallible, ConfineError> {
    let task = Task::read(arguments)?;
    for shortfall in task.confinement.enter(&task.program) {
        eprintln!("{REPORT}{shortfall}");
    }
    // Who was orphaned before the death signal was set is never told of it.
    if rustix::process::getppid().map(Pid::as_raw_nonzero).map(|pid| pid.get().unsigned_abs()) != Some(task.parent) {
        return Err(ConfineError::Orphan { parent: task.parent });
    }
    let source = Command::new(&task.program).args(&task.arguments).exec();
    Err(ConfineError::Program { program: task.program, source })
}

impl Confinement {
    /// Lowers this process. Gives what is not confined, and why.
    fn enter(&self, program: &Path) -> Vec<String> {
        let mut shortfalls = Vec::new();
        let mut note = |what: &str, done: Result<(), String>| {
            if let Err(why) = done {
                shortfalls.push(format!("{what}: {why}"));
            }
        };
        note("resources", self.limit());
        if let Some(user) = self.user.filter(|_| rustix::process::geteuid().is_root()) {
            note("user", become_user(user));
        }
        note("privileges", drop_privileges());
        // After the change of user, which would undo it.
        note("lifetime", text(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))));
        note("files and network", self.restrict(program));
        shortfalls
    }

    fn limit(&self) -> Result<(), String> {
        let limits = [
            (Resource::As, self.memory_max),
            (Resource::Fsize, self.file_bytes_max),
            (Resource::Nofile, self.open_files_max),
            (Resource::Core, Some(0)),
        ];
        for (resource, most) in limits {
            if most.is_some() {
                text(rustix::process::setrlimit(resource, Rlimit { current: most, maximum: most }))?;
            }
        }
        if self.niceness != 0 {
            text(rustix::process::setpriority_process(None, self.niceness))?;
        }
        Ok(())
    }

    /// Landlock. Rules for paths that are not there are left out.
    fn restrict(&self, program: &Path) -> Result<(), String> {
        match self.rules(program) {
            Ok(RulesetStatus::FullyEnforced) => Ok(()),
            Ok(RulesetStatus::PartiallyEnforced) => {
                Err("this kernel's Landlock is too old to confine all of TCP, devices and signals".into())
            }
            Ok(RulesetStatus::NotEnforced) => Err("this kernel has no Landlock".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn rules(&self, program: &Path) -> Result<RulesetStatus, RulesetError> {
        let read = AccessFs::from_read(LANDLOCK);
        let usage = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::WriteFile | AccessFs::IoctlDev;
        let ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(LANDLOCK))?
            .handle_access(AccessNet::from_all(LANDLOCK))?
            .scope(Scope::from_all(LANDLOCK))?
            .create()?
            .add_rules(path_beneath_rules(self.read.iter().map(PathBuf::as_path).chain([program]), read))?
            .add_rules(path_beneath_rules(&self.devices, usage))?;
        Ok(ruleset.restrict_self()?.ruleset)
    }
}

fn become_user(user: User) -> Result<(), String> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    text(rustix::thread::set_thread_groups(&[]))?;
    text(rustix::thread::set_thread_res_gid(gid, gid, gid))?;
    text(rustix::thread::set_thread_res_uid(uid, uid, uid))
}

/// Nothing that it executes has more than it has itself, which is what its user has.
fn drop_privileges() -> Result<(), String> {
    text(rustix::thread::clear_ambient_capability_set())?;
    text(rustix::thread::set_no_new_privs(true))
}

fn text(done: rustix::io::Result<()>) -> Result<(), String> {
    done.map_err(|error| error.to_string())
}

//! A child process that can do little: limits, no privileges, a narrow view of the files, no network.
//!
//! Whoever decodes or runs what strangers sent is started through this. The server does not lower the child from outside, which needs
//! `unsafe` code between `fork` and `exec`; it starts its own program again with [`Confinement::command`], that one lowers *itself* with
//! [`confine`], and then becomes the program that was wanted. What the kernel refuses is told on standard error in lines that begin with
//! [`REPORT`], before the program's own words, and the program runs all the same: the caller decides what that is worth.
//!
//! | what | how | where it is missing |
//! |---|---|---|
//! | it dies with its parent | `PR_SET_PDEATHSIG`, for the parent's thread | – |
//! | no privileges | another user if the parent is root, no ambient capabilities, `no_new_privs` | – |
//! | limits | `setrlimit`, `setpriority` | – |
//! | files, devices | Landlock: what is named may be read, or used | Linux before 5.13 |
//! | TCP | Landlock: neither connect nor bind | Linux before 6.7 |
//! | signals, abstract sockets | Landlock: within the confinement only | Linux before 6.12 |
//!
//! Not confined: UDP and other sockets, the system calls themselves, the processor's time.
//!
//! *Source*: landlock(7), prctl(2), setrlimit(2).

mod arguments;
mod enter;

pub use arguments::ArgumentError;
pub use enter::{ConfineError, confine};

use std::path::{Path, PathBuf};
use std::process::Command;

/// What lines on standard error begin with that tell what is not confined.
pub const REPORT: &str = "not confined: ";

/// Folders and files that programs and their libraries are in, and what these ask a system for. Those that are not there do not matter.
pub const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/nix/store",
    "/snap",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/dev/random",
    "/dev/urandom",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
];

/// A user and a group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// Its only group.
    pub gid: u32,
}

impl User {
    /// `nobody` and `nogroup`, as nearly every Linux has them.
    pub const NOBODY: User = User { uid: 65_534, gid: 65_534 };
}

/// What a process is left with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Who it is, if the parent is root; `None`: who the parent is.
    pub user: Option<User>,
    /// What it may read and execute, files and whole folders, besides the program itself.
    pub read: Vec<PathBuf>,
    /// Device nodes and folders of them that it may use.
    pub devices: Vec<PathBuf>,
    /// Bytes of address space.
    pub memory_max: Option<u64>,
    /// Bytes of a file that it may write.
    pub file_bytes_max: Option<u64>,
    /// Open files.
    pub open_files_max: Option<u64>,
    /// How far it stands back behind other processes, 0 to 19.
    pub niceness: i32,
}

impl Confinement {
    /// What reads the system's libraries, writes no file, and leaves no memory dump.
    pub fn of_a_program() -> Self {
        Confinement {
            user: Some(User::NOBODY),
            read: SYSTEM.iter().map(PathBuf::from).collect(),
            devices: ["/dev/null", "/dev/zero"].map(PathBuf::from).to_vec(),
            file_bytes_max: Some(0),
            ..Confinement::default()
        }
    }

    /// The command that starts `program` so: `confiner` is a program that hands its arguments after the first to [`confine`], and `subcommand`
    /// that first one. Its environment is empty and its folder is `/`; the program's own arguments, pipes and variables are the caller's to add.
    ///
    /// It dies with the *thread* that starts it, so start it on one that stays: a worker of the runtime, never a blocking one.
    pub fn command(&self, confiner: &Path, subcommand: &str, program: &Path) -> Command {
        let mut command = Command::new(confiner);
        command.arg(subcommand).args(self.arguments(std::process::id())).arg(program).env_clear().current_dir("/");
        command
    }
}

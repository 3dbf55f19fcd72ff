//! What a process may use, and how it ends: memory in use, resource limits, process groups, death with the server.

use rustix::process::{Pid, Resource, Rlimit, Signal};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// Processes of one instance that are looked at for memory; the rest of a fork bomb is killed with the group anyway.
const PROCESSES_MAX: usize = 256;
/// Lambda: 1,024 open files in each environment.
const OPEN_FILES_MAX: u64 = 1024;
/// Lambda: 512 MB of temporary files unless asked for more; here for each file.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Functions yield to live streams when the processor is short.
const NICENESS: i32 = 5;

/// Sets what holds for a fresh process and all that it starts.
pub(crate) fn confine(pid: Pid) {
    #[cfg(target_os = "linux")]
    for (resource, max) in [(Resource::Core, 0), (Resource::Nofile, OPEN_FILES_MAX), (Resource::Fsize, FILE_BYTES_MAX)]
    {
        let limit = Rlimit { current: Some(max), maximum: Some(max) };
        if let Err(error) = rustix::process::prlimit(Some(pid), resource, limit) {
            tracing::debug!(pid = pid.as_raw_nonzero().get(), ?resource, %error, "resource limit not set");
        }
    }
    if let Err(error) = rustix::process::setpriority_process(Some(pid), NICENESS) {
        tracing::debug!(pid = pid.as_raw_nonzero().get(), %error, "priority not lowered");
    }
}

/// Bytes of memory that a process and its descendants hold, as far as the system tells.
///
/// Resident memory is cheap to read and counts shared pages more than once; only when it passes `limit` is the exact
/// share of each process read.
pub(crate) fn memory_bytes(pid: Pid, limit: u64) -> u64 {
    let processes = descendants(pid.as_raw_nonzero().get());
    let sum = |file: &str, field: &str| {
        processes.iter().filter_map(|pid| kilobytes(&format!("/proc/{pid}/{file}"), field)).sum::<u64>() * 1024
    };
    let resident = sum("status", "VmRSS:");
    if resident <= limit || processes.len() == 1 {
        return resident;
    }
    match sum("smaps_rollup", "Pss:") {
        0 => resident,
        shared_fairly => shared_fairly,
    }
}

fn descendants(pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    let mut next = 0;
    while next < all.len() && all.len() < PROCESSES_MAX {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", all[next])) else {
            next += 1;
            continue;
        };
        for thread in threads.flatten() {
            let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            all.extend(children.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        }
        next += 1;
    }
    all.truncate(PROCESSES_MAX);
    all
}

fn kilobytes(path: &str, field: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// A process group that is killed when this is dropped, and when the server dies.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Pid,
    guard: Arc<Guard>,
}

impl Group {
    /// Takes over the group that `leader` leads.
    pub(crate) fn adopt(leader: Pid, guard: Arc<Guard>) -> Self {
        guard.tell('+', leader);
        Group { leader, guard }
    }

    pub(crate) fn leader(&self) -> Pid {
        self.leader
    }

    /// Kills every process in it. A group that is gone is fine.
    pub(crate) fn kill(&self) {
        let _ = rustix::process::kill_process_group(self.leader, Signal::KILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        self.guard.tell('-', self.leader);
    }
}

/// A small shell process that outlives the server by a moment: it learns of every process group through a pipe and
/// kills those that are left when the pipe closes, which the kernel does however the server dies.
///
/// `PR_SET_PDEATHSIG` would not do: it acts when the *thread* that started a process ends, it does not reach
/// grandchildren, and it cannot be set without unsafe code.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Mutex<Option<(Child, ChildStdin)>>,
}

/// Reads `+ GROUP` and `- GROUP` lines. Only numbers of ours are ever written to it.
const GUARD_SCRIPT: &str = r#"
live=''
while read -r verb group; do
  case $verb in
    +) live="$live $group" ;;
    -) kept=''
       for one in $live; do [ "$one" = "$group" ] || kept="$kept $one"; done
       live=$kept ;;
  esac
done
for one in $live; do kill -s KILL -- "-$one" 2>/dev/null; done
"#;

impl Guard {
    /// Starts the shell, in a process group of its own, so that a signal to the server's terminal does not end it.
    pub(crate) fn start() -> Self {
        let shell = match Guard::spawn() {
            Ok(shell) => Some(shell),
            Err(error) => {
                tracing::warn!(%error, "functions may outlive a crash of the server: no guard process");
                None
            }
        };
        Guard { shell: Mutex::new(shell) }
    }

    fn spawn() -> io::Result<(Child, ChildStdin)> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", GUARD_SCRIPT])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok((child, stdin))
    }

    /// A line of a few bytes never fills the pipe for longer than the shell needs to read it.
    fn tell(&self, verb: char, group: Pid) {
        let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, stdin)) = shell.as_mut()
            && let Err(error) = writeln!(stdin, "{verb} {}", group.as_raw_nonzero())
        {
            tracing::warn!(%error, "functions may outlive a crash of the server: the guard process is gone");
            *shell = None;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let shell = self.shell.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut child, stdin)) = shell {
            drop(stdin);
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn sleeper() -> (Child, Pid) {
        // A shell with a child of its own: the whole group must go.
        let child = Command::new("/bin/sh").args(["-c", "sleep 600 & wait"]).process_group(0).spawn().expect("sh");
        let pid = Pid::from_child(&child);
        (child, pid)
    }

    fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
        let started = Instant::now();
        while !done() {
            assert!(started.elapsed() < Duration::from_secs(20), "{what} took too long");
            std::thread::yield_now();
        }
    }

    fn group_is_empty(leader: Pid) -> bool {
        rustix::process::test_kill_process_group(leader).is_err()
    }

    #[test]
    fn a_dropped_group_is_killed_with_its_grandchildren() {
        let (mut child, pid) = sleeper();
        wait_until("the grandchild", || descendants(pid.as_raw_nonzero().get()).len() == 2);
        drop(Group::adopt(pid, Arc::new(Guard::start())));
        child.wait().expect("it ended");
        wait_until("the group's end", || group_is_empty(pid));
    }

    #[test]
    fn the_guard_kills_what_is_left_when_its_pipe_closes_and_spares_what_was_taken_back() {
        let (mut doomed, doomed_pid) = sleeper();
        let (mut spared, spared_pid) = sleeper();
        let guard = Guard::start();
        guard.tell('+', spared_pid);
        guard.tell('+', doomed_pid);
        guard.tell('-', spared_pid);
        drop(guard);
        doomed.wait().expect("it ended");
        wait_until("the group's end", || group_is_empty(doomed_pid));
        assert!(spared.try_wait().expect("state").is_none());
        rustix::process::kill_process_group(spared_pid, Signal::KILL).expect("kill");
        spared.wait().expect("it ended");
    }

    #[test]
    fn memory_counts_descendants() {
        let (mut child, pid) = sleeper();
        wait_until("the grandchild", || descendants(pid.as_raw_nonzero().get()).len() == 2);
        let own = kilobytes(&format!("/proc/{}/status", pid.as_raw_nonzero()), "VmRSS:").expect("status") * 1024;
        assert!(memory_bytes(pid, u64::MAX) > own);
        rustix::process::kill_process_group(pid, Signal::KILL).expect("kill");
        child.wait().expect("it ended");
    }
}

//! What a confined program can do, tried with small programs: the same subcommand starts the encoders.
#![expect(clippy::unwrap_used, reason = "tests")]

use headwater_confine::{Confinement, REPORT, User};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn command(confinement: &Confinement, program: &str) -> Command {
    let mut command = confinement.command(Path::new(env!("CARGO_BIN_EXE_headwater")), "confine", Path::new(program));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a shell script says when it is confined, and whether it succeeded.
fn confined(script: &str) -> (bool, String) {
    let output = command(&Confinement::of_a_program(), "/bin/sh").args(["-c", script]).output().unwrap();
    (output.status.success(), both(&output))
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Whether this kernel has all that is asked for. Where it has not, the confined program says so itself.
fn kernel_can_all() -> bool {
    let (_, said) = confined("true");
    assert!(said.is_empty() || said.starts_with(REPORT), "{said}");
    said.is_empty()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A field of a process' status.
fn status(pid: u32, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_confined_program_runs_and_gives_its_status() {
    assert_eq!(confined("echo hello; exit 3"), (false, "hello\n".into()));
    assert_eq!(confined("pwd; cd /usr && ls -d lib").1, "/\nlib\n");
}

#[test]
fn it_has_no_privileges_and_its_limits() {
    let confinement = Confinement {
        memory_max: Some(1 << 30),
        open_files_max: Some(32),
        niceness: 7,
        user: Some(User { uid: 12_345, gid: 23_456 }),
        ..Confinement::of_a_program()
    };
    let mut program = command(&confinement, "/bin/sh");
    // The shell tells when it is the shell.
    let mut child = Ended(program.args(["-c", "echo here; exec sleep 60"]).env("NAME", "value").spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pid = child.0.id();
    assert_eq!(line, "here\n");
    assert_eq!(status(pid, "NoNewPrivs"), "1");
    assert_eq!(status(pid, "CapAmb"), "0000000000000000");
    if is_root() {
        assert_eq!(status(pid, "Uid"), "12345 12345 12345 12345");
        assert_eq!(status(pid, "Gid"), "23456 23456 23456 23456");
        assert_eq!((status(pid, "Groups"), status(pid, "CapEff")), (String::new(), "0000000000000000".into()));
    }
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max address space"), ["1073741824", "1073741824"]);
    assert_eq!(limit("Max open files"), ["32", "32"]);
    assert_eq!(limit("Max file size"), ["0", "0"]);
    assert_eq!(limit("Max core file size"), ["0", "0"]);
    // Nothing of our environment: only what the caller adds.
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let environment = String::from_utf8(environment).unwrap();
    assert!(environment.split('\0').all(|one| ["", "NAME=value", "PWD=/"].contains(&one) || one.starts_with("_=")));
}

#[test]
fn it_reads_no_file_but_what_is_named() {
    if !kernel_can_all() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    // Everybody may read these.
    for file in ["/etc/passwd", "/etc/hostname", "/proc/1/cmdline", "/proc/self/environ", secret.to_str().unwrap()] {
        let (read, said) = confined(&format!("cat {file}"));
        assert!(!read && said.contains("denied"), "{file}: {said}");
    }
    assert!(!confined("cat /etc/shadow").0);
    assert!(!confined("ls /").0 && !confined("ls /home").0);
    let mut confinement = Confinement::of_a_program();
    confinement.read.push("/etc/passwd".into());
    let output = command(&confinement, "/bin/cat").arg("/etc/passwd").output().unwrap();
    assert!(output.status.success() && both(&output).contains("root"), "{}", both(&output));
}

#[test]
fn it_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let place = folder.path().join("file");
    // Without Landlock an empty file may come to be, as a file's size is limited in any case.
    let (wrote, said) = confined(&format!("echo x > {}", place.display()));
    assert!(!wrote, "{said}");
    assert_eq!(std::fs::read(&place).unwrap_or_default(), b"");
    if kernel_can_all() {
        assert!(!place.exists());
        assert!(!confined(&format!("mkdir {0}/a || rm -r {0}", folder.path().display())).0);
    }
}

#[test]
fn it_reaches_nobody_over_tcp() {
    if !kernel_can_all() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{}", listener.local_addr().unwrap().port());
    let free = Command::new("/bin/bash").args(["-c", &script]).output().unwrap();
    assert!(free.status.success(), "{}", both(&free));
    let output = command(&Confinement::of_a_program(), "/bin/bash").args(["-c", &script]).output().unwrap();
    assert!(!output.status.success() && both(&output).contains("denied"), "{}", both(&output));
}

#[test]
fn it_dies_with_its_parent() {
    // A shell stands for the server; what it starts says who it is, and then waits for nothing.
    let confiner = env!("CARGO_BIN_EXE_headwater");
    let script = format!(
        "{confiner} confine --parent $$ --read /usr --read /bin --read /lib --read /lib64 --read /etc/ld.so.cache \
         -- /bin/sh -c 'echo $$; exec sleep 600' & wait"
    );
    let mut parent = Ended(Command::new("/bin/sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(parent.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let child: u32 = line.trim().parse().unwrap();
    assert!(Path::new(&format!("/proc/{child}")).exists());
    parent.0.kill().unwrap();
    parent.0.wait().unwrap();
    let began = Instant::now();
    // A zombie that nobody has waited for yet is dead.
    let lives = || Path::new(&format!("/proc/{child}/status")).exists() && !status(child, "State").starts_with('Z');
    while lives() {
        assert!(began.elapsed() < PATIENCE, "it outlives its parent");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn who_has_no_such_parent_or_program_does_not_run() {
    let confiner = env!("CARGO_BIN_EXE_headwater");
    let run = |arguments: &[&str]| {
        let output = Command::new(confiner).arg("confine").args(arguments).output().unwrap();
        (output.status.code(), both(&output))
    };
    assert_eq!(run(&["--parent", "1", "--", "/bin/true"]).1, "headwater: parent process 1 is gone\n");
    assert_eq!(run(&["--root", "yes"]), (Some(126), "headwater: \"--root\" is no part of a confinement\n".into()));
    let output = command(&Confinement::of_a_program(), "/bin/no-such-program").output().unwrap();
    assert_eq!(output.status.code(), Some(126));
    assert!(both(&output).contains("/bin/no-such-program cannot be run"), "{}", both(&output));
}

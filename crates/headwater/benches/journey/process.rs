//! What a server's process has used: read from `/proc`, its children included.

use std::ops::{Add, Sub};
use std::process::Child;
use std::time::Duration;

/// CPU time, in clock ticks of 10 ms.
#[derive(Clone, Copy, Default)]
pub struct Cpu {
    /// In the program.
    pub user: Duration,
    /// In the kernel on its behalf. Over loopback whoever sends also pays for the receiver's half of the network.
    pub kernel: Duration,
}

impl Cpu {
    pub fn all(self) -> Duration {
        self.user + self.kernel
    }

    pub fn mul_f64(self, factor: f64) -> Cpu {
        Cpu { user: self.user.mul_f64(factor), kernel: self.kernel.mul_f64(factor) }
    }
}

impl Add for Cpu {
    type Output = Cpu;

    fn add(self, other: Cpu) -> Cpu {
        Cpu { user: self.user + other.user, kernel: self.kernel + other.kernel }
    }
}

/// Never below nothing: what is taken off may be a tick too much.
impl Sub for Cpu {
    type Output = Cpu;

    fn sub(self, other: Cpu) -> Cpu {
        Cpu { user: self.user.saturating_sub(other.user), kernel: self.kernel.saturating_sub(other.kernel) }
    }
}

/// A process that ends with its value.
pub struct Process(pub Child);

impl Process {
    fn ids(&self) -> Vec<u32> {
        let id = self.0.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        std::iter::once(id).chain(children.split_whitespace().map(|child| child.parse().unwrap())).collect()
    }

    /// CPU time so far.
    pub fn cpu(&self) -> Duration {
        self.cpu_by_kind().all()
    }

    /// CPU time so far, the program's and the kernel's apart.
    pub fn cpu_by_kind(&self) -> Cpu {
        self.ids().into_iter().map(cpu_of).fold(Cpu::default(), Cpu::add)
    }

    /// Resident memory.
    pub fn memory_kb(&self) -> u64 {
        self.ids().into_iter().map(memory_kb_of).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for id in self.ids().into_iter().skip(1) {
            // A child of nginx would outlive its master's violent end.
            let _ = std::process::Command::new("kill").arg(id.to_string()).status();
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CPU time of this process: what the load itself costs.
pub fn own_cpu() -> Cpu {
    cpu_of(std::process::id())
}

fn cpu_of(id: u32) -> Cpu {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { return Cpu::default() };
    // Fields 14 and 15 of proc(5); the name and what is before it are cut off.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |field: &str| Duration::from_millis(field.parse::<u64>().unwrap() * 10);
    Cpu { user: ticks(fields[11]), kernel: ticks(fields[12]) }
}

fn memory_kb_of(id: u32) -> u64 {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/status")) else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

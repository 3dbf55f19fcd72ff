//! What a server's process has used: read from `/proc`, its children included.

use std::process::Child;
use std::time::Duration;

/// A process that ends with its value.
pub struct Process(pub Child);

impl Process {
    fn ids(&self) -> Vec<u32> {
        let id = self.0.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        std::iter::once(id).chain(children.split_whitespace().map(|child| child.parse().unwrap())).collect()
    }

    /// User and system time so far, in clock ticks of 10 ms.
    pub fn cpu(&self) -> Duration {
        self.ids().into_iter().map(cpu_of).sum()
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

/// User and system time of this process: what the load itself costs.
pub fn own_cpu() -> Duration {
    cpu_of(std::process::id())
}

fn cpu_of(id: u32) -> Duration {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { return Duration::ZERO };
    // Fields 14 and 15 of proc(5); the name and what is before it are cut off.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn memory_kb_of(id: u32) -> u64 {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/status")) else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

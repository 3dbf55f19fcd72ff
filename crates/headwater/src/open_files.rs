//! Open files: each connection needs one, and systems grant few unless they are asked.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a thousand encoders with a thousand viewers need, with the store, functions and what is on its way in and out.
pub const OPEN_FILES_ENOUGH: u64 = 4_096;

/// Raises this process's limit as far as the system lets it; returns what holds now, `None` without a limit.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        return maximum;
    }
    current
}

/// What [`raise`] would give.
pub fn reachable() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// Raises the limit and says so if it stays low.
pub fn prepare() {
    match raise() {
        Some(limit) if limit < OPEN_FILES_ENOUGH => tracing::warn!(
            limit,
            "few files may be open at once, and each connection needs one; raise the hard limit (ulimit -Hn, LimitNOFILE in systemd)"
        ),
        limit => tracing::debug!(limit, "open files"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_hard_one_afterwards() {
        let most = reachable();
        assert_eq!(raise(), most);
        assert_eq!(getrlimit(Resource::Nofile).current, most);
    }
}

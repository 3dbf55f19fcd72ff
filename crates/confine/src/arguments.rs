//! A confinement as arguments, and back.

use super::{Confinement, User};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Ends the confinement's own arguments.
const END: &str = "--";

/// Arguments that are none of a confinement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// A name that is not known.
    #[error("{name:?} is no part of a confinement")]
    Unknown {
        /// What was given.
        name: OsString,
    },
    /// A value that is missing or of the wrong form.
    #[error("{name} has no usable value")]
    Value {
        /// Whose.
        name: String,
    },
    /// No program.
    #[error("no program is named")]
    NoProgram,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) confinement: Confinement,
    /// The process that it is to die with.
    pub(crate) parent: u32,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

impl Confinement {
    /// Its arguments, up to the program's.
    pub(crate) fn arguments(&self, parent: u32) -> Vec<OsString> {
        let mut out: Vec<OsString> = vec!["--parent".into(), parent.to_string().into()];
        let mut number = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                out.extend([name.into(), value.into()]);
            }
        };
        number("--user", self.user.map(|user| format!("{}:{}", user.uid, user.gid)));
        number("--memory-max", self.memory_max.map(|most| most.to_string()));
        number("--file-bytes-max", self.file_bytes_max.map(|most| most.to_string()));
        number("--open-files-max", self.open_files_max.map(|most| most.to_string()));
        number("--niceness", (self.niceness != 0).then(|| self.niceness.to_string()));
        for (name, paths) in [("--read", &self.read), ("--device", &self.devices)] {
            out.extend(paths.iter().flat_map(|path| [name.into(), path.clone().into_os_string()]));
        }
        out.push(END.into());
        out
    }
}

impl Task {
    /// Reads what [`Confinement::command`] wrote, after the subcommand.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Task, ArgumentError> {
        let mut rest = arguments.into_iter();
        let (mut confinement, mut parent) = (Confinement::default(), None);
        loop {
            let name = rest.next().ok_or(ArgumentError::NoProgram)?;
            let Some(known) = name.to_str() else { return Err(ArgumentError::Unknown { name }) };
            if known == END {
                break;
            }
            let value = rest.next();
            match known {
                "--parent" => parent = Some(number(known, value.as_deref())?),
                "--user" => confinement.user = Some(user(known, value.as_deref())?),
                "--memory-max" => confinement.memory_max = Some(number(known, value.as_deref())?),
                "--file-bytes-max" => confinement.file_bytes_max = Some(number(known, value.as_deref())?),
                "--open-files-max" => confinement.open_files_max = Some(number(known, value.as_deref())?),
                "--niceness" => confinement.niceness = number(known, value.as_deref())?,
                "--read" => confinement.read.push(path(known, value)?),
                "--device" => confinement.devices.push(path(known, value)?),
                _ => return Err(ArgumentError::Unknown { name }),
            }
        }
        let parent = parent.ok_or(ArgumentError::Value { name: "--parent".into() })?;
        let program = rest.next().map(PathBuf::from).ok_or(ArgumentError::NoProgram)?;
        Ok(Task { confinement, parent, program, arguments: rest.collect() })
    }
}

fn number<T: std::str::FromStr>(name: &str, value: Option<&OsStr>) -> Result<T, ArgumentError> {
    let text = value.and_then(OsStr::to_str);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| ArgumentError::Value { name: name.into() })
}

fn user(name: &str, value: Option<&OsStr>) -> Result<User, ArgumentError> {
    let parts = value.and_then(OsStr::to_str).and_then(|text| text.split_once(':'));
    let numbers = parts.and_then(|(uid, gid)| Some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? }));
    numbers.ok_or_else(|| ArgumentError::Value { name: name.into() })
}

fn path(name: &str, value: Option<OsString>) -> Result<PathBuf, ArgumentError> {
    value.map(PathBuf::from).ok_or_else(|| ArgumentError::Value { name: name.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let full = Confinement {
            devices: vec!["/dev/dri".into()],
            memory_max: Some(4 << 30),
            open_files_max: Some(64),
            niceness: 5,
            ..Confinement::of_a_program()
        };
        for confinement in [full, Confinement::default()] {
            let program = ["/usr/bin/ffmpeg", "--", "-i", "pipe:0"].map(OsString::from);
            let task = Task::read(confinement.arguments(7).into_iter().chain(program)).expect("it is well formed");
            assert_eq!(task.confinement, confinement);
            assert_eq!((task.parent, task.program.to_str()), (7, Some("/usr/bin/ffmpeg")));
            assert_eq!(task.arguments, ["--", "-i", "pipe:0"]);
        }
    }

    #[test]
    fn other_arguments_are_refused() {
        let read = |text: &str| Task::read(text.split(' ').map(OsString::from)).map_err(|error| error.to_string());
        assert_eq!(read("--root yes -- sh"), Err("\"--root\" is no part of a confinement".into()));
        assert_eq!(read("--parent 1 --user root -- sh"), Err("--user has no usable value".into()));
        assert_eq!(read("--parent 1 --"), Err("no program is named".into()));
        assert_eq!(read("-- sh"), Err("--parent has no usable value".into()));
    }
}

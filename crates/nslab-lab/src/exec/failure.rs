//! Why a program could not be run.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::Command;

use crate::error::Error;

/// Why a program could not be run in a node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The way into the node was refused.
    #[error(transparent)]
    Place(#[from] Error),
    /// The program cannot be executed.
    #[error("cannot run {program:?}: {problem}")]
    Program {
        /// As it was named.
        program: String,
        /// What is wrong, as a sentence's part.
        problem: String,
        /// What shells exit with then: 127 if there is no such program, 126 if it cannot be executed.
        exit_status: u8,
    },
}

impl Failure {
    /// What a shell would exit with; none if the program is not to blame.
    pub fn exit_status(&self) -> Option<u8> {
        match self {
            Self::Place(_) => None,
            Self::Program { exit_status, .. } => Some(*exit_status),
        }
    }

    pub(super) fn nothing_to_run() -> Self {
        Self::Program { program: String::new(), problem: "no program was named".to_owned(), exit_status: 127 }
    }

    pub(super) fn run(command: &Command, error: &io::Error) -> Self {
        let program = command.get_program();
        let path = Path::new(program);
        let is_path = program.as_encoded_bytes().contains(&b'/');
        let (problem, exit_status) = match error.kind() {
            // execvp(3) also says so if a directory of PATH may not be searched.
            ErrorKind::NotFound | ErrorKind::PermissionDenied if !is_path && !is_in_path(command) => {
                ("there is no such program in PATH".to_owned(), 127)
            }
            ErrorKind::NotFound if !is_path || path.exists() => {
                ("the interpreter that it asks for is not there".to_owned(), 127)
            }
            ErrorKind::NotFound => ("there is no such file".to_owned(), 127),
            ErrorKind::PermissionDenied if is_path && path.is_dir() => ("it is a directory".to_owned(), 126),
            ErrorKind::PermissionDenied => ("it may not be executed: permission denied".to_owned(), 126),
            _ => (error.to_string(), 126),
        };
        Self::Program { program: program.to_string_lossy().into_owned(), problem, exit_status }
    }
}

/// Whether `PATH` has a file of the program's name, executable or not.
fn is_in_path(command: &Command) -> bool {
    let given = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value);
    let path = given.map(OsStr::to_owned).or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(command.get_program()).is_file())
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Place(error) => error,
            Failure::Program { program, problem, .. } => {
                Self::Io { action: format!("run {program:?}"), source: io::Error::other(problem) }
            }
        }
    }
}

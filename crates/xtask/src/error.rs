//! What stops a task.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Why a task could not be done. That a test failed is no such error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line asks for what there is not.
    #[error("{0}")]
    Usage(String),
    /// This machine cannot do it.
    #[error("{0}")]
    Machine(String),
    /// A file.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// A program that is not there.
    #[error("{program} cannot be run: {source}\nInstall it: apt-get install {package}")]
    Missing { program: String, package: &'static str, source: std::io::Error },
    /// A program that failed.
    #[error("{command} failed ({status})\n{output}")]
    Failed { command: String, status: std::process::ExitStatus, output: String },
}

impl Error {
    /// The exit status, as `nslab` has them: 2 bad input, 3 this machine cannot, else 4.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Machine(_) | Self::Missing { .. } => 3,
            Self::File { .. } | Self::Failed { .. } => 4,
        }
    }

    /// For `map_err` of what was done with `path`.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), source }
    }
}

/// Runs a program of a Debian package to its end and gives what it printed.
pub(crate) fn output(command: &mut Command, package: &'static str) -> Result<Vec<u8>, Error> {
    let Output { status, stdout, stderr } = command.output().map_err(|source| Error::Missing {
        program: command.get_program().to_string_lossy().into_owned(),
        package,
        source,
    })?;
    if status.success() {
        return Ok(stdout);
    }
    let output = String::from_utf8_lossy(&stderr).trim_end().to_owned();
    Err(Error::Failed { command: format!("{command:?}"), status, output })
}

//! The program during which is captured.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use nslab_lab::exec::gate::{self, Waiting};
use rustix::process::{Pid, Signal, kill_process};

use crate::cli::context::own;
use crate::cli::error::{CliError, Kind};

/// Packets of a program may come a little after its end.
const AFTERMATH: Duration = Duration::from_millis(100);
/// A program that was told to end has so long.
const PATIENCE: Duration = Duration::from_secs(3);

/// `-- CMD`, or none.
pub(in crate::cli::commands) enum Program {
    None,
    /// It waits until all is ready.
    Waiting(Waiting),
    Running(Child),
    /// It ended then, with this.
    Ended(ExitStatus, Instant),
}

impl Program {
    /// Of these words, if there are any. What it prints goes to standard error if `aside`, as standard output is for packets.
    pub(in crate::cli::commands) fn prepare(words: &[OsString], aside: bool) -> Result<Self, CliError> {
        if words.is_empty() {
            return Ok(Self::None);
        }
        let mut command = own("__after", None)();
        if aside && let Ok(errors) = std::io::stderr().as_fd().try_clone_to_owned() {
            command.stdout(errors);
        }
        let waiting = Waiting::start(command, words)
            .map_err(|error| CliError::new(Kind::Machine, format!("cannot start a process: {error}")))?;
        Ok(Self::Waiting(waiting))
    }

    pub(in crate::cli::commands) fn begin(self) -> Result<Self, CliError> {
        match self {
            Self::Waiting(waiting) => Ok(Self::Running(waiting.begin().map_err(|error| {
                CliError::new(Kind::Machine, format!("the program was ended before it began: {error}"))
            })?)),
            other => Ok(other),
        }
    }

    pub(in crate::cli::commands) fn give_up(self) {
        if let Self::Waiting(waiting) = self {
            let _ = waiting.give_up();
        }
    }

    pub(in crate::cli::commands) fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether it has ended, and what it caused has passed.
    pub(in crate::cli::commands) fn is_over(&mut self) -> bool {
        if let Self::Running(child) = self
            && let Ok(Some(status)) = child.try_wait()
        {
            *self = Self::Ended(status, Instant::now());
        }
        matches!(self, Self::Ended(_, when) if when.elapsed() >= AFTERMATH)
    }

    /// Asks it to end. At a terminal it was asked already, with this process.
    pub(in crate::cli::commands) fn interrupt(&self) {
        if let Self::Running(child) = self {
            // It has not been waited for, so that the number is its own.
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
        }
    }

    /// Waits until it ends, or ends it; its exit status as shells have it.
    pub(in crate::cli::commands) fn end(self) -> Option<ExitCode> {
        let status = match self {
            Self::None | Self::Waiting(_) => return None,
            Self::Ended(status, _) => status,
            Self::Running(mut child) => {
                let limit = Instant::now() + PATIENCE;
                loop {
                    match child.try_wait() {
                        Ok(Some(status)) => break status,
                        Ok(None) if Instant::now() < limit => std::thread::sleep(Duration::from_millis(10)),
                        _ => {
                            let _ = child.kill();
                            break child.wait().unwrap_or_default();
                        }
                    }
                }
            }
        };
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        Some(ExitCode::from(u8::try_from(code.unwrap_or(1)).unwrap_or(1)))
    }
}

/// The process that waits until all is ready, and then becomes the program.
pub(in crate::cli::commands) fn after(descriptor: i32, command: &[OsString]) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else { return ExitCode::FAILURE };
    if !gate::pass(descriptor) {
        return ExitCode::FAILURE;
    }
    let error = Command::new(program).args(arguments).exec();
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    CliError::new(Kind::Machine, format!("cannot run {}: {error}", program.to_string_lossy())).report();
    // As shells have it.
    ExitCode::from(if missing { 127 } else { 126 })
}

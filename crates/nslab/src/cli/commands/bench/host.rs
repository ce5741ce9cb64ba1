//! Loopback where nslab runs. An ordinary user's process leaves that namespace for the labs and cannot come back, so that another
//! process stays there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use nslab_load::{Ends, Load, Sample, Timing, measure};
use serde::{Deserialize, Serialize};

use crate::cli::commands::DONE;
use crate::cli::error::{CliError, Kind};

/// What is asked of the process.
#[derive(Serialize, Deserialize)]
struct Job {
    load: Load,
    warm: f64,
    measured: f64,
}

/// What it answers.
#[derive(Serialize, Deserialize)]
enum Answer {
    Sample(Sample),
    Failed(String),
}

/// The process that stays.
pub(super) struct Host {
    child: Child,
    jobs: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Host {
    /// Starts it.
    pub(super) fn start() -> Result<Self, CliError> {
        let failed = |error: std::io::Error| {
            CliError::new(Kind::Machine, format!("cannot start another nslab: {error}"))
        };
        let mut command = Command::new("/proc/self/exe");
        command.arg("__load").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(jobs), Some(answers)) => {
                Ok(Self { child, jobs: Some(jobs), answers: BufReader::new(answers) })
            }
            _ => Err(failed(std::io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Lets it measure. None if it is gone, as after Ctrl-C, which it gets as well.
    pub(super) fn measure(&mut self, load: Load, timing: Timing) -> Result<Option<Sample>, CliError> {
        let Some(jobs) = &mut self.jobs else { return Ok(None) };
        let job = Job { load, warm: timing.warm.as_secs_f64(), measured: timing.measured.as_secs_f64() };
        let text = serde_json::to_string(&job).unwrap_or_default();
        let mut line = String::new();
        let spoken = writeln!(jobs, "{text}").and_then(|()| self.answers.read_line(&mut line));
        match spoken {
            Ok(1..) => match serde_json::from_str(&line) {
                Ok(Answer::Sample(sample)) => Ok(Some(sample)),
                Ok(Answer::Failed(why)) => Err(CliError::new(Kind::Machine, why)),
                Err(error) => {
                    Err(CliError::new(Kind::Machine, format!("an nslab answers nonsense: {error}")))
                }
            },
            _ => Ok(None),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It ends when nothing more can come.
        drop(self.jobs.take());
        let _ = self.child.wait();
    }
}

/// What the process does: a line is a job.
pub(in crate::cli::commands) fn serve() -> ExitCode {
    for line in std::io::stdin().lines() {
        let Some(job) = line.ok().and_then(|line| serde_json::from_str::<Job>(&line).ok()) else { break };
        let timing = Timing {
            warm: Duration::from_secs_f64(job.warm.clamp(0.0, 1e6)),
            measured: Duration::from_secs_f64(job.measured.clamp(0.0, 1e6)),
        };
        let ends = Ends { client: None, server: None, address: Ipv4Addr::LOCALHOST.into() };
        let answer = match measure(&ends, job.load, timing, &|| false) {
            Ok(Some(sample)) => Answer::Sample(sample),
            Ok(None) => break,
            Err(error) => Answer::Failed(error.to_string()),
        };
        let text = serde_json::to_string(&answer).unwrap_or_default();
        if writeln!(std::io::stdout(), "{text}").is_err() {
            break;
        }
    }
    DONE
}

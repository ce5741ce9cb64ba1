//! Programs that are measured.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};

use crate::error::{Doing, Error, Result};
use crate::sys;

/// Runs a program to its end. Its output is thrown away; its complaints are shown if it fails.
pub fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: &[S]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let text = format!("{command:?}");
    let output = command.stderr(Stdio::piped()).output().doing(|| format!("run {text}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(text, output.status, &output.stderr))
}

/// The error for a program that did not succeed.
pub fn failed(command: String, status: std::process::ExitStatus, stderr: &[u8]) -> Error {
    let stderr = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    let last = lines[lines.len().saturating_sub(5)..].join(" / ");
    Error::Program { command, status: status.to_string(), stderr: last }
}

/// A program at work that says on standard error how far it is. What it prints otherwise is thrown away.
#[derive(Debug)]
pub struct Talking {
    name: String,
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Talking {
    /// Starts it.
    pub fn start(mut command: Command) -> Result<Self> {
        let name = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().doing(|| format!("run {name}"))?;
        let stderr = child.stderr.take().ok_or_else(|| Error::Usage("no standard error".to_owned()))?;
        Ok(Self { name, child, stderr: BufReader::new(stderr) })
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has said so many more lines that have this in them. The error is of its end, if that comes before.
    pub fn says(&mut self, text: &str, mut times: usize) -> Result<()> {
        let mut said = String::new();
        while times > 0 {
            let begin = said.len();
            let more = self.stderr.read_line(&mut said).doing(|| format!("read what {} says", self.name))?;
            if more == 0 {
                let status = self.child.wait().doing(|| "wait".to_owned())?;
                return Err(failed(self.name.clone(), status, said.as_bytes()));
            }
            times -= usize::from(said[begin..].contains(text));
        }
        Ok(())
    }

    /// Interrupts it.
    pub fn interrupt(&self) {
        sys::interrupt(self.child.id());
    }

    /// Waits until it has ended; the rest of what it said.
    pub fn end(mut self) -> Result<String> {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).doing(|| format!("read what {} says", self.name))?;
        self.child.wait().doing(|| "wait".to_owned())?;
        Ok(said)
    }
}

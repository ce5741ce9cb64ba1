//! Programs that are measured.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use crate::error::{Doing, Error, Result};

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

//! Commands at work that say on standard error how far they are.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{ChildStderr, Command};

use rustix::process::Signal;

use super::Running;

/// One of them.
pub(crate) struct Talking {
    pub(crate) running: Running,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Talking {
    /// Starts it, and waits until it says this.
    pub(crate) fn start(command: Command, text: &str) -> Self {
        let mut running = Running::start(command);
        let stderr = BufReader::new(running.child.stderr.take().unwrap());
        let mut talking = Self { running, stderr, said: String::new() };
        talking.says(text);
        talking
    }

    /// Starts it, and waits until it is ready.
    pub(crate) fn ready(command: Command) -> Self {
        Self::start(command, "ready: ")
    }

    /// Waits until it has said this, if it has not.
    pub(crate) fn says(&mut self, text: &str) {
        while !self.said.contains(text) {
            let more = self.stderr.read_line(&mut self.said).unwrap();
            assert!(more > 0, "it ended: {}", self.said);
        }
    }

    /// What it has said, as far as somebody waited for it.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    pub(crate) fn send(&self, signal: Signal) {
        self.running.send(signal);
    }

    /// Waits for its end; its exit status and all that it said.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let code = self.running.end().code();
        assert!(!self.said.contains("panicked at"), "{}", self.said);
        (code, self.said)
    }
}

//! What the two sides of the virtual machine tell each other.
//!
//! The host gives a [`Job`] as a file; the guest answers on its one stream of text with what the programs print and, in
//! lines of their own, with [`Mark`]s.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What the guest is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Run one after the other.
    pub(crate) programs: Vec<Program>,
}

/// A program to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Program {
    /// What it is called in reports.
    pub(crate) label: String,
    /// What to execute: a path, or a name to find in `PATH`.
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Where to run it.
    pub(crate) directory: PathBuf,
    /// All of its environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Seconds after which it is killed.
    pub(crate) limit: u64,
}

/// What the guest says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mark {
    /// It has booted.
    Booted {
        /// `uname -r`
        release: String,
        /// Whether it runs on the processor itself, not in an emulation.
        kvm: bool,
    },
    /// The program with this number in the job begins.
    Begin(usize),
    /// A program ended.
    End {
        /// How.
        end: End,
        /// How long it took.
        milliseconds: u64,
        /// Programs that it left running (their names), which were killed.
        left: Vec<String>,
    },
    /// All is done.
    Done,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    /// By itself, with this exit status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// It was killed because it took too long.
    TooLong,
    /// It could not be started.
    NotStarted(String),
}

/// Begins the line of a mark; programs do not print it.
const SIGN: char = '\u{1e}';

impl Mark {
    /// The line, with its end.
    pub(crate) fn line(&self) -> String {
        let text = serde_json::to_string(self).expect("it has no maps with strange keys");
        format!("{SIGN}{text}\n")
    }

    /// Parts a line (without its end) into what a program printed and the mark that follows on it, if any.
    pub(crate) fn split(line: &str) -> (&str, Option<Self>) {
        match line.split_once(SIGN) {
            Some((before, text)) => match serde_json::from_str(text) {
                Ok(mark) => (before, Some(mark)),
                Err(_) => (line, None),
            },
            None => (line, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Mark};

    #[test]
    fn marks_are_found_even_behind_a_line_without_an_end() {
        let mark = Mark::End { end: End::Exit(101), milliseconds: 12, left: vec!["sleep".into()] };
        let line = mark.line();
        let line = line.trim_end();
        assert_eq!(Mark::split(line), ("", Some(mark.clone())));
        assert_eq!(Mark::split(&format!("half{line}")), ("half", Some(mark)));
        assert_eq!(Mark::split("test a ... ok"), ("test a ... ok", None));
    }
}

//! What is said between a keeper and its clients: one JSON value a line, one reply to each request, in order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ProgramStatus;

/// What a client asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub(super) enum Request {
    /// Start a program; answered when it has been executed ([`Reply::Started`]).
    Start(Box<Start>),
    /// Say what became of the programs ([`Reply::Status`]).
    Status,
    /// Stop a program with all that it left behind; answered when nothing is left ([`Reply::Done`]).
    Stop { node: String, name: String, grace: Duration },
    /// Stop all of them.
    StopAll { grace: Duration },
    /// Wait until none of these runs ([`Reply::Done`]).
    Wait { programs: Vec<(String, String)> },
    /// Stop all of them and end.
    End { grace: Duration },
}

/// A program to start.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) node: String,
    pub(super) name: String,
    /// As in the lab file: one string is for the shell, several are a program and its arguments.
    pub(super) command: Vec<String>,
    /// The program's own environment.
    pub(super) env: BTreeMap<String, String>,
    /// The environment of who asks.
    pub(super) inherited: BTreeMap<String, String>,
    pub(super) directory: PathBuf,
    /// The directory was not asked for: where the node does not see it, the root will do.
    pub(super) directory_is_optional: bool,
    /// Who it runs as, if not as the node says.
    pub(super) user: Option<String>,
}

/// What a keeper answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reply")]
pub(super) enum Reply {
    Started { pid: u32 },
    Status { programs: Vec<ProgramStatus> },
    Done,
    Failed { problem: String },
}

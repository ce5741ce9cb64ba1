//! The programs that a lab runs in its nodes, and the one small process that keeps them.
//!
//! ```text
//! nslab up ──▶ Keeper (client) ── keeper.sock, one JSON value a line ──▶ keeper process ──▶ programs
//! nslab down ─▶                                                           │ reaps, logs, stops
//! ```
//! A lab that runs programs has a keeper: their parent, and the subreaper of all that they leave behind, so that no
//! process escapes by forking twice. It starts nothing by itself and restarts nothing. If it is killed, its programs
//! go on without it; they are found by the namespace that they are in.

mod client;
mod follow;
mod keeper;
mod logs;
mod message;
mod ready;
pub(crate) mod socket;

use std::time::{Duration, SystemTime};

pub use client::Keeper;
pub(crate) use client::is_gone;
pub use follow::{Chunk, Follow};
pub use keeper::keeper_main;
pub use logs::{Log, logs};
use serde::{Deserialize, Serialize};

use crate::exec::signals;

/// How long a program that was asked to end (`SIGTERM`) may take before it is made to (`SIGKILL`).
pub const GRACE: Duration = Duration::from_secs(3);

/// What became of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    /// It runs.
    Running,
    /// It ended by itself.
    Exited {
        /// Its exit status.
        code: i32,
    },
    /// A signal ended it.
    Killed {
        /// The signal's number.
        signal: i32,
    },
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Running => f.write_str("running"),
            Self::Exited { code } => write!(f, "exited with status {code}"),
            Self::Killed { signal } => write!(f, "was killed by {}", signals::name(*signal)),
        }
    }
}

/// A program that was started, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramStatus {
    /// Its node.
    pub node: String,
    /// Its name in the node.
    pub name: String,
    /// What was run.
    pub command: Vec<String>,
    /// What became of it.
    #[serde(flatten)]
    pub state: State,
    /// Its process, which is gone unless it runs.
    pub pid: u32,
    /// Processes that it left behind when it ended, and that still run: a daemon.
    pub left_behind: usize,
    /// When it was started.
    pub started: SystemTime,
    /// When it ended.
    pub ended: Option<SystemTime>,
}

impl ProgramStatus {
    /// Whether any process of it runs.
    pub fn is_alive(&self) -> bool {
        self.state == State::Running || self.left_behind > 0
    }
}

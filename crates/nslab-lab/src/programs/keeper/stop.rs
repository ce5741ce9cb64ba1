//! Stopping: ask, wait, make them.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::table::Table;
use super::tree::{Process, Processes};

/// What is to be stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// One program, by node and name.
    Program((String, String)),
    /// Everything below the keeper.
    All,
}

/// A stop on its way.
#[derive(Debug)]
pub(super) struct Stop {
    scope: Scope,
    deadline: Instant,
    killing: bool,
}

/// While processes are being killed they may make new ones behind one's back, so one looks again that soon.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

impl Stop {
    /// Asks all that are concerned to end, those of the last started program first.
    pub(super) fn begin(table: &Table, scope: Scope, grace: Duration) -> Self {
        let now = Instant::now();
        let deadline = now.checked_add(grace).unwrap_or(now + Duration::from_secs(3600));
        let stop = Self { scope, deadline, killing: grace.is_zero() };
        if !stop.killing {
            for process in stop.processes(table) {
                process.signal(Signal::TERM);
                // One that is stopped would not get to know.
                process.signal(Signal::CONT);
            }
        }
        stop
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// When to look even if no child ends.
    pub(super) fn next_look(&self) -> Instant {
        if self.killing { Instant::now() + LOOK_AGAIN } else { self.deadline }
    }

    /// Looks whether any of them is left, and kills them when their time is up.
    pub(super) fn pursue(&mut self, table: &Table) -> bool {
        self.killing |= Instant::now() >= self.deadline;
        if self.scope == Scope::All && !self.killing {
            return has_children();
        }
        let left = self.processes(table);
        if self.killing {
            for process in &left {
                process.signal(Signal::KILL);
            }
        }
        // Zombies are no longer counted among the living, but they are not reaped either.
        !left.is_empty() || self.scope == Scope::All && has_children()
    }

    fn processes(&self, table: &Table) -> Vec<Process> {
        let all = Processes::read();
        match &self.scope {
            Scope::Program(program) => table.processes_of(program, &all),
            Scope::All => {
                let mut processes: Vec<_> = all.below_this_process(|child| (child.pid, child.session));
                let order: std::collections::HashMap<_, _> =
                    table.latest_first().enumerate().map(|(place, entry)| (entry.pid, place)).collect();
                let place = |(pid, session)| order.get(&pid).or_else(|| order.get(&session)).copied();
                processes.sort_by_key(|(_, top)| place(*top).unwrap_or(usize::MAX));
                processes.into_iter().map(|(process, _)| process).collect()
            }
        }
    }
}

/// Whether this process has children, dead ones too. A subreaper without children has no descendants.
fn has_children() -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, look), Err(rustix::io::Errno::CHILD))
}

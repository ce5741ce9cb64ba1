//! Stopping: ask, wait, make them.

use std::collections::HashMap;
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
    /// The end of some of them is not told to the keeper: their parent is the first process of their node.
    untold: bool,
    /// Those that were found at the last look. A process that is about to end has lost what tells whose it is.
    known: Vec<Process>,
}

/// While processes are being killed they may make new ones behind one's back, so one looks again that soon.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How soon to look where an end is not told.
const LOOK_PATIENTLY: Duration = Duration::from_millis(20);

impl Stop {
    /// Asks all that are concerned to end, those of the last started program first.
    pub(super) fn begin(table: &Table, scope: Scope, grace: Duration) -> Self {
        let now = Instant::now();
        let deadline = now.checked_add(grace).unwrap_or(now + Duration::from_secs(3600));
        let mut stop = Self {
            scope,
            deadline,
            killing: grace.is_zero(),
            untold: !table.inits().is_empty(),
            known: Vec::new(),
        };
        if !stop.killing {
            stop.look(table);
            for process in &stop.known {
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
        match (self.killing, self.untold) {
            (true, _) => Instant::now() + LOOK_AGAIN,
            (false, true) => self.deadline.min(Instant::now() + LOOK_PATIENTLY),
            (false, false) => self.deadline,
        }
    }

    /// Looks whether any of them is left, and kills them when their time is up.
    pub(super) fn pursue(&mut self, table: &Table) -> bool {
        self.killing |= Instant::now() >= self.deadline;
        if self.scope == Scope::All && !self.killing && !self.untold {
            return has_children();
        }
        self.look(table);
        if self.killing {
            for process in &self.known {
                process.signal(Signal::KILL);
            }
        }
        // Zombies are no longer counted among the living, but they are not reaped either.
        !self.known.is_empty() || self.scope == Scope::All && has_children()
    }

    /// Finds those that are concerned and alive.
    fn look(&mut self, table: &Table) {
        let all = Processes::read();
        let mut found = match &self.scope {
            Scope::Program(program) => table.processes_of(program, &all),
            Scope::All => latest_first(table, &all),
        };
        for process in self.known.drain(..) {
            if all.still_has(&process) && !found.iter().any(|other| other.is_same(&process)) {
                found.push(process);
            }
        }
        self.known = found;
    }
}

/// All processes below the keeper, those of the last started program first, and those of none last.
fn latest_first(table: &Table, all: &Processes) -> Vec<Process> {
    let order: HashMap<_, _> =
        table.latest_first().enumerate().map(|(place, entry)| (entry.pid, place)).collect();
    let place = |(pid, session): (_, Option<_>)| order.get(&pid).or_else(|| order.get(&session?)).copied();
    let mut processes = all.below_this_process(table.inits(), |child| (child.pid, child.session));
    processes.sort_by_key(|(_, top)| place(*top).unwrap_or(usize::MAX));
    processes.into_iter().map(|(process, _)| process).collect()
}

/// Whether this process has children, dead ones too. A subreaper without children has no descendants.
fn has_children() -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, look), Err(rustix::io::Errno::CHILD))
}

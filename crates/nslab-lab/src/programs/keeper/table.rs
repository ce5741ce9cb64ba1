//! The programs that were started, in that order.

use std::collections::HashMap;
use std::time::SystemTime;

use rustix::process::Pid;

use super::start;
use super::stop::Scope;
use super::tree::{Process, Processes};
use super::view::View;
use crate::exec::lab_name;
use crate::paths::LabPaths;
use crate::programs::message::Start;
use crate::programs::{ProgramStatus, State};

/// The environment variable by which a program's processes are known after they left its process tree.
pub(super) const MARK: &str = "NSLAB_PROGRAM";

#[derive(Debug)]
pub(super) struct Table {
    lab: String,
    entries: Vec<Entry>,
    /// How many were started, so that each mark is given once.
    count: u64,
    /// The first processes of nodes with processes of their own: what is left behind there becomes theirs.
    inits: Vec<Process>,
}

/// One program.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) status: ProgramStatus,
    pub(super) pid: Pid,
    /// The value of [`MARK`] in its environment.
    pub(super) mark: String,
}

impl Entry {
    fn is(&self, (node, name): &(String, String)) -> bool {
        self.status.node == *node && self.status.name == *name
    }

    fn runs(&self) -> bool {
        self.status.state == State::Running
    }
}

impl Table {
    pub(super) fn new(paths: &LabPaths) -> Self {
        Self { lab: lab_name(paths), entries: Vec::new(), count: 0, inits: Vec::new() }
    }

    /// Starts a program in the place of one of the same name, which must have ended.
    pub(super) fn start(&mut self, view: &View, request: Start) -> Result<u32, String> {
        let program = (request.node.clone(), request.name.clone());
        if self.runs(&program) {
            return Err("it runs already".to_owned());
        }
        self.count += 1;
        let mark = format!("{}/{}/{}#{}.{}", self.lab, program.0, program.1, std::process::id(), self.count);
        let start::Started { pid, init } = start::start(view, &request, &mark)?;
        if let Some(init) = init.and_then(Process::read) {
            self.inits.retain(|known| known.pid != init.pid);
            self.inits.push(init);
        }
        let id = pid.as_raw_nonzero().get().cast_unsigned();
        self.entries.retain(|entry| !entry.is(&program));
        self.entries.push(Entry {
            status: ProgramStatus {
                node: request.node,
                name: request.name,
                command: request.command,
                state: State::Running,
                pid: id,
                left_behind: 0,
                started: SystemTime::now(),
                ended: None,
            },
            pid,
            mark,
        });
        Ok(id)
    }

    /// Takes note that a child has ended. One that is no program was left behind by one.
    pub(super) fn ended(&mut self, pid: Pid, state: State) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.pid == pid && entry.runs()) {
            entry.status.state = state;
            entry.status.ended = Some(SystemTime::now());
        }
    }

    pub(super) fn find(&self, program: &(String, String)) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is(program))
    }

    pub(super) fn runs(&self, program: &(String, String)) -> bool {
        self.find(program).is_some_and(Entry::runs)
    }

    /// The programs, the last started first.
    pub(super) fn latest_first(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }

    /// What became of each.
    pub(super) fn status(&self) -> Vec<ProgramStatus> {
        let mut left = HashMap::new();
        if self.entries.iter().any(|entry| !entry.runs()) {
            for (_, owner) in self.attribute(&Processes::read()) {
                *left.entry(owner).or_insert(0) += 1;
            }
        }
        self.entries
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                let mut status = entry.status.clone();
                if !entry.runs() {
                    status.left_behind = left.get(&Some(index)).copied().unwrap_or(0);
                }
                status
            })
            .collect()
    }

    /// The processes of one program.
    pub(super) fn processes_of(&self, program: &(String, String), all: &Processes) -> Vec<Process> {
        let Some(wanted) = self.position(|entry| entry.is(program)) else { return Vec::new() };
        let is_its = |(process, owner): (Process, Option<usize>)| (owner == Some(wanted)).then_some(process);
        self.attribute(all).into_iter().filter_map(is_its).collect()
    }

    /// The first processes of nodes with processes of their own, dead ones too.
    pub(super) fn inits(&self) -> &[Process] {
        &self.inits
    }

    /// All processes below the keeper, and below the first processes of nodes, each with the place of the program that it belongs to: the one that it descends
    /// from; of what was left behind, the one whose mark it bears; else the one whose session it is in.
    fn attribute(&self, all: &Processes) -> Vec<(Process, Option<usize>)> {
        let mut owners = HashMap::new();
        all.below_this_process(&self.inits, |child| {
            *owners.entry(child.pid).or_insert_with(|| {
                self.position(|entry| entry.runs() && entry.pid == child.pid)
                    .or_else(|| {
                        let mark = child.variable(MARK)?;
                        self.position(|entry| entry.mark == mark)
                    })
                    .or_else(|| self.position(|entry| Some(entry.pid) == child.session))
            })
        })
    }

    fn position(&self, is_it: impl Fn(&Entry) -> bool) -> Option<usize> {
        self.entries.iter().position(is_it)
    }

    /// Forgets what was stopped.
    pub(super) fn forget(&mut self, scope: &Scope) {
        match scope {
            Scope::All => self.entries.clear(),
            Scope::Program(program) => self.entries.retain(|entry| !entry.is(program)),
        }
    }
}

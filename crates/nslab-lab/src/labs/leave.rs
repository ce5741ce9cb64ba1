//! Taking out of foreign namespaces what a lab has put there, when the lab goes.

use std::process::Command;

use nslab_kernel::netlink::{Protocol, Socket};
use nslab_topology::model::Program;

use crate::actual::{Actual, pinned};
use crate::apply::{self, Observer, Runner, Site};
use crate::desired::Desired;
use crate::diff;
use crate::error::{Refusal, Result};
use crate::interrupt::Interrupt;
use crate::joined::Ledger;
use crate::journal::Journal;
use crate::keys::Keys;
use crate::paths::LabPaths;
use crate::plan::{Plan, namespace_mark};

/// Takes out all that the ledger tells of, and lets go of the namespaces. Returns what could not be taken out.
pub(super) fn all(paths: &LabPaths, ledger: &Ledger, observer: &Observer<'_>) -> Result<Vec<Refusal>> {
    if ledger.nodes().next().is_none() {
        return Ok(Vec::new());
    }
    let desired = Desired::nothing(paths.name());
    let mut open = Vec::new();
    let actual = Actual::read_joined(paths, ledger, &desired, &mut open)?;
    let plan = diff::plan(&desired, &actual, &[]);
    let mut site = Site {
        keys: Keys::default(),
        paths,
        open,
        runner: &mut Nobody,
        observer,
        interrupt: Interrupt::default(),
        one_by_one: false,
    };
    let mut journal = Journal::begin(&paths.journal())?;
    let mut left = Vec::new();
    // Each stage is tried, whatever became of the one before it: what can be taken out is.
    for stage in &plan.stages {
        let part = Plan { stages: vec![stage.clone()], ..plan.clone() };
        if let Err(failure) = apply::apply(&part, &mut site, &mut journal) {
            left.extend(failure.refusals);
            left.extend(failure.error.map(|error| Refusal::new("leave a namespace", error.to_string())));
        }
    }
    Ok(left)
}

/// Whether a pinned namespace is the lab's own, by its mark; for when nothing else tells.
pub(super) fn is_own(paths: &LabPaths, node: &str) -> bool {
    let Ok(Some(space)) = pinned(&paths.pin(node)) else { return false };
    let alias = space.run(|| {
        let mut socket = Socket::open(Protocol::Route).ok()?;
        nslab_kernel::link::find(&mut socket, 1).ok()?.alias
    });
    alias.ok().flatten().is_some_and(|alias| alias == namespace_mark(paths.name(), node))
}

/// Nothing of this has to do with programs: they have ended before.
struct Nobody;

impl Runner for Nobody {
    fn start(&mut self, _: &str, _: &Program, _: Interrupt) -> Result<()> {
        Ok(())
    }

    fn stop(&mut self, _: &str, _: &Program) -> Result<()> {
        Ok(())
    }

    fn init(&self) -> Command {
        Command::new("/bin/false")
    }
}

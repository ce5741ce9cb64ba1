//! Programs of a lab, run by its keeper.

use std::path::Path;
use std::process::Command;

use nslab_topology::model::Program;

use crate::apply::Runner;
use crate::diff::RunningProgram;
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::labs::{Helper, Launcher};
use crate::paths::LabPaths;
use crate::programs::{GRACE, Keeper, ProgramStatus, State as ProgramState, is_gone};
use crate::rootless::Outside;
use crate::state::State;
use crate::uplink::{self, UserWay};

/// Starts and stops programs through the lab's keeper, which it starts when the first program needs it.
pub struct KeeperRunner<'a> {
    paths: &'a LabPaths,
    launcher: &'a Launcher<'a>,
    directory: &'a Path,
    outside: Option<&'a Outside>,
    keeper: Option<Keeper>,
}

impl<'a> KeeperRunner<'a> {
    /// A runner for the lab at `paths`; `directory` is where programs run unless told otherwise.
    pub fn new(paths: &'a LabPaths, launcher: &'a Launcher<'a>, directory: &'a Path) -> Self {
        Self { paths, launcher, directory, outside: None, keeper: None }
    }

    /// With a helper in the host's network.
    #[must_use]
    pub fn with_outside(self, outside: Option<&'a Outside>) -> Self {
        Self { outside, ..self }
    }

    fn keeper(&mut self) -> Result<&mut Keeper> {
        let keeper = match self.keeper.take() {
            Some(keeper) => keeper,
            None => Keeper::launch(self.paths, &|| (self.launcher)(Helper::Keeper(self.paths.name())))?,
        };
        Ok(self.keeper.insert(keeper))
    }
}

impl Runner for KeeperRunner<'_> {
    fn start(&mut self, node: &str, program: &Program, interrupt: Interrupt) -> Result<()> {
        let directory = self.directory;
        let keeper = self.keeper()?;
        // What an earlier run of it left behind would be in its way.
        if keeper.status()?.iter().any(|one| one.node == node && one.name == program.name && one.is_alive()) {
            keeper.stop(node, &program.name, GRACE)?;
        }
        keeper.start(node, program, directory)?;
        let ready = keeper.wait_ready_until(node, program, directory, interrupt);
        if ready.is_err() {
            // It does not count as started, so nobody else will stop it.
            let _ = keeper.stop(node, &program.name, GRACE);
        }
        ready
    }

    fn stop(&mut self, node: &str, program: &Program) -> Result<()> {
        self.keeper()?.stop(node, &program.name, GRACE)
    }

    fn init(&self) -> Command {
        (self.launcher)(Helper::Init)
    }

    fn start_way(&mut self, node: &str, way: &UserWay) -> Result<()> {
        way.start(self.paths, node, self.outside)
    }

    fn stop_way(&mut self, node: &str) -> Result<()> {
        uplink::stop_way(self.paths, node)
    }
}

/// What became of the lab's programs.
pub fn status(paths: &LabPaths) -> Result<Vec<ProgramStatus>> {
    Keeper::connect(paths)?.map_or_else(|| Ok(Vec::new()), |mut keeper| unless_killed(paths, keeper.status()))
}

/// The lab's programs that need not be started: they run, or they came to a good end by themselves.
pub fn running(paths: &LabPaths) -> Result<Vec<RunningProgram>> {
    let programs = status(paths)?;
    if programs.is_empty() {
        return Ok(Vec::new());
    }
    let state = State::read(paths)?;
    let nodes = state.iter().flat_map(|state| &state.topology.nodes);
    let known: std::collections::HashMap<(&str, &str), &Program> = nodes
        .flat_map(|node| node.programs.iter().map(|program| ((&node.name[..], &program.name[..]), program)))
        .collect();
    Ok(programs
        .iter()
        .filter(|one| matches!(one.state, ProgramState::Running | ProgramState::Exited { code: 0 }))
        .map(|one| RunningProgram {
            node: one.node.clone(),
            // One that no state tells of was started by a change that was interrupted: it is nobody's.
            program: known
                .get(&(&one.node[..], &one.name[..]))
                .map_or_else(|| unknown(one), |&known| known.clone()),
        })
        .collect())
}

fn unknown(status: &ProgramStatus) -> Program {
    Program {
        name: status.name.clone(),
        command: status.command.clone(),
        env: std::collections::BTreeMap::new(),
        directory: None,
        ready: None,
        timeout: std::time::Duration::ZERO,
        user: None,
    }
}

/// Ends the lab's programs, last started first, and their keeper.
pub fn end(paths: &LabPaths) -> Result<()> {
    Keeper::connect(paths)?.map_or(Ok(()), |keeper| unless_killed(paths, keeper.end(GRACE)))
}

/// A keeper that is just being killed takes connections and gives no answers; it is as good as none.
fn unless_killed<T: Default>(paths: &LabPaths, answer: Result<T>) -> Result<T> {
    match answer {
        Err(error) if is_gone(&error) && Keeper::connect(paths)?.is_none() => Ok(T::default()),
        answer => answer,
    }
}

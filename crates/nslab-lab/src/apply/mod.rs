//! Carrying out a plan.

mod bonds;
mod create;
mod other;
mod ready;
mod request;
mod settle;

use std::process::Command;

use nslab_topology::model::Program;

use crate::error::{Error, Refusal, Result};
use crate::interrupt::Interrupt;
use crate::journal::Journal;
use crate::keys::Keys;
use crate::paths::LabPaths;
use crate::pins;
use crate::plan::{Op, Plan, Stage, StageKind, Step};
use crate::session::Open;
use crate::uplink::UserWay;
use crate::view;

/// What happens while a plan is carried out; told from several threads.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A stage begins.
    Stage {
        /// Which.
        kind: StageKind,
        /// How many steps it has.
        steps: usize,
    },
    /// So many further steps are done.
    Steps(usize),
    /// Taking back begins.
    Undo,
    /// A program is started, or stopped, next.
    Program {
        /// Its node.
        node: &'a str,
        /// Its name.
        program: &'a str,
    },
}

/// Who is told.
pub type Observer<'a> = dyn Fn(Event<'_>) + Sync + 'a;

/// Who starts and stops programs.
pub trait Runner {
    /// Starts a program and waits until it is ready, or until it is interrupted. On an error nothing of it runs.
    fn start(&mut self, node: &str, program: &Program, interrupt: Interrupt) -> Result<()>;
    /// Ends a program and all that it started.
    fn stop(&mut self, node: &str, program: &Program) -> Result<()>;
    /// Has a program of the user's carry a way out.
    fn start_way(&mut self, _node: &str, _way: &UserWay) -> Result<()> {
        Ok(())
    }
    /// Ends it.
    fn stop_way(&mut self, _node: &str) -> Result<()> {
        Ok(())
    }
    /// The command that ends up in [`init_main`](crate::view::init_main).
    fn init(&self) -> Command;
}

/// Everything that a plan is carried out with.
pub struct Site<'a> {
    /// Where the lab is kept.
    pub paths: &'a LabPaths,
    /// The keys of the lab's `WireGuard` interfaces.
    pub keys: Keys,
    /// The namespaces, by their places in the plan.
    pub open: Vec<Option<Open>>,
    /// Who runs programs.
    pub runner: &'a mut dyn Runner,
    /// Who is told.
    pub observer: &'a Observer<'a>,
    /// Looked at before each stage: what makes it fail.
    pub interrupt: Interrupt,
    /// Send each step on its own instead of many together; for tests that stop in between.
    pub one_by_one: bool,
}

/// Why a plan was not carried out to its end.
#[derive(Debug)]
pub struct Failure {
    /// The steps that were refused.
    pub refusals: Vec<Refusal>,
    /// What a step failed with that is not a refusal of the kernel, if that is why.
    pub error: Option<Error>,
    /// The steps that were done, by stage.
    pub done: Vec<Vec<bool>>,
}

/// What became of one step of a stage, by its place.
type Outcome = (usize, std::result::Result<(), Refusal>);

/// Carries out `plan`, stage by stage; stops after the first stage in which a step was refused, and
/// before the next one when it is interrupted.
pub fn apply(plan: &Plan, site: &mut Site<'_>, journal: &mut Journal) -> Result<(), Box<Failure>> {
    let mut done: Vec<Vec<bool>> = plan.stages.iter().map(|stage| vec![false; stage.steps.len()]).collect();
    site.open.resize_with(plan.namespaces.len(), || None);
    if let Err(error) = journal.plan(plan) {
        return Err(Box::new(Failure { refusals: Vec::new(), error: Some(error), done }));
    }
    let mut is_ready = false;
    for (number, stage) in plan.stages.iter().enumerate() {
        if stage.kind >= StageKind::StartPrograms && !std::mem::replace(&mut is_ready, true) {
            ready::wait(plan, site);
        }
        if site.interrupt.has_come() {
            let error = Some(Error::Interrupted { left: Vec::new() });
            return Err(Box::new(Failure { refusals: Vec::new(), error, done }));
        }
        (site.observer)(Event::Stage { kind: stage.kind, steps: stage.steps.len() });
        let (outcomes, error) = carry_out(plan, stage, site);
        for (place, outcome) in &outcomes {
            done[number][*place] |= outcome.is_ok();
        }
        let refusals: Vec<Refusal> = outcomes.into_iter().filter_map(|(_, outcome)| outcome.err()).collect();
        if error.is_some() || !refusals.is_empty() {
            return Err(Box::new(Failure { refusals, error, done }));
        }
    }
    if !is_ready {
        ready::wait(plan, site);
    }
    Ok(())
}

/// One stage: namespaces come first and go last; in between, what is in them is worked on side by side.
fn carry_out(plan: &Plan, stage: &Stage, site: &mut Site<'_>) -> (Vec<Outcome>, Option<Error>) {
    let mut outcomes = Vec::new();
    // Pinned before anything is done in them, so that it can be found and undone.
    for (place, step) in stage.steps.iter().enumerate() {
        if matches!(step.op, Op::JoinNamespace { .. }) {
            outcomes.push((place, join_namespace(plan, step, site)));
            (site.observer)(Event::Steps(1));
        }
    }
    outcomes.extend(create::namespaces(plan, stage, site));
    if outcomes.iter().all(|(_, outcome)| outcome.is_ok()) {
        outcomes.extend(settle::settings(plan, stage, site));
    }
    if outcomes.iter().any(|(_, outcome)| outcome.is_err()) {
        return (outcomes, None);
    }
    for (place, step) in stage.steps.iter().enumerate() {
        let node = &plan.namespaces[step.namespace].node;
        let result = match &step.op {
            Op::StartProgram(program) => {
                (site.observer)(Event::Program { node, program: &program.name });
                site.runner.start(node, program, site.interrupt)
            }
            Op::StopProgram(program) => {
                (site.observer)(Event::Program { node, program: &program.name });
                site.runner.stop(node, program)
            }
            Op::CreateView(view) => create_view(plan, step.namespace, view, site),
            Op::DeleteView(_) => view::remove(site.paths, node),
            Op::WriteFile { file, .. } => view::write(site.paths, node, file),
            Op::StartWay(way) => site.runner.start_way(node, way),
            Op::StopWay(_) => site.runner.stop_way(node),
            Op::RenameNamespace { from, to } => pins::rename(site.paths, node, from, to),
            Op::DeleteNamespace => remove_namespace(plan, step.namespace, site),
            // It stays open, so that it can be joined again if what follows is refused.
            Op::LeaveNamespace { .. } => pins::unpin(site.paths, node, ""),
            _ => continue,
        };
        if let Err(error) = result {
            return (outcomes, Some(error));
        }
        outcomes.push((place, Ok(())));
        (site.observer)(Event::Steps(1));
    }
    (outcomes, None)
}

fn join_namespace(plan: &Plan, step: &Step, site: &Site<'_>) -> std::result::Result<(), Refusal> {
    let node = &plan.namespaces[step.namespace].node;
    let refused = |reason: String| Refusal::new(plan.describe(step), reason);
    match &site.open[step.namespace] {
        Some(open) => {
            pins::hold(site.paths, node, &open.namespace).map_err(|error| refused(error.to_string()))
        }
        None => Err(refused("it is gone".to_owned())),
    }
}

fn create_view(
    plan: &Plan,
    place: usize,
    wanted: &nslab_topology::model::View,
    site: &Site<'_>,
) -> Result<()> {
    let node = &plan.namespaces[place].node;
    let init = (!wanted.processes.is_hosts()).then(|| site.runner.init());
    match &site.open[place] {
        Some(open) => view::create(site.paths, node, &open.namespace, wanted, init),
        None => Err(Error::Io {
            action: format!("make the files of {node}"),
            source: std::io::Error::other("its namespace is gone"),
        }),
    }
}

fn remove_namespace(plan: &Plan, place: usize, site: &mut Site<'_>) -> Result<()> {
    let reference = &plan.namespaces[place];
    if let Some(open) = site.open[place].take() {
        let first = view::first_process(site.paths, &reference.node)?;
        crate::processes::end_in(std::slice::from_ref(&open.namespace), first.as_slice())?;
    }
    view::remove(site.paths, &reference.node)?;
    pins::unpin(site.paths, &reference.node, &reference.name)
}

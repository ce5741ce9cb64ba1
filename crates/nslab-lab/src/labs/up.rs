//! Building a lab, and bringing a running one to what it shall be.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nslab_kernel::NamespaceId;
use nslab_topology::Topology;
use nslab_topology::model::Device;

use super::{Labs, machine, tune};
use crate::actual::Actual;
use crate::apply::{self, Event, Failure, Site};
use crate::desired::{Desired, DesiredNamespace, NewNamespaces};
use crate::diff;
use crate::error::{Error, Refusal, Result};
use crate::exec::limits;
use crate::interrupt::Interrupt;
use crate::joined::Ledger;
use crate::journal::{Journal, Past};
use crate::keys::Keys;
use crate::lock::Lock;
use crate::netfilter;
use crate::paths::LabPaths;
use crate::pins;
use crate::plan::{Op, Plan, Role};
use crate::runner::KeeperRunner;
use crate::session::Open;
use crate::shaping;
use crate::state::State;
use crate::support;
use crate::uplink;

/// After a change the kernel is looked at again, at most this often, until nothing is left to do: deleting an address,
/// say, takes routes with it that are wanted.
const ROUNDS: usize = 4;

/// What a lab shall be.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What was written.
    pub lab: nslab_topology::Lab,
    /// What it means; files that are copies have been read ([`read_copies`](crate::view::read_copies)).
    pub topology: Topology,
    /// The lab file, as an absolute path, if it came from one.
    pub file: Option<PathBuf>,
    /// The directory that programs run in unless told otherwise.
    pub directory: PathBuf,
}

/// What `up` did.
#[derive(Debug)]
pub struct Built {
    /// It did not exist before.
    pub new: bool,
    /// The first plan that was carried out; empty if there was nothing to do.
    pub plan: Plan,
    /// Steps in all.
    pub steps: usize,
    /// How long it took.
    pub time: Duration,
}

impl Labs<'_> {
    /// The plan that [`Labs::up`] would carry out now. Changes nothing.
    pub fn plan(&self, wanted: &Wanted) -> Result<Plan> {
        let paths = self.lab(&wanted.topology.name);
        let mut desired =
            desired(&paths, &wanted.topology, Some(&wanted.lab), State::read(&paths)?.as_ref())?;
        desired.keys = Keys::read(&paths)?;
        limits::raise();
        let plan = Look::at(&paths, &desired, true)?.plan;
        machine::check(&plan, &wanted.topology)?;
        support::check(&plan)?;
        netfilter::check(plan.tables())?;
        Ok(plan)
    }

    /// The changes that [`Labs::up`] would make to the network of a running lab, and none to its programs, nor to the
    /// files that they see: one that has ended is not started again. With a node that goes its programs end.
    pub fn tune(&self, wanted: &Wanted) -> Result<Built> {
        self.bring(wanted, false)
    }

    /// Builds the lab, or makes the changes that bring a running one to what is wanted. All or nothing: when a step is
    /// refused, those before it are taken back.
    pub fn up(&self, wanted: &Wanted) -> Result<Built> {
        self.bring(wanted, true)
    }

    fn bring(&self, wanted: &Wanted, programs: bool) -> Result<Built> {
        let began = Instant::now();
        let paths = self.lab(&wanted.topology.name);
        limits::raise();
        check_names(&paths, &wanted.topology)?;
        let _lock = self.lock_to_build(&paths)?;
        let result = self.up_locked(wanted, &paths, began, programs);
        match result {
            Err(error) if State::read(&paths).is_ok_and(|state| state.is_none()) => {
                // It never was: not even its directory stays.
                let left = super::down::take_away(&paths, self.observer).err();
                super::down::tidy(&self.paths);
                Err(with_left(error, left))
            }
            result => result,
        }
    }

    /// Locks the lab. One whose taking away was interrupted is first taken away wholly; with it goes the lock, which is
    /// its directory, so that it is taken anew.
    fn lock_to_build(&self, paths: &LabPaths) -> Result<Lock> {
        loop {
            let lock = Lock::create(paths.root(), &mut || (self.waiting)(), self.interrupt)?;
            if Past::read(&paths.journal())?.is_none_or(|past| !past.going_down) {
                return Ok(lock);
            }
            super::down::take_away(paths, self.observer)?;
        }
    }

    fn up_locked(&self, wanted: &Wanted, paths: &LabPaths, began: Instant, programs: bool) -> Result<Built> {
        let before = State::read(paths)?;
        let _host =
            uplink::lock(paths, &[Some(&wanted.topology), before.as_ref().map(|state| &state.topology)])?;
        let mut desired = desired(paths, &wanted.topology, Some(&wanted.lab), before.as_ref())?;
        let mut keys = Keys::read(paths)?;
        let new_keys = keys.make(&wanted.topology)?;
        desired.keys = keys;
        let desired = &desired;
        let mut look = Look::at(paths, desired, programs)?;
        refuse_conflicts(&look.plan)?;
        support::check(&look.plan)?;
        netfilter::check(look.plan.tables())?;
        check_texts(&look.plan, &wanted.topology)?;
        machine::check(&look.plan, &wanted.topology)?;
        let mut state = State::new(
            wanted.lab.clone(),
            wanted.topology.clone(),
            wanted.file.clone(),
            wanted.directory.clone(),
        );
        if let Some(before) = &before {
            state.created = before.created;
        }
        let first = look.plan.clone();
        let mut steps = 0;
        if !look.plan.is_empty() {
            pins::prepare(paths)?;
            if new_keys {
                desired.keys.write(paths)?;
            }
            state.write_surroundings(paths)?;
            let mut journal = Journal::begin(&paths.journal())?;
            for round in 0..ROUNDS {
                steps += look.plan.len();
                let done =
                    self.carry_out(&mut look, paths, &state, before.as_ref(), &mut journal, self.interrupt);
                if let (Err(error), Some(before), 1..) = (&done, &before, round) {
                    // What earlier rounds did is taken back by going to what the lab was.
                    self.go_back(before, paths, &mut journal, error, programs)?;
                }
                done?;
                // A fresh build is what it was planned to be.
                if before.is_none() && round == 0 && look.fresh {
                    break;
                }
                look = look.again(paths, desired, programs)?;
                if look.plan.is_empty() {
                    break;
                }
            }
            state.write(paths)?;
            // Only now: a change that is taken back needs the old ones.
            let mut keys = desired.keys.clone();
            if keys.forget(&wanted.topology) {
                keys.write(paths)?;
            }
            journal.done()?;
        } else if before.as_ref().is_none_or(|before| *before != state || before.lines() != state.lines())
            || Past::read(&paths.journal())?.is_none_or(|past| past.interrupted)
        {
            state.write_surroundings(paths)?;
            state.write(paths)?;
            Journal::begin(&paths.journal())?.done()?;
        }
        Ok(Built { new: before.is_none(), plan: first, steps, time: began.elapsed() })
    }

    /// Brings the lab back to what it was, after `error`.
    fn go_back(
        &self,
        before: &State,
        paths: &LabPaths,
        journal: &mut Journal,
        error: &Error,
        programs: bool,
    ) -> Result<()> {
        let mut was = desired(paths, &before.topology, None, None)?;
        was.keys = Keys::read(paths)?;
        was.look_for_tables(None);
        let mut look = Look::at(paths, &was, programs)?;
        let back = self.carry_out(&mut look, paths, before, Some(before), journal, Interrupt::default());
        back.map_err(|failed| Error::Refused {
            refusals: vec![Refusal::new("bring the lab to what was asked for", error.to_string())],
            left: vec![failed.to_string()],
        })
    }

    /// Carries out one plan; takes it back if it fails.
    fn carry_out(
        &self,
        look: &mut Look,
        paths: &LabPaths,
        state: &State,
        before: Option<&State>,
        journal: &mut Journal,
        interrupt: Interrupt,
    ) -> Result<()> {
        let mut runner = KeeperRunner::new(paths, self.launcher, &state.directory).with_outside(self.outside);
        let mut site = Site {
            paths,
            keys: Keys::read(paths)?,
            open: std::mem::take(&mut look.open),
            runner: &mut runner,
            observer: self.observer,
            interrupt,
            one_by_one: self.one_by_one,
        };
        let ids = foreign(&look.plan, &site.open, &look.joined)?;
        let held = Ledger::read(paths)?;
        let mut ledger = held.clone();
        ledger.add(&look.plan, &ids);
        uplink::hold(paths, &state.topology, &look.plan, &mut ledger)?;
        if ledger != held {
            ledger.write(paths)?;
        }
        let Err(failure) = apply::apply(&look.plan, &mut site, journal) else {
            look.open = std::mem::take(&mut site.open);
            ledger.settle(&look.plan, &ids);
            return if ledger == held { Ok(()) } else { ledger.write(paths) };
        };
        (self.observer)(Event::Undo);
        journal.undo()?;
        if before.is_none() {
            // It never was whole: `up` takes all of it away.
            return Err(refused(*failure, Vec::new()));
        }
        site.interrupt = Interrupt::default();
        let undo = look.plan.undo(|stage, place| failure.done[stage][place]);
        let left = match apply::apply(&undo, &mut site, journal) {
            Ok(()) => Vec::new(),
            Err(failed) => left_behind(*failed),
        };
        if left.is_empty() && ledger != held {
            held.write(paths)?;
        }
        if let Some(before) = before {
            before.write_surroundings(paths)?;
        }
        journal.done()?;
        Err(refused(*failure, left))
    }
}

/// The kernel as it was found, and the plan that follows from it.
struct Look {
    actual: Actual,
    plan: Plan,
    open: Vec<Option<Open>>,
    /// By place in the plan: a namespace that is not the lab's own.
    joined: Vec<bool>,
    /// There was nothing of the lab.
    fresh: bool,
}

impl Look {
    /// Looks; `programs` says whether they are looked at as well.
    fn at(paths: &LabPaths, desired: &Desired, programs: bool) -> Result<Self> {
        let fresh = pins::list(paths)?.is_empty();
        let mut open = Vec::new();
        let joins = desired.namespaces.iter().any(DesiredNamespace::is_foreign);
        let actual =
            if fresh && !joins { Actual::nothing(desired) } else { Actual::read(paths, desired, &mut open)? };
        Self::new(paths, desired, actual, open, programs).map(|look| Self { fresh, ..look })
    }

    /// Looks again after the plan was carried out. Where it cannot have changed anything, nothing is read again: what
    /// somebody else changes meanwhile is found by the next `plan` or `up`, as what they change afterwards.
    fn again(self, paths: &LabPaths, desired: &Desired, programs: bool) -> Result<Self> {
        let Self { actual, plan, mut open, fresh, .. } = self;
        // What is not the lab's own, the host among it, is found in other ways than by a pin.
        let is_own = |space: &DesiredNamespace| {
            space.existing.is_none() && matches!(space.reference.role, Role::Node | Role::Switch)
        };
        let own = desired.namespaces.iter().all(is_own);
        let same = desired.namespaces.len() == plan.namespaces.len() && open.len() == plan.namespaces.len();
        if let Some(touched) = actual.touched_by(&plan).filter(|_| own && same && !fresh) {
            let actual = actual.read_again(paths, desired, &touched, &mut open)?;
            return Self::new(paths, desired, actual, open, programs);
        }
        drop(open);
        Self::at(paths, desired, programs)
    }

    fn new(
        paths: &LabPaths,
        desired: &Desired,
        actual: Actual,
        open: Vec<Option<Open>>,
        programs: bool,
    ) -> Result<Self> {
        let running = crate::runner::running(paths)?;
        let mut plan = diff::plan(desired, &actual, &running);
        if !programs {
            tune::keep_network(&mut plan, desired.namespaces.len());
        }
        let joined = (0..plan.namespaces.len())
            .map(|place| match desired.namespaces.get(place) {
                Some(space) => space.is_foreign(),
                None => actual
                    .surplus
                    .get(place - desired.namespaces.len())
                    .is_some_and(|(_, space)| space.joined.is_some()),
            })
            .collect();
        Ok(Self { actual, plan, open, joined, fresh: false })
    }
}

/// The namespaces of a plan that are not the lab's own, by place.
fn foreign(plan: &Plan, open: &[Option<Open>], joined: &[bool]) -> Result<Vec<Option<NamespaceId>>> {
    let id = |place: usize| match open.get(place) {
        Some(Some(open)) if joined[place] => Ok(Some(open.namespace.id()?)),
        _ => Ok(None),
    };
    (0..plan.namespaces.len()).map(id).collect()
}

fn desired(
    paths: &LabPaths,
    topology: &Topology,
    lab: Option<&nslab_topology::Lab>,
    before: Option<&State>,
) -> Result<Desired> {
    let shaper = shaping::probe(topology, lab)?;
    let new = NewNamespaces { shaper, ..NewNamespaces::of_this_machine() };
    let mut desired = Desired::new(topology, new);
    desired.add_name_servers(topology);
    desired.add_ways_out(&uplink::settle(paths, topology, &Ledger::read(paths)?)?);
    // What a change that did not come to its end has made besides what the state tells of is not wanted either.
    let past = Past::read(&paths.journal())?;
    let unfinished = Past::unfinished_sysctls(&paths.journal())?;
    let before = before.map(|before| &before.topology);
    desired.reset_dropped_sysctls(before, &unfinished)?;
    desired.look_for_tables(before.filter(|_| past.is_none_or(|past| !past.interrupted)));
    Ok(desired)
}

/// Has nft look at the texts that are to be loaded, before anything is touched.
fn check_texts(plan: &Plan, topology: &Topology) -> Result<()> {
    for step in plan.steps().filter(|step| matches!(step.op, Op::RunNft { text: Some(_), .. })) {
        let name = &plan.namespaces[step.namespace].node;
        let Some(place) = topology.nodes.iter().position(|node| node.name == *name) else { continue };
        let interfaces: Vec<_> = topology.ends_of(Device::Node(place)).map(|(_, end)| end.name).collect();
        netfilter::raw::check(name, &topology.nodes[place].policy.nft, &interfaces)?;
    }
    Ok(())
}

/// Refuses names for `ip netns` that somebody else holds, before anything is touched.
fn check_names(paths: &LabPaths, topology: &Topology) -> Result<()> {
    let own = topology.nodes.iter().filter(|node| node.existing.is_none());
    let nodes = own.map(|node| (&node.name, &node.namespace));
    for (node, namespace) in
        nodes.chain(topology.switches.iter().map(|switch| (&switch.name, &switch.namespace)))
    {
        if let Some(holder) = pins::foreign_holder(paths, node, namespace)? {
            let name = format!("the namespace {}", paths.netns_link(namespace).display());
            return Err(Error::Conflict { lab: topology.name.clone(), name, holder });
        }
    }
    Ok(())
}

fn refuse_conflicts(plan: &Plan) -> Result<()> {
    match plan.conflicts.first() {
        None => Ok(()),
        Some(conflict) => Err(Error::Conflict {
            lab: plan.lab.clone(),
            name: conflict.name.clone(),
            holder: conflict.holder.clone(),
        }),
    }
}

fn refused(failure: Failure, left: Vec<String>) -> Error {
    match failure.error {
        Some(Error::Interrupted { .. }) => Error::Interrupted { left },
        Some(error) => error,
        None => Error::Refused { refusals: failure.refusals, left },
    }
}

/// Adds what could not be taken away to why it had to be.
fn with_left(error: Error, left: Option<Error>) -> Error {
    match (error, left) {
        (Error::Refused { refusals, left: mut all }, Some(left)) => {
            all.push(left.to_string());
            Error::Refused { refusals, left: all }
        }
        (Error::Interrupted { left: mut all }, Some(left)) => {
            all.push(left.to_string());
            Error::Interrupted { left: all }
        }
        (error, _) => error,
    }
}

fn left_behind(failed: Failure) -> Vec<String> {
    let error = failed.error.map(|error| error.to_string());
    failed.refusals.iter().map(ToString::to_string).chain(error).collect()
}

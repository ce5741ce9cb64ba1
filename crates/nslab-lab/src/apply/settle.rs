//! Everything that happens inside namespaces which exist: many requests in one send, many namespaces side by side.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Mutex;

use nslab_kernel::link::IfIndex;
use nslab_kernel::netlink::Batch;
use nslab_kernel::nftables::TransactionError;

use nslab_topology::model::InterfaceKind;

use super::create::set_sysctl;
use super::other;
use super::request::{self, Numbers};
use super::{Event, Observer, Outcome, Site};
use crate::error::Refusal;
use crate::keys::Keys;
use crate::netfilter;
use crate::paths::LabPaths;
use crate::plan::{Op, Plan, Stage, Step};
use crate::session::Open;
use crate::uplink;
use nslab_kernel::parallel;

/// The steps of one namespace, in order, each with its place in the stage.
struct Work<'a> {
    paths: &'a LabPaths,
    open: &'a mut Open,
    steps: Vec<(usize, &'a Step)>,
    /// The descriptors of all namespaces, by place in the plan.
    descriptors: &'a [Option<RawFd>],
    /// The numbers that new interfaces get, by the step's place in the stage.
    numbers: &'a [Option<Numbers>],
    /// The keys of `WireGuard` interfaces.
    keys: &'a Keys,
}

/// Does all steps of the stage that are requests to the kernel about the inside of a namespace, except the sysctls of
/// namespaces which the stage makes.
pub(super) fn settings(plan: &Plan, stage: &Stage, site: &mut Site<'_>) -> Vec<Outcome> {
    let mut new = vec![false; plan.namespaces.len()];
    for step in stage.steps.iter().filter(|step| step.op == Op::CreateNamespace) {
        new[step.namespace] = true;
    }
    let mut of_namespace: Vec<Vec<(usize, &Step)>> = vec![Vec::new(); plan.namespaces.len()];
    let mut outcomes = Vec::new();
    let mut numbers: Vec<Option<Numbers>> = vec![None; stage.steps.len()];
    for (place, step) in stage.steps.iter().enumerate() {
        let early = new[step.namespace] && matches!(step.op, Op::SetSysctl { .. });
        if early || !is_setting(&step.op) {
            continue;
        }
        if site.open[step.namespace].is_none() {
            let reason = "its namespace is gone".to_owned();
            outcomes.push((place, Err(Refusal::new(plan.describe(step), reason))));
            continue;
        }
        numbers[place] = assign(step, &mut site.open);
        of_namespace[step.namespace].push((place, step));
    }
    let descriptors: Vec<Option<RawFd>> =
        site.open.iter().map(|open| open.as_ref().map(|open| open.namespace.as_fd().as_raw_fd())).collect();
    let paths = site.paths;
    let mut works: Vec<Work<'_>> = of_namespace
        .into_iter()
        .zip(&mut site.open)
        .filter(|(steps, _)| !steps.is_empty())
        .filter_map(|(steps, open)| {
            Some(Work {
                paths,
                open: open.as_mut()?,
                steps,
                descriptors: &descriptors,
                numbers: &numbers,
                keys: &site.keys,
            })
        })
        .collect();
    let (observer, one_by_one) = (site.observer, site.one_by_one);
    let found = Mutex::new(outcomes);
    parallel::map_mut(&mut works, 1, |work| {
        let outcomes = work.run(plan, observer, one_by_one);
        found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(outcomes);
    });
    found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn is_setting(op: &Op) -> bool {
    !matches!(
        op,
        Op::CreateNamespace
            | Op::DeleteNamespace
            | Op::JoinNamespace { .. }
            | Op::LeaveNamespace { .. }
            | Op::RenameNamespace { .. }
            | Op::CreateView(_)
            | Op::DeleteView(_)
            | Op::WriteFile { .. }
            | Op::StartWay(_)
            | Op::StopWay(_)
            | Op::StartProgram(_)
            | Op::StopProgram(_)
    )
}

/// Chooses the numbers of the interfaces that a step makes, so that later requests of the same send can name them.
fn assign(step: &Step, open: &mut [Option<Open>]) -> Option<Numbers> {
    let mut number =
        |namespace: usize, name| -> Option<IfIndex> { Some(open[namespace].as_mut()?.assign(name)) };
    match &step.op {
        // The kernel itself numbers what is made by ioctl.
        Op::CreateInterface { settings, .. } if matches!(settings.kind, InterfaceKind::Tun { .. }) => None,
        Op::CreateInterface { name, .. } | Op::CreateBridge { name, .. } => {
            Some(Numbers { near: number(step.namespace, *name)?, far: 0 })
        }
        Op::CreateVeth { near, far_namespace, far } => {
            let near = number(step.namespace, near.name)?;
            Some(Numbers { near, far: number(*far_namespace, far.name)? })
        }
        _ => None,
    }
}

impl Work<'_> {
    fn run(&mut self, plan: &Plan, observer: &Observer<'_>, one_by_one: bool) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(self.steps.len());
        let mut batch = Batch::new();
        // For each request of the batch the step that it belongs to.
        let mut owners: Vec<usize> = Vec::new();
        let steps = std::mem::take(&mut self.steps);
        for (number, (place, step)) in steps.iter().enumerate() {
            if let Op::SetSysctl { key, value, optional, .. } = &step.op {
                self.send(plan, &steps, &mut batch, &mut owners, observer, &mut outcomes);
                let result = self.open.namespace.run(|| set_sysctl(key, value, *optional));
                let result = result.map_err(crate::error::Error::from).and_then(|result| result);
                let refusal =
                    |error: crate::error::Error| Refusal::new(plan.describe(step), error.to_string());
                outcomes.push((*place, result.map_err(refusal)));
                observer(Event::Steps(1));
                continue;
            }
            if let Some(result) = self.by_other_means(&step.op, plan, step.namespace, |work| {
                work.send(plan, &steps, &mut batch, &mut owners, observer, &mut outcomes);
            }) {
                outcomes.push((
                    *place,
                    result.map_err(|(reason, unsupported)| Refusal {
                        unsupported,
                        ..Refusal::new(plan.describe(step), reason)
                    }),
                ));
                observer(Event::Steps(1));
                continue;
            }
            if let Op::ReplaceTable { table, .. } = &step.op {
                self.send(plan, &steps, &mut batch, &mut owners, observer, &mut outcomes);
                let result = self.open.namespace.run(|| netfilter::replace(table.as_deref()));
                outcomes.push((
                    *place,
                    netfilter::outcome(result).map_err(|(reason, unsupported)| Refusal {
                        unsupported,
                        ..Refusal::new(plan.describe(step), reason)
                    }),
                ));
                observer(Event::Steps(1));
                continue;
            }
            if let Op::RunNft { text, .. } = &step.op {
                self.send(plan, &steps, &mut batch, &mut owners, observer, &mut outcomes);
                let record = self.paths.nft(&plan.namespaces[step.namespace].node);
                let result = self.open.namespace.run(|| netfilter::raw::load(text.as_deref(), &record));
                let result = result.map_err(crate::error::Error::from).and_then(|result| result);
                let refusal =
                    |error: crate::error::Error| Refusal::new(plan.describe(step), error.to_string());
                outcomes.push((*place, result.map_err(refusal)));
                observer(Event::Steps(1));
                continue;
            }
            if let Op::ReplaceHostTable { table, .. } = &step.op {
                self.send(plan, &steps, &mut batch, &mut owners, observer, &mut outcomes);
                let result = self.open.namespace.run(|| uplink::replace_table(&plan.lab, table.as_deref()));
                let refusal = |reason: String, unsupported: bool| Refusal {
                    unsupported,
                    ..Refusal::new(plan.describe(step), reason)
                };
                let outcome = match result {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) => {
                        let unsupported = matches!(error, TransactionError::Unsupported { .. });
                        Err(refusal(error.to_string(), unsupported))
                    }
                    Err(error) => Err(refusal(error.to_string(), false)),
                };
                outcomes.push((*place, outcome));
                observer(Event::Steps(1));
                continue;
            }
            let before = batch.len();
            let context = request::Context {
                indexes: &self.open.indexes,
                descriptors: self.descriptors,
                numbers: self.numbers[*place],
            };
            match request::push(&step.op, &context, &mut batch) {
                Ok(()) => owners.resize(owners.len() + batch.len() - before, number),
                Err(reason) => outcomes.push((*place, Err(Refusal::new(plan.describe(step), reason)))),
            }
            if one_by_one {
                self.send(plan, &steps, &mut batch, &mut owners, observer, &mut outcomes);
            }
        }
        self.send(plan, &steps, &mut batch, &mut owners, observer, &mut outcomes);
        outcomes
    }

    /// Does an operation that is not asked for over rtnetlink; none if it is. What was to be asked before is sent first.
    fn by_other_means(
        &mut self,
        op: &Op,
        plan: &Plan,
        namespace: usize,
        first: impl FnOnce(&mut Self),
    ) -> Option<Result<(), (String, bool)>> {
        match op {
            Op::CreateInterface { name, settings } if matches!(settings.kind, InterfaceKind::Tun { .. }) => {
                first(self);
                Some(other::create_tun(self.open, *name, settings))
            }
            Op::SetWireguard { link, settings, .. } => {
                first(self);
                let node = &plan.namespaces[namespace].node;
                Some(other::set_wireguard(self.open, node, *link, settings, self.keys))
            }
            _ => None,
        }
    }

    /// Sends what the batch holds; a step is done when none of its requests was refused.
    fn send(
        &mut self,
        plan: &Plan,
        steps: &[(usize, &Step)],
        batch: &mut Batch,
        owners: &mut Vec<usize>,
        observer: &Observer<'_>,
        outcomes: &mut Vec<Outcome>,
    ) {
        if batch.is_empty() {
            return;
        }
        let mut reasons: Vec<(usize, String, bool)> = Vec::new();
        match self.open.socket.execute(batch) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                for (request, refusal) in error.refused {
                    let owner = owners[request];
                    if request::is_so_already(&steps[owner].1.op, &refusal) {
                        continue;
                    }
                    let (reason, unsupported) = request::reason(&steps[owner].1.op, &refusal);
                    reasons.push((owner, reason, unsupported));
                }
            }
            Err(error) => reasons.extend(owners.iter().map(|&owner| (owner, error.to_string(), false))),
        }
        owners.dedup();
        observer(Event::Steps(owners.len()));
        for owner in owners.drain(..) {
            let (place, step) = steps[owner];
            let refusal =
                reasons.iter().find(|(refused, ..)| *refused == owner).map(|(_, reason, unsupported)| {
                    Refusal { unsupported: *unsupported, ..Refusal::new(plan.describe(step), reason.clone()) }
                });
            outcomes.push((place, refusal.map_or(Ok(()), Err)));
        }
        batch.clear();
    }
}

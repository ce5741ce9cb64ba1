//! What the kernel does a moment after it said that it was done.
//!
//! An interface that has come up drops packets until a work queue has started it, and an IPv6 address is not answered
//! for until another has made its local route. Nobody shall be told that a lab is up before both have happened.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use nslab_kernel::link::{self, settled_carrier};
use nslab_kernel::route::is_local;
use nslab_topology::model::InterfaceKind;
use nslab_types::IfName;

use super::Site;
use crate::parallel;
use crate::plan::{Op, Plan};
use crate::session::Open;

/// How long to wait for an address; it takes some hundred microseconds unless the machine is very busy.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many namespaces a thread is worth beginning for: a look takes microseconds.
const LEAST: usize = 32;
/// How long to leave the processor to the work queue between two looks.
const PAUSE: Duration = Duration::from_micros(200);

/// What came up in one namespace.
#[derive(Default)]
struct New {
    /// Bonds that came up, which have carrier when they have looked at their members.
    bonds: Vec<IfName>,
    links: Vec<IfName>,
    addresses: Vec<(IfName, IpAddr)>,
}

/// Waits until what `plan` brought up can be used.
pub(super) fn wait(plan: &Plan, site: &mut Site<'_>) {
    let mut new: Vec<New> = Vec::new();
    new.resize_with(plan.namespaces.len(), New::default);
    for step in plan.steps() {
        match &step.op {
            Op::CreateVeth { near, far_namespace, far } => {
                new[step.namespace].links.push(near.name);
                new[*far_namespace].links.push(far.name);
            }
            Op::CreateInterface { name, settings } if matches!(settings.kind, InterfaceKind::Bond { .. }) => {
                new[step.namespace].bonds.push(*name);
            }
            Op::SetLink { name, change, .. } if change.up == Some(true) => {
                new[step.namespace].links.push(*name);
            }
            Op::AddAddress { link, address } if address.addr().is_ipv6() => {
                new[step.namespace].addresses.push((*link, address.addr()));
            }
            _ => {}
        }
    }
    let mut works: Vec<(&mut Open, New)> = site
        .open
        .iter_mut()
        .zip(new)
        .filter(|(_, new)| !new.links.is_empty() || !new.addresses.is_empty())
        .filter_map(|(open, new)| Some((open.as_mut()?, new)))
        .collect();
    // First all carriers: an address is not looked after as long as its interface has none.
    parallel::map_mut(&mut works, LEAST, |(open, new)| {
        new.links.sort_unstable();
        new.links.dedup();
        for &name in &new.links {
            // A driver that cannot tell is no obstacle; neither is an interface that somebody took away meanwhile.
            let _ = settled_carrier(&open.socket, name);
        }
    });
    let end = Instant::now() + PATIENCE;
    for (open, new) in works.iter_mut().filter(|(_, new)| !new.bonds.is_empty()) {
        await_bonds(open, new, end);
    }
    parallel::map_mut(&mut works, LEAST, |(open, new)| {
        for &(link, address) in &new.addresses {
            let answered = |open: &mut Open| {
                // Without carrier there is nothing to wait for.
                !settled_carrier(&open.socket, link).unwrap_or(false)
                    || is_local(&mut open.socket, address).unwrap_or(true)
            };
            while !answered(open) && Instant::now() < end {
                std::thread::sleep(PAUSE);
            }
        }
    });
}

/// A bond looks at its members every so often and has no carrier before it has (`bond_mii_monitor`). One whose members
/// have none either is not waited for.
fn await_bonds(open: &mut Open, new: &New, end: Instant) {
    for name in &new.bonds {
        while let Ok(links) = link::list(&mut open.socket) {
            let Some(bond) = links.iter().find(|link| link.name == *name) else { break };
            let waits = links.iter().any(|link| link.master == Some(bond.index) && link.is_running());
            if !bond.up || bond.carrier || !waits || Instant::now() >= end {
                break;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

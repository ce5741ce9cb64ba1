//! What the kernel does a moment after it said that it was done.
//!
//! An interface that has come up drops packets until a work queue has started it, and an IPv6 address is not answered
//! for until another has made its local route. Nobody shall be told that a lab is up before both have happened.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use nslab_kernel::link::settled_carrier;
use nslab_kernel::route::is_local;
use nslab_types::IfName;

use super::Site;
use crate::plan::{Op, Plan};
use crate::session::Open;
use nslab_kernel::parallel;

/// How long to wait for an address; it takes some hundred microseconds unless the machine is very busy.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many namespaces a thread is worth beginning for: a look takes microseconds.
const LEAST: usize = 32;
/// How long to leave the processor to the work queue between two looks.
const PAUSE: Duration = Duration::from_micros(200);

/// What came up in one namespace.
#[derive(Default)]
struct New {
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
            Op::SetLink { name, change, .. } if change.up == Some(true) => {
                new[step.namespace].links.push(*name);
            }
            Op::AddAddress { link, address } if address.addr().is_ipv6() => {
                new[step.namespace].addresses.push((*link, address.addr()));
            }
            _ => {}
        }
    }
    // First all carriers: an address is not looked after as long as its interface has none.
    parallel::map_mut(&mut works(site, &mut new), LEAST, |(open, new)| {
        new.links.sort_unstable();
        new.links.dedup();
        for &name in &new.links {
            // A driver that cannot tell is no obstacle; neither is an interface that somebody took away meanwhile.
            let _ = settled_carrier(&open.socket, name);
        }
    });
    super::bonds::wait(plan, site);
    let end = Instant::now() + PATIENCE;
    parallel::map_mut(&mut works(site, &mut new), LEAST, |(open, new)| {
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

/// The namespaces in which something came up, each with what did.
fn works<'w>(site: &'w mut Site<'_>, new: &'w mut [New]) -> Vec<(&'w mut Open, &'w mut New)> {
    let all = site.open.iter_mut().zip(new);
    all.filter(|(_, new)| !new.links.is_empty() || !new.addresses.is_empty())
        .filter_map(|(open, new)| Some((open.as_mut()?, new)))
        .collect()
}

//! Faults that can be found without being told where to look.
//!
//! Each kind of fault has a function of its own, which looks through a snapshot and tells what it found. What is normal is
//! not told.

mod addresses;
mod answers;
mod bridges;
mod fault;
mod filter;
mod hosts;
mod leftovers;
mod links;
mod loops;
mod neighbours;
mod routes;
mod segments;
mod sockets;
mod text;
mod verdicts;
mod way;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use nslab_kernel::link::Link;
use nslab_snapshot::{Snapshot, State};

pub use fault::{Fault, Place, Severity};

use crate::command::{Shell, typed};
use crate::group::{Group, belong_together, group};
use crate::l2::{Port, Wiring};
use crate::segments::Segments;

/// A snapshot with what faults are looked up by.
struct Host<'a> {
    snapshot: &'a Snapshot,
    segments: Segments,
    wiring: Wiring,
    /// Who has an address.
    owners: HashMap<IpAddr, Vec<Port>>,
}

/// All faults of a snapshot: the worst first, then by place. `is_meant` says of which namespaces; a fault of several is told
/// if one of them is meant.
pub fn examine(snapshot: &Snapshot, is_meant: &dyn Fn(usize) -> bool) -> Vec<Fault> {
    let host = Host::of(snapshot);
    let mut faults = Vec::new();
    links::loopback_down(&host, &mut faults);
    links::down(&host, &mut faults);
    links::no_carrier(&host, &mut faults);
    links::other_end_unseen(&host, &mut faults);
    addresses::duplicate(&host, &mut faults);
    addresses::duplicate_macs(&host, &mut faults);
    addresses::overlapping(&host, &mut faults);
    segments::mtu(&host, &mut faults);
    routes::gateways(&host, &mut faults);
    answers::missing(&host, &mut faults);
    loops::circles(&host, &mut faults);
    bridges::circles(&host, &mut faults);
    bridges::rules(&host, &mut faults);
    neighbours::full(&host, &mut faults);
    sockets::loopback_only(&host, &mut faults);
    leftovers::namespaces(&host, &mut faults);
    leftovers::cables(&host, &mut faults);
    faults.retain(|fault| fault.places.iter().any(|place| is_meant(place.namespace)));
    faults.sort_by(|one, other| {
        (one.severity, &one.places, one.code).cmp(&(other.severity, &other.places, other.code))
    });
    faults
}

impl<'a> Host<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let mut owners: HashMap<IpAddr, Vec<Port>> = HashMap::new();
        for (namespace, space) in snapshot.namespaces.iter().enumerate() {
            for address in space.state().into_iter().flat_map(|state| &state.network.addresses) {
                let at = Port { namespace, link: address.link };
                owners.entry(address.address.addr()).or_default().push(at);
            }
        }
        Self { snapshot, segments: Segments::of(snapshot), wiring: Wiring::of(snapshot), owners }
    }

    /// All namespaces that were read.
    fn states(&self) -> impl Iterator<Item = (usize, &'a State)> + use<'a> {
        let all = self.snapshot.namespaces.iter().enumerate();
        all.filter_map(|(place, namespace)| Some((place, namespace.state()?)))
    }

    fn state(&self, place: usize) -> Option<&'a State> {
        self.snapshot.namespaces.get(place)?.state()
    }

    fn link(&self, at: Port) -> Option<&'a Link> {
        self.state(at.namespace)?.link(at.link)
    }

    /// An interface in words, as `lab/red:eth0`.
    fn port(&self, at: Port) -> String {
        let link = self.link(at).map_or_else(|| format!("number {}", at.link), |link| link.name.to_string());
        format!("{}:{link}", self.name(at.namespace))
    }

    fn name(&self, place: usize) -> String {
        self.snapshot.namespaces.get(place).map_or_else(String::new, |namespace| namespace.name().to_string())
    }

    /// A command as it is to be typed so that it is run in a namespace.
    fn command(&self, place: usize, command: &str) -> String {
        typed(self.snapshot, Shell::Host, place, command)
    }

    /// Who drew a namespace.
    fn group(&self, place: usize) -> Option<Group<'a>> {
        group(self.snapshot, place)
    }

    /// Whether somebody drew two namespaces together.
    fn belong_together(&self, one: usize, other: usize) -> bool {
        belong_together(self.snapshot, one, other)
    }

    /// Whether packets that come in by an interface are passed on; yes if it could not be read.
    fn passes_on(&self, at: Port, ipv6: bool) -> bool {
        let found = self.state(at.namespace).zip(self.link(at));
        found.is_none_or(|(state, link)| forwards(state, link, ipv6))
    }

    /// Whether a namespace forwards from one segment to another.
    fn is_router(&self, namespace: usize, ipv6: bool) -> bool {
        let Some(state) = self.state(namespace) else { return false };
        let addresses = state.network.addresses.iter().filter(|own| own.address.addr().is_ipv6() == ipv6);
        let on = addresses.filter(|own| self.passes_on(Port { namespace, link: own.link }, ipv6));
        let segments: BTreeSet<usize> =
            on.filter_map(|own| self.segments.number(Port { namespace, link: own.link })).collect();
        segments.len() > 1
    }
}

/// Whether packets that come in by an interface of a namespace are passed on.
fn forwards(state: &State, link: &Link, ipv6: bool) -> bool {
    if ipv6 {
        state.settings.ipv6_all.forwarding || link.ipv6.is_some_and(|settings| settings.forwarding)
    } else {
        link.ipv4.is_none_or(|settings| settings.forwarding)
    }
}

/// Whether any interface of a namespace passes on packets.
fn forwards_at_all(state: &State, ipv6: bool) -> bool {
    state.network.links.iter().any(|link| !link.loopback && forwards(state, link, ipv6))
}

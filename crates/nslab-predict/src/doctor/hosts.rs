//! Who talks to whom: the hosts of a snapshot, one for each kind.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use ipnet::IpNet;
use nslab_kernel::route::{Route, RouteAction};
use nslab_snapshot::State;

use super::Host;
use crate::l2::Port;

/// A host's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) at: Port,
    pub(super) net: IpNet,
}

/// The addresses of those that send and answer, rather than only pass on: of each namespace that is on one segment, or does
/// not forward. (What a router itself sends comes from addresses that routing protocols often tell nobody.) Of those that
/// do not differ in anything that routing heeds there is one.
pub(super) fn sites(host: &Host<'_>, ipv6: bool) -> Vec<Site> {
    let mut sites = Vec::new();
    let mut seen = BTreeSet::new();
    for (namespace, state) in host.states().filter(|&(place, _)| host.group(place).is_some()) {
        let own = own_sites(host, namespace, state, ipv6);
        if own.is_empty() || host.is_router(namespace, ipv6) {
            continue;
        }
        let kind = kind(host, namespace, state, ipv6);
        for site in own {
            if seen.insert((host.segments.number(site.at), site.net.trunc(), kind)) {
                sites.push(site);
            }
        }
    }
    sites
}

fn own_sites(host: &Host<'_>, namespace: usize, state: &State, ipv6: bool) -> Vec<Site> {
    let own = state.network.addresses.iter().filter(|address| {
        let is_local = match address.address.addr() {
            IpAddr::V4(address) => address.is_link_local() || address.is_loopback(),
            IpAddr::V6(address) => address.is_unicast_link_local() || address.is_loopback(),
        };
        address.address.addr().is_ipv6() == ipv6 && !is_local && !address.tentative && !address.duplicate
    });
    own.map(|address| Site { at: Port { namespace, link: address.link }, net: address.address })
        .filter(|site| host.link(site.at).is_some_and(nslab_kernel::link::Link::is_running))
        .filter(|site| host.segments.number(site.at).is_some())
        .collect()
}

/// A number for all that decides where a namespace sends to and whom it answers.
fn kind(host: &Host<'_>, namespace: usize, state: &State, ipv6: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut routes: Vec<String> = state
        .network
        .routes
        .iter()
        .filter(|route| route.to.addr().is_ipv6() == ipv6)
        .filter_map(in_words)
        .collect();
    routes.sort();
    routes.hash(&mut hasher);
    state.network.rules.hash(&mut hasher);
    host.group(namespace).hash(&mut hasher);
    (state.settings.ipv4_all.rp_filter, &state.xtables).hash(&mut hasher);
    for link in &state.network.links {
        (link.mtu, link.ipv4.map(|own| own.rp_filter)).hash(&mut hasher);
    }
    if !state.nftables.tables.is_empty() {
        format!("{:?}", state.nftables.tables).hash(&mut hasher);
    }
    hasher.finish()
}

/// What is the same of a route in namespaces that differ in numbers only.
fn in_words(route: &Route) -> Option<String> {
    let Route { to, metric, table, mtu, .. } = route;
    let action = match &route.action {
        RouteAction::Forward(hops) => {
            let via: Vec<_> = hops.iter().map(|hop| (hop.via, hop.weight)).collect();
            format!("{via:?}")
        }
        RouteAction::Local(_)
        | RouteAction::Broadcast(_)
        | RouteAction::Anycast(_)
        | RouteAction::Multicast(_) => return None,
        other => format!("{other:?}"),
    };
    Some(format!("{to} {table} {metric} {mtu:?} {action}"))
}

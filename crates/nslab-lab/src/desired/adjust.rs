//! What follows from the whole: where what the file says meets what the kernel does by itself.

use nslab_topology::model::{Device, RouteAction, Topology};
use nslab_types::IfName;

use super::{DesiredLink, DesiredNamespace, DesiredSysctl};

const ROUTER_SOLICITATIONS: &str = "net.ipv6.conf.default.router_solicitations";
/// How many hosts a segment may have before they are kept from asking for routers.
const LARGE_SEGMENT: usize = 64;

/// Routes over interfaces that are down: the kernel takes them away with the interface and refuses them until it is up.
pub(super) fn leave_out_dead_routes(space: &mut DesiredNamespace) {
    let DesiredNamespace { links, interfaces, routes, .. } = space;
    let all = || links.iter().chain(interfaces.iter().map(|interface| &interface.link));
    let is_down = |name: IfName| all().any(|link| link.name == name && !link.up);
    routes.retain(|route| match &route.action {
        RouteAction::Forward(hops) => !hops.iter().all(|hop| hop.dev.is_some_and(is_down)),
        _ => true,
    });
}

/// Hosts on a large segment send no router solicitations.
///
/// A host with an IPv6 address asks for routers when it comes up, three times, and each question is flooded to all
/// others: N² packets, which at some hundred hosts overflow the kernel's backlog and are lost together with what matters.
/// Its addresses and routes are written in the lab file, so there is nothing to ask for.
pub(super) fn quiet_large_segments(topology: &Topology, namespaces: &mut [DesiredNamespace]) {
    let mut hosts: Vec<Vec<usize>> = vec![Vec::new(); topology.segments.len()];
    for link in &topology.links {
        for end in &link.ends {
            if let Device::Node(node) = end.device
                && end.addresses.iter().any(|address| address.addr().is_ipv6())
            {
                hosts[link.segment].push(node);
            }
        }
    }
    let mut quiet: Vec<usize> =
        hosts.into_iter().filter(|hosts| hosts.len() > LARGE_SEGMENT).flatten().collect();
    quiet.sort_unstable();
    quiet.dedup();
    for node in quiet {
        if namespaces[node].existing.is_some() {
            continue;
        }
        let sysctls = &mut namespaces[node].sysctls;
        if !sysctls.iter().any(|wanted| wanted.key == ROUTER_SOLICITATIONS) {
            sysctls.push(DesiredSysctl { optional: true, ..DesiredSysctl::new(ROUTER_SOLICITATIONS, "0") });
        }
    }
}

/// A VLAN is down as long as what it is on is (`vlan_device_event`, net/8021q/vlan.c).
pub(super) fn take_down_what_is_on_what_is_down(space: &mut DesiredNamespace) {
    let mut down: Vec<IfName> = space.links.iter().filter(|link| !link.up).map(|link| link.name).collect();
    for interface in &mut space.interfaces {
        if crate::kinds::lower(&interface.kind).is_some_and(|lower| down.contains(&lower)) {
            interface.link.up = false;
        }
        if !interface.link.up {
            down.push(interface.link.name);
        }
    }
}

/// Engines turn IPv6 off in the containers that they give no IPv6 network; on an interface of the lab's with an IPv6
/// address it has to be on.
pub(super) fn turn_on_ipv6(space: &mut DesiredNamespace) {
    let with_ipv6 = |link: &&DesiredLink| link.addresses.iter().any(|address| address.addr().is_ipv6());
    for link in space.links.iter().filter(with_ipv6) {
        space.sysctls.push(DesiredSysctl::new(&format!("net/ipv6/conf/{}/disable_ipv6", link.name), "0"));
    }
}

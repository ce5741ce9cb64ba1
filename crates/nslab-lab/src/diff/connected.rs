//! Addresses without the kernel's own routes to them.
//!
//! The kernel makes these as it sets an address or brings an interface up, and says nothing when it cannot
//! (`fib_add_ifaddr`, `net/ipv4/fib_frontend.c`; `inet6_addr_add`, `net/ipv6/addrconf.c`). So it is where a process is
//! killed in such a request: its memory for a next hop may then be refused (`pcpu_alloc_noprof`, `mm/percpu.c`). Somebody
//! may also have taken them away.

use std::collections::HashSet;

use ipnet::IpNet;
use nslab_kernel::address::Address;
use nslab_kernel::link::IfIndex;
use nslab_kernel::route::{PROTOCOL_KERNEL, RouteAction};
use nslab_types::IfName;

use crate::actual::ActualNamespace;

/// The interfaces of the lab whose addresses are to be set anew.
pub(super) fn without_routes(is: &ActualNamespace) -> HashSet<IfName> {
    let state = &is.state;
    let mut connected: HashSet<(IpNet, IfIndex)> = HashSet::new();
    let mut local: HashSet<(IpNet, IfIndex)> = HashSet::new();
    for route in state.routes.iter().filter(|route| route.protocol == PROTOCOL_KERNEL) {
        match &route.action {
            RouteAction::Forward(hops) => {
                connected.extend(hops.iter().filter_map(|hop| Some((route.to, hop.link?))));
            }
            RouteAction::Local(Some(link)) => drop(local.insert((route.to, *link))),
            _ => {}
        }
    }
    let lacks = |address: &Address| {
        let own = IpNet::from(address.address.addr());
        let subnet = address.address.trunc();
        let is_ipv4 = own.addr().is_ipv4();
        // Routes to an IPv6 address itself come later, from a queue of work.
        (is_ipv4 && !local.contains(&(own, address.link)))
            || ((!is_ipv4 || subnet != own) && !connected.contains(&(subnet, address.link)))
    };
    let links = state.links.iter().filter(|link| link.up && !link.loopback && is.owns_link(link));
    links
        .filter(|link| {
            let its = |address: &&Address| address.link == link.index && address.permanent && !address.kernel;
            state.addresses.iter().filter(its).any(|address| {
                is.owns_address(link.name, address.address) && address.peer.is_none() && lacks(address)
            })
        })
        .map(|link| link.name)
        .collect()
}

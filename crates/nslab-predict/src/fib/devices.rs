//! What routing asks of interfaces.

use nslab_kernel::link::{IfIndex, Link, LinkKind};
use nslab_kernel::route::{Route, RouteAction};
use nslab_snapshot::State;

/// `RT_SCOPE_HOST` (`include/uapi/linux/rtnetlink.h`).
pub(super) const SCOPE_HOST: u8 = 254;
/// `RT_SCOPE_LINK`.
pub(super) const SCOPE_LINK: u8 = 253;

/// `RTPROT_KERNEL`: anycast addresses of IPv6 that others made are as any other route (`fib6_nh_init`, `net/ipv6/route.c`).
const KERNEL: u8 = 2;

/// The table of a VRF.
pub(super) fn vrf_table(link: &Link) -> Option<u32> {
    match &link.kind {
        Some(LinkKind::Vrf(vrf)) => Some(vrf.table),
        _ => None,
    }
}

/// The VRF that a link is, or is in (`l3mdev_master_ifindex_rcu`, `net/l3mdev/l3mdev.c`).
pub(super) fn vrf_of(state: &State, index: IfIndex) -> Option<&Link> {
    let link = state.link(index)?;
    if vrf_table(link).is_some() {
        return Some(link);
    }
    state.link(link.master?).filter(|master| vrf_table(master).is_some())
}

/// Whether a way out by a link is not used, as the link is down (`RTNH_F_DEAD`, `fib_sync_down_dev` in
/// `net/ipv4/fib_semantics.c`; `fib6_ifdown` in `net/ipv6/route.c`) or has no carrier and such ways are to be passed over
/// (`fib_lookup_good_nhc` in `net/ipv4/fib_trie.c`; `find_match` in `net/ipv6/route.c`).
pub(super) fn is_dead(state: &State, route: &Route, index: IfIndex, whatever_carrier: bool) -> bool {
    let Some(link) = state.link(index) else { return true };
    let ipv6 = route.to.addr().is_ipv6();
    // The way of a local route ends in the host itself (`RT_SCOPE_NOWHERE`), so nothing kills it but the link's end.
    // Nor does anything kill a route that refuses: one of IPv6 leads to `lo`, up or down.
    let own = matches!(
        route.action,
        RouteAction::Local(_)
            | RouteAction::Blackhole
            | RouteAction::Unreachable
            | RouteAction::Prohibit
            | RouteAction::Throw
    ) || matches!(route.action, RouteAction::Anycast(_)) && (!ipv6 || route.protocol == KERNEL)
        || !ipv6 && route.scope.is_some_and(|scope| scope >= SCOPE_HOST);
    if own {
        return false;
    }
    let ignores = if ipv6 {
        link.ipv6.is_some_and(|ipv6| ipv6.ignore_routes_with_linkdown)
    } else {
        state.settings.ipv4_all.ignore_routes_with_linkdown
            || link.ipv4.is_some_and(|ipv4| ipv4.ignore_routes_with_linkdown)
    };
    !link.up || ignores && !link.carrier && !whatever_carrier
}

/// The first interface that is a loopback.
pub(super) fn loopback(state: &State) -> Option<&Link> {
    state.network.links.iter().find(|link| link.loopback)
}

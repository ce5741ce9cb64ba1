//! What the kernel does by itself when something is changed.

use ipnet::IpNet;
use nslab_kernel::address::Address;
use nslab_kernel::link::{
    AddressGeneration, BridgePort, IfIndex, Ipv4Settings, Ipv6Settings, Link, LinkKind,
};
use nslab_kernel::neighbour::BridgeVlan;
use nslab_kernel::route::{self, NextHop, Route, RouteAction};
use nslab_snapshot::{Contents, Peer, Snapshot, State, Where};
use nslab_types::MacAddr;

use super::change::End;
use crate::l2::Port;

/// Scopes (`RT_SCOPE_…`, `include/uapi/linux/rtnetlink.h`).
const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;
/// The metric of IPv6's routes to what is on a link (`IP6_RT_PRIO_ADDRCONF`, `include/net/ip6_route.h`).
const METRIC_CONNECTED: u32 = 256;
/// A bridge's port that forwards (`BR_STATE_FORWARDING`, `include/uapi/linux/if_bridge.h`).
const FORWARDING: u8 = 3;

pub(super) fn state_mut(snapshot: &mut Snapshot, place: usize) -> Option<&mut State> {
    match &mut snapshot.namespaces.get_mut(place)?.contents {
        Contents::State(state) => Some(state),
        Contents::Unreadable { .. } => None,
    }
}

pub(super) fn link_mut(state: &mut State, index: IfIndex) -> Option<&mut Link> {
    state.network.links.iter_mut().find(|link| link.index == index)
}

pub(super) fn port_mut(snapshot: &mut Snapshot, at: Port) -> Option<&mut BridgePort> {
    link_mut(state_mut(snapshot, at.namespace)?, at.link)?.bridge_port.as_mut()
}

fn link(snapshot: &Snapshot, at: Port) -> Option<&Link> {
    snapshot.namespaces.get(at.namespace)?.state()?.link(at.link)
}

/// An interface is set up: its carrier and that of others, its addresses' routes, a link-local address.
pub(super) fn up(snapshot: &mut Snapshot, at: Port) -> Option<()> {
    let state = state_mut(snapshot, at.namespace)?;
    let link = link_mut(state, at.link)?;
    link.up = true;
    if link.loopback {
        link.carrier = true;
        // The kernel gives them to it when it comes up (`inetdev_event`, `init_loopback`).
        for own in ["127.0.0.1/8", "::1/128"] {
            let own: IpNet = own.parse().ok()?;
            let state = state_mut(snapshot, at.namespace)?;
            let same = |known: &Address| {
                known.link == at.link && known.address.addr().is_ipv6() == own.addr().is_ipv6()
            };
            if !state.network.addresses.iter().any(same) {
                // A namespace without IPv6 gets none of that.
                let _ = add_address(snapshot, at, own);
            }
        }
    }
    let state = state_mut(snapshot, at.namespace)?;
    routes_of_link(state, at.link);
    // A bridge that comes up has its ports begin (`br_stp_enable_bridge`).
    let begins = state.link(at.link)?.as_bridge().is_some_and(|own| own.stp != Some(true));
    let ports = state
        .network
        .links
        .iter_mut()
        .filter(|port| begins && port.master == Some(at.link) && port.up && port.carrier);
    for port in ports.filter_map(|port| port.bridge_port.as_mut()) {
        port.state = FORWARDING;
    }
    settle(snapshot);
    Some(())
}

/// Sets carriers as they follow from what is up.
pub(super) fn settle(snapshot: &mut Snapshot) {
    // Each round carries a change one link further, and chains are short.
    const MOST_ROUNDS: usize = 64;
    for _ in 0..MOST_ROUNDS {
        let mut changes = Vec::new();
        for (namespace, space) in snapshot.namespaces.iter().enumerate() {
            let links = space.state().into_iter().flat_map(|state| &state.network.links);
            for own in links {
                let at = Port { namespace, link: own.index };
                if let Some(carrier) = carrier(snapshot, at, own).filter(|&carrier| carrier != own.carrier) {
                    changes.push((at, carrier));
                }
            }
        }
        if changes.is_empty() {
            return;
        }
        for (at, carrier) in changes {
            let _ = set_carrier(snapshot, at, carrier);
        }
    }
}

/// Whether a link has carrier; none where that does not follow from other links.
fn carrier(snapshot: &Snapshot, at: Port, own: &Link) -> Option<bool> {
    if !own.up {
        return Some(false);
    }
    let state = snapshot.namespaces.get(at.namespace)?.state()?;
    let below = || match state.peer(own.index)?.namespace {
        Where::Namespace(namespace) => link(snapshot, Port { namespace, link: state.peer(own.index)?.lower }),
        Where::Unseen => None,
    };
    match own.kind.as_ref()? {
        LinkKind::Veth(_) => below().map(|far| far.up),
        LinkKind::Vlan(_) | LinkKind::Macvlan(_) | LinkKind::Ipvlan(_) => {
            below().map(|lower| lower.up && lower.carrier)
        }
        LinkKind::Bridge(_) => {
            let mut ports = state.network.links.iter().filter(|port| port.master == Some(own.index));
            Some(ports.any(|port| {
                port.is_running() && port.bridge_port.is_some_and(|port| port.state == FORWARDING)
            }))
        }
        LinkKind::Dummy | LinkKind::Vxlan(_) | LinkKind::Vrf(_) | LinkKind::Ifb => Some(true),
        _ => None,
    }
}

fn set_carrier(snapshot: &mut Snapshot, at: Port, carrier: bool) -> Option<()> {
    let state = state_mut(snapshot, at.namespace)?;
    // A port of a bridge that is up and has no spanning tree forwards at once (`br_port_carrier_check`).
    let bridge = state.link(at.link)?.master.and_then(|master| state.link(master));
    let forwards =
        bridge.is_some_and(|bridge| bridge.up && bridge.as_bridge().is_some_and(|own| own.stp != Some(true)));
    let link = link_mut(state, at.link)?;
    link.carrier = carrier;
    if !carrier {
        return Some(());
    }
    if let (Some(port), true) = (&mut link.bridge_port, forwards) {
        port.state = FORWARDING;
    }
    let wants_local = link.address_generation == Some(AddressGeneration::Eui64)
        && link.ipv6.is_some_and(|ipv6| !ipv6.disabled);
    let mac = link.mac;
    let has_local = state.network.addresses.iter().any(|known| {
        known.link == at.link
            && matches!(known.address.addr(), std::net::IpAddr::V6(own) if own.is_unicast_link_local())
    });
    if let (true, false, Some(mac)) = (wants_local, has_local, mac) {
        let local = IpNet::new(mac.link_local().into(), 64).ok()?;
        add_address(snapshot, at, local)?;
    }
    Some(())
}

/// The table of a link's routes, and of those to its own addresses: those of the VRF that it is in.
fn tables(state: &State, index: IfIndex) -> (u32, u32) {
    let master = state.link(index).and_then(|link| state.link(link.master?));
    match master.and_then(|master| master.kind.as_ref()) {
        Some(LinkKind::Vrf(vrf)) => (vrf.table, vrf.table),
        _ => (route::TABLE_MAIN, route::TABLE_LOCAL),
    }
}

/// A route as the kernel makes it.
fn own_route(to: IpNet, action: RouteAction, table: u32) -> Route {
    Route { table, protocol: route::PROTOCOL_KERNEL, ..Route::new(to, action) }
}

/// Puts a route where the kernel shows it; none if it has one for the same packets, which it would not take twice.
pub(super) fn add_route(state: &mut State, mut route: Route) -> Option<()> {
    if route.to.addr().is_ipv6() && route.protocol != route::PROTOCOL_KERNEL && route.metric == 0 {
        // `IP6_RT_PRIO_USER`.
        route.metric = 1024;
    }
    let routes = &mut state.network.routes;
    if route.scope.is_none() {
        let on_link =
            matches!(&route.action, RouteAction::Forward(hops) if hops.iter().all(|hop| hop.via.is_none()));
        route.scope = Some(if on_link && route.to.addr().is_ipv4() { SCOPE_LINK } else { 0 });
    }
    let key = |route: &Route| (route.to, route.table, route.metric, route.tos, route.from);
    if routes.iter().any(|known| key(known) == key(&route)) {
        return None;
    }
    routes.push(route);
    sort(routes);
    Some(())
}

/// Puts a route of the kernel's own where it shows it, unless it is there: of two interfaces in one subnet both have one.
fn add_own_route(state: &mut State, route: Route) {
    let routes = &mut state.network.routes;
    if !routes.contains(&route) {
        routes.push(route);
        sort(routes);
    }
}

/// As `nslab_kernel::route::list` sorts them.
fn sort(routes: &mut [Route]) {
    routes.sort_by_key(|route| {
        let to = route.to;
        (to.addr().is_ipv6(), route.table, std::cmp::Reverse(to.prefix_len()), to.addr(), route.metric)
    });
}

/// The routes that follow from the addresses of a link that is up.
fn routes_of_link(state: &mut State, index: IfIndex) {
    let own: Vec<Address> =
        state.network.addresses.iter().filter(|known| known.link == index).copied().collect();
    for address in own {
        routes_of(state, &address);
    }
}

/// The routes of one address (`fib_add_ifaddr`, `addrconf_prefix_route`).
fn routes_of(state: &mut State, address: &Address) {
    let (table, local) = tables(state, address.link);
    let (net, own) = (address.address, address.address.addr());
    let (up, loopback) = state.link(address.link).map_or((false, false), |link| (link.up, link.loopback));
    let to_itself = match (own, loopback) {
        // All of 127.0.0.0/8 is here.
        (std::net::IpAddr::V4(_), true) if net.prefix_len() < 32 && own.is_loopback() => net.trunc(),
        _ => IpNet::from(own),
    };
    let ipv4 = own.is_ipv4();
    // That of the address that came first of its subnet.
    let source = state.network.addresses.iter().find(|known| {
        address.secondary
            && (known.link, known.secondary, known.address.trunc()) == (address.link, false, net.trunc())
    });
    let source = source.map_or(own, |first| first.address.addr());
    for to in [IpNet::from(own), to_itself] {
        let mut route = own_route(to, RouteAction::Local(Some(address.link)), local);
        route.scope = Some(if ipv4 { SCOPE_HOST } else { 0 });
        route.source = ipv4.then_some(source);
        add_own_route(state, route);
    }
    let subnet = net.prefix_len() < net.max_prefix_len();
    if up && !address.secondary && !loopback && (subnet || !ipv4) {
        let mut route = own_route(net.trunc(), RouteAction::Forward(vec![NextHop::on(address.link)]), table);
        (route.scope, route.source) = if ipv4 { (Some(SCOPE_LINK), Some(own)) } else { (Some(0), None) };
        route.metric = if ipv4 { 0 } else { METRIC_CONNECTED };
        add_own_route(state, route);
    }
}

/// An interface gets an address, without duplicate address detection.
pub(super) fn add_address(snapshot: &mut Snapshot, at: Port, address: IpNet) -> Option<()> {
    let state = state_mut(snapshot, at.namespace)?;
    let disabled = state.link(at.link)?.ipv6.is_none_or(|ipv6| ipv6.disabled);
    let all = &mut state.network.addresses;
    if address.addr().is_ipv6() && disabled
        || all.iter().any(|known| known.link == at.link && known.address.addr() == address.addr())
    {
        return None;
    }
    let same_subnet = |known: &&Address| {
        known.link == at.link && address.addr().is_ipv4() && known.address.trunc() == address.trunc()
    };
    let is_local = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(_) => false,
        std::net::IpAddr::V6(own) => own.is_unicast_link_local(),
    };
    let scope = match address.addr() {
        own if own.is_loopback() => SCOPE_HOST,
        own if is_local(own) => SCOPE_LINK,
        _ => 0,
    };
    let new = Address {
        link: at.link,
        address,
        scope,
        permanent: true,
        tentative: false,
        duplicate: false,
        secondary: all.iter().find(same_subnet).is_some(),
        kernel: false,
        peer: None,
        deprecated: false,
        optimistic: false,
        temporary: false,
        home: false,
    };
    all.push(new);
    all.sort_by_key(|known| (known.link, known.address.addr().is_ipv6()));
    routes_of(state, &new);
    Some(())
}

/// An interface loses an address, and the routes that hung on it.
pub(super) fn delete_address(snapshot: &mut Snapshot, at: Port, address: IpNet) -> Option<()> {
    let state = state_mut(snapshot, at.namespace)?;
    let all = &mut state.network.addresses;
    let place = all.iter().position(|known| known.link == at.link && known.address == address)?;
    all.remove(place);
    let shares = all.iter().any(|known| known.link == at.link && known.address.trunc() == address.trunc());
    let elsewhere = all.iter().any(|known| known.address.addr() == address.addr());
    let own = address.addr();
    state.network.routes.retain(|route| {
        let on_it = match &route.action {
            RouteAction::Local(Some(link)) => *link == at.link && route.to == IpNet::from(own),
            RouteAction::Forward(hops) => {
                route.protocol == route::PROTOCOL_KERNEL
                    && route.to == address.trunc()
                    && hops.iter().all(|hop| hop.link == Some(at.link) && hop.via.is_none())
                    && (!shares || route.source == Some(own))
            }
            _ => false,
        };
        // A preferred source that is nobody's takes its route along (`fib_sync_down_addr`).
        !on_it && (elsewhere || route.source != Some(own))
    });
    // Another address of the subnet takes the place of the one that went.
    let next =
        state.network.addresses.iter_mut().find(|known| {
            known.link == at.link && known.secondary && known.address.trunc() == address.trunc()
        });
    if let Some(next) = next {
        next.secondary = false;
        let next = *next;
        routes_of(state, &next);
    }
    Some(())
}

/// A new veth pair, both ends up.
pub(super) fn cable(snapshot: &mut Snapshot, one: &End, other: &End) -> Option<()> {
    for (end, far) in [(one, other), (other, one)] {
        let state = state_mut(snapshot, end.namespace)?;
        if state.link(end.link).is_some() || state.link_named(end.name.as_str()).is_some() {
            return None;
        }
        let bridge = match end.bridge {
            Some(bridge) => Some(state.link(bridge)?.as_bridge()?.clone()),
            None => None,
        };
        // What new interfaces get is that of `default`, of which the namespace's first interface tells the most.
        let first = state.network.links.iter().find(|link| link.loopback);
        let forwarding = (state.settings.ipv4_all.forwarding, state.settings.ipv6_all.forwarding);
        let ipv4 = first.and_then(|lo| lo.ipv4).unwrap_or_default();
        let ipv6 = first.and_then(|lo| lo.ipv6).unwrap_or_default();
        let name = end.name;
        let near_is_same = end.namespace == far.namespace;
        state.network.links.push(Link {
            index: end.link,
            name,
            kind: Some(LinkKind::Veth(None)),
            loopback: false,
            mac: Some(MacAddr::from_seed(&format!("{}/{name}", end.namespace))),
            mtu: 1500,
            up: true,
            carrier: false,
            master: end.bridge,
            lower: Some(far.link),
            lower_nsid: (!near_is_same).then_some(i32::MAX),
            group: 0,
            alias: None,
            alt_names: Vec::new(),
            address_generation: first.and_then(|lo| lo.address_generation),
            tx_queues: 1,
            qdisc: "noqueue".to_owned(),
            bridge_port: bridge.is_some().then(BridgePort::default),
            bond_port: None,
            ipv4: Some(Ipv4Settings { forwarding: forwarding.0, ..ipv4 }),
            ipv6: Some(Ipv6Settings { forwarding: forwarding.1, mtu: 1500, use_tempaddr: 0, ..ipv6 }),
            xdp: None,
        });
        state.network.links.sort_by_key(|link| link.index);
        let namespace = Where::Namespace(far.namespace);
        state.peers.push(Peer { link: end.link, namespace, lower: far.link });
        let vlan = bridge.filter(|bridge| bridge.vlan_filtering == Some(true));
        if let Some(vlan) = vlan.and_then(|bridge| bridge.default_pvid).filter(|&vlan| vlan != 0) {
            let vlans = &mut state.network.vlans;
            vlans.push(BridgeVlan { link: end.link, vlan, pvid: true, untagged: true });
            vlans.sort_by_key(|vlan| (vlan.link, vlan.vlan));
        }
    }
    settle(snapshot);
    Some(())
}

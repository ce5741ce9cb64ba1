//! What nobody uses: namespaces with nothing in them, cables that nothing goes by.

use nslab_kernel::link::{IfIndex, Link};
use nslab_kernel::route::RouteAction;
use nslab_snapshot::{Name, Peer, State, Where};

use super::{Fault, Group, Host, Place, Severity};
use crate::Code;
use crate::l2::Port;

/// What the kernel puts into every namespace when the module of a tunnel is loaded (`net.core.fb_tunnels_only_for_init_net`,
/// networking/ip-sysctl.rst).
const FALLBACK_TUNNELS: [&str; 9] =
    ["tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0"];

/// Namespaces that a file keeps, with no process, no socket and nothing but `lo` in them, and of no lab.
pub(super) fn namespaces(host: &Host<'_>, faults: &mut Vec<Fault>) {
    for (namespace, state) in host.states() {
        let space = &host.snapshot.namespaces[namespace];
        let is_kept = space.names.iter().all(|name| matches!(name, Name::Netns(_) | Name::Pinned(_)));
        let is_empty = state
            .network
            .links
            .iter()
            .all(|link| link.loopback || FALLBACK_TUNNELS.contains(&link.name.as_str()));
        if !is_kept || !is_empty || space.process_count > 0 || !state.sockets.is_empty() {
            continue;
        }
        let ns = host.name(namespace);
        let fix = space.names.iter().find_map(|name| match name {
            Name::Netns(name) => Some(format!("ip netns delete {name}")),
            _ => None,
        });
        faults.push(Fault {
            severity: Severity::Note,
            code: Code::NamespaceUnused,
            text: format!("nothing is in {ns}"),
            places: vec![Place { namespace, ns, link: None, object: String::new() }],
            evidence: vec!["no process, no socket, no interface but lo".to_owned()],
            fix: fix.into_iter().collect(),
        });
    }
}

/// Ends of cables that have no address and no master, and that no route, rule or other interface goes by: in what people made
/// by hand, and beside the bridges of labs. Programs may all the same take what comes there.
pub(super) fn cables(host: &Host<'_>, faults: &mut Vec<Fault>) {
    for (namespace, state) in host.states() {
        let by_hand = host.group(namespace) == Some(Group::ByHand);
        let is_switch = state.network.links.iter().any(|link| link.as_bridge().is_some());
        let is_meant = by_hand || is_switch && host.group(namespace).is_some();
        if !is_meant {
            continue;
        }
        for link in state.network.links.iter().filter(|link| link.is_veth()) {
            let at = Port { namespace, link: link.index };
            // One whose other end is not seen is told in its own right.
            let Some(Peer { namespace: Where::Namespace(there), lower, .. }) = state.peer(link.index) else {
                continue;
            };
            let far = Port { namespace: there, link: lower };
            let Some((far_state, far_link)) = host.state(there).zip(host.link(far)) else { continue };
            if is_used(host, state, at, link) {
                continue;
            }
            let (here, other) = (host.port(at), host.port(far));
            let (severity, text, fix) = if is_used(host, far_state, far, far_link) {
                let text = format!(
                    "{here} has no address and is in no bridge: whoever is at its other end {other} reaches nobody"
                );
                (Severity::Warning, text, Vec::new())
            } else if by_hand && (at < far || host.group(there) != Some(Group::ByHand)) {
                let fix = host.command(namespace, &format!("ip link delete {}", link.name));
                (Severity::Note, format!("nothing goes by the cable {here} – {other}"), vec![fix])
            } else {
                continue;
            };
            faults.push(Fault {
                severity,
                code: Code::VethStale,
                text,
                places: vec![host.place(at), host.place(far)],
                evidence: vec![format!("{here}: no address, no bridge, no route, no filter")],
                fix,
            });
        }
    }
}

/// Whether anything shows that packets go by an interface.
fn is_used(host: &Host<'_>, state: &State, at: Port, link: &Link) -> bool {
    let network = &state.network;
    let is_link_local = |address: std::net::IpAddr| matches!(address, std::net::IpAddr::V6(address) if address.is_unicast_link_local());
    let by = |hop: Option<IfIndex>| hop == Some(at.link);
    let routed = network.routes.iter().any(|route| match &route.action {
        RouteAction::Forward(hops) => {
            // Those that come with the interface do not count.
            !is_link_local(route.to.addr()) && hops.iter().any(|hop| by(hop.link))
        }
        _ => false,
    });
    let chains = state.nftables.tables.iter().flat_map(|table| &table.chains);
    let mut devices = chains.filter_map(|chain| chain.base.as_ref()).flat_map(|base| &base.devices);
    link.master.is_some()
        || link.xdp.is_some()
        || routed
        || network.addresses.iter().any(|own| own.link == at.link && !is_link_local(own.address.addr()))
        || network.queues.filters.iter().any(|filter| filter.link == at.link)
        || devices.any(|device| link.answers_to(device))
        || !host.wiring.above(at).is_empty()
}

//! Where to watch for a packet, and for what.

use std::collections::HashSet;
use std::time::Duration;

use nslab_kernel::link::LinkKind;
use nslab_kernel::nftables::{Table, trace::TraceTable};
use nslab_kernel::qdisc::QdiscKind;
use nslab_observe::trace::Options;
use nslab_predict::{Prediction, Transport};
use nslab_snapshot::{Contents, Snapshot, Where};

/// Protocols of IP of tunnels: IPv4 and IPv6 in IP, GRE.
const TUNNELS: [u8; 3] = [4, 41, 47];

/// How long to wait for what may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// At most so long.
    pub limit: Duration,
    /// Where nothing on the way delays packets, what is to happen happens within this time.
    pub quiet: Duration,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { limit: Options::default().limit, quiet: Duration::from_millis(250) }
    }
}

/// The namespaces that a packet can get to: those that cables, and what lies on them, lead to. Their places in the snapshot.
pub fn near(snapshot: &Snapshot, source: usize, meant: Option<usize>) -> Vec<usize> {
    // Either way: what lies on a link of another namespace, a macvlan say, names it and is not named by it.
    let mut joined: Vec<Vec<usize>> = vec![Vec::new(); snapshot.namespaces.len()];
    for (place, space) in snapshot.namespaces.iter().enumerate() {
        for peer in space.state().into_iter().flat_map(|state| &state.peers) {
            if let Where::Namespace(other) = peer.namespace {
                joined[place].push(other);
                joined[other].push(place);
            }
        }
    }
    let mut found: Vec<usize> =
        std::iter::once(source).chain(meant.filter(|&meant| meant != source)).collect();
    let mut known: HashSet<usize> = found.iter().copied().collect();
    let mut next = 0;
    while let Some(&place) = found.get(next) {
        next += 1;
        let others = joined[place].iter().copied();
        found.extend(
            others.filter(|&other| snapshot.namespaces[other].state().is_some() && known.insert(other)),
        );
    }
    found
}

/// The ports that an answer comes from before NAT puts back the one that was asked. Of other protocols the whole is watched.
fn answer_ports(prediction: &Prediction) -> Vec<u16> {
    let is_udp = matches!(prediction.packet.transport, Transport::Udp { .. });
    if is_udp { prediction.ports.clone() } else { Vec::new() }
}

/// How to trace a packet of which this is predicted through namespaces that are `near`.
pub fn options(snapshot: &Snapshot, near: &[usize], prediction: &Prediction, waiting: Waiting) -> Options {
    let states = || near.iter().filter_map(|&place| snapshot.namespaces[place].state());
    let links = || states().flat_map(|state| &state.network.links);
    let mut vxlan: Vec<u16> = links()
        .filter_map(|link| match &link.kind {
            // The kernel's own default (`drivers/net/vxlan/vxlan_core.c`).
            Some(LinkKind::Vxlan(vxlan)) => Some(vxlan.port.unwrap_or(8472)),
            _ => None,
        })
        .collect();
    vxlan.sort_unstable();
    vxlan.dedup();
    let has_tunnels = links().any(|link| {
        let kind = link.kind.as_ref().map(LinkKind::name);
        // Those that modules bring into every namespace have no far end.
        link.up && matches!(kind, Some("gre" | "gretap" | "ipip" | "sit" | "ip6gre" | "ip6gretap" | "ip6tnl"))
    });
    // Where something on the way may hold a packet back, it is waited for as long as is allowed.
    let delays = has_delays(snapshot, near);
    Options {
        limit: waiting.limit,
        quiet: if delays { waiting.limit } else { waiting.quiet.min(waiting.limit) },
        vxlan,
        tunnels: if has_tunnels { TUNNELS.to_vec() } else { Vec::new() },
        ports: answer_ports(prediction),
        rules: true,
        counters: Vec::new(),
        connect: false,
    }
}

/// Whether something in these namespaces may hold a packet back.
pub fn has_delays(snapshot: &Snapshot, near: &[usize]) -> bool {
    let mut states = near.iter().filter_map(|&place| snapshot.namespaces.get(place)?.state());
    states.any(|state| {
        let mut kinds = state.network.queues.qdiscs.iter().map(|qdisc| &qdisc.kind);
        kinds.any(|kind| {
            !matches!(
                kind,
                QdiscKind::Noqueue | QdiscKind::PfifoFast | QdiscKind::Ingress | QdiscKind::Clsact
            )
        })
    })
}

/// Takes the tables of other traces out of a snapshot, which do nothing to packets; by the namespaces' places.
pub fn take_traces(snapshot: &mut Snapshot) -> Vec<Vec<Table>> {
    let spaces = snapshot.namespaces.iter_mut();
    spaces
        .map(|space| match &mut space.contents {
            Contents::State(state) => {
                state.nftables.tables.extract_if(.., |table| TraceTable::is_one(table)).collect()
            }
            Contents::Unreadable { .. } => Vec::new(),
        })
        .collect()
}

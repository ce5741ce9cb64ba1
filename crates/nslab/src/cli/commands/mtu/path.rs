//! The way of packets, with what each interface of it takes.

use nslab_predict::l2::Port;
use nslab_predict::{Action, Code, Evidence, Network, Prediction, pmtu};

/// An interface on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) at: Port,
    /// What it takes, in bytes.
    pub(super) mtu: u32,
    /// What tunnels put around the packet there, in bytes.
    pub(super) overhead: u32,
    /// The packet ends here, or nowhere else is less room.
    pub(super) narrow: bool,
}

/// The interfaces by which the largest packet goes that gets through, else as far as it gets.
pub(super) fn stages(network: &Network<'_>, predicted: &pmtu::PathMtu) -> Vec<Stage> {
    let way = predicted.largest.as_ref().unwrap_or(&predicted.least);
    let narrow: Vec<Port> = predicted.rungs.iter().filter_map(|rung| narrow(network, rung)).collect();
    let mut overheads: Vec<u32> = Vec::new();
    let mut stages: Vec<Stage> = Vec::new();
    for hop in &way.hops {
        let Some(link) = hop.link else { continue };
        let at = Port { namespace: hop.namespace, link };
        match hop.action {
            Action::Encapsulate => overheads.push(overhead(network, at)),
            Action::Decapsulate => drop(overheads.pop()),
            Action::Send | Action::Receive if stages.last().is_none_or(|last| last.at != at) => {
                let state = network.snapshot.namespaces.get(at.namespace).and_then(|space| space.state());
                let Some(link) = state.and_then(|state| state.link(link)) else { continue };
                // What a tunnel carries may be of another version than the tunnel.
                let ipv6 = overheads.is_empty() && way.packet.is_ipv6();
                stages.push(Stage {
                    at,
                    mtu: pmtu::link_mtu(link, ipv6),
                    overhead: overheads.iter().sum(),
                    narrow: narrow.contains(&at),
                });
            }
            _ => {}
        }
    }
    stages
}

/// What the tunnel at an interface puts around packets.
fn overhead(network: &Network<'_>, at: Port) -> u32 {
    let Some(end) = network.wiring.tunnel_ends().iter().find(|end| end.at == at) else { return 0 };
    let v6 = end.local.or(end.remote).is_some_and(|address| address.is_ipv6());
    end.carrier.growth() + if v6 { 40 } else { 20 }
}

/// Where a packet is too big.
pub(super) fn narrow(network: &Network<'_>, prediction: &Prediction) -> Option<Port> {
    let cause = prediction.cause.as_ref()?;
    match cause.code {
        // The cause is what loses the error; the packet stopped before.
        Code::PmtuBlackhole => {
            let stop = prediction.hops.iter().rev().find(|hop| hop.action == Action::Stop)?;
            let state = network.snapshot.namespaces.get(stop.namespace)?.state()?;
            Some(Port { namespace: stop.namespace, link: state.link_named(&stop.object)?.index })
        }
        _ if matches!(cause.evidence, Evidence::Mtu { .. }) => {
            Some(Port { namespace: cause.namespace, link: cause.link? })
        }
        _ => None,
    }
}

//! What lies on what, turned round: a link tells what is below it, and a frame must know what is above.

use std::collections::HashMap;

use nslab_snapshot::{Snapshot, Where};

use super::{Port, TunnelEnd};

/// The interfaces that lie on others, by the lower one. Made once for a snapshot.
#[derive(Debug, Default)]
pub struct Wiring {
    above: HashMap<Port, Vec<Port>>,
    tunnel_ends: Vec<TunnelEnd>,
}

impl Wiring {
    /// Looks through a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut wiring = Self { tunnel_ends: TunnelEnd::all(snapshot), ..Self::default() };
        for (place, namespace) in snapshot.namespaces.iter().enumerate() {
            let Some(state) = namespace.state() else { continue };
            for peer in &state.peers {
                let Where::Namespace(below) = peer.namespace else { continue };
                if state.link(peer.link).is_some_and(|link| !link.is_veth()) {
                    let upper = Port { namespace: place, link: peer.link };
                    let lower = Port { namespace: below, link: peer.lower };
                    wiring.above.entry(lower).or_default().push(upper);
                }
            }
        }
        wiring
    }

    /// The ends of tunnels.
    pub fn tunnel_ends(&self) -> &[TunnelEnd] {
        &self.tunnel_ends
    }

    /// The VLANs, macvlans and so on that lie on an interface.
    pub fn above(&self, port: Port) -> &[Port] {
        self.above.get(&port).map_or(&[], |ports| ports)
    }
}

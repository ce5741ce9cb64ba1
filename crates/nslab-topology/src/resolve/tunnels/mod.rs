//! Tunnels: which belong together, the addresses of their ends in the network below them, and the way there.

mod allowed;
mod pair;
mod routes;
mod underlay;

use std::net::{IpAddr, SocketAddr};

pub(super) use allowed::allowed;
pub(super) use pair::pair;
pub(super) use routes::{check_routes, partial, targets};
pub(super) use underlay::underlay;

use crate::diagnostic::Spanned;
use crate::lab::InterfaceKind;

/// The main table (`RT_TABLE_MAIN`).
const MAIN: u32 = 254;

/// What is below a tunnel.
#[derive(Default)]
pub(crate) struct Underlay {
    /// The local end's address.
    pub(crate) local: Option<IpAddr>,
    /// The remote ends' addresses.
    pub(crate) remotes: Vec<Spanned<IpAddr>>,
    /// Of a WireGuard interface: its peers, in the order of the file.
    pub(crate) peers: Vec<Peer>,
}

/// A peer of a WireGuard interface.
pub(crate) struct Peer {
    /// Its port.
    pub(crate) port: usize,
    /// Where it is.
    pub(crate) endpoint: Option<SocketAddr>,
}

/// What two ends of a tunnel have in common: type and numbers.
type Signature = (&'static str, u32, u32);

fn signature(kind: &InterfaceKind) -> Option<Signature> {
    Some(match kind {
        InterfaceKind::Vxlan { id, port, .. } | InterfaceKind::Geneve { id, port, .. } => {
            (kind.name(), id.value, u32::from(*port))
        }
        InterfaceKind::Tunnel { key, .. } => (kind.name(), key.unwrap_or_default(), u32::from(key.is_some())),
        InterfaceKind::Wireguard { .. } => (kind.name(), 0, 0),
        _ => return None,
    })
}

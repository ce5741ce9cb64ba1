//! What is not asked for over rtnetlink: programs' interfaces (ioctl), `WireGuard` (generic netlink).

use std::collections::HashSet;

use nslab_kernel::link::{self, LinkKind, SetLink, Tun};
use nslab_kernel::wireguard::{Control, Peer, SetDevice};
use nslab_kernel::{Error as KernelError, tun};
use nslab_types::IfName;

use crate::keys::Keys;
use crate::kinds;
use crate::plan::{InterfaceSettings, LINK_GROUP, WireguardSettings};
use crate::session::Open;

/// Why something was refused, and whether that means that the kernel lacks something.
type Refused = (String, bool);

fn refused(error: &KernelError) -> Refused {
    (error.to_string(), matches!(error, KernelError::Unsupported { .. }))
}

/// Makes a program's interface.
pub(super) fn create_tun(open: &mut Open, name: IfName, settings: &InterfaceSettings) -> Result<(), Refused> {
    let kind = kinds::to_kernel(&settings.kind, |_| Ok(1)).map_err(|reason| (reason, false))?;
    let LinkKind::Tun(wanted) = kind else { return Err(("it is no program's interface".to_owned(), false)) };
    let make = |open: &mut Open| -> Result<(), KernelError> {
        // Until it is marked as ours it goes with the descriptor, also when this process is killed.
        let device = open.namespace.run(|| tun::create(name, Tun { persistent: false, ..wanted }))??;
        let index = link::find_by_name(&mut open.socket, name)?.index;
        open.socket.request(&SetLink {
            index,
            mac: settings.mac,
            mtu: Some(settings.mtu),
            group: Some(LINK_GROUP),
            ..SetLink::default()
        })?;
        tun::persist(&device, name)?;
        open.indexes.insert(name, index);
        Ok(())
    };
    make(open).map_err(|error| refused(&error))
}

/// Sets a `WireGuard` interface of `node`.
pub(super) fn set_wireguard(
    open: &mut Open,
    node: &str,
    link: IfName,
    settings: &WireguardSettings,
    keys: &Keys,
) -> Result<(), Refused> {
    let lacks_key = || (format!("there is no key for {link}"), false);
    let index = *open.indexes.get(&link).ok_or_else(|| (format!("there is no interface {link}"), false))?;
    let peers: Option<Vec<Peer>> = settings
        .peers
        .iter()
        .map(|peer| {
            Some(Peer {
                key: keys.public(&peer.node, peer.interface)?,
                endpoint: peer.endpoint,
                allowed: peer.allowed.clone(),
                keepalive: peer.keepalive,
            })
        })
        .collect();
    let peers = peers.ok_or_else(lacks_key)?;
    let key = Some(keys.private(node, link).ok_or_else(lacks_key)?);
    let set = |open: &mut Open| -> Result<(), KernelError> {
        let mut control = open.namespace.run(Control::open)??;
        let wanted: HashSet<_> = peers.iter().map(|peer| peer.key).collect();
        // Those that stay keep their sessions.
        let shown = control.get(index)?.peers.into_iter().map(|peer| peer.key);
        let gone = shown.filter(|key| !wanted.contains(key)).collect();
        let listen_port = settings.port;
        control.set(&SetDevice { link: index, key, listen_port, peers, gone, replace: false })
    };
    set(open).map_err(|error| refused(&error))
}

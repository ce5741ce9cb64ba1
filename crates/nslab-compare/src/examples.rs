//! What tests take for a host and for something that was seen.

use nslab_decode::Flow;
use nslab_kernel::NamespaceId;
use nslab_kernel::packet::PacketKind;
use nslab_observe::trace::{Captured, Role, Seen};
use nslab_predict::{Action, Hop};
use nslab_snapshot::{Contents, FORMAT, Machine, Name, Namespace, Snapshot};

/// A host of which nothing is known.
pub(crate) fn host() -> Snapshot {
    let host = Namespace {
        id: NamespaceId { device: 1, inode: 1 },
        names: vec![Name::Host],
        processes: Vec::new(),
        other_processes: Vec::new(),
        process_count: 0,
        contents: Contents::Unreadable { why: String::new() },
    };
    let machine = Machine { name: String::new(), kernel: String::new() };
    Snapshot { format: FORMAT, taken_at: 0, machine, namespaces: vec![host] }
}

/// Something that is predicted at an interface of that host.
pub(crate) fn hop(link: u32, action: Action) -> Hop {
    Hop { namespace: 0, link: Some(link), action, object: format!("if{link}"), detail: String::new() }
}

/// A packet that comes in at an interface, or goes out there if it is `sent`.
pub(crate) fn seen(role: Role, flow: Flow, link: u32, sent: bool) -> Seen {
    let frame = Captured {
        time: 0,
        length: 0,
        bytes: Vec::new(),
        network: 0,
        kind: PacketKind::Host,
        hardware: 1,
        protocol: 0x800,
        vlan: None,
        checksum_pending: false,
    };
    Seen {
        role,
        link,
        name: format!("if{link}"),
        sent,
        for_others: false,
        in_tunnel: false,
        flow,
        ttl: 64,
        fragment: None,
        frame,
    }
}

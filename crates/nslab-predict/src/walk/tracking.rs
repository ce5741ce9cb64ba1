//! Connection tracking of the namespaces on the way (`nf_conntrack_in`, `net/netfilter/nf_conntrack_core.c`).

use nslab_kernel::nftables::{CtDirection, CtStatus, Family};
use nslab_snapshot::State;

use super::run::{Phase, Run};
use crate::nft::{self, Connection, Tracking, inverted, tracks_connections, tuple};
use crate::{Packet, Transport};

/// `IPS_SEEN_REPLY` and `IPS_CONFIRMED` (`include/uapi/linux/netfilter/nf_conntrack_common.h`).
const SEEN_REPLY: u32 = 1 << 1;
const CONFIRMED: u32 = 1 << 3;

/// What the namespace's connection tracking makes of a packet that it sees for the first time; `established` if the packet belongs
/// to a connection that exists.
pub(super) fn look_up(run: &Run, state: &State, family: Family, established: bool) -> Tracking {
    if !tracks_connections(&state.nftables, family) {
        return Tracking::None;
    }
    if let Phase::Error(refused) = &run.phase
        && matches!(run.packet.transport, Transport::Icmp { .. })
    {
        return related(run, &refused.quoted);
    }
    let own = tuple(&run.packet);
    for connection in of(run) {
        let direction = if connection.original == own {
            CtDirection::Original
        } else if connection.reply == own {
            CtDirection::Reply
        } else {
            continue;
        };
        let mut connection = connection.clone();
        connection.direction = direction;
        if direction == CtDirection::Reply {
            connection.state = nft::State::Established;
            connection.status = connection.status.map(|status| CtStatus(status.0 | SEEN_REPLY | CONFIRMED));
        }
        return Tracking::Connection(connection);
    }
    Connection::begun_by(&run.packet).map_or(Tracking::None, |begun| {
        // One that exists already is known here too, though rules would not let it begin any more.
        let state = if established { nft::State::Established } else { begun.state };
        Tracking::Connection(Connection { state, ..begun })
    })
}

/// The connections of the namespace that the packet is in.
fn of(run: &Run) -> impl Iterator<Item = &Connection> {
    run.connections.iter().filter(|(namespace, _)| *namespace == run.namespace).map(|(_, known)| known)
}

/// An ICMP error belongs to the connection of the packet that it quotes (`nf_conntrack_inet_error`).
fn related(run: &Run, quoted: &Packet) -> Tracking {
    let Some(back) = inverted(&tuple(quoted)) else { return Tracking::None };
    let found = of(run).find_map(|connection| {
        let direction = if connection.original == back {
            CtDirection::Original
        } else if connection.reply == back {
            CtDirection::Reply
        } else {
            return None;
        };
        Some(Connection { direction, state: nft::State::Related, ..connection.clone() })
    });
    found.map_or(Tracking::None, Tracking::Connection)
}

/// What an error or reset is to the connection of the packet that it is about, whose tracking it inherits
/// (`nf_ct_attach`).
pub(super) fn attached(tracking: &Tracking) -> Tracking {
    match tracking {
        Tracking::Connection(connection) => {
            let direction = match connection.direction {
                CtDirection::Original => CtDirection::Reply,
                CtDirection::Reply => CtDirection::Original,
            };
            Tracking::Connection(Connection { direction, state: nft::State::Related, ..connection.clone() })
        }
        other => other.clone(),
    }
}

/// Whether answers to it would be taken for answers to another connection of the namespace: address translation then takes another
/// port (`nf_nat_used_tuple`, `net/netfilter/nf_nat_core.c`).
pub(super) fn clashes(run: &Run) -> bool {
    let Tracking::Connection(own) = &run.tracking else { return false };
    own.direction == CtDirection::Original
        && of(run).any(|other| other.reply == own.reply && other.original != own.original)
}

/// The namespace is through with the packet: its connection is known from now on (`nf_conntrack_confirm`), and what an error
/// quotes looks as it does on the other side.
pub(super) fn confirm(run: &mut Run) {
    let Tracking::Connection(connection) = &run.tracking else { return };
    if let Phase::Error(refused) = &mut run.phase
        && matches!(run.packet.transport, Transport::Icmp { .. })
    {
        let other = match connection.direction {
            CtDirection::Original => &connection.reply,
            CtDirection::Reply => &connection.original,
        };
        refused.quoted.ip.source = other.source;
        refused.quoted.ip.destination = other.destination;
        if let nslab_kernel::conntrack::Keys::Ports { source, destination } = other.keys {
            match &mut refused.quoted.transport {
                Transport::Tcp(tcp) => (tcp.source, tcp.destination) = (source, destination),
                Transport::Udp { source: from, destination: to } => (*from, *to) = (source, destination),
                _ => {}
            }
        }
        if let (nslab_kernel::conntrack::Keys::Icmp { id, .. }, Transport::Icmp { id: quoted, .. }) =
            (other.keys, &mut refused.quoted.transport)
        {
            *quoted = id;
        }
        return;
    }
    let mut connection = connection.clone();
    connection.status = connection.status.map(|status| CtStatus(status.0 | CONFIRMED));
    let namespace = run.namespace;
    let known = run
        .connections
        .iter_mut()
        .find(|(place, known)| *place == namespace && known.original == connection.original);
    match known {
        Some((_, known)) => *known = connection,
        None => run.connections.push((namespace, connection)),
    }
}

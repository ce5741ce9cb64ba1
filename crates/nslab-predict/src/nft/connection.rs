//! A packet's connection, as conntrack shows it to rules.

use std::net::IpAddr;

use nslab_kernel::conntrack::{Keys, Tuple};
use nslab_kernel::nftables::{CtDirection, CtState, CtStatus};
use serde::Serialize;

use crate::{Doubt, Packet, Tcp, Transport};

/// What connection tracking makes of a packet (`nf_ct_get`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tracking {
    /// Nothing: it has not been seen yet, connections are not tracked here, or none can be made of it. To rules all of
    /// these are `ct state invalid`.
    None,
    /// A rule says that it is not to be tracked.
    Untracked,
    /// It belongs to a connection.
    Connection(Connection),
    /// That is not known.
    Unknown(Doubt),
}

/// What a packet is to its connection (`enum ip_conntrack_info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing has come back yet.
    New,
    /// Packets went both ways.
    Established,
    /// It begins an expected connection, or is an ICMP error about this one.
    Related,
}

impl State {
    /// The bit that rules match.
    pub fn bit(self) -> CtState {
        match self {
            Self::New => CtState::NEW,
            Self::Established => CtState::ESTABLISHED,
            Self::Related => CtState::RELATED,
        }
    }
}

/// A packet's connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// What the packet is to it.
    pub state: State,
    /// Which way the packet goes.
    pub direction: CtDirection,
    /// The first packet before NAT.
    pub original: Tuple,
    /// What its answers look like.
    pub reply: Tuple,
    /// Why the addresses of `reply` are not known, where NAT chooses by chance; it then holds one of the choices.
    pub address_doubt: Option<Doubt>,
    /// The same of the ports or identifier.
    pub port_doubt: Option<Doubt>,
    /// Its mark, where that is known.
    pub mark: Option<u32>,
    /// What became of it (`IPS_*`), where that is known.
    pub status: Option<CtStatus>,
    /// Its zone.
    pub zone: u16,
    /// It has been decided whether the source is translated (`IPS_SRC_NAT_DONE`), and so no chain is asked any more.
    pub source_decided: bool,
    /// The same of the destination (`IPS_DST_NAT_DONE`).
    pub destination_decided: bool,
}

impl Connection {
    /// The connection that a packet begins; none of what conntrack makes no connection of: ICMP other than requests
    /// (`nf_conntrack_icmp_packet`, `nf_conntrack_icmpv6_packet`), and segments of TCP that come out of the blue, but for plain ones
    /// (`tcp_new`, `net/netfilter/nf_conntrack_proto_tcp.c`, with `nf_conntrack_tcp_loose` as it is by default).
    pub fn begun_by(packet: &Packet) -> Option<Self> {
        let begins = match packet.transport {
            Transport::Icmp { kind, .. } if packet.is_ipv6() => matches!(kind, 128 | 139),
            Transport::Icmp { kind, .. } => matches!(kind, 8 | 13 | 15 | 17),
            Transport::Tcp(tcp) => match tcp.flags & (Tcp::SYN | Tcp::ACK | Tcp::RST | Tcp::FIN) {
                Tcp::SYN => true,
                flags => flags == Tcp::ACK,
            },
            _ => true,
        };
        if !begins {
            return None;
        }
        let original = tuple(packet);
        let reply = inverted(&original)?;
        Some(Self {
            state: State::New,
            direction: CtDirection::Original,
            original,
            reply,
            address_doubt: None,
            port_doubt: None,
            mark: Some(0),
            status: Some(CtStatus::empty()),
            zone: 0,
            source_decided: false,
            destination_decided: false,
        })
    }

    /// What a packet that goes this way looks like once all NAT is done.
    pub(super) fn translated(&self) -> Option<Tuple> {
        match self.direction {
            CtDirection::Original => inverted(&self.reply),
            CtDirection::Reply => inverted(&self.original),
        }
    }

    pub(super) fn tuple(&self, direction: CtDirection) -> &Tuple {
        match direction {
            CtDirection::Original => &self.original,
            CtDirection::Reply => &self.reply,
        }
    }
}

/// A packet's own tuple (`nf_ct_get_tuple`).
pub fn tuple(packet: &Packet) -> Tuple {
    let keys = match packet.transport {
        Transport::Icmp { kind, code, id } => Keys::Icmp { kind, code, id },
        _ => packet.ports().map_or(Keys::None, |(source, destination)| Keys::Ports { source, destination }),
    };
    Tuple { source: packet.ip.source, destination: packet.ip.destination, protocol: packet.protocol(), keys }
}

/// The tuple of the answers (`nf_ct_invert_tuple`); none of ICMP that has none.
pub fn inverted(tuple: &Tuple) -> Option<Tuple> {
    let keys = match tuple.keys {
        Keys::Ports { source, destination } => Keys::Ports { source: destination, destination: source },
        Keys::Icmp { kind, code, id } => Keys::Icmp { kind: answer(kind, tuple.source)?, code, id },
        Keys::None => Keys::None,
    };
    Some(Tuple { source: tuple.destination, destination: tuple.source, protocol: tuple.protocol, keys })
}

/// The type of ICMP that answers another, and that it answers (`nf_conntrack_invert_icmp_tuple`, `…_icmpv6_tuple`).
fn answer(kind: u8, of: IpAddr) -> Option<u8> {
    Some(match (of, kind) {
        (IpAddr::V4(_), 8) => 0,
        (IpAddr::V4(_), 0) => 8,
        (IpAddr::V4(_), 13 | 15 | 17) | (IpAddr::V6(_), 128 | 139) => kind + 1,
        (IpAddr::V4(_), 14 | 16 | 18) | (IpAddr::V6(_), 129 | 140) => kind - 1,
        _ => return None,
    })
}

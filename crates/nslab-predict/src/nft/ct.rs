//! What is known of a packet's connection (`nft_ct_get_eval`, `nft_ct_set_eval`).

use std::net::IpAddr;
use std::rc::Rc;

use nslab_kernel::conntrack::{Keys, Tuple};
use nslab_kernel::nftables::{CtDirection, CtKey, CtState};

use super::bits::Term;
use super::connection::{Connection, State, Tracking};
use super::logic::doubt;
use super::payload::Load;
use super::run::Core;

pub(super) fn load(core: &Core, key: CtKey, direction: Option<CtDirection>) -> Load {
    let word = |value: u32| Load::Term(Term::word(value));
    let connection = match &core.tracking {
        Tracking::Connection(connection) => connection,
        Tracking::None if key == CtKey::State => return word(CtState::INVALID.0),
        Tracking::Untracked if key == CtKey::State => return word(CtState::UNTRACKED.0),
        Tracking::None | Tracking::Untracked => return Load::Break,
        Tracking::Unknown(why) if key == CtKey::State => {
            return Load::Term(Term::unknown(4, Rc::new(why.clone())));
        }
        Tracking::Unknown(why) => return Load::Perhaps(Term::unknown(16, Rc::new(why.clone()))),
    };
    let unknown = |len| Term::unknown(len, doubt(format!("ct {key}"), "The entry of connection tracking."));
    match key {
        CtKey::State => word(connection.state.bit().0),
        CtKey::Direction => Load::Term(Term::known(&[u8::from(connection.direction == CtDirection::Reply)])),
        CtKey::Status => match connection.status {
            Some(status) => word(status.0),
            None => Load::Term(unknown(4)),
        },
        CtKey::Mark => match connection.mark {
            Some(mark) => word(mark),
            None => Load::Term(unknown(4)),
        },
        // A helper is that of the connection by which this one was expected.
        CtKey::Helper if connection.state == State::New => Load::Break,
        CtKey::L3Protocol => {
            Load::Term(Term::known(&[if connection.original.source.is_ipv4() { 2 } else { 10 }]))
        }
        CtKey::L4Protocol => Load::Term(Term::known(&[connection.original.protocol])),
        CtKey::Zone => Load::Term(Term::known(&connection.zone.to_ne_bytes())),
        CtKey::Labels => Load::Term(unknown(16)),
        CtKey::SecurityMark | CtKey::Expiration | CtKey::EventMask | CtKey::Id => Load::Term(unknown(4)),
        CtKey::Packets | CtKey::Bytes | CtKey::AveragePacket => Load::Term(unknown(8)),
        CtKey::Helper | CtKey::Other(_) => Load::Perhaps(unknown(16)),
        _ => of_tuple(connection, key, direction.unwrap_or(CtDirection::Original)),
    }
}

/// Addresses and ports of one direction.
fn of_tuple(connection: &Connection, key: CtKey, direction: CtDirection) -> Load {
    let tuple = connection.tuple(direction);
    let wanted = match key {
        CtKey::SourceIp | CtKey::DestinationIp => Some(false),
        CtKey::SourceIp6 | CtKey::DestinationIp6 => Some(true),
        _ => None,
    };
    if wanted.is_some_and(|ipv6| ipv6 != tuple.source.is_ipv6()) {
        return Load::Break;
    }
    let (source, destination) = ports(tuple);
    let bytes = match key {
        CtKey::Source | CtKey::SourceIp | CtKey::SourceIp6 => octets(tuple.source),
        CtKey::Destination | CtKey::DestinationIp | CtKey::DestinationIp6 => octets(tuple.destination),
        CtKey::SourcePort => source.to_vec(),
        _ => destination.to_vec(),
    };
    let of_port = matches!(key, CtKey::SourcePort | CtKey::DestinationPort);
    let why = if of_port { &connection.port_doubt } else { &connection.address_doubt };
    Load::Term(match why {
        Some(why) if direction == CtDirection::Reply => Term::unknown(bytes.len(), Rc::new(why.clone())),
        _ => Term::known(&bytes),
    })
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// `src.u.all` and `dst.u.all` of a tuple (`include/net/netfilter/nf_conntrack_tuple.h`).
fn ports(tuple: &Tuple) -> ([u8; 2], [u8; 2]) {
    match tuple.keys {
        Keys::Ports { source, destination } => (source.to_be_bytes(), destination.to_be_bytes()),
        Keys::Icmp { kind, code, id } => (id.to_be_bytes(), [kind, code]),
        Keys::None => ([0; 2], [0; 2]),
    }
}

/// What sets something of the connection; without one it does nothing. Nothing is told where the key is not known.
pub(super) fn store(core: &mut Core, key: CtKey, value: &Term) -> bool {
    match (key, &mut core.tracking) {
        (CtKey::Mark, Tracking::Connection(connection)) => connection.mark = value.to_word(),
        (CtKey::Zone, Tracking::None) => match value.bits.array().map(u16::from_ne_bytes) {
            Some(zone) => core.zone = Some(zone),
            None => return false,
        },
        (CtKey::Zone, Tracking::Unknown(_)) | (CtKey::Other(_), _) => return false,
        _ => {}
    }
    true
}

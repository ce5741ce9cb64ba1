//! What is remembered of connections, so that sequence numbers are told from their beginning.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::layers::ip::Ends;
use crate::layers::{Tcp, TcpFlags};

/// As many connections are remembered; then all are forgotten, and numbers are from then on.
const MOST: usize = 65_536;

/// The beginnings of the connections that were seen.
#[derive(Debug, Default)]
pub struct Conversations {
    known: HashMap<Key, Beginning>,
}

/// Both directions have the same: the lesser end first. In two numbers and both ports, as that is quickly hashed.
type Key = (u128, u128, u32);

fn key(lesser: (IpAddr, u16), greater: (IpAddr, u16)) -> Key {
    let number = |address| match address {
        IpAddr::V4(address) => u128::from(Ipv4Addr::to_ipv6_mapped(&address)),
        IpAddr::V6(address) => u128::from(address),
    };
    (number(lesser.0), number(greater.0), u32::from(lesser.1) << 16 | u32::from(greater.1))
}

/// The sequence numbers from which both directions are told.
#[derive(Debug, Clone, Copy, Default)]
struct Beginning {
    lesser: u32,
    greater: u32,
}

/// What is to be taken off the numbers of one segment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Offset {
    pub(crate) sequence: u32,
    pub(crate) acknowledgement: u32,
    /// Of selective acknowledgements; they are relative already in the segment whose own numbers are not.
    pub(crate) selective: u32,
}

impl Conversations {
    /// As tcpdump does it: the first segment with ACK of a connection, and each with SYN and ACK, has its numbers as they
    /// are, and sets where both directions begin.
    pub(crate) fn offset(&mut self, ends: Ends, tcp: &Tcp<'_>) -> Offset {
        if !tcp.flags.has(TcpFlags::ACK) {
            return Offset::default();
        }
        let from = (ends.source, tcp.source_port);
        let to = (ends.destination, tcp.destination_port);
        let is_greater = from > to;
        let key = if is_greater { key(to, from) } else { key(from, to) };
        let known = self.known.get(&key).copied().filter(|_| !tcp.flags.has(TcpFlags::SYN));
        let beginning = known.unwrap_or_else(|| {
            let (own, other) = (tcp.sequence, tcp.acknowledgement.wrapping_sub(1));
            let (lesser, greater) = if is_greater { (other, own) } else { (own, other) };
            if self.known.len() >= MOST {
                self.known.clear();
            }
            self.known.insert(key, Beginning { lesser, greater });
            Beginning { lesser, greater }
        });
        let Beginning { lesser, greater } = beginning;
        let (sequence, acknowledgement) = if is_greater { (greater, lesser) } else { (lesser, greater) };
        match known {
            Some(_) => Offset { sequence, acknowledgement, selective: acknowledgement },
            None => Offset { sequence: 0, acknowledgement: 0, selective: acknowledgement },
        }
    }
}

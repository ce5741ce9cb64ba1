//! Sockets of a namespace (`NETLINK_SOCK_DIAG`, `include/uapi/linux/inet_diag.h`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::abi::*;
use crate::error::{Error, Result};
use crate::link::IfIndex;
use crate::netlink::{MessageWriter, Reader, Request, Socket};

/// The bytes of `struct inet_diag_msg`.
const HEADER_LEN: usize = 72;
/// Where `struct inet_diag_sockid` begins in it.
const ID: usize = 4;
/// `TCP_ESTABLISHED`, `TCP_CLOSE` and `TCP_LISTEN` (`include/net/tcp_states.h`); sockets of other protocols are in the
/// first once they are connected, and in the second before.
const ESTABLISHED: u8 = 1;
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;

/// What a socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Raw IP, of the protocol [`InetSocket::raw_protocol`].
    Raw,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Raw];

    fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Raw => 255,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Raw => "raw",
        })
    }
}

/// What a socket is about to do with packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It takes what comes from anybody: a listening socket of TCP, an unconnected one of others.
    Open,
    /// It has one partner.
    Connected,
    /// Something else, by the kernel's number for states of TCP.
    #[serde(untagged)]
    Other(u8),
}

/// A socket of TCP, UDP or raw IP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InetSocket {
    /// What it speaks.
    pub protocol: Protocol,
    /// The protocol number of a raw one; 0 of others.
    #[serde(default)]
    pub raw_protocol: u8,
    /// What it takes.
    pub state: State,
    /// The address it is bound to; the unspecified one takes packets to any. `::` takes those to IPv4 addresses too,
    /// unless it is [`InetSocket::only_v6`].
    pub address: IpAddr,
    /// Its port; 0 where there is none, or none yet.
    pub port: u16,
    /// Its partner, if it has one.
    pub peer: Option<(IpAddr, u16)>,
    /// The only interface (or VRF) that it takes packets from.
    pub link: Option<IfIndex>,
    /// An IPv6 one that takes no IPv4 (`IPV6_V6ONLY`).
    pub only_v6: bool,
    /// The user who made it.
    pub uid: u32,
    /// The number of its file, as in `socket:[123]` below `/proc/PID/fd`; 0 if no file leads to it any more.
    pub inode: u32,
}

impl InetSocket {
    /// Whether packets to `address` may be for it: bound to that address, or to any of its family.
    pub fn takes(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (own, other) if own == other => true,
            (IpAddr::V4(own), IpAddr::V4(_)) => own.is_unspecified(),
            (IpAddr::V6(own), IpAddr::V6(_)) => own.is_unspecified(),
            (IpAddr::V6(own), IpAddr::V4(other)) => {
                !self.only_v6 && (own.is_unspecified() || own.to_ipv4_mapped() == Some(other))
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }
}

/// `SOCK_DIAG_BY_FAMILY` for the sockets of a protocol in some states.
struct GetSockets {
    ipv6: bool,
    protocol: Protocol,
    states: u32,
}

impl fmt::Display for GetSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "list {} sockets of IPv{}", self.protocol, if self.ipv6 { 6 } else { 4 })
    }
}

impl Request for GetSockets {
    fn message_type(&self) -> u16 {
        SOCK_DIAG_BY_FAMILY
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        // struct inet_diag_req_v2: family, protocol, wanted attributes, padding, states, and a socket that is any.
        let mut header = [0; 56];
        header[0] = if self.ipv6 { AF_INET6 } else { AF_INET };
        header[1] = self.protocol.number();
        header[4..8].copy_from_slice(&self.states.to_ne_bytes());
        message.header(&header);
    }
}

/// The sockets that take packets from anybody, in the namespace that `socket` (of
/// [`netlink::Protocol::SockDiag`](crate::netlink::Protocol::SockDiag)) belongs to: by protocol, family, port, address.
/// A protocol that the kernel cannot list (`CONFIG_INET_DIAG`, `CONFIG_INET_UDP_DIAG`, `CONFIG_INET_RAW_DIAG`) is in the
/// second list.
pub fn listeners(socket: &mut Socket) -> Result<(Vec<InetSocket>, Vec<Protocol>)> {
    list(socket, |protocol| match protocol {
        Protocol::Tcp => 1 << LISTEN,
        Protocol::Udp | Protocol::Raw => 1 << CLOSE,
    })
}

/// The same with those that have a partner.
pub fn all(socket: &mut Socket) -> Result<(Vec<InetSocket>, Vec<Protocol>)> {
    list(socket, |_| u32::MAX)
}

fn list(socket: &mut Socket, states: impl Fn(Protocol) -> u32) -> Result<(Vec<InetSocket>, Vec<Protocol>)> {
    let (mut sockets, mut unknown) = (Vec::new(), Vec::new());
    for protocol in Protocol::ALL {
        for ipv6 in [false, true] {
            let request = GetSockets { ipv6, protocol, states: states(protocol) };
            let listed = socket.dump("sockets", &request, |kind, payload| {
                Ok((kind == SOCK_DIAG_BY_FAMILY).then(|| parse(protocol, payload)).flatten())
            });
            match listed {
                Ok(listed) => sockets.extend(listed),
                // Nobody answers for the protocol (`inet_diag_lock_handler`, net/ipv4/inet_diag.c).
                Err(Error::Refused { refusal, .. })
                    if matches!(refusal.errno, Errno::NOENT | Errno::INVAL | Errno::OPNOTSUPP) =>
                {
                    if !unknown.contains(&protocol) {
                        unknown.push(protocol);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
    sockets.sort_by_key(|socket| (socket.protocol, socket.address.is_ipv6(), socket.port, socket.address));
    Ok((sockets, unknown))
}

/// Reads the payload of an answer; none if its family is neither IPv4 nor IPv6.
pub(crate) fn parse(protocol: Protocol, payload: &[u8]) -> Option<InetSocket> {
    let header = Reader::new(payload);
    let address = |offset: usize| -> Option<IpAddr> {
        match header.u8(0) {
            AF_INET => Some(Ipv4Addr::from(*payload.get(offset..)?.first_chunk::<4>()?).into()),
            AF_INET6 => Some(Ipv6Addr::from(*payload.get(offset..)?.first_chunk::<16>()?).into()),
            _ => None,
        }
    };
    let port = |offset| u16::from_be(header.u16(offset));
    let state = match header.u8(1) {
        ESTABLISHED => State::Connected,
        LISTEN => State::Open,
        CLOSE if protocol != Protocol::Tcp => State::Open,
        other => State::Other(other),
    };
    let attributes = header.attributes(HEADER_LEN);
    let (peer, peer_port) = (address(ID + 20)?, port(ID + 2));
    let raw = protocol == Protocol::Raw;
    let own_protocol = || attributes.get(INET_DIAG_PROTOCOL).and_then(|protocol| protocol.u8());
    Some(InetSocket {
        protocol,
        // Of a raw socket the "port" is the protocol number.
        raw_protocol: if raw { own_protocol().unwrap_or_else(|| port(ID).to_be_bytes()[1]) } else { 0 },
        state,
        address: address(ID + 4)?,
        port: if raw { 0 } else { port(ID) },
        peer: (!peer.is_unspecified() || peer_port != 0).then_some((peer, peer_port)),
        link: Some(header.u32(ID + 36)).filter(|&index| index != 0),
        only_v6: attributes.get(INET_DIAG_SKV6ONLY).and_then(|only| only.u8()).is_some_and(|only| only != 0),
        uid: header.u32(64),
        inode: header.u32(68),
    })
}

//! A packet, as the kernel carries it.

use std::net::IpAddr;

use serde::Serialize;

/// An IP packet with what the kernel knows of it besides.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Packet {
    /// The IP header.
    pub ip: Ip,
    /// What is in it.
    pub transport: Transport,
    /// The packet's mark (`skb->mark`), which it loses when it leaves a namespace.
    pub mark: u32,
}

/// The IP header. Both addresses are of one family.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Ip {
    /// Where it comes from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// The TTL, or hop limit.
    pub ttl: u8,
    /// The type of service with its two ECN bits, or the traffic class.
    pub tos: u8,
    /// It may not be fragmented on the way; IPv6 never is.
    pub dont_fragment: bool,
    /// Its whole length in bytes, IP header and all.
    pub size: u32,
}

/// What is in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp(Tcp),
    /// UDP.
    Udp {
        /// The sender's port.
        source: u16,
        /// The receiver's port.
        destination: u16,
    },
    /// ICMP, or ICMPv6 in an IPv6 packet.
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// The identifier of an echo; of others the two bytes in its place.
        id: u16,
    },
    /// Another protocol, by its number.
    Other(u8),
}

/// The TCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Tcp {
    /// The sender's port.
    pub source: u16,
    /// The receiver's port.
    pub destination: u16,
    /// The flags, FIN being the lowest bit (RFC 9293, section 3.1).
    pub flags: u8,
}

impl Tcp {
    /// The flag FIN.
    pub const FIN: u8 = 0x01;
    /// The flag SYN.
    pub const SYN: u8 = 0x02;
    /// The flag RST.
    pub const RST: u8 = 0x04;
    /// The flag ACK.
    pub const ACK: u8 = 0x10;
}

impl Packet {
    /// Whether it is IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.ip.destination.is_ipv6()
    }

    /// The protocol number (`protocol` or `next header`).
    pub fn protocol(&self) -> u8 {
        match self.transport {
            Transport::Tcp(_) => 6,
            Transport::Udp { .. } => 17,
            Transport::Icmp { .. } if self.is_ipv6() => 58,
            Transport::Icmp { .. } => 1,
            Transport::Other(number) => number,
        }
    }

    /// The ports of sender and receiver, of protocols that have them.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match self.transport {
            Transport::Tcp(Tcp { source, destination, .. }) | Transport::Udp { source, destination } => {
                Some((source, destination))
            }
            Transport::Icmp { .. } | Transport::Other(_) => None,
        }
    }
}

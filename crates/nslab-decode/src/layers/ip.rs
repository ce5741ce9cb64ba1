//! What IPv4 and IPv6 have in common: what they carry.

use std::net::IpAddr;

use serde::Serialize;

use crate::data::{Broken, Data};
use crate::layers::{Gre, Icmp, Icmpv6, Ipv4, Ipv6, Tcp, Udp, Walk, gre, icmp, icmp6, ip4, ip6, tcp, udp};

/// Numbers of protocols (include/uapi/linux/in.h, in6.h).
pub mod protocol {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IGMP.
    pub const IGMP: u8 = 2;
    /// IPv4 in IP.
    pub const IPV4: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP.
    pub const IPV6: u8 = 41;
    /// Generic routing encapsulation.
    pub const GRE: u8 = 47;
    /// Encapsulating security payload.
    pub const ESP: u8 = 50;
    /// Authentication header.
    pub const AH: u8 = 51;
    /// `ICMPv6`.
    pub const ICMPV6: u8 = 58;
    /// OSPF.
    pub const OSPF: u8 = 89;
    /// VRRP.
    pub const VRRP: u8 = 112;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// Which piece of a packet this is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Fragment {
    /// By which all pieces of one packet are known, with the addresses: 16 bits of IPv4, 32 of IPv6.
    pub id: u32,
    /// Where it begins in the packet's payload, in bytes.
    pub offset: u16,
    /// Another comes behind.
    pub more: bool,
}

/// What is in an IP packet. As JSON it stands beside the fields of the header, under its name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport<'a> {
    /// TCP.
    Tcp(Tcp<'a>),
    /// UDP.
    Udp(Udp<'a>),
    /// ICMP.
    Icmp(Icmp<'a>),
    /// `ICMPv6`.
    Icmpv6(Icmpv6<'a>),
    /// IPv4 in it.
    #[serde(rename = "inner_ipv4")]
    Ipv4(Box<Ipv4<'a>>),
    /// IPv6 in it.
    #[serde(rename = "inner_ipv6")]
    Ipv6(Box<Ipv6<'a>>),
    /// A packet or a frame in it.
    Gre(Gre<'a>),
    /// A piece of a packet that is not the first, so that it has no header. Whose it is says the `protocol`.
    LaterFragment(Data<'a>),
    /// Something else.
    Payload(Data<'a>),
    /// IPv6 that ends with its headers (`next header` 59).
    Nothing,
    /// What could not be read.
    Broken(Broken),
}

/// What is read at the beginning of an IP packet's payload.
pub(crate) fn transport<'a>(number: u8, data: Data<'a>, is_ipv6: bool, walk: Walk<'_>) -> Transport<'a> {
    let walk = match walk.down() {
        Ok(walk) => walk,
        Err(fault) => return Transport::Broken(Broken::of("ip")(fault)),
    };
    let read = || {
        Ok(match number {
            protocol::TCP => Transport::Tcp(tcp::read(data)?),
            protocol::UDP => Transport::Udp(udp::read(data, walk)?),
            protocol::ICMP => Transport::Icmp(icmp::read(data, walk)?),
            protocol::ICMPV6 if is_ipv6 => Transport::Icmpv6(icmp6::read(data, walk)?),
            protocol::GRE => Transport::Gre(gre::read(data, walk)?),
            protocol::IPV4 => Transport::Ipv4(Box::new(ip4::read(data, walk)?)),
            protocol::IPV6 => Transport::Ipv6(Box::new(ip6::read(data, walk)?)),
            _ => Transport::Payload(data),
        })
    };
    read().unwrap_or_else(Transport::Broken)
}

/// Who a packet is from and to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ends {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
}

//! What IPv4 and IPv6 have in common: what they carry.

use std::net::IpAddr;

use serde::Serialize;

use crate::data::{Broken, Data};
use crate::layers::{
    Gre, Icmp, Icmpv6, Igmp, Ipv4, Ipv6, Sctp, Tcp, Udp, Walk, gre, icmp, icmp6, ip4, ip6, multicast, sctp,
    tcp, udp,
};

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
    /// SCTP.
    Sctp(Sctp<'a>),
    /// IGMP.
    Igmp(Igmp<'a>),
    /// An authenticated packet.
    Authenticated(Authentication<'a>),
    /// An encrypted packet.
    Encrypted {
        /// By which agreement.
        spi: u32,
        /// Its number.
        sequence: u32,
        /// All of it.
        data: Data<'a>,
    },
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
            protocol::SCTP => Transport::Sctp(sctp::read(data)?),
            protocol::IGMP if !is_ipv6 => Transport::Igmp(multicast::read(data)?),
            protocol::ESP => {
                let [s0, s1, s2, s3, n0, n1, n2, n3] = *data.header().map_err(Broken::of("esp"))?;
                let (spi, sequence) =
                    (u32::from_be_bytes([s0, s1, s2, s3]), u32::from_be_bytes([n0, n1, n2, n3]));
                Transport::Encrypted { spi, sequence, data }
            }
            protocol::AH => Transport::Authenticated(authentication(data, is_ipv6, walk)?),
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

/// A packet that says who it is of (RFC 4302).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Authentication<'a> {
    /// By which agreement.
    pub spi: u32,
    /// Its number.
    pub sequence: u32,
    /// What proves it.
    pub check: Data<'a>,
    /// Its length as it says itself: in words of 4 bytes, less two.
    pub length: u8,
    /// What it carries.
    pub protocol: u8,
    /// What it carries.
    #[serde(flatten)]
    pub transport: Box<Transport<'a>>,
}

pub(crate) fn authentication<'a>(
    data: Data<'a>,
    is_ipv6: bool,
    walk: Walk<'_>,
) -> Result<Authentication<'a>, Broken> {
    let broken = Broken::of("ah");
    let [protocol, length, _, _, s0, s1, s2, s3, n0, n1, n2, n3] = *data.header().map_err(&broken)?;
    let whole = (usize::from(length) + 2) * 4;
    data.header_of(whole.max(12)).map_err(&broken)?;
    Ok(Authentication {
        spi: u32::from_be_bytes([s0, s1, s2, s3]),
        sequence: u32::from_be_bytes([n0, n1, n2, n3]),
        check: data.first(whole).skip(12),
        length,
        protocol,
        transport: Box::new(transport(protocol, data.skip(whole), is_ipv6, walk)),
    })
}

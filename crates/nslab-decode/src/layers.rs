//! The layers of a packet as values.

#![expect(
    clippy::copy_iterator,
    reason = "lists of options are copied to be gone through, as the slices that they are"
)]

mod arp;
pub(crate) mod dhcp;
pub(crate) mod dns;
pub(crate) mod ethernet;
mod geneve;
mod gre;
mod icmp;
mod icmp6;
pub(crate) mod ip;
mod ip4;
mod ip6;
mod lldp;
mod multicast;
mod nd;
mod sctp;
mod stp;
pub(crate) mod tcp;
mod udp;
mod vxlan;

use serde::Serialize;

pub use arp::{Arp, ArpAddresses, ArpOperation};
pub use dhcp::{Dhcp, Dhcp6, DhcpOption, DhcpOptions};
pub use dns::{Dns, Name, Question, Record};
pub use ethernet::{Ethernet, Llc, LlcPayload, Tag};
pub use geneve::Geneve;
pub use gre::{Gre, Tunnelled};
pub use icmp::{Icmp, IcmpMessage, Quoted};
pub use icmp6::{Icmpv6, Icmpv6Message, ListenerQuery2};
pub use ip::{Authentication, Fragment, Transport, protocol};
pub use ip4::{Ipv4, Ipv4Option, Ipv4Options};
pub use ip6::{Extension, Ipv6};
pub use lldp::{LacpEnd, Lldp, LldpItem, Slow};
pub use multicast::{GroupRecord, GroupRecords, Igmp, Sources};
pub use nd::{Addresses, NdOption, NdOptions, NdValue};
pub use sctp::{Sctp, SctpChunk, SctpChunks};
pub use stp::{BridgeId, Stp, StpConfiguration};
pub use tcp::{SackBlocks, Tcp, TcpFlags, TcpOption, TcpOptions};
pub use udp::{Udp, UdpPayload};
pub use vxlan::Vxlan;

use crate::data::{Broken, Data, Fault};
use crate::frame::{Frame, Link, Ports};

/// So many headers in each other are followed: tunnels and packets quoted by errors.
const MOST_NESTED: u8 = 8;

/// What is handed down while a packet is taken apart.
#[derive(Clone, Copy)]
pub(crate) struct Walk<'p> {
    pub(crate) ports: Ports<'p>,
    left: u8,
}

impl Walk<'_> {
    /// One deeper, or not at all.
    pub(crate) fn down(self) -> Result<Self, Fault> {
        let left = self.left.checked_sub(1).ok_or(Fault::TooDeep)?;
        Ok(Self { left, ..self })
    }
}

/// A frame taken apart. As JSON the network layer stands beside `ethernet`, under its name (`arp`, `ipv4`, …).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Decoded<'a> {
    /// Its bytes on the wire, with all VLAN tags.
    pub length: usize,
    /// Its header, if it has one and it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ethernet: Option<Ethernet>,
    /// Its VLAN tags, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vlans: Vec<Tag>,
    /// What the frame carries.
    #[serde(flatten)]
    pub network: Network<'a>,
    /// Checksums are not filled in yet: [`Frame::partial_checksum`].
    #[serde(skip)]
    pub partial_checksum: bool,
    /// All of it, without VLAN tags that were not in the bytes.
    #[serde(skip)]
    pub data: Data<'a>,
}

/// What a frame carries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Network<'a> {
    /// Address resolution.
    Arp(Arp<'a>),
    /// IPv4.
    Ipv4(Ipv4<'a>),
    /// IPv6.
    Ipv6(Ipv6<'a>),
    /// LLDP.
    Lldp(Lldp<'a>),
    /// A slow protocol: LACP and the like.
    Slow(Slow<'a>),
    /// A frame of IEEE 802.2, which has a length in place of an `EtherType`.
    Llc(Llc<'a>),
    /// Something else.
    Other {
        /// Its `EtherType` (`include/uapi/linux/if_ether.h`).
        ethertype: u16,
        /// What it holds.
        data: Data<'a>,
    },
    /// Something that could not be read.
    Broken(Broken),
}

/// Numbers of `EtherType`.
pub(crate) mod ethertype {
    pub(crate) const IPV4: u16 = 0x0800;
    pub(crate) const ARP: u16 = 0x0806;
    pub(crate) const TRANSPARENT_ETHERNET: u16 = 0x6558;
    pub(crate) const RARP: u16 = 0x8035;
    pub(crate) const VLAN: u16 = 0x8100;
    pub(crate) const IPV6: u16 = 0x86dd;
    pub(crate) const SLOW: u16 = 0x8809;
    pub(crate) const SERVICE_VLAN: u16 = 0x88a8;
    pub(crate) const LLDP: u16 = 0x88cc;
    pub(crate) const QINQ: u16 = 0x9100;
    pub(crate) const QINQ_2: u16 = 0x9200;
}

pub(crate) fn decode<'a>(frame: &Frame<'a>, ports: Ports<'_>) -> Decoded<'a> {
    let walk = Walk { ports, left: MOST_NESTED };
    let mut decoded = match frame.link {
        Link::Ethernet => of_ethernet(frame.data(), frame.vlan, walk),
        Link::Ip => of_ip(frame.data(), walk),
    };
    decoded.partial_checksum = frame.partial_checksum;
    decoded
}

/// A frame of Ethernet, or one that a tunnel carries.
pub(crate) fn of_ethernet<'a>(data: Data<'a>, tag: Option<Tag>, walk: Walk<'_>) -> Decoded<'a> {
    let mut decoded = Decoded {
        length: data.length() + tag.map_or(0, |_| Tag::LENGTH),
        ethernet: None,
        vlans: Vec::new(),
        network: Network::Broken(Broken::of("ether")(Fault::Cut)),
        partial_checksum: false,
        data,
    };
    decoded.network = ethernet::read(&mut decoded, tag)
        .and_then(|(kind, rest)| {
            Ok(match kind {
                kind if usize::from(kind) <= ethernet::LONGEST => {
                    Network::Llc(ethernet::llc(kind, rest, walk)?)
                }
                kind => network(kind, rest, walk)?,
            })
        })
        .unwrap_or_else(Network::Broken);
    decoded
}

/// A packet of IP without a frame.
pub(crate) fn of_ip<'a>(data: Data<'a>, walk: Walk<'_>) -> Decoded<'a> {
    let network = match data.u8(0).map(|first| first >> 4) {
        Some(4) => network(ethertype::IPV4, data, walk),
        Some(6) => network(ethertype::IPV6, data, walk),
        Some(version) => Err(Broken::of("ip")(Fault::Version { version })),
        None => Err(Broken::of("ip")(Fault::Cut)),
    };
    Decoded {
        length: data.length(),
        ethernet: None,
        vlans: Vec::new(),
        network: network.unwrap_or_else(Network::Broken),
        partial_checksum: false,
        data,
    }
}

/// What stands behind an `EtherType`.
pub(crate) fn network<'a>(kind: u16, data: Data<'a>, walk: Walk<'_>) -> Result<Network<'a>, Broken> {
    Ok(match kind {
        ethertype::IPV4 => Network::Ipv4(ip4::read(data, walk)?),
        ethertype::IPV6 => Network::Ipv6(ip6::read(data, walk)?),
        ethertype::ARP | ethertype::RARP => Network::Arp(arp::read(data)?),
        ethertype::LLDP => Network::Lldp(Lldp { data }),
        ethertype::SLOW => Network::Slow(lldp::read_slow(data)?),
        ethertype => Network::Other { ethertype, data },
    })
}

impl Decoded<'_> {
    /// How many of the bytes at hand stand before what the frame carries.
    pub(crate) fn link_length(&self) -> usize {
        if self.ethernet.is_none() {
            return 0;
        }
        // A tag that was not in the bytes is counted in the length.
        let beside = self.length.saturating_sub(self.data.length());
        14 + (self.vlans.len() * Tag::LENGTH).saturating_sub(beside)
    }
}

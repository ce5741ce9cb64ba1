//! The packet of a drop.

use nslab_decode::{Decoded, Identity, Link, Network as Layer, Points, Tag, Transport as Carried, decode};
use nslab_filter::{Ancillary, Filter, VlanTag};
use nslab_predict::{Ip, Packet, Tcp, Transport};
use nslab_tracepoints::{Event, PacketKind};
use nslab_types::MacAddr;

/// `ARPHRD_ETHER` and `ARPHRD_LOOPBACK` (`include/uapi/linux/if_arp.h`).
const ETHERNET: [u16; 2] = [1, 772];
/// `EtherType`s.
const IP: [u16; 2] = [0x0800, 0x86dd];
/// Ethernet's header, in bytes.
const HEADER: usize = 14;

/// A drop's packet, and what it begins with.
pub(super) struct View<'a> {
    event: &'a Event<'a>,
    /// From where on it is looked at, and as what; none if it is nothing that can be taken apart.
    begin: Option<(usize, Link)>,
}

impl<'a> View<'a> {
    pub(super) fn of(event: &'a Event<'a>) -> Self {
        // Of what is at no interface any more, a header of that length can only be Ethernet's.
        let is_ethernet = match event.hardware {
            Some(hardware) => ETHERNET.contains(&hardware),
            None => event.network == Some(HEADER),
        };
        let is_ip = IP.contains(&event.protocol)
            && event.bytes.get(event.network.unwrap_or(0)).is_some_and(|byte| matches!(byte >> 4, 4 | 6));
        let begin = if event.has_link_header && is_ethernet {
            Some((0, Link::Ethernet))
        } else if is_ip {
            Some((event.network.unwrap_or(0), Link::Ip))
        } else {
            None
        };
        Self { event, begin }
    }

    /// Taken apart.
    pub(super) fn decoded(&self) -> Option<Decoded<'a>> {
        let (begin, link) = self.begin?;
        let bytes = self.event.bytes.get(begin..)?;
        Some(decode(&nslab_decode::Frame {
            bytes,
            length: self.length().max(bytes.len()),
            link,
            vlan: self.event.tag.map(|tag| Tag::of_tci(tag.protocol, tag.control)),
            partial_checksum: self.event.checksum_pending,
        }))
    }

    /// How long it was, from where it is looked at.
    pub(super) fn length(&self) -> usize {
        let begin = self.begin.map_or(0, |(begin, _)| begin);
        (self.event.length as usize).saturating_sub(begin)
    }

    /// Whether a filter takes it.
    pub(super) fn is_taken_by(&self, filter: &Filter) -> bool {
        let Event { bytes, protocol, .. } = *self.event;
        let (begin, is_whole) = match self.begin {
            Some((begin, Link::Ethernet)) => (begin, true),
            Some((begin, Link::Ip)) => (begin, false),
            None => (0, false),
        };
        // Filters speak of frames of Ethernet.
        let mut frame = Vec::with_capacity(HEADER + bytes.len());
        if !is_whole {
            frame.extend([0; 12]);
            frame.extend(protocol.to_be_bytes());
        }
        frame.extend(bytes.get(begin..).unwrap_or_default());
        let length = self.length() + if is_whole { 0 } else { HEADER };
        filter.program().matches(&nslab_filter::Frame {
            bytes: &frame,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            ancillary: Ancillary {
                packet_type: match self.event.packet_type {
                    PacketKind::Host => 0,
                    PacketKind::Broadcast => 1,
                    PacketKind::Multicast => 2,
                    PacketKind::OtherHost => 3,
                    PacketKind::Other(kind) => kind,
                },
                interface: self.event.link.unwrap_or(0),
                protocol,
                vlan: self.event.tag.map(|tag| VlanTag { control: tag.control, protocol: tag.protocol }),
                mark: self.event.mark,
            },
        })
    }
}

/// A packet as predictions have it; none of what is no IP.
pub(in crate::cli::commands) fn question(decoded: &Decoded<'_>, mark: u32) -> Option<Packet> {
    let (ip, carried, protocol) = match &decoded.network {
        Layer::Ipv4(ip) => {
            let size = match ip.total_length {
                // Longer than its field can say: it is cut only later.
                0 => decoded.length.try_into().unwrap_or(u32::MAX),
                length => length.into(),
            };
            let header = Ip {
                source: ip.source.into(),
                destination: ip.destination.into(),
                ttl: ip.ttl,
                tos: ip.tos,
                dont_fragment: ip.dont_fragment,
                size,
            };
            (header, &ip.transport, ip.protocol)
        }
        Layer::Ipv6(ip) => {
            let header = Ip {
                source: ip.source.into(),
                destination: ip.destination.into(),
                ttl: ip.hop_limit,
                tos: ip.traffic_class,
                dont_fragment: false,
                size: u32::from(ip.payload_length) + 40,
            };
            (header, &ip.transport, ip.protocol)
        }
        _ => return None,
    };
    let id = match Identity::of(decoded)?.flow.points {
        Points::Echo(id) => id,
        Points::Ports { .. } | Points::None => 0,
    };
    let transport = match carried {
        Carried::Tcp(tcp) => Transport::Tcp(Tcp {
            source: tcp.source_port,
            destination: tcp.destination_port,
            flags: (tcp.flags.0 & 0xff) as u8,
        }),
        Carried::Udp(udp) => Transport::Udp { source: udp.source_port, destination: udp.destination_port },
        Carried::Icmp(icmp) => Transport::Icmp { kind: icmp.kind, code: icmp.code, id },
        Carried::Icmpv6(icmp) => Transport::Icmp { kind: icmp.kind, code: icmp.code, id },
        _ => Transport::Other(protocol),
    };
    Some(Packet { ip, transport, mark })
}

/// The MACs of its frame.
pub(in crate::cli::commands) fn macs(decoded: &Decoded<'_>) -> Option<(MacAddr, MacAddr)> {
    decoded.ethernet.as_ref().map(|header| (header.source, header.destination))
}

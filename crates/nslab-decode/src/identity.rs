//! By what one packet is known wherever it is seen.

mod plain;

use std::net::IpAddr;

use serde::Serialize;

use crate::data::Data;
use crate::frame::{Frame, decode};
use crate::layers::{
    Arp, Decoded, Fragment, IcmpMessage, Icmpv6Message, Ipv4, Ipv6, Network, Quoted, Tcp, Transport,
};

/// So many bytes of what a packet carries are looked at: enough to tell packets apart, and few enough that it does not
/// matter where captures cut them.
pub const HASHED: usize = 128;

/// Who talks to whom.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub struct Flow {
    /// From whom.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// By which protocol of IP.
    pub protocol: u8,
    /// Between which programs.
    pub points: Points,
}

/// What tells programs on one host apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Points {
    /// TCP, UDP, SCTP.
    Ports {
        /// From which.
        source: u16,
        /// To which.
        destination: u16,
    },
    /// The identifier of ICMP's echo.
    Echo(u16),
    /// Nothing, or it is not at hand: another protocol, a later fragment.
    None,
}

impl Flow {
    /// That of what comes back.
    #[must_use]
    pub fn reversed(self) -> Self {
        let points = match self.points {
            Points::Ports { source, destination } => {
                Points::Ports { source: destination, destination: source }
            }
            points => points,
        };
        Self { source: self.destination, destination: self.source, points, ..self }
    }

    /// Of both directions the same one: the lesser end first.
    #[must_use]
    pub fn either_way(self) -> Self {
        self.min(self.reversed())
    }
}

/// By what a packet is known at every interface that it passes.
///
/// Two sightings with equal [`Identity::key`] are one packet, and with equal [`Identity::key_through_nat`] one packet of which NAT
/// may have changed addresses, ports and identifiers in between. Neither looks at what routers, bridges and VLANs
/// change: MAC addresses, tags, TTL, TOS, checksums; nor at TCP's options other than time stamps, as the maximum segment
/// size is clamped on the way.
///
/// It is no proof. The same key have
/// - packets that are the same: datagrams with equal payload of a socket that numbers them 0, as the kernel does with DF set
///   and no connection (`ip_select_ident`), and copies that a switch floods. Sightings are to be paired in their order, and
///   along the links there are;
/// - packets made to have it: the hash is not one that withstands somebody who looks for collisions.
///
/// Different keys have, though they are one packet or parts of it,
/// - segments joined or split on the way (GRO, GSO, and proxies), where a packet of 64 KiB crosses veths whole and a slower
///   device gets pieces;
/// - a packet and its fragments: they have `ip_id` and addresses in common, see [`Identity::fragment`];
/// - payload that is rewritten (FTP's and SIP's helpers of NAT, `synproxy`);
/// - a packet inside a tunnel and the tunnel's packet: take the [`Decoded::innermost`] of both;
/// - a packet that was cut before [`HASHED`] bytes of payload at one place and not at another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Identity {
    /// Who talks to whom. Of ARP sender and target, with the operation for a protocol.
    pub flow: Flow,
    /// It is ARP and no IP.
    pub is_arp: bool,
    /// The number of the packet: IPv4's, or that of IPv6's fragments; else 0.
    pub ip_id: u32,
    /// Which piece of a packet it is.
    pub fragment: Option<Fragment>,
    /// TCP's sequence number, ICMP's number of an echo; else 0.
    pub sequence: u32,
    /// How long what it carries is, in bytes: behind the header of TCP and UDP, else behind IP's.
    pub payload_length: usize,
    /// Of what it carries, at most [`HASHED`] bytes, and of what else tells it from others of its kind: TCP's
    /// acknowledgement, flags and time stamps, ICMP's type and code. Of an error of ICMP it is that of the packet that it is
    /// about.
    pub payload_hash: u64,
}

impl Identity {
    /// As [`Self::of`] what a frame is taken apart to, without doing so if it is plain: TCP or UDP right behind IP, in no pieces.
    pub fn of_frame(frame: &Frame<'_>) -> Option<Self> {
        plain::read(frame).or_else(|| Self::of(&decode(frame)))
    }

    /// Of the outermost packet. Without for frames that carry neither IP nor ARP, or whose headers could not be read.
    pub fn of(decoded: &Decoded<'_>) -> Option<Self> {
        match &decoded.network {
            Network::Arp(arp) => Self::of_arp(arp),
            Network::Ipv4(packet) => Some(Self::of_ipv4(packet)),
            Network::Ipv6(packet) => Some(Self::of_ipv6(packet)),
            _ => None,
        }
    }

    /// Of a packet that an ICMP error quotes, as far as it does. None if its headers could not be read.
    pub fn of_quoted_packet(quoted: &Quoted<'_>) -> Option<Self> {
        match quoted {
            Quoted::Ipv4(packet) => Some(Self::of_ipv4(packet)),
            Quoted::Ipv6(packet) => Some(Self::of_ipv6(packet)),
            Quoted::Broken(_) => None,
        }
    }

    /// The same for sightings of one packet.
    pub fn key(&self) -> u64 {
        let Self { flow: Flow { source, destination, protocol, points }, is_arp, .. } = *self;
        let points = match points {
            Points::Ports { source, destination } => u64::from(source) << 16 | u64::from(destination),
            Points::Echo(id) => 1 << 32 | u64::from(id),
            Points::None => 2 << 32,
        };
        let mut hash = Mixer::default();
        for address in [source, destination] {
            match address {
                IpAddr::V4(address) => hash.add(u64::from(u32::from(address))),
                IpAddr::V6(address) => halves(u128::from(address)).iter().for_each(|half| hash.add(*half)),
            }
        }
        hash.add(u64::from(is_arp) << 8 | u64::from(protocol));
        hash.add(points);
        hash.add(self.key_through_nat());
        hash.end()
    }

    /// The same for sightings of one packet also where NAT changed its addresses, ports and identifiers.
    pub fn key_through_nat(&self) -> u64 {
        let fragment = self
            .fragment
            .map_or(0, |Fragment { offset, more, .. }| 1 << 32 | u64::from(more) << 16 | u64::from(offset));
        let mut hash = Mixer::default();
        hash.add(u64::from(self.ip_id) << 32 | u64::from(self.sequence));
        hash.add(u64::from(self.flow.protocol) << 40 | fragment);
        hash.add(self.payload_length as u64);
        hash.add(self.payload_hash);
        hash.end()
    }

    fn of_arp(arp: &Arp<'_>) -> Option<Self> {
        let addresses = arp.addresses?;
        let (source, destination) = (addresses.sender.into(), addresses.target.into());
        // The message goes from switch to switch as it is; behind it there may be what fills up a frame.
        let message = arp.data.first(28);
        Some(Self {
            flow: Flow { source, destination, protocol: arp.data.u8(7)?, points: Points::None },
            is_arp: true,
            ip_id: 0,
            fragment: None,
            sequence: 0,
            payload_length: message.length(),
            payload_hash: hash_of(message, 0),
        })
    }

    fn of_ipv4(packet: &Ipv4<'_>) -> Self {
        Self {
            ip_id: u32::from(packet.id),
            fragment: packet.fragment(),
            ..Self::of_transport(
                packet.source.into(),
                packet.destination.into(),
                packet.protocol,
                &packet.transport,
                packet.payload(),
            )
        }
    }

    fn of_ipv6(packet: &Ipv6<'_>) -> Self {
        let fragment = packet.fragment();
        Self {
            ip_id: fragment.map_or(0, |fragment| fragment.id),
            fragment,
            ..Self::of_transport(
                packet.source.into(),
                packet.destination.into(),
                packet.protocol,
                &packet.transport,
                packet.payload,
            )
        }
    }

    fn of_transport(
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        transport: &Transport<'_>,
        payload: Data<'_>,
    ) -> Self {
        let mut points = Points::None;
        let mut sequence = 0;
        let mut hashed = (payload, 0);
        match transport {
            Transport::Tcp(tcp) => {
                points = Points::Ports { source: tcp.source_port, destination: tcp.destination_port };
                sequence = tcp.sequence;
                hashed = (tcp.payload, said_by(tcp));
            }
            Transport::Udp(udp) => {
                points = Points::Ports { source: udp.source_port, destination: udp.destination_port };
                hashed = (udp.data.skip(8), 0);
            }
            Transport::Icmp(icmp) => {
                let echo = match icmp.message {
                    IcmpMessage::Echo { id, sequence, payload, .. } => Some((id, sequence, payload)),
                    _ => None,
                };
                let kind = u64::from(icmp.kind) << 8 | u64::from(icmp.code);
                (points, sequence, hashed) = Self::of_icmp(echo, icmp.quoted(), icmp.data, kind);
            }
            Transport::Icmpv6(icmp) => {
                let echo = match icmp.message {
                    Icmpv6Message::Echo { id, sequence, payload, .. } => Some((id, sequence, payload)),
                    _ => None,
                };
                let kind = u64::from(icmp.kind) << 8 | u64::from(icmp.code);
                (points, sequence, hashed) = Self::of_icmp(echo, icmp.quoted(), icmp.data, kind);
            }
            Transport::Broken(broken) => {
                if let Some((source, destination)) = broken.ports {
                    points = Points::Ports { source, destination };
                    if broken.protocol == "tcp" {
                        sequence = payload.u32(4).unwrap_or_default();
                    }
                    // What is behind is not all there, so that it tells nothing.
                    hashed.0 = Data::default();
                }
            }
            Transport::Sctp(sctp) => {
                points = Points::Ports { source: sctp.source_port, destination: sctp.destination_port };
                // Behind the checksum, which goes with the ports.
                hashed.0 = sctp.data.skip(12);
            }
            _ => {}
        }
        Self {
            flow: Flow { source, destination, protocol, points },
            is_arp: false,
            ip_id: 0,
            fragment: None,
            sequence,
            payload_length: hashed.0.length(),
            payload_hash: hash_of(hashed.0, hashed.1),
        }
    }

    /// What is between whom, its number, and what is to be hashed. `kind` is of both type and code.
    fn of_icmp<'a>(
        echo: Option<(u16, u16, Data<'a>)>,
        quoted: Option<&Quoted<'_>>,
        data: Data<'a>,
        kind: u64,
    ) -> (Points, u32, (Data<'a>, u64)) {
        match (echo, quoted) {
            (Some((id, sequence, payload)), _) => (Points::Echo(id), u32::from(sequence), (payload, kind)),
            (None, Some(quoted)) => (Points::None, 0, (Data::default(), kind ^ Self::of_quoted(quoted))),
            (None, None) => (Points::None, 0, (data.skip(4), kind)),
        }
    }

    /// NAT changes what an error quotes, too.
    fn of_quoted(quoted: &Quoted<'_>) -> u64 {
        match quoted {
            Quoted::Ipv4(packet) => Self::of_ipv4(packet).key_through_nat(),
            Quoted::Ipv6(packet) => Self::of_ipv6(packet).key_through_nat(),
            Quoted::Broken(_) => 0,
        }
    }
}

/// What tells a segment from another of the same bytes.
fn said_by(tcp: &Tcp<'_>) -> u64 {
    let mut hash = Mixer::default();
    hash.add(u64::from(tcp.acknowledgement) << 16 | u64::from(tcp.flags.0));
    hash.add(tcp.timestamps().map_or(0, |(value, echo)| u64::from(value) << 32 | u64::from(echo)));
    hash.end()
}

/// The upper one first.
fn halves(number: u128) -> [u64; 2] {
    [number >> 64, number & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or_default())
}

fn hash_of(data: Data<'_>, begin: u64) -> u64 {
    let bytes = data.bytes();
    let mut hash = Mixer(begin);
    let (words, rest) = bytes[..bytes.len().min(HASHED)].as_chunks::<8>();
    for word in words {
        hash.add(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    hash.add(u64::from_le_bytes(last));
    hash.end()
}

/// Multiplies, and folds the upper half of the product into the lower.
#[derive(Default)]
struct Mixer(u64);

impl Mixer {
    fn add(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93_u128;
        let [upper, lower] = halves(product);
        self.0 = upper ^ lower;
    }

    fn end(mut self) -> u64 {
        self.add(0);
        self.0
    }
}

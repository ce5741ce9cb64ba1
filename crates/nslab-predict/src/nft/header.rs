//! A packet's headers as bytes, which rules load and write.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use super::bits::{Bits, Term};
use super::outcome::Part;
use crate::{Doubt, Packet, Tcp, Transport};

/// The longest network header and the longest transport header that packets here have.
const HELD: usize = 40 + 20;

/// Network and transport header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    value: [u8; HELD],
    known: [u8; HELD],
    ipv6: bool,
    protocol: u8,
    /// The whole packet's length.
    size: usize,
    /// Why bytes are not known that were known once: first, end, reason; the last that fits counts.
    doubts: Vec<(usize, usize, Rc<Doubt>)>,
}

/// Where the parts of a packet are.
struct Places {
    source: (usize, usize),
    destination: (usize, usize),
    ttl: usize,
}

impl Header {
    pub(super) fn new(packet: &Packet) -> Self {
        let size = usize::try_from(packet.ip.size).unwrap_or(usize::MAX);
        let (ipv6, protocol) = (packet.is_ipv6(), packet.protocol());
        let mut header =
            Self { value: [0; HELD], known: [0; HELD], ipv6, protocol, size, doubts: Vec::new() };
        let length = u16::try_from(packet.ip.size).ok();
        if ipv6 {
            header.put(0, &[0x60 | (packet.ip.tos >> 4)]);
            header.put_bits(1, packet.ip.tos << 4, 0xf0);
            if let Some(length) = length.and_then(|length| length.checked_sub(40)) {
                header.put(4, &length.to_be_bytes());
            }
            header.put(6, &[protocol, packet.ip.ttl]);
        } else {
            header.put(0, &[0x45, packet.ip.tos]);
            if let Some(length) = length {
                header.put(2, &length.to_be_bytes());
            }
            header.put(6, &[if packet.ip.dont_fragment { 0x40 } else { 0 }, 0, packet.ip.ttl, protocol]);
        }
        header.put_address(header.places().source.0, packet.ip.source);
        header.put_address(header.places().destination.0, packet.ip.destination);
        let start = header.transport();
        match packet.transport {
            Transport::Tcp(Tcp { source, destination, flags }) => {
                header.put(start, &source.to_be_bytes());
                header.put(start + 2, &destination.to_be_bytes());
                header.put(start + 13, &[flags]);
            }
            Transport::Udp { source, destination } => {
                header.put(start, &source.to_be_bytes());
                header.put(start + 2, &destination.to_be_bytes());
                if let Ok(length) = u16::try_from(size.saturating_sub(start)) {
                    header.put(start + 4, &length.to_be_bytes());
                }
            }
            Transport::Icmp { kind, code, id } => {
                header.put(start, &[kind, code]);
                header.put(start + 4, &id.to_be_bytes());
            }
            Transport::Other(_) => {}
        }
        header
    }

    /// A packet of another kind, of which nothing is known.
    pub(super) fn opaque(mut self, doubt: Doubt) -> Self {
        self.known = [0; HELD];
        self.value = [0; HELD];
        self.doubts.push((0, usize::MAX, Rc::new(doubt)));
        self
    }

    fn places(&self) -> Places {
        if self.ipv6 {
            Places { source: (8, 16), destination: (24, 16), ttl: 7 }
        } else {
            Places { source: (12, 4), destination: (16, 4), ttl: 8 }
        }
    }

    /// Where the transport header starts.
    pub(super) fn transport(&self) -> usize {
        if self.ipv6 { 40 } else { 20 }
    }

    pub(super) fn is_ipv6(&self) -> bool {
        self.ipv6
    }

    pub(super) fn protocol(&self) -> u8 {
        self.protocol
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        for (at, byte) in (at..HELD).zip(bytes) {
            self.put_bits(at, *byte, 0xff);
        }
    }

    fn put_bits(&mut self, at: usize, value: u8, known: u8) {
        self.value[at] = value & known;
        self.known[at] = known;
    }

    fn put_address(&mut self, at: usize, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.put(at, &address.octets()),
            IpAddr::V6(address) => self.put(at, &address.octets()),
        }
    }

    /// Bytes from the network header's start on; none if the packet is too short (`skb_copy_bits`).
    pub(super) fn read(&self, offset: usize, len: usize) -> Option<Term> {
        let end = offset.checked_add(len).filter(|&end| end <= self.size)?;
        let at = |bytes: &[u8; HELD]| -> Vec<u8> {
            (offset..end.min(offset + super::bits::MOST))
                .map(|at| bytes.get(at).copied().unwrap_or(0))
                .collect()
        };
        let bits = Bits::partly(&at(&self.value), &at(&self.known));
        let unknown = (offset..end).find(|&at| self.known.get(at) != Some(&0xff));
        Some(Term { bits, doubt: unknown.map(|at| self.reason(at)) })
    }

    /// Writes bytes; none if the packet is too short.
    pub(super) fn write(&mut self, offset: usize, term: &Term) -> Option<()> {
        let end = offset.checked_add(term.bits.len()).filter(|&end| end <= self.size)?;
        for (at, (value, known)) in (offset..HELD).zip(term.bits.value().iter().zip(term.bits.mask())) {
            self.put_bits(at, *value, *known);
        }
        if let Some(doubt) = &term.doubt {
            self.doubts.push((offset, end, doubt.clone()));
        }
        Some(())
    }

    /// Whether a write there would turn it into another kind of packet: version, length, fragments, protocol. nft writes
    /// whole words, so mostly what was there already.
    pub(super) fn changes_shape(&self, offset: usize, bits: &Bits) -> bool {
        let shape: &[usize] = if self.ipv6 { &[0, 4, 5, 6] } else { &[0, 2, 3, 7, 9] };
        // Of IPv6 the first byte is half traffic class.
        let counts = |at: usize| if self.ipv6 && at == 0 { 0xf0 } else { 0xff };
        shape
            .iter()
            .filter_map(|at| Some((*at, at.checked_sub(offset).filter(|within| *within < bits.len())?)))
            .any(|(at, within)| {
                let known = self.known[at] & bits.mask()[within];
                (self.value[at] ^ bits.value()[within] | !known) & counts(at) != 0
            })
    }

    fn reason(&self, at: usize) -> Rc<Doubt> {
        if let Some((_, _, doubt)) =
            self.doubts.iter().rev().find(|(start, end, _)| (*start..*end).contains(&at))
        {
            return doubt.clone();
        }
        let transport = self.transport();
        let what = match (at.checked_sub(transport), self.protocol) {
            (None, _) if self.ipv6 && at < 4 => "ip6 flowlabel",
            (None, _) if self.ipv6 => "ip6 length",
            (None, _) if (4..6).contains(&at) => "ip id",
            (None, _) if (10..12).contains(&at) => "ip checksum",
            (None, _) => "ip length",
            (Some(4..8), 6) => "tcp sequence",
            (Some(8..12), 6) => "tcp ackseq",
            (Some(12), 6) => "tcp doff",
            (Some(14..16), 6) => "tcp window",
            (Some(16..18), 6) => "tcp checksum",
            (Some(18..20), 6) => "tcp urgptr",
            (Some(6..8), 17) => "udp checksum",
            (Some(2..4), 1 | 58) => "icmp checksum",
            (Some(6..8), 1 | 58) => "icmp sequence",
            _ => "what the packet carries",
        };
        Rc::new(Doubt::new(what, "The very packet that is meant, byte by byte."))
    }

    /// Where a part is, in bytes and bits.
    fn place(&self, part: Part) -> Option<(usize, usize)> {
        let places = self.places();
        let transport = self.transport();
        let ported = matches!(self.protocol, 6 | 17);
        match (part, self.protocol) {
            (Part::Source, _) => Some(places.source),
            (Part::Destination, _) => Some(places.destination),
            (Part::SourcePort, _) if ported => Some((transport, 2)),
            (Part::SourcePort, 1 | 58) => Some((transport + 4, 2)),
            (Part::DestinationPort, _) if ported => Some((transport + 2, 2)),
            (Part::Ttl, _) => Some((places.ttl, 1)),
            (Part::Tos, _) if self.ipv6 => Some((0, 2)),
            (Part::Tos, _) => Some((1, 1)),
            (Part::Control, 6) => Some((transport + 13, 1)),
            (Part::Control, 1 | 58) => Some((transport, 2)),
            _ => None,
        }
    }

    /// A part of the packet is not known.
    pub(super) fn forget(&mut self, part: Part, doubt: &Rc<Doubt>) {
        if let Some((at, len)) = self.place(part) {
            self.known[at..at + len].fill(0);
            self.value[at..at + len].fill(0);
            self.doubts.push((at, at + len, doubt.clone()));
        }
    }

    pub(super) fn set_address(&mut self, part: Part, address: IpAddr) {
        if let Some((at, len)) = self.place(part)
            && len == if address.is_ipv6() { 16 } else { 4 }
        {
            self.put_address(at, address);
        }
    }

    pub(super) fn set_port(&mut self, part: Part, port: u16) {
        if let Some((at, _)) = self.place(part) {
            self.put(at, &port.to_be_bytes());
        }
    }

    /// The packet, and what of it is not known, where `before` stands in for it.
    pub(super) fn packet(&self, before: &Packet) -> (Packet, Vec<(Part, Doubt)>) {
        let mut packet = before.clone();
        let mut vague = Vec::new();
        let parts = [
            Part::Source,
            Part::Destination,
            Part::SourcePort,
            Part::DestinationPort,
            Part::Ttl,
            Part::Tos,
            Part::Control,
        ];
        for part in parts {
            let Some((at, len)) = self.place(part) else { continue };
            let bits = |from: &[u8; HELD]| -> Vec<u8> { from[at..at + len].to_vec() };
            let (value, mut known) = (bits(&self.value), bits(&self.known));
            if part == Part::Tos && self.ipv6 {
                known[0] |= 0xf0;
                known[1] |= 0x0f;
            }
            if known.iter().any(|&byte| byte != 0xff) {
                vague.push((part, (*self.reason(at)).clone()));
            } else {
                put_part(&mut packet, part, &value);
            }
        }
        (packet, vague)
    }
}

/// Takes a part over into a packet.
fn put_part(packet: &mut Packet, part: Part, value: &[u8]) {
    let address = || {
        let v4 = <[u8; 4]>::try_from(value).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
        v4.or_else(|_| <[u8; 16]>::try_from(value).map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))))
    };
    let port = || <[u8; 2]>::try_from(value).map(u16::from_be_bytes).unwrap_or_default();
    match (part, &mut packet.transport) {
        (Part::Source, _) => packet.ip.source = address().unwrap_or(packet.ip.source),
        (Part::Destination, _) => packet.ip.destination = address().unwrap_or(packet.ip.destination),
        (Part::SourcePort, Transport::Tcp(Tcp { source, .. }) | Transport::Udp { source, .. }) => {
            *source = port();
        }
        (Part::SourcePort, Transport::Icmp { id, .. }) => *id = port(),
        (
            Part::DestinationPort,
            Transport::Tcp(Tcp { destination, .. }) | Transport::Udp { destination, .. },
        ) => {
            *destination = port();
        }
        (Part::Ttl, _) => packet.ip.ttl = value[0],
        (Part::Tos, _) => {
            packet.ip.tos = if value.len() == 2 { value[0] << 4 | value[1] >> 4 } else { value[0] }
        }
        (Part::Control, Transport::Tcp(Tcp { flags, .. })) => *flags = value[0],
        (Part::Control, Transport::Icmp { kind, code, .. }) => (*kind, *code) = (value[0], value[1]),
        _ => {}
    }
}

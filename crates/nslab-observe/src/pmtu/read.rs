//! What frames have to do with probes.

use std::net::IpAddr;

use nslab_decode::{Decoded, Frame, IcmpMessage, Icmpv6Message, Link, Network, Quoted, Transport, decode};
use nslab_kernel::packet::Frame as Raw;

use super::What;
use super::probe::Nonce;

/// The types of interfaces whose frames begin with Ethernet's header (`ARPHRD_ETHER`, `ARPHRD_LOOPBACK`).
const ETHERNET: [u16; 2] = [1, 772];

/// What a frame is, and of which size's probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) size: u32,
    pub(super) what: What,
}

/// By what probes and their answers are known.
pub(super) struct Marks<'a> {
    pub(super) nonce: Nonce,
    /// To whom probes are sent.
    pub(super) destination: IpAddr,
    /// By size, the ports that probes are from.
    pub(super) ports: &'a [(u32, u16)],
    /// Sizes that were sent.
    pub(super) sizes: &'a dyn Fn(u32) -> bool,
}

/// Looks at a frame.
pub(super) fn find(raw: &Raw<'_>, marks: &Marks<'_>) -> Option<Found> {
    let link = if ETHERNET.contains(&raw.hardware) { Link::Ethernet } else { Link::Ip };
    let bytes = if link == Link::Ip { raw.bytes.get(raw.network..)? } else { raw.bytes };
    let marked = marked(bytes, marks.nonce);
    if marked.is_none() && !matches!(raw.protocol, 0x0800 | 0x86dd) {
        return None;
    }
    let decoded = decode(&Frame::new(bytes).of_length(raw.length as usize).on(link));
    let what = what(&decoded, marked, marks)?;
    Some(Found { size: what.0, what: what.1 })
}

/// The size that a probe's payload says, wherever in the bytes it is.
fn marked(bytes: &[u8], nonce: Nonce) -> Option<u32> {
    let at = bytes.windows(nonce.len()).position(|window| window == nonce)?;
    Some(u32::from_be_bytes(*bytes.get(at + nonce.len()..)?.first_chunk()?))
}

fn what(decoded: &Decoded<'_>, marked: Option<u32>, marks: &Marks<'_>) -> Option<(u32, What)> {
    let (source, transport, in_pieces): (IpAddr, _, _) = match &decoded.network {
        Network::Ipv4(packet) => {
            (packet.source.into(), &packet.transport, packet.more_fragments || packet.fragment_offset > 0)
        }
        Network::Ipv6(packet) => (packet.source.into(), &packet.transport, packet.fragment().is_some()),
        _ => return None,
    };
    match transport {
        Transport::Icmp(icmp) => match &icmp.message {
            IcmpMessage::Echo { is_reply, .. } => Some((marked?, probe_or_answer(*is_reply, in_pieces))),
            IcmpMessage::Unreachable { mtu, quoted } if icmp.code == 4 => {
                let size = marked.or_else(|| quoted_size(quoted, marks))?;
                Some((size, What::TooBig { from: source, mtu: u32::from(*mtu) }))
            }
            _ => {
                let size = marked.or_else(|| quoted_size(icmp.quoted()?, marks))?;
                Some((size, What::Refusal { from: source, kind: icmp.kind, code: icmp.code }))
            }
        },
        Transport::Icmpv6(icmp) => match &icmp.message {
            Icmpv6Message::Echo { is_reply, .. } => Some((marked?, probe_or_answer(*is_reply, in_pieces))),
            Icmpv6Message::PacketTooBig { mtu, quoted } => {
                let size = marked.or_else(|| quoted_size(quoted, marks))?;
                Some((size, What::TooBig { from: source, mtu: *mtu }))
            }
            _ => {
                let size = marked.or_else(|| quoted_size(icmp.quoted()?, marks))?;
                Some((size, What::Refusal { from: source, kind: icmp.kind, code: icmp.code }))
            }
        },
        Transport::Tcp(tcp) if marked.is_none() => answer(source, tcp.destination_port, marks),
        Transport::Udp(udp) if marked.is_none() => answer(source, udp.destination_port, marks),
        _ => Some((marked?, What::Probe { in_pieces })),
    }
}

fn probe_or_answer(is_reply: bool, in_pieces: bool) -> What {
    if is_reply { What::Answer } else { What::Probe { in_pieces } }
}

/// What comes from whom probes are sent to, for a port that one is from.
fn answer(source: IpAddr, to: u16, marks: &Marks<'_>) -> Option<(u32, What)> {
    let (size, _) = marks.ports.iter().find(|(_, port)| *port == to)?;
    (source == marks.destination).then_some((*size, What::Answer))
}

/// An error may quote no more than the first bytes of a packet (RFC 792): its length tells which it was.
fn quoted_size(quoted: &Quoted<'_>, marks: &Marks<'_>) -> Option<u32> {
    let (to, size): (IpAddr, u32) = match quoted {
        Quoted::Ipv4(packet) => (packet.destination.into(), u32::from(packet.total_length)),
        Quoted::Ipv6(packet) => (packet.destination.into(), u32::try_from(packet.data.length()).ok()?),
        Quoted::Broken(_) => return None,
    };
    (to == marks.destination && (marks.sizes)(size)).then_some(size)
}

//! What tunnels carry.

use crate::frame::{Frame, Ports, decode_with};
use crate::layers::{Decoded, Network, Transport, Tunnelled, UdpPayload};

/// The frame that a packet of VXLAN, or of Geneve or GRE that carries frames, has in it; the outermost of several in each other.
/// Without when there is none, or nothing of it was captured.
///
/// Its `length` is what the packet has room for; that checksums are not filled in is said of it where it is said of the
/// packet around it.
pub fn decapsulated<'a>(frame: &Frame<'a>, ports: Ports<'_>) -> Option<Frame<'a>> {
    let decoded = decode_with(frame, ports);
    let inner = decoded.inner()?.data;
    (!inner.bytes().is_empty()).then(|| Frame {
        partial_checksum: frame.partial_checksum,
        ..Frame::new(inner.bytes()).of_length(inner.length())
    })
}

impl<'a> Decoded<'a> {
    /// What it carries at layer 4, if it is a packet of IP.
    pub fn transport(&self) -> Option<&Transport<'a>> {
        match &self.network {
            Network::Ipv4(packet) => Some(&packet.transport),
            Network::Ipv6(packet) => Some(&packet.transport),
            _ => None,
        }
    }

    /// The frame in it, if it is a tunnel's packet: VXLAN, or Geneve or GRE with frames. Tunnels of IP packets are looked through.
    pub fn inner(&self) -> Option<&Decoded<'a>> {
        in_transport(self.transport()?)
    }

    /// The innermost frame: itself, unless it is a tunnel's packet.
    pub fn innermost(&self) -> &Decoded<'a> {
        let mut innermost = self;
        while let Some(inner) = innermost.inner() {
            innermost = inner;
        }
        innermost
    }
}

fn in_transport<'t, 'a>(transport: &'t Transport<'a>) -> Option<&'t Decoded<'a>> {
    match transport {
        Transport::Udp(udp) => match &udp.payload {
            UdpPayload::Vxlan(vxlan) => vxlan.inner.as_deref(),
            UdpPayload::Geneve(geneve) => in_tunnel(&geneve.payload),
            _ => None,
        },
        Transport::Gre(gre) => in_tunnel(&gre.payload),
        Transport::Ipv4(packet) => in_transport(&packet.transport),
        Transport::Ipv6(packet) => in_transport(&packet.transport),
        _ => None,
    }
}

fn in_tunnel<'t, 'a>(payload: &'t Tunnelled<'a>) -> Option<&'t Decoded<'a>> {
    match payload {
        Tunnelled::Frame(frame) => Some(frame),
        Tunnelled::Packet(packet) => match &**packet {
            Network::Ipv4(packet) => in_transport(&packet.transport),
            Network::Ipv6(packet) => in_transport(&packet.transport),
            _ => None,
        },
        Tunnelled::Payload(_) | Tunnelled::Broken(_) => None,
    }
}

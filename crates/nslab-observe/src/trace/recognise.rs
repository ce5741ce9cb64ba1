//! What a packet is to the probe.

use std::net::IpAddr;

use nslab_decode::{
    Decoded, Flow, Fragment, Frame, Icmp, IcmpMessage, Icmpv6, Icmpv6Message, Identity, Ipv4, Ipv6, Link,
    Network, Quoted, TcpFlags, Transport, decode,
};

use super::probe::{Kind, NONCE, Probe};
use super::{Heard, Role};

/// ICMP's type of a redirect (RFC 792), which is no error.
pub(super) const REDIRECT: u8 = 5;

/// Tells packets of the probe from others.
#[derive(Debug)]
pub(super) struct Recogniser<'p> {
    probe: &'p Probe,
    /// Between whom the probe was seen to go: NAT changes that.
    requests: Vec<Flow>,
    /// By what its later fragments are known.
    pieces: Vec<Piece>,
}

/// What fragments of one packet have in common.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    role: Role,
}

/// A packet of the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) role: Role,
    pub(super) flow: Flow,
    pub(super) ttl: u8,
    pub(super) fragment: Option<Fragment>,
}

/// An IP packet of either version.
#[derive(Clone, Copy)]
struct Packet<'d, 'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    ttl: u8,
    fragment: Option<Fragment>,
    transport: &'d Transport<'a>,
}

impl<'d, 'a> From<&'d Ipv4<'a>> for Packet<'d, 'a> {
    fn from(packet: &'d Ipv4<'a>) -> Self {
        Self {
            source: packet.source.into(),
            destination: packet.destination.into(),
            protocol: packet.protocol,
            ttl: packet.ttl,
            fragment: packet.fragment(),
            transport: &packet.transport,
        }
    }
}

impl<'d, 'a> From<&'d Ipv6<'a>> for Packet<'d, 'a> {
    fn from(packet: &'d Ipv6<'a>) -> Self {
        Self {
            source: packet.source.into(),
            destination: packet.destination.into(),
            protocol: packet.protocol,
            ttl: packet.hop_limit,
            fragment: packet.fragment(),
            transport: &packet.transport,
        }
    }
}

impl<'p> Recogniser<'p> {
    pub(super) fn new(probe: &'p Probe) -> Self {
        Self { probe, requests: Vec::new(), pieces: Vec::new() }
    }

    /// What a frame is, and whether it is that inside a tunnel's packet.
    pub(super) fn frame(&mut self, decoded: &Decoded<'_>) -> Option<(Known, bool)> {
        if let Some(known) = self.outer(decoded) {
            return Some((known, false));
        }
        // Tunnels of frames, then those of packets.
        if let Some(known) = decoded.inner().and_then(|_| self.outer(decoded.innermost())) {
            return Some((known, true));
        }
        let known = match decoded.transport()? {
            Transport::Ipv4(packet) => self.packet(Packet::from(&**packet)),
            Transport::Ipv6(packet) => self.packet(Packet::from(&**packet)),
            Transport::Gre(gre) => match &gre.payload {
                nslab_decode::Tunnelled::Packet(network) => self.network(network),
                _ => None,
            },
            _ => None,
        };
        Some((known?, true))
    }

    /// A packet from its IP header on, of which the end may be missing.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Option<Known> {
        let decoded = decode(&Frame::new(bytes).of_length(whole(bytes)).on(Link::Ip));
        self.frame(&decoded).map(|(known, _)| known)
    }

    /// What such a packet is. Nothing is learned of it: others may have come before it that are yet to be looked at.
    pub(super) fn role_of(&mut self, bytes: &[u8]) -> Option<Role> {
        let before = (self.requests.len(), self.pieces.len());
        let known = self.bytes(bytes);
        self.requests.truncate(before.0);
        self.pieces.truncate(before.1);
        known.map(|known| known.role)
    }

    fn outer(&mut self, decoded: &Decoded<'_>) -> Option<Known> {
        let mut known = self.network(&decoded.network)?;
        if let Some(identity) = Identity::of(decoded) {
            known.flow = identity.flow;
        }
        self.learn(&known);
        Some(known)
    }

    fn network(&mut self, network: &Network<'_>) -> Option<Known> {
        match network {
            Network::Ipv4(packet) => self.packet(Packet::from(packet)),
            Network::Ipv6(packet) => self.packet(Packet::from(packet)),
            _ => None,
        }
    }

    fn packet(&mut self, packet: Packet<'_, '_>) -> Option<Known> {
        let role = match packet.transport {
            Transport::LaterFragment(_) => {
                let id = packet.fragment?.id;
                let is_it = |piece: &&Piece| {
                    (piece.source, piece.destination, piece.id) == (packet.source, packet.destination, id)
                };
                self.pieces.iter().find(is_it)?.role
            }
            _ => self.role(packet)?,
        };
        if let Some(fragment) = packet.fragment {
            let piece =
                Piece { source: packet.source, destination: packet.destination, id: fragment.id, role };
            if !self.pieces.contains(&piece) {
                self.pieces.push(piece);
            }
        }
        let flow = flow(packet);
        let known = Known { role, flow, ttl: packet.ttl, fragment: packet.fragment };
        self.learn(&known);
        Some(known)
    }

    fn learn(&mut self, known: &Known) {
        let has_ends = !matches!(known.flow.points, nslab_decode::Points::None);
        if known.role == Role::Request && has_ends && !self.requests.contains(&known.flow) {
            self.requests.push(known.flow);
        }
    }

    fn role(&self, packet: Packet<'_, '_>) -> Option<Role> {
        match packet.transport {
            Transport::Icmp(icmp) => self.icmp(icmp),
            Transport::Icmpv6(icmp) => self.icmpv6(icmp),
            Transport::Tcp(tcp) => {
                let Kind::Tcp { .. } = self.probe.kind else { return None };
                let first = self.probe.sequence();
                let is_answer = tcp.flags.has(TcpFlags::ACK) && tcp.acknowledgement == first.wrapping_add(1);
                if tcp.sequence == first && tcp.flags.has(TcpFlags::SYN) {
                    Some(Role::Request)
                } else if is_answer && tcp.flags.has(TcpFlags::RST) {
                    Some(Role::Error)
                } else {
                    (is_answer && tcp.flags.has(TcpFlags::SYN)).then_some(Role::Answer)
                }
            }
            Transport::Udp(udp) => {
                let Kind::Udp { source, destination } = self.probe.kind else { return None };
                // Who answers may send back what it got, the number and all.
                let ends = (packet.source, udp.source_port, udp.destination_port);
                let is_back = self.requests.contains(&flow(packet).reversed())
                    || ends == (self.probe.destination, destination, source);
                if is_back {
                    Some(Role::Answer)
                } else {
                    self.has_nonce(udp.data.skip(8).bytes()).then_some(Role::Request)
                }
            }
            Transport::Payload(data) => {
                let of_it = matches!(self.probe.kind, Kind::Other(number) if number == packet.protocol);
                (of_it && self.has_nonce(data.bytes())).then_some(Role::Request)
            }
            _ => self.other(packet),
        }
    }

    /// Protocols that are taken apart here, and are the probe's all the same.
    fn other(&self, packet: Packet<'_, '_>) -> Option<Role> {
        let Kind::Other(number) = self.probe.kind else { return None };
        let is_unlike = matches!(
            packet.transport,
            Transport::Gre(_) | Transport::Sctp(_) | Transport::Broken(_) | Transport::Encrypted { .. }
        );
        // They begin with the number, so that what they seem to be is chance; sender and receiver tell enough.
        let ends = packet.destination == self.probe.destination;
        (is_unlike && number == packet.protocol && ends).then_some(Role::Request)
    }

    fn has_nonce(&self, payload: &[u8]) -> bool {
        payload.get(..NONCE) == Some(&self.probe.nonce[..])
    }

    fn icmp(&self, icmp: &Icmp<'_>) -> Option<Role> {
        if let IcmpMessage::Echo { is_reply, payload, .. } = &icmp.message {
            return self.echo(*is_reply, payload.bytes());
        }
        // A router that knows a better one has sent it on all the same.
        if icmp.kind == REDIRECT {
            return None;
        }
        self.quoted(icmp.quoted()?)
    }

    fn icmpv6(&self, icmp: &Icmpv6<'_>) -> Option<Role> {
        if let Icmpv6Message::Echo { is_reply, payload, .. } = &icmp.message {
            return self.echo(*is_reply, payload.bytes());
        }
        self.quoted(icmp.quoted()?)
    }

    fn echo(&self, is_reply: bool, payload: &[u8]) -> Option<Role> {
        let is_it = matches!(self.probe.kind, Kind::Echo { .. }) && self.has_nonce(payload);
        is_it.then_some(if is_reply { Role::Answer } else { Role::Request })
    }

    fn quoted(&self, quoted: &Quoted<'_>) -> Option<Role> {
        let about = match quoted {
            Quoted::Ipv4(packet) => {
                self.role(Packet::from(&**packet)).or_else(|| self.piece(Packet::from(&**packet)))
            }
            Quoted::Ipv6(packet) => {
                self.role(Packet::from(&**packet)).or_else(|| self.piece(Packet::from(&**packet)))
            }
            Quoted::Broken(_) => None,
        };
        // One about the answer is for whom the answer is from.
        about.filter(|role| *role == Role::Request).map(|_| Role::Error)
    }

    /// Whether the sender's socket is told of what is quoted. That of a connection hears of nothing else (`tcp_v4_err`, which looks it
    /// up by what is quoted); others are not connected.
    fn told(&self, quoted: &Quoted<'_>) -> Option<Role> {
        let destination = match quoted {
            Quoted::Ipv4(packet) => Packet::from(&**packet).destination,
            Quoted::Ipv6(packet) => Packet::from(&**packet).destination,
            Quoted::Broken(_) => return None,
        };
        let is_its = !matches!(self.probe.kind, Kind::Tcp { .. }) || destination == self.probe.destination;
        self.quoted(quoted).filter(|_| is_its)
    }

    /// Whether somebody whom an error is for may be whom the probe is from.
    pub(super) fn is_sender(&self, to: IpAddr) -> bool {
        self.requests.is_empty() || self.requests.iter().any(|flow| flow.source == to)
    }

    /// The role of a packet of which only the beginning is at hand: eight bytes of what it carries (RFC 792).
    fn piece(&self, packet: Packet<'_, '_>) -> Option<Role> {
        self.requests.contains(&flow(packet)).then_some(Role::Request)
    }

    /// What an ICMP message, from its header on, tells the probe's sender.
    pub(super) fn heard(&self, from: IpAddr, decoded: &Decoded<'_>) -> Option<Heard> {
        let error = |kind, code, mtu| Heard::Error { from, kind, code, mtu };
        match decoded.transport()? {
            Transport::Icmp(icmp) if icmp.kind == REDIRECT => None,
            Transport::Icmp(icmp) => match &icmp.message {
                IcmpMessage::Echo { is_reply: true, payload, .. } => {
                    self.echo(true, payload.bytes()).map(|_| Heard::Answer { from })
                }
                IcmpMessage::Unreachable { mtu, quoted } => {
                    self.told(quoted)?;
                    let mtu = (icmp.code == 4).then(|| u32::from(*mtu));
                    Some(error(icmp.kind, icmp.code, mtu))
                }
                _ => self.told(icmp.quoted()?).map(|_| error(icmp.kind, icmp.code, None)),
            },
            Transport::Icmpv6(icmp) => match &icmp.message {
                Icmpv6Message::Echo { is_reply: true, payload, .. } => {
                    self.echo(true, payload.bytes()).map(|_| Heard::Answer { from })
                }
                Icmpv6Message::PacketTooBig { mtu, quoted } => {
                    self.told(quoted).map(|_| error(icmp.kind, icmp.code, Some(*mtu)))
                }
                _ => self.told(icmp.quoted()?).map(|_| error(icmp.kind, icmp.code, None)),
            },
            _ => None,
        }
    }
}

/// Between whom a packet goes.
fn flow(packet: Packet<'_, '_>) -> Flow {
    use nslab_decode::Points;
    let points = match packet.transport {
        Transport::Tcp(tcp) => Points::Ports { source: tcp.source_port, destination: tcp.destination_port },
        Transport::Udp(udp) => Points::Ports { source: udp.source_port, destination: udp.destination_port },
        Transport::Icmp(Icmp { message: IcmpMessage::Echo { id, .. }, .. })
        | Transport::Icmpv6(Icmpv6 { message: Icmpv6Message::Echo { id, .. }, .. }) => Points::Echo(*id),
        Transport::Broken(broken) => match broken.ports {
            Some((source, destination)) => Points::Ports { source, destination },
            None => Points::None,
        },
        _ => Points::None,
    };
    Flow { source: packet.source, destination: packet.destination, protocol: packet.protocol, points }
}

/// How long a packet is by its own header.
pub(super) fn whole(bytes: &[u8]) -> usize {
    let word =
        |at: usize| bytes.get(at..at + 2).map_or(0, |two| usize::from(u16::from_be_bytes([two[0], two[1]])));
    match bytes.first().map(|first| first >> 4) {
        Some(4) => word(2),
        Some(6) => word(4) + 40,
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(source: [u8; 4], destination: [u8; 4], protocol: u8, carried: &[u8]) -> Vec<u8> {
        let length = u8::try_from(20 + carried.len()).unwrap();
        let mut bytes = vec![0x45, 0, 0, length, 0, 1, 0, 0, 64, protocol, 0, 0];
        bytes.extend([source, destination].concat());
        bytes.extend(carried);
        bytes
    }

    fn datagram(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(8 + payload.len()).unwrap();
        let header = [from, to, length, 0].map(u16::to_be_bytes).concat();
        [&header, payload].concat()
    }

    const OWN: [u8; 4] = [10, 0, 0, 1];
    const OTHER: [u8; 4] = [10, 0, 0, 2];

    fn udp() -> Probe {
        Probe::new(0, OTHER.into(), Kind::Udp { source: 20_000, destination: 53 })
    }

    #[test]
    fn an_answer_that_brings_the_number_back_is_one_whenever_it_is_looked_at() {
        let probe = udp();
        let asked = packet(OWN, OTHER, 17, &datagram(20_000, 53, &probe.nonce));
        let answered = packet(OTHER, OWN, 17, &datagram(53, 20_000, &probe.nonce));
        for order in [
            [(&asked, Role::Request), (&answered, Role::Answer)],
            [(&answered, Role::Answer), (&asked, Role::Request)],
        ] {
            let mut recogniser = Recogniser::new(&probe);
            for (bytes, role) in order {
                assert_eq!(recogniser.bytes(bytes).map(|known| known.role), Some(role));
            }
        }
    }

    #[test]
    fn what_is_only_asked_for_teaches_nothing() {
        let probe = udp();
        let mut recogniser = Recogniser::new(&probe);
        // NAT made another address of the destination's; nothing but the order tells which way it goes.
        let asked = packet(OWN, [10, 0, 0, 3], 17, &datagram(20_000, 53, &probe.nonce));
        let answered = packet([10, 0, 0, 3], OWN, 17, &datagram(53, 20_000, &probe.nonce));
        assert!(recogniser.role_of(&answered).is_some() && recogniser.requests.is_empty());
        assert_eq!(recogniser.bytes(&asked).map(|known| known.role), Some(Role::Request));
        assert_eq!(recogniser.bytes(&answered).map(|known| known.role), Some(Role::Answer));
    }

    #[test]
    fn errors_about_answers_are_for_others() {
        let probe = udp();
        let asked = packet(OWN, OTHER, 17, &datagram(20_000, 53, &probe.nonce));
        let answered = packet(OTHER, OWN, 17, &datagram(53, 20_000, &probe.nonce));
        let about = |quoted: &[u8]| [&[3, 3, 0, 0, 0, 0, 0, 0], quoted].concat();
        let mut recogniser = Recogniser::new(&probe);
        assert!(recogniser.is_sender(OTHER.into()), "nothing is known yet");
        recogniser.bytes(&asked);
        let told = recogniser.bytes(&packet(OTHER, OWN, 1, &about(&asked)));
        assert_eq!(told.map(|known| known.role), Some(Role::Error));
        assert_eq!(recogniser.bytes(&packet(OWN, OTHER, 1, &about(&answered))), None);
        let redirect = [&[5, 1, 0, 0, 10, 0, 0, 9], &asked[..]].concat();
        assert_eq!(recogniser.bytes(&packet(OTHER, OWN, 1, &redirect)), None);
        assert!(recogniser.is_sender(OWN.into()) && !recogniser.is_sender(OTHER.into()));
    }
}

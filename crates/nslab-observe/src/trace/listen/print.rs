//! By what a packet is known of which only the headers are at hand.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;

use nslab_decode::{Flow, Fragment, Frame, Identity, Link, Network, decode};

use super::super::recognise::whole;

/// TCP's protocol number.
const TCP: u8 = 6;

/// What the headers of a packet of IP say. Kernel news of rules have 20 bytes of what it carries, so more is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print {
    /// The same wherever the packet is seen, NAT or not, and of all fragments of one packet.
    pub(super) key: u64,
    /// The same of a packet and its fragments, while its addresses stay.
    pub(super) number: Option<(u32, u8, IpAddr, IpAddr)>,
    pub(super) flow: Flow,
    pub(super) ttl: u8,
    pub(super) fragment: Option<Fragment>,
}

impl Print {
    /// Of a packet from its IP header on.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let length = whole(bytes);
        let decoded = decode(&Frame::new(bytes).of_length(length).on(Link::Ip));
        let (ttl, header) = match &decoded.network {
            Network::Ipv4(packet) => (packet.ttl, usize::from(bytes.first()? & 0xf) * 4),
            Network::Ipv6(packet) => (packet.hop_limit, 40),
            _ => return None,
        };
        let Identity { flow, ip_id, fragment, sequence, .. } = Identity::of(&decoded)?;
        let mut hasher = DefaultHasher::new();
        (ip_id, flow.protocol, fragment.is_some()).hash(&mut hasher);
        if fragment.is_none() {
            (sequence, length).hash(&mut hasher);
            // Acknowledgement and flags: of IPv6 there is no number of the packet.
            let is_tcp = flow.protocol == TCP && (header != 40 || bytes.get(6) == Some(&TCP));
            is_tcp.then(|| bytes.get(header + 8..header + 14)).hash(&mut hasher);
        }
        let number = (ip_id != 0).then_some((ip_id, flow.protocol, flow.source, flow.destination));
        Some(Self { key: hasher.finish(), number, flow, ttl, fragment })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TCP segment with 20 bytes of options and payload behind its header.
    fn tcp(source: [u8; 4], id: u8, ack: u8) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 60, 0, id, 0x40, 0, 64, 6, 0, 0];
        bytes.extend(source);
        bytes.extend([10, 0, 0, 2]);
        bytes.extend([0x9c, 0x40, 0, 80, 0, 0, 0, 7, 0, 0, 0, ack, 0xa0, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend([1; 20]);
        bytes
    }

    #[test]
    fn headers_are_enough_and_nat_does_not_hide_it() {
        let whole = tcp([10, 0, 0, 1], 5, 0);
        let print = Print::of(&whole).unwrap();
        // As news of rules have it.
        assert_eq!(Print::of(&whole[..40]).unwrap().key, print.key);
        let other = Print::of(&tcp([192, 0, 2, 1], 5, 0)).unwrap();
        assert_eq!(other.key, print.key);
        assert_ne!(other.flow, print.flow);
        assert_ne!(Print::of(&tcp([10, 0, 0, 1], 6, 0)).unwrap().key, print.key);
        assert_ne!(Print::of(&tcp([10, 0, 0, 1], 5, 1)).unwrap().key, print.key);
    }

    #[test]
    fn fragments_are_one_packet() {
        let of = |offset: u8, more: u8, length: u8| {
            let mut bytes = vec![0x45, 0, 0, length, 0, 9, more, offset, 64, 17, 0, 0];
            bytes.extend([10, 0, 0, 1, 10, 0, 0, 2, 0, 7, 0, 7, 0, 100, 0, 0]);
            bytes.resize(usize::from(length), 1);
            Print::of(&bytes).unwrap()
        };
        let (first, later, whole) = (of(0, 0x20, 60), of(5, 0, 50), of(0, 0, 110));
        assert_eq!((first.key, first.number), (later.key, whole.number));
        assert_ne!(first.key, whole.key);
        assert!(Print::of(&[0x45; 3]).is_none() && Print::of(&[]).is_none());
    }
}

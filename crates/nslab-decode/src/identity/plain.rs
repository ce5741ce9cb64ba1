//! Most packets are plain, and what they are known by stands at places that are known.

use std::net::IpAddr;

use super::{Flow, Identity, Points, hash_of, said_by};
use crate::data::Data;
use crate::frame::{Frame, Link};
use crate::layers::{ethertype, protocol, tcp};

/// A packet behind its header of IP.
struct Carried<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    ip_id: u32,
    payload: Data<'a>,
}

/// None if there is more to it, or if something of it cannot be read.
pub(super) fn read(frame: &Frame<'_>) -> Option<Identity> {
    if frame.link != Link::Ethernet {
        return None;
    }
    let data = frame.data();
    let packet = data.skip(14);
    let Carried { source, destination, protocol, ip_id, payload } = match data.u16(12)? {
        ethertype::IPV4 => ip4(packet)?,
        ethertype::IPV6 => ip6(packet)?,
        _ => return None,
    };
    let (points, sequence, carried, said) = match protocol {
        protocol::TCP => {
            let tcp = tcp::read(payload).ok()?;
            let points = Points::Ports { source: tcp.source_port, destination: tcp.destination_port };
            (points, tcp.sequence, tcp.payload, said_by(&tcp))
        }
        protocol::UDP => {
            let [s0, s1, d0, d1, l0, l1, ..] = *payload.array::<8>(0)?;
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            let (source, destination) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
            let datagram = (length >= 8).then(|| payload.first(length))?;
            (Points::Ports { source, destination }, 0, datagram.skip(8), 0)
        }
        _ => return None,
    };
    Some(Identity {
        flow: Flow { source, destination, protocol, points },
        is_arp: false,
        ip_id,
        fragment: None,
        sequence,
        payload_length: carried.length(),
        payload_hash: hash_of(carried, said),
    })
}

/// Without options, and whole.
fn ip4(packet: Data<'_>) -> Option<Carried<'_>> {
    let header = packet.array::<20>(0)?;
    let u16 = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let address = |at: usize| IpAddr::from([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = usize::from(u16(2));
    let is_piece = u16(6) & 0x3fff != 0;
    let is_plain = header[0] == 0x45 && length >= header.len() && !is_piece;
    is_plain.then(|| Carried {
        source: address(12),
        destination: address(16),
        protocol: header[9],
        ip_id: u32::from(u16(4)),
        payload: packet.beginning_of(length).skip(header.len()),
    })
}

/// Without extension headers: those have no protocol that is read here.
fn ip6(packet: Data<'_>) -> Option<Carried<'_>> {
    let header = packet.array::<40>(0)?;
    let address = |at: usize| IpAddr::from(std::array::from_fn::<u8, 16, _>(|i| header[at + i]));
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let is_plain = header[0] >> 4 == 6 && length > 0;
    is_plain.then(|| Carried {
        source: address(8),
        destination: address(24),
        protocol: header[6],
        ip_id: 0,
        payload: packet.beginning_of(header.len() + length).skip(header.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram of four bytes, and a segment of none, over either.
    fn packet(ipv6: bool, number: u8) -> Vec<u8> {
        let transport: Vec<u8> = match number {
            protocol::UDP => vec![1, 2, 3, 4, 0, 12, 0, 0, 9, 9, 9, 9],
            _ => vec![1, 2, 3, 4, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0],
        };
        let length = u8::try_from(transport.len()).unwrap_or(0);
        let mut frame = vec![0; 12];
        if ipv6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, length, number, 64]);
            frame.extend([7; 32]);
        } else {
            frame.extend([8, 0, 0x45, 0, 0, 20 + length, 0, 5, 0x40, 0, 64, number, 0, 0]);
            frame.extend([7; 8]);
        }
        frame.extend(transport);
        frame
    }

    #[test]
    fn plain_ones_are_read_at_once() {
        for ipv6 in [false, true] {
            for number in [protocol::TCP, protocol::UDP] {
                let bytes = packet(ipv6, number);
                let frame = Frame::new(&bytes);
                let known = read(&frame);
                assert!(known.is_some(), "{ipv6} {number}");
                assert_eq!(known, Identity::of(&crate::decode(&frame)));
            }
            assert!(read(&Frame::new(&packet(ipv6, protocol::SCTP))).is_none());
        }
        let mut piece = packet(false, protocol::UDP);
        piece[20] = 0x20;
        assert!(read(&Frame::new(&piece)).is_none());
    }
}

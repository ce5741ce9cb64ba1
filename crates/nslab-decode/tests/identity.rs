//! What a packet goes through does not make it another; what is another is told apart.

#![allow(clippy::unwrap_used, reason = "what does not work in a test is its end")]

mod support;

use std::collections::HashSet;

use nslab_decode::{Frame, Identity, Points, Ports, Tag, decapsulated, decode};
use support::build::*;
use support::corpus;

fn identity(frame: &[u8]) -> Identity {
    Identity::of(&decode(&Frame::new(frame))).unwrap()
}

/// As a router sends it on: other MACs, one hop less, with checksum.
fn routed(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[..12].copy_from_slice(&[2, 9, 9, 9, 9, 1, 2, 9, 9, 9, 9, 2]);
    if frame[12..14] == [0x08, 0x00] {
        let header = 14 + usize::from(frame[14] & 15) * 4;
        frame[15] = 0x28;
        frame[22] = frame[22].wrapping_sub(1);
        frame[24..26].fill(0);
        let sum = checksum(&frame[14..header]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    } else if frame[12..14] == [0x86, 0xdd] {
        frame[21] = frame[21].wrapping_sub(1);
    }
    frame
}

#[test]
fn routers_and_switches_change_nothing() {
    let mut compared = 0;
    for packet in corpus::all() {
        let before = decode(&Frame::new(&packet.bytes));
        if before.transport().is_none() || !before.vlans.is_empty() || packet.bytes.len() < 54 {
            continue;
        }
        let after = routed(&packet.bytes);
        let Some(known) = Identity::of(&before) else { panic!("{}", packet.name) };
        assert_eq!(known, identity(&after), "{}", packet.name);
        let kind = u16::from_be_bytes([after[12], after[13]]);
        let tagged = join(&[&after[..12], &[0x81, 0], &tag(42, kind, &after[14..])]);
        assert_eq!(known.key(), identity(&tagged).key(), "{}", packet.name);
        let taken_off = Frame { vlan: Some(Tag::of_tci(0x8100, 42)), ..Frame::new(&after) };
        assert_eq!(Some(known), Identity::of(&decode(&taken_off)));
        compared += 1;
    }
    assert!(compared > 500, "{compared}");
}

/// The same segment before and after source NAT.
#[test]
fn nat_changes_one_key_only() {
    let text = b"some text that is longer than nothing".to_vec();
    let tcp = Tcp { flags: 0x18, acknowledgement: 5, payload: text.clone(), ..Tcp::default() };
    let outside = Tcp { ports: (61000, 8080), options: vec![2, 4, 5, 80], ..tcp.clone() };
    let translated = Ip4 { source: R, ttl: 63, ..Ip4::default() };
    let udp = |from, source: std::net::Ipv4Addr| {
        let message = summed(udp_message(from, 53000, &text), 6, 17, source.into(), B.into());
        Ip4 { source, ..Ip4::default() }.carry(17, &message)
    };
    let echo =
        |id: u32, source| Ip4 { source, ..Ip4::default() }.carry(1, &icmp_message(8, 0, id << 16 | 3, &text));
    let error = |to, about: &[u8]| {
        Ip4 { source: B, destination: to, ..Ip4::default() }.carry(1, &icmp_message(3, 4, 1400, about))
    };
    for (name, before, after) in [
        ("tcp", tcp.over4(), translated.carry(6, &outside.bytes())),
        ("udp", udp(40000, A), udp(61000, R)),
        ("ping", echo(7, A), echo(61000, R)),
        ("error", error(R, &translated.carry(6, &outside.bytes())[..28]), error(A, &tcp.over4()[..28])),
    ] {
        let (before, after) = (identity(&frame(&before)), identity(&frame(&after)));
        assert_ne!(before.key(), after.key(), "{name}");
        assert_eq!(before.key_through_nat(), after.key_through_nat(), "{name}: {before:?}, {after:?}");
    }
}

#[test]
fn others_are_told_apart() {
    let tcp = Tcp { flags: 0x18, payload: b"0123456789".to_vec(), ..Tcp::default() };
    let mut packets = vec![
        frame(&tcp.over4()),
        frame(&Tcp { sequence: 1001, ..tcp.clone() }.over4()),
        frame(&Tcp { acknowledgement: 1, ..tcp.clone() }.over4()),
        frame(&Tcp { flags: 0x10, ..tcp.clone() }.over4()),
        frame(&Tcp { payload: b"0123456780".to_vec(), ..tcp.clone() }.over4()),
        frame(&Tcp { payload: b"012345678".to_vec(), ..tcp.clone() }.over4()),
        frame(&Tcp { options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0], ..tcp.clone() }.over4()),
        frame(&Tcp { options: vec![1, 1, 8, 10, 0, 0, 0, 2, 0, 0, 0, 0], ..tcp.clone() }.over4()),
        frame(&Ip4 { id: 4712, ..Ip4::default() }.carry(6, &tcp.bytes())),
        frame(&Ip4 { fragment: 0x2000, ..Ip4::default() }.carry(6, &tcp.bytes())),
        frame(&Ip4 { fragment: 1, ..Ip4::default() }.carry(6, &tcp.bytes())),
        frame(&icmp(8, 0, 0x0001_0001, b"x")),
        frame(&icmp(0, 0, 0x0001_0001, b"x")),
        frame(&icmp(8, 0, 0x0001_0002, b"x")),
        frame(&icmp_error(3, 4, 1400, &tcp.over4())),
        frame(&icmp_error(3, 3, 0, &tcp.over4())),
        frame(&icmp_error(3, 3, 0, &Ip4 { id: 4712, ..Ip4::default() }.carry(6, &tcp.bytes()))),
    ];
    for operation in 1..3 {
        packets.push(ether(0x0806, &arp(operation, (MAC_A, A), ([0; 6], B))));
        packets.push(ether(0x0806, &arp(operation, (MAC_A, A), ([0; 6], R))));
    }
    let keys: HashSet<u64> = packets.iter().map(|packet| identity(packet).key()).collect();
    let through_nat: HashSet<u64> = packets.iter().map(|packet| identity(packet).key_through_nat()).collect();
    assert_eq!((keys.len(), through_nat.len()), (packets.len(), packets.len()));
}

#[test]
fn flows_have_two_directions() {
    let there = identity(&frame(&Tcp::default().over4())).flow;
    assert_eq!(there.points, Points::Ports { source: 40312, destination: 8080 });
    assert_ne!(there, there.reversed());
    assert_eq!(there, there.reversed().reversed());
    assert_eq!(there.either_way(), there.reversed().either_way());
    let ping = identity(&frame(&icmp(8, 0, 0x0007_0001, b"x"))).flow;
    assert_eq!(ping.points, Points::Echo(7));
}

#[test]
fn tunnels_give_their_frames() {
    let inner = frame(&Tcp::default().over4());
    let vxlan = join(&[&[8, 0, 0, 0, 0, 0, 42, 0], &inner]);
    let gre = join(&[&[0, 0, 0x65, 0x58], &inner]);
    let in_ip = ip6(4, &ip4(47, &gre));
    for (name, outer, vxlan_port) in [
        ("vxlan", udp4(1, 4789, &vxlan), 0),
        ("kernel's vxlan", udp6(1, 8472, &vxlan), 0),
        ("other vxlan", udp4(1, 5555, &vxlan), 5555),
        ("gre", ip4(47, &gre), 0),
        ("gre in ip", in_ip, 0),
    ] {
        let outer = frame(&outer);
        let ports = [vxlan_port];
        let found = decapsulated(&Frame::new(&outer), Ports { vxlan: &ports }).expect(name);
        assert_eq!((found.bytes, found.length), (&*inner, inner.len()), "{name}");
        // Cut in the frame that is inside.
        let cut = outer.len() - 10;
        let found = decapsulated(&Frame::new(&outer[..cut]).of_length(outer.len()), Ports { vxlan: &ports });
        let found = found.expect(name);
        assert_eq!((found.bytes, found.length), (&inner[..inner.len() - 10], inner.len()), "{name}");
    }
    for other in [inner, frame(&udp4(1, 5555, &vxlan)), frame(&udp4(1, 4789, b"short"))] {
        assert_eq!(decapsulated(&Frame::new(&other), Ports::default()), None);
    }
}

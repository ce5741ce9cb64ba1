//! Packets in packets.

use super::build::*;
use super::corpus::Cases;
use super::oracle::Packet;

pub(crate) fn tunnels() -> Vec<Packet> {
    let mut cases = Cases("tunnel", Vec::new());
    let inner = [
        ("tcp", frame(&Tcp::default().over4())),
        ("icmp6", frame(&icmp6(128, 0, &[0, 1, 0, 2, 9, 9]))),
        ("arp", ether(0x0806, &arp(1, (MAC_A, A), ([0; 6], B)))),
        ("vlan", ether(0x8100, &tag(42, 0x0800, &Tcp::default().over4()))),
        ("unknown", ether(0x9999, b"what is in it is not known, Sir")),
    ];
    for (name, inner) in &inner {
        for (flags, vni) in [(8, 42_u32), (0, 0), (8, 0xff_ffff)] {
            let vxlan = join(&[&[flags, 0, 0, 0], &(vni << 8).to_be_bytes(), inner]);
            cases.add(format!("vxlan {vni} {name}"), frame(&udp4(40000, 4789, &vxlan)));
            cases.add(format!("vxlan {vni} {name} over ipv6"), frame(&udp6(40000, 4789, &vxlan)));
        }
    }
    let twice = join(&[
        &[8, 0, 0, 0, 0, 0, 7, 0],
        &frame(&udp4(1, 4789, &join(&[&[8, 0, 0, 0, 0, 0, 8, 0], &inner[0].1]))),
    ]);
    cases.add("vxlan in vxlan", frame(&udp4(2, 4789, &twice)));
    let packets = [
        ("tcp", 0x0800_u16, Tcp::default().over4()),
        ("ping", 0x86dd, icmp6(128, 0, &[0, 1, 0, 2, 9, 9])),
        ("frame", 0x6558, frame(&Tcp::default().over4())),
        ("other", 0x9999, b"0123456789".to_vec()),
    ];
    for (name, kind, payload) in &packets {
        for (flags, fields) in [
            (0_u16, vec![]),
            (0x8000, vec![0x12, 0x34, 0, 0]),
            (0x2000, vec![0, 0, 0, 42]),
            (0x1000, vec![0, 0, 0, 7]),
            (0xb000, vec![0x12, 0x34, 0, 0, 0, 0, 0, 42, 0, 0, 0, 7]),
        ] {
            let gre = join(&[&flags.to_be_bytes(), &kind.to_be_bytes(), &fields, payload]);
            cases.add(format!("gre {flags:#x} {name}"), frame(&ip4(47, &gre)));
            cases.add(format!("gre {flags:#x} {name} over ipv6"), frame(&ip6(47, &gre)));
        }
    }
    cases.1
}

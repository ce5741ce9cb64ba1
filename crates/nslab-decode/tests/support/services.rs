//! Packets of services, and of switches and routers among themselves.

use std::net::Ipv6Addr;

use super::build::*;
use super::corpus::Cases;
use super::oracle::Packet;

pub(crate) fn multicast() -> Vec<Packet> {
    let mut cases = Cases("multicast", Vec::new());
    let group = [224, 1, 2, 3];
    let igmp = |kind: u8, code: u8, group: [u8; 4], rest: &[u8]| {
        let mut message = join(&[&[kind, code, 0, 0], &group, rest]);
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        frame(&Ip4 { ttl: 1, options: vec![148, 4, 0, 0], ..Ip4::default() }.carry(2, &message))
    };
    for code in [0, 50, 100, 127, 200, 255] {
        cases.add(format!("igmp query {code}"), igmp(0x11, code, [0; 4], &[]));
        cases.add(format!("igmp query {code} of one"), igmp(0x11, code, group, &[]));
        for sources in [vec![2, 125, 0, 0], vec![2, 125, 0, 1, 10, 0, 0, 1], vec![2, 125, 0, 9, 10, 0, 0, 1]]
        {
            cases.add(format!("igmp query {code} version 3"), igmp(0x11, code, [0; 4], &sources));
            cases.add(format!("igmp query {code} version 3 of one"), igmp(0x11, code, group, &sources));
        }
    }
    for kind in [0x12, 0x16, 0x17, 0x33] {
        cases.add(format!("igmp {kind:#x}"), igmp(kind, 0, group, &[]));
    }
    let record = |kind: u8, group: &[u8], sources: &[&[u8]]| {
        join(&[&[kind, 0, 0, sources.len() as u8], group, &sources.concat()])
    };
    for kind in 1..8 {
        let records = join(&[
            &record(kind, &group, &[]),
            &record(kind, &[224, 1, 1, 1], &[&[10, 0, 0, 1], &[10, 0, 0, 2]]),
        ]);
        cases.add(format!("igmp report {kind}"), igmp(0x22, 0, [0, 0, 0, 2], &records));
    }
    cases.add("igmp report too short", igmp(0x22, 0, [0, 0, 0, 9], &record(1, &group, &[])));
    cases.add("igmp report shorter", igmp(0x22, 0, [0, 0, 0, 9], &[]));
    let link: Ipv6Addr = "fe80::1".parse().unwrap();
    let all: Ipv6Addr = "ff02::16".parse().unwrap();
    let mld = |kind: u8, rest: &[u8]| {
        let message = summed(join(&[&[kind, 0, 0, 0], rest]), 2, 58, link.into(), all.into());
        let options = join(&[&[58, 0, 5, 2, 0, 0, 1, 0], &message]);
        frame(&Ip6 { source: link, destination: all, hops: 1, ..Ip6::default() }.carry(0, &options))
    };
    for address in ["::", "ff02::5"] {
        let group = address.parse::<Ipv6Addr>().unwrap().octets();
        for delay in [0_u16, 1000, 0x7fff, 0x8123, 0xffff] {
            let head = join(&[&delay.to_be_bytes(), &[0, 0], &group]);
            for kind in [130, 131, 132] {
                cases.add(format!("mld {kind} {address} {delay}"), mld(kind, &head));
            }
            for rest in [
                vec![2, 125, 0, 0],
                vec![0, 200, 0, 0],
                vec![15, 0, 0, 0],
                join(&[&[2, 125, 0, 1], &A6.octets()]),
            ] {
                cases.add(format!("mld 2 {address} {delay} {}", rest[0]), mld(130, &join(&[&head, &rest])));
            }
        }
        let records = join(&[&record(4, &group, &[]), &record(1, &group, &[&A6.octets(), &B6.octets()])]);
        cases.add(format!("mld report {address}"), mld(143, &join(&[&[0, 0, 0, 2], &records])));
    }
    cases.1
}

pub(crate) fn spanning_tree() -> Vec<Packet> {
    let mut cases = Cases("stp", Vec::new());
    let llc = |payload: &[u8]| ether(payload.len() as u16, payload);
    let rest = |cost: u32| {
        join(&[
            &[0x80, 0, 2, 0, 0, 0, 0, 1],
            &cost.to_be_bytes(),
            &[0x80, 1, 2, 0, 0, 0, 0, 2, 0x80, 2, 1, 0, 20, 0, 2, 0, 15, 128],
        ])
    };
    for flags in [0, 1, 0x80, 0x81, 0x3c, 0x7c, 0x0e, 0x4f, 0xff] {
        cases.add(format!("stp {flags:#x}"), llc(&join(&[&[0x42, 0x42, 3, 0, 0, 0, 0, flags], &rest(4)])));
        cases.add(
            format!("rstp {flags:#x}"),
            llc(&join(&[&[0x42, 0x42, 3, 0, 0, 2, 2, flags], &rest(0), &[0]])),
        );
    }
    cases.add("change", llc(&[0x42, 0x42, 3, 0, 0, 0, 0x80]));
    cases.add("padded change", {
        let mut frame = llc(&[0x42, 0x42, 3, 0, 0, 0, 0x80]);
        frame.resize(60, 0);
        frame
    });
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &Tcp::default().over4()]);
    cases.add("snap", llc(&snap));
    cases.1
}

pub(crate) fn others() -> Vec<Packet> {
    let mut cases = Cases("other", Vec::new());
    let esp = join(&[&[0, 0, 0x12, 0x34, 0, 0, 0, 7], &[9; 40]]);
    cases.add("esp", frame(&ip4(50, &esp)));
    cases.add("esp over ipv6", frame(&ip6(50, &esp)));
    for (protocol, payload) in [(6, Tcp::default().bytes()), (17, udp_message(1, 2, b"abc"))] {
        let ah = join(&[&[protocol, 4, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 7], &[0xab; 12], &payload]);
        cases.add(format!("ah {protocol}"), frame(&ip4(51, &ah)));
        cases.add(format!("ah {protocol} over ipv6"), frame(&ip6(51, &ah)));
    }
    for kind in (0..12).chain(14..17) {
        cases.add(format!("dhcp6 {kind}"), frame(&udp6(546, 547, &[kind, 1, 2, 3])));
    }
    let inner = frame(&Tcp::default().over4());
    let geneve = |kind: u16, inner: &[u8]| join(&[&[0, 0], &kind.to_be_bytes(), &[0, 0, 42, 0], inner]);
    cases.add("geneve", frame(&udp4(4000, 6081, &geneve(0x6558, &inner))));
    cases.add("geneve with ip", frame(&udp4(4000, 6081, &geneve(0x0800, &Tcp::default().over4()))));
    cases.1
}

pub(crate) fn dhcp() -> Vec<Packet> {
    let mut cases = Cases("dhcp", Vec::new());
    let message = |operation: u8, flags: u16, addresses: [[u8; 4]; 4], options: &[u8]| {
        let mut bytes = vec![operation, 1, 6, 0, 0x12, 0x34, 0x56, 0x78, 0, 3];
        bytes.extend(flags.to_be_bytes());
        bytes.extend(addresses.concat());
        bytes.extend(MAC_A);
        bytes.resize(236, 0);
        bytes.extend([0x63, 0x82, 0x53, 0x63]);
        bytes.extend(options);
        bytes.resize(bytes.len().max(300), 0);
        bytes
    };
    let none = [[0; 4]; 4];
    for kind in 0..10 {
        let options = [53, 1, kind, 255];
        let operation = if matches!(kind, 2 | 5 | 6) { 2 } else { 1 };
        cases.add(format!("type {kind}"), frame(&udp4(68, 67, &message(operation, 0, none, &options))));
    }
    let options: Vec<(u8, Vec<u8>)> = vec![
        (1, vec![255, 255, 255, 0]),
        (3, vec![10, 0, 0, 254]),
        (6, vec![10, 0, 0, 1, 10, 0, 0, 2]),
        (12, b"red\x01".to_vec()),
        (15, b"lab.test".to_vec()),
        (26, vec![5, 120]),
        (28, vec![10, 0, 0, 255]),
        (42, vec![10, 0, 0, 1]),
        (50, vec![10, 0, 0, 5]),
        (51, vec![0, 0, 14, 16]),
        (54, vec![10, 0, 0, 254]),
        (55, vec![1, 3, 6, 12, 15, 26, 28, 42]),
        (57, vec![5, 220]),
        (58, vec![0, 0, 7, 8]),
        (59, vec![0, 0, 12, 78]),
        (60, b"udhcp 1.36".to_vec()),
        (61, vec![1, 2, 0, 0, 0, 0, 1]),
        (61, vec![0, b'r', b'e', b'd']),
        (61, vec![255, 1, 2, 3, 4]),
        (66, b"tftp".to_vec()),
        (67, b"pxelinux.0".to_vec()),
        (200, vec![1, 2, 3]),
        (200, vec![1, 2]),
        (200, vec![1, 2, 3, 4]),
        (200, vec![]),
    ];
    let mut all = Vec::new();
    for (kind, value) in &options {
        let option = join(&[&[*kind, value.len() as u8], value]);
        all.extend(&option);
        let with_type = join(&[&[53, 1, 5], &option, &[0, 0, 255]]);
        let addresses = [[0; 4], [10, 0, 0, 5], [10, 0, 0, 254], [0; 4]];
        cases.add(format!("option {kind}"), frame(&udp4(67, 68, &message(2, 0x8000, addresses, &with_type))));
    }
    all.push(255);
    let addresses = [[10, 0, 0, 5], [0; 4], [0; 4], [10, 0, 0, 254]];
    cases.add("all options", frame(&udp4(67, 67, &message(1, 0, addresses, &all))));
    cases.add("without cookie", frame(&udp4(68, 67, &message(1, 0, none, &[])[..236])));
    cases.1
}

/// Whose names are told, and with `-v` less than tcpdump does.
pub(crate) fn by_name() -> Vec<Packet> {
    let mut cases = Cases("by name", Vec::new());
    let item = |kind: u16, value: &[u8]| join(&[&(kind << 9 | value.len() as u16).to_be_bytes(), value]);
    let must = join(&[&item(1, &[4, 2, 0, 0, 0, 0, 1]), &item(2, b"\x05eth0"), &item(3, &[0, 120])]);
    cases.add("lldp", ether(0x88cc, &join(&[&must, &[0, 0]])));
    cases.add(
        "lldp with name",
        ether(0x88cc, &join(&[&must, &item(5, b"leaf-1\x07"), &item(4, b"port"), &[0, 0]])),
    );
    let end = |kind: u8, mac: u8| [kind, 20, 255, 255, 2, 0, 0, 0, 0, mac, 0, 9, 0, 255, 0, 1, 0x3d, 0, 0, 0];
    let lacp = join(&[&[1, 1], &end(1, 1), &end(2, 2), &[3, 16, 0, 50], &[0; 64]]);
    cases.add("lacp", ether(0x8809, &lacp));
    cases.add("marker", ether(0x8809, &join(&[&[2, 1], &lacp[2..]])));
    let sctp = |chunks: &[u8]| frame(&ip4(132, &join(&[&[3, 232, 7, 208, 0, 0, 0, 9, 0, 0, 0, 0], chunks])));
    let chunk = |kind: u8, flags: u8, value: &[u8]| {
        join(&[&[kind, flags], &(4 + value.len() as u16).to_be_bytes(), value])
    };
    for kind in [1, 3, 4, 5, 6, 7, 8, 10, 11, 14] {
        let value = match kind {
            1 => join(&[&[0, 0, 0, 1, 0, 0, 255, 255, 0, 10, 0, 10], &[0, 0, 0, 7]]),
            3 => vec![0, 0, 0, 7, 0, 0, 255, 255, 0, 0, 0, 0],
            4 | 5 => vec![0, 1, 0, 8, b'a', b'b', b'c', b'd'],
            7 => vec![0, 0, 0, 7],
            10 => b"cookie12".to_vec(),
            _ => vec![],
        };
        cases.add(format!("sctp {kind}"), sctp(&chunk(kind, 0, &value)));
    }
    for flags in 0..8 {
        let data = join(&[&[0, 0, 0, 7, 0, 1, 0, 2, 0, 0, 0, 60], b"data"]);
        cases.add(format!("sctp data {flags}"), sctp(&chunk(0, flags, &data)));
    }
    for kind in 1..6 {
        let ospf = join(&[
            &[2, kind, 0, 44],
            &A.octets(),
            &[0; 16],
            &[255, 255, 255, 0, 0, 10, 2, 1, 0, 0, 0, 40],
            &[0; 8],
        ]);
        cases.add(format!("ospf {kind}"), frame(&ip4(89, &ospf)));
    }
    for mode in 0..8 {
        let ntp = join(&[&[0x20 | mode, 2, 6, 0], &[0; 44]]);
        cases.add(format!("ntp {mode}"), frame(&udp4(123, 123, &ntp)));
    }
    cases.1
}

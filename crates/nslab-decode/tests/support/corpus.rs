//! Packets of all kinds; here those of the link, of IP and of what every host speaks above it.

use super::build::*;
use super::oracle::Packet;
use super::{dns, services, tunnels};

/// All that is held against tcpdump.
pub(crate) fn all() -> Vec<Packet> {
    [
        link(),
        ipv4(),
        tcp(),
        udp(),
        icmp4(),
        ipv6(),
        icmpv6(),
        tunnels::tunnels(),
        dns::dns(),
        services::multicast(),
        services::spanning_tree(),
        services::others(),
        services::dhcp(),
    ]
    .concat()
}

pub(crate) struct Cases(pub(crate) &'static str, pub(crate) Vec<Packet>);

impl Cases {
    pub(crate) fn add(&mut self, name: impl std::fmt::Display, frame: Vec<u8>) {
        self.1.push(Packet::new(format!("{}: {name}", self.0), frame));
    }
}

pub(crate) fn link() -> Vec<Packet> {
    let mut cases = Cases("link", Vec::new());
    let zero = [0; 6];
    for (operation, name) in [(1, "request"), (2, "reply"), (3, "rarp"), (4, "rarp reply"), (9, "other")] {
        cases.add(format!("arp {name}"), ether(0x0806, &arp(operation, (MAC_A, A), (zero, B))));
        cases.add(format!("arp {name} to one"), ether(0x0806, &arp(operation, (MAC_A, A), (MAC_B, B))));
        cases.add(format!("arp {name} as rarp"), ether(0x8035, &arp(operation, (MAC_A, A), (zero, B))));
        let mut padded = arp(operation, (MAC_A, A), (zero, B));
        padded.resize(46, 0);
        cases.add(format!("arp {name} padded"), ether(0x0806, &padded));
    }
    let packet = Tcp::default().over4();
    for tci in [1, 42, 4094, 0x2001, 0xf00a, 0x1005] {
        cases.add(format!("vlan {tci:#x}"), ether(0x8100, &tag(tci, 0x0800, &packet)));
    }
    cases.add("vlan arp", ether(0x8100, &tag(7, 0x0806, &arp(1, (MAC_A, A), (zero, B)))));
    cases.add("qinq", ether(0x88a8, &tag(100, 0x8100, &tag(42, 0x0800, &packet))));
    cases.add("qinq 9100", ether(0x9100, &tag(100, 0x8100, &tag(42, 0x0800, &packet))));
    cases.add("double", ether(0x8100, &tag(1, 0x8100, &tag(2, 0x86dd, &Tcp::default().over6()))));
    for kind in [0x1234, 0x0801, 0x88b5, 0x9999_u16] {
        cases.add(format!("kind {kind:#x}"), ether(kind, b"what is in it is not known, Sir"));
    }
    cases.1
}

pub(crate) fn ipv4() -> Vec<Packet> {
    let mut cases = Cases("ipv4", Vec::new());
    let payload = udp_message(1000, 2000, b"hello, world");
    for tos in [0, 1, 2, 3, 0x10, 0xb8, 0xff] {
        cases.add(format!("tos {tos}"), frame(&Ip4 { tos, ..Ip4::default() }.carry(17, &payload)));
    }
    for ttl in [0, 1, 255] {
        cases.add(format!("ttl {ttl}"), frame(&Ip4 { ttl, ..Ip4::default() }.carry(17, &payload)));
    }
    for fragment in [0, 0x2000, 0x4000, 0x8000, 0x6000, 0xa000, 0xc000, 0xe000, 0x2010, 0x0010, 0x1fff] {
        for protocol in [1, 6, 17, 47, 132, 200] {
            let packet = Ip4 { fragment, ..Ip4::default() };
            let payload = match protocol {
                1 => icmp_message(8, 0, 0x0001_0002, b"ping, ping, ping"),
                6 => Tcp { payload: b"some text".to_vec(), flags: 0x18, ..Tcp::default() }.bytes(),
                _ => payload.clone(),
            };
            if fragment & 0x1fff != 0 || matches!(protocol, 1 | 6 | 17) {
                let name = format!("fragment {fragment:#x} of {protocol}");
                cases.add(name, frame(&packet.carry(protocol, &payload)));
            }
        }
    }
    let options: &[(&str, &[u8])] = &[
        ("nop", &[1, 1, 1, 0]),
        ("end", &[0, 0, 0, 0]),
        ("router alert", &[148, 4, 0, 0]),
        ("router alert 5", &[148, 4, 0, 5]),
        ("record", &[7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("record one", &[7, 11, 8, 10, 0, 0, 254, 0, 0, 0, 0, 0]),
        ("record two", &[7, 11, 12, 10, 0, 0, 254, 10, 0, 1, 254, 0]),
        ("loose", &[1, 131, 7, 4, 10, 0, 0, 254]),
        ("strict", &[137, 11, 4, 10, 0, 0, 254, 10, 9, 0, 1, 0]),
        ("unknown", &[200, 4, 1, 2]),
        ("bad", &[200, 40, 1, 2]),
        ("no length", &[200, 0, 1, 2]),
    ];
    for (name, bytes) in options {
        let packet = Ip4 { options: bytes.to_vec(), ..Ip4::default() };
        cases.add(format!("option {name}"), frame(&packet.carry(17, &payload)));
    }
    let mut wrong = udp4(1, 2, b"x");
    wrong[10] ^= 0x55;
    cases.add("wrong checksum", frame(&wrong));
    let mut padded = frame(&udp4(1, 2, b"x"));
    padded.resize(60, 0);
    cases.add("padded", padded);
    let mut short = frame(&udp4(1, 2, b"0123456789"));
    short.truncate(short.len() - 4);
    cases.add("longer than its frame", short);
    for first in [0x44, 0x4f, 0x55, 0x65] {
        let mut packet = udp4(1, 2, b"0123456789");
        packet[0] = first;
        cases.add(format!("begins with {first:#x}"), ether(0x0800, &packet));
    }
    for length in [0, 19, 20, 24, 27] {
        let mut packet = udp4(1, 2, b"0123456789");
        packet[3] = length;
        cases.add(format!("says {length}"), ether(0x0800, &packet));
    }
    cases.add("ip in ip", frame(&ip4(4, &Tcp::default().over4())));
    cases.add("ip6 in ip", frame(&ip4(41, &Tcp::default().over6())));
    for protocol in [0, 3, 61, 200, 255] {
        cases.add(format!("protocol {protocol}"), frame(&ip4(protocol, b"0123456789abcdef0123456789")));
    }
    cases.1
}

pub(crate) fn tcp() -> Vec<Packet> {
    let mut cases = Cases("tcp", Vec::new());
    for flags in 0..0x200 {
        let tcp =
            Tcp { flags, acknowledgement: 77, urgent: 3, ports: (1000 + flags, 2000), ..Tcp::default() };
        cases.add(format!("flags {flags:#x}"), frame(&tcp.over4()));
    }
    let options: &[(&str, &[u8])] = &[
        ("usual", &[2, 4, 5, 180, 4, 2, 8, 10, 0, 1, 2, 3, 0, 0, 0, 0, 1, 3, 3, 7]),
        ("mss", &[2, 4, 0x23, 0x28]),
        ("end", &[0, 0, 0, 0]),
        ("end and more", &[1, 0, 3, 3]),
        ("time stamps", &[1, 1, 8, 10, 255, 255, 255, 255, 1, 2, 3, 4]),
        ("sack", &[1, 1, 5, 10, 0, 0, 0, 9, 0, 0, 0, 19]),
        ("sack two", &[1, 1, 5, 18, 0, 0, 0, 9, 0, 0, 0, 19, 0, 0, 0, 29, 0, 0, 0, 39]),
        ("sack odd", &[5, 8, 0, 0, 0, 9, 0, 0]),
        ("sack none", &[5, 2, 1, 1]),
        ("unknown", &[77, 4, 0xab, 0xcd]),
        ("unknown empty", &[77, 2, 1, 1]),
        ("bad length", &[77, 40, 1, 2]),
        ("length zero", &[77, 0, 1, 2]),
        ("length one", &[77, 1, 1, 2]),
        ("no length", &[1, 1, 1, 77]),
        ("md5", &[19, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1, 1]),
        ("user timeout", &[28, 4, 0, 0]),
        ("fast open asked", &[34, 2, 1, 1]),
        ("fast open", &[34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1]),
        ("tcp-ao", &[29, 8, 1, 2, 3, 4, 5, 6]),
        ("experiment", &[254, 4, 0xf9, 0x89]),
    ];
    for (number, (name, bytes)) in options.iter().enumerate() {
        for flags in [0x02, 0x12, 0x10] {
            let ports = (3000 + number as u16, 2000 + flags);
            let tcp = Tcp { flags, options: bytes.to_vec(), ports, acknowledgement: 5, ..Tcp::default() };
            cases.add(format!("option {name} {flags}"), frame(&tcp.over4()));
        }
    }
    // A connection, with all its numbers.
    let a = Tcp { sequence: u32::MAX - 3, ..Tcp::default() };
    let b = Tcp { ports: (8080, 40312), sequence: 5000, ..Tcp::default() };
    let from_a = |tcp: Tcp| frame(&tcp.over4());
    let from_b = |tcp: Tcp| {
        let packet = Ip4 { source: B, destination: A, ..Ip4::default() };
        frame(&packet.carry(6, &summed(tcp.bytes(), 16, 6, B.into(), A.into())))
    };
    let sack = vec![1, 1, 5, 10, 0, 0, 0, 100, 0, 0, 0, 200];
    let timestamps = vec![1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4];
    cases.add("syn", from_a(a.clone()));
    cases.add("syn ack", from_b(Tcp { flags: 0x12, acknowledgement: u32::MAX - 2, ..b.clone() }));
    cases.add("ack", from_a(Tcp { flags: 0x10, sequence: u32::MAX - 2, acknowledgement: 5001, ..a.clone() }));
    let text = b"0123456789".to_vec();
    cases.add(
        "data",
        from_a(Tcp {
            flags: 0x18,
            sequence: u32::MAX - 2,
            acknowledgement: 5001,
            payload: text.clone(),
            options: timestamps,
            ..a.clone()
        }),
    );
    cases.add(
        "selective",
        from_b(Tcp { flags: 0x10, sequence: 5001, acknowledgement: 7, options: sack.clone(), ..b.clone() }),
    );
    cases.add("fin", from_b(Tcp { flags: 0x11, sequence: 5001, acknowledgement: 7, ..b.clone() }));
    cases.add("rst", from_a(Tcp { flags: 0x4, sequence: 7, ..a.clone() }));
    cases.add("again", from_b(Tcp { flags: 0x12, sequence: 9, acknowledgement: 10, ..b }));
    cases.add("after", from_a(Tcp { flags: 0x10, sequence: 11, acknowledgement: 12, options: sack, ..a }));
    cases.add("over ipv6", frame(&Tcp::default().over6()));
    cases.add("over ipv6 with data", frame(&Tcp { flags: 0x18, payload: text, ..Tcp::default() }.over6()));
    for (number, text) in [
        "GET / HTTP/1.1\r\nHost: web\r\n\r\n",
        "GET /no-end HTTP/1.1",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 404 Not Found\nServer: x\ty\n\n",
        "POST /x HTTP/1.1\r\nA: b\r\n\r\n\x01\x02binary",
        "gibberish 12 34",
        "get x",
        "HTTP/1.1 200 \x01OK\r\nX: y",
    ]
    .iter()
    .enumerate()
    {
        let ports = if number % 2 == 0 { (1234, 80) } else { (8080, 1234) };
        let tcp = Tcp { ports, flags: 0x18, payload: text.as_bytes().to_vec(), ..Tcp::default() };
        cases.add(format!("http {number}"), frame(&tcp.over4()));
    }
    let mut wrong = Tcp::default().over4();
    wrong[36] ^= 1;
    cases.add("wrong checksum", frame(&wrong));
    let mut wrong = Tcp::default().over6();
    wrong[56] ^= 1;
    cases.add("wrong checksum over ipv6", frame(&wrong));
    for offset in [0, 0x40] {
        let mut packet = Tcp::default().over4();
        packet[32] = offset;
        cases.add(format!("offset {offset:#x}"), frame(&packet));
    }
    for length in 0..20 {
        cases.add(format!("of {length} bytes"), frame(&ip4(6, &Tcp::default().bytes()[..length])));
    }
    cases.1
}

pub(crate) fn udp() -> Vec<Packet> {
    let mut cases = Cases("udp", Vec::new());
    for length in [0, 1, 2, 100, 1472] {
        cases.add(format!("{length} bytes"), frame(&udp4(4000, 5000, &vec![b'x'; length])));
        cases.add(format!("{length} bytes over ipv6"), frame(&udp6(4000, 5000, &vec![b'x'; length])));
    }
    cases.add("without checksum", frame(&ip4(17, &udp_message(1, 2, b"abc"))));
    cases.add("without checksum over ipv6", frame(&ip6(17, &udp_message(1, 2, b"abc"))));
    let mut wrong = udp4(4000, 5000, b"abc");
    wrong[26] ^= 1;
    cases.add("wrong checksum", frame(&wrong));
    for said in [0, 7, 8, 9, 200] {
        let mut message = udp_message(4000, 5000, b"0123456789");
        message[5] = said;
        cases.add(format!("says {said}"), frame(&ip4(17, &message)));
        cases.add(format!("says {said} over ipv6"), frame(&ip6(17, &message)));
    }
    for length in 0..8 {
        cases.add(format!("of {length} bytes"), frame(&ip4(17, &udp_message(4000, 5000, b"")[..length])));
    }
    cases.1
}

pub(crate) fn icmp4() -> Vec<Packet> {
    let mut cases = Cases("icmp", Vec::new());
    for (kind, name) in [(8, "request"), (0, "reply")] {
        for length in [0, 1, 56, 1000] {
            cases.add(format!("echo {name} {length}"), frame(&icmp(kind, 0, 0x1234_0001, &vec![7; length])));
        }
    }
    let mut wrong = icmp(8, 0, 1, b"abcd");
    wrong[22] ^= 1;
    cases.add("wrong checksum", frame(&wrong));
    let about = [
        ("udp", udp4(40000, 53000, b"question")),
        ("tcp", Tcp::default().over4()),
        ("icmp", icmp(8, 0, 0x0007_0001, b"ping")),
        ("gre", ip4(200, b"0123456789012345")),
        ("other", ip4(200, b"0123456789")),
    ];
    for (name, about) in &about {
        for code in 0..17 {
            let word = if code == 4 { 1400 } else { 0 };
            cases.add(format!("unreachable {code} {name}"), frame(&icmp_error(3, code, word, about)));
        }
        cases.add(format!("no mtu {name}"), frame(&icmp_error(3, 4, 0, about)));
        for code in 0..5 {
            cases.add(format!("redirect {code} {name}"), frame(&icmp_error(5, code, R.into(), about)));
            cases.add(format!("exceeded {code} {name}"), frame(&icmp_error(11, code, 0, about)));
            cases.add(format!("parameter {code} {name}"), frame(&icmp_error(12, code, 20 << 24, about)));
        }
        cases.add(format!("quench {name}"), frame(&icmp_error(4, 0, 0, about)));
        cases.add(format!("eight bytes of {name}"), frame(&icmp_error(11, 0, 0, &about[..28])));
        cases.add(format!("port, eight bytes of {name}"), frame(&icmp_error(3, 3, 0, &about[..28])));
    }
    let long = udp4(40000, 53000, &[b'x'; 1400]);
    cases.add("548 bytes", frame(&icmp_error(3, 4, 1300, &long[..548])));
    cases.add("time stamp", frame(&icmp(13, 0, 0x0001_0002, &[0; 12])));
    cases.add("time stamps", frame(&icmp(14, 0, 0x0001_0002, &[0, 1, 2, 3, 0, 1, 2, 4, 2, 1, 2, 5])));
    cases.add("mask", frame(&icmp(17, 0, 1, &[0; 4])));
    cases.add("mask reply", frame(&icmp(18, 0, 1, &[255, 255, 255, 0])));
    for kind in [1, 2, 6, 10, 15, 16, 30, 42, 43, 255] {
        cases.add(format!("type {kind}"), frame(&icmp(kind, 0, 0, b"whatever")));
    }
    cases.1
}

pub(crate) fn ipv6() -> Vec<Packet> {
    let mut cases = Cases("ipv6", Vec::new());
    let payload = summed(udp_message(1000, 2000, b"hello, world"), 6, 17, A6.into(), B6.into());
    for (class, label) in [(0, 0), (1, 0), (0xb8, 0), (0, 0xabcde), (3, 1)] {
        let packet = Ip6 { class, label, ..Ip6::default() };
        cases.add(format!("class {class} label {label}"), frame(&packet.carry(17, &payload)));
    }
    for address in [
        "::",
        "::1",
        "fe80::1",
        "2001:db8::1:0:0:1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "64:ff9b::1.2.3.4",
        "1:0:2:0:3:0:4:0",
        "::2:3",
        "1::",
    ] {
        let packet = Ip6 { source: address.parse().unwrap(), ..Ip6::default() };
        cases.add(format!("from {address}"), frame(&packet.carry(17, &payload)));
    }
    let options: &[(&str, &[u8])] = &[
        ("router alert", &[5, 2, 0, 0, 1, 0]),
        ("pad", &[1, 4, 0, 0, 0, 0]),
        ("pads", &[0, 0, 0, 0, 0, 0]),
        ("jumbo", &[0xc2, 4, 0, 1, 0, 0]),
        ("unknown", &[0x3e, 4, 1, 2, 3, 4]),
    ];
    for (name, bytes) in options {
        for header in [0, 60] {
            let extension = join(&[&[17, 0], bytes, &payload]);
            cases.add(format!("options {header} {name}"), frame(&ip6(header, &extension)));
        }
    }
    let both = join(&[&[60, 0, 1, 4, 0, 0, 0, 0], &[17, 0, 1, 4, 0, 0, 0, 0], &payload]);
    cases.add("hop by hop, destination", frame(&ip6(0, &both)));
    let routing = join(&[&[17, 2, 0, 1, 0, 0, 0, 0], &B6.octets(), &payload]);
    cases.add("routing", frame(&ip6(43, &routing)));
    for field in [0_u16, 1, 0x05a9, 0x05a8, 8, 0xfff8] {
        for (next, payload) in [
            (17, payload.clone()),
            (58, icmp6(128, 0, &[0, 1, 0, 2, 9, 9])[40..].to_vec()),
            (6, Tcp::default().bytes()),
        ] {
            let fragment = join(&[&[next, 0], &field.to_be_bytes(), &[0x12, 0x34, 0x56, 0x78], &payload]);
            cases.add(format!("fragment {field} of {next}"), frame(&ip6(44, &fragment)));
        }
    }
    cases.add("nothing", frame(&ip6(59, &[])));
    cases.add("ip in ip6", frame(&ip6(4, &Tcp::default().over4())));
    cases.add("ip6 in ip6", frame(&ip6(41, &Tcp::default().over6())));
    for next in [200, 255, 61] {
        cases.add(format!("next header {next}"), frame(&ip6(next, b"0123456789")));
    }
    let mut short = frame(&ip6(17, &payload));
    short.truncate(short.len() - 4);
    cases.add("longer than its frame", short);
    let mut packet = ip6(17, &payload);
    packet[0] = 0x45;
    cases.add("version 4", ether(0x86dd, &packet));
    let mut padded = frame(&ip6(17, &payload));
    padded.resize(padded.len() + 6, 0);
    cases.add("padded", padded);
    cases.1
}

pub(crate) fn icmpv6() -> Vec<Packet> {
    let mut cases = Cases("icmp6", Vec::new());
    let link: std::net::Ipv6Addr = "fe80::1".parse().unwrap();
    let all: std::net::Ipv6Addr = "ff02::1".parse().unwrap();
    for (kind, name) in [(128, "request"), (129, "reply")] {
        for length in [0, 1, 56] {
            let rest = join(&[&[0x12, 0x34, 0, 1], &vec![7; length]]);
            cases.add(format!("echo {name} {length}"), frame(&icmp6(kind, 0, &rest)));
        }
    }
    let mut wrong = icmp6(128, 0, &[0, 1, 0, 2]);
    wrong[42] ^= 1;
    cases.add("wrong checksum", frame(&wrong));
    let about = [
        ("udp", udp6(40000, 53000, b"question")),
        ("tcp", Tcp::default().over6()),
        ("icmp6", icmp6(128, 0, &[0, 1, 0, 2])),
        ("other", ip6(200, b"0123456789")),
    ];
    for (name, about) in &about {
        for code in 0..5 {
            if code == 4 && matches!(*name, "icmp6" | "other") {
                continue;
            }
            cases.add(format!("unreachable {code} {name}"), frame(&icmp6(1, code, &join(&[&[0; 4], about]))));
        }
        cases.add(format!("too big {name}"), frame(&icmp6(2, 0, &join(&[&1280_u32.to_be_bytes(), about]))));
        for code in 0..3 {
            cases.add(format!("exceeded {code} {name}"), frame(&icmp6(3, code, &join(&[&[0; 4], about]))));
            cases.add(
                format!("parameter {code} {name}"),
                frame(&icmp6(4, code, &join(&[&[0, 0, 0, 40], about]))),
            );
        }
    }
    let source = join(&[&[1, 1], &MAC_A]);
    let target = join(&[&[2, 1], &MAC_A]);
    let mtu = [5, 1, 0, 0, 0, 0, 5, 120];
    let prefix = |flags: u8, valid: u32| {
        let address: std::net::Ipv6Addr = "2001:db8:1::".parse().unwrap();
        join(&[&[3, 4, 64, flags], &valid.to_be_bytes(), &1800_u32.to_be_bytes(), &[0; 4], &address.octets()])
    };
    let servers = join(&[&[25, 5, 0, 0, 0, 0, 7, 8], &A6.octets(), &B6.octets()]);
    let search = join(&[&[31, 3, 0, 0, 0, 0, 7, 8], b"\x03lab\x04test\0\0\0\0\0\0\0"]);
    let route = [24, 1, 0, 8, 0, 0, 7, 8];
    let lists: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("source", source.clone()),
        ("target", target.clone()),
        ("mtu", mtu.to_vec()),
        ("prefix", prefix(0xc0, 3600)),
        ("prefix for ever", prefix(0xe0, u32::MAX)),
        ("prefix none", prefix(0, 0)),
        ("servers", servers.clone()),
        ("search", search),
        ("route", route.to_vec()),
        ("unknown", vec![99, 1, 1, 2, 3, 4, 5, 6]),
        ("nonce", vec![14, 1, 1, 2, 3, 4, 5, 6]),
        ("all", join(&[&source, &mtu, &prefix(0xc0, 86400), &servers])),
        ("no length", vec![1, 0, 2, 0, 0, 0, 0, 1]),
        ("long", vec![1, 9, 2, 0, 0, 0, 0, 1]),
    ];
    for (name, options) in &lists {
        let with = |head: &[u8]| join(&[head, options]);
        cases.add(format!("rs {name}"), frame(&icmp6_between(link, all, 133, 0, &with(&[0; 4]))));
        let head = [64, 0xc0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        cases.add(format!("ra {name}"), frame(&icmp6_between(link, all, 134, 0, &with(&head))));
        let head = join(&[&[0; 4], &B6.octets()]);
        cases.add(format!("ns {name}"), frame(&icmp6_between(link, all, 135, 0, &with(&head))));
        let head = join(&[&[0x60, 0, 0, 0], &B6.octets()]);
        cases.add(format!("na {name}"), frame(&icmp6_between(link, all, 136, 0, &with(&head))));
        let head = join(&[&[0; 4], &A6.octets(), &B6.octets()]);
        cases.add(format!("redirect {name}"), frame(&icmp6_between(link, all, 137, 0, &with(&head))));
    }
    for flags in [0, 0x20, 0x40, 0x80, 0xa0, 0xc0, 0xe0] {
        let rest = join(&[&[flags, 0, 0, 0], &B6.octets(), &target]);
        cases.add(format!("na flags {flags:#x}"), frame(&icmp6_between(link, all, 136, 0, &rest)));
        let head = [0, flags | 0x08, 0, 0, 0, 0, 3, 232, 0, 0, 4, 0];
        cases.add(format!("ra flags {flags:#x}"), frame(&icmp6_between(link, all, 134, 0, &head)));
    }
    cases.1
}

//! Questions and answers of DNS.

use super::build::*;
use super::corpus::Cases;
use super::oracle::Packet;

/// A name in labels.
pub(crate) fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

pub(crate) fn dns() -> Vec<Packet> {
    let mut cases = Cases("dns", Vec::new());
    let head = |flags: u16, counts: [u16; 4]| {
        let counts = counts.map(u16::to_be_bytes).concat();
        join(&[&[0x30, 0x39], &flags.to_be_bytes(), &counts])
    };
    let question =
        |name: &str, kind: u16, class: u16| join(&[&labels(name), &kind.to_be_bytes(), &class.to_be_bytes()]);
    let record = |name: &[u8], kind: u16, class: u16, ttl: u32, data: &[u8]| {
        let length = (data.len() as u16).to_be_bytes();
        join(&[name, &kind.to_be_bytes(), &class.to_be_bytes(), &ttl.to_be_bytes(), &length, data])
    };
    let pointer = [0xc0, 12];
    for kind in [1, 2, 5, 6, 12, 15, 16, 28, 33, 43, 46, 48, 99, 252, 255, 65000] {
        let query = join(&[&head(0x0100, [1, 0, 0, 0]), &question("www.example.com", kind, 1)]);
        cases.add(format!("query {kind}"), frame(&udp4(40000, 53, &query)));
    }
    for flags in [
        0, 0x0010, 0x0020, 0x0040, 0x0100, 0x0110, 0x0120, 0x0800, 0x1000, 0x2000, 0x2800, 0x7900, 0x0200,
        0x0003,
    ] {
        let query = join(&[&head(flags, [1, 0, 0, 0]), &question("www.example.com", 1, 1)]);
        cases.add(format!("query flags {flags:#x}"), frame(&udp6(40000, 53, &query)));
        let answer = join(&[&head(0x8000 | flags, [1, 0, 0, 0]), &question("www.example.com", 1, 1)]);
        cases.add(format!("answer flags {flags:#x}"), frame(&udp4(53, 40000, &answer)));
    }
    for code in 0..16 {
        for flags in [0x8180, 0x8580, 0x8380, 0x81b0, 0x8100] {
            let answer = join(&[&head(flags | code, [1, 0, 0, 0]), &question("nowhere.example", 1, 1)]);
            cases.add(format!("answer {flags:#x} {code}"), frame(&udp4(53, 40000, &answer)));
        }
    }
    for class in [1, 3, 4, 255, 77, 0x8001] {
        let query = join(&[&head(0x0100, [1, 0, 0, 0]), &question("version.bind", 16, class)]);
        cases.add(format!("class {class}"), frame(&udp4(40000, 53, &query)));
        cases.add(format!("class {class} multicast"), frame(&udp4(5353, 5353, &query)));
        let answer = join(&[
            &head(0x8580, [1, 1, 0, 0]),
            &question("version.bind", 16, class),
            &record(&pointer, 16, class, 120, b"\x031.0"),
        ]);
        cases.add(format!("answer class {class}"), frame(&udp4(53, 40000, &answer)));
        cases.add(format!("answer class {class} multicast"), frame(&udp4(5353, 5353, &answer)));
    }
    let optional = join(&[&[0, 0, 41, 4, 208, 0, 0], &[0, 0, 0, 0]]);
    let optional_dnssec = join(&[&[0, 0, 41, 4, 208, 0, 0], &[0x80, 0, 0, 0]]);
    for (name, optional) in [("edns", &optional), ("edns do", &optional_dnssec)] {
        let query = join(&[&head(0x0120, [1, 0, 0, 1]), &question("www.example.com", 28, 1), optional]);
        cases.add(name, frame(&udp4(40000, 53, &query)));
    }
    let soa = join(&[
        &labels("ns.example"),
        &labels("root.example"),
        &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5],
    ]);
    let records: Vec<(u16, Vec<u8>)> = vec![
        (1, vec![192, 0, 2, 1]),
        (28, "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec()),
        (2, labels("ns1.example.com")),
        (5, vec![4, b'w', b'e', b'b', b'1', 0xc0, 16]),
        (12, labels("host.example")),
        (39, labels("other.example")),
        (6, soa.clone()),
        (15, join(&[&[0, 10], &labels("mail.example")])),
        (16, b"\x05v=abc\x03x y".to_vec()),
        (16, b"\x04\x01\xff\x7f\\".to_vec()),
        (33, join(&[&[0, 1, 0, 2, 31, 144], &labels("srv.example")])),
        (43, vec![1, 2, 3, 4]),
        (65000, vec![1, 2, 3]),
        (5, vec![0xc0, 12]),
        (5, vec![0]),
    ];
    for (kind, data) in &records {
        for ttl in [0, 59, 60, 3600, 90061, 700_000, u32::MAX] {
            let answer = join(&[
                &head(0x8180, [1, 1, 0, 0]),
                &question("www.example.com", *kind, 1),
                &record(&pointer, *kind, 1, ttl, data),
            ]);
            cases.add(format!("record {kind} {ttl}"), frame(&udp4(53, 40000, &answer)));
        }
    }
    let many = join(&[
        &head(0x8180, [1, 3, 1, 2]),
        &question("www.example.com", 1, 1),
        &record(&pointer, 5, 1, 300, &labels("a.example")),
        &record(&labels("a.example"), 1, 1, 300, &[192, 0, 2, 1]),
        &record(&labels("a.example"), 1, 1, 300, &[192, 0, 2, 2]),
        &record(&pointer, 2, 1, 300, &labels("ns.example")),
        &record(&labels("ns.example"), 1, 1, 300, &[192, 0, 2, 3]),
        &optional,
    ]);
    cases.add("many", frame(&udp4(53, 40000, &many)));
    let length = (many.len() as u16).to_be_bytes();
    let tcp = Tcp { ports: (53, 40000), flags: 0x18, payload: join(&[&length, &many]), ..Tcp::default() };
    cases.add("over tcp", frame(&tcp.over4()));
    let query = join(&[&head(0x0100, [1, 0, 0, 0]), &question("www.example.com", 1, 1)]);
    let length = (query.len() as u16).to_be_bytes();
    let tcp = Tcp { ports: (40000, 53), flags: 0x18, payload: join(&[&length, &query]), ..Tcp::default() };
    cases.add("query over tcp", frame(&tcp.over4()));
    cases.add("root", frame(&udp4(40000, 53, &join(&[&head(0x0100, [1, 0, 0, 0]), &question("", 2, 1)]))));
    let two = join(&[&head(0x0100, [2, 0, 0, 0]), &question("a.b", 1, 1), &question("c.d", 28, 1)]);
    cases.add("two questions", frame(&udp4(40000, 53, &two)));
    let two = join(&[&head(0x8100, [2, 0, 0, 0]), &question("a.b", 1, 1), &question("c.d", 28, 1)]);
    cases.add("two questions answered", frame(&udp4(53, 40000, &two)));
    cases.1
}

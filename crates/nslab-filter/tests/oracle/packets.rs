//! Several hundred packets of all kinds that filters tell apart.

/// A packet as far as it was captured, and its length on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) length: usize,
}

/// Addresses that expressions name.
const HOSTS: [[u8; 4]; 6] =
    [[10, 0, 0, 1], [10, 0, 0, 2], [10, 1, 2, 3], [192, 168, 1, 1], [224, 0, 0, 5], [255, 255, 255, 255]];
const HOSTS6: [&str; 5] = ["2001:db8::1", "2001:db8::2", "fe80::1", "ff02::1", "::1"];
const PORTS: [u16; 9] = [22, 53, 80, 443, 123, 8080, 8085, 1024, 65535];
const MACS: [[u8; 6]; 5] = [
    [2, 0, 0, 0, 0, 1],
    [2, 0, 0, 0, 0, 2],
    [0xff; 6],
    [1, 0, 0x5e, 0, 0, 5],
    [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff],
];

/// A row of numbers, always the same.
pub(crate) struct Row(pub(crate) u64);

impl Row {
    pub(crate) fn next(&mut self) -> usize {
        // Knuth's linear congruential generator (TAOCP 2, MMIX).
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap()
    }

    pub(crate) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.next() % all.len()]
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.next() & 0xff).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }
}

/// The corpus.
pub(crate) fn packets() -> Vec<Packet> {
    let mut row = Row(1);
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for _ in 0..2 {
        for (kind, payload) in network(&mut row) {
            frames.push(ethernet(&mut row, kind, &payload));
            frames.extend(wrapped(&mut row, kind, &payload));
        }
        for payload in llc(&mut row) {
            let length = u16::try_from(payload.len()).unwrap();
            frames.push(ethernet(&mut row, length, &payload));
        }
        for inner in network(&mut row).into_iter().step_by(5) {
            let inner = ethernet(&mut row, inner.0, &inner.1);
            frames.extend(tunnels(&mut row, &inner));
        }
        for kind in [0x6001, 0x6002, 0x6003, 0x6004, 0x6007, 0x8863, 0x88cc, 0x9000, 0x8137, 0x809b, 0x80f3] {
            let payload = row.bytes(50);
            frames.push(ethernet(&mut row, kind, &payload));
        }
    }
    let mut packets: Vec<Packet> =
        frames.iter().map(|bytes| Packet { length: bytes.len(), bytes: bytes.clone() }).collect();
    // Cut short where the transport's header ends, and a few shorter ones.
    for frame in frames.iter().step_by(17) {
        for kept in [54, 62] {
            if frame.len() > kept {
                packets.push(Packet { length: frame.len(), bytes: frame[..kept].to_vec() });
            }
        }
    }
    packets
}

/// About one in so many of them, of all kinds.
pub(crate) fn some(one_in: usize) -> Vec<Packet> {
    let mut row = Row(2);
    packets().into_iter().filter(|_| row.next().is_multiple_of(one_in)).collect()
}

fn ethernet(row: &mut Row, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = row.of(&MACS).to_vec();
    frame.extend(row.of(&MACS[..2]));
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    if row.next().is_multiple_of(2) {
        frame.resize(frame.len().max(60), 0);
    }
    frame
}

/// What EtherTypes there are, with payloads.
fn network(row: &mut Row) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    for operation in [1, 2] {
        all.push((0x0806, arp(row, operation)));
        all.push((0x8035, arp(row, operation + 2)));
    }
    for (number, payload) in transport(row) {
        all.push((0x0800, ip4(row, number, 0, 0, &payload)));
        let words = row.next() % 11;
        all.push((0x0800, ip4(row, number, words, 0, &payload)));
        all.push((0x86dd, ip6(row, number, &payload)));
    }
    for (number, payload) in transport(row).into_iter().take(6) {
        // First and later fragments.
        all.push((0x0800, ip4(row, number, 1, 0x2000, &payload)));
        all.push((0x0800, ip4(row, number, 0, 0x20b9, &payload)));
        let mut fragment = vec![number, 0, 0, 1, 0, 0, 0, 9];
        fragment.extend(&payload);
        all.push((0x86dd, ip6(row, 44, &fragment)));
        for extension in [0, 43, 60] {
            let mut behind = vec![number, 0, 1, 4, 0, 0, 0, 0];
            behind.extend(&payload);
            all.push((0x86dd, ip6(row, extension, &behind)));
        }
    }
    all
}

fn arp(row: &mut Row, operation: u8) -> Vec<u8> {
    let mut bytes = vec![0, 1, 8, 0, 6, 4, 0, operation];
    bytes.extend(row.of(&MACS));
    bytes.extend(row.of(&HOSTS));
    bytes.extend([0; 6]);
    bytes.extend(row.of(&HOSTS));
    bytes
}

fn ip4(row: &mut Row, number: u8, option_words: usize, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let header = 20 + 4 * option_words;
    let mut bytes = vec![0x40 | u8::try_from(header / 4).unwrap(), row.of(&[0, 0, 0xb8])];
    bytes.extend(u16::try_from(header + payload.len()).unwrap().to_be_bytes());
    bytes.extend(row.bytes(2));
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([row.of(&[1, 64, 255]), number, 0, 0]);
    bytes.extend(row.of(&HOSTS[..4]));
    bytes.extend(row.of(&HOSTS));
    bytes.resize(header, 1);
    bytes.extend(payload);
    bytes
}

fn ip6(row: &mut Row, next: u8, payload: &[u8]) -> Vec<u8> {
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend(address(row.of(&HOSTS6[..3])));
    bytes.extend(address(row.of(&HOSTS6)));
    bytes.extend(payload);
    bytes
}

/// Protocols above IP.
fn transport(row: &mut Row) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    for flags in [0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0xc2] {
        let mut tcp = ports(row);
        tcp.extend(row.bytes(8));
        tcp.extend([row.of(&[0x50, 0x80]), flags]);
        tcp.extend(row.bytes(6));
        if tcp[12] == 0x80 {
            tcp.extend([1; 12]);
        }
        let data = row.next() % 40;
        tcp.extend(row.bytes(data));
        all.push((6, tcp));
    }
    for _ in 0..6 {
        let mut udp = ports(row);
        let data = row.next() % 60;
        udp.extend(u16::try_from(8 + data).unwrap().to_be_bytes());
        udp.extend([0, 0]);
        udp.extend(row.bytes(data));
        all.push((17, udp));
    }
    let mut sctp = ports(row);
    sctp.extend(row.bytes(20));
    all.push((132, sctp));
    for (number, kind) in [(1, 0), (1, 3), (1, 8), (1, 11), (58, 1), (58, 128), (58, 129), (58, 135)] {
        let mut icmp = vec![kind, row.of(&[0, 0, 4])];
        icmp.extend(row.bytes(30));
        all.push((number, icmp));
    }
    for number in [2, 9, 47, 50, 51, 89, 103, 112, 59] {
        all.push((number, row.bytes(24)));
    }
    all
}

fn ports(row: &mut Row) -> Vec<u8> {
    let mut bytes = row.of(&PORTS).to_be_bytes().to_vec();
    bytes.extend(row.of(&PORTS).to_be_bytes());
    bytes
}

/// The same packet behind tags, labels and a session.
fn wrapped(row: &mut Row, kind: u16, payload: &[u8]) -> Vec<Vec<u8>> {
    let tagged = |tag: u16, kind: u16, payload: &[u8]| {
        let mut bytes = tag.to_be_bytes().to_vec();
        bytes.extend(kind.to_be_bytes());
        bytes.extend(payload);
        bytes
    };
    let id = row.of(&[5, 6, 0x6005]);
    let once = tagged(id, kind, payload);
    let twice = tagged(7, 0x8100, &tagged(5, kind, payload));
    let mut all = vec![ethernet(row, 0x8100, &once), ethernet(row, 0x88a8, &twice)];
    if matches!(kind, 0x0800 | 0x86dd) {
        let label = |number: u32, last: u32| (number << 12 | last << 8 | 64).to_be_bytes().to_vec();
        let number = row.of(&[100, 1024]);
        let one = [label(number, 1), payload.to_vec()].concat();
        let two = [label(100, 0), label(1024, 1), payload.to_vec()].concat();
        let mut ppp = vec![0x11, 0, 0, row.of(&[1, 39]), 0, 0, 0, if kind == 0x0800 { 0x21 } else { 0x57 }];
        ppp.extend(payload);
        all.extend([ethernet(row, 0x8847, &one), ethernet(row, 0x8847, &two), ethernet(row, 0x8864, &ppp)]);
    }
    all
}

/// Frames of 802.3, whose type is their length.
fn llc(row: &mut Row) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let starts: [&[u8]; 10] = [
        &[0x42, 0x42, 3],
        &[0xfe, 0xfe, 3, 0x81],
        &[0xfe, 0xfe, 3, 0x82],
        &[0xfe, 0xfe, 3, 0x83],
        &[0xe0, 0xe0, 3],
        &[0xff, 0xff, 0, 34],
        &[0xf0, 0xf0, 3],
        &[0xaa, 0xaa, 3, 8, 0, 7, 0x80, 0x9b],
        &[0xaa, 0xaa, 3, 0, 0, 0, 0x80, 0xf3],
        &[0x06, 0x06, 3],
    ];
    for start in starts {
        let mut bytes = start.to_vec();
        bytes.extend(row.bytes(30));
        all.push(bytes);
    }
    all
}

/// A frame in VXLAN over IPv4 and IPv6, and in Geneve or its payload alone.
fn tunnels(row: &mut Row, inner: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let options = row.next() % 3;
    let option_words = u8::try_from(options).unwrap();
    let network = row.of(&[42, 43]);
    let vxlan = [8, 0, 0, 0, 0, 0, network, 0].to_vec();
    let geneve =
        |first: u8, kind: &[u8]| [&[first, 0], kind, &[0, 0, network, 0], &[1].repeat(4 * options)].concat();
    for (port, header, inside) in [
        (4789_u16, vxlan, inner),
        (6081, geneve(option_words, &[0x65, 0x58]), inner),
        (6081, geneve(option_words, &inner[12..14]), &inner[14..]),
        (6081, geneve(option_words | 0x40, &[0x65, 0x58]), inner),
    ] {
        let mut udp = row.of(&PORTS).to_be_bytes().to_vec();
        udp.extend(port.to_be_bytes());
        udp.extend(u16::try_from(8 + header.len() + inside.len()).unwrap().to_be_bytes());
        udp.extend([0, 0]);
        udp.extend(header);
        udp.extend(inside);
        let words = row.next() % 2;
        let four = ip4(row, 17, words, 0, &udp);
        let six = ip6(row, 17, &udp);
        all.extend([ethernet(row, 0x0800, &four), ethernet(row, 0x86dd, &six)]);
    }
    all
}

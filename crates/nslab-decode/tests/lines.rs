//! What tcpdump cannot be asked: what is known of a packet besides its bytes, and words for numbers.

mod support;

use std::borrow::Cow;
use std::net::IpAddr;

use nslab_decode::{Frame, Link, Names, Printer, Style, Tag, decode, line};
use support::build::*;

#[test]
fn checksums_left_to_the_card_are_no_faults() {
    let mut tcp = frame(&Tcp::default().over4());
    tcp[50] ^= 1;
    let style = Style { verbosity: 2, ..Style::default() };
    let told = |bytes: &[u8], partial_checksum| {
        line(&decode(&Frame { partial_checksum, ..Frame::new(bytes) }), &style)
    };
    assert!(told(&tcp, false).contains("(incorrect -> 0x"), "{}", told(&tcp, false));
    assert!(told(&tcp, true).contains(" (partial), seq 1000"), "{}", told(&tcp, true));
    let mut udp = frame(&udp4(1, 2, b"abc"));
    udp[40] ^= 1;
    assert!(told(&udp, false).contains("[bad udp cksum 0x"));
    assert!(told(&udp, true).contains("[partial udp cksum 0x"));
}

/// A tag that the kernel took off stands where it was.
#[test]
fn tags_beside_the_frame() {
    let packet = Tcp::default().over4();
    let style = Style { link: true, ..Style::default() };
    for (protocol, tci) in [(0x8100, 42), (0x88a8, 0xb007)] {
        let whole = ether(protocol, &tag(tci, 0x0800, &packet));
        let without = frame(&packet);
        let taken_off = Frame { vlan: Some(Tag::of_tci(protocol, tci)), ..Frame::new(&without) };
        let (whole, taken_off) = (decode(&Frame::new(&whole)), decode(&taken_off));
        assert_eq!(line(&whole, &style), line(&taken_off, &style));
        assert_eq!(whole.vlans, taken_off.vlans);
        let dump = Style { dump: nslab_decode::Dump::Hex { link: false }, ..style };
        assert_eq!(line(&whole, &dump), line(&taken_off, &dump));
    }
}

#[test]
fn packets_without_a_frame() {
    for packet in [Tcp::default().over4(), Tcp::default().over6()] {
        let (framed, plain) = (frame(&packet), Frame::new(&packet).on(Link::Ip));
        assert_eq!(
            line(&decode(&plain), &Style::default()),
            line(&decode(&Frame::new(&framed)), &Style::default())
        );
    }
}

struct Words;

impl Names for Words {
    fn port(&self, protocol: u8, port: u16) -> Option<Cow<'_, str>> {
        (protocol == 6 && port == 8080).then_some(Cow::Borrowed("http-alt"))
    }

    fn host(&self, address: IpAddr) -> Option<Cow<'_, str>> {
        (address == IpAddr::from(B)).then_some(Cow::Borrowed("blue"))
    }
}

#[test]
fn words_for_numbers() {
    let style = Style { names: Some(&Words), ..Style::default() };
    let tcp = frame(&Tcp::default().over4());
    assert_eq!(
        Printer::new(style).line(&decode(&Frame::new(&tcp))),
        "IP 10.0.0.1.40312 > blue.http-alt: Flags [S], seq 1000, win 64240, length 0"
    );
}

/// The names of fields are a promise.
#[test]
fn as_json() {
    let tcp = Tcp { options: vec![2, 4, 5, 180, 1, 3, 3, 7], ..Tcp::default() };
    let bytes = ether(0x8100, &tag(42, 0x0800, &tcp.over4()));
    let json = serde_json::to_value(decode(&Frame::new(&bytes))).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "length": 66,
            "ethernet": {"destination": "02:00:00:00:00:02", "source": "02:00:00:00:00:01", "ethertype": 2048},
            "vlans": [{"protocol": 33024, "priority": 0, "drop_eligible": false, "id": 42}],
            "ipv4": {
                "source": "10.0.0.1", "destination": "10.0.0.2", "tos": 0, "total_length": 48, "header_length": 20,
                "id": 4711, "dont_fragment": true, "reserved_flag": false, "more_fragments": false,
                "fragment_offset": 0, "ttl": 64, "protocol": 6, "checksum": 5215,
                "tcp": {
                    "source_port": 40312, "destination_port": 8080, "sequence": 1000, "acknowledgement": 0,
                    "header_length": 28, "flags": ["syn"], "window": 64240, "checksum": json["ipv4"]["tcp"]["checksum"],
                    "urgent": 0,
                    "options": [{"maximum_segment": 1460}, "nothing", {"window_scale": 7}],
                    "payload": {"length": 0, "captured": 0},
                },
            },
        })
    );
    let error = frame(&icmp_error(3, 4, 1400, &udp4(1, 2, b"abc")));
    let json = serde_json::to_value(decode(&Frame::new(&error))).unwrap();
    let unreachable = &json["ipv4"]["icmp"]["unreachable"];
    assert_eq!(unreachable["mtu"], 1400);
    assert_eq!(unreachable["quoted"]["ipv4"]["udp"]["destination_port"], 2);
}

/// Headers in each other are followed for some time only.
#[test]
fn there_is_an_end_to_nesting() {
    let mut packet = Tcp::default().over4();
    for _ in 0..50 {
        packet = ip4(4, &packet);
    }
    let told = line(&decode(&Frame::new(&frame(&packet))), &Style::default());
    assert!(told.ends_with("[ip nested too deep]") && told.len() < 300, "{told}");
    let mut error = icmp_error(3, 0, 0, &Tcp::default().over4());
    for _ in 0..50 {
        error = icmp_error(3, 0, 0, &error);
    }
    let told = line(&decode(&Frame::new(&frame(&error))), &Style { verbosity: 2, ..Style::default() });
    assert!(told.contains("nested too deep") && told.len() < 4000, "{told}");
    let mut inner = frame(&Tcp::default().over4());
    for _ in 0..50 {
        inner = frame(&udp4(1, 4789, &join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &inner])));
    }
    let decoded = decode(&Frame::new(&inner));
    assert!(decoded.innermost().ethernet.is_some());
    assert!(line(&decoded, &Style::default()).len() < 1000);
}

/// Segments that are not cut yet may be longer than their headers can say.
#[test]
fn big_segments() {
    let tcp = Tcp { flags: 0x18, payload: vec![7; 100_000], ..Tcp::default() };
    for mut packet in [ip4(6, &tcp.bytes()), ip6(6, &tcp.bytes())] {
        let at = if packet[0] >> 4 == 4 { 2 } else { 4 };
        packet[at..at + 2].fill(0);
        let told = line(&decode(&Frame::new(&frame(&packet))), &Style::default());
        assert!(told.contains("seq 1000:101000") && told.contains("length 100000"), "{told}");
    }
}

#[test]
fn packets_that_errors_are_about() {
    let about = Tcp::default().over6();
    let too_big = frame(&icmp6(2, 0, &join(&[&1280_u32.to_be_bytes(), &about[..48]])));
    let told = line(&decode(&Frame::new(&too_big)), &Style { verbosity: 1, ..Style::default() });
    assert_eq!(
        told.split("ICMP6, ").nth(1).unwrap(),
        "packet too big, mtu 1280\n\tIP6 (hlim 64, next-header TCP (6) payload length: 20) \
         fd00::1.40312 > fd00::2.8080:  [|tcp]"
    );
}

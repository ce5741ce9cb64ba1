//! Behind `vxlan` a filter is about the frame inside. libpcap 1.10 has no such word; what it should do is what the same
//! filter does with the frame inside alone.

use nslab_filter::{Filter, Frame};

use crate::expressions::EXPRESSIONS;
use crate::packets::{packets, some};
use crate::random::expressions;
use crate::selection::names;

/// Where the inner frame of a packet to VXLAN's port begins, and the network's number.
fn inside(packet: &[u8]) -> Option<(usize, u8)> {
    let udp = match packet.get(12..14)? {
        [8, 0] if packet[23] == 17 => 14 + usize::from(packet[14] & 0xf) * 4,
        [0x86, 0xdd] if packet[20] == 17 => 54,
        _ => return None,
    };
    let vxlan = packet.get(udp + 2..udp + 4)? == 4789_u16.to_be_bytes();
    vxlan.then(|| (udp + 16, packet[udp + 14]))
}

#[test]
fn behind_vxlan_a_filter_is_about_the_frame_inside() {
    let packets: Vec<_> = some(2).into_iter().filter(|packet| packet.bytes.len() == packet.length).collect();
    let tunnels: Vec<_> =
        packets.iter().filter_map(|packet| Some((&packet.bytes, inside(&packet.bytes)?))).collect();
    assert!(tunnels.len() > 10);
    let random = expressions(150, 11);
    let all = EXPRESSIONS.iter().copied().chain(random.iter().map(String::as_str));
    // The length is that of the whole packet, wherever it is asked for; and there is one tunnel at a time.
    let all = all.filter(|text| !["len", "less", "greater", "geneve"].iter().any(|word| text.contains(word)));
    let mut both = 0;
    for text in all.filter(|text| !text.trim().is_empty()) {
        let Ok(inner) = Filter::parse(text, names()) else { continue };
        let within = Filter::parse(&format!("vxlan and ({text})"), names()).unwrap();
        for (packet, (start, _)) in &tunnels {
            let expected = inner.program().matches(&Frame::new(&packet[*start..]));
            let found = within.program().matches(&Frame::new(packet));
            assert_eq!(found, expected, "{text} inside {packet:02x?}:\n{}", within.program());
            both += usize::from(found);
        }
    }
    assert!(both > 500, "only {both} matches");
}

#[test]
fn vxlan_tells_networks_apart_and_other_packets_are_none() {
    let [any, one] = ["vxlan", "vxlan 42"].map(|text| Filter::parse(text, names()).unwrap());
    let [mut tunnels, mut ones] = [0, 0];
    for packet in packets().iter().filter(|packet| packet.bytes.len() == packet.length) {
        let frame = Frame::new(&packet.bytes);
        let network = inside(&packet.bytes).map(|(_, network)| network);
        assert_eq!(any.program().matches(&frame), network.is_some(), "{packet:02x?}");
        assert_eq!(one.program().matches(&frame), network == Some(42), "{packet:02x?}");
        tunnels += usize::from(network.is_some());
        ones += usize::from(network == Some(42));
    }
    assert!(ones > 0 && ones < tunnels);
}

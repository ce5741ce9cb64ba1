//! What is said of packets, held against tcpdump.

mod support;

use nslab_decode::{Clock, Dump, Frame, Link, Precision, Printer, Stamp, Style, decode};
use support::oracle::{self, Packet};
use support::{corpus, services};

/// Errors of `ICMPv6`.
const ERRORS: [&str; 4] = ["icmp6: unreachable", "icmp6: too big", "icmp6: exceeded", "icmp6: parameter"];

/// Both tell all packets; all differences are shown.
fn same(packets: &[Packet], style: Style<'_>, options: &[&str]) {
    same_on(Link::Ethernet, packets, style, options);
}

fn same_on(link: Link, packets: &[Packet], style: Style<'_>, options: &[&str]) {
    if !oracle::is_here() {
        return;
    }
    // LINKTYPE_ETHERNET and LINKTYPE_RAW.
    let number = if link == Link::Ethernet { 1 } else { 101 };
    let theirs = oracle::tell(number, packets, options);
    let mut printer = Printer::new(style);
    let mut wrong = Vec::new();
    for (packet, theirs) in packets.iter().zip(theirs) {
        let mut ours = printer.line(&decode(&Frame::new(&packet.bytes).of_length(packet.length).on(link)));
        // The packets that such errors are about tcpdump does not show.
        if ERRORS.iter().any(|name| packet.name.starts_with(name)) {
            ours.truncate(ours.find("\n\t").unwrap_or(ours.len()));
        }
        if ours != theirs {
            wrong.push(format!("{}\n  tcpdump: {theirs:?}\n  nslab:   {ours:?}", packet.name));
        }
    }
    let (count, of) = (wrong.len(), packets.len());
    assert!(wrong.is_empty(), "{count} of {of} differ with {options:?}:\n{}", wrong.join("\n"));
}

#[test]
fn one_line() {
    same(&corpus::all(), Style::default(), &[]);
    same(&services::by_name(), Style::default(), &[]);
    same(&services::by_name(), Style { link: true, ..Style::default() }, &["-e"]);
}

#[test]
fn verbose() {
    same(&corpus::all(), Style { verbosity: 1, ..Style::default() }, &["-v"]);
}

#[test]
fn more_verbose() {
    same(&corpus::all(), Style { verbosity: 2, ..Style::default() }, &["-vv"]);
}

#[test]
fn most_verbose() {
    let mut packets = corpus::all();
    packets.retain(|packet| !packet.name.starts_with("dhcp:"));
    same(&packets, Style { verbosity: 3, ..Style::default() }, &["-vvv"]);
}

#[test]
fn with_the_header_of_the_frame() {
    same(&corpus::all(), Style { link: true, ..Style::default() }, &["-e"]);
}

/// As a tun device has them.
#[test]
fn without_a_frame() {
    let mut packets = corpus::all();
    packets.retain(|packet| {
        matches!(packet.bytes[12..15], [0x08, 0x00, 0x45..=0x4f] | [0x86, 0xdd, 0x60..=0x6f])
    });
    for packet in &mut packets {
        packet.bytes.drain(..14);
        packet.length -= 14;
    }
    assert!(packets.len() > 1000);
    same_on(Link::Ip, &packets, Style::default(), &[]);
    same_on(Link::Ip, &packets, Style { verbosity: 1, link: true, ..Style::default() }, &["-v", "-e"]);
    let dump = Dump::Hex { link: false };
    packets.retain(|packet| packet.name.starts_with("udp") && !packet.name.contains("of"));
    same_on(Link::Ip, &packets, Style { dump, ..Style::default() }, &["-x"]);
}

#[test]
fn absolute_sequence_numbers() {
    same(&corpus::tcp(), Style { absolute_sequence: true, ..Style::default() }, &["-S"]);
}

#[test]
fn bytes() {
    let mut packets = [corpus::link(), corpus::ipv4(), corpus::tcp(), corpus::udp()].concat();
    // Where it gives up tcpdump shows the header of the frame, too.
    packets.retain(|packet| !packet.name.contains("length") && !packet.name.starts_with("tcp: of"));
    for (options, dump) in [
        ("-x", Dump::Hex { link: false }),
        ("-xx", Dump::Hex { link: true }),
        ("-X", Dump::HexText { link: false }),
        ("-XX", Dump::HexText { link: true }),
        ("-A", Dump::Text { link: false }),
        ("-AA", Dump::Text { link: true }),
    ] {
        same(&packets, Style { dump, ..Style::default() }, &[options]);
    }
}

#[test]
fn with_header_and_verbose() {
    same(&corpus::all(), Style { link: true, verbosity: 2, ..Style::default() }, &["-e", "-vv"]);
}

#[test]
fn times() {
    if !oracle::is_here() {
        return;
    }
    let packets = corpus::udp();
    for count in 0..6 {
        for (precision, option) in [(Precision::Micro, "micro"), (Precision::Nano, "nano")] {
            let stamp = format!("-{}", "t".repeat(usize::from(count)));
            let precision_option = format!("--time-stamp-precision={option}");
            let options: Vec<&str> =
                [&*precision_option, &*stamp].into_iter().filter(|it| it.len() > 1).collect();
            let theirs = oracle::run(1, &packets, &options);
            let mut clock = Clock::new(Stamp::of_count(count), precision, 0);
            let mut printer = Printer::default();
            let mut ours = String::new();
            for (number, packet) in packets.iter().enumerate() {
                let (seconds, micros) = oracle::time(number);
                clock.write(i64::from(seconds) * 1_000_000_000 + i64::from(micros) * 1000, &mut ours);
                printer.write(&decode(&Frame::new(&packet.bytes)), &mut ours);
                ours.push('\n');
            }
            assert_eq!(ours, theirs, "{options:?}");
        }
    }
}

/// Every kind of packet, cut at every byte.
fn cut() -> Vec<Packet> {
    let mut packets = corpus::all();
    packets.retain(|packet| !packet.name.contains("flags") && !packet.name.contains("md5"));
    let at_each =
        |packet: &Packet| (1..packet.bytes.len().min(200)).map(|at| packet.cut(at)).collect::<Vec<_>>();
    packets.iter().step_by(3).flat_map(at_each).collect()
}

/// Without what says that more was not captured.
fn beginning(text: &str) -> &str {
    let end = text.find(" [|").or(text.find("[remaining caplen")).unwrap_or(text.len());
    text[..end].trim_end()
}

/// What is told of packets that were cut begins in the same way: a header that is there in part only may be told in part,
/// or not at all.
#[test]
fn cut_short() {
    if !oracle::is_here() {
        return;
    }
    let packets = cut();
    for (style, options) in
        [(Style::default(), &[][..]), (Style { verbosity: 2, ..Style::default() }, &["-vv"])]
    {
        let theirs = oracle::tell(1, &packets, options);
        let mut printer = Printer::new(style);
        let (mut same, mut wrong) = (0, Vec::new());
        for (packet, theirs) in packets.iter().zip(theirs) {
            let ours = printer.line(&decode(&Frame::new(&packet.bytes).of_length(packet.length)));
            same += usize::from(ours == theirs);
            if !ours.starts_with(beginning(&theirs)) && !theirs.starts_with(beginning(&ours)) {
                wrong.push(format!("{}\n  tcpdump: {theirs:?}\n  nslab:   {ours:?}", packet.name));
            }
        }
        let (count, of) = (wrong.len(), packets.len());
        assert!(wrong.is_empty(), "{count} of {of} differ with {options:?}:\n{}", wrong.join("\n"));
        assert!(same * 5 > of * 4, "{same} of {of} are the same");
    }
}

/// Packets with some bytes changed by a generator with a fixed seed.
fn changed() -> Vec<Packet> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut chance = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut packets = corpus::all();
    packets.retain(|packet| packet.bytes.len() > 34);
    for packet in &mut packets {
        for _ in 0..=chance(2) {
            let at = 14 + chance(packet.bytes.len().min(120) - 14);
            packet.bytes[at] ^= 1 << chance(8);
            packet.name = format!("{}, byte {at} is {:#x}", packet.name, packet.bytes[at]);
        }
    }
    packets
}

/// Nearly all of these are told as tcpdump does it; the others have become something that is told by name here, or not at
/// all, or their garbage is told in other words.
#[test]
fn bytes_changed() {
    if !oracle::is_here() {
        return;
    }
    let packets = changed();
    let theirs = oracle::tell(1, &packets, &[]);
    let mut printer = Printer::default();
    let mut told = packets.iter().map(|packet| printer.line(&decode(&Frame::new(&packet.bytes))));
    let wrong: Vec<_> =
        theirs.iter().zip(&packets).filter(|(theirs, _)| told.next().as_ref() != Some(theirs)).collect();
    let (count, of) = (wrong.len(), packets.len());
    let names: Vec<_> = wrong.iter().map(|(theirs, packet)| format!("{}: {theirs:?}", packet.name)).collect();
    assert!(count * 20 < of, "{count} of {of} differ:\n{}", names.join("\n"));
}

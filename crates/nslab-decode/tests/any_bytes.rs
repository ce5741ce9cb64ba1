//! Whatever the bytes are, they are taken apart and told, within their bounds.

mod support;

use std::sync::LazyLock;

use nslab_decode::{Dump, Frame, Identity, Link, Ports, Printer, Style, decode, decode_with};
use proptest::prelude::*;
use support::corpus;
use support::oracle::Packet;

/// Those that differ in more than their flags.
static PACKETS: LazyLock<Vec<Packet>> =
    LazyLock::new(|| corpus::all().into_iter().filter(|packet| !packet.name.contains("flags")).collect());

/// Everything that can be made of a frame.
fn tell(bytes: &[u8], length: usize) {
    for link in [Link::Ethernet, Link::Ip] {
        let frame = Frame::new(bytes).of_length(length).on(link);
        let decoded = decode_with(&frame, Ports { vxlan: &[4790] });
        for verbosity in [0, 2, 3] {
            let dump = if verbosity == 3 { Dump::HexText { link: false } } else { Dump::None };
            let style = Style { verbosity, link: verbosity == 2, dump, ..Style::default() };
            let line = Printer::new(style).line(&decoded);
            assert!(line.len() < 64 * 1024 + bytes.len() * 200, "{} bytes of text", line.len());
        }
        assert!(serde_json::to_string(&decoded).is_ok());
        assert_eq!(Identity::of_frame(&frame), Identity::of(&decode(&frame)));
    }
}

#[test]
fn the_corpus_cut_at_every_byte() {
    for packet in &*PACKETS {
        for length in 0..packet.bytes.len().min(160) {
            tell(&packet.bytes[..length], packet.length);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_but_chance(bytes in proptest::collection::vec(any::<u8>(), 0..300), more in 0..2000_usize) {
        tell(&bytes, bytes.len() + more);
    }

    #[test]
    fn the_corpus_with_some_bytes_changed(
        number in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let packet = &PACKETS[number.index(PACKETS.len())];
        let mut bytes = packet.bytes.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        tell(&bytes, packet.length);
        tell(&bytes[..cut.index(bytes.len())], packet.length);
    }
}

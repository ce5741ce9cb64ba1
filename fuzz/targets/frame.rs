//! Frames: whatever they hold, they are taken apart, told and known again, in text of a bounded length.
//!
//! The first byte says how: tun or Ethernet, how much is told, how much was cut.
#![no_main]

use nslab_decode::{Dump, Frame, Identity, Link, Ports, Printer, Style, decapsulated, decode_with};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&how, bytes)) = data.split_first() else { return };
    let link = if how & 1 == 0 { Link::Ethernet } else { Link::Ip };
    let length = bytes.len() + if how & 2 == 0 { 0 } else { 1000 };
    let frame = Frame { partial_checksum: how & 4 != 0, ..Frame::new(bytes).of_length(length).on(link) };
    let ports = Ports { vxlan: &[4790] };
    let decoded = decode_with(&frame, ports);
    let dump = if how & 8 == 0 { Dump::None } else { Dump::HexText { link: false } };
    let style = Style { verbosity: how >> 4 & 3, link: how & 64 != 0, dump, ..Style::default() };
    let line = Printer::new(style).line(&decoded);
    // A name of DNS is as long as 255 bytes, each told in at most 4, and a record that points to it takes 12.
    assert!(line.len() <= 4096 + bytes.len() * 200, "{} bytes of text of {}", line.len(), bytes.len());
    assert!(serde_json::to_string(&decoded).is_ok());
    for decoded in [&decoded, decoded.innermost()] {
        drop(Identity::of(decoded).map(|identity| (identity.key(), identity.key_through_nat())));
    }
    if let Some(inner) = decapsulated(&frame, ports) {
        assert!(bytes.len() > inner.bytes.len() && inner.length >= inner.bytes.len());
    }
});

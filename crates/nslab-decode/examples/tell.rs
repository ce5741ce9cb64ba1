//! Tells the packets of a file of tcpdump's, as `tcpdump -n -r FILE` does, with as many `v` as there are in the second
//! argument.
//!
//! ```console
//! $ cargo run -p nslab-decode --example tell FILE.pcap vv
//! ```

use std::io::{Error, Write as _};

use nslab_decode::{Clock, Frame, Link, Precision, Printer, Stamp, Style, decode};

/// `LINKTYPE_ETHERNET` and `LINKTYPE_RAW` (pcap-linktype(7)).
const LINKS: [(u32, Link); 2] = [(1, Link::Ethernet), (101, Link::Ip)];

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = std::fs::read(arguments.next().ok_or_else(|| Error::other("a file is missing"))?)?;
    let verbosity = arguments.next().map_or(0, |letters| u8::try_from(letters.len()).unwrap_or(u8::MAX));
    let number = |at: usize| {
        file.get(at..at + 4).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_le_bytes(*bytes))
    };
    let nanos_each = match number(0) {
        Some(0xa1b2_c3d4) => 1000,
        Some(0xa1b2_3c4d) => 1,
        _ => return Err(Error::other("no file of libpcap's in this machine's byte order")),
    };
    let link = LINKS.iter().find(|(kind, _)| number(20) == Some(*kind));
    let (_, link) = link.ok_or_else(|| Error::other("frames of another kind"))?;
    let mut printer = Printer::new(Style { verbosity, ..Style::default() });
    let mut clock = Clock::new(Stamp::Seconds, Precision::Micro, 0);
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let (mut at, mut text) = (24, String::new());
    while let (Some(seconds), Some(rest), Some(captured), Some(length)) =
        (number(at), number(at + 4), number(at + 8), number(at + 12))
    {
        let end = at + 16 + captured as usize;
        let Some(bytes) = file.get(at + 16..end) else { break };
        text.clear();
        clock.write(i64::from(seconds) * 1_000_000_000 + i64::from(rest) * nanos_each, &mut text);
        printer.write(&decode(&Frame::new(bytes).of_length(length as usize).on(*link)), &mut text);
        text.push('\n');
        out.write_all(text.as_bytes())?;
        at = end;
    }
    out.flush()
}

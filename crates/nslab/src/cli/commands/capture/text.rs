//! Packets in words.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use nslab_decode::{Clock, Decoded, Dump, Names, Precision, Printer, Stamp, Style};
use nslab_kernel::packet::{Frame, PacketKind};
use nslab_observe::capture::Sighting;

use super::view::View;
use crate::cli::args::Capture;

/// The time of day, in nanoseconds since 1970.
pub(in crate::cli::commands) fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// As tcpdump has it for all interfaces at once.
pub(super) fn direction(kind: PacketKind) -> &'static str {
    match kind {
        PacketKind::Host => "In",
        PacketKind::Broadcast => "B",
        PacketKind::Multicast => "M",
        PacketKind::OtherHost => "P",
        PacketKind::Outgoing => "Out",
    }
}

/// Tells packets one after the other.
pub(in crate::cli::commands) struct Teller {
    clock: Clock,
    printer: Printer<'static>,
    /// Of the longest name of a place so far.
    width: usize,
}

impl Teller {
    pub(super) fn new(args: &Capture) -> Self {
        let dump = match (args.hex, args.hex_and_text) {
            (0, 0) => Dump::None,
            (0, times) => Dump::HexText { link: times > 1 },
            (times, _) => Dump::Hex { link: times > 1 },
        };
        let style = Style { verbosity: args.verbose, link: args.link, dump, ..Style::default() };
        Self::of(style, args.numeric == 0, args.time)
    }

    /// One that tells packets in this style, ports by name if `named`, with the time of so many `-t`.
    pub(in crate::cli::commands) fn of(style: Style<'static>, named: bool, time: u8) -> Self {
        let names: Option<&'static dyn Names> = if named { Some(Services::get()) } else { None };
        let style = Style { names, ..style };
        Self {
            clock: Clock::new(Stamp::of_count(time), Precision::Micro, local_offset()),
            printer: Printer::new(style),
            width: 0,
        }
    }

    /// Adds a packet's line, or lines, to `text`.
    pub(super) fn tell(
        &mut self,
        namespace: &str,
        sighting: &Sighting<'_>,
        view: &View<'_>,
        text: &mut String,
    ) {
        let (raw, interface) = (&sighting.frame, &sighting.interface.name);
        self.time(raw.time, text);
        let length = namespace.chars().count() + 1 + interface.chars().count();
        self.width = self.width.max(length);
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, "{namespace}:{interface}{:1$}", "", self.width - length);
        let _ = write!(text, " {:3} ", direction(raw.kind));
        self.words(view.decoded().as_ref(), raw, text);
        text.push('\n');
    }

    /// Adds a time.
    pub(in crate::cli::commands) fn time(&mut self, time: u64, text: &mut String) {
        self.clock.write(i64::try_from(time).unwrap_or(i64::MAX), text);
    }

    /// Adds what is said of a packet itself.
    pub(super) fn words(&mut self, decoded: Option<&Decoded<'_>>, raw: &Frame<'_>, text: &mut String) {
        self.packet(decoded, (raw.protocol, raw.length), text);
    }

    /// Adds a packet; one that cannot be taken apart is told by its `EtherType` and length.
    pub(in crate::cli::commands) fn packet(
        &mut self,
        decoded: Option<&Decoded<'_>>,
        (protocol, length): (u16, u32),
        text: &mut String,
    ) {
        match decoded {
            Some(decoded) => self.printer.write(decoded, text),
            None => drop(write!(text, "ethertype {protocol:#06x}, length {length}")),
        }
    }
}

/// How far local time is ahead of UTC, in seconds.
fn local_offset() -> i32 {
    jiff::Zoned::now().offset().seconds()
}

/// The names of ports, as `/etc/services` has them.
pub(super) struct Services {
    names: HashMap<(u8, u16), String>,
}

impl Services {
    fn get() -> &'static Self {
        static SERVICES: OnceLock<Services> = OnceLock::new();
        SERVICES.get_or_init(|| Self::read(&std::fs::read_to_string("/etc/services").unwrap_or_default()))
    }

    fn read(text: &str) -> Self {
        let mut names = HashMap::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let (Some(name), Some((port, protocol))) =
                (words.next(), words.next().and_then(|word| word.split_once('/')))
            else {
                continue;
            };
            let protocol = match protocol {
                "tcp" => 6,
                "udp" => 17,
                _ => continue,
            };
            if let Ok(port) = port.parse() {
                names.entry((protocol, port)).or_insert_with(|| name.to_owned());
            }
        }
        Self { names }
    }
}

impl Names for Services {
    fn port(&self, protocol: u8, port: u16) -> Option<Cow<'_, str>> {
        self.names.get(&(protocol, port)).map(|name| Cow::Borrowed(&**name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services() {
        let services =
            Services::read("# x\nhttp\t80/tcp www # y\nhttp 80/udp\nodd 81\nother 80/tcp\nz z/tcp\n");
        assert_eq!(services.port(6, 80).as_deref(), Some("http"));
        assert_eq!(services.port(17, 80).as_deref(), Some("http"));
        assert_eq!(services.port(6, 81), None);
    }
}

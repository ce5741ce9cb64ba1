//! The text for a packet, in the manner of tcpdump 4.99.
//!
//! What is meant to differ from tcpdump:
//!
//! - Checksums that the kernel left to the network card are `(partial)`, not `(incorrect …)`.
//! - UDP port 8472 is VXLAN, as the kernel's `vxlan` devices use it unless told otherwise; tcpdump takes it for OTV.
//! - Of what is in TCP only DNS and the first line of HTTP are shown, of UDP what [`UdpPayload`](crate::UdpPayload) has.
//! - With `-v` the packet that an error of `ICMPv6` is about is shown, as that of ICMP is.
//! - Options of multipath TCP are not taken apart.
//! - DNS has the names of newer types (`HTTPS`, `SVCB`, `CAA`).
//! - Of the user timeout of TCP the bit that says minutes is the upper one (RFC 5482); time stamps in options of IPv4 are
//!   not listed.
//! - Where a protocol is told by its name (LLDP, LACP, OSPF, VRRP, NTP, SCTP) there is less with `-v`; fillings of DHCP's options
//!   are never listed.
//! - Packets that were cut or are malformed are told of with the same `[|tcp]`, but what stands in front of that may be
//!   less: a header is read whole or not at all.

mod arp;
mod dhcp;
mod dns;
mod ether;
mod flows;
mod gre;
mod hex;
mod icmp;
mod icmp6;
mod ip;
mod multicast;
mod nd;
mod neighbours;
mod sctp;
mod tcp;
mod text;
mod udp;

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use nslab_types::MacAddr;

use crate::data::{Broken, Fault};
use crate::layers::{Decoded, Network};

pub use flows::Conversations;
pub use hex::Dump;

/// Words for numbers.
pub trait Names {
    /// The service at a port of `protocol` (6 TCP, 17 UDP), as `http`.
    fn port(&self, protocol: u8, port: u16) -> Option<Cow<'_, str>>;

    /// Who an address is of.
    fn host(&self, address: IpAddr) -> Option<Cow<'_, str>> {
        let _ = address;
        None
    }
}

/// How packets are told.
#[derive(Clone, Copy, Default)]
pub struct Style<'n> {
    /// How much: 0 is one line, 1 to 3 are tcpdump's `-v`, `-vv`, `-vvv`.
    pub verbosity: u8,
    /// With the header of the frame (`-e`).
    pub link: bool,
    /// Sequence numbers of TCP as they are, not from the beginning of what was seen (`-S`).
    pub absolute_sequence: bool,
    /// Checksums are not looked at (`-K`).
    pub unchecked: bool,
    /// The bytes, after the text (`-x`, `-X`, `-A`).
    pub dump: Dump,
    /// Words for numbers; without, there are only numbers (`-n`).
    pub names: Option<&'n dyn Names>,
}

impl fmt::Debug for Style<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Style")
            .field("verbosity", &self.verbosity)
            .field("link", &self.link)
            .field("dump", &self.dump)
            .finish_non_exhaustive()
    }
}

/// Tells packets one after the other, and remembers what it told of connections.
#[derive(Debug, Default)]
pub struct Printer<'n> {
    style: Style<'n>,
    conversations: Conversations,
}

impl<'n> Printer<'n> {
    /// That has seen nothing yet.
    pub fn new(style: Style<'n>) -> Self {
        Self { style, conversations: Conversations::default() }
    }

    /// The text of a packet, without a time and without a line feed at its end. It has several lines with `verbosity` and
    /// `dump`, and with tunnels that carry frames.
    pub fn line(&mut self, decoded: &Decoded<'_>) -> String {
        let mut text = String::with_capacity(160);
        self.write(decoded, &mut text);
        text
    }

    /// As [`Self::line`], behind what is in `text`.
    pub fn write(&mut self, decoded: &Decoded<'_>, text: &mut String) {
        let mut out = Out {
            text,
            style: self.style,
            conversations: &mut self.conversations,
            is_partial: decoded.partial_checksum,
        };
        out.frame(decoded);
        hex::dump(&mut out, decoded);
    }
}

/// The text of a packet by itself: of a connection nothing else is known, so sequence numbers are as they are.
pub fn line(decoded: &Decoded<'_>, style: &Style<'_>) -> String {
    Printer::new(*style).line(decoded)
}

/// Where the text goes.
pub(crate) struct Out<'o, 'n> {
    text: &'o mut String,
    style: Style<'n>,
    conversations: &'o mut Conversations,
    is_partial: bool,
}

/// Puts formatted text to `Out`; a `String` takes everything.
macro_rules! put {
    ($out:expr, $($format:tt)*) => {{
        use std::fmt::Write as _;
        let _ = write!($out.text, $($format)*);
    }};
}
use put;

impl Out<'_, '_> {
    fn say(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn verbose(&self) -> bool {
        self.style.verbosity > 0
    }

    fn address(&mut self, address: IpAddr) {
        if let Some(name) = self.style.names.and_then(|names| names.host(address)) {
            return self.text.push_str(&name);
        }
        match address {
            IpAddr::V4(address) => self.ipv4_address(address),
            IpAddr::V6(address) => match address.octets() {
                // As inet_ntop has addresses of RFC 4291 2.5.5.1, but for the two that are no such.
                [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] if (a, b) != (0, 0) => {
                    put!(self, "::{a}.{b}.{c}.{d}");
                }
                _ => put!(self, "{address}"),
            },
        }
    }

    /// `10.0.0.1.80`.
    fn end(&mut self, address: IpAddr, protocol: u8, port: u16) {
        self.address(address);
        self.text.push('.');
        self.port(protocol, port);
    }

    fn port(&mut self, protocol: u8, port: u16) {
        match self.style.names.and_then(|names| names.port(protocol, port)) {
            Some(name) => self.text.push_str(&name),
            None => self.number(u32::from(port)),
        }
    }

    /// Quicker than `write!`, as most of a line is numbers.
    fn number(&mut self, mut number: u32) {
        let mut digits = [0; 10];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.text.push_str(str::from_utf8(&digits[at..]).unwrap_or_default());
    }

    /// As the next two, quicker than by their `Display`.
    fn mac(&mut self, mac: MacAddr) {
        let mut digits = [b':'; 17];
        for (place, byte) in digits.chunks_mut(3).zip(mac.0) {
            place[..2].copy_from_slice(&hex::digits(byte));
        }
        self.text.push_str(str::from_utf8(&digits).unwrap_or_default());
    }

    fn ipv4_address(&mut self, address: Ipv4Addr) {
        for (number, octet) in address.octets().into_iter().enumerate() {
            if number > 0 {
                self.text.push('.');
            }
            self.number(u32::from(octet));
        }
    }

    fn network(&mut self, network: &Network<'_>) {
        match network {
            Network::Arp(arp) => self.arp(arp),
            Network::Ipv4(packet) => self.ipv4(packet),
            Network::Ipv6(packet) => self.ipv6(packet),
            Network::Lldp(lldp) => self.lldp(lldp),
            Network::Slow(slow) => self.slow(slow),
            Network::Llc(llc) => self.llc(llc),
            Network::Other { .. } => {}
            Network::Broken(broken) => self.broken_network(broken),
        }
    }

    /// What could not be read.
    fn broken(&mut self, broken: &Broken) {
        let Broken { protocol, fault, .. } = broken;
        match fault {
            Fault::Short { length } if *protocol == "udp" && broken.ports.is_some() => {
                put!(self, "truncated-udp {length}");
            }
            Fault::Cut | Fault::Short { .. } => put!(self, " [|{protocol}]"),
            Fault::HeaderLength { length } => put!(self, "bad-hlen {length}"),
            Fault::Length { length } if *protocol == "udp" => put!(self, "truncated-udplength {length}"),
            Fault::Length { length } => put!(self, "bad-len {length}"),
            Fault::Version { version } if *protocol == "ip6" => put!(self, "version error: {version} != 6"),
            Fault::Version { version } => put!(self, "version {version} (invalid)"),
            Fault::TooDeep => put!(self, "[{protocol} nested too deep]"),
        }
    }

    /// Instead of what a frame carries.
    fn broken_network(&mut self, broken: &Broken) {
        match (broken.protocol, broken.fault) {
            ("ip", Fault::Version { version: 6 }) => {
                self.say("IP6, wrong link-layer encapsulation (invalid)");
            }
            ("ip", Fault::Version { version }) => put!(self, "IP{version} (invalid)"),
            (protocol, fault) => {
                let is_cut_ip6 = protocol == "ip6" && matches!(fault, Fault::Cut | Fault::Short { .. });
                if !self.style.link && broken.captured > 0 && !is_cut_ip6 {
                    match protocol {
                        "ip" => self.say("IP "),
                        "ip6" => self.say("IP6 "),
                        _ => {}
                    }
                }
                self.broken(broken);
            }
        }
    }
}

//! DHCP.

use std::net::Ipv4Addr;

use crate::layers::{Dhcp, Dhcp6, DhcpOption};
use crate::line::dns::write_text;
use crate::line::{Out, put};

impl Out<'_, '_> {
    pub(super) fn dhcp(&mut self, dhcp: &Dhcp<'_>) {
        self.say("BOOTP/DHCP, ");
        match dhcp.operation {
            1 => self.say("Request"),
            2 => self.say("Reply"),
            operation => put!(self, "unknown (0x{operation:02x})"),
        }
        let is_ethernet = (dhcp.hardware, dhcp.hardware_length) == (1, 6);
        if is_ethernet && dhcp.operation == 1 {
            put!(self, " from {}", dhcp.client_mac);
        }
        put!(self, ", length {}", dhcp.data.length());
        if !self.verbose() {
            return;
        }
        if dhcp.hardware != 1 {
            put!(self, ", htype {}", dhcp.hardware);
        }
        if !is_ethernet {
            put!(self, ", hlen {}", dhcp.hardware_length);
        }
        if dhcp.hops != 0 {
            put!(self, ", hops {}", dhcp.hops);
        }
        if dhcp.transaction != 0 {
            put!(self, ", xid 0x{:x}", dhcp.transaction);
        }
        if dhcp.seconds != 0 {
            put!(self, ", secs {}", dhcp.seconds);
        }
        let flags = dhcp.flags;
        put!(self, ", Flags [{}]", if flags & 0x8000 == 0 { "none" } else { "Broadcast" });
        if self.style.verbosity > 1 {
            put!(self, " (0x{flags:04x})");
        }
        let addresses = [
            ("Client", dhcp.client),
            ("Your", dhcp.yours),
            ("Server", dhcp.server),
            ("Gateway", dhcp.gateway),
        ];
        for (name, address) in addresses {
            if !address.is_unspecified() {
                put!(self, "\n\t  {name}-IP {address}");
            }
        }
        if is_ethernet {
            put!(self, "\n\t  Client-Ethernet-Address {}", dhcp.client_mac);
        }
        for (name, at, length) in [("sname", 44, 64), ("file", 108, 128)] {
            let text = dhcp.data.skip(at).first(length).bytes();
            let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
            if !text.is_empty() {
                put!(self, "\n\t  {name} \"");
                write_text(text, self.text);
                self.say("\"");
            }
        }
        match dhcp.data.u32(236) {
            Some(crate::layers::dhcp::COOKIE) => self.dhcp_options(dhcp),
            Some(0) => {}
            Some(other) => put!(self, "\n\t  Vendor-#0x{other:x}"),
            None => self.say(" [|bootp]"),
        }
    }

    fn dhcp_options(&mut self, dhcp: &Dhcp<'_>) {
        put!(
            self,
            "\n\t  Vendor-rfc1048 Extensions\n\t    Magic Cookie 0x{:08x}",
            crate::layers::dhcp::COOKIE
        );
        for DhcpOption { kind, value } in dhcp.options {
            let (name, form) = option(kind);
            let length = value.length();
            put!(self, "\n\t    {name} ({kind}), length {length}{}", if length > 0 { ": " } else { "" });
            if value.is_cut() {
                put!(self, "[|bootp]");
                return;
            }
            let bytes = value.bytes();
            match (form, bytes) {
                (Form::Message, [message]) => match message {
                    1 => self.say("Discover"),
                    2 => self.say("Offer"),
                    3 => self.say("Request"),
                    4 => self.say("Decline"),
                    5 => self.say("ACK"),
                    6 => self.say("NACK"),
                    7 => self.say("Release"),
                    8 => self.say("Inform"),
                    message => put!(self, "Unknown ({message})"),
                },
                (Form::Requested, numbers) => {
                    for (place, number) in numbers.iter().enumerate() {
                        self.say(if place % 4 == 0 { "\n\t      " } else { ", " });
                        put!(self, "{} ({number})", option(*number).0);
                    }
                }
                (Form::Addresses, bytes) => {
                    let addresses = bytes.as_chunks::<4>().0.iter();
                    self.listed(addresses.map(|address| Ipv4Addr::from(*address)), ",");
                }
                (Form::Client, [kind, address @ ..]) if *kind != 0 => {
                    match kind {
                        1 => self.say("ether "),
                        255 => self.say("hardware-type 255, "),
                        kind => put!(self, "hardware-type {kind}, "),
                    }
                    self.listed(address.iter().map(|byte| format!("{byte:02x}")), ":");
                }
                (Form::Text, text) | (Form::Client, [_, text @ ..]) => {
                    self.say("\"");
                    write_text(text, self.text);
                    self.say("\"");
                }
                (Form::Unknown, bytes) if bytes.len() % 4 == 0 => self.words(bytes),
                (Form::Unknown, bytes) if bytes.len() % 2 == 0 => self.shorts(bytes),
                (Form::Words, bytes) => self.words(bytes),
                (Form::Shorts, bytes) => self.shorts(bytes),
                (_, bytes) => self.listed(bytes.iter(), "."),
            }
        }
    }

    fn words(&mut self, bytes: &[u8]) {
        self.listed(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word)), ",");
    }

    fn shorts(&mut self, bytes: &[u8]) {
        self.listed(bytes.as_chunks::<2>().0.iter().map(|word| u16::from_be_bytes(*word)), ",");
    }

    fn listed(&mut self, items: impl Iterator<Item = impl std::fmt::Display>, between: &str) {
        for (number, item) in items.enumerate() {
            self.say(if number == 0 { "" } else { between });
            put!(self, "{item}");
        }
    }

    pub(super) fn dhcp6(&mut self, dhcp: &Dhcp6<'_>) {
        self.say("dhcp6 ");
        match dhcp.kind {
            1 => self.say("solicit"),
            2 => self.say("advertise"),
            3 => self.say("request"),
            4 => self.say("confirm"),
            5 => self.say("renew"),
            6 => self.say("rebind"),
            7 => self.say("reply"),
            8 => self.say("release"),
            9 => self.say("decline"),
            10 => self.say("reconfigure"),
            11 => self.say("inf-req"),
            12 => self.say("relay-fwd"),
            13 => self.say("relay-reply"),
            14 => self.say("leasequery"),
            15 => self.say("leasequery-reply"),
            kind => put!(self, "msgtype-{kind}"),
        }
        if self.verbose() && !matches!(dhcp.kind, 12 | 13) {
            put!(self, " (xid={:x})", dhcp.transaction);
        }
    }
}

/// What an option's value is.
#[derive(Clone, Copy)]
enum Form {
    Addresses,
    Words,
    Shorts,
    Bytes,
    Text,
    Message,
    Requested,
    Client,
    Unknown,
}

/// What tcpdump calls an option.
fn option(kind: u8) -> (&'static str, Form) {
    match kind {
        1 => ("Subnet-Mask", Form::Addresses),
        2 => ("Time-Zone", Form::Words),
        3 => ("Default-Gateway", Form::Addresses),
        4 => ("Time-Server", Form::Addresses),
        5 => ("IEN-Name-Server", Form::Addresses),
        6 => ("Domain-Name-Server", Form::Addresses),
        7 => ("LOG", Form::Addresses),
        12 => ("Hostname", Form::Text),
        15 => ("Domain-Name", Form::Text),
        17 => ("RP", Form::Text),
        26 => ("MTU", Form::Shorts),
        28 => ("BR", Form::Addresses),
        42 => ("NTP", Form::Addresses),
        43 => ("Vendor-Option", Form::Bytes),
        44 => ("Netbios-Name-Server", Form::Addresses),
        50 => ("Requested-IP", Form::Addresses),
        51 => ("Lease-Time", Form::Words),
        53 => ("DHCP-Message", Form::Message),
        54 => ("Server-ID", Form::Addresses),
        55 => ("Parameter-Request", Form::Requested),
        56 => ("MSG", Form::Text),
        57 => ("MSZ", Form::Shorts),
        58 => ("RN", Form::Words),
        59 => ("RB", Form::Words),
        60 => ("Vendor-Class", Form::Text),
        61 => ("Client-ID", Form::Client),
        66 => ("TFTP", Form::Text),
        67 => ("BF", Form::Text),
        93 => ("ARCH", Form::Shorts),
        114 => ("URL", Form::Text),
        _ => ("Unknown", Form::Unknown),
    }
}

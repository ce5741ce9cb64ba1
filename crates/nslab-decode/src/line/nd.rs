//! What is said besides in neighbour discovery.

use std::net::Ipv6Addr;

use crate::layers::{NdOption, NdOptions, NdValue};
use crate::line::dns::write_text;
use crate::line::{Out, hex, put};

impl Out<'_, '_> {
    /// Every option on a line of its own.
    pub(super) fn nd_options(&mut self, options: NdOptions<'_>) {
        let mut left = options.0.length();
        for option in options {
            if option.length > left || option.data.is_cut() {
                break;
            }
            left -= option.length;
            self.nd_option(option);
        }
        if left > 0 {
            self.say(" [|icmp6]");
        }
    }

    fn nd_option(&mut self, option: NdOption<'_>) {
        let NdOption { kind, length, .. } = option;
        let name = match kind {
            1 => "source link-address",
            2 => "destination link-address",
            3 => "prefix info",
            4 => "redirected header",
            5 => "mtu",
            7 => "advertisement interval",
            8 => "homeagent information",
            24 => "route info",
            25 => "rdnss",
            31 => "dnssl",
            _ => "unknown",
        };
        put!(self, "\n\t  {name} option ({kind}), length {length} ({}): ", length / 8);
        match option.value {
            NdValue::SourceLinkAddress(mac) | NdValue::TargetLinkAddress(mac) => put!(self, "{mac}"),
            NdValue::Prefix { length, flags, valid, preferred, prefix } => {
                self.address(prefix.into());
                put!(self, "/{length}, Flags [");
                self.flags(flags, &[(0x80, "onlink"), (0x40, "auto"), (0x20, "router")]);
                self.say("], valid time ");
                self.lifetime(valid);
                self.say(", pref. time ");
                self.lifetime(preferred);
            }
            NdValue::Mtu(mtu) => put!(self, " {mtu}"),
            NdValue::NameServers { lifetime, servers } => {
                self.say(" lifetime ");
                self.lifetime(lifetime);
                self.say(",");
                for server in servers {
                    self.say(" addr: ");
                    self.address(server.into());
                }
            }
            NdValue::SearchList { lifetime, names } => {
                self.say(" lifetime ");
                self.lifetime(lifetime);
                self.say(", domain(s):");
                self.names(names);
            }
            NdValue::Route { length, flags, lifetime, prefix } => {
                let mut octets = [0; 16];
                octets[..prefix.len().min(16)].copy_from_slice(&prefix[..prefix.len().min(16)]);
                self.say(" ");
                self.address(Ipv6Addr::from(octets).into());
                put!(self, "/{length}, pref={}, lifetime=", preference(flags));
                self.lifetime(lifetime);
            }
            NdValue::Other(data) if name == "unknown" => {
                if self.style.verbosity <= 1 {
                    return hex::lines(self, data.bytes(), "\n\t  ", false);
                }
            }
            NdValue::Redirected(_) | NdValue::Other(_) => {}
        }
        if self.style.verbosity > 1 {
            hex::lines(self, option.data.bytes(), "\n\t    ", false);
        }
    }

    fn lifetime(&mut self, seconds: u32) {
        match seconds {
            u32::MAX => self.say("infinity"),
            seconds => put!(self, "{seconds}s"),
        }
    }

    /// Names of the bits that are set, or `none`.
    pub(super) fn flags(&mut self, flags: u8, names: &[(u8, &str)]) {
        let mut any = false;
        for (_, name) in names.iter().filter(|(flag, _)| flags & flag != 0) {
            self.say(if any { ", " } else { "" });
            self.say(name);
            any = true;
        }
        if !any {
            self.say("none");
        }
    }

    /// Names of domains in a row, without compression (RFC 8106 5.2); zeros fill up.
    fn names(&mut self, mut bytes: &[u8]) {
        while let Some((&length, rest)) = bytes.split_first() {
            bytes = rest;
            if length == 0 {
                continue;
            }
            self.say(" ");
            let mut length = usize::from(length);
            while length > 0 {
                let (label, rest) = bytes.split_at(length.min(bytes.len()));
                write_text(label, self.text);
                self.say(".");
                let (&next, rest) = rest.split_first().unwrap_or((&0, &[]));
                (length, bytes) = (usize::from(next), rest);
            }
        }
    }
}

/// RFC 4191 2.1.
pub(super) fn preference(flags: u8) -> &'static str {
    match flags & 0x18 {
        0x08 => "high",
        0x18 => "low",
        0x10 => "rsv",
        _ => "medium",
    }
}

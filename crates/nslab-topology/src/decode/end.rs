//! Ends of links, and what every interface has.

use super::vlan::{PORT_KEYS, PortOptions};
use super::{Decoder, address};
use crate::diagnostic::{Diagnostic, Problem, Span, Spanned};
use crate::lab::End;
use crate::yaml::{Key, Kind, Value};

const END_KEYS: &[&str] = &[
    "node",
    "switch",
    "interface",
    "address",
    "addresses",
    "mac",
    "mtu",
    "up",
    "delay",
    "jitter",
    "distribution",
    "loss",
    "duplicate",
    "reorder",
    "corrupt",
    "rate",
    "vlan",
    "vlans",
    "native",
    "isolated",
];

impl Decoder {
    /// One end of a link, a text or a mapping; `repeated` if its node or switch is.
    pub(super) fn end(&mut self, value: &Value, repeated: bool) -> Option<End> {
        let mut end = if let Kind::Map(entries) = &value.kind {
            self.end_mapping(entries, value.span)?
        } else {
            let text = self.text(value, "an end, as `NAME:INTERFACE ADDRESS/LEN`")?;
            let (end, problems) = End::parse(&text.value, |range| text.place(range).or(Some(text.span)));
            for problem in problems {
                self.problem(&text, problem);
            }
            end
        };
        if let (true, Some(index)) = (repeated, self.index) {
            end.device.value.push_str(&index.to_string());
        }
        Some(end)
    }

    fn end_mapping(&mut self, entries: &[(Key, Value)], span: Span) -> Option<End> {
        let mut end = End::new(Spanned::new(String::new(), span));
        let mut port = PortOptions::default();
        for (key, value) in entries {
            match key.text.as_str() {
                "node" | "switch" => {
                    if !end.device.is_empty() {
                        self.push(
                            Diagnostic::error(
                                "bad-endpoint",
                                "an end is plugged into one node or one switch",
                            )
                            .at(key.span, ""),
                        );
                    }
                    end.device = self.text(value, "a name")?.spanned();
                }
                "interface" => {
                    end.interface = self.text(value, "an interface's name").map(super::Text::spanned);
                }
                _ if self.end_option(key, value, &mut end) => {}
                name if PORT_KEYS.contains(&name) => self.port_option(key, value, &mut port),
                _ => self.unknown_key(key, "an end of a link", END_KEYS),
            }
        }
        port.give(&mut end, true, self);
        Some(end)
    }

    /// Reads what every interface has: addresses, MAC, MTU, whether it is up, what happens to what it sends. Says false if
    /// `key` is none of these.
    pub(super) fn end_option(&mut self, key: &Key, value: &Value, end: &mut End) -> bool {
        match key.text.as_str() {
            "address" | "addresses" => {
                let addresses = self.end_addresses(value);
                end.addresses.get_or_insert_default().extend(addresses);
            }
            "mac" => {
                end.mac = self.parsed(value, "a MAC", |text| {
                    text.parse()
                        .map_err(|error: nslab_types::InvalidMac| Problem::new("bad-mac", error.to_string()))
                });
            }
            "mtu" => end.mtu = self.mtu(value),
            "up" => end.up = self.bool(value, "`up`").unwrap_or(true),
            _ => return self.impairment(key, value, &mut end.impairments),
        }
        true
    }

    fn end_addresses(&mut self, value: &Value) -> Vec<Spanned<ipnet::IpNet>> {
        if matches!(&value.kind, Kind::Scalar(scalar) if scalar.text == "none") {
            return Vec::new();
        }
        let wanted = "an address with its prefix length, as 10.0.0.1/24, or `none`";
        value.items().iter().filter_map(|item| self.parsed(item, wanted, address::interface)).collect()
    }
}

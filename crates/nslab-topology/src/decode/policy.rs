//! A node's firewall, address translation and other features that later releases build: read and checked only.

use super::{Decoder, checked};
use crate::diagnostic::{Diagnostic, Span};
use crate::yaml::{Key, Kind, Value};

const FIREWALL_KEYS: &[&str] = &["default", "allow", "deny", "reject"];
const RULE_KEYS: &[&str] = &["from", "to", "tcp", "udp", "icmp", "icmpv6", "protocol", "log", "comment"];
const NAT_KEYS: &[&str] = &["masquerade", "snat", "dnat", "forward"];
const NAT_RULE_KEYS: &[&str] = &["from", "to", "tcp", "udp", "zone", "address", "port"];
const UPLINK_KEYS: &[&str] = &["interface", "masquerade", "ipv4", "ipv6"];

impl Decoder {
    pub(super) fn firewall(&mut self, value: &Value, span: Span) {
        let entries = self.entries(value, "a mapping with `default` and `allow`");
        for (key, value) in entries {
            match key.text.as_str() {
                "default" => {
                    checked(self.word(value, "a default", &[("drop", ()), ("accept", ()), ("reject", ())]));
                }
                "allow" | "deny" | "reject" => {
                    for item in value.items() {
                        self.firewall_rule(item);
                    }
                }
                _ => self.unknown_key(key, "a firewall", FIREWALL_KEYS),
            }
        }
        let harmless = entries.iter().all(|(key, value)| {
            value.is_empty()
                || key.text == "default"
                    && matches!(&value.kind, Kind::Scalar(scalar) if scalar.text == "accept")
        });
        if !harmless {
            self.pending("a node's firewall", span);
        }
    }

    fn firewall_rule(&mut self, value: &Value) {
        if value.is_empty() {
            self.wrong_type(value, "a rule, as `{from: web, to: app, tcp: 8080}`");
        }
        for (key, value) in self.entries(value, "a rule, as `{from: web, to: app, tcp: 8080}`") {
            match key.text.as_str() {
                "from" | "to" => self.zones(value),
                "tcp" | "udp" => self.ports(value),
                "icmp" | "icmpv6" | "log" => {
                    if !matches!(&value.kind, Kind::Scalar(_)) {
                        self.wrong_type(value, "`true` or a word");
                    }
                }
                "protocol" | "comment" => checked(self.string(value, "a word")),
                _ => self.unknown_key(key, "a firewall's rule", RULE_KEYS),
            }
        }
    }

    /// Interfaces, nodes, switches, prefixes, `outside`. Interfaces cannot be told from slips here, so only what can
    /// be none of them is refused.
    fn zones(&mut self, value: &Value) {
        if value.is_empty() {
            self.wrong_type(value, "a node, a switch, an interface, a prefix or `outside`");
        }
        for item in value.items() {
            let Some(text) = self.text(item, "a node, a switch, an interface, a prefix or `outside`") else {
                continue;
            };
            let known = text.value == "outside"
                || self.names.contains_key(&text.value)
                || Self::is_address(&text.value)
                || nslab_types::IfName::new(&text.value).is_ok();
            if !known {
                self.known_name(&text.value, text.span);
            }
        }
    }

    fn ports(&mut self, value: &Value) {
        for item in value.items() {
            let is_range = matches!(&item.kind, Kind::Scalar(scalar) if scalar.text.contains('-'));
            if !is_range {
                checked(self.port(item));
                continue;
            }
            let Some(text) = self.text(item, "a port or a range of ports") else { continue };
            let range = text.value.split_once('-').and_then(|(low, high)| {
                Some((low.parse::<u16>().ok().filter(|low| *low > 0)?, high.parse::<u16>().ok()?))
            });
            if range.is_none_or(|(low, high)| low > high) {
                self.push(
                    Diagnostic::error("bad-number", format!("{:?} is no range of ports", text.value))
                        .at(text.span, "")
                        .help("a range is such as 8000-8080"),
                );
            }
        }
    }

    pub(super) fn nat(&mut self, value: &Value, span: Span) {
        for item in value.items() {
            let entries = self.entries(item, "a mapping with `masquerade`, `snat`, `dnat` or `forward`");
            for (key, value) in entries {
                match (key.text.as_str(), &value.kind) {
                    ("masquerade", _) => self.zones(value),
                    ("snat" | "dnat" | "forward", Kind::Map(entries)) => {
                        for (key, value) in entries {
                            match key.text.as_str() {
                                "tcp" | "udp" => self.ports(value),
                                "from" | "to" | "zone" | "address" | "port" => {
                                    checked(self.string(value, "an address, a name or a port"));
                                }
                                _ => self.unknown_key(key, "address translation", NAT_RULE_KEYS),
                            }
                        }
                    }
                    ("snat" | "dnat" | "forward", _) => self.wrong_type(value, "a mapping with `to`"),
                    _ => self.unknown_key(key, "`nat`", NAT_KEYS),
                }
            }
        }
        if !value.is_empty() {
            self.pending("a node's address translation", span);
        }
    }

    /// `nft`, `uplink`, `files` and `user` of a node.
    pub(super) fn later(&mut self, key: &Key, value: &Value) {
        let mut wanted =
            !value.is_empty() && !matches!(&value.kind, Kind::Scalar(scalar) if scalar.text.is_empty());
        match key.text.as_str() {
            "nft" | "user" => {
                if wanted {
                    checked(self.string(value, "a text"));
                }
            }
            "files" => {
                for (path, value) in self.entries(value, "a mapping of paths to contents") {
                    if !path.text.starts_with('/') {
                        self.push(
                            Diagnostic::error(
                                "bad-path",
                                format!("{:?} is no path from the root", path.text),
                            )
                            .at(path.span, "")
                            .help(format!("write /{}", path.text)),
                        );
                    }
                    if !value.is_empty() {
                        checked(self.string(value, "the file's contents"));
                    }
                }
            }
            _ => match &value.kind {
                Kind::Map(entries) => {
                    for (key, value) in entries {
                        match key.text.as_str() {
                            "interface" => checked(self.string(value, "an interface")),
                            "masquerade" | "ipv4" | "ipv6" => checked(self.bool(value, &key.text)),
                            _ => self.unknown_key(key, "`uplink`", UPLINK_KEYS),
                        }
                    }
                }
                Kind::Scalar(scalar) if scalar.text == "false" => wanted = false,
                Kind::Scalar(_) => checked(self.string(value, "`true` or an interface")),
                Kind::Null => {}
                Kind::List(_) => self.wrong_type(value, "`true`, an interface or a mapping"),
            },
        }
        if wanted {
            self.pending(format!("a node's `{}`", key.text), key.span);
        }
    }
}

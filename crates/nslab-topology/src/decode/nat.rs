//! `nat:` and `nft:` of a node.

use std::net::{IpAddr, SocketAddr};

use super::{Decoder, address};
use crate::diagnostic::{Diagnostic, Spanned};
use crate::lab::{Line, NatKind, NatRule, Nft, Service};
use crate::yaml::{Key, Kind, Value};

const KINDS: &[&str] = &["masquerade", "snat", "forward", "one_to_one"];
const COMMON: [&str; 3] = ["from", "family", "comment"];
const ITEM: &str = "an item such as `masquerade: outside` or `forward: {tcp: 8080, to: web:80}`";

impl Decoder {
    pub(super) fn nat(&mut self, value: &Value) -> Vec<Spanned<NatRule>> {
        let mut rules = Vec::new();
        for item in value.items() {
            if item.is_empty() {
                self.wrong_type(item, ITEM);
                continue;
            }
            let entries = self.entries(item, ITEM);
            let kinds: Vec<_> = entries.iter().filter(|(key, _)| is_kind(&key.text)).collect();
            let (mut from, mut family, mut comment) = (Vec::new(), None, None);
            for (key, value) in entries {
                match key.text.as_str() {
                    "from" => from = self.zones(value),
                    "family" => family = self.family(value),
                    "comment" => comment = self.comment(value),
                    kind if is_kind(kind) => {}
                    _ => {
                        let known: Vec<&'static str> = KINDS.iter().chain(&COMMON).copied().collect();
                        self.unknown_key(key, "`nat`", &known);
                    }
                }
            }
            match &kinds[..] {
                [(key, value)] => {
                    let mut rule = NatRule {
                        kind: NatKind::Masquerade { to: Vec::new() },
                        from,
                        family,
                        comment,
                        line: Line(Some(item.span.line)),
                    };
                    if let Some(kind) = self.nat_kind(key, value, &mut rule) {
                        rule.kind = kind;
                        rules.push(Spanned::new(rule, item.span));
                    }
                }
                [] if entries.iter().all(|(key, _)| COMMON.contains(&&key.text[..]))
                    && !entries.is_empty() =>
                {
                    self.push(
                        Diagnostic::error("missing-key", "this says nothing to translate")
                            .at(item.span, "")
                            .help(format!("an item has one of {}", KINDS.join(", "))),
                    );
                }
                [] => {}
                [_, (key, _), ..] => self.push(
                    Diagnostic::error("conflicting-keys", "one item does one thing")
                        .at(key.span, "this is another")
                        .help("make it an item of its own"),
                ),
            }
        }
        rules
    }

    fn nat_kind(&mut self, key: &Key, value: &Value, rule: &mut NatRule) -> Option<NatKind> {
        match (key.text.as_str(), &value.kind) {
            ("masquerade", Kind::Map(entries)) => {
                let mut to = Vec::new();
                for (key, value) in entries {
                    match key.text.as_str() {
                        "to" => to = self.zones(value),
                        "from" => rule.from = self.zones(value),
                        _ => self.unknown_key(key, "`masquerade`", &["to", "from"]),
                    }
                }
                if to.is_empty() && !entries.iter().any(|(key, _)| key.text == "to") {
                    self.missing_key(key.span, "`masquerade`", "to");
                }
                (!to.is_empty()).then_some(NatKind::Masquerade { to })
            }
            ("masquerade", _) => {
                let to = self.zones(value);
                (!to.is_empty()).then_some(NatKind::Masquerade { to })
            }
            ("snat", Kind::Map(entries)) => self.source_nat(key, entries, rule),
            ("forward" | "dnat", Kind::Map(entries)) => self.port_forward(key, entries, rule),
            ("one_to_one", Kind::Map(entries)) => self.one_to_one(key, entries),
            ("snat", _) => {
                self.wrong_type(value, "a mapping, as `{to: outside, address: 203.0.113.1}`");
                None
            }
            ("one_to_one", _) => {
                self.wrong_type(value, "a mapping, as `{outside: 203.0.113.7, inside: web}`");
                None
            }
            _ => {
                self.wrong_type(value, "a mapping, as `{tcp: 8080, to: web:80}`");
                None
            }
        }
    }

    fn source_nat(&mut self, key: &Key, entries: &[(Key, Value)], rule: &mut NatRule) -> Option<NatKind> {
        let (mut to, mut addresses) = (Vec::new(), Vec::new());
        for (key, value) in entries {
            match key.text.as_str() {
                "to" => to = self.zones(value),
                "from" => rule.from = self.zones(value),
                "address" => addresses = self.one_of_each_family(value),
                _ => self.unknown_key(key, "`snat`", &["from", "to", "address"]),
            }
        }
        if !entries.iter().any(|(key, _)| key.text == "address") {
            self.push(
                Diagnostic::error("missing-key", "`snat` needs `address`")
                    .at(key.span, "")
                    .help("the new source; `masquerade` takes that of the interface"),
            );
        }
        (!addresses.is_empty()).then_some(NatKind::Source { to, addresses })
    }

    fn port_forward(&mut self, key: &Key, entries: &[(Key, Value)], rule: &mut NatRule) -> Option<NatKind> {
        let (mut services, mut addresses, mut target) = (Vec::new(), Vec::new(), None);
        let mut written = None;
        for (key, value) in entries {
            match key.text.as_str() {
                "tcp" | "udp" => services.extend(self.services(key, value)),
                "address" => {
                    addresses = value
                        .items()
                        .iter()
                        .filter_map(|item| self.parsed(item, "an address", address::plain))
                        .collect();
                }
                "from" => rule.from = self.zones(value),
                "to" => target = self.target(value),
                "port" => written = self.port(value).map(|port| Spanned::new(port, value.span)),
                _ => self.unknown_key(key, "`forward`", &["tcp", "udp", "to", "port", "address", "from"]),
            }
        }
        for (needed, lacks) in [
            ("to", !entries.iter().any(|(key, _)| key.text == "to")),
            ("tcp` or `udp", !entries.iter().any(|(key, _)| matches!(&key.text[..], "tcp" | "udp"))),
        ] {
            if lacks {
                self.missing_key(key.span, "`forward`", needed);
            }
        }
        let (to, in_target) = target?;
        let port = match (in_target, written) {
            (Some(_), Some(written)) => {
                let message = "the port of the target is written twice";
                self.push(Diagnostic::error("conflicting-keys", message).at(written.span, "again here"));
                None
            }
            (port, written) => port.or(written.map(|port| port.value)),
        };
        let many = services.iter().any(|service| match service {
            Service::Tcp(ports) | Service::Udp(ports) => {
                ports.len() > 1 || ports.iter().any(|p| p.first != p.last)
            }
            _ => false,
        });
        if many && port.is_some() {
            self.push(
                Diagnostic::error("conflicting-keys", "several ports cannot all go to one")
                    .at(to.span, "")
                    .help("leave the target's port out, and each goes to the same port there"),
            );
        }
        (!services.is_empty()).then_some(NatKind::Forward { services, addresses, to, port })
    }

    fn one_to_one(&mut self, key: &Key, entries: &[(Key, Value)]) -> Option<NatKind> {
        let (mut outside, mut inside) = (None, None);
        for (key, value) in entries {
            match key.text.as_str() {
                "outside" => outside = self.parsed(value, "an address", address::plain),
                "inside" => inside = self.text(value, "a node or an address").map(super::Text::spanned),
                _ => self.unknown_key(key, "`one_to_one`", &["outside", "inside"]),
            }
        }
        for needed in ["outside", "inside"] {
            if !entries.iter().any(|(key, _)| key.text == needed) {
                self.missing_key(key.span, "`one_to_one`", needed);
            }
        }
        Some(NatKind::OneToOne { outside: outside?, inside: inside? })
    }

    /// `NODE`, `ADDRESS`, `NODE:PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
    fn target(&mut self, value: &Value) -> Option<(Spanned<String>, Option<u16>)> {
        let text = self.text(value, "a node or an address, and a port if it is another: web:80")?;
        let span = text.span;
        let whole = |text: &str, port| Some((Spanned::new(text.to_owned(), span), port));
        if text.value.parse::<IpAddr>().is_ok() {
            return whole(&text.value, None);
        }
        if let Ok(socket) = text.value.parse::<SocketAddr>() {
            return whole(&socket.ip().to_string(), Some(socket.port()));
        }
        let Some((name, port)) = text.value.rsplit_once(':') else { return whole(&text.value, None) };
        match port.parse::<u16>() {
            Ok(port) if port > 0 => whole(name, Some(port)),
            _ => {
                let message = format!("expected a port, a number from 1 to 65535, found {port:?}");
                self.push(Diagnostic::error("bad-number", message).at(span, ""));
                None
            }
        }
    }

    fn one_of_each_family(&mut self, value: &Value) -> Vec<Spanned<IpAddr>> {
        let mut addresses: Vec<Spanned<IpAddr>> = Vec::new();
        for item in value.items() {
            let Some(address) = self.parsed(item, "an address", address::plain) else { continue };
            if let Some(other) = addresses.iter().find(|other| other.is_ipv4() == address.is_ipv4()) {
                self.push(
                    Diagnostic::error("conflicting-keys", "there is one new source for each family")
                        .at(address.span, "")
                        .because(other.span, "this is the first"),
                );
                continue;
            }
            addresses.push(address);
        }
        addresses
    }

    /// Texts, and mappings with a `file`.
    pub(super) fn nft(&mut self, value: &Value) -> Vec<Nft> {
        const WANTED: &str = "text for nft, or `{file: PATH}`";
        let mut all = Vec::new();
        for item in value.items() {
            if let Kind::Map(entries) = &item.kind {
                for (key, value) in entries {
                    if key.text != "file" {
                        self.unknown_key(key, "`nft`", &["file"]);
                    } else if let Some(path) = self.text(value, "a path") {
                        let line = Line(Some(path.span.line));
                        all.push(Nft::File { path: path.spanned(), line, text: String::new() });
                    }
                }
                continue;
            }
            if item.is_empty() {
                continue;
            }
            let Kind::Scalar(scalar) = &item.kind else {
                self.wrong_type(item, WANTED);
                continue;
            };
            // Braces are nft's own: `${…}` is not looked for.
            if scalar.text.contains('\0') {
                self.push(Diagnostic::error("bad-word", "a text has no zero bytes").at(item.span, ""));
            } else if !scalar.text.trim().is_empty() {
                // A block's text begins on the line below the `|` that announces it.
                let line = Line(Some(item.span.line));
                all.push(Nft::Text { text: Spanned::new(scalar.text.clone(), item.span), line });
            }
        }
        all
    }
}

/// `dnat` is nft's word for a port forward.
fn is_kind(key: &str) -> bool {
    KINDS.contains(&key) || key == "dnat"
}

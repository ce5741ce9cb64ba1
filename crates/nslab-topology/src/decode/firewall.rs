//! `firewall:` of a node.

use super::units::whole_number;
use super::{Decoder, Named};
use crate::diagnostic::{Diagnostic, Problem, Span, Spanned, closest, did_you_mean};
use crate::lab::{
    Firewall, FirewallRule, IcmpType, Line, Ports, Service, Verdict, protocol_names, protocol_number,
};
use crate::yaml::{Key, Kind, Value};

const KEYS: &[&str] = &["default", "allow", "deny", "reject", "log"];
const DEFAULT_KEYS: &[&str] = &["input", "forward", "output"];
const RULE_KEYS: &[&str] =
    &["from", "to", "tcp", "udp", "icmp", "icmpv6", "protocol", "family", "log", "comment"];
const RULE: &str = "a rule, as `{from: web, to: app, tcp: 8080}`";
const VERDICTS: &[(&str, Verdict)] =
    &[("drop", Verdict::Drop), ("accept", Verdict::Accept), ("reject", Verdict::Reject)];
/// The longest prefix of a log line: `NF_LOG_PREFIXLEN` less the zero at its end (`linux/netfilter/nf_log.h`).
const LONGEST_PREFIX: usize = 127;

impl Decoder {
    pub(super) fn firewall(&mut self, value: &Value, span: Span) -> Option<Firewall> {
        if value.is_empty() {
            return None;
        }
        let entries = self.entries(value, "a mapping with `default` and `allow`");
        let mut firewall = Firewall {
            input: Verdict::Accept,
            forward: Verdict::Accept,
            output: Verdict::Accept,
            log: None,
            line: Line(Some(span.line)),
            rules: Vec::new(),
        };
        let mut has_default = false;
        for (key, value) in entries {
            match key.text.as_str() {
                "default" => {
                    has_default = true;
                    firewall.line = Line(Some(key.span.line));
                    self.defaults(value, &mut firewall);
                }
                "allow" => self.firewall_rules(value, Verdict::Accept, &mut firewall.rules),
                "deny" => self.firewall_rules(value, Verdict::Drop, &mut firewall.rules),
                "reject" => self.firewall_rules(value, Verdict::Reject, &mut firewall.rules),
                "log" => firewall.log = self.log(value),
                _ => {
                    has_default |= closest(&key.text, KEYS.iter().copied()) == Some("default");
                    self.unknown_key(key, "a firewall", KEYS);
                }
            }
        }
        if !has_default && matches!(value.kind, Kind::Map(_)) {
            self.push(
                Diagnostic::error("missing-key", "a firewall needs `default`")
                    .at(span, "")
                    .help("`default: drop`, `accept` or `reject` says what becomes of what no rule is about"),
            );
        }
        Some(firewall)
    }

    /// One word for what comes to the node and through it, or a mapping with one for each way.
    fn defaults(&mut self, value: &Value, firewall: &mut Firewall) {
        let Kind::Map(entries) = &value.kind else {
            if let Some(word) = self.word(value, "a default", VERDICTS) {
                (firewall.input, firewall.forward) = (word.value, word.value);
            }
            return;
        };
        for (key, value) in entries {
            let place = match key.text.as_str() {
                "input" => &mut firewall.input,
                "forward" => &mut firewall.forward,
                "output" => &mut firewall.output,
                _ => {
                    self.unknown_key(key, "`default`", DEFAULT_KEYS);
                    continue;
                }
            };
            if let Some(word) = self.word(value, "a default", VERDICTS) {
                *place = word.value;
            }
        }
    }

    fn firewall_rules(&mut self, value: &Value, verdict: Verdict, rules: &mut Vec<Spanned<FirewallRule>>) {
        for item in value.items() {
            if item.is_empty() {
                self.wrong_type(item, RULE);
                continue;
            }
            let mut rule = FirewallRule {
                verdict,
                from: Vec::new(),
                to: Vec::new(),
                services: Vec::new(),
                family: None,
                log: None,
                comment: None,
                line: Line(Some(item.span.line)),
            };
            for (key, value) in self.entries(item, RULE) {
                match key.text.as_str() {
                    "from" => rule.from = self.zones(value),
                    "to" => rule.to = self.zones(value),
                    "tcp" | "udp" | "icmp" | "icmpv6" | "protocol" => {
                        rule.services.extend(self.services(key, value));
                    }
                    "family" => rule.family = self.family(value),
                    "log" => rule.log = self.log(value),
                    "comment" => rule.comment = self.comment(value),
                    "port" | "ports" | "dport" => self.port_without_protocol(key),
                    _ => self.unknown_key(key, "a firewall's rule", RULE_KEYS),
                }
            }
            rules.push(Spanned::new(rule, item.span));
        }
    }

    /// Zones by their names; what they are is settled when all of the lab is known.
    pub(super) fn zones(&mut self, value: &Value) -> Vec<Spanned<String>> {
        const WANTED: &str = "a node, a switch, an interface, a prefix, `outside` or `self`";
        if value.is_empty() {
            self.wrong_type(value, WANTED);
        }
        value.items().iter().filter_map(|item| self.text(item, WANTED)).map(super::Text::spanned).collect()
    }

    /// Puts the members of repeated nodes and switches in the place of the name that is written.
    pub(super) fn expand_groups(&self, zones: &mut Vec<Spanned<String>>) {
        let group = |zone: &Spanned<String>| match self.names.get(&zone.value) {
            Some(Named::Group(size)) => Some(*size),
            _ => None,
        };
        if zones.iter().any(|zone| group(zone).is_some()) {
            *zones = std::mem::take(zones)
                .into_iter()
                .flat_map(|zone| match group(&zone) {
                    None => vec![zone],
                    Some(size) => (1..=size)
                        .map(|number| Spanned::new(format!("{}{number}", zone.value), zone.span))
                        .collect(),
                })
                .collect();
        }
    }

    pub(super) fn port_without_protocol(&mut self, key: &Key) {
        self.push(
            Diagnostic::error("unknown-key", format!("`{}` does not say of which protocol", key.text))
                .at(key.span, "")
                .help("write `tcp: 80` or `udp: 53`"),
        );
    }

    pub(super) fn comment(&mut self, value: &Value) -> Option<String> {
        self.string(value, "a text")
    }

    /// `true`, or a prefix of one's own.
    fn log(&mut self, value: &Value) -> Option<String> {
        let text = self.text(value, "`true` or a prefix for the log")?;
        match text.value.as_str() {
            "true" => Some(String::new()),
            "false" => None,
            prefix if prefix.len() > LONGEST_PREFIX => {
                let message = format!("a prefix for the log has at most {LONGEST_PREFIX} bytes");
                self.push(Diagnostic::error("too-long", message).at(text.span, ""));
                None
            }
            prefix if prefix.is_empty() || prefix.contains(|c: char| c.is_control() || c == '"') => {
                let message = format!("{prefix:?} is no prefix for the log");
                self.push(
                    Diagnostic::error("bad-word", message)
                        .at(text.span, "")
                        .help("`log: true` takes nslab's own"),
                );
                None
            }
            prefix => Some(prefix.to_owned()),
        }
    }

    /// `tcp`, `udp`, `icmp`, `icmpv6` or `protocol` of a rule.
    pub(super) fn services(&mut self, key: &Key, value: &Value) -> Vec<Service> {
        let one: fn(_) -> _ = match key.text.as_str() {
            "tcp" => |ports| vec![Service::Tcp(ports)],
            "udp" => |ports| vec![Service::Udp(ports)],
            what => {
                return match what {
                    "icmp" => self.icmp(value, |kind| kind.v4.is_some() || kind.v6.is_some(), Service::Icmp),
                    "icmpv6" => self.icmp(value, |kind| kind.v6.is_some(), Service::Icmpv6),
                    _ => value.items().iter().filter_map(|item| self.protocol(item)).collect(),
                };
            }
        };
        if value.is_empty() {
            self.wrong_type(value, "a port, a range of ports or a list of them");
            return Vec::new();
        }
        let ports: Vec<Ports> = value.items().iter().filter_map(|item| self.ports(item)).collect();
        if ports.is_empty() { Vec::new() } else { one(ports) }
    }

    fn ports(&mut self, value: &Value) -> Option<Ports> {
        let text = self.text(value, "a port or a range of ports")?;
        let Some((first, last)) = text.value.split_once('-') else {
            return self.port(value).map(|port| Ports { first: port, last: port });
        };
        let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Some(Ports { first, last }),
            _ => {
                self.push(
                    Diagnostic::error("bad-number", format!("{:?} is no range of ports", text.value))
                        .at(text.span, "")
                        .help("a range is such as 8000-8080"),
                );
                None
            }
        }
    }

    /// `true` for all messages, or types of them.
    fn icmp(
        &mut self,
        value: &Value,
        fits: fn(IcmpType) -> bool,
        service: fn(Vec<IcmpType>) -> Service,
    ) -> Vec<Service> {
        const WANTED: &str = "`true`, or a type of messages such as echo-request";
        if value.is_empty() {
            self.wrong_type(value, WANTED);
            return Vec::new();
        }
        if matches!(&value.kind, Kind::Scalar(scalar) if scalar.text == "true") {
            return vec![service(Vec::new())];
        }
        let read = |text: &str| {
            IcmpType::named(text).filter(|kind| fits(*kind)).ok_or_else(|| {
                let fitting = IcmpType::names().filter(|name| IcmpType::named(name).is_some_and(fits));
                let problem = Problem::new("bad-word", format!("expected {WANTED}; found {text:?}"));
                match did_you_mean(text, fitting) {
                    Some(hint) => problem.help(hint),
                    None => problem.help("the types have the names that nft has for them"),
                }
            })
        };
        let types: Vec<IcmpType> = value
            .items()
            .iter()
            .filter_map(|item| self.parsed(item, WANTED, read))
            .map(|kind| kind.value)
            .collect();
        if types.is_empty() { Vec::new() } else { vec![service(types)] }
    }

    fn protocol(&mut self, value: &Value) -> Option<Service> {
        const WANTED: &str = "an IP protocol, by name or number";
        let read = |text: &str| {
            let number = whole_number(text).and_then(|number| u8::try_from(number).ok());
            protocol_number(text).or(number).ok_or_else(|| {
                let problem = Problem::new("bad-word", format!("expected {WANTED}; found {text:?}"));
                match did_you_mean(text, protocol_names()) {
                    Some(hint) => problem.help(hint),
                    None => problem
                        .help(format!("{} have names here", protocol_names().collect::<Vec<_>>().join(", "))),
                }
            })
        };
        self.parsed(value, WANTED, read).map(|number| Service::Protocol(number.value))
    }
}

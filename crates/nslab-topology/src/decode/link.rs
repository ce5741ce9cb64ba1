//! `links:`.

use super::vlan::{PORT_KEYS, PortOptions};
use super::{Decoder, Named};
use crate::diagnostic::{Diagnostic, Span};
use crate::impairment::Impairments;
use crate::lab::{End, Link};
use crate::yaml::{Key, Kind, Value};

/// The most links of a lab.
const MAX_LINKS: usize = 200_000;

const LINK_KEYS: &[&str] = &[
    "ends",
    "mtu",
    "count",
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
/// A link as it stands in the file, before it is repeated.
struct Written<'v> {
    ends: [&'v Value; 2],
    options: Vec<&'v (Key, Value)>,
    span: Span,
}

impl Decoder {
    pub(super) fn links(&mut self, value: &Value) -> Vec<Link> {
        let mut links = Vec::new();
        let Kind::List(items) = &value.kind else {
            if !value.is_empty() {
                self.wrong_type(value, "a list of links, as `- [a, b]`");
            }
            return links;
        };
        for item in items {
            let Some(written) = self.written(item) else { continue };
            if !self.link(&written, &mut links) {
                break;
            }
        }
        links
    }

    fn written<'v>(&mut self, value: &'v Value) -> Option<Written<'v>> {
        let (ends, options): (Vec<&Value>, Vec<_>) = match &value.kind {
            Kind::List(items) => {
                let is_options = |item: &&Value| matches!(&item.kind, Kind::Map(entries) if !entries.iter().any(|(key, _)| matches!(key.text.as_str(), "node" | "switch")));
                let (options, ends): (Vec<_>, Vec<_>) = items.iter().partition(is_options);
                let options = options.into_iter().filter_map(|item| match &item.kind {
                    Kind::Map(entries) => Some(entries.iter()),
                    _ => None,
                });
                (ends, options.flatten().collect())
            }
            Kind::Map(entries) => match entries.iter().find(|(key, _)| key.text == "ends") {
                Some((_, Value { kind: Kind::List(ends), .. })) => {
                    (ends.iter().collect(), entries.iter().filter(|(key, _)| key.text != "ends").collect())
                }
                Some((_, other)) => {
                    self.wrong_type(other, "a list of the link's two ends");
                    return None;
                }
                None => {
                    self.missing_key(value.span, "a link", "ends");
                    return None;
                }
            },
            _ => {
                self.wrong_type(value, "a link, as `[a, b]`");
                return None;
            }
        };
        let Ok(ends) = <[&Value; 2]>::try_from(ends.as_slice()) else {
            self.push(
                Diagnostic::error("two-ends", format!("a link has two ends, this has {}", ends.len()))
                    .at(value.span, "")
                    .help("to join more than two, plug each into a switch: `- [a, lan]`, `- [b, lan]`"),
            );
            return None;
        };
        Some(Written { ends, options, span: value.span })
    }

    /// Makes the links that one entry stands for. Says false if there are too many to go on.
    fn link(&mut self, written: &Written<'_>, links: &mut Vec<Link>) -> bool {
        let count = written.options.iter().find(|(key, _)| key.text == "count").map(|(_, value)| value);
        let groups = written.ends.map(|end| self.group_of(end));
        let repeated = [groups[0].is_some(), groups[1].is_some()];
        let number = match (count, groups) {
            (None, [None, None]) => None,
            (None, [Some(one), Some(two)]) if one.1 != two.1 => {
                self.push(
                    Diagnostic::error(
                        "unequal-groups",
                        format!("`{}` is repeated {} times and `{}` {} times", one.0, one.1, two.0, two.1),
                    )
                    .at(written.span, "one of these links for each cannot be made")
                    .help("two repeated ones are joined one by one, so there must be as many of each"),
                );
                return true;
            }
            (None, [Some((_, number)), _] | [None, Some((_, number))]) => Some(number),
            (Some(count), [None, None]) => {
                let most = u64::try_from(MAX_LINKS).unwrap_or(u64::MAX);
                let Some(number) = self.number(count, "a count", 1..=most) else {
                    return true;
                };
                usize::try_from(number.value).ok()
            }
            (Some(count), _) => {
                self.push(
                    Diagnostic::error("bad-count", "a repeated node already repeats this link")
                        .at(count.span, "so it can have no count of its own")
                        .help("leave `count` out, or name single nodes, as `h${i}`"),
                );
                return true;
            }
        };
        if links.len() + number.unwrap_or(1) > MAX_LINKS {
            self.push(
                Diagnostic::error("too-many", format!("a lab has at most {MAX_LINKS} links"))
                    .at(written.span, ""),
            );
            return false;
        }
        match number {
            None => links.extend(self.one_link(written, [false; 2])),
            Some(number) => {
                for index in 1..=number {
                    let link = self.numbered(Some(index), |d| d.one_link(written, repeated));
                    links.extend(link);
                }
            }
        }
        true
    }

    /// The repeated node or switch that an end names, and how many there are.
    fn group_of(&self, end: &Value) -> Option<(String, usize)> {
        let text = match &end.kind {
            Kind::Scalar(scalar) => &scalar.text,
            Kind::Map(entries) => {
                let (_, value) =
                    entries.iter().find(|(key, _)| matches!(key.text.as_str(), "node" | "switch"))?;
                let Kind::Scalar(scalar) = &value.kind else { return None };
                &scalar.text
            }
            _ => return None,
        };
        let name = text.split(|c: char| c == ':' || c.is_whitespace()).find(|word| !word.is_empty())?;
        match self.names.get(name) {
            Some(Named::Group(number)) => Some((name.to_owned(), *number)),
            _ => None,
        }
    }

    fn one_link(&mut self, written: &Written<'_>, repeated: [bool; 2]) -> Option<Link> {
        let [one, two] = written.ends;
        let ends = (self.end(one, repeated[0]), self.end(two, repeated[1]));
        let (mut mtu, mut port) = (None, PortOptions::default());
        let mut impairments = Impairments::default();
        for (key, value) in written.options.iter().copied() {
            match key.text.as_str() {
                "mtu" => mtu = self.mtu(value),
                "count" => {}
                name if PORT_KEYS.contains(&name) => self.port_option(key, value, &mut port),
                _ if self.impairment(key, value, &mut impairments) => {}
                _ => self.unknown_key(key, "a link", LINK_KEYS),
            }
        }
        let mut ends = [ends.0?, ends.1?];
        // What is said of a link's VLANs is said of its switches' ports.
        if !port.is_empty() {
            let is_switch = |end: &End| !self.node_names.contains(end.device.as_str());
            let switches = ends.each_ref().map(is_switch);
            // A switch that knows no VLANs passes on what the other sends, unless it is the only one.
            let aware = ends.each_ref().map(|end| self.aware.contains(end.device.as_str()));
            let any_aware = aware.contains(&true);
            for (end, (is_switch, is_aware)) in ends.iter_mut().zip(switches.into_iter().zip(aware)) {
                if is_switch {
                    port.give(end, is_aware || !any_aware, self);
                }
            }
            if !switches.contains(&true) {
                self.push(no_port(port.span()));
            }
        }
        Some(Link { ends, mtu, impairments })
    }
}

/// VLANs where there is no switch.
fn no_port(span: Option<Span>) -> Diagnostic {
    Diagnostic::error(
        "no-switch-port",
        "only a switch's port has VLANs or is isolated, and this link has none",
    )
    .at(span, "")
    .help("a node's own VLAN is an interface: `interfaces: {eth0.10: {type: vlan, link: eth0, id: 10}}`")
}

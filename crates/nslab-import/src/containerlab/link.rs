//! Links, in the short format (`endpoints: ["a:eth1", "b:eth1"]`) and the extended one (`type: veth`, …).

use ipnet::IpNet;
use nslab_topology::yaml::{Key, Kind, Value};
use nslab_topology::{Span, closest};
use nslab_types::MacAddr;

use super::{Device, Importer};
use crate::draft::{End, Line, Link};
use crate::names;

/// An end as it is written.
struct Endpoint {
    node: String,
    interface: String,
    span: Span,
    mac: Option<MacAddr>,
    addresses: Vec<(IpNet, Span)>,
}

impl Endpoint {
    fn shown(&self) -> String {
        format!("{}:{}", self.node, self.interface)
    }
}

/// Words that stand for no node.
const SPECIAL: [(&str, &str); 6] = [
    ("host", "a link to the host itself"),
    ("mgmt-net", "a link to the management network"),
    ("macvlan", "a macvlan of an interface of the host"),
    ("vxlan", "a VXLAN to another machine"),
    ("vxlan-stitch", "a VXLAN to another machine"),
    ("dummy", "a dummy interface"),
];

impl Importer {
    pub(super) fn link(&mut self, link: &Value) {
        let Some(entries) = self.reader.entries(link, "a mapping with `endpoints`") else { return };
        let find = |name: &str| entries.iter().find(|(key, _)| key.text == name);
        let kind = match find("type") {
            Some((_, value)) => self.reader.text(value, "a type of link").map(|kind| (kind, value.span)),
            None => None,
        };
        if let Some((kind, span)) = &kind
            && kind != "veth"
        {
            self.special(link, kind, *span, find("endpoint").map(|(_, value)| value));
            return;
        }
        let Some((_, endpoints)) = find("endpoints") else {
            self.reader.error(link.span, "missing-endpoints", "the link has no `endpoints`", ENDPOINTS);
            return;
        };
        let items = match &endpoints.kind {
            Kind::List(items) if items.len() == 2 => items,
            Kind::List(items) => {
                let message = format!("a link has two endpoints, found {}", items.len());
                self.reader.error(endpoints.span, "bad-endpoints", &message, ENDPOINTS);
                return;
            }
            _ => {
                self.reader.error(endpoints.span, "bad-endpoints", "`endpoints` is a list of two", ENDPOINTS);
                return;
            }
        };
        let ends: Vec<Endpoint> = items.iter().filter_map(|item| self.endpoint(item)).collect();
        let Ok([mut one, mut other]) = <[Endpoint; 2]>::try_from(ends) else { return };
        let mut mtu = None;
        for (key, value) in entries {
            match key.text.as_str() {
                "type" | "endpoints" => {}
                "mtu" => mtu = self.mtu(value),
                "ipv4" | "ipv6" => self.link_addresses(value, [&mut one, &mut other]),
                "vars" | "labels" => {
                    self.skip(key.span, format!("link: {}", key.text), "it changes nothing of the network");
                }
                other => self.skip(key.span, format!("link: {other}"), "nslab has no such setting"),
            }
        }
        self.join(link.span, &one, &other, mtu);
    }

    /// A link between two devices, if both are there.
    fn join(&mut self, span: Span, one: &Endpoint, other: &Endpoint, mtu: Option<u32>) {
        let shown = format!("link {} – {}", one.shown(), other.shown());
        let mut ends = Vec::new();
        let mut comment = String::new();
        let mut why = None;
        for endpoint in [one, other] {
            if let Some((_, what)) =
                special(&endpoint.node).filter(|_| !self.devices.contains_key(&endpoint.node))
            {
                why.get_or_insert((*what).to_owned());
                continue;
            }
            let device = match self.devices.get(&endpoint.node) {
                Some(Device::Node(name) | Device::Switch(name)) => name.clone(),
                Some(Device::Host) => {
                    why.get_or_insert("a link to the host itself".to_owned());
                    continue;
                }
                Some(Device::Skipped(reason)) => {
                    why.get_or_insert(format!("{} is not part of the lab: {reason}", endpoint.node));
                    continue;
                }
                None => {
                    let known = self.devices.keys().map(String::as_str);
                    let help = closest(&endpoint.node, known).map_or_else(
                        || "nodes are listed in `topology.nodes`".to_owned(),
                        |name| format!("did you mean `{name}`?"),
                    );
                    let message = format!("there is no node `{}`", endpoint.node);
                    self.reader.error(endpoint.span, "unknown-node", &message, &help);
                    return;
                }
            };
            let interface = names::interface(&endpoint.interface);
            if interface != endpoint.interface {
                comment = format!("{} was {}", interface, endpoint.interface);
            }
            if let Some(earlier) = self.used.insert((device.clone(), interface.clone()), endpoint.span) {
                let message = format!("{} is used by two links", endpoint.shown());
                let error = nslab_topology::Diagnostic::error("duplicate-interface", message);
                self.reader.errors.push(error.at(endpoint.span, "again here").because(earlier, "first here"));
                return;
            }
            let mut end = End::new(&device, Some(interface));
            end.mac = endpoint.mac;
            end.addresses = endpoint
                .addresses
                .iter()
                .map(|(net, span)| Line {
                    value: *net,
                    place: self.place(*span),
                    text: format!("{} {net}", endpoint.shown()),
                })
                .collect();
            if self.taken_by_switch(&device) && !end.addresses.is_empty() {
                for line in std::mem::take(&mut end.addresses) {
                    self.draft.skip(&line.place, line.text, "a switch's port has no address");
                }
            }
            ends.push(end);
        }
        if let Some(why) = why {
            self.skip(span, shown, why);
            return;
        }
        let Ok(ends) = <[End; 2]>::try_from(ends) else { return };
        if ends[0].device == ends[1].device {
            self.skip(span, shown, "a node cannot be linked to itself");
            return;
        }
        let place = self.place(span);
        self.draft.link(Link { ends, mtu, place, comment });
    }

    fn taken_by_switch(&self, name: &str) -> bool {
        self.draft.switches.iter().any(|switch| switch.name == name)
    }

    /// A link with one end.
    fn special(&mut self, link: &Value, kind: &str, span: Span, endpoint: Option<&Value>) {
        let Some((_, what)) = special(kind) else {
            let known = SPECIAL.iter().map(|(word, _)| *word).chain(["veth"]);
            let help = closest(kind, known).map_or_else(
                || "types are veth, mgmt-net, macvlan, host, vxlan, vxlan-stitch, dummy".to_owned(),
                |name| format!("did you mean `{name}`?"),
            );
            self.reader.error(
                span,
                "unknown-link-type",
                &format!("there is no type of link `{kind}`"),
                &help,
            );
            return;
        };
        let Some(endpoint) = endpoint else {
            self.reader.error(
                link.span,
                "missing-endpoint",
                &format!("a link of type {kind} has an `endpoint`"),
                "",
            );
            return;
        };
        let Some(end) = self.endpoint(endpoint) else { return };
        self.skip(link.span, format!("link {}", end.shown()), *what);
    }

    /// `NODE:INTERFACE`, or a mapping with `node` and `interface`.
    fn endpoint(&mut self, value: &Value) -> Option<Endpoint> {
        let mut end = Endpoint {
            node: String::new(),
            interface: String::new(),
            span: value.span,
            mac: None,
            addresses: Vec::new(),
        };
        if Self::is_map(value) {
            for (key, value) in self.reader.entries(value, "a mapping")? {
                self.endpoint_key(key, value, &mut end)?;
            }
        } else {
            let text = self.reader.text(value, "an endpoint, `NODE:INTERFACE`")?;
            let Some((node, interface)) = text.split_once(':') else {
                self.reader.error(value.span, "bad-endpoint", &format!("{text:?} is no endpoint"), ENDPOINTS);
                return None;
            };
            (end.node, end.interface) = (node.trim().to_owned(), interface.trim().to_owned());
        }
        if end.node.is_empty() || end.interface.is_empty() {
            let what = if end.node.is_empty() { "node" } else { "interface" };
            self.reader.error(value.span, "bad-endpoint", &format!("the endpoint has no {what}"), ENDPOINTS);
            return None;
        }
        Some(end)
    }

    fn endpoint_key(&mut self, key: &Key, value: &Value, end: &mut Endpoint) -> Option<()> {
        match key.text.as_str() {
            "node" => end.node = self.reader.text(value, "a node's name")?,
            "interface" => end.interface = self.reader.text(value, "an interface's name")?,
            "mac" => {
                let text = self.reader.text(value, "a MAC")?;
                match text.parse::<MacAddr>() {
                    Ok(mac) if mac.is_unicast() => end.mac = Some(mac),
                    _ => {
                        self.reader.error(
                            value.span,
                            "bad-mac",
                            &format!("{text:?} is no interface's MAC"),
                            "",
                        );
                        return None;
                    }
                }
            }
            "ipv4" | "ipv6" => {
                for item in value.items() {
                    let net = self.address(item)?;
                    end.addresses.extend(net.map(|net| (net, item.span)));
                }
            }
            "vars" | "labels" => {
                self.skip(key.span, format!("endpoint: {}", key.text), "it changes nothing of the network");
            }
            other => self.skip(key.span, format!("endpoint: {other}"), "nslab has no such setting"),
        }
        Some(())
    }

    /// `ipv4: [A, B]` of the short format: an address for each end; an empty text is none.
    fn link_addresses(&mut self, value: &Value, ends: [&mut Endpoint; 2]) {
        let items = value.items();
        if items.len() > 2 {
            let message = format!("a link has an address for each of its two ends, found {}", items.len());
            self.reader.error(value.span, "bad-addresses", &message, "");
            return;
        }
        for (end, item) in ends.into_iter().zip(items) {
            let net = self.address(item).flatten();
            end.addresses.extend(net.map(|net| (net, item.span)));
        }
    }

    /// An address with the length of its prefix, or nothing; `None` is an error that was told.
    #[expect(clippy::option_option, reason = "no address is something else than a wrong one")]
    fn address(&mut self, value: &Value) -> Option<Option<IpNet>> {
        if value.is_empty() {
            return Some(None);
        }
        let text = self.reader.text(value, "an address")?;
        if text.is_empty() {
            return Some(None);
        }
        let Ok(net) = text.parse::<IpNet>() else {
            let message = format!("{text:?} is no address with its prefix length, as 10.0.0.1/24");
            self.reader.error(value.span, "bad-address", &message, "");
            return None;
        };
        Some(Some(net))
    }

    fn mtu(&mut self, value: &Value) -> Option<u32> {
        let text = self.reader.text(value, "an MTU")?;
        let mtu = text.parse().ok().filter(|mtu| (68..=65535).contains(mtu));
        if mtu.is_none() {
            self.reader.error(
                value.span,
                "bad-mtu",
                &format!("{text:?} is no MTU: it is from 68 to 65535"),
                "",
            );
        }
        mtu
    }
}

const ENDPOINTS: &str = "write `endpoints: [\"a:eth1\", \"b:eth1\"]`";

fn special(word: &str) -> Option<&'static (&'static str, &'static str)> {
    SPECIAL.iter().find(|(special, _)| *special == word)
}

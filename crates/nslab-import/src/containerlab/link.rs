//! Links, in the short format (`endpoints: ["a:eth1", "b:eth1"]`) and the extended one (`type: veth`, …).

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use nslab_topology::yaml::{Key, Kind, Value, value as quoted};
use nslab_topology::{Span, closest};
use nslab_types::MacAddr;

use super::{Device, Importer};
use crate::draft::{End, Interface, Line, Link};
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
    (
        "host",
        "a link to the host itself, whose network a lab leaves alone; `uplink: nat` is a node's way there",
    ),
    ("mgmt-net", "a link to the management network, which there is not; `uplink: nat` is a node's way out"),
    (
        "macvlan",
        "a macvlan of an interface of the host, whose network a lab leaves alone; `uplink: nat` is a node's way out",
    ),
    ("vxlan", "a VXLAN to another machine"),
    ("vxlan-stitch", "a VXLAN to another machine, which ends on the host"),
    ("dummy", "a dummy interface"),
];
/// Where containerlab's VXLANs are sent unless told otherwise (`VxLANDefaultPort` of its links).
const VXLAN_PORT: u32 = 14789;

impl Importer<'_> {
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
        for (end, other) in [(&one, &other), (&other, &one)] {
            if other.node == "dummy" && !self.devices.contains_key("dummy") {
                self.interface(link.span, end, vec![("type", "dummy".to_owned())], mtu);
                return;
            }
        }
        self.join(link.span, &one, &other, mtu);
    }

    /// An interface of a node that is no end of a link.
    fn interface(&mut self, span: Span, one: &Endpoint, keys: Vec<(&'static str, String)>, mtu: Option<u32>) {
        let text = format!("link {}", one.shown());
        let node = match self.devices.get(&one.node) {
            Some(Device::Node(name)) => name.clone(),
            Some(Device::Switch(_)) => return self.skip(span, text, "a switch has no interface of its own"),
            Some(Device::Host) => return self.skip(span, text, SPECIAL[0].1),
            Some(Device::Skipped(reason)) => {
                let why = format!("{} is not part of the lab: {reason}", one.node);
                return self.skip(span, text, why);
            }
            None => return self.unknown(one),
        };
        let name = names::interface(&one.interface);
        if !self.claim(&node, &name, one) {
            return;
        }
        let mut end = End::new(&node, Some(name));
        (end.mac, end.mtu, end.addresses) = (one.mac, mtu, self.lines(one));
        let place = self.place(span);
        if let Some(node) = self.draft.nodes.iter_mut().find(|known| known.name == node) {
            node.interfaces.push(Interface { end, keys, place, text });
        }
    }

    /// An end of a node that there is not.
    fn unknown(&mut self, endpoint: &Endpoint) {
        let known = self.devices.keys().map(String::as_str);
        let help = closest(&endpoint.node, known).map_or_else(
            || "nodes are listed in `topology.nodes`".to_owned(),
            |name| format!("did you mean `{name}`?"),
        );
        let message = format!("there is no node `{}`", endpoint.node);
        self.reader.error(endpoint.span, "unknown-node", &message, &help);
    }

    /// Takes an interface; false, which is an error, if it is taken.
    fn claim(&mut self, device: &str, interface: &str, endpoint: &Endpoint) -> bool {
        let name = (device.to_owned(), interface.to_owned());
        let Some(earlier) = self.used.insert(name, endpoint.span) else { return true };
        let message = format!("{} is used by two links", endpoint.shown());
        let error = nslab_topology::Diagnostic::error("duplicate-interface", message);
        self.reader.errors.push(error.at(endpoint.span, "again here").because(earlier, "first here"));
        false
    }

    /// The addresses of an end.
    fn lines(&self, endpoint: &Endpoint) -> Vec<Line<IpNet>> {
        let line = |(net, span): &(IpNet, Span)| Line {
            value: *net,
            place: self.place(*span),
            text: format!("{} {net}", endpoint.shown()),
        };
        endpoint.addresses.iter().map(line).collect()
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
                    why.get_or_insert(SPECIAL[0].1.to_owned());
                    continue;
                }
                Some(Device::Skipped(reason)) => {
                    why.get_or_insert(format!("{} is not part of the lab: {reason}", endpoint.node));
                    continue;
                }
                None => return self.unknown(endpoint),
            };
            let interface = names::interface(&endpoint.interface);
            if interface != endpoint.interface {
                comment = format!("{} was {}", interface, endpoint.interface);
            }
            if !self.claim(&device, &interface, endpoint) {
                return;
            }
            let mut end = End::new(&device, Some(interface));
            end.mac = endpoint.mac;
            end.addresses = self.lines(endpoint);
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
        let Some(entries) = self.reader.entries(link, "a mapping with `endpoint`") else { return };
        let mut mtu = None;
        let mut vxlan: HashMap<&str, String> = HashMap::new();
        for (key, value) in entries {
            match (kind, key.text.as_str()) {
                (_, "type" | "endpoint") | ("host" | "mgmt-net" | "macvlan", "host-interface" | "mode") => {}
                (_, "mtu") => mtu = self.mtu(value),
                ("vxlan" | "vxlan-stitch", name @ ("remote" | "vni" | "udp-port" | "dst-port")) => {
                    vxlan.extend(self.reader.text(value, "a word").map(|text| (name, text)));
                }
                (_, "vars" | "labels") => {
                    self.skip(key.span, format!("link: {}", key.text), "it changes nothing of the network");
                }
                ("vxlan" | "vxlan-stitch", "parent-interface") => {
                    self.skip(key.span, "link: parent-interface", "it is an interface of the host");
                }
                (_, other) => self.skip(key.span, format!("link: {other}"), "nslab has no such setting"),
            }
        }
        match kind {
            "dummy" => self.interface(link.span, &end, vec![("type", "dummy".to_owned())], mtu),
            "vxlan" => {
                let (Some(remote), Some(id)) = (vxlan.get("remote"), vxlan.get("vni")) else {
                    let help = "write `remote: ADDRESS` and `vni: NUMBER`";
                    self.reader.error(
                        link.span,
                        "missing-remote",
                        "a link of type vxlan has a `remote` and a `vni`",
                        help,
                    );
                    return;
                };
                if remote.parse::<IpAddr>().is_err() {
                    let why = format!("a VXLAN to {remote}, of which no address is known");
                    return self.skip(link.span, format!("link {}", end.shown()), why);
                }
                let port = vxlan
                    .get("udp-port")
                    .or_else(|| vxlan.get("dst-port"))
                    .cloned()
                    .unwrap_or_else(|| VXLAN_PORT.to_string());
                let keys = vec![
                    ("type", "vxlan".to_owned()),
                    ("id", quoted(id)),
                    ("remote", quoted(remote)),
                    ("port", quoted(&port)),
                ];
                self.interface(link.span, &end, keys, mtu);
            }
            _ => self.skip(link.span, format!("link {}", end.shown()), *what),
        }
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
            // Nothing stands at the other end of it.
            if matches!(text.trim(), "dummy" | "dummy:") && !self.devices.contains_key("dummy") {
                (end.node, end.interface) = ("dummy".to_owned(), "dummy".to_owned());
                return Some(end);
            }
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

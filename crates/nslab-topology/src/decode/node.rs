//! `nodes:`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::top::MAX_DEVICES;
use super::{Decoder, address};
use crate::diagnostic::{Diagnostic, Problem, Spanned};
use crate::lab::{Family, Gateway, Neighbour, Node};
use crate::yaml::{Key, Kind, Value};

const KEYS: &[&str] = &[
    "count",
    "netns",
    "pid",
    "container",
    "forward",
    "sysctl",
    "addresses",
    "gateway",
    "routes",
    "rules",
    "neighbours",
    "hosts",
    "env",
    "run",
    "files",
    "private",
    "processes",
    "user",
    "firewall",
    "nat",
    "nft",
    "uplink",
    "dns",
    "interfaces",
];
const NEIGHBOUR_KEYS: &[&str] = &["address", "mac", "dev"];

impl Decoder {
    pub(super) fn nodes(&mut self, value: &Value) -> Vec<Node> {
        let mut nodes = Vec::new();
        let entries = self.essential(|d| d.entries(value, "a mapping of names to nodes"));
        // Names first: gateways, firewalls and expectations may name nodes that come later.
        let mut room = MAX_DEVICES;
        let mut all = Vec::new();
        for (key, value) in entries {
            let names = self.repeated(key, value, room);
            room -= names.len();
            self.node_names.extend(names.iter().map(|(name, _)| name.clone()));
            all.push(names);
        }
        for ((key, value), names) in entries.iter().zip(all) {
            for (name, index) in names {
                let name = Spanned::new(name, key.span);
                nodes.push(self.numbered(index, |d| d.node(&name, value)));
            }
        }
        nodes
    }

    fn node(&mut self, name: &Spanned<String>, value: &Value) -> Node {
        let mut node = Node::new(name.clone());
        let entries = self.essential(|d| d.entries(value, "a mapping of the node's options"));
        for (key, value) in entries {
            match key.text.as_str() {
                "count" => {}
                "forward" => {
                    node.forward = self.essential(|d| d.bool(value, "`forward`")).unwrap_or_default();
                }
                "netns" | "pid" | "container" => self.existing(key, value, &mut node),
                "uplink" => node.uplink = self.uplink(key, value),
                "dns" => node.dns = self.dns(value),
                "sysctl" => node.sysctls = self.sysctls(value),
                "addresses" => node.addresses = self.essential(|d| d.loopback(value)),
                "gateway" => self.gateway(value, &mut node),
                "routes" => node.routes = self.routes(value),
                "rules" => node.rules = self.rules(value),
                "neighbours" => node.neighbours = self.neighbours(value),
                "hosts" => node.hosts = self.hosts(value),
                "env" => node.env = self.env(value),
                "run" => node.programs = self.programs(value),
                "firewall" => node.policy.firewall = self.firewall(value, key.span),
                "nat" => node.policy.nat = self.nat(value),
                "nft" => node.policy.nft = self.nft(value),
                "files" => self.files(value, &mut node),
                "private" => self.private(value, &mut node),
                "processes" => node.view.processes = self.processes(value),
                "user" => node.user = self.user(value),
                "interfaces" => {
                    node.interfaces = self.essential(|d| d.interfaces(name, value));
                }
                _ => {
                    self.unknown_key(key, "a node", KEYS);
                    let meant = crate::diagnostic::closest(&key.text, KEYS.iter().copied());
                    self.whole &= !matches!(meant, Some("count" | "forward" | "addresses"));
                }
            }
        }
        self.view_as_a_whole(&node);
        node
    }

    fn loopback(&mut self, value: &Value) -> Vec<Spanned<ipnet::IpNet>> {
        let wanted = "an address with its prefix length, as 192.0.2.1/32";
        value.items().iter().filter_map(|item| self.parsed(item, wanted, address::interface)).collect()
    }

    fn gateway(&mut self, value: &Value, node: &mut Node) {
        if let Kind::Map(entries) = &value.kind {
            for (key, value) in entries {
                let family = match key.text.as_str() {
                    "ipv4" => Family::Ipv4,
                    "ipv6" => Family::Ipv6,
                    _ => {
                        self.unknown_key(key, "`gateway`", &["ipv4", "ipv6"]);
                        continue;
                    }
                };
                let Some(gateway) = self.one_gateway(value) else { continue };
                if let Gateway::Address(address) = &gateway
                    && Family::of(address.value) != family
                {
                    self.push(
                        Diagnostic::error(
                            "wrong-family",
                            format!("{} is not an {family} address", address.value),
                        )
                        .at(value.span, ""),
                    );
                    continue;
                }
                match family {
                    Family::Ipv4 => node.gateway_ipv4 = gateway,
                    Family::Ipv6 => node.gateway_ipv6 = gateway,
                }
            }
            return;
        }
        let Some(gateway) = self.one_gateway(value) else { return };
        match &gateway {
            Gateway::Address(address) if address.is_ipv4() => node.gateway_ipv4 = gateway,
            Gateway::Address(_) => node.gateway_ipv6 = gateway,
            _ => {
                node.gateway_ipv4 = gateway.clone();
                node.gateway_ipv6 = gateway;
            }
        }
    }

    fn one_gateway(&mut self, value: &Value) -> Option<Gateway> {
        let text = self.text(value, "an address, a node or `none`")?;
        if text.value == "none" {
            return Some(Gateway::None);
        }
        if let Ok(address) = text.value.parse::<IpAddr>() {
            return Some(Gateway::Address(Spanned::new(address, text.span)));
        }
        if self.node_names.contains(&text.value) {
            return Some(Gateway::Node(text.spanned()));
        }
        let hint = crate::diagnostic::did_you_mean(&text.value, self.node_names.iter().map(String::as_str));
        let mut problem = match address::plain(&text.value) {
            Err(problem) if text.value.contains(['.', ':', '/']) => problem,
            _ => Problem::new("unknown-node", format!("there is no node `{}`", text.value))
                .help("a gateway is an address, a node or `none`"),
        };
        problem.help.splice(0..0, hint);
        self.problem(&text, problem);
        None
    }

    fn neighbours(&mut self, value: &Value) -> Vec<Spanned<Neighbour>> {
        let mut neighbours = Vec::new();
        for item in value.items() {
            let (mut address, mut mac, mut dev) = (None, None, None);
            let Kind::Map(entries) = &item.kind else {
                self.wrong_type(item, "a mapping with `address`, `mac` and `dev`");
                continue;
            };
            for (key, value) in entries {
                match key.text.as_str() {
                    "address" => address = self.parsed(value, "an address", address::plain),
                    "mac" => {
                        mac = self.parsed(value, "a MAC", |text| {
                            text.parse().map_err(|error: nslab_types::InvalidMac| {
                                Problem::new("bad-mac", error.to_string())
                            })
                        });
                    }
                    "dev" => dev = self.text(value, "an interface").map(super::Text::spanned),
                    _ => self.unknown_key(key, "a neighbour", NEIGHBOUR_KEYS),
                }
            }
            for needed in ["address", "mac"] {
                if !entries.iter().any(|(key, _)| key.text == needed) {
                    self.missing_key(item.span, "a neighbour", needed);
                }
            }
            if let (Some(address), Some(mac)) = (address, mac) {
                let neighbour = Neighbour { address: address.value, mac: mac.value, dev };
                neighbours.push(Spanned::new(neighbour, item.span));
            }
        }
        neighbours
    }

    fn hosts(&mut self, value: &Value) -> BTreeMap<String, Vec<IpAddr>> {
        let mut hosts = BTreeMap::new();
        for (key, value) in self.entries(value, "a mapping of names to addresses") {
            if !is_host_name(&key.text) {
                self.push(
                    Diagnostic::error("bad-name", format!("{:?} cannot stand in /etc/hosts", key.text))
                        .at(key.span, "")
                        .help("a host's name has letters, digits, `-`, `_` and dots"),
                );
            }
            let addresses: Vec<IpAddr> = value
                .items()
                .iter()
                .filter_map(|item| self.parsed(item, "an address", address::plain))
                .map(|address| address.value)
                .collect();
            hosts.insert(key.text.clone(), addresses);
        }
        hosts
    }

    pub(super) fn env(&mut self, value: &Value) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        for (key, value) in self.entries(value, "a mapping of names to values") {
            self.env_name(key);
            let value = if value.is_empty() { Some(String::new()) } else { self.string(value, "a text") };
            env.extend(value.map(|value| (key.text.clone(), value)));
        }
        env
    }

    fn env_name(&mut self, key: &Key) {
        if key.text.is_empty() || key.text.contains(['=', '\0']) {
            self.push(
                Diagnostic::error(
                    "bad-name",
                    format!("an environment variable cannot be called {:?}", key.text),
                )
                .at(key.span, ""),
            );
        }
    }
}

fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

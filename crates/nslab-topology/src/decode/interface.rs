//! `interfaces:` of a node.

use std::net::IpAddr;
use std::time::Duration;

use super::{Decoder, address, units};
use crate::diagnostic::{Diagnostic, Problem, Span, Spanned};
use crate::impairment;
use crate::lab::{End, Endpoint, Interface, InterfaceKind, Remote, WireguardPeer};
use crate::model::{BondMode, Encapsulation, IpvlanMode, MacvlanMode, VlanProtocol};
use crate::yaml::{Key, Kind, Value};

/// What every interface has.
const COMMON: &[&str] = &["type", "address", "addresses", "mac", "mtu", "up"];
/// The kinds, each with the keys of its own.
const TYPES: &[(&str, &[&str])] = &[
    ("vlan", &["link", "id", "protocol"]),
    ("vxlan", &["id", "remote", "local", "port", "link", "learning"]),
    ("geneve", &["id", "remote", "port"]),
    ("gre", &["remote", "local", "key", "ttl", "link"]),
    ("gretap", &["remote", "local", "key", "ttl", "link"]),
    ("ip6gre", &["remote", "local", "key", "ttl", "link"]),
    ("ip6gretap", &["remote", "local", "key", "ttl", "link"]),
    ("ipip", &["remote", "local", "ttl", "link"]),
    ("sit", &["remote", "local", "ttl", "link"]),
    ("ip6tnl", &["remote", "local", "ttl", "link"]),
    ("wireguard", &["port", "peers"]),
    ("macvlan", &["link", "mode"]),
    ("ipvlan", &["link", "mode"]),
    ("dummy", &[]),
    ("bond", &["members", "mode", "miimon", "primary"]),
    ("bridge", &["members", "stp"]),
    ("vrf", &["members", "table"]),
    ("tun", &["owner"]),
    ("tap", &["owner"]),
];
const PEER_KEYS: &[&str] = &["node", "interface", "endpoint", "allowed_ips", "keepalive"];
/// The port that IANA gave to VXLAN; the kernel's own default is an older one.
const VXLAN_PORT: u16 = 4789;
const GENEVE_PORT: u16 = 6081;
const WIREGUARD_PORT: u16 = 51820;
/// Every how long a bond looks at its members unless told.
const MIIMON: Duration = Duration::from_millis(100);
/// The TTL of a tunnel's outer header unless told. Not the inner one's, with which a routing protocol's packets would
/// go no further than the next router.
const TTL: u8 = 64;
/// A network identifier has 24 bits.
const MAX_VNI: u32 = 0x00ff_ffff;

/// The keys of one interface besides [`COMMON`].
struct Own<'v> {
    kind: &'static str,
    span: Span,
    entries: Vec<&'v (Key, Value)>,
}

impl<'v> Own<'v> {
    fn get(&self, name: &str) -> Option<&'v Value> {
        self.entries.iter().find(|(key, _)| key.text == name).map(|(_, value)| value)
    }
}

impl Decoder {
    pub(super) fn interfaces(&mut self, node: &Spanned<String>, value: &Value) -> Vec<Interface> {
        let entries = self.entries(value, "a mapping of names to interfaces");
        let read = entries.iter().filter_map(|(key, value)| self.interface(node, key, value));
        read.collect()
    }

    fn interface(&mut self, node: &Spanned<String>, key: &Key, value: &Value) -> Option<Interface> {
        let mut end = End::new(node.clone());
        end.interface = Some(Spanned::new(key.text.clone(), key.span));
        let entries: &[(Key, Value)] = match &value.kind {
            Kind::Map(entries) => entries,
            // A word is a kind that needs nothing else.
            Kind::Scalar(_) => &[],
            _ => {
                self.wrong_type(value, "a mapping of the interface's options, with its `type`");
                return None;
            }
        };
        let named = match &value.kind {
            Kind::Scalar(_) => Some(value),
            _ => entries.iter().find(|(key, _)| key.text == "type").map(|(_, value)| value),
        };
        let Some(named) = named else {
            self.missing_key(value.span, "an interface", "type");
            return None;
        };
        let words: Vec<(&'static str, &'static str)> = TYPES.iter().map(|(word, _)| (*word, *word)).collect();
        let kind = self.word(named, "what the interface is", &words)?.value;
        let keys = TYPES.iter().find(|(word, _)| *word == kind).map_or(&[][..], |(_, keys)| keys);
        let mut own = Own { kind, span: value.span, entries: Vec::new() };
        for entry in entries {
            let (key, value) = entry;
            match key.text.as_str() {
                "type" => {}
                name if keys.contains(&name) => own.entries.push(entry),
                _ if self.end_option(key, value, &mut end) => {}
                _ => {
                    let known: Vec<&'static str> =
                        keys.iter().chain(COMMON).chain(&impairment::KEYS).copied().collect();
                    self.unknown_key(key, &format!("an interface of type {kind}"), &known);
                }
            }
        }
        let kind = self.interface_kind(&own)?;
        Some(Interface { end, kind })
    }

    fn interface_kind(&mut self, own: &Own<'_>) -> Option<InterfaceKind> {
        let encapsulation = Encapsulation::WORDS.iter().find(|(word, _)| *word == own.kind);
        if let Some((_, encapsulation)) = encapsulation {
            let ttl = own.get("ttl").map(|value| self.number(value, "a TTL", 0..=255));
            let key = own.get("key").and_then(|value| self.number32(value, "a key", 0..=u32::MAX));
            return Some(InterfaceKind::Tunnel {
                encapsulation: *encapsulation,
                local: self.local(own),
                remote: self.remote(own)?,
                key: key.map(|key| key.value),
                ttl: ttl.flatten().and_then(|ttl| u8::try_from(ttl.value).ok()).unwrap_or(TTL),
                link: self.own_name(own, "link"),
            });
        }
        Some(match own.kind {
            "vlan" => InterfaceKind::Vlan {
                link: self.needed_name(own, "link")?,
                id: match own.get("id") {
                    Some(value) => self.vlan_id(value)?,
                    None => return self.lacks(own, "id"),
                },
                protocol: self.own_word(own, "protocol", VlanProtocol::WORDS).unwrap_or(VlanProtocol::Dot1Q),
            },
            "vxlan" => {
                let remotes = own.get("remote").map_or(&[][..], Value::items);
                InterfaceKind::Vxlan {
                    id: self.vni(own)?,
                    port: self.own_port(own, VXLAN_PORT).value,
                    local: self.local(own),
                    remotes: remotes.iter().filter_map(|item| self.one_remote(item)).collect(),
                    link: self.own_name(own, "link"),
                    learning: own
                        .get("learning")
                        .and_then(|value| self.bool(value, "`learning`"))
                        .unwrap_or(true),
                }
            }
            "geneve" => InterfaceKind::Geneve {
                id: self.vni(own)?,
                port: self.own_port(own, GENEVE_PORT).value,
                remote: self.remote(own)?,
            },
            "wireguard" => InterfaceKind::Wireguard {
                port: self.own_port(own, WIREGUARD_PORT),
                peers: own.get("peers").map_or_else(Vec::new, |value| self.peers(value)),
            },
            "macvlan" => InterfaceKind::Macvlan {
                link: self.needed_name(own, "link")?,
                mode: self.own_word(own, "mode", MacvlanMode::WORDS).unwrap_or(MacvlanMode::Bridge),
            },
            "ipvlan" => InterfaceKind::Ipvlan {
                link: self.needed_name(own, "link")?,
                mode: self.own_word(own, "mode", IpvlanMode::WORDS).unwrap_or(IpvlanMode::L2),
            },
            "bond" => {
                let miimon = own.get("miimon").map(|value| self.duration(value, "`miimon`"));
                InterfaceKind::Bond {
                    members: self.own_members(own),
                    mode: self.own_word(own, "mode", BondMode::WORDS).unwrap_or(BondMode::BalanceRr),
                    miimon: miimon.flatten().unwrap_or(MIIMON),
                    primary: self.own_name(own, "primary"),
                }
            }
            "bridge" => InterfaceKind::Bridge {
                members: self.own_members(own),
                stp: own.get("stp").and_then(|value| self.bool(value, "`stp`")).unwrap_or_default(),
            },
            "vrf" => InterfaceKind::Vrf {
                members: self.own_members(own),
                table: match own.get("table") {
                    // The kernel's own tables are 253 to 255 (`rt_class_t`).
                    Some(value) => self.number32(value, "a table", 1..=u32::MAX)?,
                    None => return self.lacks(own, "table"),
                },
            },
            "tun" | "tap" => InterfaceKind::Tun {
                tap: own.kind == "tap",
                owner: own
                    .get("owner")
                    .and_then(|value| self.number32(value, "a user's number", 0..=u32::MAX - 1))
                    .map(|owner| owner.value),
            },
            _ => InterfaceKind::Dummy,
        })
    }

    fn lacks<T>(&mut self, own: &Own<'_>, key: &str) -> Option<T> {
        self.missing_key(own.span, &format!("an interface of type {}", own.kind), key);
        None
    }

    fn own_name(&mut self, own: &Own<'_>, key: &str) -> Option<Spanned<String>> {
        self.text(own.get(key)?, "an interface of the node").map(super::Text::spanned)
    }

    fn needed_name(&mut self, own: &Own<'_>, key: &str) -> Option<Spanned<String>> {
        if own.get(key).is_none() {
            return self.lacks(own, key);
        }
        self.own_name(own, key)
    }

    fn own_word<T: Copy>(&mut self, own: &Own<'_>, key: &str, words: &[(&'static str, T)]) -> Option<T> {
        let what = format!("a {} of a {}", key, own.kind);
        self.word(own.get(key)?, &what, words).map(|word| word.value)
    }

    fn own_port(&mut self, own: &Own<'_>, usual: u16) -> Spanned<u16> {
        let port = own.get("port").and_then(|value| self.number32(value, "a UDP port", 1..=65535));
        port.map_or_else(|| usual.into(), |port| port.map(|port| u16::try_from(port).unwrap_or(usual)))
    }

    fn vni(&mut self, own: &Own<'_>) -> Option<Spanned<u32>> {
        match own.get("id") {
            Some(value) => self.number32(value, "a network identifier", 0..=MAX_VNI),
            None => self.lacks(own, "id"),
        }
    }

    fn local(&mut self, own: &Own<'_>) -> Option<Spanned<IpAddr>> {
        self.parsed(own.get("local")?, "an address of the node", address::plain)
    }

    fn remote(&mut self, own: &Own<'_>) -> Option<Spanned<Remote>> {
        match own.get("remote") {
            Some(value) => self.one_remote(value),
            None => self.lacks(own, "remote"),
        }
    }

    /// An address, a node, or a node's interface.
    fn one_remote(&mut self, value: &Value) -> Option<Spanned<Remote>> {
        let text = self.text(value, "the other end: a node, NODE:INTERFACE or an address")?;
        let remote = match text.value.parse() {
            Ok(remote) => remote,
            Err(never) => match never {},
        };
        if let Remote::Node { node, .. } = &remote
            && !self.node_names.contains(node)
        {
            self.no_such_node(node, text.span);
            return None;
        }
        Some(Spanned::new(remote, text.span))
    }

    fn no_such_node(&mut self, name: &str, span: Span) {
        let hint = crate::diagnostic::did_you_mean(name, self.node_names.iter().map(String::as_str));
        let mut error = Diagnostic::error("unknown-node", format!("there is no node `{name}`")).at(span, "");
        error.help.extend(hint);
        self.push(error);
    }

    fn own_members(&mut self, own: &Own<'_>) -> Vec<Spanned<String>> {
        let items = own.get("members").map_or(&[][..], Value::items);
        let read = items.iter().filter_map(|item| self.text(item, "an interface of the node"));
        read.map(super::Text::spanned).collect()
    }

    fn peers(&mut self, value: &Value) -> Vec<Spanned<WireguardPeer>> {
        let mut peers = Vec::new();
        for item in value.items() {
            peers.extend(self.peer(item).map(|peer| Spanned::new(peer, item.span)));
        }
        peers
    }

    fn peer(&mut self, item: &Value) -> Option<WireguardPeer> {
        let (mut node, mut interface, mut endpoint) = (None, None, Endpoint::Auto);
        let (mut allowed, mut keepalive) = (None, None);
        if let Kind::Map(entries) = &item.kind {
            for (key, value) in entries {
                match key.text.as_str() {
                    "node" => node = self.text(value, "a node"),
                    "interface" => {
                        interface = self.text(value, "an interface").map(super::Text::spanned);
                    }
                    "endpoint" => endpoint = self.endpoint(value),
                    "allowed_ips" => {
                        let nets = value.items().iter();
                        let nets = nets.filter_map(|item| self.parsed(item, "a prefix", address::prefix));
                        allowed = Some(nets.map(|net| net.value).collect());
                    }
                    "keepalive" => keepalive = self.keepalive(value),
                    _ => self.unknown_key(key, "a peer", PEER_KEYS),
                }
            }
            if !entries.iter().any(|(key, _)| key.text == "node") {
                self.missing_key(item.span, "a peer", "node");
            }
        } else {
            node = self.text(item, "a peer: a node, or a mapping with `node`");
        }
        let node = node?;
        if !self.node_names.contains(&node.value) {
            self.no_such_node(&node.value, node.span);
            return None;
        }
        Some(WireguardPeer { node: node.spanned(), interface, endpoint, allowed, keepalive })
    }

    fn endpoint(&mut self, value: &Value) -> Endpoint {
        let wanted = "where the peer is: an address, ADDRESS:PORT or `none`";
        let read = self.parsed(value, wanted, |text| {
            if text == "none" {
                Ok(Endpoint::None)
            } else if let Ok(socket) = text.parse() {
                Ok(Endpoint::Socket(socket))
            } else {
                address::plain(text).map(|address| Endpoint::Address(address.into()))
            }
        });
        match read {
            Some(Spanned { value: Endpoint::Address(address), span }) => {
                Endpoint::Address(Spanned { span, ..address })
            }
            Some(endpoint) => endpoint.value,
            None => Endpoint::Auto,
        }
    }

    /// Whole seconds, as WireGuard counts them in 16 bits.
    fn keepalive(&mut self, value: &Value) -> Option<Duration> {
        let wanted = "a time of whole seconds up to 65535s";
        let read = self.parsed(value, wanted, |text| {
            units::duration(text)
                .filter(|time| time.subsec_nanos() == 0 && u16::try_from(time.as_secs()).is_ok())
                .ok_or_else(|| Problem::new("bad-duration", format!("expected {wanted}, found {text:?}")))
        });
        read.map(|time| time.value)
    }
}

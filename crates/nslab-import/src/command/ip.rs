//! `ip address`, `ip link`, `ip neighbour`, `ip rule`.

use std::net::IpAddr;

use ipnet::IpNet;
use nslab_types::MacAddr;

use super::{Interpreter, Outcome, programs};
use crate::Place;
use crate::draft::{Line, Neighbour};
use crate::script::Simple;

/// Which family `-4`, `-6` or nothing chose.
pub(super) type Family = Option<bool>;

impl Interpreter<'_> {
    pub(super) fn ip(&mut self, words: &[&str], simple: &Simple, place: &Place) -> Outcome {
        let mut words = words;
        let mut ipv6: Family = None;
        while let [option, rest @ ..] = words {
            match *option {
                "-4" => ipv6 = Some(false),
                "-6" => ipv6 = Some(true),
                "-f" | "-family" => {
                    ipv6 = Some(rest.first() == Some(&"inet6"));
                    words = rest;
                }
                word if word.starts_with('-') => return programs::judge(simple),
                _ => break,
            }
            words = words.get(1..).unwrap_or_default();
        }
        let [object, rest @ ..] = words else { return Outcome::skip("it only prints") };
        let is = |full: &str| full.starts_with(object);
        let (verb, arguments) = match rest {
            [] => return Outcome::skip("it only prints"),
            [verb, arguments @ ..] => (*verb, arguments),
        };
        if ["show", "list", "lst", "get"].iter().any(|word| verb.len() > 1 && word.starts_with(verb)) {
            return Outcome::skip("it only prints");
        }
        if is("address") {
            self.ip_address(verb, arguments, simple, place)
        } else if is("route") {
            self.ip_route(ipv6, verb, arguments, simple, place)
        } else if is("link") {
            self.ip_link(verb, arguments, simple)
        } else if is("rule") {
            self.ip_rule(ipv6, verb, arguments, simple, place)
        } else if is("neighbour") || is("neighbor") {
            self.ip_neighbour(verb, arguments, simple, place)
        } else {
            programs::judge(simple)
        }
    }

    fn ip_address(&mut self, verb: &str, words: &[&str], simple: &Simple, place: &Place) -> Outcome {
        let Some(given) = Address::read(words) else { return programs::judge(simple) };
        let Some(dev) = given.dev else { return programs::judge(simple) };
        if !self.has(dev) {
            return self.about_other(dev, simple);
        }
        let is = |full: &str| full.starts_with(verb);
        if is("add") || is("replace") || is("change") {
            let Some(net) = given.net.filter(|_| !given.more) else { return programs::judge(simple) };
            self.add_address(dev, net, simple, place);
            Outcome::Done
        } else if is("delete") || is("flush") {
            self.remove_addresses(dev, given.net);
            Outcome::Done
        } else {
            programs::judge(simple)
        }
    }

    /// Gives an interface that there is an address.
    pub(super) fn add_address(&mut self, dev: &str, net: IpNet, simple: &Simple, place: &Place) {
        let line = Line { value: net, place: place.clone(), text: simple.text.clone() };
        let node = self.node_name();
        let list = if dev == "lo" {
            &mut self.draft.nodes[self.node].addresses
        } else {
            let Some(end) = self.draft.end(&node, dev) else { return };
            &mut end.addresses
        };
        let known = list.iter().any(|known| known.value.addr() == net.addr());
        if !known && !net.addr().is_loopback() {
            list.push(line);
        }
    }

    /// Takes addresses away: those that are meant, or all.
    pub(super) fn remove_addresses(&mut self, dev: &str, net: Option<IpNet>) {
        let node = self.node_name();
        let stays = |line: &Line<IpNet>| net.is_some_and(|net| net.addr() != line.value.addr());
        if dev == "lo" {
            self.draft.nodes[self.node].addresses.retain(stays);
        } else if let Some(end) = self.draft.end(&node, dev) {
            end.addresses.retain(stays);
        }
    }

    fn ip_link(&mut self, verb: &str, words: &[&str], simple: &Simple) -> Outcome {
        if !("set".starts_with(verb) || verb.len() > 1 && "change".starts_with(verb)) {
            return programs::judge(simple);
        }
        let mut change = Change::default();
        let mut dev = None;
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_default();
            match word {
                "dev" => dev = Some(value()),
                "up" => change.up = Some(true),
                "down" => change.up = Some(false),
                "mtu" => match value().parse() {
                    Ok(mtu) => change.mtu = Some(mtu),
                    Err(_) => return programs::judge(simple),
                },
                "address" | "addr" => match value().parse() {
                    Ok(mac) => change.mac = Some(mac),
                    Err(_) => return programs::judge(simple),
                },
                other if dev.is_none() => dev = Some(other),
                _ => {
                    return match dev {
                        Some(dev) if !self.has(dev) => self.about_other(dev, simple),
                        _ => programs::judge(simple),
                    };
                }
            }
        }
        match dev {
            Some(dev) if self.has(dev) => self.change(dev, &change, simple),
            Some(dev) => self.about_other(dev, simple),
            None => programs::judge(simple),
        }
    }

    /// Changes an interface that there is.
    pub(super) fn change(&mut self, dev: &str, change: &Change, simple: &Simple) -> Outcome {
        let node = self.node_name();
        let Some(end) = self.draft.end(&node, dev) else {
            // `lo` is always up.
            let nothing = change.up != Some(false) && change.mtu.is_none() && change.mac.is_none();
            return if nothing { Outcome::Done } else { programs::judge(simple) };
        };
        if change.mtu.is_some_and(|mtu| !(68..=65535).contains(&mtu)) {
            return Outcome::skip("a lab file's MTUs are from 68 to 65535");
        }
        if change.mac.is_some_and(|mac| !mac.is_unicast()) {
            return Outcome::skip("that is no interface's MAC");
        }
        end.up = change.up.unwrap_or(end.up);
        end.mtu = change.mtu.or(end.mtu);
        end.mac = change.mac.or(end.mac);
        Outcome::Done
    }

    fn ip_rule(
        &mut self,
        ipv6: Family,
        verb: &str,
        words: &[&str],
        simple: &Simple,
        place: &Place,
    ) -> Outcome {
        if !"add".starts_with(verb) {
            return programs::judge(simple);
        }
        let mut rule: Vec<String> = Vec::new();
        if ipv6 == Some(true) {
            rule.push("-6".to_owned());
        }
        let mut rest = words.iter().copied();
        while let Some(word) = rest.next() {
            let word = match word {
                "table" | "lookup" => "lookup",
                "pref" | "preference" | "prio" | "priority" | "order" => "priority",
                "dev" | "iif" => "iif",
                "from" | "to" | "oif" | "fwmark" => word,
                "blackhole" | "unreachable" | "prohibit" => {
                    rule.push(word.to_owned());
                    continue;
                }
                _ => return programs::judge(simple),
            };
            let Some(value) = rest.next() else { return programs::judge(simple) };
            if matches!(word, "iif" | "oif") && !self.has(value) {
                return self.about_other(value, simple);
            }
            if matches!(word, "from" | "to") && matches!(value, "all" | "default" | "any") {
                continue;
            }
            rule.push(format!("{word} {value}"));
        }
        let line = Line { value: rule.join(" "), place: place.clone(), text: simple.text.clone() };
        self.draft.nodes[self.node].rules.push(line);
        Outcome::Done
    }

    fn ip_neighbour(&mut self, verb: &str, words: &[&str], simple: &Simple, place: &Place) -> Outcome {
        let is = |full: &str| full.starts_with(verb);
        if !is("add") && !is("replace") && !is("change") {
            return programs::judge(simple);
        }
        let (mut address, mut mac, mut dev) = (None, None, None);
        let mut rest = words.iter().copied();
        while let Some(word) = rest.next() {
            match word {
                "lladdr" => mac = rest.next().and_then(|word| word.parse::<MacAddr>().ok()),
                "dev" => dev = rest.next(),
                "to" => {}
                "nud" => {
                    if rest.next() != Some("permanent") {
                        return programs::judge(simple);
                    }
                }
                other => address = other.parse::<IpAddr>().ok(),
            }
        }
        match (address, mac, dev) {
            (Some(address), Some(mac), Some(dev)) if self.has(dev) => {
                self.neighbour(Neighbour { address, mac, dev: Some(dev.to_owned()) }, simple, place);
                Outcome::Done
            }
            _ => programs::judge(simple),
        }
    }

    pub(super) fn neighbour(&mut self, neighbour: Neighbour, simple: &Simple, place: &Place) {
        let line = Line { value: neighbour, place: place.clone(), text: simple.text.clone() };
        let list = &mut self.draft.nodes[self.node].neighbours;
        list.retain(|known| known.value.address != line.value.address);
        list.push(line);
    }
}

/// What is to be changed of an interface.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) up: Option<bool>,
    pub(super) mtu: Option<u32>,
    pub(super) mac: Option<MacAddr>,
}

/// The arguments of `ip address add` and the like.
#[derive(Debug, Default)]
struct Address<'a> {
    net: Option<IpNet>,
    dev: Option<&'a str>,
    /// There is more to it than a lab file can say.
    more: bool,
}

impl<'a> Address<'a> {
    fn read(words: &[&'a str]) -> Option<Self> {
        let mut given = Self::default();
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            match word {
                "dev" => given.dev = Some(words.next()?),
                // The kernel's own choice mostly, and of no use to unicast.
                "brd" | "broadcast" | "label" | "scope" => drop(words.next()?),
                "nodad" | "home" | "mngtmpaddr" | "noprefixroute" | "autojoin" | "optimistic" => {
                    given.more |= word == "noprefixroute";
                }
                "local" => given.net = Some(interface_address(words.next()?)?),
                "peer" | "valid_lft" | "preferred_lft" | "metric" | "proto" | "anycast" | "to" => {
                    given.more = true;
                    words.next()?;
                }
                other => match interface_address(other) {
                    Some(net) if given.net.is_none() => given.net = Some(net),
                    // `ip addr flush eth0`
                    None if given.dev.is_none() => given.dev = Some(other),
                    _ => return None,
                },
            }
        }
        Some(given)
    }
}

/// An address with or without the length of its prefix.
pub(super) fn interface_address(word: &str) -> Option<IpNet> {
    word.parse::<IpNet>().ok().or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from))
}

//! `ifconfig`, `route` and `arp`.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::ip::{Change, interface_address};
use super::{Interpreter, Outcome, programs};
use crate::Place;
use crate::draft::{Hop, Neighbour, Route};
use crate::script::Simple;

impl Interpreter<'_> {
    pub(super) fn ifconfig(&mut self, words: &[&str], simple: &Simple, place: &Place) -> Outcome {
        let [dev, rest @ ..] = words else { return Outcome::skip("it only prints") };
        if rest.is_empty() || dev.starts_with('-') {
            return Outcome::skip("it only prints");
        }
        if !self.has(dev) {
            return self.about_other(dev, simple);
        }
        let mut change = Change::default();
        let (mut own, mut add, mut remove) = (None, Vec::new(), Vec::new());
        let mut mask = None;
        let mut rest = rest.iter().copied();
        while let Some(word) = rest.next() {
            let mut value = || rest.next().unwrap_or_default();
            match word {
                "up" => change.up = Some(true),
                "down" => change.up = Some(false),
                "inet" | "inet6" | "arp" | "promisc" | "-promisc" | "multicast" => {}
                "netmask" => mask = value().parse::<Ipv4Addr>().ok(),
                "broadcast" => drop(value()),
                "mtu" => change.mtu = value().parse().ok(),
                "add" => add.extend(interface_address(value())),
                "del" => remove.extend(interface_address(value())),
                "hw" => {
                    value();
                    change.mac = rest.next().and_then(|word| word.parse().ok());
                }
                other => match interface_address(other) {
                    Some(net) if net.addr().is_ipv6() => add.push(net),
                    Some(net) => own = Some((net, other.contains('/'))),
                    None => return programs::judge(simple),
                },
            }
        }
        if let Some((net, has_length)) = own
            && let IpAddr::V4(address) = net.addr()
        {
            let length = match mask {
                Some(mask) => ipnet::ipv4_mask_to_prefix(mask).ok(),
                None if has_length => Some(net.prefix_len()),
                None => Some(class(address)),
            };
            let Some(net) = length.and_then(|length| Ipv4Net::new(address, length).ok()) else {
                return programs::judge(simple);
            };
            // ifconfig knows one IPv4 address of an interface, and brings it up with it.
            change.up.get_or_insert(true);
            self.remove_own(dev);
            self.add_address(dev, IpNet::V4(net), simple, place);
        }
        for net in add {
            self.add_address(dev, net, simple, place);
        }
        for net in remove {
            self.remove_addresses(dev, Some(net));
        }
        self.change(dev, &change, simple)
    }

    /// Takes an interface's first IPv4 address away.
    fn remove_own(&mut self, dev: &str) {
        let node = self.node_name();
        let addresses = if dev == "lo" {
            Some(&self.draft.nodes[self.node].addresses)
        } else {
            self.draft.end(&node, dev).map(|end| &end.addresses)
        };
        let first =
            addresses.and_then(|list| list.iter().map(|line| line.value).find(|net| net.addr().is_ipv4()));
        if first.is_some() {
            self.remove_addresses(dev, first);
        }
    }

    pub(super) fn net_route(&mut self, words: &[&str], simple: &Simple, place: &Place) -> Outcome {
        let mut words = words;
        let mut ipv6 = false;
        loop {
            match words {
                ["-A", family, rest @ ..] => {
                    ipv6 = *family == "inet6";
                    words = rest;
                }
                ["-6" | "--inet6", rest @ ..] => {
                    ipv6 = true;
                    words = rest;
                }
                ["-4" | "--inet" | "-n" | "-v" | "-e", rest @ ..] => words = rest,
                _ => break,
            }
        }
        let [verb @ ("add" | "del" | "delete"), rest @ ..] = words else {
            return Outcome::skip("it only prints");
        };
        let Some(route) = read(ipv6, rest) else { return programs::judge(simple) };
        if *verb != "add" {
            return self.remove_route(&route);
        }
        if let Some(dev) = route.hops.iter().filter_map(|hop| hop.dev.as_deref()).find(|dev| !self.has(dev)) {
            return self.about_other(dev, simple);
        }
        self.add_route(route, simple, place);
        Outcome::Done
    }

    pub(super) fn arp(&mut self, words: &[&str], simple: &Simple, place: &Place) -> Outcome {
        let words: Vec<&str> = words.iter().copied().filter(|word| *word != "temp").collect();
        let (dev, rest) = match words[..] {
            ["-i", dev, ref rest @ ..] => (Some(dev), rest),
            ref rest => (None, rest),
        };
        let ["-s" | "--set", address, mac, ref tail @ ..] = rest[..] else { return programs::judge(simple) };
        let dev = dev.or(match tail {
            ["dev" | "-i", dev] => Some(*dev),
            _ => None,
        });
        match (address.parse(), mac.parse()) {
            (Ok(address), Ok(mac)) if dev.is_none_or(|dev| self.has(dev)) => {
                self.neighbour(Neighbour { address, mac, dev: dev.map(str::to_owned) }, simple, place);
                Outcome::Done
            }
            _ => programs::judge(simple),
        }
    }
}

/// The prefix length of an address's class, which ifconfig takes where it is told none.
fn class(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        ..128 => 8,
        128..192 => 16,
        _ => 24,
    }
}

/// Reads `[-net|-host] TO [netmask MASK] [gw GATEWAY] [metric N] [dev INTERFACE]`.
fn read(ipv6: bool, words: &[&str]) -> Option<Route> {
    let (mut to, mut mask, mut host) = (None, None, false);
    let mut route = Route { ipv6, ..Route::default() };
    let mut hop = Hop::default();
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "-net" => {}
            "-host" => host = true,
            "netmask" => mask = Some(ipnet::ipv4_mask_to_prefix(words.next()?.parse().ok()?).ok()?),
            "gw" => hop.via = Some(words.next()?.parse().ok()?),
            "metric" => route.rest.push(("metric", words.next()?.to_owned())),
            "dev" => hop.dev = Some(words.next()?.to_owned()),
            "reject" => route.kind = Some("unreachable"),
            other if to.is_none() => to = Some(other),
            // The interface may stand without a word before it.
            other if hop.dev.is_none() => hop.dev = Some(other.to_owned()),
            _ => return None,
        }
    }
    let to = to?;
    if to != "default" {
        let net = match (super::ip::interface_address(to)?, mask) {
            (IpNet::V4(net), Some(length)) => IpNet::V4(Ipv4Net::new(net.addr(), length).ok()?),
            (IpNet::V4(net), None) if !host && !to.contains('/') => classful(net.addr()),
            (net, _) => net,
        };
        route.ipv6 |= net.addr().is_ipv6();
        route.to = (net.prefix_len() > 0).then_some(net);
        if net.trunc() != net {
            return None;
        }
    }
    route.ipv6 |= hop.via.is_some_and(|via| via.is_ipv6());
    if hop != Hop::default() {
        route.hops.push(hop);
    }
    let fits = if route.kind.is_some() { route.hops.is_empty() } else { !route.hops.is_empty() };
    fits.then_some(route)
}

/// What `route add 10.0.0.0` means: the network if there are no host bits, else the host.
fn classful(address: Ipv4Addr) -> IpNet {
    if address.is_unspecified() {
        return IpNet::V4(Ipv4Net::default());
    }
    let network = Ipv4Net::new(address, class(address)).ok().filter(|net| net.trunc() == *net);
    network.map_or_else(|| IpNet::from(IpAddr::V4(address)), IpNet::V4)
}

//! `ip route`, `route` and the routes that they make.

use std::net::IpAddr;

use ipnet::IpNet;

use super::ip::Family;
use super::{Interpreter, Outcome, programs};
use crate::Place;
use crate::draft::{Hop, Line, Route};
use crate::script::Simple;

impl Interpreter<'_> {
    pub(super) fn ip_route(
        &mut self,
        ipv6: Family,
        verb: &str,
        words: &[&str],
        simple: &Simple,
        place: &Place,
    ) -> Outcome {
        let is = |full: &str| full.starts_with(verb);
        if is("add") || is("replace") || is("change") || verb == "append" || verb == "prepend" {
            let Some(route) = read(ipv6, words) else { return programs::judge(simple) };
            let mut devices = route.hops.iter().filter_map(|hop| hop.dev.as_deref());
            if let Some(dev) = devices.find(|dev| !self.has(dev)) {
                return self.about_other(dev, simple);
            }
            self.add_route(route, simple, place);
            Outcome::Done
        } else if is("delete") {
            match read(ipv6, words) {
                Some(route) => self.remove_route(&route),
                None => programs::judge(simple),
            }
        } else if is("flush") {
            Outcome::skip("there are no routes but those that are written")
        } else {
            programs::judge(simple)
        }
    }

    /// Adds a route; one to the same place that is there is replaced.
    pub(super) fn add_route(&mut self, route: Route, simple: &Simple, place: &Place) {
        let routes = &mut self.draft.nodes[self.node].routes;
        routes.retain(|line| !is_same(&line.value, &route));
        routes.push(Line { value: route, place: place.clone(), text: simple.text.clone() });
    }

    /// Takes a route away.
    pub(super) fn remove_route(&mut self, route: &Route) -> Outcome {
        let routes = &mut self.draft.nodes[self.node].routes;
        let before = routes.len();
        routes.retain(|line| line.value.to != route.to || line.value.ipv6 != route.ipv6);
        if routes.len() < before {
            Outcome::Done
        } else {
            Outcome::skip("there is no such route: a node has no management network")
        }
    }
}

/// Whether the kernel takes the two for the same route.
fn is_same(one: &Route, other: &Route) -> bool {
    let of = |route: &Route, word: &str| {
        route.rest.iter().find(|(name, _)| *name == word).map(|(_, value)| value.clone())
    };
    one.to == other.to
        && one.ipv6 == other.ipv6
        && of(one, "table").filter(|table| table != "main")
            == of(other, "table").filter(|table| table != "main")
        && of(one, "metric") == of(other, "metric")
}

/// Reads `[TYPE] TO [via …] [dev …] …`; `None` if a lab file could not say it.
pub(super) fn read(ipv6: Family, words: &[&str]) -> Option<Route> {
    let mut route = Route::default();
    let mut words = words.iter().copied().peekable();
    route.kind = match words.peek().copied() {
        Some("blackhole") => Some("blackhole"),
        Some("unreachable") => Some("unreachable"),
        Some("prohibit") => Some("prohibit"),
        Some("throw") => Some("throw"),
        Some("unicast" | "to") => {
            words.next();
            None
        }
        _ => None,
    };
    if route.kind.is_some() {
        words.next();
    }
    let mut given = ipv6;
    match words.next()? {
        "default" => {}
        word => {
            let net = prefix(word)?;
            given.get_or_insert(net.addr().is_ipv6());
            // `0.0.0.0/0` is how some write the default route.
            route.to = (net.prefix_len() > 0).then_some(net);
        }
    }
    let mut hop = Hop::default();
    let mut several = false;
    while let Some(word) = words.next() {
        match word {
            "via" => {
                if matches!(words.peek(), Some(&("inet" | "inet6"))) {
                    words.next();
                }
                let via: IpAddr = words.next()?.parse().ok()?;
                given.get_or_insert(via.is_ipv6());
                hop.via = Some(via);
            }
            "dev" => hop.dev = Some(words.next()?.to_owned()),
            "weight" => {
                hop.weight = Some(words.next()?.parse().ok().filter(|weight| (1..=256).contains(weight))?);
            }
            "onlink" => hop.onlink = true,
            "nexthop" => {
                if std::mem::replace(&mut several, true) {
                    route.hops.push(std::mem::take(&mut hop));
                }
            }
            "metric" | "preference" | "priority" => route.rest.push(("metric", words.next()?.to_owned())),
            "table" => route.rest.push(("table", words.next()?.to_owned())),
            "src" => route.rest.push(("src", words.next()?.to_owned())),
            "mtu" => {
                if words.peek() == Some(&"lock") {
                    words.next();
                }
                route.rest.push(("mtu", words.next()?.to_owned()));
            }
            // Of no consequence.
            "proto" | "protocol" | "scope" | "pref" => drop(words.next()?),
            _ => return None,
        }
    }
    if several || hop != Hop::default() {
        route.hops.push(hop);
    }
    let is_whole = |hop: &Hop| hop.via.is_some() || hop.dev.is_some();
    let fits = if route.kind.is_some() { route.hops.is_empty() } else { route.hops.iter().all(is_whole) };
    route.ipv6 = given.unwrap_or(false);
    fits.then_some(route)
}

/// A prefix: `10.0.0.0/8`, `10.0.0.1` alone, and the `10/8` of old.
pub(super) fn prefix(word: &str) -> Option<IpNet> {
    if let Some(net) = super::ip::interface_address(word) {
        return (net.trunc() == net).then_some(net);
    }
    let (address, length) = word.split_once('/')?;
    let missing = 3_usize.checked_sub(address.matches('.').count())?;
    let whole = format!("{address}{}", ".0".repeat(missing));
    format!("{whole}/{length}").parse().ok().filter(|net: &IpNet| net.trunc() == *net)
}

//! `routes:`.

use super::route_words::{self, parse_route};
use super::{Decoder, address};
use crate::diagnostic::Spanned;
use crate::lab::{Destination, Family, NextHop, Route, RouteAction};
use crate::yaml::{Key, Kind, Value};

const KEYS: &[&str] =
    &["to", "via", "dev", "metric", "table", "src", "mtu", "onlink", "type", "nexthops", "family"];
const HOP_KEYS: &[&str] = &["via", "dev", "weight", "onlink"];

impl Decoder {
    pub(super) fn routes(&mut self, value: &Value) -> Vec<Spanned<Route>> {
        let mut routes = Vec::new();
        for item in value.items() {
            let route = match &item.kind {
                Kind::Map(entries) => self.route_mapping(item, entries),
                _ => self.route_text(item),
            };
            routes.extend(route.map(|route| Spanned::new(route, item.span)));
        }
        routes
    }

    fn route_text(&mut self, value: &Value) -> Option<Route> {
        let text = self.text(value, "a route, as `10.9.0.0/16 via 10.0.0.2`")?;
        match parse_route(&text.value, &|range| text.place(range).or(Some(text.span))) {
            Ok(route) => Some(route),
            Err(problem) => {
                self.problem(&text, problem);
                None
            }
        }
    }

    fn route_mapping(&mut self, value: &Value, entries: &[(Key, Value)]) -> Option<Route> {
        let before = self.diagnostics.len();
        let mut route = Route {
            to: Destination::Default(None),
            action: RouteAction::Forward(Vec::new()),
            metric: None,
            table: None,
            source: None,
            mtu: None,
        };
        let (mut hop, mut hops, mut family, mut to) = (NextHop::default(), Vec::new(), None, None);
        for (key, value) in entries {
            match key.text.as_str() {
                "to" => {
                    to = self.parsed(value, "a prefix or `default`", |text| match text {
                        "default" => Ok(Destination::Default(None)),
                        _ => address::prefix(text).map(Destination::Net),
                    });
                }
                "family" => family = self.family(value),
                "metric" => route.metric = self.number32(value, "a metric", 0..=u32::MAX).map(|n| n.value),
                "table" => route.table = self.parsed(value, "a table", route_words::table).map(|n| n.value),
                "mtu" => route.mtu = self.number32(value, "an MTU", 0..=65535).map(|n| n.value),
                "src" => route.source = self.parsed(value, "an address", address::plain),
                "type" => {
                    let words =
                        [("unicast", 0), ("blackhole", 1), ("unreachable", 2), ("prohibit", 3), ("throw", 4)];
                    if let Some(word) = self.word(value, "a type of route", &words) {
                        route.action = match word.value {
                            1 => RouteAction::Blackhole,
                            2 => RouteAction::Unreachable,
                            3 => RouteAction::Prohibit,
                            4 => RouteAction::Throw,
                            _ => RouteAction::Forward(Vec::new()),
                        };
                    }
                }
                "nexthops" => {
                    for item in value.items() {
                        let mut hop = NextHop::default();
                        for (key, value) in self.entries(item, "a mapping with `via` or `dev`") {
                            if !self.hop_key(key, value, &mut hop) {
                                self.unknown_key(key, "a next hop", HOP_KEYS);
                            }
                        }
                        hops.push(hop);
                    }
                }
                _ => {
                    if key.text == "weight" || !self.hop_key(key, value, &mut hop) {
                        self.unknown_key(key, "a route", KEYS);
                    }
                }
            }
        }
        if !entries.iter().any(|(key, _)| key.text == "to") {
            self.missing_key(value.span, "a route", "to");
        }
        route.to = match to?.value {
            Destination::Default(_) => Destination::Default(family),
            net @ Destination::Net(_) => net,
        };
        self.ways_out(value, &mut route, hop, hops);
        (self.diagnostics.len() == before).then_some(route)
    }

    fn ways_out(&mut self, value: &Value, route: &mut Route, hop: NextHop, mut hops: Vec<NextHop>) {
        let single = hop != NextHop::default();
        let message = match &mut route.action {
            RouteAction::Forward(ways) => {
                if !single || hops.is_empty() {
                    if hops.is_empty() {
                        hops.push(hop);
                    }
                    *ways = hops;
                    if ways.iter().all(|hop| hop.via.is_some() || hop.dev.is_some()) {
                        return;
                    }
                    "this route does not say which way: it needs `via`, `dev` or `nexthops`"
                } else {
                    "a route has either `via` and `dev` or `nexthops`"
                }
            }
            _ if single || !hops.is_empty() => "a route that drops packets has no way out",
            _ => return,
        };
        self.push(crate::diagnostic::Diagnostic::error("bad-route", message).at(value.span, ""));
    }

    fn hop_key(&mut self, key: &Key, value: &Value, hop: &mut NextHop) -> bool {
        match key.text.as_str() {
            "via" => hop.via = self.parsed(value, "an address or a node", route_words::via),
            "dev" => hop.dev = self.text(value, "an interface").map(super::Text::spanned),
            "weight" => {
                if let Some(weight) = self.parsed(value, "a weight", route_words::weight) {
                    hop.weight = weight.value;
                }
            }
            "onlink" => hop.onlink = self.bool(value, "`onlink`").unwrap_or_default(),
            _ => return false,
        }
        true
    }

    pub(super) fn family(&mut self, value: &Value) -> Option<Family> {
        self.word(value, "a family", &[("ipv4", Family::Ipv4), ("ipv6", Family::Ipv6)]).map(|word| word.value)
    }
}

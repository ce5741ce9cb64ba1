//! Routes in the words of `ip route`.

use std::net::IpAddr;
use std::ops::Range;

use super::{address, units};
use crate::diagnostic::{Problem, Span, Spanned, did_you_mean};
use crate::lab::{Destination, Family, NextHop, Route, RouteAction, Via, words};

const WORDS: &[&str] = &["via", "dev", "metric", "table", "src", "mtu", "onlink", "weight", "nexthop"];

/// Reads `[TYPE] TO [via ADDRESS] [dev INTERFACE] …`; `place` turns a stretch of the text into its place in the file.
pub(crate) fn parse_route(
    text: &str,
    place: &dyn Fn(Range<usize>) -> Option<Span>,
) -> Result<Route, Problem> {
    let mut reader = Reader { words: words(text).collect(), at: 0, place, text };
    let family = reader.family();
    let action = reader.action();
    let to = reader.destination(family)?;
    let mut route = Route { to, action, metric: None, table: None, source: None, mtu: None };
    let (mut one, mut several) = (NextHop::default(), Vec::new());
    while let Some((range, word)) = reader.next() {
        match word {
            "nexthop" => several.push(NextHop::default()),
            "via" | "dev" | "weight" | "onlink" => {
                let hop = several.last_mut().unwrap_or(&mut one);
                reader.hop_word(word, &range, hop)?;
            }
            "metric" | "preference" | "priority" => {
                route.metric =
                    Some(reader.value(&range, word, |text| number(text, "a metric", u32::MAX))?.value);
            }
            "table" => route.table = Some(reader.value(&range, word, table)?.value),
            "mtu" => {
                route.mtu = Some(reader.value(&range, word, |text| number(text, "an MTU", 65535))?.value);
            }
            "src" => route.source = Some(reader.value(&range, word, address::plain)?),
            _ => return Err(unknown(word, WORDS).within(range)),
        }
    }
    let whole = 0..text.len();
    match &mut route.action {
        RouteAction::Forward(hops) => {
            if !several.is_empty() && one != NextHop::default() {
                return Err(Problem::new(
                    "bad-route",
                    "a route has either one way out or several after `nexthop`",
                )
                .within(whole));
            }
            *hops = if several.is_empty() { vec![one] } else { several };
            if hops.iter().any(|hop| hop.via.is_none() && hop.dev.is_none()) {
                return Err(Problem::new("bad-route", format!("{text:?} does not say which way")).within(whole).help(
                    "write `via ADDRESS`, or `dev INTERFACE` for what is on the link, or put `blackhole` before it",
                ));
            }
        }
        _ if one != NextHop::default() || !several.is_empty() => {
            return Err(Problem::new("bad-route", "a route that drops packets has no way out").within(whole));
        }
        _ => {}
    }
    Ok(route)
}

/// What an unfit word of `ip` was likely meant to be.
pub(super) fn unknown(word: &str, known: &[&'static str]) -> Problem {
    let problem = Problem::new("bad-word", format!("`{word}` is not understood here"));
    match did_you_mean(word, known.iter().copied()) {
        Some(hint) => problem.help(hint),
        None => problem.help(format!("it can be {}", known.join(", "))),
    }
}

pub(super) fn number(text: &str, what: &str, most: u32) -> Result<u32, Problem> {
    units::whole_number(text)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number <= most)
        .ok_or_else(|| {
            Problem::new("bad-number", format!("expected {what}, a number up to {most}, found {text:?}"))
        })
}

/// A table's number, or the name of one of the kernel's three.
pub(super) fn table(text: &str) -> Result<u32, Problem> {
    match text {
        "main" => Ok(254),
        "local" => Ok(255),
        "default" => Ok(253),
        _ => number(text, "a table's number, `main`, `local` or `default`", u32::MAX).and_then(|number| {
            if number == 0 { Err(Problem::new("bad-number", "there is no table 0")) } else { Ok(number) }
        }),
    }
}

pub(super) fn weight(text: &str) -> Result<u16, Problem> {
    match number(text, "a weight", 256).map(u16::try_from) {
        Ok(Ok(weight)) if weight > 0 => Ok(weight),
        _ => Err(Problem::new("bad-number", format!("a weight is a number from 1 to 256, not {text:?}"))),
    }
}

pub(super) fn via(text: &str) -> Result<Via, Problem> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Via::Address(address));
    }
    if text.contains([':', '/']) || text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return address::plain(text).map(Via::Address);
    }
    Ok(Via::Node(text.to_owned()))
}

/// Reads words one after another.
pub(super) struct Reader<'a> {
    pub(super) words: Vec<(Range<usize>, &'a str)>,
    pub(super) at: usize,
    pub(super) place: &'a dyn Fn(Range<usize>) -> Option<Span>,
    pub(super) text: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn next(&mut self) -> Option<(Range<usize>, &'a str)> {
        let word = self.words.get(self.at).cloned();
        self.at += usize::from(word.is_some());
        word
    }

    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).map(|(_, word)| *word)
    }

    /// `-4` or `-6`.
    pub(super) fn family(&mut self) -> Option<Family> {
        let family = match self.peek()? {
            "-4" => Family::Ipv4,
            "-6" => Family::Ipv6,
            _ => return None,
        };
        self.at += 1;
        Some(family)
    }

    fn action(&mut self) -> RouteAction {
        let action = match self.peek() {
            Some("blackhole") => RouteAction::Blackhole,
            Some("unreachable") => RouteAction::Unreachable,
            Some("prohibit") => RouteAction::Prohibit,
            Some("throw") => RouteAction::Throw,
            Some("unicast") => RouteAction::Forward(Vec::new()),
            _ => return RouteAction::Forward(Vec::new()),
        };
        self.at += 1;
        action
    }

    fn destination(&mut self, family: Option<Family>) -> Result<Destination, Problem> {
        let Some((range, word)) = self.next() else {
            return Err(Problem::new("bad-route", "a route needs a destination: a prefix or `default`")
                .within(0..self.text.len()));
        };
        if word == "default" {
            return Ok(Destination::Default(family));
        }
        let net = address::prefix(word).map_err(|problem| problem.within(range.clone()))?;
        if family.is_some_and(|family| family != Family::of(net.addr())) {
            return Err(Problem::new("wrong-family", format!("{word} is of the other family")).within(range));
        }
        Ok(Destination::Net(net))
    }

    fn hop_word(&mut self, word: &str, range: &Range<usize>, hop: &mut NextHop) -> Result<(), Problem> {
        match word {
            "via" => {
                if matches!(self.peek(), Some("inet" | "inet6")) {
                    self.at += 1;
                }
                hop.via = Some(self.value(range, word, via)?);
            }
            "dev" => hop.dev = Some(self.value(range, word, |text| Ok(text.to_owned()))?),
            "weight" => hop.weight = self.value(range, word, weight)?.value,
            _ => hop.onlink = true,
        }
        Ok(())
    }

    /// The word after `word`, read.
    pub(super) fn value<T>(
        &mut self,
        range: &Range<usize>,
        word: &str,
        read: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Result<Spanned<T>, Problem> {
        let Some((range, text)) = self.next() else {
            return Err(
                Problem::new("bad-word", format!("something must follow `{word}`")).within(range.clone())
            );
        };
        let value = read(text).map_err(|problem| problem.within(range.clone()))?;
        Ok(Spanned::new(value, (self.place)(range)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Route, Problem> {
        parse_route(text, &|_| None)
    }

    #[test]
    fn reads_what_ip_takes() {
        let route =
            of("10.9.0.0/16 via 10.0.0.2 dev eth0 metric 5 table 100 src 10.0.0.1 mtu 1400 onlink").unwrap();
        assert_eq!((route.metric, route.table, route.mtu), (Some(5), Some(100), Some(1400)));
        let RouteAction::Forward(hops) = &route.action else { panic!() };
        assert!(hops[0].onlink && hops[0].dev.as_ref().unwrap().value == "eth0");
        let route = of("10.8.0.0/16 nexthop via 10.0.0.2 weight 2 nexthop via 10.0.0.3 dev eth1").unwrap();
        let RouteAction::Forward(hops) = &route.action else { panic!() };
        assert_eq!((hops.len(), hops[0].weight, hops[1].weight), (2, 2, 1));
        assert_eq!(of("blackhole 10.66.0.0/16").unwrap().action, RouteAction::Blackhole);
        assert_eq!(
            of("-6 default via fe80::1 dev eth0").unwrap().to,
            Destination::Default(Some(Family::Ipv6))
        );
        assert_eq!(of("10.9.9.9 via fw table main").unwrap().table, Some(254));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, message) in [
            ("", "destination"),
            ("default", "which way"),
            ("default via", "must follow `via`"),
            ("default vai 10.0.0.1", "`vai`"),
            ("10.9.0.1/16 via 10.0.0.1", "not a subnet"),
            ("blackhole 10.0.0.0/8 dev eth0", "no way out"),
            ("default via 10.0.0.1 metric x", "a metric"),
            ("default via 10.0.0.1 table 0", "table 0"),
            ("default via 10.0.0.1 nexthop via 10.0.0.2", "either one way"),
            ("default via 10.0.0.1/24", "no place here"),
            ("default nexthop via 10.0.0.1 weight 0", "1 to 256"),
            ("-6 10.0.0.0/8 dev x", "other family"),
        ] {
            let problem = of(text).unwrap_err();
            assert!(problem.message.contains(message), "{text:?}: {problem:?}");
        }
        assert_eq!(of("default vai 10.0.0.1").unwrap_err().range, Some(8..11));
    }
}

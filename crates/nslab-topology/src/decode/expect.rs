//! `expect:`. What `nslab test` holds a network against, and `nslab reach --expect` what is predicted of it.

use std::time::Duration;

use super::{Decoder, Named, units};
use crate::diagnostic::{Diagnostic, Problem, Span, Spanned};
use crate::impairment::Share;
use crate::lab::{Bounds, Expectation, Expected, MAX_EXPECTATIONS, Mtu, Party, Probe};
use crate::yaml::{Key, Kind, Value};

/// What an expectation can have, written as a mapping.
const KEYS: &[&str] = &["is", "within", "latency", "loss", "bandwidth", "via", "mtu"];
const CODE: &str = "bad-expectation";
/// The MTUs that there are: IPv4's least (RFC 791), and what its length field can say.
const MTUS: std::ops::RangeInclusive<u64> = 68..=65_535;

/// What stands behind the colon.
struct Outcome {
    is: Expected,
    within: Option<Duration>,
    bounds: Bounds,
}

impl Decoder {
    /// A list of `A -> B PROTOCOL[/PORT]: ok`, and `within: 5s` for all that do not say otherwise.
    pub(super) fn expectations(&mut self, value: &Value) -> Vec<Expectation> {
        let wanted = "a list of expectations, as `- a -> b tcp/80: ok`";
        let mut all = Vec::new();
        let mut within: Option<Spanned<Duration>> = None;
        let Kind::List(items) = &value.kind else {
            if !value.is_empty() {
                self.wrong_type(value, wanted);
            }
            return all;
        };
        for item in items {
            let Kind::Map(entries) = &item.kind else {
                self.wrong_type(item, "an expectation, as `a -> b tcp/80: ok`");
                continue;
            };
            for (key, value) in entries {
                if key.text == "within" {
                    let time = self.duration(value, "how long it may take until all holds");
                    if within.is_some() {
                        let message = "`within` is said for all expectations already";
                        self.push(Diagnostic::error(CODE, message).at(key.span, ""));
                    }
                    within = time.map(|time| Spanned::new(time, key.span)).or(within);
                    continue;
                }
                let sides = self.expectation(key);
                let service = sides.as_ref().map(|(_, _, service)| *service);
                let outcome = self.outcome(value, service);
                let (Some((from, to, service)), Some(outcome)) = (sides, outcome) else { continue };
                if all.len() + from.len() * to.len() > MAX_EXPECTATIONS {
                    let message = format!("a lab has at most {MAX_EXPECTATIONS} expectations");
                    self.push(Diagnostic::error("too-many", message).at(key.span, "these are too many"));
                    return all;
                }
                let Outcome { is, within, bounds } = outcome;
                for from in &from {
                    all.extend(to.iter().map(|to| Expectation {
                        from: from.clone(),
                        to: to.clone(),
                        service,
                        outcome: is,
                        within,
                        bounds: bounds.clone(),
                        line: key.span.line,
                    }));
                }
            }
        }
        for one in all.iter_mut().filter(|one| one.within.is_none()) {
            one.within = within.as_ref().map(|within| within.value);
        }
        all
    }

    /// Both sides, each of which may be a group, and what is sent.
    fn expectation(&mut self, key: &Key) -> Option<(Vec<Party>, Vec<Party>, Probe)> {
        let Some((from, rest)) = key.text.split_once("->") else {
            self.push(
                Diagnostic::error(CODE, format!("`{}` does not say from where to where", key.text))
                    .at(key.span, "")
                    .help("write `a -> b tcp/80: ok`"),
            );
            return None;
        };
        let from: Vec<&str> = from.split_whitespace().collect();
        let rest: Vec<&str> = rest.split_whitespace().collect();
        let (&[from], &[to, protocol]) = (from.as_slice(), rest.as_slice()) else {
            self.push(
                Diagnostic::error(CODE, format!("`{}` is no expectation", key.text))
                    .at(key.span, "")
                    .help("write `a -> b tcp/80: ok`, or `a -> b icmp: ok`"),
            );
            return None;
        };
        let from = self.party(from, false, key.span);
        let to = self.party(to, true, key.span);
        match protocol_and_port(protocol) {
            Ok(probe) => Some((from, to, probe)),
            Err(problem) => {
                let mut error = Diagnostic::error(problem.code, problem.message).at(key.span, "");
                error.help = problem.help;
                self.push(error);
                None
            }
        }
    }

    fn party(&mut self, name: &str, or_address: bool, span: Span) -> Vec<Party> {
        if name == "every" {
            return vec![Party::Every];
        }
        if let (true, Ok(address)) = (or_address, name.parse()) {
            return vec![Party::Address(address)];
        }
        self.known_name(name, span);
        match self.names.get(name) {
            Some(Named::Group(count)) => {
                (1..=*count).map(|number| Party::Named(format!("{name}{number}"))).collect()
            }
            _ => vec![Party::Named(name.to_owned())],
        }
    }

    /// A word, or a mapping with bounds.
    fn outcome(&mut self, value: &Value, service: Option<Probe>) -> Option<Outcome> {
        let Kind::Map(entries) = &value.kind else {
            let is = self.word(value, "an outcome", &Expected::ALL)?.value;
            return Some(Outcome { is, within: None, bounds: Bounds::default() });
        };
        let before = self.diagnostics.len();
        let mut outcome = Outcome { is: Expected::Ok, within: None, bounds: Bounds::default() };
        let mut first_bound: Option<&Key> = None;
        for (key, value) in entries {
            let bounds = &mut outcome.bounds;
            match key.text.as_str() {
                "is" => {
                    outcome.is =
                        self.word(value, "an outcome", &Expected::ALL).map_or(Expected::Ok, |is| is.value);
                    continue;
                }
                "within" => {
                    outcome.within = self.duration(value, "how long it may take until it holds");
                    continue;
                }
                "latency" => bounds.latency = self.bound(value, &LATENCY).map(|(_, time)| time),
                "loss" => bounds.loss = self.bound(value, &LOSS).map(|(_, share)| share),
                "bandwidth" => bounds.bandwidth = self.bound(value, &BANDWIDTH).map(|(_, rate)| rate),
                "mtu" => {
                    bounds.mtu = self.bound(value, &MTU).map(|(sign, size)| match sign {
                        "" => Mtu::Exactly(size),
                        _ => Mtu::AtLeast(size),
                    });
                }
                "via" => bounds.via = self.via(value),
                _ => {
                    self.unknown_key(key, "an expectation", KEYS);
                    continue;
                }
            }
            first_bound.get_or_insert(key);
            if let Some(problem) = service.and_then(|service| unmeasurable(&key.text, service)) {
                self.push(
                    Diagnostic::error(CODE, problem.message).at(key.span, "").help(problem.help.join(", ")),
                );
            }
        }
        if let Some(key) = first_bound.filter(|_| outcome.is != Expected::Ok) {
            let message = format!("`{}` is about what arrives, which is not expected here", key.text);
            self.push(
                Diagnostic::error(CODE, message).at(key.span, "").help("leave it out, or write `is: ok`"),
            );
        }
        (self.diagnostics.len() == before).then_some(outcome)
    }

    /// A value with one of the signs that it may have before it.
    fn bound<T>(&mut self, value: &Value, kind: &Bound<T>) -> Option<(&'static str, T)> {
        self.parsed(value, kind.wanted, |text| {
            let text = text.trim();
            let rest = text.trim_start_matches(['<', '>', '=']);
            let sign = &text[..text.len() - rest.len()];
            let wrong = || Problem::new("bad-bound", format!("expected {}, found {text:?}", kind.wanted));
            let sign = kind.signs.iter().find(|one| **one == sign).ok_or_else(wrong)?;
            Ok((*sign, (kind.read)(rest.trim_start()).ok_or_else(wrong)?))
        })
        .map(|bound| bound.value)
    }

    /// Nodes or switches.
    fn via(&mut self, value: &Value) -> Vec<String> {
        let wanted = "a node or switch on the way, or a list of them in their order";
        if value.is_empty() {
            self.wrong_type(value, wanted);
        }
        let mut all = Vec::new();
        for item in value.items() {
            let Some(name) = self.text(item, wanted) else { continue };
            self.known_name(&name.value, name.span);
            if let Some(Named::Group(_)) = self.names.get(&name.value) {
                let message = format!("`{0}` are several nodes, {0}1 and so on", name.value);
                self.push(Diagnostic::error(CODE, message).at(name.span, "").help("name one of them"));
            }
            all.push(name.value);
        }
        all
    }
}

/// How a bound is written.
struct Bound<T> {
    wanted: &'static str,
    signs: &'static [&'static str],
    read: fn(&str) -> Option<T>,
}

const LATENCY: Bound<Duration> = Bound {
    wanted: "the time that an answer may take, as `<5ms`",
    signs: &["", "<", "<="],
    read: |text| units::duration(text).filter(|time| !time.is_zero()),
};
const LOSS: Bound<Share> = Bound {
    wanted: "the share of packets that may be lost, as `<1%`, or `0%`",
    signs: &["", "<", "<="],
    read: |text| units::share(text).map(Share::new),
};
const BANDWIDTH: Bound<u64> = Bound {
    wanted: "the bits in a second that there are at least, as `100mbit` or `\">100mbit\"`",
    signs: &["", ">", ">="],
    // Beyond the numbers that are whole in it there is no such network.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a conversion that is cut off"
    )]
    read: |text| units::rate(text).map(|rate| rate as u64),
};
const MTU: Bound<u32> = Bound {
    wanted: "a packet's size in bytes, 68 to 65535, as `1400` or `\">=1400\"`",
    signs: &["", ">="],
    read: |text| {
        units::whole_number(text).filter(|size| MTUS.contains(size)).and_then(|size| u32::try_from(size).ok())
    },
};

/// Why a bound cannot be measured with what is sent.
fn unmeasurable(bound: &str, service: Probe) -> Option<Problem> {
    let help = match (bound, service) {
        // A lost packet of a connection is sent again: nobody is told of it.
        ("loss", Probe::Tcp(_)) => "write `icmp` or `udp/PORT`: what a connection loses is sent again",
        ("mtu", Probe::Tcp(_)) => {
            "write `icmp` or `udp/PORT`: how long a connection's packets are is the kernel's choice"
        }
        ("bandwidth", Probe::Udp(_)) => "write `icmp` or `tcp/PORT`: what is measured is a connection of TCP",
        _ => return None,
    };
    Some(Problem::new(CODE, format!("`{bound}` cannot be measured with {service}")).help(help))
}

fn protocol_and_port(text: &str) -> Result<Probe, Problem> {
    let (protocol, port) =
        text.split_once('/').map_or((text, None), |(protocol, port)| (protocol, Some(port)));
    let wrong = |message: String| Err(Problem::new(CODE, message).help("write `icmp`, `tcp/80` or `udp/53`"));
    match (protocol, port) {
        ("icmp", None) => Ok(Probe::Icmp),
        ("tcp" | "udp", Some(port)) => match port.parse::<u16>() {
            Ok(port @ 1..) if protocol == "tcp" => Ok(Probe::Tcp(port)),
            Ok(port @ 1..) => Ok(Probe::Udp(port)),
            _ => wrong(format!("{port:?} is no port")),
        },
        ("tcp" | "udp", None) => wrong(format!("{protocol} needs a port")),
        ("icmp", Some(_)) => wrong("icmp has no ports".to_owned()),
        _ => wrong(format!("{protocol:?} is no protocol that can be probed")),
    }
}

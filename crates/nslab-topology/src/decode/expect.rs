//! `expect:`. What `nslab reach --expect` holds a network against; real probes are for later releases.

use super::Decoder;
use crate::diagnostic::{Diagnostic, Problem, Span};
use crate::lab::{Expectation, Expected, Party, Probe};
use crate::yaml::{Key, Kind, Value};

impl Decoder {
    /// A list of `A -> B PROTOCOL[/PORT]: ok`.
    pub(super) fn expectations(&mut self, value: &Value, span: Span) -> Vec<Expectation> {
        let wanted = "a list of expectations, as `- a -> b tcp/80: ok`";
        let mut all = Vec::new();
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
                let sides = self.expectation(key);
                let words = [("ok", Expected::Ok), ("drop", Expected::Drop), ("reject", Expected::Reject)];
                let outcome = self.word(value, "an outcome", &words);
                if let (Some((from, to, service)), Some(outcome)) = (sides, outcome) {
                    all.push(Expectation { from, to, service, outcome: outcome.value, line: key.span.line });
                }
            }
        }
        if !items.is_empty() {
            self.pending("checking expectations", span);
        }
        all
    }

    fn expectation(&mut self, key: &Key) -> Option<(Party, Party, Probe)> {
        let Some((from, rest)) = key.text.split_once("->") else {
            self.push(
                Diagnostic::error(
                    "bad-expectation",
                    format!("`{}` does not say from where to where", key.text),
                )
                .at(key.span, "")
                .help("write `a -> b tcp/80: ok`"),
            );
            return None;
        };
        let from: Vec<&str> = from.split_whitespace().collect();
        let rest: Vec<&str> = rest.split_whitespace().collect();
        let (&[from], &[to, protocol]) = (from.as_slice(), rest.as_slice()) else {
            self.push(
                Diagnostic::error("bad-expectation", format!("`{}` is no expectation", key.text))
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

    fn party(&mut self, name: &str, or_address: bool, span: Span) -> Party {
        if name == "every" {
            return Party::Every;
        }
        if let (true, Ok(address)) = (or_address, name.parse()) {
            return Party::Address(address);
        }
        self.known_name(name, span);
        Party::Named(name.to_owned())
    }
}

fn protocol_and_port(text: &str) -> Result<Probe, Problem> {
    let (protocol, port) =
        text.split_once('/').map_or((text, None), |(protocol, port)| (protocol, Some(port)));
    let wrong = |message: String| {
        Err(Problem::new("bad-expectation", message).help("write `icmp`, `tcp/80` or `udp/53`"))
    };
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

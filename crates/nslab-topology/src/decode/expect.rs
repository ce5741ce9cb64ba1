//! `expect:`: read and checked, run by later releases.

use super::{Decoder, checked};
use crate::diagnostic::{Diagnostic, Problem, Span};
use crate::yaml::{Key, Kind, Value};

impl Decoder {
    /// A list of `A -> B PROTOCOL[/PORT]: ok`.
    pub(super) fn expectations(&mut self, value: &Value, span: Span) {
        let wanted = "a list of expectations, as `- a -> b tcp/80: ok`";
        let Kind::List(items) = &value.kind else {
            if !value.is_empty() {
                self.wrong_type(value, wanted);
            }
            return;
        };
        for item in items {
            let Kind::Map(entries) = &item.kind else {
                self.wrong_type(item, "an expectation, as `a -> b tcp/80: ok`");
                continue;
            };
            for (key, value) in entries {
                self.expectation(key);
                checked(self.word(value, "an outcome", &[("ok", ()), ("drop", ()), ("reject", ())]));
            }
        }
        if !items.is_empty() {
            self.pending("checking expectations", span);
        }
    }

    fn expectation(&mut self, key: &Key) {
        let Some((from, rest)) = key.text.split_once("->") else {
            self.push(
                Diagnostic::error(
                    "bad-expectation",
                    format!("`{}` does not say from where to where", key.text),
                )
                .at(key.span, "")
                .help("write `a -> b tcp/80: ok`"),
            );
            return;
        };
        let from: Vec<&str> = from.split_whitespace().collect();
        let rest: Vec<&str> = rest.split_whitespace().collect();
        let (&[from], &[to, protocol]) = (from.as_slice(), rest.as_slice()) else {
            self.push(
                Diagnostic::error("bad-expectation", format!("`{}` is no expectation", key.text))
                    .at(key.span, "")
                    .help("write `a -> b tcp/80: ok`, or `a -> b icmp: ok`"),
            );
            return;
        };
        if from != "every" {
            self.known_name(from, key.span);
        }
        if to != "every" && to.parse::<std::net::IpAddr>().is_err() {
            self.known_name(to, key.span);
        }
        if let Err(problem) = protocol_and_port(protocol) {
            let mut error = Diagnostic::error(problem.code, problem.message).at(key.span, "");
            error.help = problem.help;
            self.push(error);
        }
    }
}

fn protocol_and_port(text: &str) -> Result<(), Problem> {
    let (protocol, port) =
        text.split_once('/').map_or((text, None), |(protocol, port)| (protocol, Some(port)));
    let wrong = |message: String| {
        Err(Problem::new("bad-expectation", message).help("write `icmp`, `tcp/80` or `udp/53`"))
    };
    match (protocol, port) {
        ("icmp", None) => Ok(()),
        ("tcp" | "udp", Some(port)) => match port.parse::<u16>() {
            Ok(1..) => Ok(()),
            _ => wrong(format!("{port:?} is no port")),
        },
        ("tcp" | "udp", None) => wrong(format!("{protocol} needs a port")),
        ("icmp", Some(_)) => wrong("icmp has no ports".to_owned()),
        _ => wrong(format!("{protocol:?} is no protocol that can be probed")),
    }
}

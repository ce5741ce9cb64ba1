//! Policy routing rules in the words of `ip rule`.

use std::ops::Range;

use ipnet::IpNet;

use super::route_words::{Reader, number, table, unknown};
use super::{address, units};
use crate::diagnostic::{Problem, Span, Spanned};
use crate::lab::{Family, Rule, words};
use crate::model::RuleAction;

const WORDS: &[&str] = &[
    "from",
    "to",
    "iif",
    "oif",
    "fwmark",
    "lookup",
    "table",
    "priority",
    "blackhole",
    "unreachable",
    "prohibit",
];

/// What a rule says, before its family is known.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) family: Option<Family>,
    pub(super) priority: Option<u32>,
    pub(super) from: Option<Side>,
    pub(super) to: Option<Side>,
    pub(super) iif: Option<Spanned<String>>,
    pub(super) oif: Option<Spanned<String>>,
    pub(super) fwmark: Option<(u32, u32)>,
    pub(super) action: Option<RuleAction>,
}

/// Where packets come from or go to.
pub(super) enum Side {
    All,
    Net(IpNet),
}

impl Parts {
    /// Settles the family and what is left open.
    pub(super) fn finish(self) -> Result<Rule, Problem> {
        let net = |side: Option<Side>| match side {
            Some(Side::Net(net)) => Some(net),
            _ => None,
        };
        let (from, to) = (net(self.from), net(self.to));
        let mut family = self.family;
        for net in [from, to].into_iter().flatten() {
            let other = Family::of(net.addr());
            if *family.get_or_insert(other) != other {
                return Err(Problem::new(
                    "wrong-family",
                    format!("{net} does not fit: a rule is for one family"),
                ));
            }
        }
        let Some(action) = self.action else {
            return Err(Problem::new("bad-rule", "this rule does not say what to do")
                .help("`lookup TABLE` looks in a table; `blackhole`, `unreachable` and `prohibit` drop"));
        };
        Ok(Rule {
            priority: self.priority,
            family: family.unwrap_or(Family::Ipv4),
            from,
            to,
            iif: self.iif,
            oif: self.oif,
            fwmark: self.fwmark,
            action,
        })
    }
}

/// Reads `[-6] from PREFIX to PREFIX iif DEV oif DEV fwmark MARK lookup TABLE priority N`.
pub(crate) fn parse_rule(text: &str, place: &dyn Fn(Range<usize>) -> Option<Span>) -> Result<Rule, Problem> {
    let mut reader = Reader { words: words(text).collect(), at: 0, place, text };
    let mut parts = Parts { family: reader.family(), ..Parts::default() };
    while let Some((range, word)) = reader.next() {
        match word {
            "from" => parts.from = Some(reader.value(&range, word, side)?.value),
            "to" => parts.to = Some(reader.value(&range, word, side)?.value),
            "iif" => parts.iif = Some(reader.value(&range, word, |text| Ok(text.to_owned()))?),
            "oif" => parts.oif = Some(reader.value(&range, word, |text| Ok(text.to_owned()))?),
            "fwmark" => parts.fwmark = Some(reader.value(&range, word, mark)?.value),
            "lookup" | "table" => {
                parts.action = Some(RuleAction::Table(reader.value(&range, word, table)?.value));
            }
            "priority" | "pref" | "preference" | "order" => {
                parts.priority = Some(reader.value(&range, word, priority)?.value);
            }
            "blackhole" => parts.action = Some(RuleAction::Blackhole),
            "unreachable" => parts.action = Some(RuleAction::Unreachable),
            "prohibit" => parts.action = Some(RuleAction::Prohibit),
            _ => return Err(unknown(word, WORDS).within(range)),
        }
    }
    parts.finish()
}

pub(super) fn side(text: &str) -> Result<Side, Problem> {
    match text {
        "all" | "any" => Ok(Side::All),
        _ => address::prefix(text).map(Side::Net),
    }
}

pub(super) fn priority(text: &str) -> Result<u32, Problem> {
    number(text, "a priority", 32765).and_then(|priority| {
        if priority > 0 {
            Ok(priority)
        } else {
            Err(Problem::new("bad-number", "priority 0 is the kernel's own rule for its local table")
                .help("a priority is from 1 to 32765"))
        }
    })
}

/// `MARK` or `MARK/MASK`.
pub(super) fn mark(text: &str) -> Result<(u32, u32), Problem> {
    let (value, mask) = text.split_once('/').map_or((text, None), |(value, mask)| (value, Some(mask)));
    let number = |text: &str| units::whole_number(text).and_then(|number| u32::try_from(number).ok());
    match (number(value), mask.map_or(Some(u32::MAX), number)) {
        (Some(value), Some(mask)) if value & !mask == 0 => Ok((value, mask)),
        (Some(_), Some(_)) => Err(Problem::new("bad-number", format!("{text} never matches"))
            .help("the mark has bits that its mask leaves out")),
        _ => Err(Problem::new("bad-number", format!("expected a mark, as 0x1 or 0x1/0xff, found {text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Rule, Problem> {
        parse_rule(text, &|_| None)
    }

    #[test]
    fn reads_what_ip_takes() {
        let rule = of("from 10.0.0.0/24 lookup 100 priority 1000").unwrap();
        assert_eq!((rule.priority, rule.action), (Some(1000), RuleAction::Table(100)));
        let rule = of("-6 from all fwmark 0x1/0xff iif eth0 table main").unwrap();
        assert_eq!((rule.family, rule.fwmark, rule.from), (Family::Ipv6, Some((1, 0xff)), None));
        assert_eq!(of("to 2001:db8::/32 prohibit").unwrap().family, Family::Ipv6);
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, message) in [
            ("", "what to do"),
            ("from 10.0.0.0/24", "what to do"),
            ("form 10.0.0.0/24 lookup 100", "`form`"),
            ("from 10.0.0.1/24 lookup 100", "not a subnet"),
            ("from 10.0.0.0/24 to 2001:db8::/32 lookup 1", "one family"),
            ("lookup 100 priority 0", "kernel's own"),
            ("lookup 100 priority 40000", "up to 32765"),
            ("fwmark 0x100/0xff lookup 1", "never matches"),
            ("lookup", "must follow"),
        ] {
            let problem = of(text).unwrap_err();
            assert!(problem.message.contains(message), "{text:?}: {problem:?}");
        }
    }
}

//! Which packets are traced, by sockets and by rules.

use std::fmt::Write as _;

use ipnet::IpNet;
use nslab_filter::{Filter, FilterError, Names, Tuple};
use nslab_kernel::nftables::trace::TraceTuple;

use super::Options;

/// Of so many packets a second rules are traced at most, if nothing else is said.
const LIMIT: u32 = 1000;

/// Packets that are to be traced.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// A packet is told of if this takes it somewhere.
    pub(super) filter: Filter,
    /// What is looked at: more, for who asks for neighbours.
    near: Filter,
    /// And so that they are seen where NAT has changed them.
    wide: Filter,
    through_nat: bool,
}

impl Wanted {
    /// Those that a filter takes, at one place at least; `through_nat` follows them where NAT may have changed their addresses and
    /// ports, for which all of their protocols are looked at.
    pub fn of(text: &str, names: &dyn Names, through_nat: bool) -> Result<Self, FilterError> {
        let filter = Filter::parse(text, names)?;
        // If that is too long, who asks for neighbours is not seen.
        let looked_at = |through_nat| {
            Filter::parse(&wider(&filter, through_nat), names).unwrap_or_else(|_| filter.clone())
        };
        let (near, wide) = (looked_at(false), looked_at(true));
        Ok(Self { filter, near, wide, through_nat })
    }

    /// What is looked at.
    pub(super) fn capture(&self) -> &Filter {
        if self.through_nat { &self.wide } else { &self.near }
    }

    /// Whether packets are followed where NAT changes them.
    pub(super) fn is_through_nat(&self) -> bool {
        self.through_nat
    }

    /// Follows them there from here on.
    pub(super) fn through_nat(self) -> Self {
        Self { through_nat: true, ..self }
    }

    /// The ends of packets of IP that matter: each is of one of these.
    pub fn ends(&self) -> Vec<Tuple> {
        let all = self.filter.tuples();
        let mut ends = all.to_vec();
        if self.through_nat {
            ends.extend(all.iter().map(|tuple| Tuple {
                ipv6: version(tuple),
                protocol: tuple.protocol,
                ..Tuple::default()
            }));
        }
        ends
    }

    /// The packets of which rules are traced. The error is why none are.
    pub(super) fn tuples(&self, options: &Options) -> Result<Vec<TraceTuple>, String> {
        let all = self.filter.tuples();
        if !options.rules {
            return Err("it was not asked for".to_owned());
        }
        if all.is_empty() {
            return Err("the filter takes no packets of IP".to_owned());
        }
        if all.iter().any(Tuple::is_any) && options.limit.is_none() {
            return Err("the filter names no protocol, host or port by which rules could be traced; \
                 --limit N traces those of at most N packets a second"
                .to_owned());
        }
        let limit = Some(options.limit.unwrap_or(LIMIT));
        let mut tuples: Vec<TraceTuple> =
            all.iter().map(|tuple| TraceTuple { limit, ..traced(tuple) }).collect();
        if self.through_nat {
            for tuple in all {
                let wider = TraceTuple {
                    ipv6: version(tuple),
                    protocol: tuple.protocol,
                    limit,
                    ..TraceTuple::default()
                };
                if !tuples.contains(&wider) {
                    tuples.push(wider);
                }
            }
        }
        Ok(tuples)
    }
}

/// The version of IP, also by addresses.
fn version(tuple: &Tuple) -> Option<bool> {
    let of_ends = tuple.source.or(tuple.destination).map(|(address, _)| address.is_ipv6());
    tuple.ipv6.or(of_ends)
}

fn traced(tuple: &Tuple) -> TraceTuple {
    let net = |end: Option<(std::net::IpAddr, u8)>| {
        end.and_then(|(address, length)| IpNet::new(address, length).ok()).map(|net| net.trunc())
    };
    TraceTuple {
        ipv6: version(tuple),
        protocol: tuple.protocol,
        source: net(tuple.source),
        destination: net(tuple.destination),
        source_port: tuple.source_port,
        destination_port: tuple.destination_port,
        limit: None,
    }
}

/// The text of a filter that takes more.
fn wider(filter: &Filter, through_nat: bool) -> String {
    // First, as some words move what stands behind them.
    let mut text = "arp or (icmp6 and (ip6[40] = 135 or ip6[40] = 136))".to_owned();
    if filter.text().trim().is_empty() {
        return String::new();
    }
    if through_nat {
        let mut parts: Vec<String> = Vec::new();
        for tuple in filter.tuples() {
            for (ipv6, word) in [(false, "ip"), (true, "ip6")] {
                let part = match tuple.protocol {
                    Some(number) => format!("{word} proto {number}"),
                    None => word.to_owned(),
                };
                if version(tuple) != Some(!ipv6) && !parts.contains(&part) {
                    parts.push(part);
                }
            }
        }
        // Fragments have the number of their protocol, too.
        for part in parts {
            // Writing to a String cannot fail.
            let _ = write!(text, " or ({part})");
        }
    }
    let _ = write!(text, " or ({})", filter.text());
    text
}

#[cfg(test)]
mod tests {
    use nslab_filter::NameTable;

    use super::*;

    fn wanted(text: &str, through_nat: bool) -> Wanted {
        Wanted::of(text, &NameTable::builtin(), through_nat).unwrap()
    }

    #[test]
    fn nat_makes_more_of_it() {
        let one = wanted("tcp dst port 80 and dst host 10.0.0.2", false);
        let tuples = one.tuples(&Options::default()).unwrap();
        assert_eq!((tuples.len(), tuples[0].limit, tuples[0].ipv6), (1, Some(LIMIT), Some(false)));
        assert!(!one.capture().text().contains("ip proto"));
        let one = one.through_nat();
        let tuples = one.tuples(&Options::default()).unwrap();
        assert_eq!((tuples.len(), tuples[1].protocol, tuples[1].destination), (2, Some(6), None));
        assert!(one.capture().text().contains("(ip proto 6)") && !one.capture().text().contains("ip6 proto"));
    }

    #[test]
    fn what_rules_cannot_say_takes_a_limit() {
        let one = wanted("greater 100", false);
        assert!(one.tuples(&Options::default()).unwrap_err().contains("--limit"));
        let tuples = one.tuples(&Options { limit: Some(7), ..Options::default() }).unwrap();
        assert_eq!(tuples, [TraceTuple { limit: Some(7), ..TraceTuple::default() }]);
        assert!(wanted("arp", false).tuples(&Options::default()).is_err());
        assert_eq!(wanted("", true).capture().text(), "");
    }
}

//! Packets that are traced by their ends.

use ipnet::IpNet;

use crate::nftables::build::{Field, RuleBuilder};
use crate::nftables::data::{Data, Register};
use crate::nftables::expr::{Expr, MetaKey};
use crate::nftables::family::Family;
use crate::nftables::table::Rule;

/// Packets that are to be traced, by their ends; what is not given may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceTuple {
    /// Of IPv6 or of IPv4.
    pub ipv6: Option<bool>,
    /// The IP protocol.
    pub protocol: Option<u8>,
    /// The network of the source; its family is that of the packets.
    pub source: Option<IpNet>,
    /// The network of the destination.
    pub destination: Option<IpNet>,
    /// The source's port, from the first to the last: the first two bytes of what IP carries.
    pub source_port: Option<(u16, u16)>,
    /// The destination's port, likewise: the next two.
    pub destination_port: Option<(u16, u16)>,
    /// At most so many packets a second, and as many at once, at each hook where packets come to be traced.
    pub limit: Option<u32>,
}

impl TraceTuple {
    /// The rule that has them traced.
    pub(super) fn rule(&self, family: Family) -> Rule {
        let mut rule = RuleBuilder::new(family);
        rule = match self.ipv6 {
            Some(true) => rule.ipv6(),
            Some(false) => rule.ipv4(),
            None => rule,
        };
        if let Some(source) = self.source {
            rule = rule.source(source);
        }
        if let Some(destination) = self.destination {
            rule = rule.destination(destination);
        }
        if let Some(protocol) = self.protocol {
            rule = rule.equal(Field::L4Protocol, [protocol]);
        }
        for (field, ports) in
            [(Field::SourcePort, self.source_port), (Field::DestinationPort, self.destination_port)]
        {
            rule = match ports {
                Some((first, last)) if first == last => rule.equal(field, first.to_be_bytes()),
                Some((first, last)) => rule.range(field, first.to_be_bytes(), last.to_be_bytes()),
                None => rule,
            };
        }
        if let Some(limit) = self.limit {
            rule = rule.limit_packets(limit.into(), 1, limit);
        }
        traced(rule)
    }
}

/// Ends a rule: what it matches is traced from here on (`meta nftrace set 1`).
pub(super) fn traced(rule: RuleBuilder) -> Rule {
    rule.expression(Expr::Immediate { destination: Register::R1, data: Data::u8(1) })
        .expression(Expr::MetaSet { source: Register::R1, key: MetaKey::Trace })
        .go_on()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_matched() {
        let tuple = TraceTuple {
            protocol: Some(6),
            source: Some("10.0.0.0/8".parse().unwrap()),
            destination_port: Some((80, 90)),
            limit: Some(100),
            ..TraceTuple::default()
        };
        let rule = tuple.rule(Family::Inet);
        let is = |wanted: fn(&Expr) -> bool| rule.expressions.iter().any(wanted);
        assert!(is(|one| matches!(one, Expr::Range { inverted: false, .. })));
        assert!(is(|one| matches!(one, Expr::Limit(limit) if limit.rate == 100)));
        assert!(matches!(rule.expressions.last(), Some(Expr::MetaSet { key: MetaKey::Trace, .. })));
        let all = TraceTuple::default().rule(Family::Inet);
        assert_eq!(all.expressions.len(), 2);
    }
}

//! Packets that are traced by their ends.

use ipnet::IpNet;

use crate::nftables::build::{Field, RuleBuilder};
use crate::nftables::data::{Data, Register};
use crate::nftables::expr::{CmpOp, Expr, MetaKey, PayloadBase};
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
        // Each packet of the namespace meets this rule, and one address tells it from most: its bytes are looked at first, and of
        // those few that have them it is made sure after that which version of IP they are.
        for (end, at) in [(self.source, Ends::SOURCES), (self.destination, Ends::DESTINATIONS)] {
            if let Some(expressions) = end.and_then(|net| host(net, at)) {
                rule = rule.expressions(expressions);
            }
        }
        rule = match self.ipv6 {
            Some(true) => rule.ipv6(),
            Some(false) => rule.ipv4(),
            None => rule,
        };
        if let Some(source) = self.source {
            rule = if is_host(source) { version(rule, source) } else { rule.source(source) };
        }
        if let Some(destination) = self.destination {
            rule =
                if is_host(destination) { version(rule, destination) } else { rule.destination(destination) };
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

/// Where addresses stand in the headers of IPv4 (RFC 791) and IPv6 (RFC 8200).
#[derive(Clone, Copy)]
struct Ends {
    ipv4: u32,
    ipv6: u32,
}

impl Ends {
    const SOURCES: Self = Self { ipv4: 12, ipv6: 8 };
    const DESTINATIONS: Self = Self { ipv4: 16, ipv6: 24 };
}

fn is_host(net: IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

/// Matches the bytes of one address, where it would stand; none for a network.
fn host(net: IpNet, at: Ends) -> Option<[Expr; 2]> {
    let offset = if net.addr().is_ipv4() { at.ipv4 } else { at.ipv6 };
    let (base, len) = (PayloadBase::Network, u32::from(net.max_prefix_len()) / 8);
    let destination = Register::R1;
    is_host(net).then(|| {
        [
            Expr::Payload { destination, base, offset, len },
            Expr::Cmp { source: destination, op: CmpOp::Equal, data: Data::address(net.addr()) },
        ]
    })
}

fn version(rule: RuleBuilder, net: IpNet) -> RuleBuilder {
    if net.addr().is_ipv4() { rule.ipv4() } else { rule.ipv6() }
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
        // One address is looked at before anything else, and what it is of is made sure after that.
        let host = TraceTuple { source: Some("10.9.9.9/32".parse().unwrap()), ..TraceTuple::default() };
        let rule = host.rule(Family::Inet);
        let base = PayloadBase::Network;
        assert!(
            matches!(rule.expressions[0], Expr::Payload { base: found, offset: 12, len: 4, .. } if found == base)
        );
        assert!(matches!(rule.expressions[2], Expr::Meta { key: MetaKey::NetfilterProtocol, .. }));
        assert_eq!(rule.expressions.len(), 6);
        let all = TraceTuple::default().rule(Family::Inet);
        assert_eq!(all.expressions.len(), 2);
    }
}

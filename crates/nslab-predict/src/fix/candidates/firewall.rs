//! Past a rule of nftables, for this packet alone; and addresses translated where nobody does.

use ipnet::IpNet;
use nslab_kernel::nftables::build::{Field, RuleBuilder};
use nslab_kernel::nftables::{
    BaseChain, Chain, ChainKind, CtState, Family, Hook, Rule, Table, TableId, priority,
};
use nslab_types::IfName;

use super::super::change::Change;
use super::{Case, Proposal};
use crate::{Action, Evidence, Packet, Transport};

/// The table that is made where there is none to put a rule into.
const TABLE: &str = "nat";

impl Case<'_> {
    /// A rule that accepts this packet, before the one that does not.
    pub(super) fn past_a_rule(&self) -> Vec<Proposal> {
        let Evidence::Firewall(step) = &self.cause.evidence else { return Vec::new() };
        let Some(state) = self.state(self.cause.namespace) else { return Vec::new() };
        let ruleset = &state.nftables;
        let Some((table, chain)) = step.table(ruleset).zip(step.chain(ruleset)) else { return Vec::new() };
        let before = step.rule(ruleset).map(|rule| rule.handle);
        // What is netdev's or ARP's is not looked at by connection.
        let tracked = matches!(table.id.family, Family::Inet | Family::Ip | Family::Ip6);
        let Some(rule) = narrow(table.id.family, self.packet, self.established && tracked) else {
            return Vec::new();
        };
        vec![vec![Change::Insert {
            namespace: self.cause.namespace,
            table: table.id.clone(),
            chain: chain.name.clone(),
            before,
            rule,
        }]]
    }

    /// The sender's subnet gets an address of the interface by which it leaves, in the last namespace that routes it.
    pub(super) fn masquerade(&self) -> Vec<Proposal> {
        let source = self.prediction.packet.ip.source;
        let subnets = self.owners(source).into_iter().map(|(_, net)| net.trunc());
        let Some(subnet) = subnets.filter(|net| net.prefix_len() > 0).max_by_key(IpNet::prefix_len) else {
            return Vec::new();
        };
        let mut out: Vec<(usize, IfName)> = Vec::new();
        for hop in self.prediction.hops.iter().filter(|hop| hop.action == Action::Send) {
            let link = hop.link.and_then(|link| self.state(hop.namespace)?.link(link));
            let routes = self.state(hop.namespace).is_some_and(|state| state.settings.ipv4_all.forwarding);
            if let Some(link) = link.filter(|_| routes && !self.has(hop.namespace, source)) {
                out.push((hop.namespace, link.name));
            }
        }
        out.dedup();
        out.into_iter()
            .rev()
            .filter_map(|(namespace, link)| self.masquerade_at(namespace, link, subnet))
            .collect()
    }

    fn masquerade_at(&self, namespace: usize, out: IfName, subnet: IpNet) -> Option<Proposal> {
        let family = if subnet.addr().is_ipv4() { Family::Ip } else { Family::Ip6 };
        let rule = |family| RuleBuilder::new(family).source(subnet).oif_name(out).masquerade();
        let tables = &self.state(namespace)?.nftables.tables;
        let fits = |table: &&Table| table.id.family == family || table.id.family == Family::Inet;
        for table in tables.iter().filter(fits) {
            let is_it = |chain: &&Chain| {
                let base = chain.base.as_ref();
                base.is_some_and(|base| base.kind == ChainKind::Nat && base.hook == Hook::Postrouting)
            };
            if let Some(chain) = table.chains.iter().find(is_it) {
                let (table, chain) = (table.id.clone(), chain.name.clone());
                let rule = rule(table.family);
                return Some(vec![Change::Insert { namespace, table, chain, before: None, rule }]);
            }
        }
        let free =
            |name: &&String| !tables.iter().any(|table| table.id == TableId::new(family, name.as_str()));
        let names: Vec<String> =
            std::iter::once(TABLE.to_owned()).chain((2..10).map(|count| format!("{TABLE}{count}"))).collect();
        let mut table = Table::new(family, names.iter().find(free)?.clone());
        let base = BaseChain {
            kind: ChainKind::Nat,
            priority: priority::SRCNAT,
            ..BaseChain::filter(Hook::Postrouting)
        };
        let mut chain = Chain::base("postrouting", base);
        chain.rules.push(rule(family));
        table.chains.push(chain);
        Some(vec![Change::AddTable(namespace, table)])
    }
}

/// A rule that accepts packets like this one and no others; none if it is of the wrong family.
fn narrow(family: Family, packet: &Packet, established: bool) -> Option<Rule> {
    let fits = match family {
        Family::Ip => !packet.is_ipv6(),
        Family::Ip6 => packet.is_ipv6(),
        Family::Arp => false,
        Family::Inet | Family::Bridge | Family::Netdev => true,
    };
    if !fits {
        return None;
    }
    let mut rule = RuleBuilder::new(family);
    // One that nobody chose yet may be any.
    if !packet.ip.source.is_unspecified() {
        rule = rule.source(packet.ip.source.into());
    }
    rule = rule.destination(packet.ip.destination.into());
    if established {
        return Some(rule.ct_state(CtState::ESTABLISHED).accept());
    }
    let rule = match packet.transport {
        Transport::Tcp(tcp) => {
            rule.l4_protocol(6).equal(Field::DestinationPort, tcp.destination.to_be_bytes())
        }
        Transport::Udp { destination, .. } => {
            rule.l4_protocol(17).equal(Field::DestinationPort, destination.to_be_bytes())
        }
        Transport::Icmp { kind, .. } if packet.is_ipv6() => rule.equal(Field::Icmpv6Type, [kind]),
        Transport::Icmp { kind, .. } => rule.equal(Field::IcmpType, [kind]),
        Transport::Other(number) => rule.l4_protocol(number),
    };
    Some(rule.accept())
}

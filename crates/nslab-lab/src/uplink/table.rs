//! The host's table of nftables for a lab.

use ipnet::IpNet;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::build::{Field, RuleBuilder};
use nslab_kernel::nftables::{
    BaseChain, Chain, ChainKind, CtState, CtStatus, Data, Expr, Family, Hook, NatFlags, Rule, Ruleset, Table,
    TableId, Transaction, TransactionError, UserData, priority,
};
use nslab_topology::model::Publish;

use super::WayOut;

/// `RTN_LOCAL` (`include/uapi/linux/rtnetlink.h`).
const LOCAL: u32 = 2;

/// The name of a lab's table on the host.
pub fn table_name(lab: &str) -> String {
    format!("nslab-{lab}")
}

/// The table that lets the ways out work and nothing else through them; none if there are no ways out.
pub fn table(lab: &str, ways: &[WayOut]) -> Option<Table> {
    if ways.is_empty() {
        return None;
    }
    let mut table = Table::new(Family::Inet, table_name(lab));
    table.user_data = UserData::new().with_comment(&format!("nslab:{lab}")).to_data();
    let (mut guard, mut forward, mut prerouting, mut output, mut postrouting) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for way in ways {
        let comment = format!("{}: way out of {}", lab, way.name);
        let rule = || RuleBuilder::new(Family::Inet).comment(&comment);
        if way.needs_local_routing() {
            // What local routing on the host's end must not be: a way to the host's 127.0.0.1.
            guard.push(rule().iif_name(way.host_interface).destination(loopback()).drop());
        }
        for (_, node) in way.pairs() {
            let node = IpNet::from(node.addr());
            forward.push(rule().iif_name(way.host_interface).source(node).counter().accept());
            postrouting.push(rule().source(node).counter().masquerade());
        }
        forward.push(rule().iif_name(way.host_interface).counter().drop());
        let wanted = CtState::ESTABLISHED | CtState::RELATED;
        forward.push(rule().oif_name(way.host_interface).ct_state(wanted).counter().accept());
        forward.push(rule().oif_name(way.host_interface).ct_status(CtStatus::DNAT).counter().accept());
        forward.push(rule().oif_name(way.host_interface).counter().drop());
        if way.needs_local_routing() {
            postrouting.push(rule().oif_name(way.host_interface).source(loopback()).counter().masquerade());
        }
        for publish in &way.uplink.publish {
            for ipv6 in [false, true] {
                let Some(to) = way.node_address(ipv6) else { continue };
                if let Some(matched) = publish_rule(publish, ipv6, &comment) {
                    let to = |rule: RuleBuilder| rule.counter().dnat(to, Some((publish.port, publish.port)));
                    prerouting.push(to(matched.clone()));
                    output.push(to(matched));
                }
            }
        }
    }
    let mut push = |name: &str, kind: ChainKind, hook: Hook, priority: i32, rules: Vec<Rule>| {
        if !rules.is_empty() {
            let base = BaseChain { kind, priority, ..BaseChain::filter(hook) };
            table.chains.push(Chain { rules, ..Chain::base(name, base) });
        }
    };
    push("guard", ChainKind::Filter, Hook::Prerouting, priority::RAW, guard);
    push("prerouting", ChainKind::Nat, Hook::Prerouting, priority::DSTNAT, prerouting);
    push("output", ChainKind::Nat, Hook::Output, priority::DSTNAT, output);
    push("forward", ChainKind::Filter, Hook::Forward, priority::FILTER, forward);
    push("postrouting", ChainKind::Nat, Hook::Postrouting, priority::SRCNAT, postrouting);
    Some(table)
}

/// Matches what a published port takes in of a family; `None` if nothing.
fn publish_rule(publish: &Publish, ipv6: bool, comment: &str) -> Option<RuleBuilder> {
    let rule = RuleBuilder::new(Family::Inet).comment(&format!("{comment}, {publish}"));
    let rule = match publish.host {
        Some(host) if host.is_ipv6() != ipv6 => return None,
        Some(host) => rule.destination(IpNet::from(host)),
        None => {
            let rule = if ipv6 { rule.ipv6() } else { rule.ipv4() };
            rule.equal(Field::DestinationType, Data::ne32(LOCAL))
        }
    };
    let rule = rule.l4_protocol(publish.transport.number());
    Some(rule.equal(Field::DestinationPort, publish.host_port.to_be_bytes()))
}

fn loopback() -> IpNet {
    ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8).into()
}

/// The lab's table in the namespace that the calling thread is in.
pub fn read(lab: &str) -> nslab_kernel::Result<Option<Table>> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    let all = Ruleset::read(&mut socket)?;
    let name = table_name(lab);
    Ok(all.tables.into_iter().find(|table| table.id.family == Family::Inet && table.id.name == name))
}

/// Puts the lab's table in the place of the one that is there, in one transaction; none takes it away.
pub fn replace(lab: &str, table: Option<&Table>) -> Result<(), TransactionError> {
    let mut transaction = Transaction::new();
    if let Some(table) = table {
        transaction.replace(table);
    } else {
        // Made first, so that it can be deleted also where it is gone already.
        let id = TableId::new(Family::Inet, table_name(lab));
        transaction.add_table(&Table::new(Family::Inet, table_name(lab)));
        transaction.delete_table(&id);
    }
    transaction.commit(&mut Socket::open(Protocol::Netfilter)?)
}

/// Whether two tables do the same; counters, handles and what the kernel fills in take no part.
pub fn same(one: &Table, other: &Table) -> bool {
    let plain = |table: &Table| -> Vec<(String, String, Vec<Vec<Expr>>)> {
        let mut chains: Vec<_> = table
            .chains
            .iter()
            .map(|chain| {
                let base = chain.base.as_ref().map(|base| BaseChain { counters: None, ..base.clone() });
                (chain.name.clone(), format!("{base:?}"), chain.rules.iter().map(plain_rule).collect())
            })
            .collect();
        chains.sort_by(|one, other| one.0.cmp(&other.0));
        chains
    };
    plain(one) == plain(other) && one.sets.len() == other.sets.len()
}

fn plain_rule(rule: &Rule) -> Vec<Expr> {
    rule.expressions
        .iter()
        .map(|expr| match expr.clone() {
            Expr::Counter { .. } => Expr::Counter { packets: 0, bytes: 0 },
            Expr::Nat(mut nat) => {
                nat.flags = nat.flags.without(NatFlags::MAP_IPS | NatFlags::PROTO_SPECIFIED);
                Expr::Nat(nat)
            }
            other => other,
        })
        .collect()
}

/// Whether a table is the lab's by its mark.
pub fn is_ours(lab: &str, table: &Table) -> bool {
    UserData::parse(&table.user_data).comment() == Some(&format!("nslab:{lab}"))
}

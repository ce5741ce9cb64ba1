//! What a ruleset makes the kernel do besides.

use nslab_kernel::nftables::{ChainKind, Expr, Family, ObjectContent, Ruleset, Table, TableFlags};

/// Matches and targets of iptables that have connections tracked.
const XT: [&str; 19] = [
    "conntrack",
    "state",
    "connmark",
    "connbytes",
    "connlimit",
    "connlabel",
    "helper",
    "cluster",
    "CT",
    "CONNMARK",
    "CONNSECMARK",
    "SNAT",
    "DNAT",
    "MASQUERADE",
    "REDIRECT",
    "NETMAP",
    "SYNPROXY",
    "nat",
    "CLUSTERIP",
];

/// Whether the kernel tracks connections of a family ([`Family::Ip`] or [`Family::Ip6`]) because of these rules
/// (`nf_ct_netns_get`). It does so at priority −200 of prerouting and output; chains before see every packet as
/// [`Tracking::None`](super::Tracking::None).
///
/// A chain of type `nat` alone does not: without a statement that needs connections it is never evaluated.
pub fn tracks_connections(ruleset: &Ruleset, family: Family) -> bool {
    ruleset.tables.iter().filter(|table| concerns(table, family)).any(|table| {
        let rules = table.chains.iter().flat_map(|chain| &chain.rules);
        let in_sets = table.sets.iter().flat_map(|set| {
            set.expressions.iter().chain(set.elements.iter().flat_map(|element| &element.expressions))
        });
        rules.flat_map(|rule| &rule.expressions).chain(in_sets).any(|expr| needs_connections(expr, family))
            || table.objects.iter().any(|object| {
                matches!(
                    object.content,
                    ObjectContent::Connlimit { .. }
                        | ObjectContent::CtHelper { .. }
                        | ObjectContent::CtTimeout { .. }
                        | ObjectContent::CtExpectation { .. }
                        | ObjectContent::Synproxy(_)
                )
            })
    })
}

/// Whether NAT stands at the hooks of a family because of these rules (`nf_nat_register_fn`), and so undoes itself for answers.
pub fn translates_addresses(ruleset: &Ruleset, family: Family) -> bool {
    let awake = |table: &&Table| concerns(table, family) && !table.flags.contains(TableFlags::DORMANT);
    ruleset
        .tables
        .iter()
        .filter(awake)
        .flat_map(|table| &table.chains)
        .any(|chain| chain.base.as_ref().is_some_and(|base| base.kind == ChainKind::Nat))
}

fn concerns(table: &Table, family: Family) -> bool {
    table.id.family == family || matches!(table.id.family, Family::Inet | Family::Bridge)
}

fn needs_connections(expr: &Expr, family: Family) -> bool {
    match expr {
        // Of the family of the addresses, in tables of both too (`nft_nat_init`).
        Expr::Nat(nat) => nat.family == Family::Inet || nat.family == family,
        Expr::Ct { .. }
        | Expr::CtSet { .. }
        | Expr::Masquerade { .. }
        | Expr::Redirect { .. }
        | Expr::Connlimit { .. }
        | Expr::Synproxy(_)
        | Expr::FlowOffload { .. } => true,
        Expr::Xt { name, .. } => XT.contains(&name.as_str()),
        Expr::Dynset(dynset) => dynset.expressions.iter().any(|expr| needs_connections(expr, family)),
        _ => false,
    }
}

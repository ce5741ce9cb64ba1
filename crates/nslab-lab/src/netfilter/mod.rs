//! Firewalls and address translation as nftables.
//!
//! A node's whole policy is one table of family `inet`, which is loaded and replaced as a whole in one transaction.
//! Each of its rules carries in its comment the line of the lab file that it comes from, and that line in words.
//! Other tables in the node's namespace are nobody's business here.

mod compare;
mod firewall;
mod load;
mod nat;
mod origin;
pub mod raw;
mod support;
mod words;

use nslab_kernel::nftables::{
    BaseChain, Chain, ChainKind, Family, Hook, Policy as ChainPolicy, Table, priority,
};
use nslab_topology::model::Node;

pub use compare::{Difference, differences, same};
pub use load::{outcome, read, replace};
pub use origin::{Origin, origin};
pub use support::check;

use words::Draft;

/// The name of a node's table.
pub const TABLE: &str = "nslab";

/// The table that does what a node's firewall and address translation say; none if it has neither.
pub fn compile(node: &Node) -> Option<Table> {
    let policy = &node.policy;
    if policy.firewall.is_none() && policy.nat.is_empty() {
        return None;
    }
    let mut table = Table::new(Family::Inet, TABLE);
    let prerouting = nat::prerouting(node);
    push(
        &mut table,
        "prerouting",
        ChainKind::Nat,
        Hook::Prerouting,
        priority::DSTNAT,
        ChainPolicy::Accept,
        prerouting,
    );
    for hook in firewall::HOOKS {
        let (name, at, default, rules) = firewall::chain(node, hook);
        push(&mut table, name, ChainKind::Filter, at, priority::FILTER, default, rules);
    }
    let postrouting = nat::postrouting(node);
    push(
        &mut table,
        "postrouting",
        ChainKind::Nat,
        Hook::Postrouting,
        priority::SRCNAT,
        ChainPolicy::Accept,
        postrouting,
    );
    Some(table)
}

/// Adds a chain, unless it would do nothing.
fn push(
    table: &mut Table,
    name: &str,
    kind: ChainKind,
    hook: Hook,
    priority: i32,
    policy: ChainPolicy,
    rules: Vec<Draft>,
) {
    if rules.is_empty() && policy == ChainPolicy::Accept {
        return;
    }
    let rules = rules.into_iter().map(|rule| rule.settle(&mut table.sets)).collect();
    let base = BaseChain { kind, priority, policy, ..BaseChain::filter(hook) };
    table.chains.push(Chain { rules, ..Chain::base(name, base) });
}

//! Whether a table in the kernel is the one that is wanted, and where it is not.

use nslab_kernel::nftables::{Chain, Data, Expr, NatFlags, Rule, Set, Table};

use super::origin::{Origin, origin};

/// How a table in the kernel differs from the one that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A rule is not there.
    Missing {
        /// The chain that it belongs to.
        chain: String,
        /// Where it comes from.
        origin: Option<Origin>,
    },
    /// A rule is there that should not be.
    Surplus {
        /// The chain that it is in.
        chain: String,
        /// Where it says that it comes from; none if it was added by hand.
        origin: Option<Origin>,
        /// The kernel's number for it.
        handle: u64,
    },
    /// The rules of a chain are in another order.
    Order {
        /// The chain.
        chain: String,
    },
    /// A chain is not there, or there though it should not be, or stands elsewhere, or decides otherwise.
    Chain {
        /// The chain.
        chain: String,
    },
    /// Something else was added to the table.
    Other,
}

/// Whether two tables do the same and say the same of it. Counters, handles, the kernel's names for sets that have
/// none, and the lines of the lab file take no part.
pub fn same(one: &Table, other: &Table) -> bool {
    differences(one, other).is_empty()
}

/// How `is` differs from `wanted`.
pub fn differences(wanted: &Table, is: &Table) -> Vec<Difference> {
    let mut found = Vec::new();
    for chain in &wanted.chains {
        let Some(there) = is.chain(&chain.name) else {
            found.push(Difference::Chain { chain: chain.name.clone() });
            continue;
        };
        if stand(chain) != stand(there) {
            found.push(Difference::Chain { chain: chain.name.clone() });
        }
        rules(wanted, chain, is, there, &mut found);
    }
    let surplus = is.chains.iter().filter(|chain| wanted.chain(&chain.name).is_none());
    found.extend(surplus.map(|chain| Difference::Chain { chain: chain.name.clone() }));
    let named = |table: &Table| {
        let sets = table.sets.iter().filter(|set| !set.is_anonymous()).count();
        (table.flags, sets, table.objects.len(), table.flowtables.len())
    };
    if named(wanted) != named(is) {
        found.push(Difference::Other);
    }
    found
}

fn stand(chain: &Chain) -> Option<(&str, String, i32, String)> {
    let base = chain.base.as_ref()?;
    Some((base.kind.as_str(), format!("{:?}", base.hook), base.priority, format!("{:?}", base.policy)))
}

fn rules(wanted: &Table, chain: &Chain, is: &Table, there: &Chain, found: &mut Vec<Difference>) {
    let plain = |table: &Table, chain: &Chain| -> Vec<Plain> {
        chain.rules.iter().map(|rule| Plain::new(table, rule)).collect()
    };
    let (ours, theirs) = (plain(wanted, chain), plain(is, there));
    if ours == theirs {
        return;
    }
    let before = found.len();
    let mut left: Vec<Option<&Rule>> = chain.rules.iter().map(Some).collect();
    for (place, plain) in theirs.iter().enumerate() {
        if let Some(at) = (0..ours.len()).find(|at| left[*at].is_some() && ours[*at] == *plain) {
            left[at] = None;
        } else {
            let rule = &there.rules[place];
            let chain = chain.name.clone();
            found.push(Difference::Surplus { chain, origin: origin(rule), handle: rule.handle });
        }
    }
    for rule in left.into_iter().flatten() {
        found.push(Difference::Missing { chain: chain.name.clone(), origin: origin(rule) });
    }
    if found.len() == before {
        found.push(Difference::Order { chain: chain.name.clone() });
    }
}

/// A rule without what differs from kernel to kernel and from time to time.
#[derive(Debug, PartialEq, Eq)]
struct Plain {
    text: Option<String>,
    expressions: Vec<Expr>,
    sets: Vec<PlainSet>,
}

#[derive(Debug, PartialEq, Eq)]
struct PlainSet {
    key_len: u32,
    ranges: Vec<(Data, Data)>,
}

impl Plain {
    fn new(table: &Table, rule: &Rule) -> Self {
        let mut sets = Vec::new();
        let expressions = rule
            .expressions
            .iter()
            .map(|expr| match expr.clone() {
                Expr::Counter { .. } => Expr::Counter { packets: 0, bytes: 0 },
                Expr::Lookup { set, source, into, inverted } => {
                    sets.extend(table.set(&set).map(plain_set));
                    let is_anonymous = table.set(&set).is_some_and(Set::is_anonymous);
                    let set = if is_anonymous { String::new() } else { set };
                    Expr::Lookup { set, source, into, inverted }
                }
                Expr::Nat(mut nat) => {
                    nat.flags = nat.flags.without(NatFlags::MAP_IPS | NatFlags::PROTO_SPECIFIED);
                    Expr::Nat(nat)
                }
                other => other,
            })
            .collect();
        Self { text: origin(rule).map(|origin| origin.text), expressions, sets }
    }
}

fn plain_set(set: &Set) -> PlainSet {
    let mut sorted = set.clone();
    sorted.sort();
    let ranges = sorted.ranges().into_iter().map(|(first, last, _)| (first, last)).collect();
    PlainSet { key_len: set.key_len, ranges }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = |origin: &Option<Origin>| match origin {
            Some(Origin { line: Some(line), text }) => format!("`{text}` (line {line})"),
            Some(Origin { line: None, text }) => format!("`{text}`"),
            None => "one that somebody added".to_owned(),
        };
        match self {
            Self::Missing { chain, origin } => write!(f, "{chain} lacks the rule {}", words(origin)),
            Self::Surplus { chain, origin: None, handle } => {
                write!(f, "{chain} has a rule that somebody added (handle {handle})")
            }
            Self::Surplus { chain, origin, .. } => write!(f, "{chain} has the rule {}", words(origin)),
            Self::Order { chain } => write!(f, "{chain} has its rules in another order"),
            Self::Chain { chain } => write!(f, "the chain {chain} is another"),
            Self::Other => f.write_str("it has sets or objects that are not nslab's"),
        }
    }
}

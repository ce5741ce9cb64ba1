//! Rulesets without what differs between two that mean the same.

use std::collections::HashMap;

use super::data::Verdict;
use super::expr::{Dynset, Expr, NatFlags, Objref};
use super::object::ObjectContent;
use super::ruleset::Ruleset;
use super::set::{Element, ElementValue, Set};
use super::table::{Chain, Table};

impl Ruleset {
    /// This ruleset without what the kernel chose or counted; see [`Table::comparable`].
    #[must_use]
    pub fn comparable(&self) -> Self {
        Self { generation: 0, tables: self.tables.iter().map(Table::comparable).collect() }
    }
}

impl Table {
    /// This table without what the kernel chose (handles, names of anonymous sets and chains, flags that follow from
    /// others) or counted (packets, bytes, times): two tables whose comparable forms are equal mean the same.
    #[must_use]
    pub fn comparable(&self) -> Self {
        let mut table = self.clone();
        table.handle = 0;
        let names = Renamed::of(self);
        table.sets.sort_by_key(|set| names.order(&set.name));
        table.chains.sort_by_key(|chain| names.order(&chain.name));
        for set in &mut table.sets {
            names.set(set);
        }
        for chain in &mut table.chains {
            names.chain(chain);
        }
        for object in &mut table.objects {
            object.handle = 0;
            match &mut object.content {
                ObjectContent::Counter { packets, bytes } => (*packets, *bytes) = (0, 0),
                ObjectContent::Quota(quota) => {
                    quota.consumed = 0;
                    quota.flags &= 1;
                }
                _ => {}
            }
        }
        for flowtable in &mut table.flowtables {
            flowtable.handle = 0;
        }
        table
    }
}

/// New names for anonymous sets and chains, in the order in which rules refer to them.
struct Renamed {
    names: HashMap<String, (usize, String)>,
}

impl Renamed {
    fn of(table: &Table) -> Self {
        let mut names = HashMap::new();
        let anonymous = |name: &str| {
            table.set(name).is_some_and(Set::is_anonymous)
                || table.chain(name).is_some_and(Chain::is_anonymous)
        };
        let mut add = |name: &str| {
            if anonymous(name) && !names.contains_key(name) {
                let number = names.len() + 1;
                names.insert(name.to_owned(), (number, format!("__anonymous{number}")));
            }
        };
        let (inner, outer): (Vec<_>, Vec<_>) = table.chains.iter().partition(|chain| chain.is_anonymous());
        // What only inner chains refer to comes after what tells the inner chains apart.
        let rules = outer.into_iter().chain(inner).flat_map(|chain| &chain.rules);
        for expr in rules.flat_map(|rule| &rule.expressions) {
            match expr {
                Expr::Lookup { set, .. }
                | Expr::Dynset(Dynset { set, .. })
                | Expr::Objref(Objref::Map { set, .. }) => add(set),
                Expr::Verdict(verdict) => verdict.chain().into_iter().for_each(&mut add),
                _ => {}
            }
        }
        Self { names }
    }

    /// Named things as they are, then the anonymous ones.
    fn order(&self, name: &str) -> usize {
        self.names.get(name).map_or(0, |(number, _)| *number)
    }

    fn rename(&self, name: &mut String) {
        if let Some((_, new)) = self.names.get(name) {
            name.clone_from(new);
        }
    }

    fn verdict(&self, verdict: &mut Verdict) {
        if let Verdict::Jump(chain) | Verdict::Goto(chain) = verdict {
            self.rename(chain);
        }
    }

    fn chain(&self, chain: &mut Chain) {
        chain.handle = 0;
        self.rename(&mut chain.name);
        if let Some(counters) = chain.base.as_mut().and_then(|base| base.counters.as_mut()) {
            *counters = (0, 0);
        }
        for rule in &mut chain.rules {
            rule.handle = 0;
            rule.expressions.iter_mut().for_each(|expr| self.expression(expr));
        }
    }

    fn set(&self, set: &mut Set) {
        set.handle = 0;
        set.backend = None;
        self.rename(&mut set.name);
        set.expressions.iter_mut().for_each(|expr| self.expression(expr));
        for element in &mut set.elements {
            self.element(element);
        }
    }

    fn element(&self, element: &mut Element) {
        element.expires = None;
        element.expressions.iter_mut().for_each(|expr| self.expression(expr));
        if let Some(ElementValue::Verdict(verdict)) = &mut element.value {
            self.verdict(verdict);
        }
    }

    fn expression(&self, expr: &mut Expr) {
        /// The kernel sets these where an address or a port is given.
        const IMPLIED: NatFlags = NatFlags(NatFlags::MAP_IPS.0 | NatFlags::PROTO_SPECIFIED.0);
        match expr {
            Expr::Counter { packets, bytes } => (*packets, *bytes) = (0, 0),
            Expr::Quota(quota) => {
                quota.consumed = 0;
                quota.flags &= 1;
            }
            Expr::Last { ago } => *ago = None,
            Expr::Lookup { set, .. } | Expr::Objref(Objref::Map { set, .. }) => self.rename(set),
            Expr::Dynset(dynset) => {
                self.rename(&mut dynset.set);
                dynset.expressions.iter_mut().for_each(|expr| self.expression(expr));
            }
            Expr::Verdict(verdict) => self.verdict(verdict),
            Expr::Nat(nat) => nat.flags = nat.flags.without(IMPLIED),
            Expr::Masquerade { flags, .. } | Expr::Redirect { flags, .. } => *flags = flags.without(IMPLIED),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nftables::{Data, Family, LookupInto, Register, Rule, SetFlags};

    fn table(names: [&str; 2], handle: u64, order: [usize; 2]) -> Table {
        let mut table = Table::new(Family::Inet, "t");
        let sets = names.map(|name| {
            let mut set = Set::new(name, 0, u32::try_from(name.len()).unwrap());
            set.flags = SetFlags::ANONYMOUS;
            set.key_len = u32::from(name == names[0]);
            set
        });
        table.sets = order.map(|at| sets[at].clone()).to_vec();
        let lookup = |set: &str| Expr::Lookup {
            set: set.to_owned(),
            source: Register::R1,
            into: LookupInto::Nothing,
            inverted: false,
        };
        let mut chain = Chain::regular("c");
        let counter = Expr::Counter { packets: handle, bytes: 1 };
        chain.rules = vec![Rule::new([lookup(names[0]), counter]), Rule::new([lookup(names[1])])];
        chain.rules[0].handle = handle;
        table.chains.push(chain);
        table
    }

    #[test]
    fn names_and_numbers_of_the_kernels_choice_do_not_count() {
        let one = table(["__set0", "__set1"], 1, [0, 1]);
        let other = table(["__set7", "__set3"], 2, [1, 0]);
        assert_ne!(one, other);
        assert_eq!(one.comparable(), other.comparable());
        let mut changed = other.clone();
        changed.chains[0].rules[0].user_data = Data::u8(1);
        assert_ne!(one.comparable(), changed.comparable());
    }
}

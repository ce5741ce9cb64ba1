//! Tables that are too large for one send.

use super::{RulePlace, Transaction, TransactionError, jump};
use crate::netlink::Socket;
use crate::nftables::expr::{Dynset, Expr, Objref};
use crate::nftables::set::{Element, ElementFlags, Set};
use crate::nftables::table::{Chain, Rule, Table, TableFlags};

/// So many elements are added before their size is looked at.
const ELEMENTS: usize = 500;
/// The kernel jumps no deeper (`NFT_JUMP_STACK_SIZE`).
const DEPTH: usize = 16;

impl Table {
    /// Makes this table, which must not be there, with everything in it: as one transaction if that can be sent, else as
    /// several, the table being dormant until the last. In either case packets see all of it or nothing, and if something is
    /// refused, nothing of it remains.
    ///
    /// An ordinary user can send about 416 KiB at once (`net.core.wmem_max`), which is some 5000 prefixes.
    pub fn load(&self, socket: &mut Socket) -> Result<(), TransactionError> {
        let mut whole = Transaction::new();
        whole.load_new(self);
        match whole.commit(socket) {
            Err(TransactionError::TooLarge { limit, .. }) => self.load_in_parts(socket, limit / 2),
            answer => answer,
        }
    }

    /// Makes this table, which must not be there, in transactions of about `size` bytes each; see [`Table::load`].
    pub fn load_in_parts(&self, socket: &mut Socket, size: usize) -> Result<(), TransactionError> {
        let mut parts = Parts { table: self, socket, size, transaction: Transaction::new(), begun: false };
        let answer = parts.all();
        if answer.is_err() && parts.begun {
            let mut undo = Transaction::new();
            undo.delete_table(&self.id);
            undo.commit(socket)?;
        }
        answer
    }
}

struct Parts<'a> {
    table: &'a Table,
    socket: &'a mut Socket,
    size: usize,
    transaction: Transaction,
    /// A part of the table is there.
    begun: bool,
}

impl Parts<'_> {
    fn all(&mut self) -> Result<(), TransactionError> {
        let table = self.table;
        let dormant = Table {
            flags: table.flags | TableFlags::DORMANT,
            user_data: table.user_data.clone(),
            other: table.other.clone(),
            ..Table::new(table.id.family, table.id.name.clone())
        };
        self.transaction.create_table(&dormant);
        for chain in table.chains.iter().filter(|chain| !chain.is_anonymous()) {
            self.transaction.add_chain(&table.id, chain);
            self.commit_if_large()?;
        }
        for object in &table.objects {
            self.transaction.add_object(&table.id, object);
            self.commit_if_large()?;
        }
        for flowtable in &table.flowtables {
            self.transaction.add_flowtable(&table.id, flowtable);
            self.commit_if_large()?;
        }
        for set in table.sets.iter().filter(|set| !set.is_anonymous()) {
            self.transaction.add_set(&table.id, set);
            for elements in slices(&set.elements) {
                self.transaction.add_elements(&table.id, &set.name, elements);
                self.commit_if_large()?;
            }
        }
        for chain in table.chains.iter().filter(|chain| !chain.is_anonymous()) {
            for rule in &chain.rules {
                self.rule(chain, rule, 0);
                self.commit_if_large()?;
            }
        }
        self.commit()?;
        if !table.flags.contains(TableFlags::DORMANT) {
            self.transaction.add_table(table);
        }
        self.commit()
    }

    /// A rule with what exists only for it, which must come in the same transaction.
    fn rule(&mut self, chain: &Chain, rule: &Rule, depth: usize) {
        let table = self.table;
        for expr in &rule.expressions {
            let set = match expr {
                Expr::Lookup { set, .. }
                | Expr::Dynset(Dynset { set, .. })
                | Expr::Objref(Objref::Map { set, .. }) => table.set(set).filter(|set| set.is_anonymous()),
                _ => None,
            };
            if let Some(set) = set {
                self.anonymous_set(set);
            }
            let inner = jump(expr).and_then(|name| table.chain(name)).filter(|inner| inner.is_anonymous());
            if let Some(inner) = inner.filter(|_| depth < DEPTH) {
                self.transaction.add_chain(&table.id, inner);
                for rule in &inner.rules {
                    self.rule(inner, rule, depth + 1);
                }
            }
        }
        self.transaction.add_rule(&table.id, &chain.name, rule, RulePlace::Last);
    }

    fn anonymous_set(&mut self, set: &Set) {
        self.transaction.add_set(&self.table.id, set);
        if !set.elements.is_empty() {
            self.transaction.add_elements(&self.table.id, &set.name, &set.elements);
        }
    }

    fn commit_if_large(&mut self) -> Result<(), TransactionError> {
        if self.transaction.size() > self.size { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), TransactionError> {
        let transaction = std::mem::take(&mut self.transaction);
        transaction.commit(self.socket)?;
        self.begun = true;
        Ok(())
    }
}

/// Elements in slices, each range whole in one.
fn slices(elements: &[Element]) -> impl Iterator<Item = &[Element]> {
    let mut rest = elements;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let starts = |element: &Element| !element.flags.contains(ElementFlags::INTERVAL_END);
        let after = rest.iter().skip(ELEMENTS).position(starts);
        let (slice, others) = rest.split_at(after.map_or(rest.len(), |after| ELEMENTS + after));
        rest = others;
        Some(slice)
    })
}

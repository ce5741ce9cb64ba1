//! Changes that are carried out all together or not at all.

mod error;
mod message;
mod parts;
mod support;

use std::collections::HashMap;

pub use error::{RefusedChange, TransactionError};
use message::{Body, Message};
pub(super) use message::{message_type, nfgenmsg};

use super::expr::References;
use super::object::{Flowtable, Object};
use super::set::{Element, Set};
use super::table::{Chain, Rule, Table, TableId};
use super::{ObjectKind, abi::*};
use crate::abi::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use crate::netlink::{Batch, Outcome, Socket};

/// Changes to the tables of one namespace, in order, which the kernel carries out all together or not at all.
///
/// Packets see either all of them or none. Each method adds a change and gives its number, by which a
/// [`TransactionError`] names it. Within a transaction later changes may refer to what earlier ones make; anonymous sets and
/// chains are referred to by the names that [`Set::name`] and [`Chain::name`] have here.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use nslab_kernel::netlink::{Protocol, Socket};
/// use nslab_kernel::nftables::{BaseChain, Chain, Expr, Family, Hook, Rule, Table, Transaction, Verdict};
///
/// let mut table = Table::new(Family::Inet, "lab");
/// let mut input = Chain::base("input", BaseChain::filter(Hook::Input));
/// input.rules.push(Rule::new([Expr::Counter { packets: 0, bytes: 0 }, Expr::Verdict(Verdict::Accept)]));
/// table.chains.push(input);
///
/// let mut transaction = Transaction::new();
/// transaction.load(&table);
/// transaction.commit(&mut Socket::open(Protocol::Netfilter)?)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct Transaction {
    generation: Option<u32>,
    /// All messages but the first and the last.
    batch: Batch,
    /// For each message the number of the change it belongs to.
    owners: Vec<usize>,
    /// Each change in words.
    changes: Vec<String>,
    made: HashMap<TableId, References>,
    last_id: u32,
}

/// Where in its chain a rule goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RulePlace {
    /// After all others.
    Last,
    /// Before all others.
    First,
    /// After the rule with this handle.
    After(u64),
    /// Before the rule with this handle.
    Before(u64),
    /// In the place of the rule with this handle, which goes.
    Instead(u64),
}

impl Transaction {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets it be carried out only if no transaction was since the kernel showed this generation
    /// ([`crate::nftables::Ruleset::generation`]); else it fails with [`TransactionError::Overtaken`].
    pub fn expect_generation(&mut self, generation: u32) {
        self.generation = Some(generation);
    }

    /// How many changes it holds.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Bytes that it takes; an unprivileged process can send about 416 KiB at once ([`TransactionError::TooLarge`]).
    pub fn size(&self) -> usize {
        self.batch.size()
    }

    /// The change of this number in words, as `add rule to chain forward of table inet lab`.
    pub fn describe(&self, change: usize) -> &str {
        self.changes.get(change).map_or("", String::as_str)
    }

    /// Makes a table with everything in it. See [`Table::load`] for one that may be too large to be sent at once.
    pub fn load(&mut self, table: &Table) -> usize {
        let first = self.add_table(table);
        self.contents(table);
        first
    }

    /// The same for a table that must not be there.
    fn load_new(&mut self, table: &Table) {
        self.create_table(table);
        self.contents(table);
    }

    fn contents(&mut self, table: &Table) {
        for chain in &table.chains {
            self.add_chain(&table.id, chain);
        }
        for object in &table.objects {
            self.add_object(&table.id, object);
        }
        for flowtable in &table.flowtables {
            self.add_flowtable(&table.id, flowtable);
        }
        for set in &table.sets {
            self.add_set(&table.id, set);
        }
        for set in &table.sets {
            if !set.elements.is_empty() {
                self.add_elements(&table.id, &set.name, &set.elements);
            }
        }
        // A chain that exists only for the jump to it takes no more rules once the jump is there.
        for chain in inner_first(table) {
            for rule in &chain.rules {
                self.add_rule(&table.id, &chain.name, rule, RulePlace::Last);
            }
        }
    }

    /// Makes a table with everything in it, in the place of the one of the same name, if there is one.
    pub fn replace(&mut self, table: &Table) -> usize {
        let first = self.add_table(&Table::new(table.id.family, table.id.name.clone()));
        self.delete_table(&table.id);
        self.load(table);
        first
    }

    /// Makes a table without what is in it, or changes the flags of the one that is there.
    pub fn add_table(&mut self, table: &Table) -> usize {
        let change = self.change(format!("add table {}", table.id));
        self.push(change, &table.id, NFT_MSG_NEWTABLE, NLM_F_CREATE, Body::Table(table));
        change
    }

    /// Makes a table that must not be there, without what is in it.
    fn create_table(&mut self, table: &Table) {
        let change = self.change(format!("create table {}", table.id));
        self.push(change, &table.id, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, Body::Table(table));
    }

    /// Deletes a table with everything in it.
    pub fn delete_table(&mut self, table: &TableId) -> usize {
        let change = self.change(format!("delete table {table}"));
        self.push(change, table, NFT_MSG_DELTABLE, 0, Body::Name(NFTA_TABLE_NAME, None));
        self.made.remove(table);
        change
    }

    /// Deletes all rules of a table.
    pub fn flush_table(&mut self, table: &TableId) -> usize {
        let change = self.change(format!("flush table {table}"));
        self.push(change, table, NFT_MSG_DELRULE, 0, Body::Name(NFTA_RULE_TABLE, None));
        change
    }

    /// Makes a chain without its rules, or changes the policy, user data or devices of the one that is there.
    pub fn add_chain(&mut self, table: &TableId, chain: &Chain) -> usize {
        let change = self.change(format!("add chain {} to table {table}", chain.name));
        let mut id = None;
        if chain.is_anonymous() {
            id = Some(self.next_id());
            self.made.entry(table.clone()).or_default().chains.extend(id.map(|id| (chain.name.clone(), id)));
        }
        self.push(change, table, NFT_MSG_NEWCHAIN, NLM_F_CREATE, Body::Chain(chain, id));
        change
    }

    /// Deletes a chain with its rules.
    pub fn delete_chain(&mut self, table: &TableId, chain: &str) -> usize {
        let change = self.change(format!("delete chain {chain} of table {table}"));
        let body = Body::Name(NFTA_CHAIN_TABLE, Some((NFTA_CHAIN_NAME, chain)));
        self.push(change, table, NFT_MSG_DELCHAIN, 0, body);
        change
    }

    /// Deletes all rules of a chain.
    pub fn flush_chain(&mut self, table: &TableId, chain: &str) -> usize {
        let change = self.change(format!("flush chain {chain} of table {table}"));
        let body = Body::Name(NFTA_RULE_TABLE, Some((NFTA_RULE_CHAIN, chain)));
        self.push(change, table, NFT_MSG_DELRULE, 0, body);
        change
    }

    /// Makes a rule.
    pub fn add_rule(&mut self, table: &TableId, chain: &str, rule: &Rule, place: RulePlace) -> usize {
        let verb = if let RulePlace::Instead(_) = place { "replace" } else { "add" };
        let change = self.change(format!("{verb} rule in chain {chain} of table {table}"));
        let flags = match place {
            RulePlace::Last | RulePlace::After(_) => NLM_F_CREATE | NLM_F_APPEND,
            RulePlace::First | RulePlace::Before(_) => NLM_F_CREATE,
            RulePlace::Instead(_) => NLM_F_REPLACE,
        };
        self.push(change, table, NFT_MSG_NEWRULE, flags, Body::Rule { chain, rule, place });
        change
    }

    /// Deletes the rule with this handle.
    pub fn delete_rule(&mut self, table: &TableId, chain: &str, handle: u64) -> usize {
        let change = self.change(format!("delete rule {handle} of chain {chain} of table {table}"));
        self.push(change, table, NFT_MSG_DELRULE, 0, Body::RuleHandle { chain, handle });
        change
    }

    /// Makes a set or map without its elements.
    pub fn add_set(&mut self, table: &TableId, set: &Set) -> usize {
        let change = self.change(format!("add set {} to table {table}", set.name));
        let id = self.next_id();
        let sent = match (set.is_anonymous(), set.is_map()) {
            // The kernel puts a number in the place of %d.
            (true, true) => "__map%d".to_owned(),
            (true, false) => "__set%d".to_owned(),
            (false, _) => set.name.clone(),
        };
        let made = self.made.entry(table.clone()).or_default();
        made.sets.insert(set.name.clone(), (id, sent));
        self.push(change, table, NFT_MSG_NEWSET, NLM_F_CREATE, Body::Set(set));
        change
    }

    /// Deletes a set with its elements.
    pub fn delete_set(&mut self, table: &TableId, set: &str) -> usize {
        let change = self.change(format!("delete set {set} of table {table}"));
        let body = Body::Name(NFTA_SET_TABLE, Some((NFTA_SET_NAME, set)));
        self.push(change, table, NFT_MSG_DELSET, 0, body);
        change
    }

    /// Deletes all elements of a set.
    pub fn flush_set(&mut self, table: &TableId, set: &str) -> usize {
        let change = self.change(format!("flush set {set} of table {table}"));
        let body = Body::Name(NFTA_SET_ELEM_LIST_TABLE, Some((NFTA_SET_ELEM_LIST_SET, set)));
        self.push(change, table, NFT_MSG_DELSETELEM, 0, body);
        change
    }

    /// Adds elements to a set, or renews their timeouts.
    pub fn add_elements(&mut self, table: &TableId, set: &str, elements: &[Element]) -> usize {
        let change = self.change(format!("add {} elements to set {set} of table {table}", elements.len()));
        self.elements(change, table, set, elements, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
        change
    }

    /// Takes elements out of a set; all of them must be in it.
    pub fn delete_elements(&mut self, table: &TableId, set: &str, elements: &[Element]) -> usize {
        let change = self.change(format!("delete {} elements of set {set} of table {table}", elements.len()));
        self.elements(change, table, set, elements, NFT_MSG_DELSETELEM, 0);
        change
    }

    /// Makes a stateful object.
    pub fn add_object(&mut self, table: &TableId, object: &Object) -> usize {
        let kind = object.content.kind();
        let change = self.change(format!("add {kind} {} to table {table}", object.name));
        self.push(change, table, NFT_MSG_NEWOBJ, NLM_F_CREATE, Body::Object(object));
        change
    }

    /// Deletes a stateful object.
    pub fn delete_object(&mut self, table: &TableId, kind: ObjectKind, name: &str) -> usize {
        let change = self.change(format!("delete {kind} {name} of table {table}"));
        self.push(change, table, NFT_MSG_DELOBJ, 0, Body::ObjectName { kind, name });
        change
    }

    /// Makes a flowtable.
    pub fn add_flowtable(&mut self, table: &TableId, flowtable: &Flowtable) -> usize {
        let change = self.change(format!("add flowtable {} to table {table}", flowtable.name));
        self.push(change, table, NFT_MSG_NEWFLOWTABLE, NLM_F_CREATE | NLM_F_EXCL, Body::Flowtable(flowtable));
        change
    }

    /// Deletes a flowtable.
    pub fn delete_flowtable(&mut self, table: &TableId, name: &str) -> usize {
        let change = self.change(format!("delete flowtable {name} of table {table}"));
        let body = Body::Name(NFTA_FLOWTABLE_TABLE, Some((NFTA_FLOWTABLE_NAME, name)));
        self.push(change, table, NFT_MSG_DELFLOWTABLE, 0, body);
        change
    }

    /// Has all changes carried out in the namespace that `socket` (of [`crate::netlink::Protocol::Netfilter`]) belongs to.
    pub fn commit(&self, socket: &mut Socket) -> Result<(), TransactionError> {
        self.send(socket, true)
    }

    /// Asks the kernel whether it would carry all changes out, and changes nothing. What only shows when all is done (that a
    /// table of this size cannot be had, say) is not found.
    pub fn check(&self, socket: &mut Socket) -> Result<(), TransactionError> {
        self.send(socket, false)
    }

    fn send(&self, socket: &mut Socket, commit: bool) -> Result<(), TransactionError> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.push(&message::Begin { generation: self.generation });
        batch.append(&self.batch);
        if commit {
            batch.push(&message::End);
        }
        // Older kernels (before 6.10) do not acknowledge the end.
        let outcome = socket.transact(&mut batch, self.owners.len())?;
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::TooLarge { limit } => Err(TransactionError::TooLarge { size: batch.size(), limit }),
            Outcome::Refused(refused) => Err(self.refused(&batch, refused)),
        }
    }

    fn change(&mut self, words: String) -> usize {
        self.changes.push(words);
        self.changes.len() - 1
    }

    fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    fn push(&mut self, change: usize, table: &TableId, kind: u16, flags: u16, body: Body<'_>) {
        let none = References::default();
        let references = self.made.get(table).unwrap_or(&none);
        self.batch.push(&Message { table, kind, flags, references, body });
        self.owners.push(change);
    }

    /// Elements, as many messages as they need: one holds at most 64 KiB.
    fn elements(
        &mut self,
        change: usize,
        table: &TableId,
        set: &str,
        all: &[Element],
        kind: u16,
        flags: u16,
    ) {
        let mut rest = all;
        while !rest.is_empty() {
            let taken = std::cell::Cell::new(0);
            self.push(change, table, kind, flags, Body::Elements { set, elements: rest, taken: &taken });
            rest = rest.get(taken.get().max(1)..).unwrap_or_default();
        }
    }
}

/// All chains, each that exists only for the jump to it before the chain that jumps.
fn inner_first(table: &Table) -> Vec<&Chain> {
    fn visit<'a>(table: &'a Table, chain: &'a Chain, order: &mut Vec<&'a Chain>, depth: usize) {
        // The kernel jumps no deeper than 16 (`NFT_JUMP_STACK_SIZE`).
        if depth > 16 || order.iter().any(|other| other.name == chain.name) {
            return;
        }
        for inner in chain.rules.iter().flat_map(|rule| &rule.expressions).filter_map(jump) {
            if let Some(inner) = table.chain(inner).filter(|inner| inner.is_anonymous()) {
                visit(table, inner, order, depth + 1);
            }
        }
        order.push(chain);
    }
    let anonymous: Vec<_> = table.chains.iter().filter(|chain| chain.is_anonymous()).collect();
    if anonymous.is_empty() {
        return table.chains.iter().collect();
    }
    let mut order = Vec::new();
    for chain in anonymous.into_iter().chain(&table.chains) {
        visit(table, chain, &mut order, 0);
    }
    order
}

fn jump(expr: &super::Expr) -> Option<&str> {
    match expr {
        super::Expr::Verdict(verdict) => verdict.chain(),
        _ => None,
    }
}

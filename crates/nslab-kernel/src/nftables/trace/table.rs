//! The table by which packets are marked for being traced.

use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;

use super::tuple::{TraceTuple, traced};
use crate::netlink::Socket;
use crate::nftables::build::{Field, RuleBuilder};
use crate::nftables::data::{Data, Register};
use crate::nftables::expr::{CmpOp, Expr, PayloadBase};
use crate::nftables::family::{Family, Hook};
use crate::nftables::table::{BaseChain, Chain, ChainKind, Policy, Rule, Table, TableFlags, TableId};
use crate::nftables::transaction::{Transaction, TransactionError};

/// With what names of such tables begin; the process's number and a counter follow.
const PREFIX: &str = "nslab-trace-";
/// Where packets are marked unless told otherwise: before all usual rules, and after fragments are put together where they
/// are (`NF_IP_PRI_CONNTRACK_DEFRAG`, −400).
pub const EARLY: i32 = -350;
/// After everything else (`NF_IP_PRI_LAST`).
const LATE: i32 = i32::MAX;
/// A register has so many bytes, beginning with the first of them.
const REGISTER: usize = 16;

/// Packets that are to be traced, by what stands behind their IP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracePattern {
    /// Of IPv6 rather than IPv4.
    pub ipv6: bool,
    /// The IP protocol.
    pub protocol: u8,
    /// What must stand at which offset from the beginning of the transport header; of more than 16 bytes the first 16 are
    /// looked at.
    pub bytes: Vec<(u32, Vec<u8>)>,
}

/// The hooks at which packets are told of, beside those where they come to be traced, and where they are for the namespace itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceHooks(u8);

impl TraceHooks {
    /// Every hook.
    pub const ALL: Self = Self(0b1_1111);

    fn bit(hook: Hook) -> u8 {
        HOOKS.iter().position(|&one| one == hook).map_or(0, |at| 1 << at)
    }

    /// Whether it is among them.
    pub fn contains(self, hook: Hook) -> bool {
        self.0 & Self::bit(hook) != 0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Hook> for TraceHooks {
    /// Of the hooks that packets of IP and frames of bridges pass; others are left out.
    fn from_iter<T: IntoIterator<Item = Hook>>(hooks: T) -> Self {
        Self(hooks.into_iter().fold(0, |all, hook| all | Self::bit(hook)))
    }
}

/// How to trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceOptions {
    /// The hooks of packets. Those that have rules are enough to hear of all rules; with the others one hears as well which ways
    /// packets went. Each costs all packets of the namespace some time.
    pub hooks: TraceHooks,
    /// The same of the frames that bridges of the namespace pass on, whose rules see packets, too. If there are none, frames are
    /// not traced.
    pub bridge: TraceHooks,
    /// There are no rules to hear of: packets are told of only where they are sent, and where they have
    /// [arrived](Checkpoint::Arrived), so that those that are forwarded cost nothing.
    pub ends_only: bool,
    /// The priority at which packets are marked; rules of a lower one are not traced.
    pub priority: i32,
    /// The kernel is to take the table away when the socket closes, however the process ends (Linux 5.12). Where it
    /// cannot, the table is [left over](TraceTable::is_left_over) by a process that is killed.
    pub owned: bool,
}

impl Default for TraceOptions {
    fn default() -> Self {
        Self {
            hooks: TraceHooks::ALL,
            bridge: TraceHooks::default(),
            ends_only: false,
            priority: EARLY,
            owned: true,
        }
    }
}

/// A place in a packet's way that a [`TraceTable`] tells of, by the name of its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checkpoint {
    /// It comes to a hook, and is marked there.
    Reached(Hook),
    /// It has passed all rules of a hook.
    Passed(Hook),
    /// It came to the namespace itself, which has no rules, and is marked there: both of the others for [`Hook::Input`].
    Arrived,
}

impl Checkpoint {
    /// What a chain of a [`TraceTable`] stands for; none if it is no such.
    pub fn of(table: &TableId, chain: &str) -> Option<Self> {
        if !table.name.starts_with(PREFIX) {
            return None;
        }
        if chain == ARRIVED {
            return Some(Self::Arrived);
        }
        let (kind, hook) = chain.split_once('-')?;
        let hook = HOOKS.into_iter().find(|known| known.as_str() == hook)?;
        match kind {
            "reached" => Some(Self::Reached(hook)),
            "passed" => Some(Self::Passed(hook)),
            _ => None,
        }
    }
}

/// The chain of [`Checkpoint::Arrived`].
const ARRIVED: &str = "arrived";

const HOOKS: [Hook; 5] = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];

/// A table of its own that has packets traced in one namespace. It changes nothing of what becomes of them.
///
/// It goes when this is dropped, as it belongs to the socket.
#[derive(Debug)]
pub struct TraceTable {
    socket: Socket,
    ids: Vec<TableId>,
    owned: bool,
}

/// Each table of this process has another number.
static NEXT: AtomicU32 = AtomicU32::new(0);

impl TraceTable {
    /// Makes it in the namespace that `socket` (of [`crate::netlink::Protocol::Netfilter`]) belongs to, in one transaction. Open the
    /// [`TraceMonitor`](super::TraceMonitor) before.
    pub fn install(
        socket: Socket,
        patterns: &[TracePattern],
        options: TraceOptions,
    ) -> Result<Self, TransactionError> {
        Self::with(socket, &|family| patterns.iter().map(|pattern| rule(family, pattern)).collect(), options)
    }

    /// The same for packets by their ends.
    pub fn install_for(
        socket: Socket,
        tuples: &[TraceTuple],
        options: TraceOptions,
    ) -> Result<Self, TransactionError> {
        Self::with(socket, &|family| tuples.iter().map(|tuple| tuple.rule(family)).collect(), options)
    }

    fn with(mut socket: Socket, rules: Rules<'_>, options: TraceOptions) -> Result<Self, TransactionError> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let mut options = options;
        loop {
            let (made, owned) = match make(&mut socket, &name, rules, options) {
                // Flags that a kernel does not know (`nf_tables_newtable`); or a family, which the next attempt shows.
                Err(error) if options.owned && is_not_supported(&error) => {
                    (make(&mut socket, &name, rules, TraceOptions { owned: false, ..options }), false)
                }
                made => (made, options.owned),
            };
            match made {
                Ok(ids) => return Ok(Self { socket, ids, owned }),
                // A kernel without rules for bridges has none that could be traced.
                Err(error) if is_not_supported(&error) && !options.bridge.is_empty() => {
                    options.bridge = TraceHooks::default();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The kernel takes it away by itself when this process ends.
    pub fn is_owned(&self) -> bool {
        self.owned
    }

    /// Takes it away.
    pub fn remove(mut self) -> Result<(), TransactionError> {
        let ids = std::mem::take(&mut self.ids);
        delete(&mut self.socket, &ids)
    }

    /// Whether a table is such a one, whoever's.
    pub fn is_one(table: &Table) -> bool {
        table.id.name.starts_with(PREFIX)
    }

    /// Whether a table is one that a process made which is gone: it was killed, and the kernel could not take it away.
    pub fn is_left_over(table: &Table) -> bool {
        let pid =
            table.id.name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')?.0.parse::<u32>().ok());
        let runs = |pid: u32| std::path::Path::new("/proc").join(pid.to_string()).exists();
        table.owner.is_none() && pid.is_some_and(|pid| !runs(pid))
    }

    /// Takes tables away that are left over.
    pub fn clean(socket: &mut Socket, left: &[TableId]) -> Result<(), TransactionError> {
        delete(socket, left)
    }
}

impl Drop for TraceTable {
    fn drop(&mut self) {
        if !self.owned && !self.ids.is_empty() {
            // What cannot be taken away is found by the next one who traces here.
            let _ = delete(&mut self.socket, &self.ids);
        }
    }
}

/// What has packets traced, of a table of that family.
type Rules<'r> = &'r dyn Fn(Family) -> Vec<Rule>;

fn delete(socket: &mut Socket, ids: &[TableId]) -> Result<(), TransactionError> {
    let mut transaction = Transaction::new();
    for id in ids {
        transaction.delete_table(id);
    }
    match transaction.commit(socket) {
        // Somebody else was faster.
        Err(error) if error.errno() == Some(Errno::NOENT) => Ok(()),
        done => done,
    }
}

fn is_not_supported(error: &TransactionError) -> bool {
    matches!(error, TransactionError::Unsupported { .. })
        || matches!(error.errno(), Some(Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::INVAL))
}

fn make(
    socket: &mut Socket,
    name: &str,
    rules: Rules<'_>,
    options: TraceOptions,
) -> Result<Vec<TableId>, TransactionError> {
    let mut transaction = Transaction::new();
    let tables = tables(name, rules, options);
    for table in &tables {
        transaction.load(table);
    }
    transaction.commit(socket)?;
    Ok(tables.into_iter().map(|table| table.id).collect())
}

fn tables(name: &str, rules: Rules<'_>, options: TraceOptions) -> Vec<Table> {
    let flags = if options.owned { TableFlags::OWNER } else { TableFlags::empty() };
    let new = |family| Table { flags, ..Table::new(family, name) };
    if options.ends_only {
        return vec![ends(new(Family::Inet), rules, options.priority)];
    }
    let mut tables = vec![whole(new(Family::Inet), rules, options.hooks, options.priority)];
    if !options.bridge.is_empty() {
        tables.push(whole(new(Family::Bridge), rules, options.bridge, options.priority));
    }
    tables
}

fn base(hook: Hook, priority: i32) -> BaseChain {
    BaseChain {
        kind: ChainKind::Filter,
        hook,
        priority,
        policy: Policy::Accept,
        devices: Vec::new(),
        counters: None,
    }
}

/// Tells of packets that the namespace sends, and of those that have come to it.
fn ends(mut table: Table, rules: Rules<'_>, priority: i32) -> Table {
    let sent = (format!("reached-{}", Hook::Output), base(Hook::Output, priority));
    for (name, base) in [sent, (ARRIVED.to_owned(), base(Hook::Input, LATE))] {
        table.chains.push(Chain { rules: rules(table.id.family), ..Chain::base(name, base) });
    }
    table
}

/// Tells of packets at the hooks that are wanted.
fn whole(mut table: Table, rules: Rules<'_>, hooks: TraceHooks, priority: i32) -> Table {
    // Once is enough for the kernel. But what it tells has the packet itself only where a rule is met, else a number of the
    // packet's, which is another behind a bridge whose frames iptables sees (`nft_trace_init`: the interface is in it).
    // At two, packets come to be traced; at one, they have come to whom they are for.
    let is_needed = |hook| matches!(hook, Hook::Prerouting | Hook::Input | Hook::Output);
    let reached = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output].into_iter();
    for hook in reached.filter(|&hook| is_needed(hook) || hooks.contains(hook)) {
        let mut chain = Chain::base(format!("reached-{hook}"), base(hook, priority));
        chain.rules = rules(table.id.family);
        table.chains.push(chain);
    }
    for hook in HOOKS.into_iter().filter(|&hook| hook == Hook::Input || hooks.contains(hook)) {
        table.chains.push(Chain::base(format!("passed-{hook}"), base(hook, LATE)));
    }
    table
}

/// Marks what is of a pattern.
fn rule(family: Family, pattern: &TracePattern) -> Rule {
    let mut rule = RuleBuilder::new(family);
    rule = if pattern.ipv6 { rule.ipv6() } else { rule.ipv4() };
    // Looks past IPv6's extension headers.
    rule = rule.equal(Field::L4Protocol, [pattern.protocol]);
    for (offset, bytes) in &pattern.bytes {
        let bytes = &bytes[..bytes.len().min(REGISTER)];
        let len = u32::try_from(bytes.len()).unwrap_or(0);
        let base = PayloadBase::Transport;
        rule = rule
            .expression(Expr::Payload { destination: Register::R1, base, offset: *offset, len })
            .expression(Expr::Cmp { source: Register::R1, op: CmpOp::Equal, data: Data::from(bytes) });
    }
    traced(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_say_where_they_stand() {
        let pattern = TracePattern { ipv6: false, protocol: 1, bytes: vec![(8, vec![1; 40])] };
        let rules: Rules<'_> = &|family| vec![rule(family, &pattern)];
        let made = |hooks| {
            let options = TraceOptions { hooks, ..TraceOptions::default() };
            tables("nslab-trace-7-0", rules, options).remove(0)
        };
        let points = |table: &Table| -> Vec<_> {
            table.chains.iter().map(|chain| Checkpoint::of(&table.id, &chain.name)).collect()
        };
        // Where packets begin and end is told also where there are no rules.
        let few = points(&made([Hook::Forward, Hook::Ingress].into_iter().collect()));
        let few: Vec<_> = few.into_iter().flatten().collect();
        let (reached, passed) = (Checkpoint::Reached, Checkpoint::Passed);
        let expected = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output].map(reached);
        assert_eq!(few, [&expected[..], &[passed(Hook::Input), passed(Hook::Forward)]].concat());
        let table = made(TraceHooks::ALL);
        let points = points(&table);
        assert_eq!(points[0], Some(Checkpoint::Reached(Hook::Prerouting)));
        assert_eq!(points[6], Some(Checkpoint::Passed(Hook::Forward)));
        assert!(points.iter().all(Option::is_some) && points.len() == 9);
        // Where there are no rules, what is forwarded meets none of them.
        let ends =
            tables("nslab-trace-7-0", rules, TraceOptions { ends_only: true, ..TraceOptions::default() });
        let [ends] = &ends[..] else { panic!("{ends:?}") };
        let points: Vec<_> = ends.chains.iter().map(|chain| Checkpoint::of(&ends.id, &chain.name)).collect();
        assert_eq!(points, [Some(Checkpoint::Reached(Hook::Output)), Some(Checkpoint::Arrived)]);
        assert!(ends.chains.iter().all(|chain| chain.rules.len() == 1));
        let other = TableId::new(Family::Inet, "filter");
        assert_eq!(Checkpoint::of(&other, "passed-input"), None);
        assert_eq!(Checkpoint::of(&table.id, "passed-nothing"), None);
    }

    #[test]
    fn what_a_process_left_is_known() {
        let mut table = Table::new(Family::Inet, format!("{PREFIX}{}-0", std::process::id()));
        assert!(!TraceTable::is_left_over(&table));
        // No process has that number (`PID_MAX_LIMIT`).
        table.id.name = format!("{PREFIX}4194305-0");
        assert!(TraceTable::is_left_over(&table));
        table.owner = Some(1);
        assert!(!TraceTable::is_left_over(&table));
        for name in ["filter", "nslab-trace-", "nslab-trace-x-0", "nslab-trace-4194305"] {
            assert!(!TraceTable::is_left_over(&Table::new(Family::Inet, name)), "{name}");
        }
    }
}

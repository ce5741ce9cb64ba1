//! All base chains of a hook in their order (`nf_hook_slow`), with connection tracking and NAT where they stand among them.

use std::cell::Cell;
use std::cmp::Reverse;
use std::rc::Rc;

use nslab_kernel::nftables::{ChainKind, Family, Hook, Policy, Ruleset, Table, TableFlags, priority};

use super::chain::{Evaluator, Place};
use super::connection::{State, Tracking, tuple};
use super::context::{Context, Surroundings};
use super::logic::doubt;
use super::nat;
use super::outcome::{Action, Branch, Fate, Part, Step};
use super::run::{End, Run, collapse};
use crate::Doubt;

/// Something that stands at a hook.
#[derive(Debug, Clone)]
enum Item {
    Chain(Place),
    /// NAT, and the chains that it asks; they are at its place whatever their own priority is, which only orders them among
    /// each other (`nf_nat_register_fn`).
    Nat(Vec<Place>),
    /// Connections are looked for (`nf_conntrack_in`).
    Conntrack,
}

/// An [`Item`] with its place in the order: of equal priority, what was registered later is first (`nf_hook_entries_grow`).
#[derive(Debug, Clone)]
struct Entry {
    priority: i32,
    registered: Place,
    item: Item,
}

/// Whether a hook sees a table.
fn sees(context: &Context<'_>, table: &Table) -> bool {
    let ip = matches!(context.family, Family::Ip | Family::Ip6);
    let ingress = context.family == Family::Netdev && context.hook == Hook::Ingress;
    !table.flags.contains(TableFlags::DORMANT)
        && (table.id.family == context.family || (table.id.family == Family::Inet && (ip || ingress)))
}

fn entries(ruleset: &Ruleset, context: &Context<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut nat: Vec<(i32, Place)> = Vec::new();
    let mut first_nat = None;
    for (table_at, table) in ruleset.tables.iter().enumerate().filter(|(_, table)| sees(context, table)) {
        for (chain, base) in
            table.chains.iter().enumerate().filter_map(|(at, it)| Some((at, it.base.as_ref()?)))
        {
            let place = Place { table: table_at, chain };
            if base.kind == ChainKind::Nat {
                first_nat.get_or_insert(place);
            }
            let device = match context.hook {
                Hook::Ingress => context.input,
                Hook::Egress => context.output,
                _ => None,
            };
            let elsewhere = device.is_some_and(|device| !stands_at(&base.devices, device.name));
            if base.hook != context.hook || elsewhere {
                continue;
            }
            if base.kind == ChainKind::Nat {
                nat.push((base.priority, place));
            } else {
                entries.push(Entry { priority: base.priority, registered: place, item: Item::Chain(place) });
            }
        }
    }
    let ip = matches!(context.family, Family::Ip | Family::Ip6);
    if ip && let (Some(registered), Some(end)) = (first_nat, nat::End::at(context.hook)) {
        nat.sort_by_key(|(priority, place)| (*priority, Reverse((place.table, place.chain))));
        let places = nat.into_iter().map(|(_, place)| place).collect();
        let priority = if end == nat::End::Source { priority::SRCNAT } else { priority::DSTNAT };
        entries.push(Entry { priority, registered, item: Item::Nat(places) });
    }
    if is_tracking_hook(context) {
        let registered = Place { table: usize::MAX, chain: 0 };
        entries.push(Entry { priority: priority::CONNTRACK, registered, item: Item::Conntrack });
    }
    entries.sort_by_key(|entry| (entry.priority, Reverse((entry.registered.table, entry.registered.chain))));
    entries
}

/// Whether a chain of these devices stands at one; a name that ends in `*` stands for all that begin so (Linux 6.16).
fn stands_at(devices: &[String], name: &str) -> bool {
    devices.iter().any(|device| match device.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => device == name,
    })
}

/// Where connections are looked for.
fn is_tracking_hook(context: &Context<'_>) -> bool {
    let ip = matches!(context.family, Family::Ip | Family::Ip6);
    ip && matches!(context.hook, Hook::Prerouting | Hook::Output)
}

/// What nftables makes of a packet at a hook: every way that it may take, each once.
///
/// What is not known makes several ways only where it matters. There are at most 64; where more would have to be followed the
/// one answer is [`Fate::Unknown`].
pub fn evaluate(ruleset: &Ruleset, context: &Context<'_>, surroundings: &dyn Surroundings) -> Vec<Branch> {
    let evaluator = Evaluator { ruleset, context, surroundings, rules: Cell::new(0), spent: Cell::new(None) };
    let mut first = Run::new(context);
    if !is_tracking_hook(context) || context.tracked_before {
        first.core.tracking = context.tracking.clone();
    }
    let start = first.clone();
    let mut runs = vec![first];
    let mut ended: Vec<(Run, End)> = Vec::new();
    let entries = entries(ruleset, context);
    for group in entries.chunk_by(|a, b| a.priority == b.priority) {
        let mut next = Vec::new();
        for run in runs {
            let before = run.doubts.clone();
            for (run, end) in collapse(&before, evaluator.group(group, run)) {
                match end {
                    End::Accept => next.push((run, ())),
                    end => ended.push((run, end)),
                }
            }
        }
        runs = super::run::merge(next).into_iter().map(|(run, ())| run).collect();
        if evaluator.is_spent(runs.len() + ended.len()) {
            break;
        }
    }
    if let Some(why) = evaluator.spent.get() {
        let end = End::Unknown(doubt(why, "A ruleset that hangs on less that is not known."));
        return vec![branch(context, start, &end)];
    }
    ended.extend(runs.into_iter().map(|run| (run, End::Accept)));
    collapse(&[], ended).into_iter().map(|(run, end)| branch(context, run, &end)).collect()
}

fn branch(context: &Context<'_>, run: Run, end: &End) -> Branch {
    let (mut packet, mut vague) = run.core.header.packet(context.packet);
    match run.core.mark.to_word() {
        Some(mark) => packet.mark = mark,
        None => vague.push((Part::Mark, (*run.core.mark.reason()).clone())),
    }
    Branch {
        fate: match end {
            End::Accept => Fate::Accepted,
            End::Drop => Fate::Dropped,
            End::Reject(rejection) => Fate::Rejected(*rejection),
            End::Send(device) => Fate::Sent(*device),
            End::Unknown(why) => Fate::Unknown((**why).clone()),
        },
        packet,
        vague,
        tracking: run.core.tracking,
        zone: run.core.zone,
        rerouted: run.core.rerouted,
        trail: run.trail,
        doubts: run.doubts.iter().map(|doubt| (**doubt).clone()).collect(),
    }
}

impl Evaluator<'_> {
    /// What stands at one priority. In which order tables registered there is not known for certain; so if there are several,
    /// the other orders are followed too.
    fn group(&self, group: &[Entry], run: Run) -> Vec<(Run, End)> {
        let mut tables: Vec<usize> = group.iter().map(|entry| entry.registered.table).collect();
        tables.dedup();
        if tables.len() < 2 {
            return self.in_order(group, run);
        }
        let why = doubt("the order of chains of equal priority", "Which of their tables was made first.");
        let mut all = Vec::new();
        for order in orders(&tables) {
            let mut sorted = group.to_vec();
            sorted.sort_by_key(|entry| order.iter().position(|table| *table == entry.registered.table));
            let mut run = run.clone();
            run.suppose(&why);
            all.extend(self.in_order(&sorted, run));
        }
        all
    }

    fn in_order(&self, group: &[Entry], run: Run) -> Vec<(Run, End)> {
        let mut runs = vec![run];
        let mut ended = Vec::new();
        for entry in group {
            let mut next = Vec::new();
            for run in runs {
                let all = match &entry.item {
                    Item::Chain(place) => self.base(*place, run).0,
                    Item::Nat(places) => self.translate(places, run),
                    Item::Conntrack => vec![(self.track(run), End::Accept)],
                };
                for (run, end) in all {
                    match end {
                        End::Accept => next.push(run),
                        end => ended.push((run, end)),
                    }
                }
            }
            runs = next;
        }
        ended.extend(runs.into_iter().map(|run| (run, End::Accept)));
        ended
    }

    /// A base chain with its policy: how packets leave it, and those for which NAT is decided.
    fn base(&self, place: Place, run: Run) -> (Vec<(Run, End)>, Vec<Run>) {
        let chain = self.table(place).and_then(|table| table.chains.get(place.chain));
        let Some((kind, policy)) =
            chain.and_then(|chain| Some((&chain.base.as_ref()?.kind, chain.base.as_ref()?.policy)))
        else {
            return (vec![(run, End::Accept)], Vec::new());
        };
        let core = run.core.clone();
        let passed = self.chain(place, vec![run], 0);
        let mut ended = passed.ended;
        for mut run in passed.fallen {
            let (action, end) = match policy {
                Policy::Accept => (Action::Accept, End::Accept),
                Policy::Drop => (Action::Drop, End::Drop),
            };
            run.trail.push(Step {
                table: place.table,
                chain: place.chain,
                rule: None,
                matched: Some(true),
                action,
            });
            ended.push((run, end));
        }
        if *kind == ChainKind::Route {
            for (run, _) in &mut ended {
                // `nf_route_table_hook4`, `…6`: addresses, mark and type of service count.
                let same = run.core.header == core.header && run.core.mark == core.mark;
                run.core.rerouted |= !same;
            }
        }
        (ended, passed.translated)
    }

    /// Connections are looked for.
    fn track(&self, mut run: Run) -> Run {
        if self.context.tracked_before {
            return run;
        }
        run.core.tracking = match (&self.context.tracking, run.core.zone) {
            _ if run.core.untracked => Tracking::Untracked,
            // The context's connection is that of the packet as it came.
            (Tracking::Connection(_), _) if self.changed_before_tracking(&run) => {
                Tracking::Unknown(Doubt::new(
                    "ct of a packet whose addresses a rule changed",
                    "The connection that the kernel takes it for.",
                ))
            }
            (Tracking::Connection(connection), Some(zone)) if connection.zone != zone => Tracking::Unknown(
                Doubt::new(format!("ct zone {zone}"), "The connections that are known in that zone."),
            ),
            (tracking, _) => tracking.clone(),
        };
        run
    }

    /// Whether what connections are told apart by is not what it was.
    fn changed_before_tracking(&self, run: &Run) -> bool {
        let (now, vague) = run.core.header.packet(self.context.packet);
        tuple(&now) != tuple(self.context.packet) || vague.len() > self.context.vague.len()
    }

    /// NAT (`nf_nat_inet_fn`, `nf_nat_ipv4_fn`).
    fn translate(&self, places: &[Place], run: Run) -> Vec<(Run, End)> {
        let Some(end) = nat::End::at(self.context.hook) else { return vec![(run, End::Accept)] };
        let (undecided, is_error) = match &run.core.tracking {
            Tracking::None | Tracking::Untracked => return vec![(run, End::Accept)],
            Tracking::Unknown(why) => {
                let why = Rc::new(why.clone());
                return vec![(run, End::Unknown(why))];
            }
            Tracking::Connection(connection) => {
                let icmp = matches!(run.core.header.protocol(), 1 | 58);
                (nat::is_undecided(connection, end), connection.state == State::Related && icmp)
            }
        };
        let mut ended = Vec::new();
        let mut pending = vec![run];
        let mut decided = Vec::new();
        if undecided && !is_error {
            for place in places {
                let mut next = Vec::new();
                for run in pending {
                    let (all, translated) = self.base(*place, run);
                    decided.extend(translated);
                    for (run, end) in all {
                        match end {
                            End::Accept => next.push(run),
                            end => ended.push((run, end)),
                        }
                    }
                }
                pending = next;
            }
            // `nf_nat_alloc_null_binding`: that nothing is translated is decided too.
            for run in &mut pending {
                if let Tracking::Connection(connection) = &mut run.core.tracking {
                    nat::decide(connection, end, &nat::Choice::default());
                }
            }
        }
        for mut run in decided.into_iter().chain(pending) {
            let before = run.core.header.clone();
            if let Tracking::Connection(connection) = run.core.tracking.clone() {
                nat::apply(&mut run.core, &connection, end, is_error);
            }
            run.core.rerouted |= self.context.hook == Hook::Output && run.core.header != before;
            ended.push((run, End::Accept));
        }
        ended
    }
}

/// All orders of up to three tables; of more the likely one and its reverse.
fn orders(tables: &[usize]) -> Vec<Vec<usize>> {
    match tables {
        [a, b] => vec![vec![*a, *b], vec![*b, *a]],
        [a, b, c] => [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]]
            .iter()
            .map(|order| order.iter().map(|it| **it).collect())
            .collect(),
        _ => vec![tables.to_vec(), tables.iter().rev().copied().collect()],
    }
}

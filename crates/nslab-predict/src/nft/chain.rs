//! Rules one after the other, and chains that rules jump to (`nft_do_chain`).

use std::cell::Cell;

use nslab_kernel::nftables::{Ruleset, Table};

use super::context::{Context, Surroundings};
use super::outcome::{Action, Step};
use super::registers::Registers;
use super::run::{End, Flow, Run, collapse, merge};

/// Ways that are followed at once; beyond them the answer is "not known".
pub(super) const WAYS: usize = 64;
/// Chains within chains (`NFT_JUMP_STACK_SIZE`; the kernel refuses more).
const DEPTH: usize = 16;
/// Rules that are looked at in one evaluation, which no sane ruleset needs.
const RULES: usize = 1 << 20;

/// A chain of a table, by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) table: usize,
    pub(super) chain: usize,
}

/// What an evaluation is given.
pub(super) struct Evaluator<'a> {
    pub(super) ruleset: &'a Ruleset,
    pub(super) context: &'a Context<'a>,
    pub(super) surroundings: &'a dyn Surroundings,
    pub(super) rules: Cell<usize>,
    /// Too much was to be followed, or something that no kernel has.
    pub(super) spent: Cell<Option<&'static str>>,
}

/// What becomes of packets in a chain.
#[derive(Default)]
pub(super) struct Passed {
    /// They come to the chain's end, or return from it.
    pub(super) fallen: Vec<Run>,
    pub(super) ended: Vec<(Run, End)>,
    /// NAT is decided.
    pub(super) translated: Vec<Run>,
}

/// How a packet goes on after one rule and all that it jumped to.
#[derive(PartialEq)]
enum Way {
    NextRule,
    Fallen,
    Translated,
    End(End),
}

impl Passed {
    fn take(&mut self, run: Run, way: Way, next: &mut Vec<(Run, ())>) {
        match way {
            Way::NextRule => next.push((run, ())),
            Way::Fallen => self.fallen.push(run),
            Way::Translated => self.translated.push(run),
            Way::End(end) => self.ended.push((run, end)),
        }
    }

    fn len(&self) -> usize {
        self.fallen.len() + self.ended.len() + self.translated.len()
    }
}

impl<'a> Evaluator<'a> {
    pub(super) fn table(&self, place: Place) -> Option<&'a Table> {
        self.ruleset.tables.get(place.table)
    }

    pub(super) fn is_spent(&self, ways: usize) -> bool {
        if ways > WAYS {
            self.spent.set(Some("more ways than can be followed"));
        }
        self.spent.get().is_some()
    }

    /// A chain's rules for packets that come to it.
    pub(super) fn chain(&self, place: Place, runs: Vec<Run>, depth: usize) -> Passed {
        let mut passed = Passed::default();
        let Some(table) = self.table(place) else { return passed };
        let Some(chain) = table.chains.get(place.chain) else { return passed };
        let mut runs = runs;
        for (at, rule) in chain.rules.iter().enumerate() {
            if runs.is_empty() {
                break;
            }
            let mut next = Vec::with_capacity(runs.len());
            for run in runs {
                self.rules.set(self.rules.get() + 1);
                if self.rules.get() > RULES {
                    self.spent.set(Some("more rules than can be followed"));
                }
                let before = run.doubts.clone();
                let mut flows = Vec::with_capacity(1);
                self.rule(place, &rule.expressions, run, Registers::new(), &mut flows);
                let mut ways = Vec::with_capacity(flows.len());
                for (mut run, flow) in flows {
                    run.trail.push(Step {
                        table: place.table,
                        chain: place.chain,
                        rule: Some(at),
                        matched: Some(flow != Flow::Break),
                        action: action(table, &flow),
                    });
                    self.follow(place, run, flow, depth, &mut ways);
                }
                for (run, way) in collapse(&before, ways) {
                    passed.take(run, way, &mut next);
                }
                if self.is_spent(passed.len() + next.len()) {
                    return passed;
                }
            }
            runs = merge(next).into_iter().map(|(run, ())| run).collect();
        }
        passed.fallen.extend(runs);
        passed
    }

    fn follow(&self, place: Place, run: Run, flow: Flow, depth: usize, ways: &mut Vec<(Run, Way)>) {
        let (name, back) = match flow {
            Flow::Break | Flow::Continue => return ways.push((run, Way::NextRule)),
            Flow::Return => return ways.push((run, Way::Fallen)),
            Flow::Translated => return ways.push((run, Way::Translated)),
            Flow::End(end) => return ways.push((run, Way::End(end))),
            Flow::Jump(name) => (name, Way::NextRule),
            Flow::Goto(name) => (name, Way::Fallen),
        };
        let chains = self.table(place).map_or(&[][..], |table| &table.chains);
        let Some(chain) = chains.iter().position(|chain| chain.name == name) else {
            self.spent.set(Some("a jump to a chain that could not be read"));
            return;
        };
        if depth >= DEPTH {
            self.spent.set(Some("chains that jump to each other"));
            return;
        }
        let passed = self.chain(Place { chain, ..place }, vec![run], depth + 1);
        let falls = back == Way::Fallen;
        ways.extend(
            passed.fallen.into_iter().map(|run| (run, if falls { Way::Fallen } else { Way::NextRule })),
        );
        ways.extend(passed.translated.into_iter().map(|run| (run, Way::Translated)));
        ways.extend(passed.ended.into_iter().map(|(run, end)| (run, Way::End(end))));
    }
}

fn action(table: &Table, flow: &Flow) -> Action {
    let chain = |name: &String| table.chains.iter().position(|chain| chain.name == *name);
    match flow {
        Flow::Break | Flow::Continue => Action::Continue,
        Flow::Return => Action::Return,
        Flow::Translated => Action::Translate,
        Flow::Jump(name) => chain(name).map_or(Action::Unknown, Action::Jump),
        Flow::Goto(name) => chain(name).map_or(Action::Unknown, Action::Goto),
        Flow::End(End::Accept) => Action::Accept,
        Flow::End(End::Drop) => Action::Drop,
        Flow::End(End::Reject(_)) => Action::Reject,
        Flow::End(End::Send(_)) => Action::Send,
        Flow::End(End::Unknown(_)) => Action::Unknown,
    }
}

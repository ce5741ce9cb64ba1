//! A packet under evaluation.

use std::rc::Rc;

use super::bits::Term;
use super::connection::Tracking;
use super::context::Context;
use super::header::Header;
use super::outcome::{Action, Part, Rejection, Step};
use crate::Doubt;

/// What later rules can tell of a packet. Two that are alike here go on alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Core {
    pub(super) header: Header,
    pub(super) mark: Term,
    pub(super) priority: Term,
    pub(super) packet_type: Term,
    /// `meta nftrace`.
    pub(super) traced: Term,
    pub(super) tracking: Tracking,
    /// A rule said `notrack` before connections were looked for.
    pub(super) untracked: bool,
    /// The zone that a rule set.
    pub(super) zone: Option<u16>,
    pub(super) rerouted: bool,
    /// What the packet did to sets.
    pub(super) touched: Vec<Touched>,
}

/// An element that the packet itself added to a set, or took out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) table: usize,
    pub(super) set: String,
    pub(super) key: Term,
    pub(super) removed: bool,
}

/// One of the ways that the packet may have come so far.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) core: Core,
    pub(super) trail: Vec<Step>,
    pub(super) doubts: Vec<Rc<Doubt>>,
}

/// How a packet leaves a base chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Accept,
    Drop,
    Reject(Rejection),
    Send(u32),
    Unknown(Rc<Doubt>),
}

/// What a rule makes of a packet, for the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flow {
    /// It did not match (`NFT_BREAK`).
    Break,
    /// It matched and decides nothing (`NFT_CONTINUE`).
    Continue,
    Jump(String),
    Goto(String),
    Return,
    /// NAT is decided, and with it that the packet passes.
    Translated,
    End(End),
}

impl Run {
    pub(super) fn new(context: &Context<'_>) -> Self {
        let mut header = Header::new(context.packet);
        let word = |known: Option<u32>, what: &str, settle: &str| {
            known.map_or_else(|| Term::unknown(4, Rc::new(Doubt::new(what, settle))), Term::word)
        };
        let mut mark = Term::word(context.packet.mark);
        for (part, doubt) in context.vague {
            let doubt = Rc::new(doubt.clone());
            match part {
                Part::Mark => mark = Term::unknown(4, doubt),
                part => header.forget(*part, &doubt),
            }
        }
        if context.family == nslab_kernel::nftables::Family::Arp {
            header = header.opaque(Doubt::new("the ARP packet", "What is in it."));
        }
        let packet_type = match context.packet_type {
            Some(known) => Term::known(&[known]),
            None => Term::unknown(1, Rc::new(Doubt::new("meta pkttype", "The destination of its frame."))),
        };
        Self {
            core: Core {
                header,
                mark,
                priority: word(context.priority, "meta priority", "The sending socket's priority."),
                packet_type,
                traced: Term::known(&[0]),
                tracking: Tracking::None,
                untracked: false,
                zone: None,
                rerouted: false,
                touched: Vec::new(),
            },
            trail: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// Notes that this way is taken only if something is so that is not known.
    pub(super) fn suppose(&mut self, doubt: &Rc<Doubt>) {
        if !self.doubts.contains(doubt) {
            self.doubts.push(doubt.clone());
        }
    }
}

/// Makes one of those that go on alike; what they hang on is joined.
pub(super) fn merge<T: PartialEq>(runs: Vec<(Run, T)>) -> Vec<(Run, T)> {
    if runs.len() < 2 {
        return runs;
    }
    let mut merged: Vec<(Run, T)> = Vec::with_capacity(runs.len());
    for (run, flow) in runs {
        match merged.iter_mut().find(|(other, way)| *way == flow && other.core == run.core) {
            Some((other, _)) => {
                run.doubts.iter().for_each(|doubt| other.suppose(doubt));
                join(&mut other.trail, &run.trail);
            }
            None => merged.push((run, flow)),
        }
    }
    merged
}

/// The same of all that became of one: if it is one again, nothing hung on what was doubtful meanwhile.
pub(super) fn collapse<T: PartialEq>(before: &[Rc<Doubt>], runs: Vec<(Run, T)>) -> Vec<(Run, T)> {
    let several = runs.len() > 1;
    let mut merged = merge(runs);
    if let ([(run, _)], true) = (&mut merged[..], several) {
        run.doubts = before.to_vec();
    }
    merged
}

/// One trail of two: what only one of them has may have matched or not. What ends the first stays last.
fn join(trail: &mut Vec<Step>, other: &[Step]) {
    let same = trail.iter().zip(other).take_while(|(a, b)| a == b).count();
    if same == trail.len() && same == other.len() {
        return;
    }
    let place = |step: &Step| (step.table, step.chain, step.rule);
    for step in &mut trail[same..] {
        let twin = other[same..].iter().find(|other| place(other) == place(step));
        if twin != Some(step) {
            step.matched = None;
        }
    }
    let end = trail.pop_if(|step| trail_ends(step.action));
    for step in &other[same..] {
        let is_known = |known: &Step| place(known) == place(step);
        if !trail.iter().skip(same).chain(&end).any(is_known) {
            trail.push(Step { matched: None, ..*step });
        }
    }
    trail.extend(end);
}

/// Whether nothing is met after what does this.
fn trail_ends(action: Action) -> bool {
    matches!(action, Action::Drop | Action::Reject | Action::Send)
}

//! How a packet that does not arrive is made to: changes, each proved by predicting the packet again in a snapshot that has
//! them.
//!
//! What is tried first is what changes least. A way past a firewall is as narrow as the packet, and says which rule it
//! goes past.

mod candidates;
mod change;
mod kernel;
mod sysctl;
#[cfg(test)]
mod tests;
mod words;

use std::collections::VecDeque;

use nslab_snapshot::Snapshot;
use serde::Serialize;

use crate::command::Shell;
use crate::{Cause, Code, Error, Network, Prediction, Question, Verdict, predict};
use candidates::Proposal;
use words::Words;

/// What mends a cause, proved: with all steps done the packet is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// What is to be done, in this order. The first step mends the cause; others mend what the packet would meet after it.
    pub steps: Vec<Step>,
}

/// A step of a fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The cause that it mends.
    pub code: Code,
    /// What it does, a sentence's part.
    pub text: String,
    /// The commands to type.
    pub commands: Vec<String>,
}

impl Fix {
    /// All commands in their order.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().flat_map(|step| &step.commands).map(String::as_str)
    }
}

/// What is looked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Aim {
    /// From where commands are typed.
    pub shell: Shell,
    /// The place of the namespace that the packet is meant for, if that was said rather than an address.
    pub destination: Option<usize>,
}

/// So many predictions are made at most, and so many causes after one another mended.
const MOST_TRIED: usize = 80;
/// So many candidates of one cause are tried: a host may have as many neighbours as it likes.
const MOST_FOR_ONE: usize = 24;
const MOST_STEPS: usize = 5;

/// A network that is mended in part.
struct Attempt {
    snapshot: Snapshot,
    prediction: Prediction,
    proposals: Vec<(Code, Proposal)>,
    /// The causes that were met.
    met: Vec<(Code, usize, String)>,
}

/// Looks for what mends a prediction's cause. None if nothing is found of which that can be proved.
pub fn find(network: &Network<'_>, question: &Question, prediction: &Prediction, aim: &Aim) -> Option<Fix> {
    find_for(network, question, prediction, aim, Goal::Delivered)
}

/// What a fix is to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The packet is delivered.
    Delivered,
    /// It is, or nothing is in its way but that nobody listens there.
    Arrives,
    /// The sender is told that its packet is too big, so that it sends smaller ones.
    Told,
}

/// As [`find`], with another goal.
pub fn find_for(
    network: &Network<'_>,
    question: &Question,
    prediction: &Prediction,
    aim: &Aim,
    goal: Goal,
) -> Option<Fix> {
    let mut tried = 0;
    let mut attempts = VecDeque::from([Attempt {
        snapshot: network.snapshot.clone(),
        prediction: prediction.clone(),
        proposals: Vec::new(),
        met: Vec::new(),
    }]);
    // Fewest causes first: what mends all with one step is better than what uncovers others.
    while let Some(attempt) = attempts.pop_front() {
        let Some(cause) = &attempt.prediction.cause else { continue };
        if attempt.met.len() >= MOST_STEPS {
            continue;
        }
        let now = Network::of(&attempt.snapshot);
        for proposal in
            candidates::of(&now, question, &attempt.prediction, aim).into_iter().take(MOST_FOR_ONE)
        {
            if tried == MOST_TRIED {
                return None;
            }
            let mut snapshot = attempt.snapshot.clone();
            if proposal.iter().try_for_each(|change| change.apply(&mut snapshot)).is_none() {
                continue;
            }
            tried += 1;
            let next = predict(&Network::of(&snapshot), question);
            let mut proposals = attempt.proposals.clone();
            proposals.push((cause.code, proposal));
            if goal.is_met(&next, aim) {
                return Some(pruned(network.snapshot, question, aim, proposals, goal));
            }
            let mut met = attempt.met.clone();
            met.push(key(cause));
            let is_new = next.cause.as_ref().is_some_and(|next| !met.contains(&key(next)));
            if is_new && next.cause.as_ref().is_some_and(|next| next.code != Code::Unmodelled) {
                attempts.push_back(Attempt { snapshot, prediction: next, proposals, met });
            }
        }
    }
    None
}

fn key(cause: &Cause) -> (Code, usize, String) {
    (cause.code, cause.namespace, cause.object.clone())
}

impl Goal {
    fn is_met(self, prediction: &Prediction, aim: &Aim) -> bool {
        let unheard = |code| matches!(code, Code::NoListener | Code::ListenerOtherAddress);
        match self {
            Self::Delivered => arrives(prediction, aim),
            Self::Arrives => {
                arrives(prediction, aim) || prediction.cause.as_ref().is_some_and(|cause| unheard(cause.code))
            }
            Self::Told => {
                let told = prediction.told.map(|told| told.what);
                prediction.verdict == Verdict::Rejected
                    && matches!(told, Some(Error::Icmp { mtu: Some(_), .. }))
            }
        }
    }
}

/// Whether the packet gets to whom it is meant for.
fn arrives(prediction: &Prediction, aim: &Aim) -> bool {
    let end = prediction.hops.last().map(|hop| hop.namespace);
    prediction.verdict == Verdict::Delivered
        && aim.destination.is_none_or(|wanted| end.is_none_or(|end| end == wanted))
}

/// The steps that are needed, in words.
fn pruned(
    start: &Snapshot,
    question: &Question,
    aim: &Aim,
    mut proposals: Vec<(Code, Proposal)>,
    goal: Goal,
) -> Fix {
    let holds = |proposals: &[(Code, Proposal)]| {
        let mut snapshot = start.clone();
        let mut changes = proposals.iter().flat_map(|(_, proposal)| proposal);
        changes.try_for_each(|change| change.apply(&mut snapshot)).is_some()
            && goal.is_met(&predict(&Network::of(&snapshot), question), aim)
    };
    for place in (0..proposals.len()).rev().filter(|_| proposals.len() > 1).collect::<Vec<_>>() {
        let mut fewer = proposals.clone();
        fewer.remove(place);
        if holds(&fewer) {
            proposals = fewer;
        }
    }
    let mut snapshot = start.clone();
    let steps = proposals.iter().map(|(code, proposal)| {
        let (mut texts, mut commands) = (Vec::new(), Vec::new());
        for change in proposal {
            // It was applied before.
            let _ = change.apply(&mut snapshot);
            let words = Words { snapshot: &snapshot, shell: aim.shell };
            texts.push(words.text(change));
            commands.extend(words.commands(change));
        }
        Step { code: *code, text: texts.join(", "), commands }
    });
    Fix { steps: steps.collect() }
}

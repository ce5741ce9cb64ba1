//! What is known of each size.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use nslab_kernel::packet::PacketKind;

use super::probe::Nonce;
use super::read::{self, Found, Marks};
use super::{Fate, Kind, Outcome, Seen, Target, What};
use crate::capture::Sighting;
use crate::ping::SendError;

/// So much is kept of what was seen of one size.
const MOST_SEEN: usize = 256;

#[derive(Debug)]
pub(super) struct Watcher {
    target: Target,
    source: usize,
    destination: Option<usize>,
    nonce: Nonce,
    outcomes: BTreeMap<u32, Outcome>,
    ports: Vec<(u32, u16)>,
}

impl Watcher {
    pub(super) fn new(target: Target, source: usize, destination: Option<usize>, nonce: Nonce) -> Self {
        Self { target, source, destination, nonce, outcomes: BTreeMap::new(), ports: Vec::new() }
    }

    /// A packet was sent, or was not.
    pub(super) fn sent(&mut self, size: u32, sent: Result<Option<u16>, SendError>) {
        let outcome = self.outcomes.entry(size).or_insert_with(|| untold(size));
        match sent {
            Ok(port) => {
                outcome.sent += 1;
                let known = self.ports.iter().any(|(known, _)| *known == size);
                self.ports.extend(port.filter(|_| !known).map(|port| (size, port)));
            }
            Err(error) => outcome.fate = Fate::NotSent(error),
        }
    }

    /// Looks at what passed somewhere.
    pub(super) fn take(&mut self, sighting: &Sighting<'_>) -> ControlFlow<()> {
        let outcomes = &self.outcomes;
        let marks = Marks {
            nonce: self.nonce,
            destination: self.target.destination,
            ports: &self.ports,
            sizes: &|size| outcomes.contains_key(&size),
        };
        if let Some(Found { size, what }) = read::find(&sighting.frame, &marks) {
            let seen = Seen {
                place: sighting.place,
                link: sighting.interface.index,
                interface: sighting.interface.name.clone(),
                outgoing: sighting.frame.kind == PacketKind::Outgoing,
                what,
                time: sighting.frame.time,
            };
            self.note(size, seen);
        }
        ControlFlow::Continue(())
    }

    fn note(&mut self, size: u32, seen: Seen) {
        let (source, destination, target) = (self.source, self.destination, self.target);
        let Some(outcome) = self.outcomes.get_mut(&size) else { return };
        let at_home = seen.place == source && !seen.outgoing;
        let begun = outcome
            .seen
            .iter()
            .rev()
            .find(|one| one.place == source && one.outgoing && matches!(one.what, What::Probe { .. }));
        let passed = Duration::from_nanos(begun.map_or(0, |begun| seen.time.saturating_sub(begun.time)));
        let open = matches!(outcome.fate, Fate::Silent | Fate::Arrived);
        match seen.what {
            What::Answer if at_home && open => outcome.fate = Fate::Answered(passed),
            What::TooBig { from, mtu } if at_home && open => outcome.fate = Fate::TooBig { from, mtu },
            What::Refusal { from, kind, code } if at_home && open => {
                outcome.fate = if is_answer(target, from, kind, code) {
                    Fate::Answered(passed)
                } else {
                    Fate::Refused { from, kind, code }
                };
            }
            What::Probe { .. }
                if Some(seen.place) == destination && !seen.outgoing && outcome.fate == Fate::Silent =>
            {
                outcome.fate = Fate::Arrived;
            }
            _ => {}
        }
        outcome.passes = match outcome.fate {
            Fate::Answered(_) => true,
            Fate::Arrived => matches!(target.kind, Kind::Udp(_)),
            _ => false,
        };
        if outcome.seen.len() < MOST_SEEN {
            outcome.seen.push(seen);
        }
    }

    /// Whether nothing more is to be heard of a size.
    pub(super) fn is_settled(&self, size: u32) -> bool {
        let outcome = self.outcomes.get(&size);
        outcome.is_some_and(|one| one.passes || !matches!(one.fate, Fate::Silent | Fate::Arrived))
    }

    /// How long the slowest answer took.
    pub(super) fn slowest(&self) -> Option<Duration> {
        let times = self.outcomes.values().filter_map(|one| match one.fate {
            Fate::Answered(time) => Some(time),
            _ => None,
        });
        times.max()
    }

    pub(super) fn outcome(&self, size: u32) -> Outcome {
        self.outcomes.get(&size).cloned().unwrap_or_else(|| untold(size))
    }

    pub(super) fn outcomes(self) -> Vec<Outcome> {
        self.outcomes.into_values().collect()
    }
}

fn untold(size: u32) -> Outcome {
    Outcome { size, fate: Fate::Silent, passes: false, sent: 0, seen: Vec::new() }
}

/// That nobody listens on a port (RFC 792, RFC 4443) says that the datagram has come.
fn is_answer(target: Target, from: IpAddr, kind: u8, code: u8) -> bool {
    matches!(target.kind, Kind::Udp(_))
        && from == target.destination
        && (kind, code) == if from.is_ipv6() { (1, 4) } else { (3, 3) }
}

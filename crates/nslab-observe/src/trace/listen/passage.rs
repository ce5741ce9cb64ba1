//! What the kernel tells of rules, by packet.

use std::time::Instant;

use nslab_kernel::nftables::trace::{Checkpoint, TraceEvent, TraceStep};

use super::print::Print;

/// So many unfinished passages of one namespace are kept: as a packet passes, others may, but only a few.
const MOST: usize = 256;

/// A packet at the rules of one namespace: from the hook where it came to be traced on.
#[derive(Debug)]
pub(super) struct Passage {
    pub(super) print: Print,
    /// What is known of its bytes, from the IP header on.
    pub(super) headers: Vec<u8>,
    /// Where it began.
    pub(super) first: Checkpoint,
    /// Of a bridge's rules.
    pub(super) is_bridge: bool,
    pub(super) input: Option<u32>,
    pub(super) events: Vec<TraceEvent>,
}

impl Passage {
    /// The interfaces that it came in by, or is to leave by.
    pub(super) fn links(&self) -> impl Iterator<Item = u32> {
        let packets = self.events.iter().filter_map(|event| event.packet.as_ref());
        packets.flat_map(|packet| [packet.input, packet.output]).flatten()
    }
}

/// Sorts what is told in a namespace by packet.
#[derive(Debug, Default)]
pub(super) struct Passages {
    /// By the kernel's number for the packet, with when there last was something: the oldest first.
    open: Vec<(u32, Instant, Passage)>,
}

impl Passages {
    /// Takes what was told; gives passages that another one of the same number ended.
    pub(super) fn take(&mut self, events: Vec<TraceEvent>, now: Instant, ended: &mut Vec<Passage>) {
        for event in events {
            let at = self.open.iter().position(|(id, ..)| *id == event.id);
            let checkpoint = Checkpoint::of(&event.table, &event.chain);
            let begins = matches!(
                (checkpoint, &event.step),
                (Some(Checkpoint::Reached(_) | Checkpoint::Arrived), TraceStep::Rule { .. })
            );
            if let (Some(first), Some(packet), true) = (checkpoint, &event.packet, begins) {
                let headers = [&packet.network[..], &packet.transport[..]].concat();
                // Who else traces has a table of the same kind: it is told of the same packet at the same hook.
                let is_told = |at: usize| {
                    let passage = &self.open[at].2;
                    let same = |known: &TraceEvent| {
                        known.table != event.table
                            && Checkpoint::of(&known.table, &known.chain) == Some(first)
                    };
                    passage.headers == headers && passage.events.iter().any(same)
                };
                if at.is_some_and(is_told) {
                    continue;
                }
                if let Some(at) = at {
                    ended.push(self.open.remove(at).2);
                }
                let Some(print) = Print::of(&headers) else { continue };
                if self.open.len() >= MOST {
                    ended.push(self.open.remove(0).2);
                }
                let is_bridge = event.table.family == nslab_kernel::nftables::Family::Bridge;
                let (id, input) = (event.id, packet.input);
                let passage = Passage { print, headers, first, is_bridge, input, events: vec![event] };
                self.open.push((id, now, passage));
            } else if let Some(at) = at {
                // Of others' traces there is no beginning.
                self.open[at].1 = now;
                self.open[at].2.events.push(event);
            }
        }
    }

    /// Gives all that there are.
    pub(super) fn all(&mut self, ended: &mut Vec<Passage>) {
        ended.extend(self.open.drain(..).map(|(.., passage)| passage));
    }

    /// Gives those of which nothing more was told since then.
    pub(super) fn settle(&mut self, before: Instant, ended: &mut Vec<Passage>) {
        ended.extend(self.open.extract_if(.., |(_, last, _)| *last < before).map(|(.., passage)| passage));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nslab_kernel::nftables::trace::TracePacket;
    use nslab_kernel::nftables::{Data, Family, Hook, Policy, TableId, Verdict};

    use super::*;

    fn event(table: &str, chain: &str, step: TraceStep, number: Option<u8>) -> TraceEvent {
        let packet = number.map(|number| TracePacket {
            protocol: 2,
            network: Data::from(vec![
                0x45, 0, 0, 28, 0, number, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
            ]),
            transport: Data::from(vec![0, 7, 0, 7, 0, 8, 0, 0]),
            ..TracePacket::default()
        });
        let table = TableId::new(Family::Inet, table);
        TraceEvent { id: 5, table, chain: chain.into(), step, mark: 0, packet }
    }

    #[test]
    fn a_number_that_comes_again_is_another_packet() {
        let own = "nslab-trace-1-0";
        let go_on = || TraceStep::Rule { handle: 1, verdict: Verdict::Continue };
        let accept = || TraceStep::Policy(Policy::Accept);
        let mut passages = Passages::default();
        let mut ended = Vec::new();
        let now = Instant::now();
        let events = vec![
            // Somebody else's.
            event("fw", "input", accept(), Some(9)),
            event(own, "reached-prerouting", go_on(), Some(1)),
            event("fw", "input", accept(), Some(1)),
            event(own, "passed-input", accept(), Some(1)),
            event(own, "reached-output", go_on(), Some(2)),
        ];
        passages.take(events, now, &mut ended);
        assert_eq!(ended.len(), 1);
        assert_eq!((ended[0].events.len(), ended[0].first), (3, Checkpoint::Reached(Hook::Prerouting)));
        passages.settle(now, &mut ended);
        assert_eq!(ended.len(), 1);
        passages.settle(now + Duration::from_millis(1), &mut ended);
        assert_eq!((ended.len(), ended[1].first), (2, Checkpoint::Reached(Hook::Output)));
        assert_ne!(ended[0].print.key, ended[1].print.key);
    }

    #[test]
    fn who_else_traces_does_not_make_two_of_one() {
        let go_on = || TraceStep::Rule { handle: 1, verdict: Verdict::Continue };
        let mut passages = Passages::default();
        let mut ended = Vec::new();
        let now = Instant::now();
        let events = vec![
            event("nslab-trace-2-0", "reached-prerouting", go_on(), Some(1)),
            event("nslab-trace-1-0", "reached-prerouting", go_on(), Some(1)),
            event("nslab-trace-1-0", "passed-input", TraceStep::Policy(Policy::Accept), Some(1)),
            // The same number again, of the same packet sent once more.
            event("nslab-trace-2-0", "reached-prerouting", go_on(), Some(1)),
        ];
        passages.take(events, now, &mut ended);
        assert_eq!((ended.len(), ended[0].events.len()), (1, 2));
    }
}

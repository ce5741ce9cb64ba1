//! When to stop waiting for an answer.

use std::time::{Duration, Instant};

use super::Worker;
use crate::Result;
use crate::ping::Event;
use crate::ping::outcome::Cause;
use crate::ping::port::{Attempt, State};

/// The kernel asks for a neighbour again after this (`net.ipv4.neigh.*.retrans_time_ms`), three times in all. To give up
/// in the very moment in which it does would let one lost question look like a host that is not there …
const ASKS_AGAIN: Duration = Duration::from_secs(1);
/// … so a request that waits for that, and would be given up then, is given this much longer.
const OVERTIME: Duration = Duration::from_millis(250);

impl Worker<'_> {
    /// Gives up what waited long enough, and tries again what found no room.
    pub(super) fn expire(&mut self, now: Instant) -> Result<()> {
        while let Some(&(deadline, place, number)) = self.deadlines.front() {
            let Some(sent) = self.ports[place].waiting(number) else {
                self.deadlines.pop_front();
                continue;
            };
            if deadline > now {
                break;
            }
            self.deadlines.pop_front();
            let attempt = sent.attempt;
            let link = self.unresolved.link(self.job, attempt.probe, now)?;
            if link.is_some() && self.job.options.timeout >= ASKS_AGAIN {
                self.overtime.push_back((deadline + OVERTIME, place, number));
            } else {
                sent.state = State::Closed;
                self.give_up(attempt, link)?;
            }
        }
        while let Some(&(deadline, place, number)) = self.overtime.front()
            && deadline <= now
        {
            self.overtime.pop_front();
            if let Some(sent) = self.ports[place].waiting(number) {
                sent.state = State::Closed;
                let attempt = sent.attempt;
                let link = self.unresolved.link(self.job, attempt.probe, now)?;
                self.give_up(attempt, link)?;
            }
        }
        while let Some(&(due, give_up, attempt)) = self.retries.front()
            && due <= now
        {
            self.retries.pop_front();
            self.send(attempt, Some(give_up))?;
        }
        Ok(())
    }

    fn give_up(&mut self, attempt: Attempt, unresolved: Option<u32>) -> Result<()> {
        self.open_requests -= 1;
        if let Some(open) = self.probes.get_mut(&attempt.probe) {
            open.waiting -= 1;
        }
        if let Some(link) = unresolved {
            return self.fail(attempt, Cause::Unresolved { link });
        }
        self.report.events.push(Event::Silence { probe: attempt.probe as usize, sequence: attempt.sequence });
        self.finish_if_done(attempt.probe)
    }
}

//! Sightings, hooks and what else happened in one order.

use std::time::Duration;

use nslab_kernel::nftables::{Family, Hook};

use super::{Event, Visit, What};

/// Puts hooks, which have no times, between the sightings of their namespaces. `timed` are in the order of time; `visits` are by
/// place, each in its order.
///
/// A packet comes in at an interface, passes prerouting, then input or forward, postrouting, and goes out by an interface;
/// so each hook has a sighting that it comes after or before. Within a namespace the order of hooks is kept.
pub(super) fn merge(timed: Vec<Event>, visits: Vec<(usize, Vec<Visit>)>) -> Vec<Event> {
    // Where each stands: after (1) or before (−1) a sighting, by its number.
    let mut all: Vec<((usize, i8, usize), Event)> = Vec::new();
    let mut serial = 0;
    for (place, visits) in visits {
        let mut least = (0, -1);
        let mut last = None;
        for visit in visits {
            let follows = last == Some(visit.role);
            let at = position(&timed, place, &visit, least, follows);
            least = at;
            last = Some(visit.role);
            serial += 1;
            all.push(((at.0, at.1, serial), Event { place, at: None, what: What::Hook(visit) }));
        }
    }
    all.extend(timed.into_iter().enumerate().map(|(number, event)| ((number, 0, 0), event)));
    all.sort_by_key(|(key, _)| *key);
    all.into_iter().map(|(_, event)| event).collect()
}

/// Where a hook stands, not before `least`, at which the one before it stands; whether it `follows` that, as of the same packet.
fn position(timed: &[Event], place: usize, visit: &Visit, least: (usize, i8), follows: bool) -> (usize, i8) {
    // To a bridge's port all is for others.
    let is_bridge = visit.family == Family::Bridge;
    let find = |link: Option<u32>, sent: bool| {
        let begin = least.0;
        timed.iter().enumerate().skip(begin).find_map(|(number, event)| match &event.what {
            What::Seen(seen)
                if event.place == place && Some(seen.link) == link && seen.role == visit.role =>
            {
                (seen.sent == sent && (is_bridge || !seen.for_others) && !seen.in_tunnel).then_some(number)
            }
            _ => None,
        })
    };
    let after = |number: usize| (number, 1);
    let before = |number: usize| (number, -1);
    let found = match visit.hook {
        Some(Hook::Prerouting | Hook::Input) => find(visit.input, false).map(after),
        // What goes out by lo is seen as it comes in again.
        Some(Hook::Output | Hook::Postrouting) => {
            find(visit.output, true).or_else(|| find(visit.output, false)).map(before)
        }
        Some(Hook::Forward) => {
            find(visit.input, false).map(after).or_else(|| find(visit.output, true).map(before))
        }
        _ => None,
    };
    // What was found may be the sighting that an earlier hook stands after already.
    found.unwrap_or_else(|| fallback(timed, place, visit, least, follows)).max(least)
}

/// Of what was not seen at its interface: after the last of its kind that was seen in the namespace.
fn fallback(timed: &[Event], place: usize, visit: &Visit, least: (usize, i8), follows: bool) -> (usize, i8) {
    if follows {
        // What a bridge's own interface sends is a frame on the bridge only then.
        let is_sent = |event: &Event| {
            event.place == place
                && matches!(&event.what, What::Seen(seen) if seen.sent && seen.role == visit.role)
        };
        let is_own = visit.family == Family::Bridge && least.1 < 0 && timed.get(least.0).is_some_and(is_sent);
        return if is_own { (least.0, 1) } else { least };
    }
    let is_made_here = matches!(visit.hook, Some(Hook::Output));
    let same = |event: &Event| event.place == place && event.role() == Some(visit.role);
    let after = timed.iter().skip(least.0).position(same).map(|number| least.0 + number);
    match after {
        None if least != (0, -1) => least,
        Some(number) if !is_made_here => (number, 1),
        Some(number) => (number, -1),
        // Made and ended here, so that nothing was seen of it. What it answers came before.
        None => {
            let last = timed.iter().rposition(|event| event.place == place && event.role().is_some());
            last.map_or((0, -1), |number| (number, 1))
        }
    }
}

/// When something was, by two times of day in nanoseconds.
pub(super) fn since(begin: u64, time: u64) -> Duration {
    Duration::from_nanos(time.saturating_sub(begin))
}

#[cfg(test)]
mod tests {
    use super::super::examples::{self, flow};
    use super::super::{Role, Seen, VisitEnd};
    use super::*;

    fn seen(place: usize, link: u32, sent: bool, at: u64) -> Event {
        Event { place, at: Some(since(0, at)), what: What::Seen(examples::seen(link, sent)) }
    }

    fn visit(hook: Hook, input: Option<u32>, output: Option<u32>) -> Visit {
        Visit {
            role: Role::Request,
            family: Family::Inet,
            hook: Some(hook),
            input,
            output,
            flow: flow(),
            steps: Vec::new(),
            end: VisitEnd::Passed,
        }
    }

    fn words(events: &[Event]) -> Vec<String> {
        let one = |event: &Event| match &event.what {
            What::Seen(seen) => format!("{} {}{}", event.place, if seen.sent { ">" } else { "<" }, seen.link),
            What::Hook(visit) => format!("{} {}", event.place, visit.hook.unwrap()),
            _ => String::new(),
        };
        events.iter().map(one).collect()
    }

    #[test]
    fn hooks_stand_between_the_interfaces() {
        let timed =
            vec![seen(0, 2, true, 1), seen(1, 2, false, 2), seen(1, 3, true, 3), seen(2, 2, false, 4)];
        let sender = vec![visit(Hook::Output, None, Some(2)), visit(Hook::Postrouting, None, Some(2))];
        let router = vec![
            visit(Hook::Prerouting, Some(2), None),
            visit(Hook::Forward, Some(2), Some(3)),
            visit(Hook::Postrouting, Some(2), Some(3)),
        ];
        let receiver = vec![visit(Hook::Prerouting, Some(2), None), visit(Hook::Input, Some(2), None)];
        let merged = merge(timed, vec![(0, sender), (1, router), (2, receiver)]);
        assert_eq!(
            words(&merged),
            [
                "0 output",
                "0 postrouting",
                "0 >2",
                "1 <2",
                "1 prerouting",
                "1 forward",
                "1 postrouting",
                "1 >3",
                "2 <2",
                "2 prerouting",
                "2 input"
            ]
        );
    }

    #[test]
    fn what_is_dropped_where_it_is_made_comes_first() {
        let merged = merge(Vec::new(), vec![(0, vec![visit(Hook::Output, None, Some(2))])]);
        assert_eq!(words(&merged), ["0 output"]);
    }

    #[test]
    fn bridged_answers_do_not_follow_on_requests() {
        let answer = |event: Event| {
            let What::Seen(seen) = event.what else { return event };
            Event { what: What::Seen(Seen { role: Role::Answer, for_others: true, ..seen }), ..event }
        };
        // A bridge in 1; iptables sees what it passes on at the bridge itself, 9, where nothing is seen.
        let timed = vec![
            seen(1, 2, false, 1),
            seen(1, 3, true, 2),
            seen(2, 2, false, 3),
            answer(seen(1, 3, false, 4)),
            answer(seen(1, 2, true, 5)),
        ];
        let visits = vec![
            visit(Hook::Prerouting, Some(9), None),
            Visit { role: Role::Answer, ..visit(Hook::Prerouting, Some(9), None) },
            Visit { role: Role::Answer, family: Family::Bridge, ..visit(Hook::Forward, Some(3), Some(2)) },
        ];
        let merged = merge(timed, vec![(1, visits)]);
        assert_eq!(
            words(&merged),
            ["1 <2", "1 prerouting", "1 >3", "2 <2", "1 <3", "1 prerouting", "1 forward", "1 >2"]
        );
    }

    #[test]
    fn what_a_bridge_sends_itself_is_on_the_bridge_after_that() {
        // Routed to a bridge, 9, and dropped on its way to port 3.
        let timed = vec![seen(0, 2, false, 1), seen(0, 9, true, 2)];
        let visits = vec![
            visit(Hook::Prerouting, Some(2), None),
            visit(Hook::Postrouting, None, Some(9)),
            Visit { family: Family::Bridge, ..visit(Hook::Output, None, Some(3)) },
            Visit { family: Family::Bridge, ..visit(Hook::Postrouting, None, Some(3)) },
        ];
        let merged = merge(timed, vec![(0, visits)]);
        assert_eq!(
            words(&merged),
            ["0 <2", "0 prerouting", "0 postrouting", "0 >9", "0 output", "0 postrouting"]
        );
    }

    #[test]
    fn what_comes_back_by_the_interface_keeps_its_order() {
        // In by 2 and out by 2 again.
        let timed = vec![seen(1, 2, false, 2), seen(1, 2, true, 3), seen(1, 2, false, 4)];
        let router = vec![
            visit(Hook::Prerouting, Some(2), None),
            visit(Hook::Forward, Some(2), Some(2)),
            visit(Hook::Postrouting, Some(2), Some(2)),
            visit(Hook::Prerouting, Some(2), None),
        ];
        let merged = merge(timed, vec![(1, router)]);
        assert_eq!(
            words(&merged),
            ["1 <2", "1 prerouting", "1 forward", "1 postrouting", "1 >2", "1 <2", "1 prerouting"]
        );
    }
}

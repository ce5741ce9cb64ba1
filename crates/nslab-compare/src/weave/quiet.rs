//! Steps that are no sighting of an interface or rule, and by what they show all the same.

use std::time::Duration;

use nslab_decode::{Flow, Points};
use nslab_kernel::link::IfIndex;
use nslab_kernel::nftables::{Family, Hook};
use nslab_observe::trace::{Role, VisitEnd, What};
use nslab_predict::{Action, Hop};
use nslab_view::TraceSight as Sight;

use super::{By, Weaver};

impl Weaver<'_> {
    /// What is no sighting of an interface or rule; seen if something shows it.
    pub(super) fn quiet(&self, number: usize, hop: &Hop) -> (Sight, Option<Duration>, Option<By>) {
        let silent = (Sight::Silent, None, None);
        let seen = |by| (Sight::Seen, None, Some(by));
        match hop.action {
            Action::Make if self.role == Role::Request => {
                let sight = if self.known.refused { Sight::Silent } else { Sight::Seen };
                (sight, Some(Duration::ZERO), Some(By::Socket))
            }
            // Of one that goes nowhere nothing can be seen.
            Action::Make if self.known.made => seen(By::Packets),
            Action::Route if self.is_routed(number, hop) => seen(By::Rules),
            Action::Resolve => {
                let target = hop.object.parse().ok();
                let found = self.neighbours.iter().find(|(namespace, _, one)| {
                    *namespace == hop.namespace && Some(one.target) == target && one.mac.is_some()
                });
                found.map_or(silent, |(_, at, _)| (Sight::Seen, *at, Some(By::Packets)))
            }
            Action::Change => self.is_changed(number, hop),
            Action::Deliver if self.role != Role::Request && self.known.heard => seen(By::Socket),
            Action::Deliver if self.role != Role::Request => (Sight::Missing, None, None),
            Action::Deliver => {
                let passed = (0..self.own.len()).any(|number| {
                    self.visit(number).is_some_and(|(namespace, visit)| {
                        namespace == hop.namespace
                            && visit.family != Family::Bridge
                            && visit.hook == Some(Hook::Input)
                            && visit.end == VisitEnd::Passed
                    })
                });
                let looked = self.known.traced.contains(&hop.namespace) && !self.is_cut();
                match (passed, self.known.answered) {
                    (true, _) => seen(By::Rules),
                    (false, true) => seen(By::Packets),
                    (false, false) if looked => (Sight::Missing, None, None),
                    (false, false) => silent,
                }
            }
            _ => silent,
        }
    }

    /// Whether it was seen in pieces.
    pub(super) fn is_cut(&self) -> bool {
        (0..self.own.len())
            .any(|number| self.seen(number).is_some_and(|(_, seen, _)| seen.fragment.is_some()))
    }

    /// Whether a hook shows that the route was taken: by the interface that it leaves by, or that it is for this namespace.
    fn is_routed(&self, number: usize, hop: &Hop) -> bool {
        let of_namespace = |later: &&Hop| later.namespace == hop.namespace;
        let next =
            self.hops[number + 1..].iter().take_while(of_namespace).find_map(|later| match later.action {
                Action::Send => Some(later.link),
                Action::Deliver => Some(None),
                _ => None,
            });
        // Of a packet that ends here the route's words tell the interface.
        let named = |link: IfIndex| {
            let name = nslab_view::link_name(self.known.snapshot, hop.namespace, link);
            name.is_some_and(|name| hop.object.split(' ').any(|word| word == name))
        };
        (0..self.own.len()).any(|number| {
            self.visit(number).is_some_and(|(namespace, visit)| {
                namespace == hop.namespace
                    && match next {
                        Some(Some(link)) => visit.output == Some(link),
                        Some(None) => visit.hook == Some(Hook::Input),
                        None => visit.output.is_some_and(named),
                    }
            })
        })
    }

    /// Whether a change of addresses shows in what was seen next.
    fn is_changed(&self, number: usize, hop: &Hop) -> (Sight, Option<Duration>, Option<By>) {
        let flows: Vec<Flow> = (0..self.own.len())
            .filter_map(|number| match &self.own[number].1.what {
                What::Seen(seen) => Some(seen.flow),
                What::Hook(visit) => Some(visit.flow),
                _ => None,
            })
            .collect();
        let mut compared = false;
        for part in hop.detail.split(", ") {
            let Some((before, after)) = part.split_once(" → ") else { continue };
            let is_source = before.starts_with("source ");
            if !is_source && !before.starts_with("destination ") {
                continue;
            }
            compared = true;
            if !flows.iter().any(|flow| end(flow, is_source) == after) {
                // Nothing shows it of what ends there.
                let at_interface = |later: &Hop| {
                    matches!(later.action, Action::Send | Action::Receive)
                        && self.known.is_seen_at(later.namespace, later.link)
                };
                let shows = self.hops[number + 1..].iter().any(at_interface);
                return (if shows { Sight::Missing } else { Sight::Silent }, None, None);
            }
        }
        if compared { (Sight::Seen, None, Some(By::Packets)) } else { (Sight::Silent, None, None) }
    }
}

/// One end of a flow: address, and port if there is one.
fn end(flow: &Flow, source: bool) -> String {
    let address = if source { flow.source } else { flow.destination };
    let Points::Ports { source: from, destination: to } = flow.points else { return address.to_string() };
    let port = if source { from } else { to };
    if address.is_ipv6() { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// Between whom.
pub(crate) fn flow(flow: &Flow) -> String {
    format!("{} → {}", end(flow, true), end(flow, false))
}

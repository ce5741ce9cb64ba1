//! What makes every description a lab file that loads: what the lab file's own checks refuse is taken out and told of.

use std::collections::BTreeMap;

use nslab_topology::lab::{End, InterfaceKind, Lab, Nft};
use nslab_topology::{Diagnostics, Severity, Span, Spanned, Topology, resolve};

use crate::draft::Draft;

/// How often to look again at most: what goes may take others with it, and each round takes something out.
const ROUNDS: usize = 64;

/// Takes out what a lab cannot have, until it can be resolved.
pub(crate) fn settle(draft: &mut Draft<'_>) -> Result<Topology, Diagnostics> {
    let mut round = 0;
    loop {
        let wrong = match resolve(&draft.lab) {
            Ok(resolved) => return Ok(resolved.topology),
            Err(wrong) => wrong,
        };
        // By place, of each the first.
        let mut found: BTreeMap<Span, String> = BTreeMap::new();
        for error in wrong.list.iter().filter(|one| one.severity == Severity::Error) {
            if let Some(span) = error.span() {
                found.entry(span).or_insert_with(|| error.message.clone());
            }
        }
        let mut any = false;
        for (span, why) in found {
            if take_out(&mut draft.lab, span) {
                draft.skip_thing(span, &format!("a lab file does not allow it: {why}"));
                any = true;
            }
        }
        round += 1;
        if !any || round == ROUNDS {
            return Err(wrong);
        }
    }
}

/// Takes out what stands at a place; false if nothing does.
fn take_out(lab: &mut Lab, place: Span) -> bool {
    let mut took = Took { place, any: false };
    took.list(&mut lab.nodes, |node| node.name.span);
    took.list(&mut lab.switches, |switch| switch.name.span);
    took.list(&mut lab.links, |link| link.ends[0].interface.as_ref().and_then(|name| name.span));
    for end in lab.links.iter_mut().flat_map(|link| &mut link.ends) {
        took.end(end);
    }
    for link in &mut lab.links {
        took.option(&mut link.mtu);
    }
    for switch in &mut lab.switches {
        took.list(&mut switch.fdb, |entry| entry.span);
    }
    for node in &mut lab.nodes {
        took.list(&mut node.sysctls, |(key, _)| key.span);
        took.list(&mut node.addresses, |own| own.span);
        took.list(&mut node.routes, |route| route.span);
        took.list(&mut node.rules, |rule| rule.span);
        took.list(&mut node.neighbours, |neighbour| neighbour.span);
        took.list(&mut node.interfaces, |one| one.end.interface.as_ref().and_then(|name| name.span));
        took.list(&mut node.policy.nft, |nft| match nft {
            Nft::Text { text, .. } => text.span,
            Nft::File { path, .. } => path.span,
        });
        for interface in &mut node.interfaces {
            took.end(&mut interface.end);
            match &mut interface.kind {
                InterfaceKind::Bridge { members, .. }
                | InterfaceKind::Bond { members, .. }
                | InterfaceKind::Vrf { members, .. } => took.list(members, |member| member.span),
                _ => {}
            }
        }
    }
    took.any
}

struct Took {
    place: Span,
    any: bool,
}

impl Took {
    fn list<T>(&mut self, list: &mut Vec<T>, place: impl Fn(&T) -> Option<Span>) {
        let before = list.len();
        list.retain(|one| place(one) != Some(self.place));
        self.any |= list.len() != before;
    }

    fn option<T>(&mut self, option: &mut Option<Spanned<T>>) {
        self.any |= option.take_if(|one| one.span == Some(self.place)).is_some();
    }

    fn end(&mut self, end: &mut End) {
        if let Some(addresses) = &mut end.addresses {
            self.list(addresses, |own| own.span);
        }
        self.option(&mut end.mac);
        self.option(&mut end.mtu);
    }
}

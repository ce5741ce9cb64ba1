//! Tying the ends of links together across namespaces.
//!
//! A link tells the number of its other end and, by a number of its own namespace's, where that is (`IFLA_LINK`,
//! `IFLA_LINK_NETNSID`). Which namespace such a number means can only be asked the other way round: which number has this
//! one ([`nsid`]). So each is asked about the likely ones first: those where a link of the right number points back.

use std::collections::HashMap;

use nslab_kernel::link::{IfIndex, LinkKind};
use nslab_kernel::nsid;

use crate::error::Result;
use crate::read::Opened;
use crate::{Contents, Namespace, Peer, State, Where};

/// Fills in [`State::peers`] of all.
pub(crate) fn tie(namespaces: &mut [Namespace], opened: &mut [Option<Opened>]) -> Result<()> {
    let mut by_ends: HashMap<(IfIndex, IfIndex), Vec<usize>> = HashMap::new();
    for (place, namespace) in namespaces.iter().enumerate() {
        for link in namespace.state().iter().flat_map(|state| &state.network.links) {
            if let Some(lower) = link.lower.filter(|_| link.is_veth()) {
                by_ends.entry((link.index, lower)).or_default().push(place);
            }
        }
    }
    let everywhere: Vec<usize> = (0..namespaces.len()).collect();
    for (place, namespace) in namespaces.iter_mut().enumerate() {
        if let Contents::State(state) = &mut namespace.contents {
            state.peers = of_one(place, state, &by_ends, &everywhere, opened)?;
        }
    }
    Ok(())
}

fn of_one(
    place: usize,
    state: &State,
    by_ends: &HashMap<(IfIndex, IfIndex), Vec<usize>>,
    everywhere: &[usize],
    opened: &mut [Option<Opened>],
) -> Result<Vec<Peer>> {
    let mut known = Numbers::default();
    let mut peers = Vec::new();
    for link in &state.network.links {
        let of_tunnel = match &link.kind {
            Some(LinkKind::Vxlan(vxlan)) => vxlan.lower,
            _ => None,
        };
        let Some(lower) = link.lower.or(of_tunnel) else {
            // A tunnel that lies on no link in particular may be carried by another namespace all the same.
            if let Some(number) = link.lower_nsid {
                let namespace = known.find(place, number, &[], everywhere, opened)?;
                peers.push(Peer { link: link.index, namespace, lower: 0 });
            }
            continue;
        };
        let namespace = match link.lower_nsid {
            None => Where::Namespace(place),
            Some(number) => {
                let likely = by_ends.get(&(lower, link.index)).map_or(&[][..], |places| places);
                known.find(place, number, likely, everywhere, opened)?
            }
        };
        peers.push(Peer { link: link.index, namespace, lower });
    }
    Ok(peers)
}

/// What is known of the numbers that one namespace has for others.
#[derive(Default)]
struct Numbers {
    /// Where a number leads.
    found: HashMap<i32, Where>,
    /// Which namespaces were asked about, and their numbers.
    asked: HashMap<usize, Option<i32>>,
}

impl Numbers {
    fn find(
        &mut self,
        place: usize,
        number: i32,
        likely: &[usize],
        everywhere: &[usize],
        opened: &mut [Option<Opened>],
    ) -> Result<Where> {
        for &other in likely.iter().chain(everywhere) {
            if let Some(&known) = self.found.get(&number) {
                return Ok(known);
            }
            if self.asked.contains_key(&other) {
                continue;
            }
            let Some(namespace) =
                opened[other].as_ref().map(|opened| opened.namespace.duplicate()).transpose()?
            else {
                continue;
            };
            let Some(own) = &mut opened[place] else { continue };
            let answer = nsid::get(&mut own.socket, &namespace)?;
            self.asked.insert(other, answer);
            if let Some(answer) = answer {
                self.found.insert(answer, Where::Namespace(other));
            }
        }
        Ok(*self.found.entry(number).or_insert(Where::Unseen))
    }
}

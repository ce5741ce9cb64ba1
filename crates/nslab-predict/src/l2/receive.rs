//! Frames that come in (`__netif_receive_skb_core`, `net/core/dev.c`).

use nslab_kernel::link::{Link, LinkKind, MacvlanMode};
use nslab_kernel::nftables::Family;
use nslab_kernel::qdisc::Handle;
use nslab_snapshot::{ProgramAt, State};

use super::{Did, Frame, Left, Lost, MOST_HOPS, Outcome, Passage, Port, Walk};
use crate::Doubt;

impl Walk<'_> {
    /// An interface gets a frame.
    pub(super) fn receive(&mut self, at: Port, passage: &Passage) {
        let Some((state, link)) = self.look(at) else {
            return self.end(at, Outcome::Left(Left::Unseen), passage);
        };
        // In a circle of bridges it comes by again and again, in ever more copies, and to nobody new.
        if passage.hops.len() >= MOST_HOPS || !self.seen.insert((at, passage.frame.vlan)) {
            return self.lose(at, Lost::Loop, passage);
        }
        if !link.up {
            return self.lose(at, Lost::Down, passage);
        }
        let mut passage = passage.after(at, Did::Received);
        passage.doubts.extend(entrance_doubts(state, link));
        // A tag is looked at before whoever else has a claim on the interface.
        if let Some(vlan) = passage.frame.vlan {
            let above = self.wiring.above(at);
            let is_its = |port: &&Port| {
                let upper = self.look(**port).and_then(|(_, upper)| upper.kind.as_ref());
                matches!(upper, Some(LinkKind::Vlan(kind)) if kind.id == vlan)
            };
            if let Some(&upper) = above.iter().find(is_its) {
                let frame = Frame { vlan: None, ..passage.frame };
                return self.receive(upper, &passage.with_frame(frame));
            }
        }
        match link.master.and_then(|master| state.link(master)) {
            Some(master) => match &master.kind {
                Some(LinkKind::Bridge(_)) => return self.bridge_receives(at, state, link, master, &passage),
                Some(LinkKind::Bond(_)) => {
                    passage.doubts.push(Doubt::new(
                        format!("whether the bond {} takes packets from {}", master.name, link.name),
                        format!("look at /proc/net/bonding/{}", master.name),
                    ));
                    let master = Port { namespace: at.namespace, link: master.index };
                    return self.receive(master, &passage);
                }
                _ => {}
            },
            None => {
                if self.uppers_take(at, &passage) {
                    return;
                }
            }
        }
        self.take(at, link, &passage);
    }

    /// Hands a frame to what lies on an interface (`macvlan_handle_frame`, `drivers/net/macvlan.c`). Whether it was for
    /// one of those alone.
    fn uppers_take(&mut self, at: Port, passage: &Passage) -> bool {
        let uppers: Vec<(Port, &State, &Link)> = self
            .wiring
            .above(at)
            .iter()
            .filter_map(|&upper| {
                let (state, link) = self.look(upper)?;
                Some((upper, state, link))
            })
            .collect();
        // Only one kind can have a claim on an interface (`netdev_rx_handler_register`).
        if let Some(took) = self.ipvlans_take(at, &uppers, passage) {
            return took;
        }
        let mode = |link: &Link| match &link.kind {
            Some(LinkKind::Macvlan(macvlan)) => Some(macvlan.mode),
            _ => None,
        };
        // One that says it is from a macvlan here came back, from a switch that sends frames back where they came from.
        let origin =
            uppers.iter().find(|(_, _, link)| mode(link).is_some() && link.mac == Some(passage.frame.source));
        let from = origin.and_then(|(_, _, link)| mode(link));
        if passage.frame.is_for_a_group() {
            for (upper, state, link) in &uppers {
                let is_origin = origin.is_some_and(|(origin, _, _)| origin == upper);
                let takes = match (from, mode(link)) {
                    (_, None) => false,
                    (None, Some(_)) => true,
                    (Some(MacvlanMode::Vepa), Some(own)) => {
                        !is_origin && matches!(own, MacvlanMode::Vepa | MacvlanMode::Bridge)
                    }
                    (Some(MacvlanMode::Bridge), Some(own)) => !is_origin && own == MacvlanMode::Vepa,
                    (Some(_), Some(_)) => is_origin,
                };
                if takes {
                    self.macvlan_takes(*upper, state, link, passage);
                }
            }
            return matches!(from, Some(MacvlanMode::Private | MacvlanMode::Passthru | MacvlanMode::Source));
        }
        for (upper, state, link) in &uppers {
            match mode(link) {
                Some(MacvlanMode::Passthru) => {
                    self.receive(*upper, passage);
                    return true;
                }
                Some(MacvlanMode::Source) | None => {}
                Some(_) => {
                    if self.macvlan_takes(*upper, state, link, passage) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// The network layer's turn.
    pub(super) fn take(&mut self, at: Port, link: &Link, passage: &Passage) {
        let frame = &passage.frame;
        match frame.vlan {
            // Priority tags belong to no VLAN.
            Some(vlan) if vlan != 0 => self.lose(at, Lost::NoVlan(vlan), passage),
            _ if frame.is_for_a_group() || link.mac == Some(frame.destination) || link.loopback => {
                self.end(at, Outcome::Taken, passage);
            }
            _ => self.lose(at, Lost::OtherAddress, passage),
        }
    }
}

/// What may become of a frame before anybody else sees it.
fn entrance_doubts(state: &State, link: &Link) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if let Some(program) = link.xdp {
        doubts.push(Doubt::new(
            format!("the XDP program {program} on {}", link.name),
            format!("look at it with `bpftool prog show id {program}`"),
        ));
    }
    for program in programs(state, ProgramAt::Ingress { link: link.index }) {
        doubts.push(Doubt::new(
            format!("the BPF program {program} at the way in of {} (TCX)", link.name),
            format!("look at it with `bpftool prog show id {program}`"),
        ));
    }
    let comes_in = |parent| matches!(parent, Handle::INGRESS | Handle::INGRESS_FILTERS);
    let mut filters = state.network.queues.filters.iter();
    if filters.any(|filter| filter.link == link.index && comes_in(filter.parent)) {
        doubts.push(Doubt::new(
            format!("the tc filters at the way in of {}", link.name),
            format!("look at them with `tc filter show dev {} ingress`", link.name),
        ));
    }
    let netdev = state.nftables.tables.iter().filter(|table| table.id.family == Family::Netdev);
    for chain in netdev.flat_map(|table| &table.chains) {
        let devices = chain.base.as_ref().map_or(&[][..], |base| &base.devices);
        if devices.iter().any(|device| link.answers_to(device)) {
            doubts.push(Doubt::new(
                format!("the netdev chain {} of nftables on {}", chain.name, link.name),
                "look at its counters",
            ));
        }
    }
    doubts
}

/// The numbers of the BPF programs at a place.
pub(crate) fn programs(state: &State, at: ProgramAt) -> impl Iterator<Item = u32> + '_ {
    state.programs.iter().filter(move |program| program.at == at).map(|program| program.number)
}

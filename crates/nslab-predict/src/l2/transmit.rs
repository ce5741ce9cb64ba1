//! Frames that go out (`dev_queue_xmit` and the drivers' `ndo_start_xmit`).

use nslab_kernel::link::{Link, LinkKind, MacvlanMode};
use nslab_kernel::qdisc::{Handle, QdiscKind, Share};
use nslab_snapshot::{ProgramAt, State, Where};

use super::receive::programs;
use super::{Did, Frame, Left, Lost, MOST_HOPS, Outcome, Passage, Port, Walk};
use crate::Doubt;

/// So many bytes more than the MTU are let through, for a VLAN's tag (`__is_skb_forwardable`, `net/core/dev.c`).
const VLAN_HEADER: u32 = 4;

/// Whether a frame is too long to be handed to an interface.
pub(super) fn too_long(link: &Link, frame: &Frame) -> Option<Lost> {
    let too_long = frame.size > link.mtu.saturating_add(VLAN_HEADER);
    too_long.then_some(Lost::TooLong { size: frame.size, mtu: link.mtu })
}

impl Walk<'_> {
    /// An interface sends.
    pub(super) fn transmit(&mut self, at: Port, passage: &Passage) {
        let Some((state, link)) = self.look(at) else {
            return self.end(at, Outcome::Left(Left::Unseen), passage);
        };
        if passage.hops.len() >= MOST_HOPS {
            return self.lose(at, Lost::Loop, passage);
        }
        if !link.up {
            return self.lose(at, Lost::Down, passage);
        }
        if !link.carrier {
            return self.lose(at, Lost::NoCarrier, passage);
        }
        let mut qdiscs = state.network.queues.qdiscs.iter().filter(|qdisc| qdisc.link == link.index);
        if qdiscs.any(|qdisc| qdisc.parent == Handle::ROOT && qdisc.kind == QdiscKind::Blackhole) {
            return self.lose(at, Lost::Queue, passage);
        }
        let mut passage = passage.after(at, Did::Sent);
        passage.doubts.extend(queue_doubts(state, link));
        match &link.kind {
            None if link.loopback => self.receive(at, &passage),
            None => self.end(at, Outcome::Left(Left::Hardware), &passage),
            Some(LinkKind::Veth(_)) => self.cross(at, state, link, &passage),
            Some(LinkKind::Bridge(_)) => self.bridge_sends(at, state, link, &passage),
            Some(LinkKind::Vlan(vlan)) => {
                if passage.frame.vlan.is_some() {
                    passage
                        .doubts
                        .push(Doubt::new("a VLAN in a VLAN", "send one and look at the lower interface"));
                }
                let frame = Frame { vlan: Some(vlan.id), ..passage.frame };
                self.lower(at, state, link, &passage.with_frame(frame));
            }
            Some(LinkKind::Macvlan(macvlan)) => {
                if self.siblings_take(at, state, link, macvlan.mode, &passage) {
                    self.lower(at, state, link, &passage);
                }
            }
            Some(LinkKind::Ipvlan(ipvlan)) => self.ipvlan_sends(at, state, link, *ipvlan, &passage),
            Some(LinkKind::Dummy) => self.lose(at, Lost::Dummy, &passage),
            Some(LinkKind::Tun(_)) => self.end(at, Outcome::Left(Left::Program), &passage),
            Some(LinkKind::Vxlan(_) | LinkKind::Tunnel(_)) => self.through_tunnel(at, state, &passage),
            Some(LinkKind::Geneve(_) | LinkKind::Wireguard) => {
                self.end(at, Outcome::Left(Left::Tunnel), &passage);
            }
            Some(other) => {
                let what = format!("what {} of kind {} does with frames", link.name, other.name());
                passage.doubts.push(Doubt::new(what, "send one and watch it"));
                self.end(at, Outcome::Left(Left::Unseen), &passage);
            }
        }
    }

    /// To the other end of a veth (`veth_xmit`, `drivers/net/veth.c`).
    fn cross(&mut self, at: Port, state: &State, link: &Link, passage: &Passage) {
        let Some(peer) = state.peer(link.index) else {
            return self.end(at, Outcome::Left(Left::Unseen), passage);
        };
        let Where::Namespace(namespace) = peer.namespace else {
            return self.end(at, Outcome::Left(Left::Unseen), passage);
        };
        let there = Port { namespace, link: peer.lower };
        match self.look(there) {
            None => self.end(there, Outcome::Left(Left::Unseen), passage),
            Some((_, far)) => match too_long(far, &passage.frame) {
                Some(lost) => self.lose(there, lost, passage),
                None => self.receive(there, passage),
            },
        }
    }

    /// Out by the interface below.
    pub(super) fn lower(&mut self, at: Port, state: &State, link: &Link, passage: &Passage) {
        match state.peer(link.index) {
            Some(peer) => match peer.namespace {
                Where::Namespace(namespace) => {
                    self.transmit(Port { namespace, link: peer.lower }, passage);
                }
                Where::Unseen => self.end(at, Outcome::Left(Left::Unseen), passage),
            },
            None => self.end(at, Outcome::Left(Left::Unseen), passage),
        }
    }

    /// Hands a frame to those that lie on the same interface (`macvlan_queue_xmit`, `drivers/net/macvlan.c`). Whether it
    /// goes out below as well.
    fn siblings_take(
        &mut self,
        at: Port,
        state: &State,
        link: &Link,
        mode: MacvlanMode,
        passage: &Passage,
    ) -> bool {
        if mode != MacvlanMode::Bridge {
            return true;
        }
        let Some(peer) = state.peer(link.index) else { return true };
        let Where::Namespace(namespace) = peer.namespace else { return true };
        let below = Port { namespace, link: peer.lower };
        let mut is_for_sibling = false;
        for &sibling in self.wiring.above(below).iter().filter(|&&sibling| sibling != at) {
            let Some((other_state, other)) = self.look(sibling) else { continue };
            let Some(LinkKind::Macvlan(other_kind)) = &other.kind else { continue };
            if other_kind.mode != MacvlanMode::Bridge {
                continue;
            }
            is_for_sibling |= self.macvlan_takes(sibling, other_state, other, passage);
        }
        !is_for_sibling
    }
}

/// What may become of a frame in the queues of an interface.
fn queue_doubts(state: &State, link: &Link) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let queues = &state.network.queues;
    for qdisc in queues.qdiscs.iter().filter(|qdisc| qdisc.link == link.index) {
        if let QdiscKind::Netem(netem) = &qdisc.kind
            && (netem.loss != Share::NONE || netem.corrupt != Share::NONE)
        {
            doubts.push(Doubt::new(
                format!("the netem of {}, which loses or corrupts packets by chance", link.name),
                "take it away, or send many",
            ));
        }
    }
    for program in programs(state, ProgramAt::Egress { link: link.index }) {
        doubts.push(Doubt::new(
            format!("the BPF program {program} at the way out of {} (TCX)", link.name),
            format!("look at it with `bpftool prog show id {program}`"),
        ));
    }
    let goes_out = |parent| !matches!(parent, Handle::INGRESS | Handle::INGRESS_FILTERS);
    for filter in queues.filters.iter().filter(|filter| filter.link == link.index && goes_out(filter.parent))
    {
        doubts.push(Doubt::new(
            format!("a tc filter at the way out of {} (priority {})", link.name, filter.priority),
            format!("look at it with `tc filter show dev {} egress`", link.name),
        ));
    }
    doubts
}

//! Frames whose packet's destination is changed by rules of IP that a bridge calls at its port (`br_nf_pre_routing_finish`,
//! `br_nf_pre_routing_finish_bridge`, `net/bridge/br_netfilter_hooks.c`): the namespace that has the bridge routes them. What would
//! leave by the bridge itself is bridged to the new neighbour, without having been forwarded; all else goes up.

use nslab_kernel::link::IfIndex;
use nslab_snapshot::State;
use nslab_types::MacAddr;

use super::Walk;
use super::output::{each_way, note_route};
use super::routing::refused;
use super::run::Run;
use crate::Doubt;
use crate::fib::{self, DropReason, Fate, Flow};
use crate::l2::{self, Did, End, Frame, Port};

impl Walk<'_> {
    /// A frame that was for the bridge, and that its rules have let pass: the packet if the bridge's namespace gets it.
    pub(super) fn turned(
        &mut self,
        mut run: Run,
        state: &State,
        port: Port,
        bridge: IfIndex,
        source: MacAddr,
    ) -> Option<Run> {
        run.came_by = Some(bridge);
        run.made = false;
        let decision = fib::bridged(state, &Flow::of(&run.packet, Some(bridge)), bridge);
        let several = decision.outcomes.len() > 1;
        let mut up = None;
        for arrival in decision.outcomes {
            let mut run = run.clone();
            if several {
                run.doubts.extend(decision.doubts.iter().cloned());
            }
            match arrival.fate {
                Fate::Forward(ways) if ways.iter().any(|way| way.link == bridge) => {
                    note_route(&mut run, state, &arrival.reason);
                    for (way, mut run) in each_way(run, ways) {
                        if way.link != bridge {
                            up = Some(run);
                            continue;
                        }
                        run.turned = Some((port, source));
                        // The bridge cuts it again (`br_nf_dev_queue_xmit`).
                        run.fragments = run.fragments.or(run.mended.take());
                        let at = Port { namespace: run.namespace, link: bridge };
                        let target = way.gateway.unwrap_or(run.packet.ip.destination);
                        self.by_neighbour(run, state, at, target, way.gateway.is_some());
                    }
                }
                // IPv4 asks again what to tell the sender, above the bridge.
                Fate::Drop(DropReason::Routing(_) | DropReason::ForwardingOff) if !run.packet.is_ipv6() => {
                    up = Some(run);
                }
                Fate::Drop(drop) => {
                    let (cause, _) = refused(&run, state, bridge, drop, &arrival.reason);
                    self.drop(run, cause);
                }
                _ => up = Some(run),
            }
        }
        up
    }

    /// A frame that was to be bridged.
    pub(super) fn turned_away(&mut self, mut run: Run, state: &State, hop: l2::Hop, end: &End) {
        let Did::Bridged { from: Some(from), .. } = hop.did else { return };
        // It is not bridged this way after all.
        if let Some(place) = run.hops.iter().rposition(|hop| hop.action == crate::Action::Bridge) {
            run.hops.remove(place);
        }
        let port = Port { namespace: hop.at.namespace, link: from };
        let bridge = hop.at.link;
        run.prerouted = true;
        let Some(mut run) = self.turned(run, state, port, bridge, end.frame.source) else { return };
        // Up, as if it had been for the bridge's own address.
        let not_up =
            || Doubt::new("what becomes of a frame that the bridge is to take itself", "send it and look");
        let Some(mac) = state.link(bridge).and_then(|link| link.mac) else {
            return self.unknown(run, "bridge", not_up());
        };
        let frame = Frame { destination: mac, ..end.frame };
        let (snapshot, wiring) = (self.network.snapshot, &self.network.wiring);
        for end in l2::resume(snapshot, wiring, &mut run.learned, port, frame) {
            let mut run = run.clone();
            for hop in &end.hops {
                self.note_hop(&mut run, *hop);
            }
            if end.outcome == l2::Outcome::Taken {
                self.pending.push((run, end.at));
            } else {
                let name = self.port(end.at);
                self.unknown(run, name, not_up());
            }
        }
    }
}

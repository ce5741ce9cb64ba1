//! What it means that a frame is lost, and where.

use super::{Walk, words};
use crate::l2::{self, Did, End, Frame, Lost, Outcome, Port};
use crate::{Cause, Code, Evidence};

impl Walk<'_> {
    /// What is in the way of a frame that was to get to `expected`, and where.
    pub(super) fn obstacle<'a>(
        &self,
        at: Port,
        expected: Option<Port>,
        lost: &'a [End],
    ) -> Option<(Cause, &'a End)> {
        let mut lost: Vec<&End> = lost.iter().filter(|end| matches!(end.outcome, Outcome::Lost(_))).collect();
        let near = expected.map(|expected| self.on_the_way(expected, at)).unwrap_or_default();
        let is_near = |end: &End| {
            near.contains(&end.at) || end.hops.iter().any(|hop| matches!(hop.did, Did::Bridged { to, .. } if near.contains(&Port { namespace: hop.at.namespace, link: to }) && end.at.namespace == hop.at.namespace))
        };
        let weight = |end: &End| {
            // What a table leads astray is not merely a copy for others.
            let other = match end.outcome {
                Outcome::Lost(Lost::OtherAddress) => self.misled(end).is_none(),
                Outcome::Lost(Lost::NoPort) => self.fixed(end).is_none(),
                Outcome::Lost(Lost::NoVlan(_)) => true,
                _ => false,
            };
            (other, !is_near(end))
        };
        lost.sort_by_key(|end| weight(end));
        let end = lost.first().copied().filter(|end| expected.is_none() || !weight(end).0 || is_near(end))?;
        let Outcome::Lost(why) = &end.outcome else { return None };
        self.lost(at, end, why).map(|cause| (cause, end))
    }

    /// The interfaces on the way of a frame from one to another, and where it ends.
    fn on_the_way(&self, from: Port, to: Port) -> Vec<Port> {
        let (Some(own), Some(far)) = (self.link(from), self.link(to)) else { return vec![from] };
        let mut ports = vec![from];
        ports.extend(self.peer(from));
        if let (Some(source), Some(destination)) = (own.mac, far.mac) {
            // That ipvlans may tell whose it is.
            let mut addresses =
                self.state(to.namespace).into_iter().flat_map(|state| &state.network.addresses);
            let target = addresses.find(|own| own.link == to.link).map(|own| own.address.addr());
            let frame = Frame { source, destination, vlan: None, size: 28, target };
            let mut learned = l2::Learned::default();
            for end in l2::send(self.network.snapshot, &self.network.wiring, &mut learned, from, frame) {
                ports.extend(end.hops.iter().take(2).map(|hop| hop.at));
            }
        }
        ports
    }

    /// What a frame's loss means.
    pub(super) fn lost(&self, from: Port, end: &End, why: &Lost) -> Option<Cause> {
        let at = end.at;
        let name = self.link(at).map_or_else(String::new, |link| link.name.to_string());
        let cause = |code, text: String| Some(Cause::new(code, at.namespace, name.clone(), text).at(at.link));
        let port = Evidence::BridgePort(at);
        match why {
            Lost::Down => cause(Code::LinkDown, format!("{name} is down")),
            Lost::NoCarrier => Some(self.no_carrier(at)),
            Lost::TooLong { size, mtu } => Some(
                cause(
                    Code::MtuMismatch,
                    format!(
                        "a packet of {size} bytes is lost at {name}, whose MTU is {mtu}, while that of {} is {}",
                        self.port(from),
                        self.link(from).map_or(0, |link| link.mtu)
                    ),
                )?
                .with(Evidence::Mtu { size: *size, mtu: *mtu }),
            ),
            Lost::Vlan(vlan) => {
                let which = vlan.map_or_else(|| "frames without a tag".to_owned(), |vlan| format!("VLAN {vlan}"));
                Some(cause(Code::BridgeVlan, format!("the bridge's port {name} is not in the VLAN: {which}"))?.with(port))
            }
            Lost::NoVlan(vlan) => cause(Code::BridgeVlan, format!("nobody at {name} takes VLAN {vlan}")),
            Lost::Isolated => {
                Some(cause(Code::BridgeIsolated, format!("{name} is isolated, as is the port by which it came"))?.with(port))
            }
            Lost::Private => cause(
                Code::BridgeIsolated,
                format!("{name} gets nothing of other ipvlans on the same interface: they are private"),
            ),
            Lost::Stp(state) => {
                // Without carrier a bridge disables its port.
                if self.link(at).is_some_and(|link| link.up && !link.carrier) {
                    return Some(self.no_carrier(at));
                }
                if self.link(at).is_some_and(|link| !link.up) {
                    return cause(Code::LinkDown, format!("{name} is down"));
                }
                // The ports of a bridge that is down are disabled.
                let master = self.link(at)?.master.map(|link| Port { namespace: at.namespace, link });
                if let Some(bridge) = master.filter(|&master| self.link(master).is_some_and(|link| !link.up)) {
                    let name = self.link_name(bridge);
                    let text = format!("{name} is down");
                    return Some(Cause::new(Code::LinkDown, at.namespace, name, text).at(bridge.link));
                }
                let word = match state {
                    0 => "disabled",
                    1 => "listening",
                    2 => "learning",
                    4 => "blocking",
                    _ => "not forwarding",
                };
                Some(cause(Code::BridgeStp, format!("the bridge's port {name} is {word}"))?.with(port))
            }
            // Another bridge's table may have sent it here.
            Lost::SamePort | Lost::NoPort if self.fixed(end).is_some() => self.lost(from, end, &Lost::OtherAddress),
            Lost::SamePort => Some(
                cause(Code::BridgeFdb, format!("the bridge's table says that the destination is behind {name}, by which the frame came"))?.with(port),
            ),
            Lost::NotFlooded => Some(
                cause(Code::BridgeFdb, format!("the bridge does not know the destination, and {name} does not let such frames out"))?.with(port),
            ),
            Lost::OtherAddress => {
                let mac = end.frame.destination;
                match self.misled(end) {
                    Some((bridge, to)) => {
                        let state = self.state(bridge.namespace)?;
                        let port = words::link(state, to);
                        let text = format!("the bridge's table says that {mac} is behind {port}, where {} does not take it", self.port(at));
                        let at = Port { namespace: bridge.namespace, link: to };
                        Some(
                            Cause::new(Code::BridgeFdb, bridge.namespace, port, text).at(to).with(Evidence::BridgePort(at)),
                        )
                    }
                    None => cause(Code::NeighbourFailed, format!("{} does not take what is for {mac}", self.port(at))),
                }
            }
            Lost::Queue => cause(Code::TcDrop, format!("the queueing discipline of {name} drops all (blackhole)")),
            Lost::NoPort => None,
            Lost::Dummy => cause(Code::NeighbourFailed, format!("{name} is a dummy, which swallows all")),
            Lost::Loop => cause(Code::Unmodelled, "the frame goes round in circles between bridges".to_owned()),
        }
    }

    /// The bridge on the way of a frame and the port that it chose by its table, if that leads astray: one whose entry was put
    /// there, else the last one.
    fn misled(&self, end: &End) -> Option<(Port, u32)> {
        let last = end.hops.iter().rev().find_map(|hop| match hop.did {
            Did::Bridged { to, known, .. } => Some((hop.at, to, known)),
            _ => None,
        });
        self.fixed(end).or_else(|| last.filter(|(.., known)| *known).map(|(at, to, _)| (at, to)))
    }

    /// The bridge on the way of a frame that sent it by an entry that somebody put there.
    fn fixed(&self, end: &End) -> Option<(Port, u32)> {
        end.hops.iter().find_map(|hop| {
            let Did::Bridged { to, known: true, .. } = hop.did else { return None };
            let mut entries = self.state(hop.at.namespace)?.network.fdb.iter();
            let is_it = entries.any(|entry| {
                entry.fixed
                    && !entry.local
                    && (entry.link, entry.master) == (to, Some(hop.at.link))
                    && entry.mac == end.frame.destination
            });
            is_it.then_some((hop.at, to))
        })
    }
}

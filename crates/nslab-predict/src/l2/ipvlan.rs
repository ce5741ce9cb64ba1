//! Ipvlans: several interfaces with one MAC, told apart by their addresses (`drivers/net/ipvlan/ipvlan_core.c`).
//!
//! What comes in below is for the ipvlan that has the address which its packet is for; what nobody has is for the interface
//! below. Those of layer 2 send Ethernet frames out below; those of layer 3 give packets to the routes of the namespace below.

use std::net::IpAddr;

use nslab_kernel::link::{Ipvlan, IpvlanMode, IpvlanSiblings, Link, LinkKind};
use nslab_snapshot::{State, Where};

use super::transmit::too_long;
use super::{Left, Lost, Outcome, Passage, Port, Walk, groups};
use crate::Doubt;

/// Whether an interface is an ipvlan that asks for no neighbours, as packets are routed by the namespace below (`IFF_NOARP`,
/// `ipvlan_set_port_mode`).
pub(crate) fn routes_by_lower(link: &Link) -> bool {
    matches!(&link.kind, Some(LinkKind::Ipvlan(ipvlan)) if ipvlan.mode != IpvlanMode::L2)
}

/// Whether an ipvlan is known below by an address: one of its own, while it is up (`ipvlan_open`, `ipvlan_add_addr`).
fn has(state: &State, link: &Link, address: IpAddr) -> bool {
    let mut own = state.network.addresses.iter();
    link.up && own.any(|own| own.link == link.index && own.address.addr() == address)
}

impl Walk<'_> {
    /// The ipvlans on an interface.
    fn ipvlans(&self, below: Port) -> Vec<Port> {
        let is_one = |port: &&Port| {
            self.look(**port).is_some_and(|(_, link)| matches!(link.kind, Some(LinkKind::Ipvlan(_))))
        };
        self.wiring.above(below).iter().filter(is_one).copied().collect()
    }

    /// The one of them that an address belongs to.
    fn owner(&self, ports: &[Port], address: IpAddr) -> Option<Port> {
        ports
            .iter()
            .copied()
            .find(|port| self.look(*port).is_some_and(|(state, link)| has(state, link, address)))
    }

    /// An ipvlan sends (`ipvlan_queue_xmit`).
    pub(super) fn ipvlan_sends(
        &mut self,
        at: Port,
        state: &State,
        link: &Link,
        ipvlan: Ipvlan,
        passage: &Passage,
    ) {
        let below = match state.peer(link.index) {
            Some(peer) => match peer.namespace {
                Where::Namespace(namespace) => Port { namespace, link: peer.lower },
                Where::Unseen => return self.end(at, Outcome::Left(Left::Unseen), passage),
            },
            None => return self.end(at, Outcome::Left(Left::Unseen), passage),
        };
        let siblings = self.ipvlans(below);
        let frame = passage.frame;
        let looks = ipvlan.siblings != IpvlanSiblings::Vepa
            && (ipvlan.mode != IpvlanMode::L2 || frame.destination == frame.source);
        match (ipvlan.mode, frame.target) {
            // A copy for each of them, and one goes out.
            (IpvlanMode::L2, _) if frame.is_for_a_group() => {
                for &sibling in siblings.iter().filter(|&&sibling| sibling != at) {
                    self.group_to_ipvlan(sibling, true, passage);
                }
                self.lower(at, state, link, passage);
            }
            (_, Some(target)) if looks => match self.owner(&siblings, target) {
                Some(owner) if ipvlan.siblings == IpvlanSiblings::Private => {
                    self.lose(owner, Lost::Private, passage);
                }
                Some(owner) => self.forward_to(owner, passage),
                // It has the MAC of the interface below, and is for none of those on it.
                None if ipvlan.mode == IpvlanMode::L2 => self.receive(below, passage),
                None => self.by_routes_below(at, link, passage),
            },
            (IpvlanMode::L2, None) if looks => self.not_told_apart(at, link, passage),
            (IpvlanMode::L2, _) => self.lower(at, state, link, passage),
            (IpvlanMode::L3 | IpvlanMode::L3s, _) => self.by_routes_below(at, link, passage),
        }
    }

    /// Hands a frame for a group to an ipvlan that has joined it (`ipvlan_process_multicast`).
    fn group_to_ipvlan(&mut self, at: Port, is_local: bool, passage: &Passage) {
        let Some((state, link)) = self.look(at) else { return };
        if !link.up {
            return;
        }
        let mut passage = passage.clone();
        match groups::has_joined(state, link, &passage.frame) {
            Some(true) => {}
            Some(false) => return,
            None => {
                let what =
                    format!("whether {} has joined the group {}", link.name, passage.frame.destination);
                let settle = format!("look with `ip maddress show dev {}`", link.name);
                passage.doubts.push(Doubt::new(what, settle));
            }
        }
        if is_local { self.forward_to(at, &passage) } else { self.receive(at, &passage) }
    }

    /// From one to another on the same interface (`dev_forward_skb`).
    fn forward_to(&mut self, at: Port, passage: &Passage) {
        match self.look(at).and_then(|(_, link)| too_long(link, &passage.frame)) {
            Some(lost) => self.lose(at, lost, passage),
            None => self.receive(at, passage),
        }
    }

    /// What the namespace below does with a packet of an ipvlan of layer 3 is not followed (`ipvlan_process_outbound`).
    fn by_routes_below(&mut self, at: Port, link: &Link, passage: &Passage) {
        let what = format!(
            "what the routes and rules of the namespace below the ipvlan {} do with what it sends to others than its like",
            link.name
        );
        let mut passage = passage.clone();
        passage.doubts.push(Doubt::new(what, "send one and watch it below"));
        self.end(at, Outcome::Left(Left::Unseen), &passage);
    }

    fn not_told_apart(&mut self, at: Port, link: &Link, passage: &Passage) {
        let mut passage = passage.clone();
        passage
            .doubts
            .push(Doubt::new(format!("whom the ipvlan {} sends to", link.name), "send one and watch it"));
        self.end(at, Outcome::Left(Left::Unseen), &passage);
    }

    /// An interface with ipvlans on it gets a frame (`ipvlan_handle_frame`). Whether it was for one of those alone; none if
    /// there are no ipvlans.
    pub(super) fn ipvlans_take(
        &mut self,
        at: Port,
        uppers: &[(Port, &State, &Link)],
        passage: &Passage,
    ) -> Option<bool> {
        let mode = uppers.iter().find_map(|(_, _, link)| match &link.kind {
            Some(LinkKind::Ipvlan(ipvlan)) => Some(ipvlan.mode),
            _ => None,
        })?;
        let ports = self.ipvlans(at);
        let frame = passage.frame;
        let own = self.look(at).and_then(|(_, link)| link.mac);
        if mode == IpvlanMode::L2 && frame.is_for_a_group() {
            // What an ipvlan has sent and a switch sends back is for none of them (`ipvlan_external_frame`).
            let mut passage = passage.clone();
            if own == Some(frame.source) {
                let what = "whether a frame that says it is from this interface comes from an ipvlan on it";
                passage.doubts.push(Doubt::new(what, "send one and watch it"));
            }
            for port in ports {
                self.group_to_ipvlan(port, false, &passage);
            }
            return Some(false);
        }
        let owner = frame.target.and_then(|target| self.owner(&ports, target));
        match (mode, owner, frame.target) {
            (IpvlanMode::L2 | IpvlanMode::L3, Some(owner), _) => {
                self.receive(owner, passage);
                Some(true)
            }
            // The namespace below takes it, runs its rules on it, and then hands it up (`ipvlan_l3_rcv`, `ipvlan_nf_input`,
            // `drivers/net/ipvlan/ipvlan_l3s.c`).
            (IpvlanMode::L3s, Some(owner), _) if !frame.is_for_a_group() => {
                let name = self.look(owner).map_or_else(String::new, |(_, link)| link.name.to_string());
                let what =
                    format!("what the rules of the namespace below the ipvlan {name} do with what is for it");
                let mut passage = passage.clone();
                passage.doubts.push(Doubt::new(what, "send one and watch it"));
                self.end(owner, Outcome::Left(Left::Unseen), &passage);
                Some(true)
            }
            (_, None, None) => {
                let (upper, _, link) = uppers.first()?;
                self.not_told_apart(*upper, link, passage);
                Some(false)
            }
            _ => Some(false),
        }
    }
}

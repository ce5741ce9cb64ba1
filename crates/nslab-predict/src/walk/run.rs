//! A packet under way, and what came of it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nslab_kernel::link::IfIndex;
use nslab_types::MacAddr;

use crate::l2::{Learned, Port};
use crate::nft::{Connection, Part, Tracking};
use crate::{Action, Cause, Doubt, Error, Hop, Packet, Told, Verdict};

/// What a packet is to the question.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// It is the one that was asked about.
    Request,
    /// It answers that.
    Answer,
    /// It tells the sender that its packet was refused.
    Error(Box<Refused>),
}

/// The route of a packet that rules refuse. Whether an ICMP error of IPv4 is from the address that the packet is for hangs on
/// whether that is local (`__icmp_send`, `net/ipv4/icmp.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusedWith {
    /// Its own.
    Own,
    /// None yet: it gets that back to its source (`nf_reject_fill_skb_dst`, `net/ipv4/netfilter/nf_reject_ipv4.c`).
    WayBack,
    /// A bridge's, which is never local (`bridge_parent_rtable`, `net/bridge/br_netfilter_hooks.c`).
    Bridge,
}

/// A packet that was refused.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) cause: Cause,
    pub(super) error: Error,
    /// The packet as the sender of the error saw it, then as the last namespace on the way translated it.
    pub(super) quoted: Packet,
    /// The neighbour that was asked for in vain before anybody tells, and by which interface; none if it is told at once.
    pub(super) in_vain: Option<(Port, IpAddr)>,
}

/// One of the ways that a packet may take.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) packet: Packet,
    /// What of it is not known.
    pub(super) vague: Vec<(Part, Doubt)>,
    pub(super) namespace: usize,
    pub(super) phase: Phase,
    /// What connection tracking of the namespace makes of it.
    pub(super) tracking: Tracking,
    /// Rules saw it before routing already, at a bridge's port.
    pub(super) prerouted: bool,
    /// The interface that it came in by; none of what is made here.
    pub(super) came_by: Option<IfIndex>,
    /// It came by a port of a bridge that has rules for IP called (`nf_bridge_info`).
    pub(super) by_bridge: bool,
    /// The bridge's port at which rules changed its destination, so that the bridge passes it on from there to another neighbour;
    /// and the MAC that it says it is from.
    pub(super) turned: Option<(Port, MacAddr)>,
    /// The route that it had when rules refused it.
    pub(super) refused_with: RefusedWith,
    /// It is sent from 0.0.0.0, as the namespace has no address for it.
    pub(super) sourceless: Option<Cause>,
    /// It was made in this namespace.
    pub(super) made: bool,
    /// The interface that it is to leave by.
    pub(super) oif: Option<IfIndex>,
    /// It is cut into pieces, of which none is longer than this.
    pub(super) fragments: Option<u32>,
    /// Its pieces were put together at a bridge's port, and the bridge's namespace does not know any more how long they were, in bytes
    /// (`br_nf_pre_routing_finish_ipv6`; `ip6_rcv_core` forgets `frag_max_size`).
    pub(super) mended: Option<u32>,
    /// The connections that namespaces have come to know.
    pub(super) connections: Vec<(usize, Connection)>,
    /// What bridges have.
    pub(super) learned: Learned,
    /// Whom interfaces have come to know on the way: the address, its MAC, and whose it is.
    pub(super) met: Vec<(Port, IpAddr, MacAddr, Port)>,
    pub(super) hops: Vec<Hop>,
    /// The hops of the request once its answer or an error is under way.
    pub(super) request: Vec<Hop>,
    /// The packet as the sender made it, source chosen.
    pub(super) sent: Option<Packet>,
    /// The ports of the destinations that NAT has sent it on to.
    pub(super) ports: Vec<u16>,
    /// What would have to be so for this way to be taken.
    pub(super) doubts: Vec<Doubt>,
    /// A fault by which chance decides which way is taken.
    pub(super) chance: Option<Cause>,
    pub(super) assumptions: BTreeSet<String>,
}

impl Run {
    pub(super) fn new(namespace: usize, packet: Packet) -> Self {
        Self {
            packet,
            vague: Vec::new(),
            namespace,
            phase: Phase::Request,
            tracking: Tracking::None,
            prerouted: false,
            came_by: None,
            by_bridge: false,
            turned: None,
            refused_with: RefusedWith::Own,
            sourceless: None,
            made: true,
            oif: None,
            fragments: None,
            mended: None,
            connections: Vec::new(),
            learned: Learned::default(),
            met: Vec::new(),
            hops: Vec::new(),
            request: Vec::new(),
            sent: None,
            ports: Vec::new(),
            doubts: Vec::new(),
            chance: None,
            assumptions: BTreeSet::new(),
        }
    }

    pub(super) fn is_request(&self) -> bool {
        matches!(self.phase, Phase::Request)
    }

    /// The bytes of the longest of its pieces.
    pub(super) fn size(&self) -> u32 {
        self.fragments.map_or(self.packet.ip.size, |longest| longest.min(self.packet.ip.size))
    }

    /// Notes a step that is at no interface.
    pub(super) fn step(&mut self, action: Action, object: impl Into<String>, detail: impl Into<String>) {
        let (object, detail) = (object.into(), detail.into());
        self.hops.push(Hop { namespace: self.namespace, link: None, action, object, detail });
    }

    /// Notes a step at an interface.
    pub(super) fn step_at(
        &mut self,
        link: IfIndex,
        action: Action,
        object: impl Into<String>,
        detail: impl Into<String>,
    ) {
        self.step_in(Port { namespace: self.namespace, link }, action, object, detail);
    }

    /// Notes a step at an interface of any namespace.
    pub(super) fn step_in(
        &mut self,
        at: Port,
        action: Action,
        object: impl Into<String>,
        detail: impl Into<String>,
    ) {
        let Port { namespace, link } = at;
        let (object, detail) = (object.into(), detail.into());
        self.hops.push(Hop { namespace, link: Some(link), action, object, detail });
    }

    /// Takes things for granted.
    pub(super) fn assume(&mut self, what: impl Into<String>) {
        self.assumptions.insert(what.into());
    }

    /// Begins the way of the packet that follows on this one: the answer, or an error.
    pub(super) fn follow(mut self, packet: Packet, phase: Phase) -> Self {
        self.request = std::mem::take(&mut self.hops);
        Self {
            packet,
            phase,
            vague: Vec::new(),
            fragments: None,
            mended: None,
            oif: None,
            tracking: Tracking::None,
            ..self
        }
    }

    /// What came of the packet that was asked about is all that is wanted, now that something goes back.
    pub(super) fn end_of_request(mut self) -> End {
        self.hops = std::mem::take(&mut self.request);
        match std::mem::replace(&mut self.phase, Phase::Request) {
            Phase::Request | Phase::Answer => self.end(Verdict::Delivered, None, None),
            Phase::Error(refused) => self.end(Verdict::Rejected, Some(refused.cause), None),
        }
    }

    /// It comes to its end.
    pub(super) fn end(self, verdict: Verdict, cause: Option<Cause>, told: Option<Told>) -> End {
        let Self {
            phase, hops, request, sent, ports, packet, doubts, chance, assumptions, connections, ..
        } = self;
        let (request, answer, error) = match phase {
            Phase::Request => (hops, None, None),
            Phase::Answer => (request, Some(hops), None),
            Phase::Error(_) => (request, None, Some(hops)),
        };
        let packet = sent.unwrap_or(packet);
        End {
            verdict,
            cause,
            told,
            packet,
            ports,
            request,
            answer,
            error,
            doubts,
            chance,
            assumptions,
            connections,
        }
    }
}

/// What came of a packet on one of its ways.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) verdict: Verdict,
    pub(super) cause: Option<Cause>,
    pub(super) told: Option<Told>,
    pub(super) packet: Packet,
    pub(super) ports: Vec<u16>,
    pub(super) request: Vec<Hop>,
    pub(super) answer: Option<Vec<Hop>>,
    pub(super) error: Option<Vec<Hop>>,
    pub(super) doubts: Vec<Doubt>,
    pub(super) chance: Option<Cause>,
    pub(super) assumptions: BTreeSet<String>,
    pub(super) connections: Vec<(usize, Connection)>,
}

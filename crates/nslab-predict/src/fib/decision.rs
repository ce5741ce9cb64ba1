//! What routing decides, and by what.

use std::net::IpAddr;

use nslab_kernel::link::IfIndex;
use serde::Serialize;

use crate::Doubt;

/// What was decided. There are several outcomes where it is not known which of them it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision<T> {
    /// What may come of it: at least one, each different from the others.
    pub outcomes: Vec<T>,
    /// Why it is not known which; empty if there is but one.
    pub doubts: Vec<Doubt>,
}

impl<T: PartialEq> Decision<T> {
    /// The one outcome.
    pub(super) fn certain(outcome: T) -> Self {
        Self { outcomes: vec![outcome], doubts: Vec::new() }
    }

    /// The outcome, if there is no doubt about it.
    pub fn only(&self) -> Option<&T> {
        match &self.outcomes[..] {
            [outcome] => Some(outcome),
            _ => None,
        }
    }

    /// What follows from each outcome. Doubts that make no difference go.
    pub(super) fn then<U: PartialEq>(self, mut next: impl FnMut(T) -> Decision<U>) -> Decision<U> {
        let mut joined = Decision { outcomes: Vec::new(), doubts: self.doubts };
        for outcome in self.outcomes {
            let decision = next(outcome);
            joined.outcomes.extend(decision.outcomes);
            joined.doubts.extend(decision.doubts);
        }
        joined.settled()
    }

    /// Without outcomes that are there twice, and without doubts if one outcome remains.
    pub(super) fn settled(mut self) -> Self {
        let mut different: Vec<T> = Vec::with_capacity(self.outcomes.len());
        for outcome in self.outcomes {
            if !different.contains(&outcome) {
                different.push(outcome);
            }
        }
        self.outcomes = different;
        if self.outcomes.len() < 2 {
            self.doubts.clear();
        }
        self.doubts.sort();
        self.doubts.dedup();
        self
    }
}

/// What becomes of a packet, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What.
    pub verdict: Verdict,
    /// By which rule and route.
    pub reason: Reason,
}

/// The rule and the route that decided, as places in the lists of a namespace's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The rule, in [`NamespaceState::rules`](nslab_kernel::NamespaceState); none if no rule was asked or none decided.
    pub rule: Option<usize>,
    /// The route, in [`NamespaceState::routes`](nslab_kernel::NamespaceState).
    pub route: Option<usize>,
    /// The tables that were looked through before without finding a way, in order.
    pub searched: Vec<u32>,
    /// The last route of type `throw` that was met.
    pub thrown: Option<usize>,
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It leaves by one of these; which one is a matter of a hash of the packet if there are several.
    Leave(Vec<Way>),
    /// It is for this namespace.
    Deliver {
        /// The interface that owns the address.
        link: Option<IfIndex>,
        /// The source it gets, if it had none.
        source: Option<IpAddr>,
    },
    /// It goes no further.
    Stop(Stop),
}

/// One way out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Way {
    /// The interface it leaves by.
    pub link: IfIndex,
    /// The gateway, of either family; none if the destination itself is on the link.
    pub gateway: Option<IpAddr>,
    /// Its share of the traffic.
    pub weight: u16,
    /// To whom.
    pub cast: Cast,
    /// The source that the packet gets if it had none; none if the kernel finds no address (IPv4 then sends from
    /// 0.0.0.0).
    pub source: Option<IpAddr>,
    /// The route's own path MTU, in bytes.
    pub mtu: Option<u32>,
}

/// To whom a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cast {
    /// One.
    Unicast,
    /// All on the link.
    Broadcast,
    /// A group.
    Multicast,
}

/// Why a packet goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// No route matches.
    NoRoute,
    /// The route, or the rule if no route is named, says `blackhole`.
    Blackhole,
    /// The route or the rule says `unreachable`.
    Unreachable,
    /// The route or the rule says `prohibit`.
    Prohibit,
    /// The IPv6 route leads to `lo`, and the destination is no address of this namespace: it is discarded.
    LoopbackRoute,
    /// The route is of a type that is for nothing.
    UnusableRoute,
    /// The source is none that anything may be sent from: a group, a broadcast address, 0.0.0.0.
    ImpossibleSource,
    /// The source is not an address of this namespace.
    ForeignSource,
    /// A source in 127.0.0.0/8 may leave by `lo` only, unless `route_localnet` is on.
    LoopbackSource,
    /// The destination is none that anything may be sent to: 0.0.0.0.
    ImpossibleDestination,
    /// The interface that the socket is bound to is not there.
    NoLink,
    /// The interface that the socket is bound to is down, or has no IPv4.
    LinkDown,
    /// No address of IPv6 can be the source.
    NoSource,
}

//! What becomes of a packet that comes in.

use nslab_kernel::link::IfIndex;
use serde::Serialize;

use super::decision::{Reason, Stop, Way};

/// What becomes of a packet that came in, and by which rule and route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arrival {
    /// What.
    pub fate: Fate,
    /// By which rule and route.
    pub reason: Reason,
}

impl Arrival {
    /// Dropped before a route was looked for.
    pub(super) fn dropped(reason: DropReason) -> Self {
        Self { fate: Fate::Drop(reason), reason: Reason::default() }
    }
}

/// What becomes of a packet that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is for this namespace.
    Local {
        /// The interface that owns the address.
        link: Option<IfIndex>,
    },
    /// It is a broadcast, for this namespace too.
    Broadcast,
    /// It is for a group; whether anybody here listens to that is another question.
    Multicast,
    /// It goes on by one of these.
    Forward(Vec<Way>),
    /// It goes no further.
    Drop(DropReason),
}

/// Why a packet that came in goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The interface is down.
    LinkDown,
    /// The interface does no IP of this version.
    ProtocolOff,
    /// A source that cannot be one: a group, a broadcast address, 0.0.0.0.
    ImpossibleSource,
    /// The source is 127.0.0.0/8 or `::1` and it did not come from this host itself.
    LoopbackSource,
    /// The destination is 127.0.0.0/8 or `::1` and it did not come from this host itself.
    LoopbackDestination,
    /// A destination that cannot be one: 0.0.0.0, or a route of a type that nothing from outside may use.
    ImpossibleDestination,
    /// The source is an address of this namespace (`accept_local` is off).
    OwnSource,
    /// The way back to the source is no ordinary one: the route to it is a local, broadcast, refusing or other route.
    UnusableSource,
    /// There is no way back to the source, or it leads out by another interface (`rp_filter`).
    ReversePath {
        /// The way back must lead through the incoming interface; else any will do.
        strict: bool,
    },
    /// It must be forwarded, and forwarding is off.
    ForwardingOff,
    /// Nobody here listens to the group by this interface.
    NoMember,
    /// A source or destination of this link alone must not be forwarded.
    BeyondScope,
    /// What routing says.
    Routing(Stop),
}

//! What the rules of a namespace make of a packet, as far as a diagnosis asks: whether it passes a hook unchanged.

use nslab_kernel::conntrack::Tuple;
use nslab_kernel::link::{IfIndex, LinkKind};
use nslab_kernel::nftables::{CtDirection, CtStatus, Family, Hook};
use nslab_snapshot::{Part, State};

use crate::nft::{self, Connection, Context, Device, Fate, LinkHeader, NothingKnown, Socket, Step, Tracking};
use crate::{Packet, nft::State as Seen};

/// What a packet is to the connection that it belongs to.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// It begins one.
    Opens,
    /// It answers the packet of this tuple.
    Answers(Tuple),
    /// It is an ICMP error about the packet of this tuple.
    Reports(Tuple),
}

impl Kind {
    fn tracking(&self, packet: &Packet) -> Tracking {
        let (original, state) = match self {
            Self::Opens => {
                return Connection::begun_by(packet).map_or(Tracking::None, Tracking::Connection);
            }
            Self::Answers(original) => (original, Seen::Established),
            Self::Reports(original) => (original, Seen::Related),
        };
        let Some(reply) = nft::inverted(original) else { return Tracking::None };
        Tracking::Connection(Connection {
            state,
            direction: CtDirection::Reply,
            original: original.clone(),
            reply,
            address_doubt: None,
            port_doubt: None,
            mark: Some(0),
            status: Some(CtStatus::empty()),
            zone: 0,
            source_decided: true,
            destination_decided: true,
        })
    }
}

/// What becomes of a packet at a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// It passes as it is.
    Passes,
    /// It passes with other addresses or ports, or may.
    Translated,
    /// It is dropped or rejected, by this.
    Stopped(Step),
    /// That is not known.
    Unknown,
}

/// Whether the rules of a namespace are known at all.
pub(super) fn is_known(state: &State) -> bool {
    let gaps = &state.gaps;
    state.xtables.is_empty() && !gaps.iter().any(|gap| matches!(gap.part, Part::Nftables | Part::Xtables))
}

/// Lets a packet pass a hook of a namespace.
pub(super) fn pass(
    state: &State,
    hook: Hook,
    packet: &Packet,
    kind: &Kind,
    [input, output]: [Option<IfIndex>; 2],
) -> Passage {
    if !is_known(state) {
        return Passage::Unknown;
    }
    if state.nftables.tables.is_empty() {
        return Passage::Passes;
    }
    let family = if packet.is_ipv6() { Family::Ip6 } else { Family::Ip };
    let tracking =
        if nft::tracks_connections(&state.nftables, family) { kind.tracking(packet) } else { Tracking::None };
    let context = Context {
        family,
        hook,
        packet,
        vague: &[],
        input: input.and_then(|index| device(state, index)),
        output: output.and_then(|index| device(state, index)),
        tracking,
        tracked_before: false,
        link_header: LinkHeader::Unknown,
        packet_type: Some(0),
        socket: Socket::Unknown,
        priority: None,
    };
    let mut passages = nft::evaluate(&state.nftables, &context, &NothingKnown).into_iter().map(|branch| {
        let changed = branch.packet.ip.source != packet.ip.source
            || branch.packet.ip.destination != packet.ip.destination
            || branch.packet.transport != packet.transport
            || !branch.vague.is_empty();
        match branch.fate {
            Fate::Accepted if changed || branch.rerouted => Passage::Translated,
            Fate::Accepted => Passage::Passes,
            Fate::Dropped | Fate::Rejected(_) => {
                branch.decided_by().map_or(Passage::Unknown, |step| Passage::Stopped(*step))
            }
            Fate::Sent(_) | Fate::Unknown(_) => Passage::Unknown,
        }
    });
    let first = passages.next().unwrap_or(Passage::Unknown);
    if passages.all(|passage| passage == first) { first } else { Passage::Unknown }
}

/// An interface as rules see it.
fn device(state: &State, index: IfIndex) -> Option<Device<'_>> {
    let link = state.link(index)?;
    let master = link.master.and_then(|master| state.link(master));
    let master_of = |kind: &str| {
        master
            .filter(|master| master.kind.as_ref().is_some_and(|own| own.name() == kind))
            .map(|master| master.name.as_str())
    };
    Some(Device {
        name: link.name.as_str(),
        index,
        group: link.group,
        kind: link.kind.as_ref().map(LinkKind::name),
        // `ARPHRD_LOOPBACK` and `ARPHRD_ETHER` (`include/uapi/linux/if_arp.h`).
        hardware: if link.loopback { 772 } else { 1 },
        bridge: master_of("bridge"),
        vrf: master_of("vrf"),
    })
}

//! Where a frame gets to: across cables, bridges, VLANs and what lies on other interfaces, until it comes to an interface
//! whose network layer takes it.

mod bridge;
mod groups;
mod ipvlan;
mod islands;
mod receive;
mod transmit;
mod tunnels;
mod wiring;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use nslab_kernel::link::{IfIndex, Link, LinkKind, MacvlanMode};
use nslab_snapshot::{Snapshot, State};
use nslab_types::MacAddr;
use serde::Serialize;

pub(crate) use ipvlan::routes_by_lower;
pub(crate) use receive::programs;
pub use tunnels::{Carrier, TunnelEnd};
pub use wiring::Wiring;

use crate::Doubt;

/// An interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Port {
    /// The place of its namespace in [`Snapshot::namespaces`].
    pub namespace: usize,
    /// Its number there.
    pub link: IfIndex,
}

/// A frame with an IP or ARP packet in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Frame {
    /// Whom it says it is from.
    pub source: MacAddr,
    /// Whom it is for.
    pub destination: MacAddr,
    /// Its VLAN tag.
    pub vlan: Option<u16>,
    /// The bytes of the packet in it, without Ethernet's header and the tag.
    pub size: u32,
    /// The IP address by which ipvlans tell whose it is: whom the packet is for, or whom ARP asks or tells; none if that is not
    /// known.
    #[serde(skip)]
    pub target: Option<IpAddr>,
}

impl Frame {
    /// Whether it is for several: a broadcast or multicast (the lowest bit of the first byte).
    pub fn is_for_a_group(&self) -> bool {
        self.destination.0[0] & 1 != 0
    }

    /// Whether it is for all.
    pub fn is_broadcast(&self) -> bool {
        self.destination.0 == [0xff; 6]
    }
}

/// What an interface did with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Did {
    /// Sent it.
    Sent,
    /// Got it.
    Received,
    /// Being a bridge, passed it from one port to another.
    Bridged {
        /// By which it came; none if the bridge's own namespace sent it.
        from: Option<IfIndex>,
        /// By which it goes.
        to: IfIndex,
        /// The VLAN, where the bridge filters.
        vlan: Option<u16>,
        /// It knew where the destination is; else it sends a copy by every port.
        known: bool,
    },
}

/// A step on a frame's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Hop {
    /// Where.
    pub at: Port,
    /// What was done.
    pub did: Did,
}

/// A frame that came to an end of its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct End {
    /// Where.
    pub at: Port,
    /// What became of it.
    pub outcome: Outcome,
    /// The frame as it was then.
    pub frame: Frame,
    /// How it got there.
    pub hops: Vec<Hop>,
    /// What that hangs on.
    pub doubts: Vec<Doubt>,
}

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The interface's network layer takes it.
    Taken,
    /// It left what the snapshot holds.
    Left(Left),
    /// It was lost.
    Lost(Lost),
}

/// Where a frame goes that is seen no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// Out by hardware.
    Hardware,
    /// Into a namespace that was not found or could not be read.
    Unseen,
    /// To the program that holds a tun or tap interface.
    Program,
    /// Into a tunnel, which wraps it up.
    Tunnel,
}

/// Why a frame is lost.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// The interface is down.
    Down,
    /// It is up and has no carrier.
    NoCarrier,
    /// It is for somebody else, and the interface does not take it.
    OtherAddress,
    /// It is longer than what the interface takes: its packet has `size` bytes where `mtu` and four more may be.
    TooLong {
        /// Of the packet, in bytes.
        size: u32,
        /// Of the interface.
        mtu: u32,
    },
    /// The bridge's port is not in the VLAN, or in none where the frame has no tag.
    Vlan(Option<u16>),
    /// Nobody on this interface takes the VLAN.
    NoVlan(u16),
    /// Both ports are isolated.
    Isolated,
    /// Both are ipvlans on one interface, and private.
    Private,
    /// The port's STP state is not forwarding.
    Stp(u8),
    /// The bridge knows the destination behind the port by which the frame came.
    SamePort,
    /// The port does not let through what is for unknown destinations, or for groups.
    NotFlooded,
    /// The bridge does not know the destination, and has no other port.
    NoPort,
    /// A dummy interface swallows all.
    Dummy,
    /// The interface's queueing discipline drops all.
    Queue,
    /// It goes in circles.
    Loop,
}

/// Whether an interface has its MAC from another by its nature: an ipvlan, or a macvlan that takes all of what it lies on.
pub fn shares_mac(link: &Link) -> bool {
    match &link.kind {
        Some(LinkKind::Ipvlan(_)) => true,
        Some(LinkKind::Macvlan(macvlan)) => macvlan.mode == MacvlanMode::Passthru,
        _ => false,
    }
}

/// No frame passes so many interfaces without having gone in circles.
const MOST_HOPS: usize = 128;

/// What bridges have learned since the snapshot was taken, from frames that were sent since: by bridge, VLAN and MAC the port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learned {
    ports: HashMap<(Port, Option<u16>, MacAddr), IfIndex>,
}

/// Everywhere that a frame gets to which is sent by an interface, in the order in which the kernel hands it on. What bridges
/// learn from it they know for those that are sent after it.
pub fn send(
    snapshot: &Snapshot,
    wiring: &Wiring,
    learned: &mut Learned,
    from: Port,
    frame: Frame,
) -> Vec<End> {
    let mut walk = Walk { snapshot, wiring, learned, seen: HashSet::new(), ends: Vec::new() };
    walk.transmit(from, &Passage { frame, hops: Vec::new(), doubts: Vec::new() });
    walk.ends
}

/// The same for a frame that a bridge's port has got and that the bridge passes on only now, as rules that it called have changed
/// whom it is for (`br_handle_frame_finish`, `net/bridge/br_input.c`).
pub fn resume(
    snapshot: &Snapshot,
    wiring: &Wiring,
    learned: &mut Learned,
    port: Port,
    frame: Frame,
) -> Vec<End> {
    let mut walk = Walk { snapshot, wiring, learned, seen: HashSet::new(), ends: Vec::new() };
    let passage = Passage { frame, hops: Vec::new(), doubts: Vec::new() };
    if let Some((state, link)) = walk.look(port)
        && let Some(bridge) = link.master.and_then(|master| state.link(master))
    {
        walk.bridge_receives(port, state, link, bridge, &passage);
    }
    walk.ends
}

/// A frame under way.
#[derive(Debug, Clone)]
struct Passage {
    frame: Frame,
    hops: Vec<Hop>,
    doubts: Vec<Doubt>,
}

impl Passage {
    fn after(&self, at: Port, did: Did) -> Self {
        let mut next = self.clone();
        next.hops.push(Hop { at, did });
        next
    }

    fn with_frame(&self, frame: Frame) -> Self {
        Self { frame, ..self.clone() }
    }
}

/// A frame's spread.
struct Walk<'a> {
    snapshot: &'a Snapshot,
    wiring: &'a Wiring,
    learned: &'a mut Learned,
    /// Where it has been, with which tag.
    seen: HashSet<(Port, Option<u16>)>,
    ends: Vec<End>,
}

impl<'a> Walk<'a> {
    /// The interface and its namespace; none if the namespace was not read.
    fn look(&self, at: Port) -> Option<(&'a State, &'a Link)> {
        let state = self.snapshot.namespaces.get(at.namespace)?.state()?;
        Some((state, state.link(at.link)?))
    }

    fn end(&mut self, at: Port, outcome: Outcome, passage: &Passage) {
        let Passage { frame, hops, doubts } = passage.clone();
        self.ends.push(End { at, outcome, frame, hops, doubts });
    }

    /// Hands a frame to a macvlan if it is for that, which it says: macvlans take of groups only what they have joined
    /// (`macvlan_broadcast`, `drivers/net/macvlan.c`).
    fn macvlan_takes(&mut self, at: Port, state: &State, link: &Link, passage: &Passage) -> bool {
        if !passage.frame.is_for_a_group() {
            let is_it = link.mac == Some(passage.frame.destination);
            if is_it {
                self.receive(at, passage);
            }
            return is_it;
        }
        match groups::has_joined(state, link, &passage.frame) {
            Some(true) => self.receive(at, passage),
            Some(false) => {}
            None => {
                let what =
                    format!("whether {} has joined the group {}", link.name, passage.frame.destination);
                let settle = format!("look with `ip maddress show dev {}`", link.name);
                let mut passage = passage.clone();
                passage.doubts.push(Doubt::new(what, settle));
                self.receive(at, &passage);
            }
        }
        false
    }

    fn lose(&mut self, at: Port, why: Lost, passage: &Passage) {
        self.end(at, Outcome::Lost(why), passage);
    }
}

//! The whole way of a packet and its answer: routing, rules, neighbours and frames in the kernel's order, namespace after
//! namespace.
//!
//! ```text
//! make ─▶ route ─▶ output ─▶ postrouting ─▶ fragments ─▶ neighbour ─▶ frame ─▶ receive        output, neighbours, frames
//! receive ─▶ prerouting ─▶ route ─┬▶ input ─▶ deliver ─▶ answer: make                          input, deliver
//!                                 └▶ TTL, MTU ─▶ forward ─▶ postrouting ─▶ … frame             input
//! wherever it stops ─▶ an error for the sender: make                                           failure
//! ```
//!
//! Where it is not known which way a packet takes, all are followed; what they agree on is known all the same.

mod arrival;
mod deliver;
mod diagnosis;
mod discovery;
mod failure;
mod frames;
mod hooks;
mod input;
mod lost;
mod neighbours;
mod output;
mod routing;
mod run;
mod surroundings;
mod tracking;
mod tunnels;
mod turned;
mod verdict;
mod words;

use nslab_kernel::link::Link;
use nslab_snapshot::{Contents, Snapshot, State, Where};

pub use self::arrival::{Arrival, predict_arrival};
use self::run::{End, Run};
use crate::l2::{Port, TunnelEnd, Wiring};
use crate::nft;
use crate::segments::Segments;
use crate::{Doubt, Prediction, Question, Verdict};

/// A snapshot with what ways are looked up by. Made once for many questions.
#[derive(Debug)]
pub struct Network<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// What lies on what.
    pub wiring: Wiring,
    /// Who would hear whom.
    pub segments: Segments,
}

impl<'a> Network<'a> {
    /// Looks through a snapshot.
    pub fn of(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, wiring: Wiring::of(snapshot), segments: Segments::of(snapshot) }
    }
}

/// What becomes of a packet.
pub fn predict(network: &Network<'_>, question: &Question) -> Prediction {
    let mut first = Run::new(question.namespace, question.packet.clone());
    first.oif = question.link;
    if question.established {
        // A connection is what its first packet made of it.
        let beginning = Question { established: false, ..question.clone() };
        let ends = Walk::new(network, &beginning)
            .walk(Run { oif: question.link, ..Run::new(question.namespace, begin(question)) });
        // Rather that of a way on which it comes about.
        let began = ends.into_iter().min_by_key(|end| end.verdict != Verdict::Delivered);
        first.connections = began.map_or_else(Vec::new, |end| end.connections);
        for (_, connection) in &mut first.connections {
            connection.state = nft::State::Established;
        }
    }
    let ends = Walk::new(network, question).walk(first);
    verdict::of(question, ends)
}

/// The packet by which the connection of a packet began.
fn begin(question: &Question) -> crate::Packet {
    let mut packet = question.packet.clone();
    if let crate::Transport::Tcp(tcp) = &mut packet.transport {
        tcp.flags = crate::Tcp::SYN;
    }
    packet
}

/// So many ways are followed.
const MOST_ENDS: usize = 128;

/// The ways of one packet.
struct Walk<'a> {
    network: &'a Network<'a>,
    /// The namespace whose packet it is.
    sender: usize,
    established: bool,
    /// Neighbours are asked for anew.
    fresh: bool,
    /// Neither the answer nor an error is followed: to whom they are is not known.
    one_way: bool,
    /// The other end of the tunnel whose packet it is.
    tunnel: Option<&'a TunnelEnd>,
    /// The tunnels that its packet is in already.
    inside: Vec<Port>,
    /// Packets that have come to an interface.
    pending: Vec<(Run, Port)>,
    ends: Vec<End>,
}

impl<'a> Walk<'a> {
    fn new(network: &'a Network<'a>, question: &Question) -> Self {
        let established = question.established;
        Self {
            network,
            sender: question.namespace,
            established,
            fresh: question.fresh,
            one_way: false,
            tunnel: None,
            inside: Vec::new(),
            pending: Vec::new(),
            ends: Vec::new(),
        }
    }

    fn walk(mut self, first: Run) -> Vec<End> {
        self.make(first);
        self.follow()
    }

    /// Follows all that is under way to its end.
    fn follow(mut self) -> Vec<End> {
        while let Some((run, at)) = self.pending.pop() {
            if self.is_spent() {
                self.unknown(run, "many ways", hooks::too_many());
                continue;
            }
            self.receive(run, at);
        }
        self.ends
    }

    fn is_spent(&self) -> bool {
        self.ends.len() + self.pending.len() > MOST_ENDS
    }

    fn state(&self, namespace: usize) -> Option<&'a State> {
        self.network.snapshot.namespaces.get(namespace)?.state()
    }

    fn link(&self, at: Port) -> Option<&'a Link> {
        self.state(at.namespace)?.link(at.link)
    }

    /// The other end of a veth, or what an interface lies on, where that is seen.
    fn peer(&self, at: Port) -> Option<Port> {
        let peer = self.state(at.namespace)?.peer(at.link)?;
        match peer.namespace {
            Where::Namespace(namespace) => Some(Port { namespace, link: peer.lower }),
            Where::Unseen => None,
        }
    }

    fn name(&self, namespace: usize) -> String {
        let seen = self.network.snapshot.namespaces.get(namespace);
        seen.map_or_else(|| "?".to_owned(), |seen| seen.name().to_string())
    }

    /// An interface's name in its namespace.
    fn link_name(&self, at: Port) -> String {
        self.link(at).map_or_else(|| at.link.to_string(), |link| link.name.to_string())
    }

    /// An interface in words, as `lab/red:eth0`.
    fn port(&self, at: Port) -> String {
        format!("{}:{}", self.name(at.namespace), self.link_name(at))
    }

    /// What becomes of it in a namespace that was not read is not known.
    fn unreadable(&mut self, run: Run) {
        let name = self.name(run.namespace);
        let why = match self.network.snapshot.namespaces.get(run.namespace).map(|seen| &seen.contents) {
            Some(Contents::Unreadable { why }) => why.clone(),
            _ => "it was not found".to_owned(),
        };
        let what = format!("what becomes of it in {name}, which could not be read: {why}");
        self.unknown(run, name, Doubt::new(what, "run this as root"));
    }
}

//! A packet's way through the router, hook by hook.

#![allow(clippy::format_push_string, reason = "texts grow line by line, none of them in a hurry")]

use std::net::IpAddr;

use nslab_kernel::nftables::{Family, Hook, Ruleset, print::Names};
use nslab_predict::nft::{
    Branch, Connection, Context, Device, Fate, FibQuestion, LinkHeader, Part, Rejection, Socket, Step,
    Surroundings, Tracking, evaluate, tracks_connections,
};
use nslab_predict::{Doubt, Packet, Tcp, Transport};

use super::network::Network;

/// Which way the packet goes.
#[derive(Clone, Copy)]
pub(super) struct Way {
    input: Device<'static>,
    output: Device<'static>,
}

impl Way {
    pub(super) fn in_by(network: &Network, cable: usize) -> Self {
        let device = |name, index, group| Device {
            name,
            index,
            group,
            kind: Some("veth"),
            hardware: 1,
            bridge: None,
            vrf: None,
        };
        let ends = [device("in0", network.inner.0, 7), device("out0", network.outer.0, 0)];
        Self { input: ends[cable], output: ends[1 - cable] }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    Out(Packet),
    Local,
    Dropped,
    Rejected(Rejection),
    Unknown(Doubt),
}

pub(super) struct Outcome {
    pub(super) end: End,
    pub(super) steps: Vec<Step>,
    pub(super) vague: Vec<(Part, Doubt)>,
    pub(super) tracking: Tracking,
}

impl Outcome {
    /// Takes over from `actual` what is not known.
    pub(super) fn blur(&self, packet: &mut Packet, actual: &Packet) {
        let (source, destination) = actual.ports().unwrap_or_default();
        for (part, _) in &self.vague {
            match (part, &mut packet.transport, actual.transport) {
                (Part::Source, ..) => packet.ip.source = actual.ip.source,
                (Part::Destination, ..) => packet.ip.destination = actual.ip.destination,
                (
                    Part::SourcePort,
                    Transport::Tcp(Tcp { source: port, .. }) | Transport::Udp { source: port, .. },
                    _,
                ) => {
                    *port = source;
                }
                (
                    Part::DestinationPort,
                    Transport::Tcp(Tcp { destination: port, .. }) | Transport::Udp { destination: port, .. },
                    _,
                ) => *port = destination,
                (Part::SourcePort, Transport::Icmp { id, .. }, Transport::Icmp { id: actual, .. }) => {
                    *id = actual;
                }
                _ => {}
            }
        }
    }

    pub(super) fn words(&self, ruleset: &Ruleset) -> String {
        let mut text = String::new();
        for step in &self.steps {
            let (table, chain) = (step.table(ruleset).unwrap(), step.chain(ruleset).unwrap());
            let rule =
                step.rule(ruleset).map_or("policy".into(), |rule| rule.to_nft(table, Names::default()).text);
            text += &format!(
                "  ({}, {}, {:?}) {} {}: {rule}: {:?} {:?}\n",
                step.table, step.chain, step.rule, table.id, chain.name, step.matched, step.action
            );
        }
        format!("{text}  {:?}", self.end)
    }
}

struct Router;

fn is_local(address: IpAddr) -> bool {
    ["10.0.0.254", "10.1.0.254", "fd00::fe", "fd00:1::fe"].iter().any(|own| own.parse() == Ok(address))
}

impl Surroundings for Router {
    fn address_type(&self, question: &FibQuestion<'_>) -> Result<u32, Doubt> {
        let destination = question.flags.contains(nslab_kernel::nftables::FibFlags::DESTINATION);
        let ip = &question.packet.ip;
        Ok(if is_local(if destination { ip.destination } else { ip.source }) { 2 } else { 1 })
    }

    fn masquerade(&self, context: &Context<'_>, packet: &Packet) -> Result<Option<IpAddr>, Doubt> {
        let inner = context.output.is_some_and(|output| output.name == "in0");
        let address = match (inner, packet.is_ipv6()) {
            (false, false) => "10.1.0.254",
            (false, true) => "fd00:1::fe",
            (true, false) => "10.0.0.254",
            (true, true) => "fd00::fe",
        };
        Ok(address.parse().ok())
    }

    fn redirect(&self, context: &Context<'_>, packet: &Packet) -> Result<Option<IpAddr>, Doubt> {
        let output = context.input;
        self.masquerade(&Context { output, ..context.clone() }, packet)
    }
}

/// All that may become of a packet that comes in.
pub(super) fn predict(
    ruleset: &Ruleset,
    packet: &Packet,
    way: Way,
    tracking: Option<&Tracking>,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let here = |hook| context(ruleset, hook, packet, way, tracking);
    for branch in evaluate(ruleset, &here(Hook::Prerouting), &Router) {
        let steps = branch.trail.clone();
        let Some(branch) = passes(branch, steps.clone(), &mut outcomes) else { continue };

        // All that a vague destination may be is behind the other cable.
        let vague = branch.vague.iter().any(|(part, _)| *part == Part::Destination);
        let local = !vague && is_local(branch.packet.ip.destination);
        let mut forwarded = branch.packet.clone();
        if !local {
            forwarded.ip.ttl -= 1;
        }
        let next = Context {
            packet: &forwarded,
            vague: &branch.vague,
            output: (!local).then_some(way.output),
            tracking: branch.tracking,
            ..here(if local { Hook::Input } else { Hook::Forward })
        };
        for branch in evaluate(ruleset, &next, &Router) {
            let steps = [steps.clone(), branch.trail.clone()].concat();
            let Some(branch) = passes(branch, steps.clone(), &mut outcomes) else { continue };
            if local {
                let (vague, tracking) = (branch.vague, branch.tracking);
                outcomes.push(Outcome { end: End::Local, steps, vague, tracking });
                continue;
            }
            leave(ruleset, branch, &steps, &here(Hook::Postrouting), way, &mut outcomes);
        }
    }
    outcomes
}

/// All that may become of a packet that the router itself sends by its outer cable.
pub(super) fn predict_sent(ruleset: &Ruleset, packet: &Packet, network: &Network) -> Vec<Outcome> {
    let way = Way::in_by(network, 0);
    let mut outcomes = Vec::new();
    let here =
        |hook| Context { input: None, socket: Socket::Unknown, ..context(ruleset, hook, packet, way, None) };
    let first = Context { output: Some(way.output), ..here(Hook::Output) };
    for branch in evaluate(ruleset, &first, &Router) {
        let steps = branch.trail.clone();
        let Some(branch) = passes(branch, steps.clone(), &mut outcomes) else { continue };
        leave(ruleset, branch, &steps, &here(Hook::Postrouting), way, &mut outcomes);
    }
    outcomes
}

/// The last hook.
fn leave(
    ruleset: &Ruleset,
    branch: Branch,
    steps: &[Step],
    here: &Context<'_>,
    way: Way,
    outcomes: &mut Vec<Outcome>,
) {
    let last = Context {
        packet: &branch.packet,
        vague: &branch.vague,
        output: Some(way.output),
        tracking: branch.tracking,
        ..here.clone()
    };
    for branch in evaluate(ruleset, &last, &Router) {
        let steps = [steps, &branch.trail].concat();
        let Some(branch) = passes(branch, steps.clone(), outcomes) else { continue };
        let (mut out, vague, tracking) = (branch.packet, branch.vague, branch.tracking);
        out.mark = 0;
        outcomes.push(Outcome { end: End::Out(out), steps, vague, tracking });
    }
}

/// A packet at a hook, just come in.
fn context<'a>(
    ruleset: &Ruleset,
    hook: Hook,
    packet: &'a Packet,
    way: Way,
    tracking: Option<&Tracking>,
) -> Context<'a> {
    let family = if packet.is_ipv6() { Family::Ip6 } else { Family::Ip };
    let tracking = tracking.cloned().unwrap_or_else(|| {
        let new = Connection::begun_by(packet).filter(|_| tracks_connections(ruleset, family));
        new.map_or(Tracking::None, Tracking::Connection)
    });
    Context {
        family,
        hook,
        packet,
        vague: &[],
        input: Some(way.input),
        output: None,
        tracking,
        tracked_before: false,
        link_header: LinkHeader::Unknown,
        packet_type: Some(0),
        socket: Socket::Absent,
        priority: None,
    }
}

/// The branch, if it goes on; else it is an outcome.
fn passes(branch: Branch, steps: Vec<Step>, outcomes: &mut Vec<Outcome>) -> Option<Branch> {
    let end = match &branch.fate {
        Fate::Accepted => return Some(branch),
        Fate::Dropped | Fate::Sent(_) => End::Dropped,
        Fate::Rejected(rejection) => End::Rejected(*rejection),
        Fate::Unknown(why) => End::Unknown(why.clone()),
    };
    outcomes.push(Outcome { end, steps, vague: branch.vague, tracking: branch.tracking });
    None
}

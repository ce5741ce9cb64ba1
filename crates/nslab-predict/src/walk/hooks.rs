//! The rules of nftables at a hook.

use nslab_kernel::link::IfIndex;
use nslab_kernel::nftables::{Family, Hook};
use nslab_snapshot::{Part, ProgramAt, State};

use super::Walk;
use super::run::{Phase, RefusedWith, Run};
use super::surroundings::{Here, device};
use super::{tracking, words};
use crate::l2;
use crate::nft::{self, Context, Fate, LinkHeader, Rejection, Socket, Step, Tracking};
use crate::{Action, Cause, Code, Doubt, Error, Evidence, Packet, Transport};

/// A hook, and the interfaces that rules see there.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) hook: Hook,
    pub(super) input: Option<IfIndex>,
    pub(super) output: Option<IfIndex>,
    /// Its connection was looked for before: it came by `lo`, or is about a packet that was tracked.
    pub(super) tracked: bool,
    /// It is bridged, and sees the rules for all that.
    pub(super) bridged: bool,
    /// It is for the bridge itself, so that it would meet these rules without a bridge as well.
    pub(super) for_itself: bool,
    /// Whose hook it is, if not that of the packet's own family.
    pub(super) family: Option<Family>,
}

impl At {
    pub(super) fn new(hook: Hook, input: Option<IfIndex>, output: Option<IfIndex>) -> Self {
        Self { hook, input, output, tracked: false, bridged: false, for_itself: false, family: None }
    }
}

/// The family whose hooks a packet passes.
pub(super) fn family(packet: &Packet) -> Family {
    if packet.is_ipv6() { Family::Ip6 } else { Family::Ip }
}

impl Walk<'_> {
    /// A packet at a hook: the ways on which it goes on, each with whether it has to be routed again. Where it does not, that
    /// is noted.
    pub(super) fn hook(&mut self, mut run: Run, state: &State, at: At) -> Vec<(Run, bool)> {
        self.gaps(&run, state);
        self.programs(&run, state, at);
        let ruleset = &state.nftables;
        if ruleset.tables.is_empty() {
            return vec![(run, false)];
        }
        let family = at.family.unwrap_or_else(|| family(&run.packet));
        let first = matches!(at.hook, Hook::Prerouting | Hook::Output);
        if first && !at.tracked {
            run.tracking = tracking::look_up(&run, state, family, self.established);
        }
        self.pieces(&run, state, at);
        let of =
            |link: Option<IfIndex>| link.and_then(|link| state.link(link)).map(|link| device(state, link));
        // What a bridge sees is a frame at all of its hooks.
        let made_here = at.input.is_none() && family != Family::Bridge;
        let context = Context {
            family,
            hook: at.hook,
            packet: &run.packet,
            vague: &run.vague,
            input: of(at.input),
            output: of(at.output),
            tracking: run.tracking.clone(),
            tracked_before: at.tracked,
            link_header: if made_here { LinkHeader::Absent } else { LinkHeader::Unknown },
            packet_type: Some(0),
            socket: socket(&run, at),
            priority: None,
        };
        let mut branches = nft::evaluate(ruleset, &context, &Here(state));
        // The last is followed with what there is, the others with copies.
        let last = branches.pop();
        let several = !branches.is_empty();
        let mut on = Vec::new();
        let copies: Vec<_> = branches.into_iter().map(|branch| (run.clone(), branch)).collect();
        for (run, branch) in copies.into_iter().chain(last.map(|branch| (run, branch))) {
            if several && self.is_spent() {
                self.unknown(run, "nftables", too_many());
                continue;
            }
            on.extend(self.after(run, state, at, branch));
        }
        on
    }

    /// What an evaluation says.
    fn after(&mut self, mut run: Run, state: &State, at: At, branch: nft::Branch) -> Option<(Run, bool)> {
        let before = std::mem::replace(&mut run.packet, branch.packet.clone());
        run.vague.clone_from(&branch.vague);
        run.tracking.clone_from(&branch.tracking);
        run.doubts.extend(branch.doubts.iter().cloned());
        let decided = branch.decided_by().copied();
        let rule = |step: &Step| words::rule(state, step);
        match branch.fate {
            Fate::Accepted => {
                note(&mut run, state, at, &before, &branch.trail);
                if let Some((part, doubt)) = run
                    .vague
                    .iter()
                    .find(|(part, _)| matches!(part, nft::Part::Destination | nft::Part::Source))
                {
                    let (object, doubt) = (format!("{part:?}").to_lowercase(), doubt.clone());
                    self.unknown(run, object, doubt);
                    return None;
                }
                if matches!(at.hook, Hook::Postrouting | Hook::Input) && tracking::clashes(&run) {
                    let what = "which port address translation takes, as another connection has that which it would take";
                    self.unknown(
                        run,
                        "connection tracking",
                        Doubt::new(what, "send it and look at `conntrack -L`"),
                    );
                    return None;
                }
                Some((run, branch.rerouted))
            }
            Fate::Dropped | Fate::Rejected(_) => {
                let rejection = match branch.fate {
                    Fate::Rejected(rejection) => Some(rejection),
                    _ => None,
                };
                run.packet = before;
                let by_lo = at.input.and_then(|link| state.link(link)).is_some_and(|link| link.loopback);
                run.refused_with = match at.hook {
                    Hook::Prerouting if !by_lo => RefusedWith::WayBack,
                    _ if at.bridged => RefusedWith::Bridge,
                    _ => RefusedWith::Own,
                };
                let Some(step) = decided else {
                    // Masquerading found no address, say.
                    let text = "it is dropped: address translation finds no address for it";
                    let cause = Cause::new(Code::FirewallDrop, run.namespace, "nftables", text);
                    self.drop(run, cause);
                    return None;
                };
                let only_bridged = at.bridged && !at.for_itself;
                let code = match (only_bridged, rejection) {
                    (true, _) => Code::BridgeFirewall,
                    (false, Some(_)) => Code::FirewallReject,
                    (false, None) => Code::FirewallDrop,
                };
                let (object, text) = rule(&step);
                let verb = if rejection.is_some() { "rejected" } else { "dropped" };
                let why = if only_bridged { " (bridge-nf-call is on)" } else { "" };
                let text = format!("it is {verb} by {text}{why}");
                let cause = Cause::new(code, run.namespace, object, text).with(Evidence::Firewall(step));
                // The first piece of a packet alone has no checksum that could be right, and nobody is told of such
                // (`nf_send_unreach`, `net/ipv4/netfilter/nf_reject_ipv4.c`).
                let whole = run.fragments.is_none()
                    || at.hook == Hook::Input
                    || nft::tracks_connections(&state.nftables, family(&run.packet));
                let told = rejection.filter(|_| whole).map(error);
                if told.is_some() && !has_checksum(&run.packet) {
                    let doubt = Doubt::new(
                        "whether what a packet of this protocol carries sums up as its rejection demands",
                        "send it and look",
                    );
                    run.doubts.push(doubt);
                    self.fail(run.clone(), cause.clone(), None);
                }
                self.fail(run, cause, told);
                None
            }
            Fate::Sent(_) => {
                self.unknown(run, "nftables", Doubt::new("what becomes of a packet after `fwd`", "send it"));
                None
            }
            Fate::Unknown(doubt) => {
                let object = decided.map_or_else(|| "nftables".to_owned(), |step| rule(&step).0);
                self.unknown(run, object, doubt);
                None
            }
        }
    }

    /// Pieces of a packet but the first have no ports. Connection tracking puts them together before rules see them, as does
    /// delivery.
    fn pieces(&mut self, run: &Run, state: &State, at: At) {
        let whole = run.fragments.is_none()
            || matches!(at.hook, Hook::Input | Hook::Output)
            || nft::tracks_connections(&state.nftables, family(&run.packet));
        if whole || !words::looks_at_ports(&state.nftables) {
            return;
        }
        let doubt = Doubt::new(
            "what rules that look at ports make of the pieces of a fragmented packet, which but for the first have none",
            "send it and look, or send one that fits",
        );
        self.perhaps(run, "nftables", &doubt);
    }

    /// BPF programs at the hook may drop anything.
    fn programs(&mut self, run: &Run, state: &State, at: At) {
        if state.programs.is_empty() || at.family.is_some() {
            return;
        }
        let hook = match at.hook {
            Hook::Prerouting => 0,
            Hook::Input => 1,
            Hook::Forward => 2,
            Hook::Output => 3,
            Hook::Postrouting => 4,
            Hook::Ingress | Hook::Egress | Hook::Other(_) => return,
        };
        let family = if run.packet.is_ipv6() { 10 } else { 2 };
        let first = l2::programs(state, ProgramAt::Netfilter { family, hook }).next();
        if let Some(program) = first {
            let doubt = Doubt::new(
                format!("the BPF program {program} at a hook of netfilter, which may be this namespace's"),
                format!("look at it with `bpftool prog show id {program}` and `bpftool net show`"),
            );
            self.perhaps(run, "netfilter", &doubt);
        }
    }

    /// Rules that could not be read, or are not understood, may drop anything.
    fn gaps(&mut self, run: &Run, state: &State) {
        if let Some(gap) = state.gaps.iter().find(|gap| gap.part == Part::Nftables) {
            let doubt = Doubt::new(
                format!("the rules of nftables could not be read ({})", gap.why),
                "look with `nft list ruleset` as root",
            );
            self.perhaps(run, "nftables", &doubt);
        }
        if !state.xtables.is_empty() {
            let doubt = Doubt::new(
                format!("the rules of iptables ({}) are not read", state.xtables.join(", ")),
                "look at their counters with `iptables-legacy -L -v -n`",
            );
            self.perhaps(run, "iptables", &doubt);
        }
    }
}

/// Whether rejections of a packet do not hang on the sum of all that it carries, or that is right
/// (`nf_reject_verify_csum`, `include/net/netfilter/nf_reject.h`).
fn has_checksum(packet: &Packet) -> bool {
    // GRE, ESP, AH, DCCP, SCTP, UDP-Lite.
    !matches!(packet.transport, Transport::Other(number) if ![47, 50, 51, 33, 132, 136].contains(&number))
}

/// Why no more ways are followed.
pub(super) fn too_many() -> Doubt {
    Doubt::new("which of very many ways it takes", "ask about a packet of which more is known")
}

/// Whose packet it is.
fn socket(run: &Run, at: At) -> Socket {
    match (&run.phase, run.packet.transport, at.input) {
        (_, _, Some(_)) if at.hook != Hook::Input => Socket::Absent,
        // Echo replies, errors and resets are the kernel's own.
        (Phase::Error(_), _, None) | (Phase::Answer, Transport::Icmp { .. }, None) => Socket::Absent,
        _ => Socket::Unknown,
    }
}

fn error(rejection: Rejection) -> Error {
    match rejection {
        Rejection::Icmp(code) => Error::Icmp { kind: 3, code, mtu: None },
        Rejection::Icmpv6(code) => Error::Icmp { kind: 1, code, mtu: None },
        Rejection::TcpReset => Error::Reset,
    }
}

/// Notes what rules did to a packet that goes on.
fn note(run: &mut Run, state: &State, at: At, before: &Packet, trail: &[Step]) {
    let changes = words::changes(before, &run.packet);
    if !changes.is_empty() {
        let by = trail.iter().rev().find(|step| step.action == nft::Action::Translate);
        let object = match by {
            Some(step) => words::rule(state, step).0,
            None => "connection tracking".to_owned(),
        };
        run.step(Action::Change, object, changes);
    }
    let to = |packet: &Packet| (packet.ip.destination, packet.ports().map(|(_, to)| to));
    if let (Phase::Request, (_, Some(port))) = (&run.phase, to(&run.packet))
        && to(before) != to(&run.packet)
    {
        run.ports.push(port);
    }
    if let Some(step) = trail.last() {
        let (object, text) = words::rule(state, step);
        run.step(Action::Filter, object, format!("{}: {text}", words::hook(at.hook)));
    } else if matches!(run.tracking, Tracking::Connection(_)) && !trail.is_empty() {
        run.step(Action::Filter, "connection tracking", words::hook(at.hook));
    }
}

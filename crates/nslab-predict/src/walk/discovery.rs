//! Asking for the next hop's MAC is done by packets, which rules may drop as any others: ARP's at bridges, those of neighbour
//! discovery (RFC 4861) everywhere. Tunnels have to carry them.

use std::net::{IpAddr, Ipv6Addr};

use nslab_kernel::link::IfIndex;
use nslab_kernel::nftables::{Family, Hook};

use super::frames::{calls, entrance_rules, own_rules};
use super::hooks::At;
use super::run::Run;
use super::surroundings::{Here, device};
use super::{Walk, words};
use crate::l2::{End, Hop, Port, TunnelEnd};
use crate::neighbour::Answer;
use crate::nft::{self, Context, LinkHeader, Socket, Tracking};
use crate::{Cause, Code, Doubt, Evidence, Ip, Packet, Transport, Verdict};

/// Types of `ICMPv6` (RFC 4861).
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

impl Walk<'_> {
    /// Whether question and answer pass all rules and tunnels between the two; what that hangs on.
    pub(super) fn question_passes(
        &self,
        run: &Run,
        asker: Port,
        answer: &Answer,
        source: IpAddr,
        target: IpAddr,
    ) -> Result<Vec<Doubt>, Box<Cause>> {
        let owner = answer.at;
        let packets = match target {
            IpAddr::V6(address) => Some(discovery(source, target, address)),
            IpAddr::V4(_) => None,
        };
        let mut doubts = Vec::new();
        for (from, to, way, is_answer) in
            [(asker, owner, &answer.question, false), (owner, asker, &answer.back, true)]
        {
            let packet = packets.as_ref().map(|(question, reply)| if is_answer { reply } else { question });
            let sent = [(from, Hook::Output), (from, Hook::Postrouting)];
            let received = [(to, Hook::Prerouting), (to, Hook::Input)];
            for (at, hook) in sent {
                doubts.extend(self.host_passes(at, hook, packet)?);
            }
            for (place, hop) in way.hops.iter().enumerate() {
                let next = way.hops.get(place + 1).filter(|next| self.is_taken(*hop, **next));
                doubts.extend(self.bridge_passes(*hop, next.is_some(), way, packet)?);
                if let Some((own, far)) = self.enters(way, place) {
                    doubts.extend(self.tunnel_passes(run, way, own, far)?);
                }
            }
            for (at, hook) in received {
                doubts.extend(self.host_passes(at, hook, packet)?);
            }
        }
        Ok(doubts)
    }

    /// Whether a host's rules let a packet of neighbour discovery pass. ARP has hooks of its own.
    fn host_passes(&self, at: Port, hook: Hook, packet: Option<&Packet>) -> Result<Vec<Doubt>, Box<Cause>> {
        let link = Some(at.link);
        let (input, output) = match hook {
            Hook::Output => (None, link),
            // What neighbour discovery makes has an interface from the beginning, by which it seems to have come
            // (`ndisc_alloc_skb`, `net/ipv6/ndisc.c`; `ip6_output`, `net/ipv6/ip6_output.c`).
            Hook::Postrouting => (link, link),
            _ => (link, None),
        };
        if let Some(packet) = packet {
            let at_hook = At::new(hook, input, output);
            return self.rules_pass(at.namespace, at_hook, packet, LinkHeader::Unknown);
        }
        if !matches!(hook, Hook::Output | Hook::Input) {
            return Ok(Vec::new());
        }
        let at_hook = At { family: Some(Family::Arp), ..At::new(hook, input, output) };
        self.rules_pass(at.namespace, at_hook, &some_arp(), LinkHeader::Unknown)
    }

    /// Whether a bridge's rules let a question or an answer pass.
    fn bridge_passes(
        &self,
        hop: Hop,
        is_taken: bool,
        way: &End,
        packet: Option<&Packet>,
    ) -> Result<Vec<Doubt>, Box<Cause>> {
        let Some(state) = self.state(hop.at.namespace) else { return Ok(Vec::new()) };
        let mut doubts = Vec::new();
        let arp = some_arp();
        let frame = &way.frame;
        let mut header = [0; 14];
        header[..6].copy_from_slice(&frame.destination.0);
        header[6..12].copy_from_slice(&frame.source.0);
        header[12..].copy_from_slice(if packet.is_some() { &[0x86, 0xdd] } else { &[0x08, 0x06] });
        let own = if is_taken { entrance_rules(state, hop) } else { own_rules(state, hop) };
        for at in own {
            let header = LinkHeader::Ethernet(header);
            doubts.extend(self.rules_pass(hop.at.namespace, at, packet.unwrap_or(&arp), header)?);
        }
        if let Some(packet) = packet {
            for at in calls(state, hop, way, true) {
                doubts.extend(self.rules_pass(hop.at.namespace, at, packet, LinkHeader::Unknown)?);
            }
        }
        Ok(doubts)
    }

    /// Whether the network below a tunnel carries a question or an answer.
    fn tunnel_passes(
        &self,
        run: &Run,
        way: &End,
        own: &TunnelEnd,
        far: &TunnelEnd,
    ) -> Result<Vec<Doubt>, Box<Cause>> {
        let Some(packet) = self.tunnel_packet(way, own, far, run, way.frame.size) else {
            return Ok(Vec::new());
        };
        let ends = self.walk_below(run, own, far, packet);
        let lost = ends.iter().find(|end| end.verdict != Verdict::Delivered);
        match lost.and_then(|end| end.cause.clone()) {
            None => Ok(Vec::new()),
            Some(cause)
                if ends.iter().all(|end| end.verdict != Verdict::Delivered)
                    && cause.code != Code::Unmodelled =>
            {
                let text = format!(
                    "the tunnel's packet with the question for its MAC, or the answer, is lost: {}",
                    cause.text
                );
                Err(Box::new(Cause { text, ..cause }))
            }
            Some(cause) => Ok(vec![Doubt::new(cause.text, "send a packet")]),
        }
    }

    /// Whether the rules of a namespace let a packet pass by which somebody is asked for, or answers.
    fn rules_pass(
        &self,
        namespace: usize,
        at: At,
        packet: &Packet,
        link_header: LinkHeader,
    ) -> Result<Vec<Doubt>, Box<Cause>> {
        let Some(state) = self.state(namespace) else { return Ok(Vec::new()) };
        if state.nftables.tables.is_empty() {
            return Ok(Vec::new());
        }
        let of =
            |link: Option<IfIndex>| link.and_then(|link| state.link(link)).map(|link| device(state, link));
        let family = at.family.unwrap_or_else(|| super::hooks::family(packet));
        let made_here = at.input.is_none() && family != Family::Bridge;
        let context = Context {
            family,
            hook: at.hook,
            packet,
            vague: &[],
            input: of(at.input),
            output: of(at.output),
            // Connection tracking leaves neighbour discovery alone (`nf_conntrack_icmpv6_error`).
            tracking: if nft::tracks_connections(&state.nftables, family) {
                Tracking::Untracked
            } else {
                Tracking::None
            },
            tracked_before: !matches!(at.hook, Hook::Prerouting | Hook::Output),
            link_header: if made_here { LinkHeader::Absent } else { link_header },
            packet_type: None,
            socket: Socket::Absent,
            priority: None,
        };
        let branches = nft::evaluate(&state.nftables, &context, &Here(state));
        let passes = branches.iter().filter(|branch| branch.fate == nft::Fate::Accepted).count();
        if passes == branches.len() {
            return Ok(Vec::new());
        }
        let lost = branches.iter().find(|branch| branch.fate != nft::Fate::Accepted);
        if passes > 0 || lost.is_some_and(|branch| matches!(branch.fate, nft::Fate::Unknown(_))) {
            let mut doubts: Vec<Doubt> =
                branches.iter().flat_map(|branch| branch.doubts.iter().cloned()).collect();
            doubts.push(Doubt::new("whether the rules let neighbour discovery pass", "send a packet"));
            doubts.truncate(1);
            return Ok(doubts);
        }
        let step = lost.and_then(nft::Branch::decided_by).copied();
        let Some(step) = step else { return Ok(Vec::new()) };
        let (object, text) = words::rule(state, &step);
        let kind = match packet.transport {
            Transport::Icmp { kind: SOLICITATION, .. } => {
                "question for the next hop's MAC (neighbour solicitation)"
            }
            Transport::Icmp { kind: ADVERTISEMENT, .. } => {
                "answer with the next hop's MAC (neighbour advertisement)"
            }
            _ => "ARP for the next hop",
        };
        let code = if at.bridged { Code::BridgeFirewall } else { Code::FirewallDrop };
        let text = format!("the {kind} is dropped by {text}");
        Err(Box::new(Cause::new(code, namespace, object, text).with(Evidence::Firewall(step))))
    }
}

/// The question for an IPv6 address, and the answer.
fn discovery(source: IpAddr, target: IpAddr, address: Ipv6Addr) -> (Packet, Packet) {
    let [.., a, b, c] = address.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let packet = |from: IpAddr, to: IpAddr, kind| Packet {
        ip: Ip { source: from, destination: to, ttl: 255, tos: 0, dont_fragment: false, size: 72 },
        transport: Transport::Icmp { kind, code: 0, id: 0 },
        mark: 0,
    };
    (packet(source, group.into(), SOLICITATION), packet(target, source, ADVERTISEMENT))
}

/// Stands for a packet of ARP, of which rules for IP see nothing.
fn some_arp() -> Packet {
    let any: IpAddr = std::net::Ipv4Addr::UNSPECIFIED.into();
    Packet {
        ip: Ip { source: any, destination: any, ttl: 0, tos: 0, dont_fragment: false, size: 28 },
        transport: Transport::Other(0),
        mark: 0,
    }
}

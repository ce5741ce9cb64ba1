//! Neighbour discovery (RFC 4861) is made of packets, which rules may drop as any others.

use std::net::{IpAddr, Ipv6Addr};

use nslab_kernel::nftables::Hook;

use super::surroundings::{Here, device};
use super::{Walk, words};
use crate::l2::Port;
use crate::nft::{self, Context, LinkHeader, Socket, Tracking};
use crate::{Cause, Code, Doubt, Evidence, Ip, Packet, Transport};

/// Types of `ICMPv6` (RFC 4861).
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

impl Walk<'_> {
    /// Whether question and answer of neighbour discovery pass the rules on both sides; what they hang on.
    pub(super) fn nd_passes(
        &self,
        asker: Port,
        owner: Port,
        source: IpAddr,
        target: IpAddr,
    ) -> Result<Vec<Doubt>, Box<Cause>> {
        let IpAddr::V6(address) = target else { return Ok(Vec::new()) };
        let low = address.octets();
        let group = Ipv6Addr::new(
            0xff02,
            0,
            0,
            0,
            0,
            1,
            0xff00 | u16::from(low[13]),
            u16::from_be_bytes([low[14], low[15]]),
        );
        let packet = |from: IpAddr, to: IpAddr, kind| Packet {
            ip: Ip { source: from, destination: to, ttl: 255, tos: 0, dont_fragment: false, size: 72 },
            transport: Transport::Icmp { kind, code: 0, id: 0 },
            mark: 0,
        };
        let question = packet(source, group.into(), SOLICITATION);
        let answer = packet(target, source, ADVERTISEMENT);
        let mut doubts = Vec::new();
        for (from, to, packet) in [(asker, owner, &question), (owner, asker, &answer)] {
            for (at, hook) in
                [(from, Hook::Output), (from, Hook::Postrouting), (to, Hook::Prerouting), (to, Hook::Input)]
            {
                doubts.extend(self.rules_pass(at, hook, packet)?);
            }
        }
        Ok(doubts)
    }

    /// Whether the rules of a namespace let a packet of neighbour discovery pass.
    fn rules_pass(&self, at: Port, hook: Hook, packet: &Packet) -> Result<Vec<Doubt>, Box<Cause>> {
        let Some(state) = self.state(at.namespace) else { return Ok(Vec::new()) };
        if state.nftables.tables.is_empty() {
            return Ok(Vec::new());
        }
        let link = state.link(at.link).map(|link| device(state, link));
        let goes_out = matches!(hook, Hook::Output | Hook::Postrouting);
        let context = Context {
            family: super::hooks::family(packet),
            hook,
            packet,
            vague: &[],
            input: link.filter(|_| !goes_out),
            output: link.filter(|_| goes_out),
            // Connection tracking leaves neighbour discovery alone (`nf_conntrack_icmpv6_error`).
            tracking: if nft::tracks_connections(&state.nftables, super::hooks::family(packet)) {
                Tracking::Untracked
            } else {
                Tracking::None
            },
            tracked_before: !matches!(hook, Hook::Prerouting | Hook::Output),
            link_header: if goes_out { LinkHeader::Absent } else { LinkHeader::Unknown },
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
        let kind = if matches!(packet.transport, Transport::Icmp { kind: SOLICITATION, .. }) {
            "question for the next hop's MAC (neighbour solicitation)"
        } else {
            "answer with the next hop's MAC (neighbour advertisement)"
        };
        let text = format!("the {kind} is dropped by {text}");
        Err(Box::new(
            Cause::new(Code::FirewallDrop, at.namespace, object, text).with(Evidence::Firewall(step)),
        ))
    }
}

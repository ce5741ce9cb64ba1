//! What acts on a packet, and what only chance or others know.

use nslab_kernel::nftables::{Expr, HashKind, QueueNumber, Quota, Register, Reject, RejectIcmpx};

use super::bits::Term;
use super::chain::{Evaluator, Place};
use super::connection::Tracking;
use super::logic::doubt;
use super::nat::{self, Choice};
use super::outcome::Rejection;
use super::registers::Registers;
use super::rule::{BREAK, Effect, Side, queue};
use super::run::{End, Flow, Run};
use crate::{Doubt, Tcp};

/// Numbers by chance are followed one by one if there are no more than these.
const FEW: u32 = 16;

impl Evaluator<'_> {
    pub(super) fn statement(
        &self,
        place: Place,
        expr: &Expr,
        run: &mut Run,
        registers: &mut Registers,
    ) -> Effect {
        let tcp = run.core.header.protocol() == 6;
        match expr {
            Expr::Counter { .. } | Expr::Log(_) | Expr::Last { .. } | Expr::Dup { .. } => Effect::Next,
            Expr::Dynset(dynset) => self.dynset(place, dynset, run, registers),
            Expr::Objref(objref) => self.objref(place, objref, registers),
            Expr::Limit(limit) => {
                let what = format!("limit rate {}/{} s", limit.rate, limit.seconds);
                Effect::perhaps(doubt(what, "How much has come by just before."))
            }
            Expr::Quota(quota) => quota_effect(quota),
            Expr::Connlimit { count, .. } => {
                Effect::perhaps(doubt(format!("ct count {count}"), "How many connections there are."))
            }
            Expr::Numgen { destination, random, modulus, offset } => {
                let what = if *random { "numgen random" } else { "numgen inc" };
                number(*destination, *modulus, *offset, &format!("{what} mod {modulus}"))
            }
            Expr::Hash { destination, kind, modulus, offset } => {
                let what = if matches!(kind, HashKind::Symmetric) { "symhash" } else { "jhash" };
                number(*destination, *modulus, *offset, &format!("{what} mod {modulus}"))
            }
            Expr::Osf { destination, .. } => {
                perhaps(*destination, 16, "osf", "The sender's operating system.")
            }
            Expr::Socket { destination, key, .. } => {
                perhaps(*destination, 16, &format!("socket {key}"), "The socket that the packet is for.")
            }
            Expr::Rt { destination, key } => {
                perhaps(*destination, 16, &format!("rt {key}"), "The packet's route.")
            }
            Expr::Xfrm { destination, key, .. } => {
                perhaps(*destination, 16, &format!("ipsec {key}"), "The IPsec states.")
            }
            Expr::Tunnel { destination, .. } => {
                perhaps(*destination, 16, "tunnel", "The metadata of the tunnel that it came by.")
            }
            Expr::Reject(reject) => Effect::end(rejected(*reject, run)),
            Expr::Nat(statement) => self.nat(statement, run, registers),
            Expr::Masquerade { flags, ports } => {
                let found = self.surroundings.masquerade(self.context, &self.packet(run));
                let choice = found.and_then(|address| match address {
                    Some(address) => Ok(Some(Choice {
                        addresses: Some((address, address)),
                        ports: nat::ports(*ports, registers)?,
                        flags: *flags,
                    })),
                    None => Ok(None),
                });
                decide(nat::End::Source, choice, run)
            }
            Expr::Redirect { flags, ports } => {
                let local = self.context.hook == nslab_kernel::nftables::Hook::Output;
                let loopback = if run.core.header.is_ipv6() {
                    std::net::Ipv6Addr::LOCALHOST.into()
                } else {
                    std::net::Ipv4Addr::LOCALHOST.into()
                };
                let found = if local {
                    Ok(Some(loopback))
                } else {
                    self.surroundings.redirect(self.context, &self.packet(run))
                };
                let choice = found.and_then(|address| match address {
                    Some(address) => Ok(Some(Choice {
                        addresses: Some((address, address)),
                        ports: nat::ports(*ports, registers)?,
                        flags: *flags,
                    })),
                    None => Ok(None),
                });
                decide(nat::End::Destination, choice, run)
            }
            Expr::Tproxy { .. } if !matches!(run.core.header.protocol(), 6 | 17) => BREAK,
            Expr::Tproxy { .. } => Effect::unknown("tproxy", "The socket that takes the packet."),
            Expr::Synproxy(_) if !tcp => BREAK,
            Expr::Synproxy(_) => Effect::unknown("synproxy", "Whether the client answers."),
            Expr::Queue { number, .. } => {
                let number = match number {
                    QueueNumber::Fixed { first, .. } => first.to_string(),
                    QueueNumber::Register(_) => "a queue".into(),
                };
                Effect::end(End::Unknown(queue(&number)))
            }
            Expr::Fwd { device, .. } => match registers.read(*device, 4).to_word() {
                Some(device) => Effect::end(End::Send(device)),
                None => Effect::unknown("fwd", "The interface that it is sent by."),
            },
            Expr::FlowOffload { flowtable } => Effect::perhaps(doubt(
                format!("flow add @{flowtable}"),
                "Whether the connection is taken over.",
            )),
            Expr::Xt { target: false, name, .. } => {
                Effect::perhaps(doubt(format!("xt match {name}"), "What this match of iptables says."))
            }
            Expr::Xt { name, .. } => {
                Effect::unknown(format!("xt target {name}"), "What this target of iptables does.")
            }
            Expr::Unknown { name, .. } => Effect::unknown(name.clone(), "What this expression does."),
            // The others are loads and comparisons, and new ones.
            _ => Effect::unknown("an expression", "What this expression does."),
        }
    }

    fn nat(&self, statement: &nslab_kernel::nftables::Nat, run: &mut Run, registers: &Registers) -> Effect {
        use nslab_kernel::nftables::Family;
        let ipv6 = run.core.header.is_ipv6();
        let own = if ipv6 { Family::Ip6 } else { Family::Ip };
        // `nft_nat_inet_eval`: what is for another family passes.
        if statement.family != Family::Inet && statement.family != own {
            return Effect::Next;
        }
        let end = if statement.destination { nat::End::Destination } else { nat::End::Source };
        let packet = self.packet(run);
        let now = if statement.destination { packet.ip.destination } else { packet.ip.source };
        let choice = nat::choice(statement, registers, ipv6, now);
        decide(end, choice.map(Some), run)
    }

    fn packet(&self, run: &Run) -> crate::Packet {
        run.core.header.packet(self.context.packet).0
    }
}

/// Decides NAT, which accepts the packet; without an address it is dropped.
fn decide(end: nat::End, choice: Result<Option<Choice>, Doubt>, run: &mut Run) -> Effect {
    let Tracking::Connection(connection) = &mut run.core.tracking else {
        return Effect::unknown("nat", "The connection of the packet.");
    };
    match choice {
        Ok(Some(choice)) => nat::decide(connection, end, &choice),
        Ok(None) => return Effect::end(End::Drop),
        Err(why) => nat::decide_somehow(connection, end, why),
    }
    Effect::Flow(Flow::Translated)
}

/// A load whose value, and perhaps existence, is not known.
fn perhaps(destination: Register, len: usize, what: &str, settle: &str) -> Effect {
    let why = doubt(what, settle);
    let term = Term::unknown(len, why.clone());
    Effect::Fork(why, vec![Side::Load(destination, term), Side::Flow(Flow::Break)])
}

/// A number by chance below a modulus.
fn number(destination: Register, modulus: u32, offset: u32, what: &str) -> Effect {
    let why = doubt(what, "Nothing: the kernel counts or takes a chance.");
    let sides = if modulus <= FEW {
        let load = |number: u32| Side::Load(destination, Term::word(offset.wrapping_add(number)));
        (0..modulus.max(1)).map(load).collect()
    } else {
        vec![Side::Load(destination, Term::unknown(4, why.clone()))]
    };
    Effect::Fork(why, sides)
}

/// A quota that is used up stays so; one that is not may be by then (`nft_overquota`).
fn quota_effect(quota: &Quota) -> Effect {
    let inverted = quota.flags & 1 != 0;
    if quota.consumed > quota.bytes {
        return Effect::if_so(Some(inverted), || doubt("quota", ""));
    }
    Effect::perhaps(doubt(format!("quota {} bytes", quota.bytes), "How much of it is used up by then."))
}

/// What the sender is told (`nft_reject_inet_eval`, `nft_reject_icmp_code`, `nft_reject_icmpv6_code`).
fn rejected(reject: Reject, run: &Run) -> End {
    let ipv6 = run.core.header.is_ipv6();
    let unreachable = |code| End::Reject(if ipv6 { Rejection::Icmpv6(code) } else { Rejection::Icmp(code) });
    match reject {
        Reject::Icmp(code) => unreachable(code),
        Reject::Icmpx(what) => match (what, ipv6) {
            (RejectIcmpx::NoRoute, _) => unreachable(0),
            (RejectIcmpx::HostUnreachable, false) | (RejectIcmpx::AdminProhibited, true) => unreachable(1),
            (RejectIcmpx::PortUnreachable, false) | (RejectIcmpx::HostUnreachable, true) => unreachable(3),
            (RejectIcmpx::PortUnreachable, true) => unreachable(4),
            (RejectIcmpx::AdminProhibited, false) => unreachable(13),
            (RejectIcmpx::Other(_), _) => End::Unknown(doubt("reject", "What the kernel tells the sender.")),
        },
        // Nothing is answered to what is no TCP, nor to a reset (`nf_reject_ip_tcphdr_get`).
        Reject::TcpReset if run.core.header.protocol() != 6 => End::Drop,
        Reject::TcpReset => match run.core.header.read(run.core.header.transport() + 13, 1) {
            Some(flags) => match flags.bits.bytes() {
                Some([flags, ..]) if flags & Tcp::RST != 0 => End::Drop,
                Some(_) => End::Reject(Rejection::TcpReset),
                None => End::Unknown(flags.reason()),
            },
            None => End::Drop,
        },
    }
}

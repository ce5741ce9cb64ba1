//! NAT: what is decided for a connection's first packet (`nft_nat_eval`, `nft_masq_eval`, `nft_redir_eval`,
//! `nf_nat_setup_info`), and what it does to packets (`nf_nat_packet`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::rc::Rc;

use nslab_kernel::conntrack::{Keys, Tuple};
use nslab_kernel::nftables::{CtDirection, CtStatus, Hook, Nat, NatFlags, RegisterRange};

use super::bits::Term;
use super::connection::{Connection, State, inverted};
use super::outcome::Part;
use super::registers::Registers;
use super::run::Core;
use crate::Doubt;

/// `IPS_SRC_NAT_DONE` and `IPS_DST_NAT_DONE`.
const SOURCE_DONE: CtStatus = CtStatus(1 << 7);
const DESTINATION_DONE: CtStatus = CtStatus(1 << 8);

/// Which end of a connection is translated (`enum nf_nat_manip_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

impl End {
    /// The end that NAT at a hook is about (`HOOK2MANIP`).
    pub(super) fn at(hook: Hook) -> Option<Self> {
        match hook {
            Hook::Prerouting | Hook::Output => Some(Self::Destination),
            Hook::Postrouting | Hook::Input => Some(Self::Source),
            _ => None,
        }
    }
}

/// What a statement lets the kernel choose from (`struct nf_nat_range2`).
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    pub(super) addresses: Option<(IpAddr, IpAddr)>,
    pub(super) ports: Option<RangeInclusive<u16>>,
    pub(super) flags: NatFlags,
}

/// What a `snat` or `dnat` statement lets the kernel choose from.
pub(super) fn choice(nat: &Nat, registers: &Registers, ipv6: bool, now: IpAddr) -> Result<Choice, Doubt> {
    let mut addresses = match nat.addresses {
        Some(RegisterRange { first, last }) => {
            Some((address(&registers.read(first, 16), ipv6)?, address(&registers.read(last, 16), ipv6)?))
        }
        None => None,
    };
    if nat.flags.contains(NatFlags::NETMAP)
        && let Some((first, last)) = addresses
    {
        let mapped = netmap(first, last, now).unwrap_or(first);
        addresses = Some((mapped, mapped));
    }
    Ok(Choice { addresses, ports: ports(nat.ports, registers)?, flags: nat.flags })
}

/// The range of ports that registers hold.
pub(super) fn ports(
    range: Option<RegisterRange>,
    registers: &Registers,
) -> Result<Option<RangeInclusive<u16>>, Doubt> {
    let port = |register| {
        let term = registers.read(register, 2);
        term.bits.array().map(u16::from_be_bytes).ok_or_else(|| (*term.reason()).clone())
    };
    range.map(|RegisterRange { first, last }| Ok(port(first)?..=port(last)?)).transpose()
}

fn address(term: &Term, ipv6: bool) -> Result<IpAddr, Doubt> {
    let known = if ipv6 {
        term.bits.array::<16>().map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)))
    } else {
        let first = super::bits::Bits::partly(&term.bits.value()[..4], &term.bits.mask()[..4]);
        first.array::<4>().map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)))
    };
    known.ok_or_else(|| (*term.reason()).clone())
}

/// The host part of `now` in the prefix that both ends of a range share (`nft_nat_setup_netmap`).
fn netmap(first: IpAddr, last: IpAddr, now: IpAddr) -> Option<IpAddr> {
    Some(match (first, last, now) {
        (IpAddr::V4(first), IpAddr::V4(last), IpAddr::V4(now)) => {
            let host = u32::from(first) ^ u32::from(last);
            IpAddr::V4(Ipv4Addr::from((u32::from(now) & host) | (u32::from(first) & !host)))
        }
        (IpAddr::V6(first), IpAddr::V6(last), IpAddr::V6(now)) => {
            let host = u128::from(first) ^ u128::from(last);
            IpAddr::V6(Ipv6Addr::from((u128::from(now) & host) | (u128::from(first) & !host)))
        }
        _ => return None,
    })
}

/// What the kernel cannot be told to choose by.
fn chance(what: &str) -> Doubt {
    Doubt::new(what, "The choice that the kernel makes: the entry of connection tracking.")
}

/// Decides one end of a connection (`nf_nat_setup_info`, `get_unique_tuple`). It is assumed that no other connection has the
/// tuple that comes of it.
pub(super) fn decide(connection: &mut Connection, end: End, choice: &Choice) {
    let decided = match end {
        End::Source => &mut connection.source_decided,
        End::Destination => &mut connection.destination_decided,
    };
    *decided = true;
    let done = if end == End::Source { SOURCE_DONE } else { DESTINATION_DONE };
    connection.status = connection.status.map(|status| status | done);
    let Some(now) = inverted(&connection.reply) else { return };
    let mut new = now.clone();
    let doubted = (connection.address_doubt.take(), connection.port_doubt.take());
    // Whether the kernel may also choose what was there before.
    let mut perhaps_same = true;
    if let Some((first, last)) = choice.addresses {
        let address = match end {
            End::Source => &mut new.source,
            End::Destination => &mut new.destination,
        };
        let within = (first..=last).contains(address);
        perhaps_same = within;
        // A source that is in the range already stays; else another connection's choice may be taken again.
        if end == End::Destination || !within || is_random(choice) {
            if first != last {
                let what = if end == End::Source { "snat to a range" } else { "dnat to a range" };
                connection.address_doubt = Some(chance(what));
            }
            *address = first;
        }
    }
    port(connection, end, choice, &mut new);
    let by_chance = connection.address_doubt.is_some() || connection.port_doubt.is_some();
    connection.address_doubt = doubted.0.or(connection.address_doubt.take());
    connection.port_doubt = doubted.1.or(connection.port_doubt.take());
    let bit = if end == End::Source { CtStatus::SNAT } else { CtStatus::DNAT };
    if by_chance && perhaps_same {
        connection.status = None;
    } else if by_chance || new != now {
        connection.status = connection.status.map(|status| status | bit);
    }
    if new != now
        && let Some(reply) = inverted(&new)
    {
        connection.reply = reply;
    }
}

fn is_random(choice: &Choice) -> bool {
    choice.flags.0 & (NatFlags::PROTO_RANDOM | NatFlags::PROTO_RANDOM_FULLY).0 != 0
}

/// The new port or identifier (`nf_nat_l4proto_unique_tuple`).
fn port(connection: &mut Connection, end: End, choice: &Choice, new: &mut Tuple) {
    let mut doubtful = |what: &str| {
        connection.port_doubt.get_or_insert_with(|| chance(what));
    };
    match (&mut new.keys, &choice.ports) {
        (Keys::None, _) => {}
        (Keys::Ports { source, destination }, Some(ports)) => {
            let port = if end == End::Source { source } else { destination };
            let stays = ports.contains(port) && !is_random(choice);
            if choice.flags.contains(NatFlags::PROTO_OFFSET) {
                doubtful("nat with shifted ports");
            } else if !stays {
                if ports.start() != ports.end() {
                    doubtful("nat to a range of ports");
                }
                *port = *ports.start();
            }
        }
        (Keys::Icmp { .. }, Some(_)) => doubtful("nat of ICMP to ports"),
        (_, None) if is_random(choice) && end == End::Source => doubtful("nat with random ports"),
        (_, None) => {}
    }
}

/// Gives a packet the addresses and ports that its connection's NAT says (`nf_nat_packet`, `nf_nat_manip_pkt`; of ICMP errors
/// `nf_nat_icmp_reply_translation`, which leaves what is in them out of account here).
pub(super) fn apply(core: &mut Core, connection: &Connection, end: End, is_error: bool) {
    let Some(target) = connection.translated() else { return };
    let own = connection.tuple(connection.direction);
    let (changed, address, part, port_part) = match end {
        End::Source => (target.source != own.source, target.source, Part::Source, Part::SourcePort),
        End::Destination => (
            target.destination != own.destination,
            target.destination,
            Part::Destination,
            Part::DestinationPort,
        ),
    };
    // ICMP has one identifier for both ends.
    let port_part = if matches!(own.keys, Keys::Icmp { .. }) { Part::SourcePort } else { port_part };
    let port = |tuple: &Tuple| match (tuple.keys, end) {
        (Keys::Ports { source, .. }, End::Source) => Some(source),
        (Keys::Ports { destination, .. }, End::Destination) => Some(destination),
        (Keys::Icmp { id, .. }, _) => Some(id),
        (Keys::None, _) => None,
    };
    if changed {
        core.header.set_address(part, address);
    }
    if !is_error
        && let (Some(new), Some(old)) = (port(&target), port(own))
        && new != old
    {
        core.header.set_port(port_part, new);
    }
    if connection.direction == CtDirection::Original && decided_now(connection, end) {
        if let Some(doubt) = &connection.address_doubt {
            core.header.forget(part, &Rc::new(doubt.clone()));
        }
        if let Some(doubt) = &connection.port_doubt {
            core.header.forget(port_part, &Rc::new(doubt.clone()));
        }
    }
}

/// Whether the doubt about the reply tuple may be about this end.
fn decided_now(connection: &Connection, end: End) -> bool {
    match end {
        End::Source => connection.source_decided,
        End::Destination => connection.destination_decided && !connection.source_decided,
    }
}

/// An end is decided, and what it becomes is not known.
pub(super) fn decide_somehow(connection: &mut Connection, end: End, doubt: Doubt) {
    decide(connection, end, &Choice::default());
    connection.port_doubt.get_or_insert_with(|| doubt.clone());
    connection.address_doubt.get_or_insert(doubt);
    connection.status = None;
}

/// Whether a packet of this connection is asked of the chains of a hook (`nf_nat_inet_fn`).
pub(super) fn is_undecided(connection: &Connection, end: End) -> bool {
    let decided = match end {
        End::Source => connection.source_decided,
        End::Destination => connection.destination_decided,
    };
    connection.state != State::Established && !decided
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_mapped_one_to_one() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mapped = netmap(ip("10.9.8.0"), ip("10.9.8.255"), ip("192.0.2.77"));
        assert_eq!(mapped, Some(ip("10.9.8.77")));
        let mapped = netmap(ip("fd00::"), ip("fd00::ffff"), ip("2001:db8::7"));
        assert_eq!(mapped, Some(ip("fd00::7")));
        assert_eq!(netmap(ip("fd00::"), ip("fd00::ffff"), ip("192.0.2.77")), None);
    }
}

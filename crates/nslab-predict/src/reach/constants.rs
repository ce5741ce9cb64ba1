//! By what addresses are told apart: the constants in routes, policy rules, neighbours and rules of nftables. Two addresses
//! between which none of them lies are treated alike everywhere.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;
use nslab_kernel::nftables::{BitwiseOp, Expr, PayloadBase, Register, Rule, Ruleset, Set, Table};
use nslab_kernel::route::RouteAction;
use nslab_snapshot::{Snapshot, State};

/// Places in the space of all addresses at which a constant begins, or one ends.
#[derive(Debug, Default)]
pub(super) struct Constants {
    ipv4: Vec<u32>,
    ipv6: Vec<u128>,
    /// Rules look at addresses in a way that this does not follow: no two addresses are alike.
    pub(super) opaque: bool,
}

impl Constants {
    /// Those of some namespaces of a snapshot.
    pub(super) fn of(snapshot: &Snapshot, within: &HashSet<usize>) -> Self {
        let mut constants = Self::default();
        let seen = within.iter().filter_map(|place| snapshot.namespaces.get(*place));
        for state in seen.filter_map(nslab_snapshot::Namespace::state) {
            constants.take(state);
        }
        constants.ipv4.sort_unstable();
        constants.ipv4.dedup();
        constants.ipv6.sort_unstable();
        constants.ipv6.dedup();
        constants
    }

    /// Which of the pieces between constants an address is in.
    pub(super) fn piece(&self, address: IpAddr) -> usize {
        match address {
            IpAddr::V4(address) => self.ipv4.partition_point(|&place| place <= u32::from(address)),
            IpAddr::V6(address) => self.ipv6.partition_point(|&place| place <= u128::from(address)),
        }
    }

    fn take(&mut self, state: &State) {
        let network = &state.network;
        let is_own = |address: IpAddr| network.addresses.iter().any(|own| own.address.addr() == address);
        for route in &network.routes {
            // A namespace knows its own addresses: that tells them apart nowhere else.
            let own = matches!(route.action, RouteAction::Local(_))
                && route.to.prefix_len() == route.to.max_prefix_len()
                && is_own(route.to.addr());
            if !own {
                self.net(route.to);
            }
            if let Some(from) = route.from {
                self.net(from);
            }
            if let RouteAction::Forward(hops) = &route.action {
                hops.iter().filter_map(|hop| hop.via).for_each(|via| self.net(via.into()));
            }
        }
        for rule in &network.rules {
            rule.from.into_iter().chain(rule.to).for_each(|net| self.net(net));
        }
        // What is fixed by hand, and what is stood in for.
        let fixed = network.neighbours.iter().filter(|entry| entry.proxy || entry.state & 0xc0 != 0);
        fixed.for_each(|entry| self.net(entry.address.into()));
        network.fdb.iter().filter_map(|entry| entry.remote).for_each(|remote| self.net(remote.into()));
        self.ruleset(&state.nftables);
    }

    fn net(&mut self, net: IpNet) {
        match net {
            IpNet::V4(net) => {
                self.ipv4.push(net.network().into());
                self.ipv4.extend(u32::from(net.broadcast()).checked_add(1));
            }
            IpNet::V6(net) => {
                self.ipv6.push(net.network().into());
                self.ipv6.extend(u128::from(net.broadcast()).checked_add(1));
            }
        }
    }

    fn ruleset(&mut self, ruleset: &Ruleset) {
        for table in &ruleset.tables {
            for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
                self.rule(rule, table);
            }
        }
    }

    fn rule(&mut self, rule: &Rule, table: &Table) {
        let mut held: Vec<(Register, Held)> = Vec::new();
        let find = |held: &[(Register, Held)], register: Register| {
            held.iter().rev().find(|(known, _)| *known == register).map(|(_, held)| held.clone())
        };
        for expr in &rule.expressions {
            match expr {
                Expr::Payload { destination, base, offset, len } => {
                    held.push((*destination, payload(*base, *offset, *len)));
                }
                Expr::Ct { destination, key, .. } => {
                    let word = key.to_string();
                    let is = word.contains("saddr")
                        || word.contains("daddr")
                        || word.contains("src")
                        || word.contains("dst");
                    held.push((*destination, if is { Held::Address(None) } else { Held::Other }));
                }
                Expr::Bitwise { source, destination, op, .. } => {
                    let result = match (find(&held, *source), op) {
                        (Some(Held::Address(None)), BitwiseOp::MaskXor { mask, xor })
                            if xor.iter().all(|byte| *byte == 0) =>
                        {
                            prefix(mask).map_or(Held::Opaque, |length| Held::Address(Some(length)))
                        }
                        (Some(Held::Address(_) | Held::Opaque), _) => Held::Opaque,
                        _ => Held::Other,
                    };
                    held.push((*destination, result));
                }
                Expr::Cmp { source, data, .. } => match find(&held, *source) {
                    Some(Held::Address(length)) => self.value(data, length),
                    Some(Held::Opaque) => self.opaque = true,
                    _ => {}
                },
                Expr::Range { source, from, to, .. } => match find(&held, *source) {
                    Some(Held::Address(_)) => {
                        self.value(from, None);
                        self.value(to, None);
                    }
                    Some(Held::Opaque) => self.opaque = true,
                    _ => {}
                },
                Expr::Lookup { set, .. } => {
                    if held.iter().any(|(_, held)| matches!(held, Held::Opaque)) {
                        self.opaque = true;
                    }
                    if let Some(set) = table.sets.iter().find(|known| known.name == *set) {
                        self.set(set);
                    }
                }
                Expr::Byteorder { source, destination, .. } => {
                    if let Some(Held::Address(_) | Held::Opaque) = find(&held, *source) {
                        held.push((*destination, Held::Opaque));
                    }
                }
                Expr::Xt { .. } | Expr::Dynset(_) | Expr::Hash { .. } => self.opaque = true,
                _ => {}
            }
        }
    }

    /// Every piece of a key as long as an address may be one.
    fn set(&mut self, set: &Set) {
        for element in &set.elements {
            for key in element.key.iter().chain(&element.key_end) {
                for at in (0..key.len()).step_by(4) {
                    if let Some(bytes) = key.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
                        self.net(IpAddr::from(*bytes).into());
                    }
                    if let Some(bytes) = key.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
                        self.net(IpAddr::from(*bytes).into());
                    }
                }
            }
        }
    }

    /// A value that an address is held against, or the beginning of one.
    fn value(&mut self, data: &[u8], length: Option<u8>) {
        let bits = u8::try_from(data.len() * 8).unwrap_or(u8::MAX);
        let length = length.unwrap_or(bits).min(bits);
        let mut whole = [0; 16];
        let Some(start) = whole.get_mut(..data.len()) else {
            self.opaque = true;
            return;
        };
        start.copy_from_slice(data);
        if data.len() <= 4 {
            let [a, b, c, d, ..] = whole;
            if let Ok(net) = IpNet::new(IpAddr::from([a, b, c, d]), length) {
                self.net(net);
            }
        }
        if let Ok(net) = IpNet::new(IpAddr::from(whole), length) {
            self.net(net);
        }
    }
}

/// What is in a register.
#[derive(Debug, Clone)]
enum Held {
    /// The beginning of an address, of which only so many bits are left.
    Address(Option<u8>),
    /// Something made of an address.
    Opaque,
    /// No address.
    Other,
}

/// What bytes of a packet are: addresses begin at 12 and 16 in IPv4's header, at 8 and 24 in IPv6's.
fn payload(base: PayloadBase, offset: u32, len: u32) -> Held {
    match base {
        PayloadBase::Network if matches!(offset, 8 | 12 | 16 | 24) => Held::Address(None),
        PayloadBase::Network if offset + len > 12 => Held::Opaque,
        // MACs.
        PayloadBase::Link if offset < 12 => Held::Opaque,
        _ => Held::Other,
    }
}

/// The length of a mask that is a prefix.
fn prefix(mask: &[u8]) -> Option<u8> {
    let ones: u32 = mask.iter().map(|byte| byte.leading_ones()).sum();
    let all: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let rest = mask.iter().skip_while(|byte| **byte == 0xff).skip(1).all(|byte| *byte == 0);
    (ones == all && rest).then(|| u8::try_from(ones).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_told_from_other_masks() {
        assert_eq!(prefix(&[255, 255, 0, 0]), Some(16));
        assert_eq!(prefix(&[255, 240, 0, 0]), Some(12));
        assert_eq!(prefix(&[0, 0, 0, 0]), Some(0));
        assert_eq!(prefix(&[0, 255, 0, 0]), None);
        assert_eq!(prefix(&[255, 0, 255, 0]), None);
        assert_eq!(prefix(&[255, 0x0f, 0, 0]), None);
    }

    #[test]
    fn pieces_are_what_lies_between_constants() {
        let mut constants = Constants::default();
        constants.value(&[10, 0, 1], None);
        constants.value(&[10, 0, 0, 5], None);
        constants.ipv4.sort_unstable();
        let piece = |text: &str| constants.piece(text.parse().unwrap());
        assert_eq!(piece("10.0.1.1"), piece("10.0.1.254"));
        assert_ne!(piece("10.0.1.1"), piece("10.0.2.1"));
        assert_ne!(piece("10.0.0.4"), piece("10.0.0.5"));
        assert_ne!(piece("10.0.0.6"), piece("10.0.0.5"));
        assert_eq!(piece("10.0.0.6"), piece("10.0.0.7"));
    }
}

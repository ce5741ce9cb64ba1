//! Rules in expressions, word by word, as nft(8) makes them: what it lists is what one would have written.

use std::net::IpAddr;

use ipnet::IpNet;
use nslab_kernel::nftables::{
    BitwiseOp, CmpOp, CtKey, CtState, CtStatus, Data, Element, Expr, Family, Log, LogLevel, LookupInto,
    MetaKey, Nat, NatFlags, PayloadBase, Register, RegisterRange, Reject, RejectIcmpx, Rule, Set, SetFlags,
    UserData, Verdict, datatype,
};
use nslab_topology::lab::{self, Ports};
use nslab_types::IfName;

/// `NFPROTO_IPV4`.
const IPV4: u8 = 2;
/// `NFPROTO_IPV6`.
const IPV6: u8 = 10;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMP: u8 = 1;
pub(super) const ICMPV6: u8 = 58;

/// Which of two addresses, ports or interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

/// A rule, and the sets that it alone looks into, under names that mean something only here.
#[derive(Debug)]
pub(super) struct Draft {
    rule: Rule,
    sets: Vec<Set>,
}

impl Draft {
    /// The rule in its table, which gets the sets under names that none there has. A set without a name of its own
    /// belongs to one rule only.
    pub(super) fn settle(mut self, table: &mut Vec<Set>) -> Rule {
        let first = table.len();
        for expression in &mut self.rule.expressions {
            if let Expr::Lookup { set, .. } = expression {
                let place = self.sets.iter().position(|own| own.name == *set).unwrap_or_default();
                *set = format!("__set{}", first + place);
            }
        }
        table.extend(self.sets.into_iter().enumerate().map(|(place, set)| {
            let name = format!("__set{}", first + place);
            Set { name, ..set }
        }));
        self.rule
    }
}

/// A rule in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    expressions: Vec<Expr>,
    sets: Vec<Set>,
    family: Option<lab::Family>,
    protocol: Option<u8>,
}

impl Words {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The rule, which counts what it matches, with what is to be said of it.
    pub(super) fn rule(mut self, end: &[Expr], comment: &str) -> Draft {
        self.expressions.push(Expr::Counter { packets: 0, bytes: 0 });
        self.expressions.extend_from_slice(end);
        // A comment that nft prints has no way to quote.
        let comment = comment.replace('"', "'");
        let user_data = UserData::new().with_comment(&comment).to_data();
        Draft { rule: Rule { user_data, ..Rule::new(self.expressions) }, sets: self.sets }
    }

    fn equal(mut self, data: Data) -> Self {
        self.expressions.push(Expr::Cmp { source: Register::R1, op: CmpOp::Equal, data });
        self
    }

    fn meta(mut self, key: MetaKey) -> Self {
        self.expressions.push(Expr::Meta { destination: Register::R1, key });
        self
    }

    fn payload(mut self, base: PayloadBase, offset: u32, len: u32) -> Self {
        self.expressions.push(Expr::Payload { destination: Register::R1, base, offset, len });
        self
    }

    fn lookup(mut self, kind: u32, len: u32, interval: bool, elements: Vec<Element>) -> Self {
        let mut set = Set::new(self.sets.len().to_string(), kind, len);
        set.flags = SetFlags::ANONYMOUS | SetFlags::CONSTANT;
        if interval {
            set.flags |= SetFlags::INTERVAL;
        }
        set.elements = elements;
        set.sort();
        self.expressions.push(Expr::Lookup {
            set: set.name.clone(),
            source: Register::R1,
            into: LookupInto::Nothing,
            inverted: false,
        });
        self.sets.push(set);
        self
    }

    /// Packets of one family.
    pub(super) fn family(mut self, family: lab::Family) -> Self {
        if self.family == Some(family) {
            return self;
        }
        self.family = Some(family);
        let number = if family == lab::Family::Ipv4 { IPV4 } else { IPV6 };
        self.meta(MetaKey::NetfilterProtocol).equal(Data::u8(number))
    }

    /// Packets of one IP protocol.
    pub(super) fn protocol(mut self, protocol: u8) -> Self {
        if self.protocol == Some(protocol) {
            return self;
        }
        self.protocol = Some(protocol);
        self.meta(MetaKey::L4Protocol).equal(Data::u8(protocol))
    }

    /// Packets that come in, or go out, by one of these interfaces; by any if there is none.
    pub(super) fn interfaces(self, side: Side, names: &[IfName]) -> Self {
        let key = if side == Side::Source { MetaKey::IifName } else { MetaKey::OifName };
        match names {
            [] => self,
            [name] => self.meta(key).equal(Data::interface_name(*name)),
            several => {
                let elements = several.iter().map(|name| Element::new(Data::interface_name(*name)));
                let elements = elements.collect();
                self.meta(key).lookup(datatype::IFNAME, 16, false, elements)
            }
        }
    }

    /// Packets from, or to, one of these prefixes, which are of one family and at least one.
    pub(super) fn prefixes(self, side: Side, family: lab::Family, prefixes: &[IpNet]) -> Self {
        let ipv4 = family == lab::Family::Ipv4;
        let (len, kind) = if ipv4 { (4, datatype::IPV4) } else { (16, datatype::IPV6) };
        // `struct iphdr`, `struct ipv6hdr`: the destination follows the source.
        let offset = if ipv4 { 12 } else { 8 } + if side == Side::Source { 0 } else { len };
        let this = self.family(family);
        let ranges = ranges(prefixes);
        match (prefixes, &ranges[..]) {
            ([one], _) if one.prefix_len() == 0 => this,
            ([one], _) if one.prefix_len().is_multiple_of(8) => {
                let bytes = one.prefix_len() / 8;
                let data = Data::from(&Data::address(one.network())[..usize::from(bytes)]);
                this.payload(PayloadBase::Network, offset, u32::from(bytes)).equal(data)
            }
            ([one], _) => {
                let mut this = this.payload(PayloadBase::Network, offset, len);
                this.expressions.push(Expr::Bitwise {
                    source: Register::R1,
                    destination: Register::R1,
                    len,
                    op: BitwiseOp::MaskXor {
                        mask: Data::address(one.netmask()),
                        xor: Data::from(vec![0; Data::address(one.netmask()).len()]),
                    },
                });
                this.equal(Data::address(one.network()))
            }
            (_, ranges) => {
                let single = ranges.iter().all(|(first, last)| first == last);
                let data = |value: u128| number(value, if ipv4 { 4 } else { 16 });
                let elements =
                    intervals(ranges, single, if ipv4 { u128::from(u32::MAX) } else { u128::MAX }, data);
                this.payload(PayloadBase::Network, offset, len).lookup(kind, len, !single, elements)
            }
        }
    }

    /// Packets to one of these addresses, which are of one family and at least one.
    pub(super) fn addresses(self, side: Side, family: lab::Family, all: &[IpAddr]) -> Self {
        let prefixes: Vec<IpNet> = all.iter().map(|address| IpNet::from(*address)).collect();
        self.prefixes(side, family, &prefixes)
    }

    /// Packets of a protocol with ports to one of these.
    pub(super) fn ports(self, protocol: u8, ports: &[Ports]) -> Self {
        const DESTINATION_PORT: u32 = 2;
        let mut this = self.protocol(protocol).payload(PayloadBase::Transport, DESTINATION_PORT, 2);
        match ports {
            [one] if one.first == one.last => this.equal(Data::be16(one.first)),
            [one] => {
                let (first, last) = (Data::be16(one.first), Data::be16(one.last));
                this.expressions.push(Expr::Cmp {
                    source: Register::R1,
                    op: CmpOp::GreaterOrEqual,
                    data: first,
                });
                this.expressions.push(Expr::Cmp { source: Register::R1, op: CmpOp::LessOrEqual, data: last });
                this
            }
            several => {
                let mut ranges: Vec<(u128, u128)> =
                    several.iter().map(|ports| (u128::from(ports.first), u128::from(ports.last))).collect();
                merge(&mut ranges);
                let single = ranges.iter().all(|(first, last)| first == last);
                let elements = intervals(&ranges, single, u128::from(u16::MAX), |value| number(value, 2));
                this.lookup(datatype::PORT, 2, !single, elements)
            }
        }
    }

    /// ICMP messages of one of these types; of any if there is none.
    pub(super) fn icmp(self, family: lab::Family, types: &[u8]) -> Self {
        let ipv4 = family == lab::Family::Ipv4;
        let (protocol, kind) =
            if ipv4 { (ICMP, datatype::ICMP_TYPE) } else { (ICMPV6, datatype::ICMPV6_TYPE) };
        let this = self.family(family).protocol(protocol);
        match types {
            [] => this,
            [one] => this.payload(PayloadBase::Transport, 0, 1).equal(Data::u8(*one)),
            several => {
                let mut types: Vec<u8> = several.to_vec();
                types.sort_unstable();
                types.dedup();
                let elements = types.iter().map(|kind| Element::new(Data::u8(*kind))).collect();
                this.payload(PayloadBase::Transport, 0, 1).lookup(kind, 1, false, elements)
            }
        }
    }

    /// Packets that are one of these to their connection.
    pub(super) fn state(self, states: CtState) -> Self {
        self.ct(CtKey::State, states.0)
    }

    /// Packets of connections of which one of these holds.
    pub(super) fn status(self, status: CtStatus) -> Self {
        self.ct(CtKey::Status, status.0)
    }

    fn ct(mut self, key: CtKey, bits: u32) -> Self {
        self.expressions.push(Expr::Ct { destination: Register::R1, key, direction: None });
        self.expressions.push(Expr::Bitwise {
            source: Register::R1,
            destination: Register::R1,
            len: 4,
            op: BitwiseOp::MaskXor { mask: Data::ne32(bits), xor: Data::ne32(0) },
        });
        self.expressions.push(Expr::Cmp { source: Register::R1, op: CmpOp::NotEqual, data: Data::ne32(0) });
        self
    }
}

/// The end of a rule that writes to the log before it does what `end` says.
pub(super) fn logged(prefix: Option<&str>, end: Expr) -> Vec<Expr> {
    let log = prefix.map(|prefix| {
        Expr::Log(Log { prefix: Some(prefix.to_owned()), level: Some(LogLevel::Warning), ..Log::default() })
    });
    log.into_iter().chain([end]).collect()
}

pub(super) const ACCEPT: Expr = Expr::Verdict(Verdict::Accept);
pub(super) const DROP: Expr = Expr::Verdict(Verdict::Drop);
pub(super) const RESET: Expr = Expr::Reject(Reject::TcpReset);
pub(super) const PROHIBITED: Expr = Expr::Reject(Reject::Icmpx(RejectIcmpx::AdminProhibited));
pub(super) const MASQUERADE: Expr = Expr::Masquerade { flags: NatFlags::empty(), ports: None };

/// Another source or destination.
pub(super) fn translate(side: Side, address: IpAddr, port: Option<u16>) -> Vec<Expr> {
    let mut words = vec![Expr::Immediate { destination: Register::R1, data: Data::address(address) }];
    if let Some(port) = port {
        words.push(Expr::Immediate { destination: Register::R2, data: Data::be16(port) });
    }
    words.push(Expr::Nat(Nat {
        destination: side == Side::Destination,
        family: if address.is_ipv4() { Family::Ip } else { Family::Ip6 },
        addresses: Some(RegisterRange::one(Register::R1)),
        ports: port.map(|_| RegisterRange::one(Register::R2)),
        flags: NatFlags::empty(),
    }));
    words
}

/// The least and the greatest address of each stretch without gaps, in order.
fn ranges(prefixes: &[IpNet]) -> Vec<(u128, u128)> {
    let value = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    let mut ranges: Vec<(u128, u128)> =
        prefixes.iter().map(|net| (value(net.network()), value(net.broadcast()))).collect();
    merge(&mut ranges);
    ranges
}

/// Sorts ranges and joins those that overlap: the kernel takes none that do. Of single values each stays its own, as
/// a set of them needs no order.
fn merge(ranges: &mut Vec<(u128, u128)>) {
    ranges.sort_unstable();
    ranges.dedup();
    let single = ranges.iter().all(|(first, last)| first == last);
    if single {
        return;
    }
    let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
    for &(first, last) in &*ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
            _ => merged.push((first, last)),
        }
    }
    *ranges = merged;
}

fn intervals(ranges: &[(u128, u128)], single: bool, most: u128, data: impl Fn(u128) -> Data) -> Vec<Element> {
    let mut elements = Vec::with_capacity(ranges.len() * 2);
    for &(first, last) in ranges {
        elements.push(Element::new(data(first)));
        if !single && last < most {
            elements.push(Element::interval_end(data(last + 1)));
        }
    }
    elements
}

/// The lowest bytes of a number, in network order.
fn number(value: u128, len: usize) -> Data {
    let bytes = value.to_be_bytes();
    Data::from(&bytes[bytes.len() - len..])
}

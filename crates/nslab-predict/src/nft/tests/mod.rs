//! Rules of each kind, without the kernel.

mod nat;

use std::net::IpAddr;

use nslab_kernel::nftables::build::RuleBuilder;
use nslab_kernel::nftables::{
    BaseChain, BitwiseOp, Chain, ChainKind, CmpOp, CtKey, Data, Dynset, Element, ElementFlags, ElementValue,
    Expr, ExthdrKind, Family, FibFlags, FibResult, Hook, Limit, LookupInto, MapsTo, MetaKey, Nat, NatFlags,
    PayloadBase, Policy, Quota, Register, RegisterRange, Reject, Rule, Ruleset, Set, SetFlags, SocketKey,
    Table, TableFlags, Verdict, priority,
};

use super::*;
use crate::{Doubt, Ip, Packet, Tcp, Transport};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn packet(source: &str, destination: &str, transport: Transport) -> Packet {
    Packet {
        ip: Ip {
            source: ip(source),
            destination: ip(destination),
            ttl: 64,
            tos: 0,
            dont_fragment: false,
            size: 60,
        },
        transport,
        mark: 0,
    }
}

fn udp(port: u16) -> Packet {
    packet("10.0.0.1", "10.0.1.1", Transport::Udp { source: 4000, destination: port })
}

fn syn() -> Packet {
    packet("10.0.0.1", "10.0.1.1", Transport::Tcp(Tcp { source: 4000, destination: 80, flags: Tcp::SYN }))
}

fn context(packet: &Packet, hook: Hook) -> Context<'_> {
    let device = |name, index| Device {
        name,
        index,
        group: 0,
        kind: Some("veth"),
        hardware: 1,
        bridge: None,
        vrf: None,
    };
    let comes = hook != Hook::Output;
    let leaves = matches!(hook, Hook::Forward | Hook::Output | Hook::Postrouting);
    Context {
        family: if packet.is_ipv6() { Family::Ip6 } else { Family::Ip },
        hook,
        packet,
        vague: &[],
        input: comes.then(|| device("in0", 7)),
        output: leaves.then(|| device("out0", 8)),
        tracking: Connection::begun_by(packet).map_or(Tracking::None, Tracking::Connection),
        tracked_before: false,
        link_header: LinkHeader::Unknown,
        packet_type: Some(0),
        socket: Socket::Absent,
        priority: Some(0),
    }
}

fn rules(rules: Vec<Rule>) -> Ruleset {
    let mut table = Table::new(Family::Inet, "t");
    let base = BaseChain { policy: Policy::Drop, ..BaseChain::filter(Hook::Forward) };
    table.chains.push(Chain { rules, ..Chain::base("c", base) });
    Ruleset { generation: 1, tables: vec![table] }
}

fn at_forward(ruleset: &Ruleset, packet: &Packet) -> Vec<Branch> {
    evaluate(ruleset, &context(packet, Hook::Forward), &NothingKnown)
}

/// What becomes of a packet that one rule of these expressions would accept, and the chain's policy drop.
fn one(expressions: Vec<Expr>, packet: &Packet) -> Vec<Fate> {
    let mut expressions = expressions;
    expressions.push(Expr::Verdict(Verdict::Accept));
    at_forward(&rules(vec![Rule::new(expressions)]), packet).into_iter().map(|branch| branch.fate).collect()
}

const YES: &[Fate] = &[Fate::Accepted];
const NO: &[Fate] = &[Fate::Dropped];
const BOTH: &[Fate] = &[Fate::Dropped, Fate::Accepted];

const R: Register = Register::R1;

fn cmp(op: CmpOp, data: impl Into<Data>) -> Expr {
    Expr::Cmp { source: R, op, data: data.into() }
}

fn is(data: impl Into<Data>) -> Expr {
    cmp(CmpOp::Equal, data)
}

fn payload(base: PayloadBase, offset: u32, len: u32) -> Expr {
    Expr::Payload { destination: R, base, offset, len }
}

#[test]
fn bytes_of_the_packet() {
    let (network, transport) = (PayloadBase::Network, PayloadBase::Transport);
    assert_eq!(one(vec![payload(network, 12, 4), is([10, 0, 0, 1])], &udp(53)), YES);
    assert_eq!(one(vec![payload(transport, 2, 2), is([0, 53])], &udp(53)), YES);
    assert_eq!(one(vec![payload(transport, 2, 2), is([0, 54])], &udp(53)), NO);
    assert_eq!(one(vec![payload(network, 4, 2), is([0, 0])], &udp(53)), BOTH);
    // Beyond the packet's end nothing matches, not even "is not".
    assert_eq!(one(vec![payload(transport, 40, 2), cmp(CmpOp::NotEqual, [0, 0])], &udp(53)), NO);
    assert_eq!(one(vec![payload(PayloadBase::Link, 0, 6)], &udp(53)), BOTH);
    assert_eq!(one(vec![payload(PayloadBase::Inner, 0, 4), is([0; 4])], &udp(53)), BOTH);
    assert_eq!(one(vec![payload(transport, 13, 1), is([2])], &syn()), YES);
    let v6 = packet("fd00::1", "fd00::2", Transport::Icmp { kind: 128, code: 0, id: 7 });
    assert_eq!(one(vec![payload(network, 24, 16), is(Data::address(ip("fd00::2")))], &v6), YES);
    assert_eq!(one(vec![payload(network, 6, 1), is([58])], &v6), YES);
    assert_eq!(one(vec![payload(transport, 0, 1), is([128])], &v6), YES);
}

#[test]
fn comparisons_and_ranges() {
    let port = || payload(PayloadBase::Transport, 2, 2);
    for (op, data, yes) in [
        (CmpOp::Less, [1, 0], true),
        (CmpOp::Greater, [0, 52], true),
        (CmpOp::GreaterOrEqual, [0, 54], false),
        (CmpOp::LessOrEqual, [0, 53], true),
    ] {
        assert_eq!(one(vec![port(), cmp(op, data)], &udp(53)), if yes { YES } else { NO }, "{op}");
    }
    let range = |inverted| Expr::Range { source: R, inverted, from: Data::be16(50), to: Data::be16(60) };
    assert_eq!(one(vec![port(), range(false)], &udp(53)), YES);
    assert_eq!(one(vec![port(), range(true)], &udp(53)), NO);
}

#[test]
fn arithmetic() {
    let mask = Expr::Bitwise {
        source: R,
        destination: R,
        len: 4,
        op: BitwiseOp::MaskXor { mask: Data::from([255, 255, 0, 0]), xor: Data::from([0, 0, 0, 0]) },
    };
    let address = || payload(PayloadBase::Network, 12, 4);
    assert_eq!(one(vec![address(), mask, is([10, 0, 0, 0])], &udp(53)), YES);
    let turn = Expr::Byteorder { source: R, destination: R, to_network: true, len: 4, size: 4 };
    let meta = Expr::Meta { destination: R, key: MetaKey::Iif };
    assert_eq!(one(vec![meta, turn, is([0, 0, 0, 7])], &udp(53)), YES);
}

#[test]
fn what_is_known_besides() {
    let meta = |key| Expr::Meta { destination: R, key };
    let name = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(16, 0);
        Data::from(bytes)
    };
    for (key, data, fates) in [
        (MetaKey::IifName, name("in0"), YES),
        (MetaKey::OifName, name("in0"), NO),
        (MetaKey::IifKind, name("veth"), YES),
        (MetaKey::Length, Data::ne32(60), YES),
        (MetaKey::NetfilterProtocol, Data::u8(2), YES),
        (MetaKey::L4Protocol, Data::u8(17), YES),
        (MetaKey::Protocol, Data::be16(0x800), YES),
        (MetaKey::IifType, Data::ne16(1), YES),
        (MetaKey::Cpu, Data::ne32(0), BOTH),
        (MetaKey::SocketUser, Data::ne32(0), NO),
        (MetaKey::Random, Data::ne32(0), BOTH),
        (MetaKey::BridgeIifName, name("br0"), NO),
    ] {
        assert_eq!(one(vec![meta(key), is(data)], &udp(53)), fates, "{key}");
    }
    let state = || Expr::Ct { destination: R, key: CtKey::State, direction: None };
    assert_eq!(one(vec![state(), is(Data::ne32(8))], &udp(53)), YES);
    assert_eq!(one(vec![state(), is(Data::ne32(2))], &udp(53)), NO);
}

#[test]
fn options_and_what_only_others_know() {
    let option = |present| Expr::Exthdr {
        destination: R,
        kind: ExthdrKind::TcpOption,
        number: 2,
        offset: 0,
        len: 1,
        present,
    };
    assert_eq!(one(vec![option(true), is([1])], &udp(53)), NO);
    assert_eq!(one(vec![option(true), is([0])], &udp(53)), YES);
    assert_eq!(one(vec![option(true), is([1])], &syn()), BOTH);
    let limit = Expr::Limit(Limit { rate: 1, seconds: 1, burst: 5, bytes: false, inverted: false });
    assert_eq!(one(vec![limit], &udp(53)), BOTH);
    let quota = |consumed| Expr::Quota(Quota { bytes: 10, consumed, flags: 0 });
    assert_eq!(one(vec![quota(11)], &udp(53)), NO);
    assert_eq!(one(vec![quota(1)], &udp(53)), BOTH);
    assert_eq!(one(vec![Expr::Socket { destination: R, key: SocketKey::Mark, level: None }], &udp(53)), BOTH);
    assert_eq!(
        one(vec![Expr::Xt { target: false, name: "x".into(), revision: 0, info: Data::empty() }], &udp(53)),
        BOTH
    );
    let target = Expr::Xt { target: true, name: "x".into(), revision: 0, info: Data::empty() };
    assert!(matches!(one(vec![target], &udp(53))[..], [Fate::Unknown(_)]));
    let unknown = Expr::Unknown { name: "new".into(), data: None };
    assert!(matches!(one(vec![unknown], &udp(53))[..], [Fate::Unknown(_)]));
    // Several numbers by chance, each followed.
    let number = Expr::Numgen { destination: R, random: false, modulus: 3, offset: 0 };
    assert_eq!(one(vec![number.clone(), is(Data::ne32(3))], &udp(53)), NO);
    assert_eq!(one(vec![number, is(Data::ne32(2))], &udp(53)).len(), 2);
}

#[test]
fn what_does_not_matter_makes_no_doubt() {
    let limit = || Expr::Limit(Limit { rate: 1, seconds: 1, burst: 5, bytes: false, inverted: false });
    let ruleset = rules(vec![
        Rule::new([limit(), Expr::Counter { packets: 0, bytes: 0 }]),
        Rule::new([limit(), Expr::Verdict(Verdict::Accept)]),
        Rule::new([Expr::Verdict(Verdict::Accept)]),
    ]);
    let branches = at_forward(&ruleset, &udp(53));
    let [branch] = &branches[..] else { panic!("{branches:?}") };
    assert_eq!((&branch.fate, &branch.doubts[..]), (&Fate::Accepted, &[][..]));
    assert_eq!(branch.trail[0].matched, None);
    // Where it matters, it is told.
    let ruleset = rules(vec![Rule::new([limit(), Expr::Verdict(Verdict::Accept)])]);
    let branches = at_forward(&ruleset, &udp(53));
    assert_eq!(branches.len(), 2);
    assert!(branches.iter().all(|branch| branch.doubts[0].what.contains("limit")));
}

fn chained(first: Verdict, in_chain: Verdict) -> Vec<Fate> {
    let mut ruleset =
        rules(vec![Rule::new([Expr::Verdict(first)]), Rule::new([Expr::Verdict(Verdict::Accept)])]);
    let other = Chain { rules: vec![Rule::new([Expr::Verdict(in_chain)])], ..Chain::regular("other") };
    ruleset.tables[0].chains.push(other);
    at_forward(&ruleset, &udp(53)).into_iter().map(|branch| branch.fate).collect()
}

#[test]
fn jumps_come_back_and_gotos_do_not() {
    let (jump, goto) = (|| Verdict::Jump("other".into()), || Verdict::Goto("other".into()));
    assert_eq!(chained(jump(), Verdict::Return), YES);
    assert_eq!(chained(jump(), Verdict::Continue), YES);
    assert_eq!(chained(jump(), Verdict::Drop), NO);
    assert_eq!(chained(goto(), Verdict::Return), NO);
    assert_eq!(chained(goto(), Verdict::Accept), YES);
    assert_eq!(chained(Verdict::Return, Verdict::Accept), NO);
    assert!(matches!(chained(jump(), jump())[..], [Fate::Unknown(_)]));
    assert!(matches!(chained(Verdict::Jump("none".into()), jump())[..], [Fate::Unknown(_)]));
    let queue = Verdict::Queue { number: 3, bypass: true };
    assert!(
        matches!(&chained(queue, jump())[..], [Fate::Unknown(Doubt { what, .. })] if what == "queue to 3")
    );
}

#[test]
fn an_accept_ends_its_chain_only() {
    let mut ruleset = rules(vec![Rule::new([Expr::Verdict(Verdict::Accept)])]);
    let late = BaseChain { priority: 10, policy: Policy::Drop, ..BaseChain::filter(Hook::Forward) };
    ruleset.tables[0].chains.push(Chain::base("late", late));
    let branches = at_forward(&ruleset, &udp(53));
    let [branch] = &branches[..] else { panic!("{branches:?}") };
    assert_eq!(branch.fate, Fate::Dropped);
    let step = branch.decided_by().unwrap();
    assert_eq!((step.chain(&ruleset).unwrap().name.as_str(), step.rule), ("late", None));
    ruleset.tables[0].flags = TableFlags::DORMANT;
    assert_eq!(at_forward(&ruleset, &udp(53))[0].fate, Fate::Accepted);
}

#[test]
fn what_drops_is_told_whichever_table_is_first() {
    // Of one priority: one lets all through, by a chain that it goes to, the other does not.
    let mut open = Table::new(Family::Inet, "open");
    let goto = Rule::new([Expr::Verdict(Verdict::Goto("other".into()))]);
    let base = BaseChain::filter(Hook::Forward);
    open.chains.push(Chain { rules: vec![goto], ..Chain::base("passes", base.clone()) });
    open.chains.push(Chain::regular("other"));
    let mut shut = Table::new(Family::Ip, "shut");
    let mark = Rule::new([Expr::Immediate { destination: R, data: Data::from([1, 0, 0, 0]) }]);
    shut.chains.push(Chain {
        rules: vec![mark],
        ..Chain::base("drops", BaseChain { policy: Policy::Drop, ..base })
    });
    for tables in [vec![open.clone(), shut.clone()], vec![shut, open]] {
        let ruleset = Ruleset { generation: 1, tables };
        let branches = at_forward(&ruleset, &udp(53));
        let [branch] = &branches[..] else { panic!("{branches:?}") };
        let step = branch.decided_by().unwrap();
        assert_eq!(
            (&branch.fate, step.chain(&ruleset).unwrap().name.as_str(), step.rule),
            (&Fate::Dropped, "drops", None),
            "{branch:?}"
        );
    }
}

#[test]
fn sets_and_maps() {
    let mut set = Set::new("s", 0, 2);
    set.flags = SetFlags::MAP;
    set.maps_to = MapsTo::Verdict;
    let verdict = |verdict| ElementValue::Verdict(verdict);
    set.elements = vec![
        Element::new([0, 53]).with_value(verdict(Verdict::Drop)),
        Element::new([0, 80]).with_value(verdict(Verdict::Jump("other".into()))),
    ];
    set.sort();
    let look = |offset| {
        Rule::new([
            payload(PayloadBase::Transport, offset, 2),
            Expr::Lookup { set: "s".into(), source: R, into: LookupInto::Verdict, inverted: false },
        ])
    };
    let mut ruleset = rules(vec![look(2), Rule::new([Expr::Verdict(Verdict::Accept)])]);
    ruleset.tables[0]
        .chains
        .push(Chain { rules: vec![Rule::new([Expr::Reject(Reject::TcpReset)])], ..Chain::regular("other") });
    ruleset.tables[0].sets.push(set);
    let fates = |ruleset: &Ruleset, packet: &Packet| -> Vec<Fate> {
        at_forward(ruleset, packet).into_iter().map(|branch| branch.fate).collect()
    };
    assert_eq!(fates(&ruleset, &udp(53)), NO);
    assert_eq!(fates(&ruleset, &udp(54)), YES);
    assert_eq!(fates(&ruleset, &syn()), [Fate::Rejected(Rejection::TcpReset)]);
    // The checksum may be any of these.
    ruleset.tables[0].chains[0].rules[0] = look(6);
    assert_eq!(fates(&ruleset, &udp(53)).len(), 2);
    // An element for all others.
    ruleset.tables[0].chains[0].rules[0] = look(2);
    let rest = Element { flags: ElementFlags::CATCHALL, ..Element::catch_all() };
    ruleset.tables[0].sets[0].elements.push(rest.with_value(verdict(Verdict::Drop)));
    assert_eq!(fates(&ruleset, &udp(54)), NO);
}

#[test]
fn a_packet_finds_what_it_put_into_a_set() {
    let key = || payload(PayloadBase::Network, 12, 4);
    let add = |op| {
        Expr::Dynset(Dynset {
            set: "s".into(),
            op,
            key: R,
            data: None,
            timeout: None,
            inverted: false,
            expressions: Vec::new(),
        })
    };
    let look = Expr::Lookup { set: "s".into(), source: R, into: LookupInto::Nothing, inverted: false };
    let fate = |op, elements: Vec<Element>| {
        let mut ruleset = rules(vec![
            Rule::new([key(), add(op)]),
            Rule::new([key(), look.clone(), Expr::Verdict(Verdict::Accept)]),
        ]);
        ruleset.tables[0].sets.push(Set { elements, ..Set::new("s", 0, 4) });
        at_forward(&ruleset, &udp(53)).into_iter().map(|branch| branch.fate).collect::<Vec<_>>()
    };
    assert_eq!(fate(0, Vec::new()), YES);
    assert_eq!(fate(2, vec![Element::new([10, 0, 0, 1])]), NO);
}

#[test]
fn marks_are_seen_later() {
    let ruleset = rules(vec![
        RuleBuilder::new(Family::Inet).set_mark(5).go_on(),
        Rule::new([
            Expr::Meta { destination: R, key: MetaKey::Mark },
            is(Data::ne32(5)),
            Expr::CtSet { source: R, key: CtKey::Mark, direction: None },
            Expr::Verdict(Verdict::Accept),
        ]),
    ]);
    let branches = at_forward(&ruleset, &udp(53));
    let [branch] = &branches[..] else { panic!("{branches:?}") };
    assert_eq!((&branch.fate, branch.packet.mark), (&Fate::Accepted, 5));
    assert!(matches!(&branch.tracking, Tracking::Connection(connection) if connection.mark == Some(5)));
}

#[test]
fn what_is_written_is_read() {
    let ttl = || payload(PayloadBase::Network, 8, 1);
    let set = Expr::PayloadSet {
        source: R,
        base: PayloadBase::Network,
        offset: 8,
        len: 1,
        checksum_kind: 1,
        checksum_offset: 10,
        checksum_flags: 0,
    };
    let put = Expr::Immediate { destination: R, data: Data::u8(9) };
    let ruleset =
        rules(vec![Rule::new([put, set]), Rule::new([ttl(), is([9]), Expr::Verdict(Verdict::Accept)])]);
    let branch = at_forward(&ruleset, &udp(53)).remove(0);
    assert_eq!((branch.fate, branch.packet.ip.ttl), (Fate::Accepted, 9));
}

struct Routes;

impl Surroundings for Routes {
    fn address_type(&self, question: &FibQuestion<'_>) -> Result<u32, Doubt> {
        Ok(if question.flags.contains(FibFlags::DESTINATION) { 2 } else { 1 })
    }

    fn masquerade(&self, _: &Context<'_>, _: &Packet) -> Result<Option<IpAddr>, Doubt> {
        Ok(Some(ip("192.0.2.9")))
    }
}

#[test]
fn routes_are_asked_of_others() {
    let fib = Expr::Fib { destination: R, result: FibResult::AddressType, flags: FibFlags::DESTINATION };
    assert_eq!(one(vec![fib.clone(), is(Data::ne32(2))], &udp(53)), BOTH);
    let ruleset = rules(vec![Rule::new([fib, is(Data::ne32(2)), Expr::Verdict(Verdict::Accept)])]);
    let packet = udp(53);
    assert_eq!(evaluate(&ruleset, &context(&packet, Hook::Forward), &Routes)[0].fate, Fate::Accepted);
}

#[test]
fn orders_that_are_not_known_matter_only_if_the_outcome_hangs_on_them() {
    let table = |name: &str, rule: Rule| {
        let mut table = Table::new(Family::Ip, name);
        table.chains.push(Chain { rules: vec![rule], ..Chain::base("c", BaseChain::filter(Hook::Forward)) });
        table
    };
    let mark = |mark| RuleBuilder::new(Family::Ip).set_mark(mark).go_on();
    let of = |a: Rule, b: Rule| {
        let ruleset = Ruleset { generation: 1, tables: vec![table("a", a), table("b", b)] };
        at_forward(&ruleset, &udp(53))
    };
    let alike = of(mark(1), Rule::new([Expr::Verdict(Verdict::Drop)]));
    assert!(alike.iter().all(|branch| branch.fate == Fate::Dropped));
    assert_eq!(of(mark(1), mark(1)).len(), 1);
    let different = of(mark(1), mark(2));
    assert_eq!(different.len(), 2);
    assert!(different[0].doubts[0].what.contains("order"));
}

#[test]
fn too_much_is_not_known() {
    let split = |mark: u32| {
        Rule::new([
            Expr::Meta { destination: R, key: MetaKey::Random },
            is(Data::ne32(mark)),
            Expr::Meta { destination: R, key: MetaKey::Mark },
            Expr::Bitwise {
                source: R,
                destination: R,
                len: 4,
                op: BitwiseOp::MaskXor { mask: Data::ne32(u32::MAX), xor: Data::ne32(1 << mark) },
            },
            Expr::MetaSet { source: R, key: MetaKey::Mark },
        ])
    };
    let branches = at_forward(&rules((0..12).map(split).collect()), &udp(53));
    assert!(matches!(&branches[..], [Branch { fate: Fate::Unknown(_), .. }]));
}

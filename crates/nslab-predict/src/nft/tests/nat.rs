//! NAT and connections.

use super::*;

fn nat_chain(name: &str, hook: Hook, rules: Vec<Rule>) -> Chain {
    let base = BaseChain { kind: ChainKind::Nat, priority: priority::FILTER, ..BaseChain::filter(hook) };
    Chain { rules, ..Chain::base(name, base) }
}

fn dnat(last: [u8; 4]) -> Rule {
    Rule::new([
        Expr::Immediate { destination: R, data: Data::from([10, 9, 0, 1]) },
        Expr::Immediate { destination: Register::R2, data: Data::from(last) },
        Expr::Immediate { destination: Register::R3, data: Data::be16(8080) },
        Expr::Nat(Nat {
            destination: true,
            family: Family::Ip,
            addresses: Some(RegisterRange { first: R, last: Register::R2 }),
            ports: Some(RegisterRange::one(Register::R3)),
            flags: NatFlags::empty(),
        }),
    ])
}

#[test]
fn nat_is_decided_once_and_seen_by_what_comes_after() {
    // The filter at 0 comes after NAT, which is at −100 though its chain says 0.
    let mut ruleset = rules(Vec::new());
    let seen =
        Rule::new([payload(PayloadBase::Network, 16, 4), is([10, 9, 0, 1]), Expr::Verdict(Verdict::Accept)]);
    let base = BaseChain { policy: Policy::Drop, priority: -50, ..BaseChain::filter(Hook::Prerouting) };
    ruleset.tables[0].chains = vec![
        Chain { rules: vec![seen], ..Chain::base("filter", base) },
        nat_chain("a", Hook::Prerouting, vec![dnat([10, 9, 0, 1])]),
    ];
    let packet = udp(80);
    let branches = evaluate(&ruleset, &context(&packet, Hook::Prerouting), &Routes);
    let [branch] = &branches[..] else { panic!("{branches:?}") };
    assert_eq!(branch.fate, Fate::Accepted);
    assert_eq!(branch.packet.ip.destination, ip("10.9.0.1"));
    assert_eq!(branch.packet.ports(), Some((4000, 8080)));
    let Tracking::Connection(connection) = &branch.tracking else { panic!() };
    assert_eq!(connection.reply.source, ip("10.9.0.1"));

    // The answer is turned back by the connection, whatever the rules say.
    let answer = Packet {
        transport: Transport::Udp { source: 8080, destination: 4000 },
        ..packet_between("10.9.0.1", "10.0.0.1")
    };
    let mut back = context(&answer, Hook::Postrouting);
    back.tracking = Tracking::Connection(Connection {
        state: State::Established,
        direction: nslab_kernel::nftables::CtDirection::Reply,
        ..connection.clone()
    });
    let branch = evaluate(&ruleset, &back, &Routes).remove(0);
    assert_eq!((branch.packet.ip.source, branch.packet.ports()), (ip("10.0.1.1"), Some((80, 4000))));
}

fn packet_between(source: &str, destination: &str) -> Packet {
    packet(source, destination, Transport::Other(99))
}

#[test]
fn nat_to_one_of_several_is_vague() {
    let mut ruleset = rules(Vec::new());
    ruleset.tables[0].chains = vec![nat_chain("a", Hook::Prerouting, vec![dnat([10, 9, 0, 4])])];
    let packet = udp(80);
    let branch = evaluate(&ruleset, &context(&packet, Hook::Prerouting), &Routes).remove(0);
    assert!(matches!(&branch.vague[..], [(Part::Destination, _)]), "{:?}", branch.vague);
    assert_eq!(branch.packet.ports(), Some((4000, 8080)));
}

#[test]
fn masquerade_takes_the_address_that_it_is_told() {
    let mut ruleset = rules(Vec::new());
    let masquerade = Rule::new([Expr::Masquerade { flags: NatFlags::empty(), ports: None }]);
    ruleset.tables[0].chains = vec![nat_chain("a", Hook::Postrouting, vec![masquerade])];
    let packet = udp(80);
    let here = context(&packet, Hook::Postrouting);
    assert_eq!(evaluate(&ruleset, &here, &Routes)[0].packet.ip.source, ip("192.0.2.9"));
    let vague = evaluate(&ruleset, &here, &NothingKnown).remove(0).vague;
    assert_eq!(vague.iter().map(|(part, _)| *part).collect::<Vec<_>>(), [Part::Source, Part::SourcePort]);
    // What is not tracked is not translated.
    let untracked = Context { tracking: Tracking::Untracked, ..here };
    assert_eq!(evaluate(&ruleset, &untracked, &Routes)[0].packet, packet);
    assert!(tracks_connections(&ruleset, Family::Ip) && translates_addresses(&ruleset, Family::Ip6));
}

#[test]
fn raw_chains_see_no_connection_and_may_prevent_it() {
    let mut ruleset = rules(Vec::new());
    let raw = BaseChain { priority: -300, ..BaseChain::filter(Hook::Prerouting) };
    let state = |bit: u32, then: Expr| {
        Rule::new([
            Expr::Ct { destination: R, key: CtKey::State, direction: None },
            is(Data::ne32(bit)),
            then,
        ])
    };
    let after = BaseChain { policy: Policy::Drop, ..BaseChain::filter(Hook::Prerouting) };
    ruleset.tables[0].chains = vec![
        Chain { rules: vec![state(1, Expr::Notrack)], ..Chain::base("raw", raw) },
        Chain { rules: vec![state(0x40, Expr::Verdict(Verdict::Accept))], ..Chain::base("after", after) },
    ];
    let packet = udp(80);
    let branch = evaluate(&ruleset, &context(&packet, Hook::Prerouting), &Routes).remove(0);
    assert_eq!((branch.fate, branch.tracking), (Fate::Accepted, Tracking::Untracked));
}

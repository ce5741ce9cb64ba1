//! What the kernel here cannot show: VRFs, and what is not known.

use std::net::IpAddr;

use nslab_kernel::NamespaceState;
use nslab_kernel::address::Address;
use nslab_kernel::link::{Ipv4Settings, Link, LinkKind, Vrf};
use nslab_kernel::route::{NextHop, Route, RouteAction};
use nslab_kernel::rule::{Rule, RuleAction};
use nslab_snapshot::{Membership, Settings, State};

use super::{DropReason, Fate, Flow, Stop, Verdict, input, lookup};

fn link(index: u32, name: &str) -> Link {
    Link {
        index,
        name: name.parse().unwrap(),
        kind: None,
        loopback: name == "lo",
        mac: None,
        mtu: 1500,
        up: true,
        carrier: true,
        master: None,
        lower: None,
        lower_nsid: None,
        group: 0,
        alias: None,
        alt_names: Vec::new(),
        address_generation: None,
        tx_queues: 1,
        qdisc: String::new(),
        bridge_port: None,
        bond_port: None,
        ipv4: Some(Ipv4Settings { forwarding: true, ..Ipv4Settings::default() }),
        ipv6: None,
        xdp: None,
    }
}

fn address(link: u32, address: &str) -> Address {
    Address {
        link,
        address: address.parse().unwrap(),
        scope: 0,
        permanent: true,
        tentative: false,
        duplicate: false,
        secondary: false,
        kernel: false,
        peer: None,
        deprecated: false,
        optimistic: false,
        temporary: false,
        home: false,
    }
}

fn route(to: &str, table: u32, link: u32) -> Route {
    Route { table, ..Route::new(to.parse().unwrap(), RouteAction::Forward(vec![NextHop::on(link)])) }
}

fn state(links: Vec<Link>, addresses: Vec<Address>, mut routes: Vec<Route>, rules: Vec<Rule>) -> State {
    routes.sort_by_key(|route| {
        (route.to.addr().is_ipv6(), route.table, std::cmp::Reverse(route.to.prefix_len()))
    });
    State {
        network: NamespaceState { links, addresses, routes, rules, ..NamespaceState::default() },
        settings: Settings::default(),
        nftables: nslab_kernel::nftables::Ruleset::default(),
        xtables: Vec::new(),
        sockets: Vec::new(),
        programs: Vec::new(),
        groups: None,
        connections: None,
        peers: Vec::new(),
        gaps: Vec::new(),
    }
}

fn usual(vrf: bool) -> Vec<Rule> {
    let mut rules: Vec<Rule> = [(0, 255), (32766, 254), (32767, 253)]
        .into_iter()
        .map(|(priority, table)| Rule::new(false, priority, RuleAction::Table(table)))
        .collect();
    if vrf {
        rules.insert(1, Rule::new(false, 1000, RuleAction::VrfTable));
    }
    rules
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// The links by which a packet made here may leave.
fn leaves(state: &State, flow: &Flow) -> Vec<u32> {
    match lookup(state, flow).only().map(|outcome| &outcome.verdict) {
        Some(Verdict::Leave(ways)) => ways.iter().map(|way| way.link).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_member_of_a_vrf_is_routed_by_its_table() {
    let vrf = Link { kind: Some(LinkKind::Vrf(Vrf { table: 10 })), ..link(2, "blue") };
    let member = |index, name| Link { master: Some(2), ..link(index, name) };
    let links = vec![link(1, "lo"), vrf, member(3, "a"), member(4, "b"), link(5, "c")];
    let addresses = vec![address(4, "10.0.0.1/24"), address(5, "10.0.0.2/24")];
    let routes = vec![route("10.0.0.0/24", 10, 4), route("10.0.0.0/24", 254, 5)];
    let state = state(links, addresses, routes, usual(true));
    let to = Flow::to(ip("10.0.0.9"));
    assert_eq!(leaves(&state, &to), [5]);
    assert_eq!(leaves(&state, &Flow { oif: Some(2), ..to }), [4]);
    assert_eq!(leaves(&state, &Flow { oif: Some(4), ..to }), [4]);

    let come = Flow { source: Some(ip("10.0.0.77")), ..to };
    let fate = |link| input(&state, &come, link).only().map(|arrival| arrival.fate.clone());
    let out = |fate: Option<Fate>| match fate {
        Some(Fate::Forward(ways)) => ways.first().map(|way| way.link),
        _ => None,
    };
    assert_eq!(out(fate(3)), Some(4));
    assert_eq!(out(fate(5)), Some(5));
}

#[test]
fn a_rule_that_is_not_known_leaves_both_ways_open_only_if_they_differ() {
    let mut rules = usual(false);
    let strange = Rule { unknown: vec![99], ..Rule::new(false, 500, RuleAction::Table(7)) };
    rules.insert(1, strange);
    let links = vec![link(1, "lo"), link(2, "a"), link(3, "b")];
    let addresses = vec![address(2, "10.0.0.1/24"), address(3, "10.0.1.1/24")];
    let routes = vec![route("10.9.0.0/16", 254, 2), route("10.9.0.0/24", 7, 3), route("10.8.0.0/16", 254, 2)];
    let state = state(links, addresses, routes, rules);
    let differ = lookup(&state, &Flow::to(ip("10.9.0.1")));
    assert_eq!((differ.outcomes.len(), differ.doubts.len()), (2, 1));
    assert!(differ.doubts[0].what.contains("attribute 99"));
    let same = lookup(&state, &Flow::to(ip("10.8.0.1")));
    assert_eq!((same.outcomes.len(), same.doubts.len()), (1, 0));
}

#[test]
fn a_rule_for_users_is_open_until_the_user_is_known() {
    let mut rules = usual(false);
    let users = Rule { users: Some((1000, 1000)), ..Rule::new(false, 500, RuleAction::Blackhole) };
    rules.insert(1, users);
    let routes = vec![route("10.0.0.0/8", 254, 2)];
    let state = state(vec![link(1, "lo"), link(2, "a")], vec![address(2, "10.0.0.1/8")], routes, rules);
    let to = Flow::to(ip("10.0.0.9"));
    assert_eq!(lookup(&state, &to).outcomes.len(), 2);
    assert_eq!(leaves(&state, &Flow { uid: Some(0), ..to }), [2]);
    let stopped = lookup(&state, &Flow { uid: Some(1000), ..to });
    assert_eq!(stopped.only().map(|outcome| &outcome.verdict), Some(&Verdict::Stop(Stop::Blackhole)));
    // What comes in belongs to nobody.
    let come = Flow { source: Some(ip("10.0.0.7")), ..to };
    assert!(input(&state, &come, 2).only().is_some());
}

#[test]
fn the_tables_that_were_searched_are_named() {
    let routes = vec![Route { table: 253, ..Route::new("0.0.0.0/0".parse().unwrap(), RouteAction::Throw) }];
    let state = state(vec![link(1, "lo"), link(2, "a")], Vec::new(), routes, usual(true));
    let decision = lookup(&state, &Flow::to(ip("10.0.0.9")));
    let outcome = decision.only().unwrap();
    assert_eq!(outcome.verdict, Verdict::Stop(Stop::NoRoute));
    assert_eq!(outcome.reason.searched, [255, 254, 253]);
    assert_eq!(outcome.reason.thrown, Some(0));
}

#[test]
fn strict_reverse_path_filtering_names_itself() {
    let filtering = |mut link: Link| {
        link.ipv4 = Some(Ipv4Settings { rp_filter: 1, forwarding: true, ..Ipv4Settings::default() });
        link
    };
    let links = vec![link(1, "lo"), filtering(link(2, "a")), link(3, "b")];
    let addresses = vec![address(2, "10.0.0.1/24"), address(3, "10.0.1.1/24")];
    let routes = vec![route("10.0.0.0/24", 254, 2), route("10.0.1.0/24", 254, 3)];
    let state = state(links, addresses, routes, usual(true));
    let come = Flow { source: Some(ip("10.0.1.9")), ..Flow::to(ip("10.0.1.8")) };
    let fate = input(&state, &come, 2).only().map(|arrival| arrival.fate.clone());
    assert_eq!(fate, Some(Fate::Drop(DropReason::ReversePath { strict: true })));
}

#[test]
fn groups_are_taken_by_who_listens() {
    let links = vec![link(1, "lo"), link(2, "a"), link(3, "b")];
    let addresses = vec![address(2, "10.0.0.1/24"), address(3, "10.0.1.1/24")];
    let mut state = state(links, addresses, vec![route("10.0.0.0/24", 254, 2)], usual(false));
    let fate = |state: &State, group: &str, link| {
        let come = Flow { source: Some(ip("10.0.0.9")), ..Flow::to(ip(group)) };
        input(state, &come, link).only().map(|arrival| arrival.fate.clone())
    };
    // Memberships that could not be read.
    assert_eq!(fate(&state, "239.1.1.1", 2), None);
    assert_eq!(fate(&state, "224.0.0.1", 2), Some(Fate::Multicast));
    let joined = |group: &str, by_source| Membership { link: 2, group: ip(group), by_source };
    state.groups = Some(vec![joined("239.1.1.1", false), joined("232.1.1.1", true)]);
    state.settings.routes_groups = Some(false);
    assert_eq!(fate(&state, "239.1.1.1", 2), Some(Fate::Multicast));
    assert_eq!(fate(&state, "239.1.1.1", 3), Some(Fate::Drop(DropReason::NoMember)));
    assert_eq!(fate(&state, "232.1.1.1", 2), None);
    // A program that routes groups may take them all, but those of the link.
    state.settings.routes_groups = Some(true);
    assert_eq!(fate(&state, "239.1.1.1", 3), None);
    assert_eq!(fate(&state, "224.0.0.5", 3), Some(Fate::Drop(DropReason::NoMember)));
}

//! Small networks to ping in.

#![allow(dead_code, reason = "each test uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use nslab_kernel::address::ChangeAddress;
use nslab_kernel::link::{Bridge, LinkKind, NewLink, SetLink, VethPeer};
use nslab_kernel::netlink::{Batch, MessageWriter, Protocol, Reader, Request, Socket};
use nslab_kernel::route::{ChangeRoute, NextHop, Route, RouteAction};
use nslab_kernel::{Namespace, namespace};
use nslab_types::IfName;

/// The loopback interface's number, the same everywhere.
const LOOPBACK: u32 = 1;
/// The number of a host's only interface. Smaller ones may be taken by tunnels that modules bring into every namespace.
pub(crate) const ETH0: u32 = 64;

pub(crate) fn socket(namespace: &Namespace) -> Socket {
    namespace.run(|| Socket::open(Protocol::Route)).unwrap().unwrap()
}

pub(crate) fn apply(namespace: &Namespace, requests: &[&dyn Request]) {
    let mut batch = Batch::new();
    for request in requests {
        batch.push(*request);
    }
    socket(namespace).execute(&mut batch).unwrap().unwrap();
}

pub(crate) fn up(index: u32) -> SetLink {
    SetLink { index, up: Some(true), ..SetLink::default() }
}

pub(crate) fn address(link: u32, address: &str) -> ChangeAddress {
    ChangeAddress { link, address: address.parse().unwrap(), delete: false }
}

pub(crate) fn route(to: &str, via: &str) -> ChangeRoute {
    let action = RouteAction::Forward(vec![NextHop::via(via.parse().unwrap())]);
    ChangeRoute { route: Route::new(to.parse().unwrap(), action), delete: false }
}

pub(crate) fn special_route(to: &str, action: RouteAction) -> ChangeRoute {
    ChangeRoute { route: Route::new(to.parse().unwrap(), action), delete: false }
}

pub(crate) fn sysctl(namespace: &Namespace, key: &str, value: &str) {
    namespace.run(|| nslab_kernel::sysctl::write(key, value)).unwrap().unwrap();
}

/// New namespaces with their loopback up.
pub(crate) fn namespaces(count: usize) -> Vec<Namespace> {
    let mut all = Vec::new();
    namespace::create_each(count, |_, namespace| {
        all.push(namespace);
        Ok::<_, nslab_kernel::Error>(())
    })
    .unwrap();
    for namespace in &all {
        // Until duplicates of link-local addresses are ruled out, up to two seconds, IPv6 does not work.
        sysctl(namespace, "net.ipv6.conf.default.accept_dad", "0");
        sysctl(namespace, "net.ipv6.conf.default.router_solicitations", "0");
        apply(namespace, &[&up(LOOPBACK)]);
    }
    all
}

/// Waits until the namespace's network is really there. Two things come a little after the answers to the requests,
/// by workers of the kernel that wait for its lock, and until then packets are dropped without a word: an interface's
/// queue after its carrier (`linkwatch_do_dev`), and an IPv6 address's multicast group, by which neighbours ask for it
/// (`addrconf_dad_work`).
pub(crate) fn settle(namespace: &Namespace) {
    let mut socket = socket(namespace);
    let start = Instant::now();
    while !(carriers_are_noticed(&mut socket) && groups_are_joined(namespace, &mut socket)) {
        assert!(start.elapsed() < Duration::from_secs(20), "the network never came up");
        std::thread::yield_now();
    }
}

fn carriers_are_noticed(socket: &mut Socket) -> bool {
    const IFF_UP: u32 = 0x1;
    const IFF_LOOPBACK: u32 = 0x8;
    const IFLA_OPERSTATE: u16 = 16;
    const IF_OPER_UP: u8 = 6;
    let links = socket.dump("interfaces", &ListLinks, |_, payload| {
        let link = Reader::new(payload);
        let state = link.attributes(16).get(IFLA_OPERSTATE).and_then(|state| state.u8());
        Ok(Some(link.u32(8) & (IFF_UP | IFF_LOOPBACK) != IFF_UP || state == Some(IF_OPER_UP)))
    });
    links.unwrap().into_iter().all(|noticed| noticed)
}

fn groups_are_joined(namespace: &Namespace, socket: &mut Socket) -> bool {
    let groups = namespace.run(|| std::fs::read_to_string("/proc/thread-self/net/igmp6")).unwrap().unwrap();
    nslab_kernel::address::list(socket).unwrap().into_iter().all(|address| {
        let IpAddr::V6(own) = address.address.addr() else { return true };
        if own.is_loopback() {
            return true;
        }
        let [.., a, b, c] = own.octets();
        let group = format!("ff0200000000000000000001ff{a:02x}{b:02x}{c:02x}");
        groups.lines().any(|line| {
            let mut columns = line.split_ascii_whitespace();
            columns.next() == Some(&address.link.to_string()) && columns.nth(1) == Some(&group)
        })
    })
}

struct ListLinks;

impl fmt::Display for ListLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list interfaces")
    }
}

impl Request for ListLinks {
    fn message_type(&self) -> u16 {
        18 // RTM_GETLINK
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&[0; 16]); // struct ifinfomsg
    }
}

/// A cable between two namespaces: the interfaces' numbers there, both up, with these addresses.
pub(crate) fn cable(left: (&Namespace, u32, &[&str]), right: (&Namespace, u32, &[&str]), mtu: u32) {
    let name = |index: u32| IfName::new(&format!("eth{}", index - ETH0)).unwrap();
    let peer = VethPeer {
        index: Some(right.1),
        namespace: Some(right.0.as_fd().as_raw_fd()),
        mtu: Some(mtu),
        queues: Some(1),
        ..VethPeer::new(name(right.1))
    };
    let link = NewLink {
        index: Some(left.1),
        mtu: Some(mtu),
        queues: Some(1),
        ..NewLink::new(name(left.1), LinkKind::Veth(Some(Box::new(peer))))
    };
    apply(left.0, &[&link]);
    for (namespace, index, addresses) in [left, right] {
        apply(namespace, &[&up(index)]);
        for text in addresses {
            apply(namespace, &[&address(index, text)]);
        }
    }
    settle(left.0);
    settle(right.0);
}

/// Hosts on one bridge, each with 10.0.x.y/16 and `fd00::n/64` on its eth0; the bridge has a namespace of its own, the
/// last one.
pub(crate) fn star(hosts: usize) -> Vec<Namespace> {
    let all = namespaces(hosts + 1);
    let bridge = &all[hosts];
    let kind = LinkKind::Bridge(Bridge { multicast_snooping: Some(false), ..Bridge::default() });
    let new = NewLink { index: Some(10_000), ..NewLink::new(IfName::new("br0").unwrap(), kind) };
    apply(bridge, &[&new]);
    for (host, namespace) in all[..hosts].iter().enumerate() {
        let port = ETH0 + u32::try_from(host).unwrap();
        let peer = VethPeer {
            index: Some(port),
            namespace: Some(bridge.as_fd().as_raw_fd()),
            queues: Some(1),
            ..VethPeer::new(IfName::new(&format!("p{host}")).unwrap())
        };
        let link = NewLink {
            index: Some(ETH0),
            queues: Some(1),
            ..NewLink::new(IfName::new("eth0").unwrap(), LinkKind::Veth(Some(Box::new(peer))))
        };
        let v4 = ChangeAddress { link: ETH0, address: IpNet::new(host_v4(host), 16).unwrap(), delete: false };
        let v6 = ChangeAddress { link: ETH0, address: IpNet::new(host_v6(host), 64).unwrap(), delete: false };
        apply(namespace, &[&link]);
        apply(
            bridge,
            &[&SetLink { index: port, up: Some(true), master: Some(10_000), ..SetLink::default() }],
        );
        apply(namespace, &[&up(ETH0), &v4, &v6]);
    }
    apply(bridge, &[&up(10_000)]);
    all.iter().for_each(settle);
    all
}

pub(crate) fn host_v4(host: usize) -> IpAddr {
    let [_, _, high, low] = u32::try_from(host + 1).unwrap().to_be_bytes();
    Ipv4Addr::new(10, 0, high, low).into()
}

pub(crate) fn host_v6(host: usize) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::try_from(host + 1).unwrap()).into()
}

/// How many neighbours of either family a namespace has, without multicast groups.
pub(crate) fn neighbours(namespace: &Namespace) -> usize {
    const NUD_NOARP: u16 = 0x40;
    let all = nslab_kernel::neighbour::list(&mut socket(namespace)).unwrap();
    all.iter().filter(|neighbour| neighbour.state != NUD_NOARP).count()
}

//! Small networks to ping in.

#![allow(dead_code, reason = "each test uses its own part of it")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};

use ipnet::IpNet;
use nslab_kernel::address::ChangeAddress;
use nslab_kernel::link::{Bridge, LinkKind, NewLink, SetLink, VethPeer};
use nslab_kernel::netlink::{Batch, Protocol, Request, Socket};
use nslab_kernel::route::{ChangeRoute, NextHop, Route, RouteAction};
use nslab_kernel::{Namespace, namespace};
use nslab_types::IfName;

pub type Failure = Box<dyn std::error::Error>;

/// The loopback interface's number, the same everywhere.
const LOOPBACK: u32 = 1;
/// The number of a host's only interface.
pub const ETH0: u32 = 2;

pub fn socket(namespace: &Namespace) -> Socket {
    namespace.run(|| Socket::open(Protocol::Route)).unwrap().unwrap()
}

pub fn apply(namespace: &Namespace, requests: &[&dyn Request]) {
    let mut batch = Batch::new();
    for request in requests {
        batch.push(*request);
    }
    socket(namespace).execute(&mut batch).unwrap().unwrap();
}

pub fn up(index: u32) -> SetLink {
    SetLink { index, up: Some(true), ..SetLink::default() }
}

pub fn address(link: u32, address: &str) -> ChangeAddress {
    ChangeAddress { link, address: address.parse().unwrap(), delete: false }
}

pub fn route(to: &str, via: &str) -> ChangeRoute {
    let action = RouteAction::Forward(vec![NextHop::via(via.parse().unwrap())]);
    ChangeRoute { route: Route::new(to.parse().unwrap(), action), delete: false }
}

pub fn special_route(to: &str, action: RouteAction) -> ChangeRoute {
    ChangeRoute { route: Route::new(to.parse().unwrap(), action), delete: false }
}

pub fn sysctl(namespace: &Namespace, key: &str, value: &str) {
    namespace.run(|| nslab_kernel::sysctl::write(key, value)).unwrap().unwrap();
}

/// New namespaces with their loopback up.
pub fn namespaces(count: usize) -> Vec<Namespace> {
    let mut all = Vec::new();
    namespace::create_each(count, |_, namespace| {
        all.push(namespace);
        Ok::<_, nslab_kernel::Error>(())
    })
    .unwrap();
    all.iter().for_each(|namespace| apply(namespace, &[&up(LOOPBACK)]));
    all
}

/// A cable between two namespaces: the interfaces' numbers there, both up, with these addresses.
pub fn cable(left: (&Namespace, u32, &[&str]), right: (&Namespace, u32, &[&str]), mtu: u32) {
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
        addresses.iter().for_each(|text| apply(namespace, &[&address(index, text)]));
    }
}

/// Hosts on one bridge, each with 10.0.x.y/16 and fd00::n/64 on its eth0; the bridge has a namespace of its own, the
/// last one.
pub fn star(hosts: usize) -> Vec<Namespace> {
    let all = namespaces(hosts + 1);
    let bridge = &all[hosts];
    let kind = LinkKind::Bridge(Bridge { multicast_snooping: Some(false), ..Bridge::default() });
    let new = NewLink { index: Some(10_000), ..NewLink::new(IfName::new("br0").unwrap(), kind) };
    apply(bridge, &[&new]);
    for (host, namespace) in all[..hosts].iter().enumerate() {
        let port = 10 + u32::try_from(host).unwrap();
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
        sysctl(namespace, "net.ipv6.conf.default.accept_dad", "0");
        sysctl(namespace, "net.ipv6.conf.default.router_solicitations", "0");
        apply(namespace, &[&link]);
        apply(bridge, &[&SetLink { index: port, up: Some(true), master: Some(10_000), ..SetLink::default() }]);
        apply(namespace, &[&up(ETH0), &v4, &v6]);
    }
    apply(bridge, &[&up(10_000)]);
    all
}

pub fn host_v4(host: usize) -> IpAddr {
    let [_, _, high, low] = u32::try_from(host + 1).unwrap().to_be_bytes();
    Ipv4Addr::new(10, 0, high, low).into()
}

pub fn host_v6(host: usize) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::try_from(host + 1).unwrap()).into()
}

/// How many neighbours a namespace has.
pub fn neighbours(namespace: &Namespace) -> usize {
    let output = namespace
        .run(|| std::fs::read_to_string("/proc/thread-self/net/arp").unwrap().lines().count() - 1)
        .unwrap();
    output
}

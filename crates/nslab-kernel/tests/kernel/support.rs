//! What these tests share.

use nslab_kernel::Namespace;
use nslab_kernel::link::{self, Link, LinkKind, NewLink, SetLink, VethPeer};
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_testing::FALLBACK_TUNNELS;
use nslab_types::{IfName, MacAddr};

/// A namespace of the test's own, with a socket in it.
pub(crate) struct Lab {
    pub(crate) namespace: Namespace,
    pub(crate) socket: Socket,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let namespace = Namespace::create().unwrap();
        let socket = namespace.run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
        Self { namespace, socket }
    }

    /// The link as this crate reads it.
    pub(crate) fn link(&mut self, name: &str) -> Link {
        link::find_by_name(&mut self.socket, self::name(name)).unwrap()
    }

    /// The links, without those that other tests' modules bring into every namespace.
    pub(crate) fn links(&mut self) -> Vec<Link> {
        let mut links = link::list(&mut self.socket).unwrap();
        links.retain(|link| !FALLBACK_TUNNELS.contains(&link.name.as_str()));
        links
    }

    /// Makes a veth pair whose ends are both here and up; returns their numbers.
    pub(crate) fn veth(&mut self, main: &str, peer: &str) -> (u32, u32) {
        let kind = LinkKind::Veth(Some(Box::new(VethPeer::new(name(peer)))));
        self.socket.request(&NewLink { up: true, ..NewLink::new(name(main), kind) }).unwrap();
        let set = SetLink { name: Some(name(peer)), up: Some(true), ..SetLink::default() };
        self.socket.request(&set).unwrap();
        (self.link(main).index, self.link(peer).index)
    }
}

pub(crate) fn name(name: &str) -> IfName {
    name.parse().unwrap()
}

pub(crate) fn mac(mac: &str) -> MacAddr {
    mac.parse().unwrap()
}

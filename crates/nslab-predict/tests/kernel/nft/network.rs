//! A router with a random ruleset between two cables whose far ends the test holds.

use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::Ruleset;
use nslab_kernel::{Namespace, link, sysctl};
use nslab_testing::{Nft, Oracle};

use super::wire::{Raw, Wire};

/// What is at the end of input: everything that comes so far is counted and dropped, so that the router answers nothing. What
/// it says to groups by itself is dropped before other chains see it.
const LAST: &str = "table inet last {
	chain input {
		type filter hook input priority 400;
		counter drop
	}
	chain output {
		type filter hook output priority -400;
		ip daddr 224.0.0.0/4 drop
		ip6 daddr ff00::/8 drop
	}
}
";

pub(super) struct Network {
    router: Namespace,
    netfilter: Socket,
    nft: Nft,
    _outside: Namespace,
    /// The router's interfaces `in0` and `out0`: number and hardware address.
    pub(super) inner: (u32, [u8; 6]),
    pub(super) outer: (u32, [u8; 6]),
    /// Far ends and near ends of their cables.
    pub(super) near: [Wire; 2],
    pub(super) far: [Wire; 2],
    /// For IPv4 and IPv6.
    raw: [Raw; 2],
    marker: std::cell::Cell<u32>,
}

impl Network {
    pub(super) fn new(nft: Nft, oracle: Oracle) -> Self {
        let (router, outside) = (Namespace::create().unwrap(), Namespace::create().unwrap());
        let set = |namespace: &Namespace, key: &str, value: &str| {
            // Some are only in some kernels.
            let _ = namespace.run(|| sysctl::write(key, value)).unwrap();
        };
        set(&outside, "net.ipv6.conf.default.disable_ipv6", "1");
        for (key, value) in [
            ("net.ipv6.conf.default.addr_gen_mode", "1"),
            ("net.ipv6.conf.default.accept_dad", "0"),
            ("net.ipv4.ip_forward", "1"),
            ("net.ipv6.conf.all.forwarding", "1"),
            ("net.ipv4.conf.all.rp_filter", "0"),
            ("net.ipv4.conf.default.rp_filter", "0"),
            ("net.ipv4.conf.all.send_redirects", "0"),
            ("net.ipv4.conf.default.send_redirects", "0"),
            ("net.ipv4.icmp_ratelimit", "0"),
            ("net.ipv4.icmp_msgs_per_sec", "1000000"),
            ("net.ipv4.icmp_msgs_burst", "1000000"),
            ("net.ipv6.icmp.ratelimit", "0"),
        ] {
            set(&router, key, value);
        }
        cables(&router, &outside);
        for change in [
            "link set in0 up group 7",
            "link set out0 up",
            "addr add 10.0.0.254/32 dev in0",
            "addr add 10.1.0.254/24 dev out0",
            "addr add fd00:0::fe/128 dev in0 nodad",
            "addr add fd00:1::fe/64 dev out0 nodad",
            "neigh add 10.6.0.1 lladdr 02:00:00:00:00:01 dev in0",
            "neigh add 10.1.0.1 lladdr 02:00:00:00:00:01 dev out0",
            "neigh add fd00:6::1 lladdr 02:00:00:00:00:01 dev in0",
            "neigh add fd00:1::1 lladdr 02:00:00:00:00:01 dev out0",
            "route add 10.0.0.0/24 via 10.6.0.1 dev in0 onlink",
            "route add 10.5.0.0/24 via 10.6.0.1 dev in0 onlink",
            "route add default via 10.1.0.1",
            "-6 route add fd00:0::/64 via fd00:6::1 dev in0 onlink",
            "-6 route add fd00:5::/64 via fd00:6::1 dev in0 onlink",
            "-6 route add default via fd00:1::1",
        ] {
            oracle.change(&router, change);
        }
        let links = |namespace: &Namespace| {
            let mut socket = namespace.run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
            link::list(&mut socket).unwrap()
        };
        let find = |namespace: &Namespace, name: &str| {
            let found = links(namespace).into_iter().find(|link| link.name.as_str() == name).unwrap();
            (found.index, found.mac.unwrap().0)
        };
        let (inner, outer) = (find(&router, "in0"), find(&router, "out0"));
        Self {
            netfilter: router.run(|| Socket::open(Protocol::Netfilter)).unwrap().unwrap(),
            near: [Wire::open(&router, inner.0), Wire::open(&router, outer.0)],
            far: [Wire::open(&outside, find(&outside, "a0").0), Wire::open(&outside, find(&outside, "b0").0)],
            raw: [Raw::open(&router, false), Raw::open(&router, true)],
            router,
            nft,
            _outside: outside,
            inner,
            outer,
            marker: std::cell::Cell::new(0),
        }
    }

    /// Programs a ruleset; the rules that nft or the kernel refuse are left out, and counted.
    pub(super) fn program(&self, text: &str) -> usize {
        let mut lines: Vec<&str> = text.lines().collect();
        let mut refused = 0;
        loop {
            let script = format!("flush ruleset\n{}\n{LAST}", lines.join("\n"));
            let Err(errors) = self.nft.run(&self.router, &["-f", "-"], &script) else { return refused };
            let mut wrong: Vec<usize> = errors
                .lines()
                .filter(|line| line.contains("Error"))
                .filter_map(|line| line.split(':').nth(1)?.parse::<usize>().ok()?.checked_sub(2))
                .collect();
            wrong.sort_unstable();
            wrong.dedup();
            let are_rules =
                wrong.iter().all(|line| lines.get(*line).is_some_and(|line| line.contains("counter")));
            assert!(!wrong.is_empty() && are_rules, "{errors}\n{script}");
            refused += wrong.len();
            for line in wrong.into_iter().rev() {
                lines.remove(line);
            }
        }
    }

    pub(super) fn read(&mut self) -> Ruleset {
        Ruleset::read(&mut self.netfilter).unwrap()
    }

    /// Sends a frame into the router by one of its cables; returns what came out of both ends.
    ///
    /// Frames of one processor are worked on in their order, so once a frame that was sent afterwards has come through the
    /// same cable the first one has been wholly worked on.
    pub(super) fn send(&self, cable: usize, frame: &[u8]) -> [Vec<Vec<u8>>; 2] {
        let number = self.marker.get() + 1;
        self.far[cable].send(frame);
        self.far[cable].mark(number);
        self.near[cable].until(number);
        self.come_out()
    }

    /// The same for a packet that the router itself sends, from its IP header on.
    pub(super) fn send_from_router(&self, packet: &[u8]) -> [Vec<Vec<u8>>; 2] {
        self.raw[usize::from(packet[0] >> 4 == 6)].send(packet);
        self.come_out()
    }

    fn come_out(&self) -> [Vec<Vec<u8>>; 2] {
        let number = self.marker.get() + 1;
        self.marker.set(number);
        self.near.iter().for_each(|wire| wire.mark(number));
        [self.far[0].until(number), self.far[1].until(number)]
    }
}

/// Two cables from the router to the outside, whose ends are up.
fn cables(router: &Namespace, outside: &Namespace) {
    use std::os::fd::{AsFd, AsRawFd};
    let mut socket = router.run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
    let mut far_socket = outside.run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
    for (near, far) in [("in0", "a0"), ("out0", "b0")] {
        let peer = link::VethPeer {
            namespace: Some(outside.as_fd().as_raw_fd()),
            ..link::VethPeer::new(far.parse().unwrap())
        };
        let kind = link::LinkKind::Veth(Some(Box::new(peer)));
        socket.request(&link::NewLink::new(near.parse().unwrap(), kind)).unwrap();
        let index = link::find_by_name(&mut far_socket, far.parse().unwrap()).unwrap().index;
        far_socket.request(&link::SetLink { index, up: Some(true), ..link::SetLink::default() }).unwrap();
    }
}

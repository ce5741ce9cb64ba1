//! Ways out: the host is a namespace that the test made, and so is what is outside.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::{
    BaseChain, Chain, Family, Hook, Policy, Ruleset, Table, Transaction, build::RuleBuilder,
};
use nslab_kernel::{Namespace, sysctl};
use nslab_lab::error::Error;
use nslab_testing::{Oracle, privileged};
use serde_json::{Value, json};

use crate::crash::kill_building;
use crate::support::{Site, normalised, state, wanted};

/// Long enough for an answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is dropped does not come.
const SILENCE: Duration = Duration::from_millis(300);

const HOST: &str = "203.0.113.2";
const OUTSIDE: &str = "203.0.113.1";

/// A stand-in for the host, and what is outside of it.
pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) host: Namespace,
    outside: Namespace,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self {
            site: Site::new(),
            host: Namespace::create().unwrap(),
            outside: Namespace::create().unwrap(),
        };
        let ip = Oracle::find().expect("ip is needed to make the host");
        for line in [
            "link set lo up",
            "link add eth0 type veth peer name out",
            "link set eth0 addrgenmode none",
            "address add 203.0.113.2/24 dev eth0",
            "address add 2001:db8::2/64 dev eth0 nodad",
            "link set eth0 up",
        ] {
            ip.change(&world.host, line);
        }
        world.give("out");
        for line in [
            "link set lo up",
            "link set out addrgenmode none",
            "address add 203.0.113.1/24 dev out",
            "address add 2001:db8::1/64 dev out nodad",
            "link set out up",
        ] {
            ip.change(&world.outside, line);
        }
        ip.change(&world.host, "route add default via 203.0.113.1");
        ip.change(&world.host, "-6 route add default via 2001:db8::1");
        // The kernel makes the address's local route a moment later.
        let mut socket = world.host.run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
        let address: IpAddr = "2001:db8::2".parse().unwrap();
        let end = Instant::now() + PATIENCE;
        while !nslab_kernel::route::is_local(&mut socket, address).unwrap() {
            assert!(Instant::now() < end, "the host has no IPv6");
            std::thread::sleep(Duration::from_millis(1));
        }
        // What else follows from the interfaces coming up, on a busy machine later still.
        let mut before = world.shown();
        loop {
            std::thread::sleep(Duration::from_millis(20));
            let now = world.shown();
            if now == before || Instant::now() > end {
                break;
            }
            before = now;
        }
        world
    }

    /// Moves an interface of the host outside.
    fn give(&self, name: &str) {
        use std::os::fd::{AsFd, AsRawFd};
        let mut socket = self.host.run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
        let link = nslab_kernel::link::find_by_name(&mut socket, name.parse().unwrap()).unwrap();
        let namespace = Some(self.outside.as_fd().as_raw_fd());
        let give = nslab_kernel::link::SetLink { index: link.index, namespace, ..Default::default() };
        socket.request(&give).unwrap();
    }

    pub(crate) fn up(&self, text: &str) -> nslab_lab::labs::Built {
        self.host.run(|| self.site.up(&wanted(text))).unwrap()
    }

    fn refused(&self, text: &str) -> Error {
        self.host.run(|| self.site.labs(|labs| labs.up(&wanted(text)))).unwrap().unwrap_err()
    }

    pub(crate) fn down(&self, lab: &str) {
        self.host.run(|| self.site.down(lab)).unwrap();
    }

    /// All of the host that a lab could have changed.
    pub(crate) fn shown(&self) -> Value {
        let read = || -> (BTreeMap<String, String>, Vec<Table>) {
            let keys = ["net.ipv4", "net.ipv6"].iter().flat_map(|root| sysctl::list(root).unwrap());
            let sysctls = keys.filter_map(|key| Some((key.clone(), sysctl::read(&key).ok()?))).collect();
            let mut socket = Socket::open(Protocol::Netfilter).unwrap();
            (sysctls, Ruleset::read(&mut socket).unwrap().tables)
        };
        let (sysctls, tables) = self.host.run(read).unwrap();
        let mut shown = normalised(&state(&self.host));
        shown["sysctls"] = json!(sysctls);
        shown["tables"] = json!(tables);
        shown
    }

    pub(crate) fn assert_is(&self, before: &Value, when: &str) {
        self.becomes(before, when);
        self.site.assert_clean();
    }

    /// Waits until all is as it was before: what follows from an interface that went is done by and by.
    fn becomes(&self, before: &Value, when: &str) {
        let end = Instant::now() + PATIENCE;
        let mut now = self.shown();
        while now != *before && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
            now = self.shown();
        }
        for (part, value) in before.as_object().unwrap() {
            assert_eq!(&now[part], value, "{when}: {part}");
        }
    }

    pub(crate) fn node(&self, lab: &str, node: &str) -> Namespace {
        self.site.node(lab, node)
    }

    /// The node's address on its way out.
    fn address(&self, lab: &str, node: &str, ipv6: bool) -> IpAddr {
        let shown = state(&self.node(lab, node));
        let link = shown.links.iter().find(|link| link.name.as_str() == "uplink").unwrap();
        let own = shown.addresses.iter().filter(|one| one.link == link.index && one.scope == 0);
        own.map(|one| one.address.addr()).find(|address| address.is_ipv6() == ipv6).unwrap()
    }
}

/// A server that tells each caller from which address it called; it ends with the test.
fn serve(namespace: &Namespace, port: u16) {
    for any in ["0.0.0.0", "::"] {
        let address = SocketAddr::new(any.parse().unwrap(), port);
        let open = || {
            // Each family by itself.
            use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
            let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
            let fd = socket(family, SocketType::STREAM, None).unwrap();
            if address.is_ipv6() {
                sockopt::set_ipv6_v6only(&fd, true).unwrap();
            }
            sockopt::set_socket_reuseaddr(&fd, true).unwrap();
            bind(&fd, &address).unwrap();
            listen(&fd, 16).unwrap();
            TcpListener::from(fd)
        };
        let listener = namespace.run(open).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let caller = stream.peer_addr().map(|caller| caller.ip().to_string()).unwrap_or_default();
                let _ = stream.write_all(caller.as_bytes());
            }
        });
    }
}

/// Who calls from `namespace` is seen as whom by the server at `address`; none if it is not reached.
fn call(namespace: &Namespace, address: &str, patience: Duration) -> Option<String> {
    let address: SocketAddr = address.parse().unwrap();
    let mut stream = namespace.run(|| TcpStream::connect_timeout(&address, patience)).unwrap().ok()?;
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

const LAB: &str = "name: u\nnodes:\n  web:\n    uplink:\n      publish: [8080:80, {host: 127.0.0.1:2222, to: 22}, \
                   5353:53/udp]\n  r: {forward: true}\n  c: {}\nlinks: [[web, r], [c, r]]\n";

#[test]
fn the_outside_sees_the_hosts_address() {
    privileged(|| {
        let world = World::new();
        let before = world.shown();
        world.up(LAB);
        assert_eq!(world.host.run(|| world.site.up(&wanted(LAB))).unwrap().steps, 0);
        serve(&world.outside, 9000);
        let web = world.node("u", "web");
        assert_eq!(call(&web, "203.0.113.1:9000", PATIENCE).as_deref(), Some(HOST));
        if sysctl::path("net.ipv6.conf.all.force_forwarding").exists() {
            assert_eq!(call(&web, "[2001:db8::1]:9000", PATIENCE).as_deref(), Some("2001:db8::2"));
            let shown = world.shown();
            assert_eq!(
                shown["sysctls"]["net.ipv6.conf.all.forwarding"],
                before["sysctls"]["net.ipv6.conf.all.forwarding"]
            );
        }
        // The rest of the host forwards no more than before.
        let shown = world.shown();
        assert_eq!(shown["sysctls"]["net.ipv4.ip_forward"], before["sysctls"]["net.ipv4.ip_forward"]);
        world.down("u");
        world.assert_is(&before, "after down");
        assert_eq!(call(&world.host, "203.0.113.1:9000", PATIENCE).as_deref(), Some(HOST));
    });
}

#[test]
fn published_ports_lead_to_the_node() {
    privileged(|| {
        let world = World::new();
        world.up(LAB);
        let web = world.node("u", "web");
        serve(&web, 80);
        serve(&web, 22);
        // From outside, under the caller's own address; from the host, by any of its addresses; from the node itself.
        assert_eq!(call(&world.outside, "203.0.113.2:8080", PATIENCE).as_deref(), Some(OUTSIDE));
        for address in ["203.0.113.2:8080", "127.0.0.1:8080", "127.0.0.1:2222"] {
            assert!(call(&world.host, address, PATIENCE).is_some(), "{address}");
        }
        assert!(call(&web, "203.0.113.2:8080", PATIENCE).is_some());
        // What is published on 127.0.0.1 is not outside.
        assert_eq!(call(&world.outside, "203.0.113.2:2222", PATIENCE), None);
        let server = web.run(|| UdpSocket::bind("0.0.0.0:53")).unwrap().unwrap();
        let client = world.outside.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
        for socket in [&server, &client] {
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        client.send_to(b"ask", "203.0.113.2:5353").unwrap();
        let mut buffer = [0; 8];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from.ip().to_string().as_str()), (&b"ask"[..], OUTSIDE));
        server.send_to(b"told", from).unwrap();
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from.to_string().as_str()), (&b"told"[..], "203.0.113.2:5353"));
        world.down("u");
    });
}

#[test]
fn nothing_else_gets_in() {
    privileged(|| {
        let world = World::new();
        world.up(LAB);
        let web = world.node("u", "web");
        serve(&web, 80);
        let address = world.address("u", "web", false);
        let ip = Oracle::find().unwrap();
        // Somebody outside who knows of the subnet and takes the host for a router.
        ip.change(&world.outside, &format!("route add {address}/32 via {HOST}"));
        assert_eq!(call(&world.outside, &format!("{address}:80"), SILENCE), None);
        assert!(call(&world.host, &format!("{address}:80"), PATIENCE).is_some());
        // Local routing on the host's end is no way to the host's own services.
        let listener = world.host.run(|| TcpListener::bind("127.0.0.1:7777")).unwrap().unwrap();
        let shown = ip.ip(&web, "route show default").to_string();
        let gateway = shown.split("\"gateway\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        ip.change(&web, "address del 127.0.0.1/8 dev lo");
        ip.change(&web, &format!("route add 127.0.0.1/32 via {gateway} dev uplink"));
        web.run(|| sysctl::write("net.ipv4.conf.uplink.route_localnet", "1")).unwrap().unwrap();
        assert_eq!(call(&web, "127.0.0.1:7777", SILENCE), None);
        drop(listener);
        world.down("u");
    });
}

#[test]
fn two_labs_share_the_host() {
    privileged(|| {
        let world = World::new();
        let before = world.shown();
        serve(&world.outside, 9000);
        let lab = |name: &str| format!("name: {name}\nnodes: {{n: {{uplink: nat}}}}\n");
        for names in [["a", "b"], ["b", "a"]] {
            for name in names {
                world.up(&lab(name));
            }
            for name in names {
                assert_eq!(call(&world.node(name, "n"), "203.0.113.1:9000", PATIENCE).as_deref(), Some(HOST));
            }
            world.down("a");
            assert_eq!(call(&world.node("b", "n"), "203.0.113.1:9000", PATIENCE).as_deref(), Some(HOST));
            assert_eq!(world.host.run(|| world.site.up(&wanted(&lab("b")))).unwrap().steps, 0);
            world.down("b");
            world.assert_is(&before, "after the last lab went");
        }
    });
}

#[test]
fn a_way_out_comes_and_goes() {
    privileged(|| {
        let world = World::new();
        let before = world.shown();
        let without = "name: u\nnodes: {web: {}, r: {forward: true}, c: {}}\nlinks: [[web, r], [c, r]]\n";
        world.up(without);
        world.up(LAB);
        // By hand, mended.
        let ip = Oracle::find().unwrap();
        ip.change(&world.host, "link del u-web");
        world.host.run(|| sysctl::write("net.ipv4.conf.eth0.forwarding", "0")).unwrap().unwrap();
        assert!(world.up(LAB).steps > 0);
        serve(&world.outside, 9000);
        assert_eq!(call(&world.node("u", "web"), "203.0.113.1:9000", PATIENCE).as_deref(), Some(HOST));
        world.up(without);
        world.becomes(&before, "without the way out");
        world.down("u");
        world.assert_is(&before, "after down");
    });
}

#[test]
fn the_host_is_as_it_was_when_up_fails_or_is_killed() {
    privileged(|| {
        let world = World::new();
        let before = world.shown();
        let bad = LAB.replace("c: {}", "c: {sysctl: {net.ipv4.conf.eth0.rp_filter: nonsense}}");
        assert!(matches!(world.refused(&bad), Error::Refused { .. }));
        world.assert_is(&before, "after a failed up");
        let mut kills = 0;
        for steps in 1.. {
            if !world.host.run(|| kill_building(&world.site, LAB, steps)).unwrap() {
                world.down("u");
                break;
            }
            kills = steps;
            if steps % 3 == 0 {
                world.up(LAB);
            }
            world.down("u");
            world.assert_is(&before, &format!("killed after {steps} steps"));
        }
        assert!(kills > 20, "{kills}");
    });
}

#[test]
fn a_firewall_that_drops_is_told_of() {
    privileged(|| {
        let world = World::new();
        let load = |table: &Table| {
            let mut transaction = Transaction::new();
            transaction.replace(table);
            let commit = || transaction.commit(&mut Socket::open(Protocol::Netfilter).unwrap());
            world.host.run(commit).unwrap().unwrap();
        };
        let forward = BaseChain { policy: Policy::Drop, ..BaseChain::filter(Hook::Forward) };
        let mut docker = Table::new(Family::Ip, "filter");
        let jump = RuleBuilder::new(Family::Ip).counter().jump("DOCKER-USER");
        docker.chains.push(Chain::regular("DOCKER-USER"));
        docker.chains.push(Chain { rules: vec![jump], ..Chain::base("FORWARD", forward.clone()) });
        load(&docker);
        let before = world.shown();
        let error = world.refused(LAB);
        let Error::Machine { what, hint: Some(hint) } = &error else { panic!("{error:?}") };
        assert!(what.contains("chain FORWARD of table ip filter has the policy drop"), "{what}");
        assert!(hint.contains("iptables -I DOCKER-USER -i u-web -j ACCEPT"), "{hint}");
        world.assert_is(&before, "after it was refused");
        // What the hint says, done.
        let name = "u-web".parse().unwrap();
        let rule = || RuleBuilder::new(Family::Ip).counter();
        docker.chains[0].rules = vec![rule().iif_name(name).accept(), rule().oif_name(name).accept()];
        load(&docker);
        world.up(LAB);
        serve(&world.outside, 9000);
        assert_eq!(call(&world.node("u", "web"), "203.0.113.1:9000", PATIENCE).as_deref(), Some(HOST));
        world.down("u");
        // Others' firewalls, with others' words.
        for (table, chain, word) in [
            ("filter", "ufw-user-forward", "ufw route allow in on u-web"),
            ("firewalld", "filter_FORWARD", "firewall-cmd --zone=trusted --add-interface=u-web"),
            ("mine", "fwd", "nft insert rule inet mine fwd"),
        ] {
            load(&Table::new(Family::Ip, "filter"));
            let mut other = Table::new(Family::Inet, table);
            other.chains.push(Chain::regular(if chain.starts_with("ufw") { chain } else { "x" }));
            let name = if chain.starts_with("ufw") { "FORWARD" } else { chain };
            other.chains.push(Chain::base(name, forward.clone()));
            load(&other);
            let error = world.refused(LAB);
            let Error::Machine { hint: Some(hint), .. } = &error else { panic!("{error:?}") };
            assert!(hint.contains(word), "{hint}");
            load(&Table::new(Family::Inet, table));
        }
    });
}

#[test]
fn what_is_in_the_way_on_the_host() {
    privileged(|| {
        let world = World::new();
        let before = world.shown();
        let conflict = |text: &str, says: &str| {
            // A socket that was closed is open for a while in whatever process another test has just forked.
            let end = Instant::now() + PATIENCE;
            loop {
                let error = world.refused(text);
                assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
                if error.to_string().contains(says) {
                    return;
                }
                assert!(Instant::now() < end, "{says}: {error}");
            }
        };
        let listener = world.host.run(|| TcpListener::bind("127.0.0.1:8080")).unwrap().unwrap();
        conflict(LAB, "the host's port 8080/tcp exists");
        drop(listener);
        let socket = world.host.run(|| UdpSocket::bind("0.0.0.0:5353")).unwrap().unwrap();
        conflict(LAB, "a program is bound to it");
        drop(socket);
        let ip = Oracle::find().unwrap();
        ip.change(&world.host, "link add u-web type bridge");
        conflict(LAB, "the interface u-web in host");
        ip.change(&world.host, "link del u-web");
        world.assert_is(&before, "after conflicts");
        world.up(LAB);
        conflict(&LAB.replace("name: u", "name: v"), "lab \"u\" publishes it");
        // Subnets that the host uses are not taken.
        ip.change(&world.host, "route add 192.168.0.0/16 via 203.0.113.1");
        ip.change(&world.host, "route add 172.16.0.0/12 via 203.0.113.1");
        world.up("name: w\nnodes: {web: {uplink: nat}}\n");
        let address = world.address("w", "web", false).to_string();
        assert!(address.starts_with("100."), "{address}");
        world.down("w");
        world.down("u");
    });
}

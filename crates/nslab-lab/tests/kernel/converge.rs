//! Running labs brought to what their files say.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use nslab_kernel::address::ChangeAddress;
use nslab_kernel::link::{DelLink, LinkKind, NewLink, SetLink};
use nslab_kernel::netlink::{Protocol, Request, Socket};
use nslab_kernel::route::{self, ChangeRoute, Route};
use nslab_lab::plan::Op;
use nslab_testing::privileged;
use nslab_types::IfName;

use crate::support::{Site, assert_same, wanted};

const BASE: &str = "name: c\nnodes: {h: {count: 4}, r: {forward: true}, out: {}}\nswitches: {s: {}}\n\
                    links: [[h, s], [r, s], [r, out]]\n";

#[test]
fn an_edit_changes_only_what_it_says() {
    privileged(|| {
        let site = Site::new();
        site.up(&wanted(BASE));
        let edited = wanted(&BASE.replace("[r, out]", "[r, out, {mtu: 1400}]"));
        let built = site.up(&edited);
        let ops: Vec<&Op> = built.plan.steps().map(|step| &step.op).collect();
        assert_eq!(ops.len(), 2, "{ops:?}");
        assert!(
            ops.iter().all(|op| matches!(op, Op::SetLink { change, .. } if change.mtu == Some(1400))),
            "{ops:?}"
        );
        site.down("c");
    });
}

#[test]
fn nodes_come_and_go() {
    privileged(|| {
        let site = Site::new();
        site.up(&wanted(BASE));
        let more = wanted(&BASE.replace("count: 4", "count: 7"));
        let built = site.up(&more);
        assert_eq!(built.plan.steps().filter(|step| step.op == Op::CreateNamespace).count(), 3);
        let fewer = wanted(&BASE.replace("count: 4", "count: 2"));
        let built = site.up(&fewer);
        assert_eq!(built.plan.steps().filter(|step| step.op == Op::DeleteNamespace).count(), 5);
        assert!(!site.paths.lab("c").pin("h3").exists());
        let fresh = Site::new();
        fresh.up(&fewer);
        assert_same(&site.shown(&fewer), &fresh.shown(&fewer), "as if built at once");
        fresh.down("c");
        site.down("c");
    });
}

/// After a change only what it touched is read again; what was wrong elsewhere must have been seen before.
#[test]
fn an_edit_here_and_drift_there_are_both_mended() {
    privileged(|| {
        let site = Site::new();
        site.up(&wanted(BASE));
        for (node, key) in [("h3", "net.ipv4.ip_forward"), ("h4", "net.ipv6.conf.all.forwarding")] {
            site.node("c", node).run(|| nslab_kernel::sysctl::write(key, "1")).unwrap().unwrap();
        }
        let loopback = ChangeAddress { link: 1, address: "192.0.2.9/32".parse().unwrap(), delete: false };
        change(&site, "h2", &[&loopback]);
        let edited = wanted(&BASE.replace("[r, out]", "[r, out, {mtu: 1400}]"));
        let built = site.up(&edited);
        assert_eq!(built.plan.steps().count(), 5, "{:?}", built.plan);
        assert_eq!(site.up(&edited).steps, 0);
        let fresh = Site::new();
        fresh.up(&edited);
        assert_same(&site.shown(&edited), &fresh.shown(&edited), "as if built at once");
        fresh.down("c");
        site.down("c");
    });
}

fn change(site: &Site, node: &str, requests: &[&dyn Request]) {
    let mut socket = site.node("c", node).run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
    for request in requests {
        socket.request(*request).unwrap();
    }
}

fn name(text: &str) -> IfName {
    IfName::new(text).unwrap()
}

#[test]
fn mends_what_was_broken_by_hand() {
    privileged(|| {
        let site = Site::new();
        let lab = wanted(BASE);
        site.up(&lab);
        let whole = site.shown(&lab);
        let eth0 = {
            let mut socket = site.node("c", "h1").run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
            nslab_kernel::link::find_by_name(&mut socket, name("eth0")).unwrap().index
        };
        change(
            &site,
            "h1",
            &[
                &SetLink { index: eth0, up: Some(false), ..SetLink::default() },
                &ChangeAddress { link: eth0, address: "192.0.2.9/24".parse().unwrap(), delete: false },
            ],
        );
        change(&site, "h2", &[&DelLink::Name(name("eth0"))]);
        change(&site, "s", &[&DelLink::Name(name("s"))]);
        site.node("c", "r").run(|| nslab_kernel::sysctl::write("net.ipv4.ip_forward", "0")).unwrap().unwrap();
        nslab_lab::pins::unpin(&site.paths.lab("c"), "h4", "c-h4").unwrap();
        let built = site.up(&lab);
        assert!(!built.plan.is_empty());
        assert_same(&site.shown(&lab), &whole, &format!("after {:?}", built.plan));
        let forwards =
            site.node("c", "r").run(|| nslab_kernel::sysctl::read("net.ipv4.ip_forward")).unwrap().unwrap();
        assert_eq!(forwards, "1");
        site.down("c");
    });
}

/// The kernel makes them along with an address and says nothing when it cannot, as when it is killed there.
#[test]
fn the_kernels_own_routes_come_back() {
    privileged(|| {
        let site = Site::new();
        let text = "name: c\nnodes: {a: {}, b: {forward: true, neighbours: [{address: 10.0.0.1, dev: eth0, \
                    mac: 02:00:00:00:00:01}]}, c: {}}\nlinks:\n\
                    - ['a 10.0.0.1/24 fd00::1/64', 'b 10.0.0.2/24 10.0.0.3/24 fd00::2/64']\n\
                    - [b 10.0.1.1/31, c 10.0.1.0/31]\n";
        let lab = wanted(text);
        site.up(&lab);
        let whole = site.shown(&lab);
        for (node, to) in [
            ("a", "10.0.0.0/24"),
            ("a", "fd00::/64"),
            ("b", "10.0.0.3/32"),
            ("b", "10.0.1.0/31"),
            ("c", "10.0.1.0/32"),
        ] {
            let to = to.parse().unwrap();
            let mut socket = site.node("c", node).run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
            let routes = route::list(&mut socket).unwrap();
            let of_kernel = |route: &Route| route.to == to && route.protocol == route::PROTOCOL_KERNEL;
            let route = routes.into_iter().find(of_kernel).unwrap();
            socket.request(&ChangeRoute { route, delete: true }).unwrap();
            let built = site.up(&lab);
            assert!(
                built.plan.steps().any(|step| matches!(step.op, Op::AddAddress { .. })),
                "{:?}",
                built.plan
            );
            assert_same(&site.shown(&lab), &whole, &format!("without {to}: {:?}", built.plan));
            assert_eq!(site.up(&lab).steps, 0);
        }
        site.down("c");
    });
}

#[test]
fn leaves_alone_what_programs_made() {
    privileged(|| {
        let site = Site::new();
        let lab = wanted(BASE);
        site.up(&lab);
        let own = NewLink { up: true, ..NewLink::new(name("ifb7"), LinkKind::Ifb) };
        change(&site, "h1", &[&own]);
        let built = site.up(&lab);
        assert_eq!(built.steps, 0);
        assert!(built.plan.notes.iter().any(|note| note.contains("ifb7")), "{:?}", built.plan.notes);
        // Under a name that the file asks for it is in the way, and it stays.
        change(&site, "h2", &[&NewLink::new(name("eth1"), LinkKind::Ifb)]);
        let needs = wanted(&BASE.replace("[r, out]]", "[r, out], [h2:eth1, r]]"));
        let error = site.labs(|labs| labs.up(&needs)).unwrap_err();
        assert!(
            matches!(&error, nslab_lab::Error::Conflict { name, .. } if name.contains("eth1")),
            "{error}"
        );
        change(&site, "h2", &[&DelLink::Name(name("eth1"))]);
        assert_eq!(site.up(&lab).steps, 0);
        site.down("c");
    });
}

#[test]
fn renames_namespaces() {
    privileged(|| {
        let site = Site::new();
        site.up(&wanted(BASE));
        site.up(&wanted(&format!("prefix: x-\n{BASE}")));
        assert!(site.paths.netns.join("x-h1").exists());
        assert!(!site.paths.netns.join("c-h1").exists());
        site.down("c");
    });
}

#[test]
fn a_connection_survives_a_change_that_does_not_concern_it() {
    privileged(|| {
        let site = Site::new();
        let lab = wanted(BASE);
        site.up(&lab);
        let address = {
            let shown = crate::support::state(&site.node("c", "h2"));
            let v4 = shown.addresses.iter().find(|one| one.link != 1 && one.address.addr().is_ipv4());
            v4.expect("h2 has an IPv4 address").address.addr()
        };
        let listener = site.node("c", "h2").run(|| TcpListener::bind("0.0.0.0:7")).unwrap().unwrap();
        let mut stream = site.node("c", "h1").run(|| TcpStream::connect((address, 7))).unwrap().unwrap();
        let (mut other, _) = listener.accept().unwrap();
        let total = std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let (mut total, mut buffer) = (0_usize, vec![0; 1 << 16]);
                loop {
                    match other.read(&mut buffer).expect("the connection holds") {
                        0 => return total,
                        more => total += more,
                    }
                }
            });
            let mut sent = 0;
            let variants = [
                BASE.replace("count: 4", "count: 9"),
                BASE.replace("[r, out]", "[r, out, {mtu: 1400}]"),
                BASE.replace("out: {}", "out: {}, extra: {}").replace("[r, out]", "[r, out], [extra, s]"),
                BASE.to_owned(),
            ];
            for variant in variants {
                let block = vec![7; 1 << 20];
                stream.write_all(&block).expect("the connection holds");
                sent += block.len();
                let built = site.up(&wanted(&variant));
                assert!(built.steps > 0);
                stream.write_all(&block).expect("the connection holds");
                sent += block.len();
            }
            drop(stream);
            assert_eq!(reader.join().unwrap(), sent);
            sent
        });
        assert_eq!(total, 8 << 20);
        drop(listener);
        site.down("c");
    });
}

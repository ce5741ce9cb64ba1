//! Adding, deleting and reading routes.

use ipnet::IpNet;
use nslab_kernel::Error;
use nslab_kernel::address::ChangeAddress;
use nslab_kernel::netlink::Socket;
use nslab_kernel::route::{self, ChangeRoute, NextHop, PROTOCOL_STATIC, Route, RouteAction, TABLE_LOCAL};
use nslab_testing::{Oracle, privileged};
use serde_json::Value;

use crate::support::Lab;

fn net(net: &str) -> IpNet {
    net.parse().unwrap()
}

fn lab() -> (Lab, u32, u32) {
    let mut lab = Lab::new();
    let (a, _) = lab.veth("a", "a2");
    let (b, _) = lab.veth("b", "b2");
    for (link, address) in
        [(a, "10.1.0.1/24"), (a, "2001:db8:1::1/64"), (b, "10.2.0.1/24"), (b, "2001:db8:2::1/64")]
    {
        lab.socket.request(&ChangeAddress { link, address: net(address), delete: false }).unwrap();
    }
    (lab, a, b)
}

fn add(socket: &mut Socket, route: &Route) {
    socket.request(&ChangeRoute { route: route.clone(), delete: false }).unwrap();
}

fn find(socket: &mut Socket, to: IpNet) -> Vec<Route> {
    route::list(socket).unwrap().into_iter().filter(|route| route.to == to).collect()
}

fn shown(oracle: Oracle, lab: &Lab, family: u8, arguments: &str) -> Value {
    oracle.ip(&lab.namespace, &format!("-{family} route show {arguments}"))[0].take()
}

#[test]
fn routes_of_all_kinds_are_read_as_they_were_added_and_deleted() {
    privileged(|| {
        let (mut lab, a, b) = lab();
        let via = |gateway: &str, link, weight, onlink| NextHop {
            via: Some(gateway.parse().unwrap()),
            link: Some(link),
            weight,
            onlink,
        };
        let forward = |to: &str, hops: Vec<NextHop>| Route::new(net(to), RouteAction::Forward(hops));
        let routes = [
            forward("0.0.0.0/0", vec![via("10.1.0.254", a, 1, false)]),
            forward("::/0", vec![via("2001:db8:1::fe", a, 1, false)]),
            Route { metric: 77, ..forward("192.0.2.0/24", vec![NextHop::on(a)]) },
            Route { table: 1000, protocol: PROTOCOL_STATIC, ..forward("192.0.2.0/25", vec![NextHop::on(b)]) },
            Route { table: 70_000, metric: 1024, ..forward("2001:db8:a::/48", vec![NextHop::on(b)]) },
            forward("192.0.2.128/32", vec![via("203.0.113.1", a, 1, true)]),
            forward("2001:db8:b::/48", vec![via("2001:db8:ffff::1", a, 1, true)]),
            forward("198.51.100.0/24", vec![via("10.1.0.2", a, 3, false), via("10.2.0.2", b, 256, false)]),
            forward("198.51.100.0/25", vec![via("203.0.113.1", a, 1, true), via("10.2.0.2", b, 1, false)]),
            forward(
                "2001:db8:c::/48",
                vec![via("2001:db8:1::2", a, 1, false), via("2001:db8:2::2", b, 9, false)],
            ),
            forward("203.0.113.0/24", vec![via("2001:db8:1::2", a, 1, false)]),
            forward("203.0.113.0/25", vec![via("2001:db8:1::2", a, 2, false), via("10.2.0.2", b, 1, false)]),
            Route { mtu: Some(1280), ..forward("192.0.2.64/26", vec![via("10.1.0.2", a, 1, false)]) },
            Route {
                source: Some("10.2.0.1".parse().unwrap()),
                ..forward("192.0.2.0/27", vec![NextHop::on(a)])
            },
            Route { scope: Some(254), ..Route::new(net("10.77.0.0/16"), RouteAction::Local(Some(1))) },
            Route { table: TABLE_LOCAL, ..Route::new(net("10.78.0.0/16"), RouteAction::Broadcast(Some(a))) },
            Route::new(net("192.168.0.0/16"), RouteAction::Blackhole),
            Route::new(net("192.168.0.0/17"), RouteAction::Unreachable),
            Route::new(net("192.168.0.0/18"), RouteAction::Prohibit),
            Route { table: 99, ..Route::new(net("192.168.0.0/19"), RouteAction::Throw) },
            Route::new(net("fd00::/16"), RouteAction::Blackhole),
            Route::new(net("fd00::/17"), RouteAction::Unreachable),
            Route::new(net("fd00::/18"), RouteAction::Prohibit),
            Route { table: 99, ..Route::new(net("fd00::/19"), RouteAction::Throw) },
        ];
        for wanted in &routes {
            add(&mut lab.socket, wanted);
            let [read] = find(&mut lab.socket, wanted.to)
                .try_into()
                .unwrap_or_else(|all| panic!("{wanted:?}: {all:?}"));
            let metric = match (wanted.metric, wanted.to.addr().is_ipv6()) {
                (0, true) => 1024,
                (metric, _) => metric,
            };
            let scope = wanted.scope.or(read.scope);
            assert_eq!(read, Route { metric, scope, ..wanted.clone() });
            let again =
                lab.socket.request(&ChangeRoute { route: wanted.clone(), delete: false }).unwrap_err();
            assert_eq!(again.errno(), Some(rustix::io::Errno::EXIST), "{again}");
        }
        for wanted in &routes {
            lab.socket.request(&ChangeRoute { route: wanted.clone(), delete: true }).unwrap();
            assert_eq!(find(&mut lab.socket, wanted.to), []);
        }
    });
}

#[test]
fn ip_shows_the_routes_that_were_added() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let (mut lab, a, b) = lab();
        let hop = |gateway: &str, weight| NextHop { weight, ..NextHop::via(gateway.parse().unwrap()) };
        let forward = |to: &str, hops| Route::new(net(to), RouteAction::Forward(hops));

        add(&mut lab.socket, &forward("0.0.0.0/0", vec![hop("10.1.0.254", 1)]));
        let default = shown(oracle, &lab, 4, "default");
        assert_eq!(
            (&default["gateway"], &default["dev"]),
            (&"10.1.0.254".into(), &"a".into()),
            "the kernel found the link"
        );
        assert_eq!((&default["protocol"], &default["scope"]), (&"boot".into(), &"global".into()));

        add(&mut lab.socket, &forward("192.0.2.0/24", vec![NextHop::on(b)]));
        assert_eq!(shown(oracle, &lab, 4, "192.0.2.0/24")["scope"], "link");

        add(&mut lab.socket, &forward("198.51.100.0/24", vec![hop("10.1.0.2", 3), hop("10.2.0.2", 1)]));
        let several = shown(oracle, &lab, 4, "198.51.100.0/24")["nexthops"].take();
        assert_eq!((&several[0]["gateway"], &several[0]["weight"]), (&"10.1.0.2".into(), &3.into()));
        assert_eq!((&several[1]["dev"], &several[1]["weight"]), (&"b".into(), &1.into()));

        let mixed = NextHop { link: Some(a), ..hop("fe80::1", 1) };
        add(&mut lab.socket, &forward("203.0.113.0/24", vec![mixed]));
        assert_eq!(shown(oracle, &lab, 4, "203.0.113.0/24")["via"]["host"], "fe80::1");

        let table =
            Route { table: 4000, mtu: Some(1300), ..Route::new(net("fd00::/8"), RouteAction::Prohibit) };
        add(&mut lab.socket, &table);
        let prohibit = shown(oracle, &lab, 6, "table 4000");
        assert_eq!((&prohibit["type"], &prohibit["metrics"][0]["mtu"]), (&"prohibit".into(), &1300.into()));
    });
}

#[test]
fn routes_that_ip_added_are_read() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let (mut lab, a, _) = lab();
        oracle.change(&lab.namespace, "link set lo up");
        // Nexthop objects are shown with their ways out, whether the kernel spells them out or not.
        for compat in ["1", "0"] {
            lab.namespace
                .run(|| nslab_kernel::sysctl::write("net.ipv4.nexthop_compat_mode", compat))
                .unwrap()
                .unwrap();
            for change in [
                "nexthop replace id 7 via 10.1.0.9 dev a",
                "nexthop replace id 8 via 10.2.0.9 dev b",
                "nexthop replace id 9 group 7,3/8",
                "nexthop replace id 10 blackhole",
                "nexthop replace id 16 via 2001:db8:1::9 dev a",
                "route replace 192.0.2.0/24 nhid 7",
                "route replace 192.0.2.0/25 nhid 9",
                "route replace 192.0.2.0/26 nhid 10",
                "-6 route replace 2001:db8:77::/48 nhid 16",
            ] {
                oracle.change(&lab.namespace, change);
            }
            let [one] = find(&mut lab.socket, net("192.0.2.0/24")).try_into().unwrap();
            let seven = NextHop { link: Some(a), ..NextHop::via("10.1.0.9".parse().unwrap()) };
            assert_eq!(
                (one.nexthop, one.action),
                (Some(7), RouteAction::Forward(vec![seven.clone()])),
                "{compat}"
            );
            let [group] = find(&mut lab.socket, net("192.0.2.0/25")).try_into().unwrap();
            let RouteAction::Forward(hops) = group.action else { panic!() };
            assert_eq!(
                (group.nexthop, hops.len(), hops[0].weight, hops[1].weight),
                (Some(9), 2, 3, 1),
                "{compat}"
            );
            let [hole] = find(&mut lab.socket, net("192.0.2.0/26")).try_into().unwrap();
            assert_eq!(hole.action, RouteAction::Blackhole, "{compat}");
            let [six] = find(&mut lab.socket, net("2001:db8:77::/48")).try_into().unwrap();
            let RouteAction::Forward(hops) = six.action else { panic!() };
            assert_eq!(
                (six.nexthop, hops[0].via),
                (Some(16), Some("2001:db8:1::9".parse().unwrap())),
                "{compat}"
            );
        }
        // And a route by an object is added as any other.
        let to = net("192.0.2.192/26");
        add(&mut lab.socket, &Route { nexthop: Some(8), ..Route::new(to, RouteAction::Forward(Vec::new())) });
        let [read] = find(&mut lab.socket, to).try_into().unwrap();
        assert_eq!(read.nexthop, Some(8));
    });
}

#[test]
fn every_route_that_ip_shows_is_read() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        // No links with carrier and no IPv6 addresses: their routes come a moment after them, while this test looks.
        let mut lab = Lab::new();
        for change in ["link set lo up", "address add 10.5.0.1/24 dev lo", "route add 2001:db8::/32 dev lo"] {
            oracle.change(&lab.namespace, change);
        }
        let read = route::list(&mut lab.socket).unwrap();
        for (family, ipv6) in [(4, false), (6, true)] {
            let shown = oracle.ip(&lab.namespace, &format!("-{family} route show table all"));
            let count = read.iter().filter(|route| route.to.addr().is_ipv6() == ipv6).count();
            assert_eq!(shown.as_array().unwrap().len(), count);
        }
        assert!(read.iter().any(|route| route.action == RouteAction::Local(Some(1))));
        assert!(read.iter().any(|route| route.action == RouteAction::Broadcast(Some(1))));
    });
}

#[test]
fn the_kernels_own_words_are_kept() {
    privileged(|| {
        let (mut lab, ..) = lab();
        let route = Route::new(
            net("192.0.2.0/24"),
            RouteAction::Forward(vec![NextHop::via("192.0.3.1".parse().unwrap())]),
        );
        let error = lab.socket.request(&ChangeRoute { route, delete: false }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot add the route to 192.0.2.0/24 via 192.0.3.1: Network is unreachable: the kernel says \
             \"Nexthop has invalid gateway\""
        );
        let Error::Refused { refusal, .. } = error else { panic!() };
        assert_eq!(refusal.text.as_deref(), Some("Nexthop has invalid gateway"));
        // Host bits in the destination never get that far.
        add(&mut lab.socket, &Route::new(net("10.5.0.77/24"), RouteAction::Blackhole));
        assert_eq!(find(&mut lab.socket, net("10.5.0.0/24")).len(), 1);
    });
}

//! Making, changing and reading links.

use std::os::fd::{AsFd, AsRawFd};

use nslab_kernel::link::{
    self, AddressGeneration, AltName, Bridge, BridgePort, DelLink, Ipvlan, IpvlanMode, IpvlanSiblings,
    LinkKind, Macvlan, MacvlanMode, NewLink, SetBridgePort, SetLink, Tun, TunMode, VethPeer, Vlan,
    VlanProtocol, Vrf, Vxlan,
};
use nslab_kernel::netlink::Batch;
use nslab_kernel::{Error, Namespace, address, nsid, sysctl, tun};
use nslab_testing::{Oracle, privileged};

use crate::support::{Lab, mac, name};

#[test]
fn veth_ends_are_made_in_their_final_namespaces_with_all_that_is_asked() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let (mut here, mut there) = (Lab::new(), Lab::new());
        let switch = NewLink::new(name("sw"), LinkKind::Bridge(Bridge::default()));
        here.socket.request(&NewLink { index: Some(50), up: true, ..switch }).unwrap();
        let peer = VethPeer {
            index: Some(70),
            namespace: Some(there.namespace.as_fd().as_raw_fd()),
            mac: Some(mac("02:00:00:00:00:02")),
            mtu: Some(1400),
            group: 8,
            queues: Some(1),
            ..VethPeer::new(name("eth0"))
        };
        let main = NewLink {
            index: Some(60),
            mac: Some(mac("02:00:00:00:00:01")),
            mtu: Some(1300),
            master: Some(50),
            group: 7,
            up: true,
            queues: Some(2),
            ..NewLink::new(name("port1"), LinkKind::Veth(Some(Box::new(peer))))
        };
        here.socket.request(&main).unwrap();
        there.socket.request(&SetLink { index: 70, up: Some(true), ..SetLink::default() }).unwrap();

        let port = here.link("port1");
        assert_eq!((port.index, port.mac, port.mtu), (60, main.mac, 1300));
        assert_eq!((port.master, port.group, port.tx_queues), (Some(50), 7, 2));
        assert_eq!((port.lower, port.kind.as_ref()), (Some(70), Some(&LinkKind::Veth(None))));
        assert!(port.is_running() && port.is_veth() && !port.loopback);
        assert_eq!(port.bridge_port, Some(BridgePort::default()));
        let end = there.link("eth0");
        assert_eq!((end.index, end.mac, end.mtu), (70, Some(mac("02:00:00:00:00:02")), 1400));
        assert_eq!((end.group, end.tx_queues, end.lower, end.master), (8, 1, Some(60), None));

        // Each end names the other's namespace by a number of its own.
        let seen = nsid::get(&mut here.socket, &there.namespace).unwrap();
        assert_eq!(port.lower_nsid, seen);
        assert!(seen.is_some());
        assert_eq!(end.lower_nsid, nsid::get(&mut there.socket, &here.namespace).unwrap());

        let shown = oracle.link(&here.namespace, "port1");
        assert_eq!(shown["ifindex"], 60);
        assert_eq!(shown["address"], "02:00:00:00:00:01");
        assert_eq!((&shown["mtu"], &shown["master"]), (&1300.into(), &"sw".into()));
        assert_eq!((&shown["group"], &shown["num_tx_queues"]), (&"7".into(), &2.into()));
        assert_eq!(shown["linkinfo"]["info_slave_data"]["state"], "forwarding");
        let shown = oracle.link(&there.namespace, "eth0");
        assert_eq!((&shown["ifindex"], &shown["mtu"]), (&70.into(), &1400.into()));
        assert_eq!((&shown["group"], &shown["num_rx_queues"]), (&"8".into(), &1.into()));

        here.socket.request(&DelLink::Name(name("port1"))).unwrap();
        assert!(link::find(&mut there.socket, 70).is_err(), "a veth goes with its peer");
    });
}

#[test]
fn the_far_end_may_be_here_too_and_the_near_end_elsewhere() {
    privileged(|| {
        let (mut here, mut there) = (Lab::new(), Lab::new());
        let new = NewLink {
            namespace: Some(there.namespace.as_fd().as_raw_fd()),
            ..NewLink::new(name("near"), LinkKind::Veth(Some(Box::new(VethPeer::new(name("far"))))))
        };
        here.socket.request(&new).unwrap();
        assert!(there.link("near").is_veth());
        // Unless told otherwise the peer follows the near end.
        let far = [&mut here, &mut there].map(|lab| link::find_by_name(&mut lab.socket, name("far")).is_ok());
        assert_eq!(far.iter().filter(|&&found| found).count(), 1);
    });
}

#[test]
fn bridges_take_and_show_their_settings() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let bridge = Bridge {
            stp: Some(false),
            vlan_filtering: Some(false),
            multicast_snooping: Some(false),
            ageing_time: Some(12_300),
            forward_delay: Some(400),
            group_forward_mask: Some(0x4000),
            default_pvid: None,
        };
        lab.socket.request(&NewLink::new(name("sw"), LinkKind::Bridge(bridge.clone()))).unwrap();
        let Some(LinkKind::Bridge(read)) = lab.link("sw").kind else { panic!() };
        assert_eq!(read, Bridge { default_pvid: read.default_pvid, ..bridge });
        let data = oracle.link(&lab.namespace, "sw")["linkinfo"]["info_data"].take();
        assert_eq!((&data["ageing_time"], &data["forward_delay"]), (&12_300.into(), &400.into()));
        assert_eq!((&data["mcast_snooping"], &data["stp_state"]), (&0.into(), &0.into()));
        assert_eq!(data["group_fwd_mask"], "0x4000");

        let change = Bridge { stp: Some(true), multicast_snooping: Some(true), ..Bridge::default() };
        let index = lab.link("sw").index;
        lab.socket.request(&SetLink { index, bridge: Some(change), ..SetLink::default() }).unwrap();
        let read = lab.link("sw");
        assert_eq!(read.as_bridge().unwrap().stp, Some(true));
        assert_eq!(read.as_bridge().unwrap().ageing_time, Some(12_300), "the rest is as it was");
        assert_eq!(oracle.link(&lab.namespace, "sw")["linkinfo"]["info_data"]["stp_state"], 1);
    });
}

#[test]
fn full_kernel_vlan_filtering_works_or_is_said_to_be_missing() {
    privileged(|| {
        let mut lab = Lab::new();
        let filtering = Bridge { vlan_filtering: Some(true), ..Bridge::default() };
        match lab.socket.request(&NewLink::new(name("sw"), LinkKind::Bridge(filtering.clone()))) {
            Ok(()) => assert_eq!(lab.link("sw").as_bridge().unwrap().vlan_filtering, Some(true)),
            Err(error) => assert_missing(&error, "CONFIG_BRIDGE_VLAN_FILTERING"),
        }
        let _ = lab.socket.request(&NewLink::new(name("sw"), LinkKind::Bridge(Bridge::default())));
        let index = lab.link("sw").index;
        let set = SetLink { index, bridge: Some(filtering), ..SetLink::default() };
        if let Err(error) = lab.socket.request(&set) {
            assert_missing(&error, "CONFIG_BRIDGE_VLAN_FILTERING");
        }
    });
}

fn assert_missing(error: &Error, wanted: &str) {
    match error {
        Error::Unsupported { option, .. } => {
            assert_eq!(*option, wanted);
            nslab_testing::kernel_lacks(wanted);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn bridge_ports_take_and_show_their_settings() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        lab.socket.request(&NewLink::new(name("sw"), LinkKind::Bridge(Bridge::default()))).unwrap();
        let (index, _) = lab.veth("a", "b");
        let master = Some(lab.link("sw").index);
        lab.socket.request(&SetLink { index, master, ..SetLink::default() }).unwrap();
        let port = BridgePort {
            state: 1,
            isolated: true,
            learning: false,
            unicast_flood: false,
            multicast_flood: false,
            broadcast_flood: false,
            hairpin: true,
        };
        lab.socket.request(&SetBridgePort::all(index, port)).unwrap();
        assert_eq!(lab.link("a").bridge_port, Some(port));
        let data = oracle.link(&lab.namespace, "a")["linkinfo"]["info_slave_data"].take();
        assert_eq!((&data["isolated"], &data["hairpin"]), (&true.into(), &true.into()));
        assert_eq!((&data["learning"], &data["flood"]), (&false.into(), &false.into()));
        assert_eq!((&data["bcast_flood"], &data["mcast_flood"]), (&false.into(), &false.into()));
        assert_eq!(data["state"], "listening");

        let one = SetBridgePort { index, isolated: Some(false), ..SetBridgePort::default() };
        lab.socket.request(&one).unwrap();
        assert_eq!(lab.link("a").bridge_port, Some(BridgePort { isolated: false, ..port }));

        lab.socket.request(&SetLink { index, master: Some(0), ..SetLink::default() }).unwrap();
        let left = lab.link("a");
        assert_eq!((left.master, left.bridge_port), (None, None), "0 leaves the bridge");
    });
}

#[test]
fn vxlan_and_macvlan_and_ifb_are_read_as_they_were_made() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let (lower, _) = lab.veth("a", "b");
        let four = Vxlan {
            vni: 4242,
            remote: Some("192.0.2.2".parse().unwrap()),
            local: Some("192.0.2.1".parse().unwrap()),
            port: Some(4789),
            lower: Some(lower),
            learning: Some(false),
            ttl: Some(7),
        };
        let six = Vxlan {
            vni: 16_000_000,
            remote: Some("2001:db8::2".parse().unwrap()),
            local: Some("2001:db8::1".parse().unwrap()),
            lower: None,
            learning: Some(true),
            ..four.clone()
        };
        for (link, vxlan) in [("vx4", four), ("vx6", six)] {
            lab.socket.request(&NewLink::new(name(link), LinkKind::Vxlan(vxlan.clone()))).unwrap();
            assert_eq!(lab.link(link).kind, Some(LinkKind::Vxlan(vxlan)));
        }
        let data = oracle.link(&lab.namespace, "vx4")["linkinfo"]["info_data"].take();
        assert_eq!((&data["id"], &data["port"], &data["ttl"]), (&4242.into(), &4789.into(), &7.into()));
        assert_eq!((&data["remote"], &data["local"]), (&"192.0.2.2".into(), &"192.0.2.1".into()));
        assert_eq!((&data["link"], &data["learning"]), (&"a".into(), &false.into()));
        let data = oracle.link(&lab.namespace, "vx6")["linkinfo"]["info_data"].take();
        assert_eq!(data["remote6"], "2001:db8::2");

        for (number, mode) in
            [MacvlanMode::Private, MacvlanMode::Vepa, MacvlanMode::Bridge, MacvlanMode::Source]
                .into_iter()
                .enumerate()
        {
            let kind = LinkKind::Macvlan(Macvlan { mode });
            let link = format!("mv{number}");
            let new = NewLink { lower: Some(lower), up: true, ..NewLink::new(name(&link), kind.clone()) };
            lab.socket.request(&new).unwrap();
            let read = lab.link(&link);
            assert_eq!((read.kind, read.lower, read.lower_nsid), (Some(kind), Some(lower), None));
            let shown = oracle.link(&lab.namespace, &link)["linkinfo"]["info_data"]["mode"].take();
            assert_eq!(shown, format!("{mode:?}").to_lowercase());
        }

        lab.socket.request(&NewLink::new(name("ifb9"), LinkKind::Ifb)).unwrap();
        assert_eq!(lab.link("ifb9").kind, Some(LinkKind::Ifb));
        assert_eq!(oracle.link(&lab.namespace, "ifb9")["linkinfo"]["info_kind"], "ifb");
    });
}

#[test]
fn full_kernel_kinds_that_the_kernel_may_lack_work_or_say_what_is_missing() {
    privileged(|| {
        let mut lab = Lab::new();
        let (lower, _) = lab.veth("a", "b");
        let kinds = [
            (LinkKind::Dummy, "CONFIG_DUMMY"),
            (LinkKind::Vrf(Vrf { table: 1000 }), "CONFIG_NET_VRF"),
            (LinkKind::Vlan(Vlan { id: 7, protocol: VlanProtocol::Dot1Ad }), "CONFIG_VLAN_8021Q"),
            (
                LinkKind::Ipvlan(Ipvlan { mode: IpvlanMode::L3, siblings: IpvlanSiblings::Bridge }),
                "CONFIG_IPVLAN",
            ),
            (LinkKind::Wireguard, "CONFIG_WIREGUARD"),
            (LinkKind::Other("nlmon".to_owned()), "CONFIG_NLMON"),
        ];
        for (number, (kind, option)) in kinds.into_iter().enumerate() {
            let link = format!("x{number}");
            let stacked = matches!(kind, LinkKind::Vlan(_) | LinkKind::Ipvlan(_));
            let new = NewLink { lower: stacked.then_some(lower), ..NewLink::new(name(&link), kind.clone()) };
            match lab.socket.request(&new) {
                Ok(()) => assert_eq!(lab.link(&link).kind, Some(kind)),
                Err(error) => assert_missing(&error, option),
            }
        }
        // A kind that nobody has heard of is refused in the kernel's own words.
        let error =
            lab.socket.request(&NewLink::new(name("x"), LinkKind::Other("nonesuch".to_owned()))).unwrap_err();
        assert!(error.to_string().contains("create link x (nonesuch)"), "{error}");
        assert!(error.to_string().contains("Unknown device type"), "{error}");
    });
}

#[test]
fn tun_and_tap_are_made_by_ioctl_and_deleted_by_netlink() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let make = |lab: &Lab, link: &str, tun| lab.namespace.run(|| tun::create(name(link), tun)).unwrap();
        let tap = Tun { mode: TunMode::Tap, persistent: true, owner: None };
        match make(&lab, "tap0", tap) {
            Ok(device) => drop(device),
            // /dev/net/tun may be root's own.
            Err(error) => return nslab_testing::skip(&error.to_string()),
        }
        assert_eq!(lab.link("tap0").kind, Some(LinkKind::Tun(tap)));
        let again = make(&lab, "tap0", tap).unwrap_err();
        assert_eq!(again.errno(), Some(rustix::io::Errno::BUSY), "{again}");
        let data = oracle.link(&lab.namespace, "tap0")["linkinfo"]["info_data"].take();
        assert_eq!(
            (&data["type"], &data["persist"], &data["pi"]),
            (&"tap".into(), &true.into(), &false.into())
        );
        lab.socket.request(&DelLink::Name(name("tap0"))).unwrap();
        assert!(link::find_by_name(&mut lab.socket, name("tap0")).is_err());

        let passing = Tun { mode: TunMode::Tun, persistent: false, owner: None };
        let device = lab.namespace.run(tun::open).unwrap().unwrap();
        tun::attach(&device, name("tun0"), passing).unwrap();
        assert_eq!(lab.link("tun0").kind, Some(LinkKind::Tun(passing)), "made where the device was opened");
        drop(device);
        // A process that another test is just starting has it open until it is executed.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while link::find_by_name(&mut lab.socket, name("tun0")).is_ok() {
            assert!(std::time::Instant::now() < end, "tun0 outlives its device");
            std::thread::yield_now();
        }
    });
}

#[test]
fn links_change_name_alias_group_mac_mtu_and_namespace() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let (mut lab, mut other) = (Lab::new(), Lab::new());
        let (index, _) = lab.veth("a", "b");
        lab.socket.request(&SetLink { index, up: Some(false), ..SetLink::default() }).unwrap();
        let set = SetLink {
            index,
            rename: Some(name("renamed")),
            alias: Some("to the north".to_owned()),
            group: Some(12),
            mac: Some(mac("02:00:00:00:00:07")),
            mtu: Some(9000),
            address_generation: Some(AddressGeneration::Random),
            ..SetLink::default()
        };
        lab.socket.request(&set).unwrap();
        let link = lab.link("renamed");
        assert_eq!((link.index, link.group, link.mtu, link.up), (index, 12, 9000, false));
        assert_eq!((link.mac, link.alias.as_deref()), (set.mac, Some("to the north")));
        assert_eq!(link.address_generation, Some(AddressGeneration::Random));
        let shown = oracle.link(&lab.namespace, "renamed");
        assert_eq!((&shown["ifalias"], &shown["group"]), (&"to the north".into(), &"12".into()));
        assert_eq!(shown["inet6_addr_gen_mode"], "random");

        let by_name =
            SetLink { name: Some(name("renamed")), alias: Some(String::new()), ..SetLink::default() };
        lab.socket.request(&by_name).unwrap();
        assert_eq!(lab.link("renamed").alias, None, "an empty alias takes it away");

        let namespace = Some(other.namespace.as_fd().as_raw_fd());
        let away =
            SetLink { index, rename: Some(name("moved")), namespace, up: Some(true), ..SetLink::default() };
        lab.socket.request(&away).unwrap();
        assert!(link::find_by_name(&mut lab.socket, name("renamed")).is_err());
        assert!(other.link("moved").up);
    });
}

#[test]
fn renaming_takes_the_number() {
    privileged(|| {
        let mut lab = Lab::new();
        lab.veth("a", "b");
        let set = SetLink { name: Some(name("a")), rename: Some(name("c")), ..SetLink::default() };
        let error = lab.socket.request(&set).unwrap_err();
        assert_eq!(error.errno(), Some(rustix::io::Errno::INVAL), "{error}");
        assert_eq!(lab.link("a").name, name("a"));
    });
}

#[test]
fn links_come_up_without_a_link_local_address() {
    privileged(|| {
        let mut lab = Lab::new();
        let (_, b) = lab.veth("a", "b");
        let set = SetLink { index: b, ..SetLink::default() };
        let none = Some(AddressGeneration::None);
        let mut batch = Batch::new();
        batch.push(&SetLink { up: Some(false), ..set.clone() });
        batch.push(&SetLink { address_generation: none, ..set.clone() });
        batch.push(&SetLink { up: Some(true), ..set });
        lab.socket.execute(&mut batch).unwrap().unwrap();
        assert_eq!(lab.link("b").address_generation, none);
        assert!(address::list(&mut lab.socket).unwrap().iter().all(|address| address.link != b));

        // New links follow a sysctl.
        lab.namespace.run(|| sysctl::write("net.ipv6.conf.default.addr_gen_mode", "1")).unwrap().unwrap();
        let (c, d) = lab.veth("c", "d");
        assert_eq!(lab.link("c").address_generation, none);
        let addresses = address::list(&mut lab.socket).unwrap();
        assert!(addresses.iter().all(|address| address.link != c && address.link != d));
    });
}

#[test]
fn links_answer_to_alternative_names() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let (index, _) = lab.veth("a", "b");
        let long = "a-name-that-is-longer-than-fifteen-bytes";
        for name in [long, "short"] {
            let name = name.to_owned();
            lab.socket.request(&AltName { index, name, delete: false }).unwrap();
        }
        let link = lab.link("a");
        assert_eq!(link.alt_names, [long, "short"]);
        assert!(link.answers_to(long) && link.answers_to("a") && !link.answers_to("b"));
        assert_eq!(oracle.link(&lab.namespace, "a")["altnames"], serde_json::json!([long, "short"]));
        lab.socket.request(&AltName { index, name: long.to_owned(), delete: true }).unwrap();
        assert_eq!(lab.link("a").alt_names, ["short"]);
        let error =
            lab.socket.request(&AltName { index, name: "short".to_owned(), delete: false }).unwrap_err();
        assert_eq!(error.errno(), Some(rustix::io::Errno::EXIST), "{error}");
    });
}

#[test]
fn a_group_goes_at_once() {
    privileged(|| {
        let mut lab = Lab::new();
        for number in 0..10 {
            let kind = LinkKind::Veth(Some(Box::new(VethPeer::new(name(&format!("p{number}"))))));
            lab.socket
                .request(&NewLink { group: 33, ..NewLink::new(name(&format!("v{number}")), kind) })
                .unwrap();
        }
        lab.socket.request(&DelLink::Group(33)).unwrap();
        let names: Vec<_> = lab.links().iter().map(|link| link.name).collect();
        assert_eq!(names, [name("lo")]);
    });
}

#[test]
fn loopback_is_there_and_has_no_kind() {
    privileged(|| {
        let mut lab = Lab::new();
        let [lo] = lab.links().try_into().unwrap();
        assert_eq!((lo.index, lo.kind, lo.loopback, lo.up), (1, None, true, false));
    });
}

#[test]
fn refusals_say_what_was_tried_and_what_the_kernel_says() {
    privileged(|| {
        let mut lab = Lab::new();
        lab.veth("a", "b");
        let error = lab.socket.request(&NewLink::new(name("a"), LinkKind::Veth(None))).unwrap_err();
        assert_eq!(error.to_string(), "cannot create link a (veth): File exists");
        let error = link::find_by_name(&mut lab.socket, name("nonesuch")).unwrap_err();
        assert_eq!(error.to_string(), "cannot look at link nonesuch: No such device");
    });
}

#[test]
fn namespaces_get_numbers() {
    privileged(|| {
        let mut lab = Lab::new();
        let other = Namespace::create().unwrap();
        assert_eq!(nsid::get(&mut lab.socket, &other).unwrap(), None);
        let number = nsid::assign(&mut lab.socket, &other).unwrap();
        assert_eq!(nsid::get(&mut lab.socket, &other).unwrap(), Some(number));
        assert_eq!(nsid::assign(&mut lab.socket, &other).unwrap(), number, "it keeps its number");
    });
}

#[test]
fn what_ip_does_at_an_interface_is_told_with_it() {
    privileged(|| {
        let mut lab = Lab::new();
        lab.veth("a", "b");
        let settings = [
            ("ipv4", "forwarding", "1"),
            ("ipv4", "proxy_arp", "1"),
            ("ipv4", "proxy_arp_pvlan", "1"),
            ("ipv4", "rp_filter", "2"),
            ("ipv4", "accept_source_route", "0"),
            ("ipv4", "send_redirects", "0"),
            ("ipv4", "arp_filter", "1"),
            ("ipv4", "arp_announce", "2"),
            ("ipv4", "arp_ignore", "1"),
            ("ipv4", "accept_local", "1"),
            ("ipv4", "src_valid_mark", "1"),
            ("ipv4", "route_localnet", "1"),
            ("ipv4", "ignore_routes_with_linkdown", "1"),
            ("ipv4", "bc_forwarding", "1"),
            ("ipv6", "forwarding", "1"),
            ("ipv6", "hop_limit", "9"),
            ("ipv6", "mtu", "1400"),
            ("ipv6", "proxy_ndp", "1"),
            ("ipv6", "accept_ra", "2"),
            ("ipv6", "accept_source_route", "-1"),
            ("ipv6", "ignore_routes_with_linkdown", "1"),
            ("ipv6", "disable_ipv6", "1"),
        ];
        let shown = |lab: &mut Lab, family| {
            let link = lab.link("a");
            let settings = if family == "ipv4" {
                serde_json::to_value(link.ipv4)
            } else {
                serde_json::to_value(link.ipv6)
            };
            settings.unwrap().as_object().unwrap().clone()
        };
        for (family, key, value) in settings {
            let sysctl = format!("net.{family}.conf.a.{key}");
            let mut before = shown(&mut lab, family);
            let old = lab.namespace.run(|| sysctl::read(&sysctl)).unwrap().unwrap();
            assert_ne!(old, value, "{sysctl}");
            lab.namespace.run(|| sysctl::write(&sysctl, value)).unwrap().unwrap();
            let field = if key == "disable_ipv6" { "disabled" } else { key };
            let mut after = shown(&mut lab, family);
            let (was, is) = (before.remove(field).unwrap(), after.remove(field).unwrap());
            let text = |value: serde_json::Value| match value {
                serde_json::Value::Bool(on) => u8::from(on).to_string(),
                other => other.to_string(),
            };
            assert_eq!((text(was), text(is)), (old.clone(), value.to_owned()), "{sysctl}");
            assert_eq!(before, after, "{sysctl} and nothing else");
            lab.namespace.run(|| sysctl::write(&sysctl, &old)).unwrap().unwrap();
        }
    });
}

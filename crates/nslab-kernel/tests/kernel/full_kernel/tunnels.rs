//! Tunnels, bonds and WireGuard, on kernels that have them.

use nslab_kernel::link::{Bond, BondMode, Encapsulation, Geneve, LinkKind, NewLink, SetLink, Tunnel, Vxlan};
use nslab_kernel::wireguard::{Control, Peer, PrivateKey, PublicKey, SetDevice};
use nslab_kernel::{Error, neighbour};
use nslab_testing::{Oracle, privileged};

use crate::support::{Lab, mac, name};

/// Makes the link; false, with the reason said, where the kernel lacks the kind.
fn make(lab: &mut Lab, new: &NewLink) -> bool {
    match lab.socket.request(new) {
        Ok(()) => true,
        Err(Error::Unsupported { option, .. }) => {
            nslab_testing::kernel_lacks(option);
            assert_eq!(Some(option), new.kind.config_option());
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn tunnels_are_read_as_they_are_made() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        for encapsulation in Encapsulation::ALL {
            let v6 = encapsulation.name().contains('6');
            let [local, remote] = if v6 { ["fd00::1", "fd00::2"] } else { ["192.0.2.1", "192.0.2.2"] };
            let tunnel = Tunnel {
                encapsulation,
                local: local.parse().ok(),
                remote: remote.parse().ok(),
                lower: None,
                key: encapsulation.name().contains("gre").then_some(77),
                ttl: Some(64),
            };
            let link = format!("t-{}", encapsulation.name());
            let new = NewLink {
                mtu: Some(1400),
                up: true,
                ..NewLink::new(name(&link), LinkKind::Tunnel(tunnel.clone()))
            };
            if !make(&mut lab, &new) {
                continue;
            }
            assert_eq!(lab.link(&link).kind, Some(LinkKind::Tunnel(tunnel)));
            let shown = oracle.link(&lab.namespace, &link);
            assert_eq!(
                (&shown["mtu"], &shown["linkinfo"]["info_kind"]),
                (&1400.into(), &encapsulation.name().into())
            );
            let data = &shown["linkinfo"]["info_data"];
            assert_eq!((&data["local"], &data["remote"]), (&local.into(), &remote.into()), "{shown}");
        }
    });
}

#[test]
fn geneve_and_bond_are_read_as_they_are_made() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let geneve = Geneve { vni: 9, remote: "192.0.2.2".parse().ok(), port: Some(6082), ttl: Some(64) };
        if make(&mut lab, &NewLink::new(name("gen"), LinkKind::Geneve(geneve.clone()))) {
            assert_eq!(lab.link("gen").kind, Some(LinkKind::Geneve(geneve)));
            let data = oracle.link(&lab.namespace, "gen")["linkinfo"]["info_data"].take();
            assert_eq!(
                (&data["id"], &data["remote"], &data["port"]),
                (&9.into(), &"192.0.2.2".into(), &6082.into())
            );
        }
        for (number, mode) in BondMode::ALL.into_iter().enumerate() {
            let bond = Bond { mode, miimon: 50, primary: None };
            let link = format!("bond-{number}");
            if !make(&mut lab, &NewLink::new(name(&link), LinkKind::Bond(bond))) {
                break;
            }
            assert_eq!(lab.link(&link).kind, Some(LinkKind::Bond(bond)));
            let data = oracle.link(&lab.namespace, &link)["linkinfo"]["info_data"].take();
            assert_eq!((&data["mode"], &data["miimon"]), (&mode.name().into(), &50.into()));
        }
    });
}

#[test]
fn a_wireguard_interface_shows_what_it_was_set_to() {
    privileged(|| {
        let mut lab = Lab::new();
        if !make(&mut lab, &NewLink::new(name("wg0"), LinkKind::Wireguard)) {
            let error = lab.namespace.run(Control::open).unwrap().unwrap_err();
            assert!(matches!(error, Error::Unsupported { option: "CONFIG_WIREGUARD", .. }), "{error}");
            return;
        }
        let link = lab.link("wg0").index;
        let mut control = lab.namespace.run(Control::open).unwrap().unwrap();
        assert_eq!(control.get(link).unwrap().key, None);
        let key = PrivateKey::random().unwrap();
        // Any bytes but zeros make a public key, and to compute one is slow in a debug build.
        let mut peers: Vec<Peer> = (1..=150_u8)
            .map(|number| Peer {
                key: PublicKey([number; 32]),
                endpoint: format!("192.0.2.{number}:1234").parse().ok(),
                allowed: vec![
                    format!("10.0.{number}.0/24").parse().unwrap(),
                    format!("fd00:{number}::/64").parse().unwrap(),
                ],
                keepalive: u16::from(number),
            })
            .collect();
        peers.sort_by_key(|peer| peer.key);
        let mut device =
            SetDevice { link, key: Some(key), listen_port: 51820, peers, gone: Vec::new(), replace: true };
        control.set(&device).unwrap();
        let mut shown = control.get(link).unwrap();
        shown.peers.sort_by_key(|peer| peer.key);
        assert_eq!((shown.key, shown.listen_port), (Some(key.public()), 51820));
        assert_eq!(shown.peers, device.peers);
        assert!(shown.handshakes.iter().all(|time| *time == 0));
        let gone = device.peers.pop().unwrap();
        device = SetDevice { key: None, gone: vec![gone.key], replace: false, ..device };
        control.set(&device).unwrap();
        let shown = control.get(link).unwrap();
        assert_eq!((shown.key, shown.peers.len()), (Some(key.public()), device.peers.len()));
    });
}

#[test]
fn a_vxlan_has_several_remote_ends() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let kind = LinkKind::Vxlan(Vxlan { vni: 5, port: Some(4789), ..Vxlan::default() });
        lab.socket.request(&NewLink { up: true, ..NewLink::new(name("vx"), kind) }).unwrap();
        let link = lab.link("vx").index;
        let all = mac("00:00:00:00:00:00");
        let change = |remote: &str, delete| neighbour::ChangeFdb {
            link,
            port: false,
            mac: all,
            vlan: None,
            remote: remote.parse().ok(),
            delete,
        };
        for remote in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            lab.socket.request(&change(remote, false)).unwrap();
        }
        lab.socket.request(&change("192.0.2.2", true)).unwrap();
        let links = [lab.link("vx")];
        let shown = neighbour::fdb::list(&mut lab.socket, &links).unwrap();
        let remotes: Vec<_> = shown.iter().filter_map(|entry| Some(entry.remote?.to_string())).collect();
        assert_eq!(remotes, ["192.0.2.1", "192.0.2.3"]);
        assert!(shown.iter().all(|entry| entry.fixed && entry.mac == all));
        let shown = oracle.bridge(&lab.namespace, "fdb show dev vx");
        assert_eq!(shown.as_array().map(Vec::len), Some(2), "{shown}");
        lab.socket.request(&SetLink { index: link, up: Some(false), ..SetLink::default() }).unwrap();
    });
}

//! Forwarding entries and VLANs of bridges and VXLANs.

use nslab_kernel::link::{self, Bridge, LinkKind, NewLink, SetLink, Vxlan};
use nslab_kernel::neighbour::{BridgeVlan, ChangeBridgeVlan, ChangeFdb, FdbEntry, fdb, vlan};
use nslab_kernel::{Error, address};
use nslab_testing::{Oracle, privileged};

use crate::support::{Lab, mac, name};

fn entries(lab: &mut Lab) -> Vec<FdbEntry> {
    let links = link::list(&mut lab.socket).unwrap();
    fdb::list(&mut lab.socket, &links).unwrap()
}

/// A bridge `sw` with the port `a`, both up; their numbers.
fn switch(lab: &mut Lab) -> (u32, u32) {
    let new = NewLink::new(name("sw"), LinkKind::Bridge(Bridge::default()));
    lab.socket.request(&NewLink { up: true, ..new }).unwrap();
    let (port, _) = lab.veth("a", "b");
    let master = lab.link("sw").index;
    lab.socket.request(&SetLink { index: port, master: Some(master), ..SetLink::default() }).unwrap();
    (master, port)
}

#[test]
fn a_bridge_shows_fixed_local_and_learned_addresses() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let (bridge, port) = switch(&mut lab);
        let own = lab.link("a").mac.unwrap();
        let far = lab.link("b").mac.unwrap();
        let fixed = mac("02:00:00:00:00:99");
        let change =
            ChangeFdb { link: port, port: true, mac: fixed, vlan: None, remote: None, delete: false };
        lab.socket.request(&change).unwrap();
        // A frame from b is learned: an echo request to a group needs no answer.
        let b = lab.link("b").index;
        let given =
            address::ChangeAddress { link: b, address: "10.0.0.1/24".parse().unwrap(), delete: false };
        lab.socket.request(&given).unwrap();
        lab.namespace
            .run(|| std::net::UdpSocket::bind("10.0.0.1:0").unwrap().send_to(b"x", "10.0.0.77:9").unwrap())
            .unwrap();
        let stuck = mac("02:00:00:00:00:98");
        oracle.change_bridge(&lab.namespace, &format!("fdb add {stuck} dev a master static sticky"));
        let read = entries(&mut lab);
        let find = |mac| *read.iter().find(|entry| entry.mac == mac && entry.link == port).unwrap();
        let entry = FdbEntry {
            external: false,
            sticky: false,
            link: port,
            master: Some(bridge),
            mac: fixed,
            vlan: None,
            remote: None,
            fixed: true,
            local: false,
        };
        assert_eq!(find(fixed), entry);
        assert_eq!(find(stuck), FdbEntry { mac: stuck, sticky: true, ..entry });
        assert_eq!(find(own), FdbEntry { mac: own, local: true, ..entry });
        assert_eq!(find(far), FdbEntry { mac: far, fixed: false, ..entry });

        let shown = oracle.bridge(&lab.namespace, "fdb show br sw");
        let shown: Vec<_> = shown
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["flags"] != serde_json::json!(["self"]))
            .collect();
        assert_eq!(shown.len(), read.len(), "{shown:#?} {read:#?}");
        let state = |mac: nslab_types::MacAddr| {
            shown.iter().find(|entry| entry["mac"] == mac.to_string()).map(|entry| entry["state"].clone())
        };
        assert_eq!(state(fixed), Some("static".into()));
        assert_eq!(state(own), Some("permanent".into()));

        lab.socket.request(&ChangeFdb { delete: true, ..change }).unwrap();
        assert!(entries(&mut lab).iter().all(|entry| entry.mac != fixed));
    });
}

#[test]
fn a_vxlan_sends_unknown_frames_to_several_ends() {
    privileged(|| {
        let mut lab = Lab::new();
        let vxlan = Vxlan { vni: 7, port: Some(4789), ..Vxlan::default() };
        lab.socket.request(&NewLink::new(name("vx"), LinkKind::Vxlan(vxlan))).unwrap();
        let link = lab.link("vx").index;
        let remotes = ["192.0.2.1", "192.0.2.2"].map(|remote| remote.parse().unwrap());
        let all = mac("00:00:00:00:00:00");
        let one = mac("02:00:00:00:00:05");
        for (mac, remote) in [(all, remotes[0]), (all, remotes[1]), (one, remotes[1])] {
            let change =
                ChangeFdb { link, port: false, mac, vlan: None, remote: Some(remote), delete: false };
            lab.socket.request(&change).unwrap();
        }
        let entry = |mac, remote| FdbEntry {
            external: false,
            sticky: false,
            link,
            master: None,
            mac,
            vlan: None,
            remote: Some(remote),
            fixed: true,
            local: false,
        };
        assert_eq!(
            entries(&mut lab),
            [entry(all, remotes[0]), entry(all, remotes[1]), entry(one, remotes[1])]
        );
        let gone =
            ChangeFdb { link, port: false, mac: all, vlan: None, remote: Some(remotes[0]), delete: true };
        lab.socket.request(&gone).unwrap();
        assert_eq!(entries(&mut lab).len(), 2);
    });
}

#[test]
fn full_kernel_vlans_are_set_and_read_or_said_to_be_missing() {
    privileged(|| {
        let mut lab = Lab::new();
        let (bridge, port) = switch(&mut lab);
        for (link, own) in [(bridge, true), (port, false)] {
            let wanted = BridgeVlan { link, vlan: 20, pvid: true, untagged: true };
            match lab.socket.request(&ChangeBridgeVlan { vlan: wanted, own, delete: false }) {
                Ok(()) => assert!(vlan::list(&mut lab.socket).unwrap().contains(&wanted)),
                Err(Error::Unsupported { option, .. }) => {
                    assert_eq!(option, "CONFIG_BRIDGE_VLAN_FILTERING");
                    assert_eq!(vlan::list(&mut lab.socket).unwrap(), []);
                    nslab_testing::kernel_lacks(option);
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
}

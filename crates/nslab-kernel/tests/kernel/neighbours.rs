//! Neighbours and those answered for.

use std::net::IpAddr;

use nslab_kernel::address::ChangeAddress;
use nslab_kernel::neighbour::{self, ChangeNeighbour, ChangeProxy, Neighbour};
use nslab_testing::{Oracle, privileged};

use crate::support::{Lab, mac};

#[test]
fn neighbours_are_set_replaced_read_and_deleted() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let (link, _) = lab.veth("a", "b");
        lab.socket
            .request(&ChangeAddress { link, address: "10.1.0.1/24".parse().unwrap(), delete: false })
            .unwrap();
        for address in ["10.1.0.9", "2001:db8::9"] {
            let address: IpAddr = address.parse().unwrap();
            for number in ["02:00:00:00:00:01", "02:00:00:00:00:02"] {
                let mac = Some(mac(number));
                lab.socket.request(&ChangeNeighbour { link, address, mac }).unwrap();
                let wanted = Neighbour { link, address, mac, state: 0x80, proxy: false };
                assert!(neighbour::list(&mut lab.socket).unwrap().contains(&wanted));
                let shown = oracle.ip(&lab.namespace, &format!("neigh show {address} dev a"))[0].take();
                assert_eq!((&shown["lladdr"], &shown["state"][0]), (&number.into(), &"PERMANENT".into()));
            }
            lab.socket.request(&ChangeNeighbour { link, address, mac: None }).unwrap();
            let left = neighbour::list(&mut lab.socket).unwrap();
            let state = left.iter().find(|left| left.address == address).map(|left| left.state);
            assert!(matches!(state, None | Some(0x20)), "gone, or failed until it is swept up: {state:?}");
        }
    });
}

#[test]
fn proxies_are_set_read_and_deleted() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let (link, _) = lab.veth("a", "b");
        for address in ["10.1.0.9", "2001:db8::9"] {
            let address: IpAddr = address.parse().unwrap();
            lab.socket.request(&ChangeProxy { link, address, delete: false }).unwrap();
            let proxies: Vec<_> = neighbour::list(&mut lab.socket)
                .unwrap()
                .into_iter()
                .filter(|neighbour| neighbour.proxy)
                .collect();
            assert_eq!(proxies.len(), 1);
            assert_eq!((proxies[0].link, proxies[0].address, proxies[0].mac), (link, address, None));
            let family = if address.is_ipv4() { 4 } else { 6 };
            let shown = oracle.ip(&lab.namespace, &format!("-{family} neigh show proxy"))[0].take();
            assert_eq!(shown["dst"], address.to_string());
            lab.socket.request(&ChangeProxy { link, address, delete: true }).unwrap();
            assert!(neighbour::list(&mut lab.socket).unwrap().iter().all(|neighbour| !neighbour.proxy));
        }
    });
}

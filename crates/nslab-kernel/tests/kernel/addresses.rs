//! Giving, taking and reading addresses.

use nslab_kernel::address::{self, Address, ChangeAddress};
use nslab_testing::{Oracle, privileged};

use crate::support::Lab;

fn give(lab: &mut Lab, link: u32, address: &str) {
    let address = address.parse().unwrap();
    lab.socket.request(&ChangeAddress { link, address, delete: false }).unwrap();
}

fn of(lab: &mut Lab, link: u32) -> Vec<Address> {
    address::list(&mut lab.socket).unwrap().into_iter().filter(|address| address.link == link).collect()
}

#[test]
fn addresses_are_given_read_and_taken() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let (link, _) = lab.veth("a", "b");
        for address in ["10.1.0.1/24", "10.1.0.2/24", "10.2.0.1/32", "127.5.0.1/8"] {
            give(&mut lab, link, address);
        }
        let read = of(&mut lab, link);
        let four: Vec<_> = read.iter().filter(|address| address.address.addr().is_ipv4()).collect();
        assert_eq!(
            four.iter().map(|address| address.address.to_string()).collect::<Vec<_>>(),
            ["127.5.0.1/8", "10.1.0.1/24", "10.2.0.1/32", "10.1.0.2/24"],
            "in the kernel's order: by scope, secondary ones last"
        );
        assert_eq!(
            four.iter().map(|address| address.secondary).collect::<Vec<_>>(),
            [false, false, false, true]
        );
        assert_eq!(four.iter().map(|address| address.scope).collect::<Vec<_>>(), [254, 0, 0, 0]);
        assert!(four.iter().all(|address| address.permanent && !address.kernel && !address.tentative));
        let shown = oracle.ip(&lab.namespace, "-4 address show dev a")[0]["addr_info"].take();
        for (address, shown) in four.iter().zip(shown.as_array().unwrap()) {
            let local = shown["local"].as_str().unwrap();
            assert_eq!(address.address.to_string(), format!("{local}/{}", shown["prefixlen"]));
        }

        let address = "10.1.0.1/24".parse().unwrap();
        let take = ChangeAddress { link, address, delete: true };
        lab.socket.request(&take).unwrap();
        assert!(of(&mut lab, link).iter().all(|address| address.address != take.address));
        let error = lab.socket.request(&take).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot take the address 10.1.0.1/24 from link number"),
            "{error}"
        );
    });
}

#[test]
fn an_ipv6_address_can_be_used_at_once() {
    privileged(|| {
        let mut lab = Lab::new();
        let (link, _) = lab.veth("a", "b");
        give(&mut lab, link, "2001:db8::1/64");
        let read = of(&mut lab, link);
        let given = read.iter().find(|address| address.address.to_string() == "2001:db8::1/64").unwrap();
        assert!(given.permanent && !given.tentative && !given.kernel && !given.duplicate);
        lab.namespace
            .run(|| std::net::UdpSocket::bind("[2001:db8::1]:9"))
            .unwrap()
            .expect("an address that is not tentative can be bound to");
        // The link-local one follows from the link coming up.
        let own = read.iter().find(|address| address.address.addr() != given.address.addr()).unwrap();
        assert!(own.kernel && own.scope == 253, "{own:?}");
    });
}

#[test]
fn loopback_addresses_are_the_kernels_own() {
    privileged(|| {
        let mut lab = Lab::new();
        let up = nslab_kernel::link::SetLink { index: 1, up: Some(true), ..Default::default() };
        lab.socket.request(&up).unwrap();
        let read = of(&mut lab, 1);
        assert_eq!(
            read.iter().map(|address| address.address.to_string()).collect::<Vec<_>>(),
            ["127.0.0.1/8", "::1/128"]
        );
        assert!(read.iter().all(|address| address.kernel && address.scope == 254));
    });
}

#[test]
fn the_far_end_of_a_cable_is_not_taken_for_our_own_address() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let (link, _) = lab.veth("a", "b");
        oracle.change(&lab.namespace, "address add 10.9.0.1 peer 10.9.0.2/32 dev a");
        oracle.change(&lab.namespace, "address add 2001:db8:9::1 peer 2001:db8:9::2/128 dev a");
        let read: Vec<_> =
            of(&mut lab, link).iter().map(|address| address.address.addr().to_string()).collect();
        assert!(
            read.contains(&"10.9.0.1".to_owned()) && read.contains(&"2001:db8:9::1".to_owned()),
            "{read:?}"
        );
    });
}

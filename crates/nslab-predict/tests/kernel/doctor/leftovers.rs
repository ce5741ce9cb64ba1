//! What nobody uses, what nobody gets to, and tables that are full.

use std::net::TcpListener;

use nslab_snapshot::{Name, Snapshot};
use nslab_testing::privileged;

use super::Drawn;

impl Drawn {
    /// A snapshot in which these namespaces are of no lab, but of ip-netns(8).
    fn by_hand(&self) -> Snapshot {
        for _ in 0..100 {
            let mut snapshot = Self::snapshot();
            let mut is_visited = false;
            for (name, space) in &self.spaces {
                let id = space.id().unwrap();
                let found = snapshot.namespaces.iter_mut().find(|other| other.id == id).unwrap();
                found.names = vec![Name::Netns((*name).to_owned())];
                is_visited |= found.process_count > 0;
            }
            // Somebody else who takes a snapshot may just be in one of them.
            if !is_visited {
                return snapshot;
            }
        }
        panic!("somebody is in these namespaces all the time");
    }

    fn one_by_hand(&self) -> (String, String, Vec<String>) {
        let faults = self.faults_of(&self.by_hand());
        assert_eq!(faults.len(), 1, "{faults:#?}");
        (faults[0].code.to_string(), faults[0].text.clone(), faults[0].fix.clone())
    }
}

#[test]
fn namespaces_and_cables_that_nobody_uses() {
    privileged(|| {
        let Some(net) = Drawn::new("left", &["a", "b"]) else { return };
        // Those of a lab are meant.
        assert_eq!(net.faults(), []);
        let faults = net.faults_of(&net.by_hand());
        assert_eq!(faults.len(), 2, "{faults:#?}");
        assert_eq!(
            (faults[0].code.as_str(), &faults[0].fix[0][..]),
            ("NAMESPACE_UNUSED", "ip netns delete a")
        );
        // A cable that nothing goes by, though both ends have addresses of their own making.
        net.cable([("a", "x", ""), ("b", "y", "")]);
        assert_eq!(net.faults(), []);
        let (code, text, fix) = net.one_by_hand();
        assert!(code == "VETH_STALE" && text.contains("the cable netns:a:x – netns:b:y"), "{text}");
        assert_eq!(fix, ["ip -n a link delete x"]);
        // Both ends in one namespace.
        net.at("a", "link add one type veth peer name other");
        net.at("a", "address add 10.0.0.9/24 dev x");
        net.at("b", "address add 10.0.0.8/24 dev y");
        let (code, text, _) = net.one_by_hand();
        assert!(code == "VETH_STALE" && text.contains("netns:a:"), "{text}");
        net.at("a", "link del one");
        net.at("a", "address flush dev x");
        net.at("b", "address flush dev y");
        // One end that is used.
        net.at("a", "address add 10.0.0.1/24 dev x");
        let (code, text, _) = net.one_by_hand();
        assert!(code == "VETH_STALE" && text.starts_with("netns:b:y has no address"), "{text}");
        net.at("b", "route add 10.0.0.1/32 dev y");
        assert_eq!(net.faults_of(&net.by_hand()), []);
    });
}

#[test]
fn a_port_that_its_bridge_lost() {
    privileged(|| {
        let Some(net) = Drawn::new("lost", &["a", "b", "switch"]) else { return };
        net.at("switch", "link add br0 type bridge");
        net.at("switch", "link set br0 up");
        for (name, port, address) in [("a", "p1", "10.0.0.1/24"), ("b", "p2", "10.0.1.1/24")] {
            net.cable([(name, "eth0", address), ("switch", port, "")]);
            net.at("switch", &format!("link set {port} master br0"));
        }
        assert_eq!(net.faults(), []);
        net.at("switch", "link set p2 nomaster");
        let fault = net.one();
        assert_eq!((fault.code.as_str(), &fault.places[0].object[..]), ("VETH_STALE", "p2"));
    });
}

#[test]
fn listeners_that_nobody_gets_to() {
    privileged(|| {
        let Some(net) = Drawn::new("listen", &["a", "b"]) else { return };
        net.cable([("a", "eth0", "10.0.0.1/24"), ("b", "eth0", "10.0.0.2/24")]);
        let listen = |address: &str| net.space("b").run(|| TcpListener::bind(address)).unwrap().unwrap();
        let local = listen("127.0.0.1:8080");
        let fault = net.one();
        assert_eq!(
            (fault.code.as_str(), &fault.places[0].object[..]),
            ("LISTENER_OTHER_ADDRESS", "tcp 127.0.0.1:8080")
        );
        // Another one takes the rest.
        let other = listen("10.0.0.2:8080");
        assert_eq!(net.faults(), []);
        drop((local, other));
        // Resolvers, and ports that clients get.
        let quiet = [listen("127.0.0.53:53"), listen("127.0.0.1:45000"), listen("[::1]:631")];
        assert_eq!(net.faults(), []);
        drop(quiet);
    });
}

#[test]
fn tables_of_neighbours() {
    privileged(|| {
        let Some(net) = Drawn::new("neigh", &["a", "b"]) else { return };
        net.cable([("a", "eth0", "10.0.0.1/24"), ("b", "eth0", "10.0.0.2/24")]);
        net.reaches("a", "b", "10.0.0.2");
        let mut snapshot = Drawn::snapshot();
        let all: usize = snapshot
            .namespaces
            .iter()
            .filter_map(|space| space.state())
            .map(|state| state.network.neighbours.iter().filter(|entry| entry.address.is_ipv4()).count())
            .sum();
        // As if the machine held so many only; the real limit is everybody's.
        let id = net.space("a").id().unwrap();
        let mut limit = |most: Option<u32>| {
            for space in &mut snapshot.namespaces {
                let is_a = space.id == id;
                if let nslab_snapshot::Contents::State(state) = &mut space.contents {
                    state.settings.most_neighbours.0 = most.filter(|_| is_a);
                }
            }
            net.faults_of(&snapshot)
        };
        let full = limit(Some(1));
        assert_eq!(full.len(), 1, "{full:#?}");
        assert_eq!(
            (full[0].code.as_str(), &full[0].places[0].object[..]),
            ("NEIGHBOUR_TABLE_FULL", "net.ipv4.neigh.default.gc_thresh3")
        );
        assert_eq!(limit(Some(u32::try_from(all).unwrap() * 2 + 10)), []);
        assert_eq!(limit(None), []);
    });
}

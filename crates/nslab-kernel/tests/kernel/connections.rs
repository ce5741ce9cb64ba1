//! Connection tracking, as rules of nftables make the kernel do it.

use std::net::{IpAddr, UdpSocket};

use nslab_kernel::conntrack::{self, Keys};
use nslab_kernel::link::SetLink;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_testing::{Nft, privileged, skip};

use crate::support::Lab;

const RULES: &str = "table ip t {
    chain nat { type nat hook output priority -100; ip daddr 127.0.0.9 udp dport 53 dnat to 127.0.0.1:5353; }
    chain filter { type filter hook input priority 0; ct state new ct mark set 7; }
}";

#[test]
fn a_translated_connection_is_listed_as_both_sides_see_it() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return skip("there is no nft") };
        let mut lab = Lab::new();
        lab.socket.request(&SetLink { index: 1, up: Some(true), ..SetLink::default() }).unwrap();
        let mut socket = lab.namespace.run(|| Socket::open(Protocol::Netfilter)).unwrap().unwrap();
        nft.apply(&lab.namespace, RULES);
        assert_eq!(conntrack::list(&mut socket).unwrap(), Some(Vec::new()));
        let (server, client) = lab
            .namespace
            .run(|| (UdpSocket::bind("127.0.0.1:5353").unwrap(), UdpSocket::bind("127.0.0.1:4000").unwrap()))
            .unwrap();
        client.send_to(b"?", "127.0.0.9:53").unwrap();
        let mut buffer = [0; 9];
        let (_, from) = server.recv_from(&mut buffer).unwrap();
        let entries = conntrack::list(&mut socket).unwrap().unwrap();
        let [entry] = &entries[..] else { panic!("{entries:#?}") };
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(entry.original.destination, address("127.0.0.9"));
        assert_eq!(entry.original.keys, Keys::Ports { source: 4000, destination: 53 });
        assert_eq!(entry.reply.source, address("127.0.0.1"));
        assert_eq!(entry.reply.keys, Keys::Ports { source: 5353, destination: 4000 });
        assert_eq!((entry.original.protocol, entry.mark, entry.zone), (17, 7, 0));
        assert!(entry.is_translated() && !entry.has_answered());
        assert!(entry.timeout > 0 && entry.timeout <= 600);
        server.send_to(b"!", from).unwrap();
        client.recv_from(&mut buffer).unwrap();
        let entries = conntrack::list(&mut socket).unwrap().unwrap();
        assert!(entries[0].has_answered(), "{entries:#?}");
    });
}

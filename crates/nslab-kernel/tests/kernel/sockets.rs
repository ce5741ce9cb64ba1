//! Sockets, as programs open them.

use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};

use nslab_kernel::link::SetLink;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::sock_diag::{self, InetSocket, Protocol as Speaks, State};
use nslab_testing::privileged;

use crate::support::Lab;

fn find(sockets: &[InetSocket], protocol: Speaks, port: u16) -> &InetSocket {
    let mut found = sockets.iter().filter(|socket| (socket.protocol, socket.port) == (protocol, port));
    let one = found.next().unwrap_or_else(|| panic!("no {protocol} socket at {port} in {sockets:#?}"));
    assert_eq!(found.next(), None);
    one
}

#[test]
fn what_listens_is_listed_with_where() {
    privileged(|| {
        let mut lab = Lab::new();
        lab.socket.request(&SetLink { index: 1, up: Some(true), ..SetLink::default() }).unwrap();
        let _sockets = lab
            .namespace
            .run(|| {
                let local = TcpListener::bind("127.0.0.1:8080").unwrap();
                let partner = TcpStream::connect("127.0.0.1:8080").unwrap();
                (
                    local,
                    partner,
                    TcpListener::bind("[::]:80").unwrap(),
                    UdpSocket::bind("0.0.0.0:53").unwrap(),
                    UdpSocket::bind("[::1]:123").unwrap(),
                )
            })
            .unwrap();
        let mut socket = lab.namespace.run(|| Socket::open(Protocol::SockDiag)).unwrap().unwrap();
        let (listeners, unknown) = sock_diag::listeners(&mut socket).unwrap();
        let addresses = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(unknown.iter().filter(|protocol| **protocol == Speaks::Tcp).count(), 0);
        let local = find(&listeners, Speaks::Tcp, 8080);
        assert_eq!((local.address, local.state, local.peer), (addresses("127.0.0.1"), State::Open, None));
        assert!(local.takes(addresses("127.0.0.1")) && !local.takes(addresses("10.0.0.1")));
        assert_ne!(local.inode, 0);
        let both = find(&listeners, Speaks::Tcp, 80);
        assert_eq!((both.address, both.only_v6), (addresses("::"), false));
        assert!(both.takes(addresses("10.0.0.1")) && both.takes(addresses("fd00::1")));
        if !unknown.contains(&Speaks::Udp) {
            assert_eq!(find(&listeners, Speaks::Udp, 53).address, addresses("0.0.0.0"));
            assert!(!find(&listeners, Speaks::Udp, 123).takes(addresses("fd00::1")));
        }
        let (all, _) = sock_diag::all(&mut socket).unwrap();
        let connected: Vec<_> = all.iter().filter(|socket| socket.state == State::Connected).collect();
        assert_eq!(connected.len(), 2, "both ends of the connection: {all:#?}");
        assert!(connected.iter().any(|end| end.peer == Some((addresses("127.0.0.1"), 8080))));
    });
}

#[test]
fn raw_sockets_are_listed_by_protocol() {
    privileged(|| {
        let lab = Lab::new();
        let made = lab.namespace.run(|| {
            let (domain, kind) = (rustix::net::AddressFamily::INET, rustix::net::SocketType::RAW);
            rustix::net::socket(domain, kind, Some(rustix::net::ipproto::ICMP))
        });
        let _raw = made.unwrap().unwrap();
        let mut socket = lab.namespace.run(|| Socket::open(Protocol::SockDiag)).unwrap().unwrap();
        let (listeners, unknown) = sock_diag::listeners(&mut socket).unwrap();
        if unknown.contains(&Speaks::Raw) {
            nslab_testing::kernel_lacks("CONFIG_INET_RAW_DIAG");
            return;
        }
        let raw = find(&listeners, Speaks::Raw, 0);
        assert_eq!((raw.raw_protocol, raw.state), (1, State::Open));
    });
}

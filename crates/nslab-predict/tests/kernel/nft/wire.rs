//! Real packets: made, sent as frames, and read where they come out.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nslab_kernel::Namespace;
use nslab_predict::{Ip, Packet, Tcp, Transport};

/// "Local experimental Ethertype 1" (IEEE 802).
const MARKER: u16 = 0x88b5;

/// A packet socket on one interface.
pub(super) struct Wire {
    fd: OwnedFd,
}

fn set<T>(fd: &OwnedFd, level: i32, option: i32, value: &T) {
    let len = u32::try_from(size_of_val(value)).unwrap();
    // SAFETY: the value lives and has this length.
    let set = unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const *value).cast(), len) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

impl Wire {
    pub(super) fn open(namespace: &Namespace, link: u32) -> Self {
        namespace
            .run(|| {
                // SAFETY: no memory is passed; the descriptor is ours alone.
                let fd = unsafe {
                    let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
                    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
                    OwnedFd::from_raw_fd(fd)
                };
                // SAFETY: all zeros are a valid value of this plain structure.
                let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
                address.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
                address.sll_protocol = u16::try_from(libc::ETH_P_ALL).unwrap().to_be();
                address.sll_ifindex = i32::try_from(link).unwrap();
                let len = u32::try_from(size_of_val(&address)).unwrap();
                // SAFETY: the address lives and has this length.
                let bound = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) };
                assert_eq!(bound, 0, "{}", std::io::Error::last_os_error());
                let limit = libc::timeval { tv_sec: 20, tv_usec: 0 };
                set(&fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &limit);
                // What is sent here is not read here, and would fill the queue (packet(7), Linux 4.20).
                set(&fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1_i32);
                Self { fd }
            })
            .unwrap()
    }

    pub(super) fn send(&self, frame: &[u8]) {
        // SAFETY: the bytes live and have this length.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(usize::try_from(sent), Ok(frame.len()), "{}", std::io::Error::last_os_error());
    }

    /// A frame that no rule sees, with a number.
    pub(super) fn mark(&self, number: u32) {
        let mut frame = vec![0xff; 12];
        frame.extend(MARKER.to_be_bytes());
        frame.extend(number.to_be_bytes());
        frame.resize(60, 0);
        self.send(&frame);
    }

    /// All IP packets that come in before the marker of this number.
    pub(super) fn until(&self, number: u32) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        loop {
            let mut frame = vec![0; 2048];
            // SAFETY: all zeros are a valid value of this plain structure.
            let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            let mut len = u32::try_from(size_of_val(&from)).unwrap();
            // SAFETY: both buffers live and have these lengths.
            let got = unsafe {
                libc::recvfrom(
                    self.fd.as_raw_fd(),
                    frame.as_mut_ptr().cast(),
                    frame.len(),
                    0,
                    (&raw mut from).cast(),
                    &raw mut len,
                )
            };
            let got = usize::try_from(got).expect("the marker comes");
            frame.truncate(got);
            if from.sll_pkttype == libc::PACKET_OUTGOING || got < 18 {
                continue;
            }
            match u16::from_be_bytes([frame[12], frame[13]]) {
                MARKER if frame[14..18] == number.to_be_bytes() => return packets,
                0x0800 | 0x86dd => packets.push(frame.split_off(14)),
                _ => {}
            }
        }
    }
}

/// A socket that sends whole IP packets (raw(7)).
pub(super) struct Raw {
    fd: OwnedFd,
}

impl Raw {
    pub(super) fn open(namespace: &Namespace, ipv6: bool) -> Self {
        let family = if ipv6 { libc::AF_INET6 } else { libc::AF_INET };
        let open = || {
            // SAFETY: no memory is passed; the descriptor is ours alone.
            unsafe {
                let fd = libc::socket(family, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_RAW);
                assert!(fd >= 0, "{}", std::io::Error::last_os_error());
                OwnedFd::from_raw_fd(fd)
            }
        };
        Self { fd: namespace.run(open).unwrap() }
    }

    /// Sends a packet, or has the kernel refuse it, as it does what rules drop.
    pub(super) fn send(&self, packet: &[u8]) {
        let mut to = vec![0; if packet[0] >> 4 == 6 { 28 } else { 16 }];
        let (family, at) = if to.len() == 28 { (libc::AF_INET6, 8) } else { (libc::AF_INET, 4) };
        to[..2].copy_from_slice(&u16::try_from(family).unwrap().to_ne_bytes());
        let destination = if to.len() == 28 { &packet[24..40] } else { &packet[16..20] };
        to[at..at + destination.len()].copy_from_slice(destination);
        let len = u32::try_from(to.len()).unwrap();
        // SAFETY: packet and address live and have these lengths; the address has the bytes of a `sockaddr_in` or `sockaddr_in6`.
        unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                packet.as_ptr().cast(),
                packet.len(),
                0,
                to.as_ptr().cast(),
                len,
            );
        }
    }
}

fn sum(bytes: &[u8], mut sum: u32) -> u32 {
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
    }
    sum
}

fn checksum(mut sum: u32) -> [u8; 2] {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let folded = !u16::try_from(sum).unwrap();
    if folded == 0 { [0xff, 0xff] } else { folded.to_be_bytes() }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The frame of a packet, with right checksums, for the interface of this hardware address.
pub(super) fn frame(packet: &Packet, to: [u8; 6]) -> Vec<u8> {
    let ipv6 = packet.is_ipv6();
    let size = usize::try_from(packet.ip.size).unwrap();
    let header = if ipv6 { 40 } else { 20 };
    let mut body = match packet.transport {
        Transport::Tcp(Tcp { source, destination, flags }) => {
            let mut body = [source.to_be_bytes(), destination.to_be_bytes()].concat();
            body.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0x10, 0, 0, 0, 0, 0]);
            body
        }
        Transport::Udp { source, destination } => {
            let len = u16::try_from(size - header).unwrap();
            [source.to_be_bytes(), destination.to_be_bytes(), len.to_be_bytes(), [0, 0]].concat()
        }
        Transport::Icmp { kind, code, id } => [[kind, code], [0, 0], id.to_be_bytes(), [0, 1]].concat(),
        Transport::Other(_) => Vec::new(),
    };
    body.resize(size - header, b'x');
    let addresses = [octets(packet.ip.source), octets(packet.ip.destination)].concat();
    let pseudo = sum(&addresses, u32::from(packet.protocol()) + u32::try_from(body.len()).unwrap());
    let (at, start) = match packet.transport {
        Transport::Tcp(_) => (16, pseudo),
        Transport::Udp { .. } => (6, pseudo),
        _ => (2, if ipv6 { pseudo } else { 0 }),
    };
    if !matches!(packet.transport, Transport::Other(_)) {
        let check = checksum(sum(&body, start));
        body[at..at + 2].copy_from_slice(&check);
    }
    let mut frame = [&to[..], &[2, 0, 0, 0, 0, 1]].concat();
    let len = |of: usize| u16::try_from(of).unwrap().to_be_bytes();
    if ipv6 {
        frame.extend([0x86, 0xdd, 0x60 | packet.ip.tos >> 4, packet.ip.tos << 4, 0, 0]);
        frame.extend(len(body.len()));
        frame.extend([packet.protocol(), packet.ip.ttl]);
        frame.extend(&addresses);
    } else {
        let mut ip = vec![0x45, packet.ip.tos];
        ip.extend(len(size));
        ip.extend([
            0,
            1,
            if packet.ip.dont_fragment { 0x40 } else { 0 },
            0,
            packet.ip.ttl,
            packet.protocol(),
            0,
            0,
        ]);
        ip.extend(&addresses);
        let check = checksum(sum(&ip, 0));
        ip[10..12].copy_from_slice(&check);
        frame.extend([8, 0]);
        frame.extend(ip);
    }
    frame.extend(body);
    frame
}

/// The packet that came out, by its bytes.
pub(super) fn parse(bytes: &[u8]) -> Packet {
    let ipv6 = bytes[0] >> 4 == 6;
    let address = |at: usize| -> IpAddr {
        if ipv6 {
            <[u8; 16]>::try_from(&bytes[at..at + 16]).unwrap().into()
        } else {
            <[u8; 4]>::try_from(&bytes[at..at + 4]).unwrap().into()
        }
    };
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let (source, destination, ttl, tos, size, protocol, start) = if ipv6 {
        let tos = bytes[0] << 4 | bytes[1] >> 4;
        (address(8), address(24), bytes[7], tos, u32::from(word(4)) + 40, bytes[6], 40)
    } else {
        (address(12), address(16), bytes[8], bytes[1], u32::from(word(2)), bytes[9], 20)
    };
    let transport = match protocol {
        6 => Transport::Tcp(Tcp {
            source: word(start),
            destination: word(start + 2),
            flags: bytes[start + 13],
        }),
        17 => Transport::Udp { source: word(start), destination: word(start + 2) },
        1 | 58 => Transport::Icmp { kind: bytes[start], code: bytes[start + 1], id: word(start + 4) },
        other => Transport::Other(other),
    };
    let dont_fragment = !ipv6 && bytes[6] & 0x40 != 0;
    Packet { ip: Ip { source, destination, ttl, tos, dont_fragment, size }, transport, mark: 0 }
}

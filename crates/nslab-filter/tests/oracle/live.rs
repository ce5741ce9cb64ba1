//! On a live socket, where the kernel keeps tags and more beside a packet's bytes: beside libpcap's own programs for such
//! sockets, on the same packets.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;

use nslab_filter::{Ancillary, Filter, Frame, Instruction, VlanTag};
use nslab_kernel::Namespace;
use nslab_testing::{Oracle, privileged};

use crate::kernel::attach;
use crate::packets::{packets, some};
use crate::selection::names;
use crate::tcpdump::is_here;

const EXPRESSIONS: &[&str] = &[
    "vlan",
    "vlan 5",
    "vlan 7",
    "vlan and ip",
    "vlan and arp",
    "vlan 5 and host 10.0.0.1",
    "vlan and tcp port 80",
    "vlan and tcp[13] & 2 != 0",
    "vlan and icmp6",
    "vlan and vlan",
    "vlan 7 and vlan 5 and ip",
    "vlan and vlan and ip6",
    "vlan 5 or vlan 6",
    "not vlan",
    "not vlan and ip",
    "vlan or ip",
    "ip or vlan",
    "vlan and ether host 02:00:00:00:00:01",
    "vlan 5 and ip[8] = 64",
    "ether proto 0x8100",
    "ip",
    "tcp port 80",
    "inbound",
    "outbound",
    "inbound and tcp",
    "not outbound and udp",
    "outbound and vlan",
    "ifindex 1",
    "ifindex 2 or arp",
    "len > 100",
    "less 64 and not outbound",
    "mpls and ip",
    "pppoes and ip6",
];

/// A packet as a socket gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Received {
    bytes: Vec<u8>,
    kind: u8,
    tag: Option<VlanTag>,
}

/// A packet socket on `lo`, the first interface of a namespace.
struct Socket(OwnedFd);

impl Socket {
    fn open(program: Option<&[Instruction]>) -> Self {
        let all = u16::try_from(libc::ETH_P_ALL).unwrap().to_be();
        // SAFETY: the call takes numbers only, and gives a new descriptor or -1.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, 0) };
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        // SAFETY: nobody else has the new descriptor.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        if let Some(program) = program {
            attach(socket.0.as_fd(), program).unwrap();
        }
        socket.set(libc::SOL_PACKET, libc::PACKET_AUXDATA, 1);
        socket.set(libc::SOL_SOCKET, libc::SO_RCVBUF, 4 << 20);
        // SAFETY: all zeros are a valid address structure.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
        address.sll_protocol = all;
        address.sll_ifindex = 1;
        let length = libc::socklen_t::try_from(size_of_val(&address)).unwrap();
        // SAFETY: the address lives until the call returns, and has the length that is said.
        let bound = unsafe { libc::bind(fd, (&raw const address).cast(), length) };
        assert_eq!(bound, 0, "{}", std::io::Error::last_os_error());
        socket
    }

    fn set(&self, level: libc::c_int, option: libc::c_int, value: libc::c_int) {
        let length = libc::socklen_t::try_from(size_of_val(&value)).unwrap();
        // SAFETY: the value is an int that lives until the call returns.
        let set =
            unsafe { libc::setsockopt(self.0.as_raw_fd(), level, option, (&raw const value).cast(), length) };
        assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    }

    fn send(&self, frame: &[u8]) {
        // SAFETY: the frame lives until the call returns.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, isize::try_from(frame.len()).unwrap(), "{}", std::io::Error::last_os_error());
    }

    /// The next packet, if there is one.
    fn receive(&self) -> Option<Received> {
        let mut bytes = vec![0_u8; 2048];
        let mut control = [0_u64; 16];
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // SAFETY: all zeros are valid for both structures.
        let (mut address, mut message): (libc::sockaddr_ll, libc::msghdr) = unsafe { std::mem::zeroed() };
        message.msg_name = (&raw mut address).cast();
        message.msg_namelen = libc::socklen_t::try_from(size_of_val(&address)).unwrap();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        // SAFETY: everything that the message points to lives until the call returns, with the lengths that are said.
        let length = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, 0) };
        bytes.truncate(usize::try_from(length).ok()?);
        let mut tag = None;
        // SAFETY: the kernel has filled in the control messages; each is read only as far as these functions say.
        unsafe {
            let mut next = libc::CMSG_FIRSTHDR(&raw const message);
            while let Some(header) = next.as_ref() {
                if header.cmsg_level == libc::SOL_PACKET && header.cmsg_type == libc::PACKET_AUXDATA {
                    let known: libc::tpacket_auxdata =
                        libc::CMSG_DATA(header).cast::<libc::tpacket_auxdata>().read_unaligned();
                    if known.tp_status & libc::TP_STATUS_VLAN_VALID != 0 {
                        tag = Some(VlanTag { control: known.tp_vlan_tci, protocol: known.tp_vlan_tpid });
                    }
                }
                next = libc::CMSG_NXTHDR(&raw const message, header);
            }
        }
        Some(Received { bytes, kind: address.sll_pkttype, tag })
    }

    fn receive_all(&self) -> Vec<Received> {
        std::iter::from_fn(|| self.receive()).collect()
    }
}

/// libpcap's program for a socket on `lo` of the namespace that the thread is in (`tcpdump -ddd`).
fn libpcaps(expression: &str) -> Vec<Instruction> {
    let output = Command::new("tcpdump").args(["-i", "lo", "-ddd", "--", expression]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{expression}: {}", String::from_utf8_lossy(&output.stderr));
    let instruction = |line: &str| {
        let numbers: Vec<u32> = line.split_whitespace().map(|number| number.parse().unwrap()).collect();
        Instruction {
            code: u16::try_from(numbers[0]).unwrap(),
            jt: u8::try_from(numbers[1]).unwrap(),
            jf: u8::try_from(numbers[2]).unwrap(),
            k: numbers[3],
        }
    };
    text.lines().skip(1).map(instruction).collect()
}

#[test]
fn on_a_live_socket_takes_what_libpcap_takes() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        if !is_here() {
            return;
        }
        let namespace = Namespace::create().unwrap();
        oracle.change(&namespace, "link set lo up");
        namespace.run(compare).unwrap();
    });
}

fn compare() {
    let everything = Socket::open(None);
    // A socket never sees what it sent itself; this one takes nothing else either.
    let sender = Socket::open(Some(&[Instruction { code: 0x06, jt: 0, jf: 0, k: 0 }]));
    let filters: Vec<_> =
        EXPRESSIONS.iter().map(|text| Filter::parse(text, names()).unwrap().program().clone()).collect();
    let theirs: Vec<_> = EXPRESSIONS.iter().map(|text| libpcaps(text)).collect();
    let sockets: Vec<_> = filters
        .iter()
        .zip(&theirs)
        .map(|(ours, theirs)| [Socket::open(Some(ours.instructions())), Socket::open(Some(theirs))])
        .collect();
    let (mut tagged, mut taken) = (0, vec![0; EXPRESSIONS.len()]);
    // All with tags, and some others.
    let tagged_ones =
        packets().into_iter().filter(|packet| matches!(packet.bytes[12..14], [0x81, 0] | [0x88, 0xa8]));
    let whole = tagged_ones.chain(some(5)).filter(|packet| packet.bytes.len() == packet.length);
    for packet in whole {
        sender.send(&packet.bytes);
        // Every packet is seen when it goes out and when it comes in; the socket that was opened first sees it last.
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let mut poll = libc::pollfd { fd: everything.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: there is one structure, which lives until the call returns.
            let ready = unsafe { libc::poll(&raw mut poll, 1, 10_000) };
            assert_eq!(ready, 1, "the packet was seen {} times: {:02x?}", seen.len(), packet.bytes);
            seen.extend(everything.receive_all());
        }
        tagged += seen.iter().filter(|received| received.tag.is_some()).count();
        for (number, text) in EXPRESSIONS.iter().enumerate() {
            let [ours, theirs] = sockets[number].each_ref().map(Socket::receive_all);
            assert_eq!(ours, theirs, "{text} of {seen:02x?}:\n{}", filters[number]);
            let takes = |received: &&Received| filters[number].matches(&frame(received));
            let expected: Vec<_> = seen.iter().filter(takes).cloned().collect();
            assert_eq!(ours, expected, "{text} in the machine:\n{}", filters[number]);
            taken[number] += ours.len();
        }
    }
    assert!(tagged > 50, "only {tagged} packets came with a tag beside them");
    for (text, taken) in EXPRESSIONS.iter().zip(taken) {
        assert!(taken > 0, "{text} took nothing");
    }
    let longer =
        filters.iter().zip(&theirs).filter(|(ours, theirs)| ours.instructions().len() > theirs.len()).count();
    println!("{longer} of {} programs for sockets are longer than libpcap's", filters.len());
    for ((text, ours), theirs) in EXPRESSIONS.iter().zip(&filters).zip(&theirs) {
        println!("{} to {}: {text}", ours.instructions().len(), theirs.len());
    }
}

fn frame(received: &Received) -> Frame<'_> {
    let ancillary =
        Ancillary { packet_type: received.kind, interface: 1, vlan: received.tag, ..Ancillary::default() };
    Frame { ancillary, ..Frame::new(&received.bytes) }
}

//! Sockets, as the C library has them. All `unsafe` of this crate is here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A socket. It never waits.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

/// What was received.
#[derive(Debug)]
pub(crate) struct Received {
    /// So many bytes of the buffer are of it.
    pub(crate) length: usize,
    /// From whom, over IP.
    pub(crate) from: Option<SocketAddr>,
    /// By which interface, and as what (`PACKET_…`), at a packet socket.
    pub(crate) frame: Option<(u32, u8)>,
    /// When.
    pub(crate) at: Duration,
    /// The address of this host's that it was for, where that was asked for.
    pub(crate) to: Option<IpAddr>,
}

/// An address in the kernel's form.
struct Raw {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

fn family(code: libc::c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(code).unwrap_or(0)
}

impl Raw {
    fn put<T>(value: T) -> Self {
        const { assert!(size_of::<T>() <= size_of::<libc::sockaddr_storage>()) };
        // SAFETY: all zeros are a valid value of this plain structure.
        let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        // SAFETY: it is as large and as aligned as any address.
        unsafe { (&raw mut storage).cast::<T>().write(value) };
        Self { storage, length: length_of::<T>() }
    }

    fn of(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::put(libc::sockaddr_in {
                sin_family: family(libc::AF_INET),
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            }),
            SocketAddr::V6(v6) => Self::put(libc::sockaddr_in6 {
                sin6_family: family(libc::AF_INET6),
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            }),
        }
    }

    fn pointer(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    /// The address, if it is one of IP.
    fn ip(&self) -> Option<SocketAddr> {
        match libc::c_int::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says what it is.
                let v4 = unsafe { (&raw const self.storage).cast::<libc::sockaddr_in>().read() };
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: the family says what it is.
                let v6 = unsafe { (&raw const self.storage).cast::<libc::sockaddr_in6>().read() };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }

    /// The interface and the kind of a frame, if it is the address of one.
    fn frame(&self) -> Option<(u32, u8)> {
        if libc::c_int::from(self.storage.ss_family) != libc::AF_PACKET {
            return None;
        }
        // SAFETY: the family says what it is.
        let link = unsafe { (&raw const self.storage).cast::<libc::sockaddr_ll>().read() };
        Some((u32::try_from(link.sll_ifindex).ok()?, link.sll_pkttype))
    }
}

/// The number of an interface in the namespace of the thread; 0 if there is none of this name.
pub(crate) fn link_number(name: &str) -> u32 {
    // SAFETY: it is read up to its end, which is marked.
    std::ffi::CString::new(name).map_or(0, |name| unsafe { libc::if_nametoindex(name.as_ptr()) })
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Socket {
    /// A new one in the namespace of the thread.
    pub(crate) fn new(domain: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let fd = check(unsafe {
            libc::socket(domain, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, protocol)
        })?;
        // SAFETY: it was just made and is nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// One that does nothing but keep the kernel at noting when packets come and go, which it begins a while after it is asked to
    /// (`net_enable_timestamp`, `net/core/dev.c`).
    pub(crate) fn clock() -> io::Result<Self> {
        let clock = Self::new(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
        clock.set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        Ok(clock)
    }

    /// One that sees every frame that any interface of the thread's namespace sends or gets, with the time.
    pub(crate) fn tap() -> io::Result<Self> {
        let tap = Self::new(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        tap.set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        // More than the usual limit is for the privileged alone.
        let _ = tap.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 8 << 20);
        let all = u16::try_from(libc::ETH_P_ALL).unwrap_or(0).to_be();
        // SAFETY: all zeros are a valid value of this plain structure.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = family(libc::AF_PACKET);
        address.sll_protocol = all;
        tap.bind_raw(&Raw::put(address))?;
        Ok(tap)
    }

    /// Sets an option that is a number.
    pub(crate) fn set(&self, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
        let pointer = (&raw const value).cast();
        // SAFETY: the value lives through the call, and its size is told.
        let result =
            unsafe { libc::setsockopt(self.0.as_raw_fd(), level, name, pointer, length_of::<libc::c_int>()) };
        check(result).map(drop)
    }

    /// Closing it ends its connection at once.
    pub(crate) fn no_linger(&self) -> io::Result<()> {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        let pointer = (&raw const linger).cast();
        // SAFETY: the value lives through the call, and its size is told.
        let result = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                pointer,
                length_of::<libc::linger>(),
            )
        };
        check(result).map(drop)
    }

    fn bind_raw(&self, address: &Raw) -> io::Result<()> {
        // SAFETY: the address lives through the call, and its size is told.
        check(unsafe { libc::bind(self.0.as_raw_fd(), address.pointer(), address.length) }).map(drop)
    }

    pub(crate) fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.bind_raw(&Raw::of(address))
    }

    pub(crate) fn listen(&self) -> io::Result<()> {
        // SAFETY: no memory is passed.
        check(unsafe { libc::listen(self.0.as_raw_fd(), 256) }).map(drop)
    }

    /// Begins a connection.
    pub(crate) fn connect(&self, address: SocketAddr) -> io::Result<()> {
        let raw = Raw::of(address);
        // SAFETY: the address lives through the call, and its size is told.
        match check(unsafe { libc::connect(self.0.as_raw_fd(), raw.pointer(), raw.length) }) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
            other => other.map(drop),
        }
    }

    pub(crate) fn send_to(&self, bytes: &[u8], address: SocketAddr) -> io::Result<()> {
        let raw = Raw::of(address);
        let (data, length) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: bytes and address live through the call, and their sizes are told.
        let sent = unsafe { libc::sendto(self.0.as_raw_fd(), data, length, 0, raw.pointer(), raw.length) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Answers from the address that was asked.
    pub(crate) fn answer(&self, bytes: &[u8], to: SocketAddr, from: IpAddr) -> io::Result<()> {
        let mut raw = Raw::of(to);
        let mut control = [0_u64; 8];
        // SAFETY: all zeros are a valid value of this plain structure.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        message.msg_name = (&raw mut raw.storage).cast();
        message.msg_namelen = raw.length;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: the control buffer is aligned, and has room for one header with either value.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            match from {
                IpAddr::V4(v4) => {
                    let source = libc::in_addr { s_addr: u32::from_ne_bytes(v4.octets()) };
                    let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: source };
                    (*header).cmsg_level = libc::IPPROTO_IP;
                    (*header).cmsg_type = libc::IP_PKTINFO;
                    (*header).cmsg_len = libc::CMSG_LEN(length_of::<libc::in_pktinfo>()) as _;
                    libc::CMSG_DATA(header).cast::<libc::in_pktinfo>().write_unaligned(info);
                    message.msg_controllen = libc::CMSG_SPACE(length_of::<libc::in_pktinfo>()) as _;
                }
                IpAddr::V6(v6) => {
                    let address = libc::in6_addr { s6_addr: v6.octets() };
                    let info = libc::in6_pktinfo { ipi6_addr: address, ipi6_ifindex: 0 };
                    (*header).cmsg_level = libc::IPPROTO_IPV6;
                    (*header).cmsg_type = libc::IPV6_PKTINFO;
                    (*header).cmsg_len = libc::CMSG_LEN(length_of::<libc::in6_pktinfo>()) as _;
                    libc::CMSG_DATA(header).cast::<libc::in6_pktinfo>().write_unaligned(info);
                    message.msg_controllen = libc::CMSG_SPACE(length_of::<libc::in6_pktinfo>()) as _;
                }
            }
        }
        // SAFETY: all that the message points to lives through the call.
        let sent = unsafe { libc::sendmsg(self.0.as_raw_fd(), &raw const message, 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// What has come, if anything has. Errors of what was sent before are passed over.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Option<Received> {
        for _ in 0..16 {
            match self.try_receive(buffer) {
                Ok(received) => return Some(received),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => {}
            }
        }
        None
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        // SAFETY: all zeros are a valid value of these plain structures.
        let (mut from, mut message): (libc::sockaddr_storage, libc::msghdr) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let mut control = [0_u64; 32];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        message.msg_name = (&raw mut from).cast();
        message.msg_namelen = length_of::<libc::sockaddr_storage>();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: all that the message points to lives through the call, and the sizes are told.
        let length = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, 0) };
        let Ok(length) = usize::try_from(length) else { return Err(io::Error::last_os_error()) };
        let raw = Raw { storage: from, length: message.msg_namelen };
        let mut received =
            Received { length, from: raw.ip(), frame: raw.frame(), at: Duration::ZERO, to: None };
        // SAFETY: the kernel wrote whole headers, and the macros stay within the length that it told.
        unsafe {
            let mut header = libc::CMSG_FIRSTHDR(&raw const message);
            while !header.is_null() {
                let data = libc::CMSG_DATA(header);
                match ((*header).cmsg_level, (*header).cmsg_type) {
                    (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                        let time = data.cast::<libc::timespec>().read_unaligned();
                        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
                        received.at = Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0));
                    }
                    (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                        let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                        received.to = Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into());
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                        let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                        received.to = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                    }
                    _ => {}
                }
                header = libc::CMSG_NXTHDR(&raw const message, header);
            }
        }
        Ok(received)
    }
}

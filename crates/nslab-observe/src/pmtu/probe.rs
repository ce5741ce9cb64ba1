//! Packets of chosen sizes.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use nslab_kernel::error::Context;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto};

use super::{Kind, Target};
use crate::Result;
use crate::ping::{SendError, checksum};
use crate::sockopt::set;

/// Random bytes by which probes are known, wherever they are seen.
pub(super) type Nonce = [u8; 8];

/// Whether the sender's kernel asks what it knows of the way's MTU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Discover {
    /// No: every packet tests the way anew, as far as the interface takes it (`IP_PMTUDISC_PROBE`).
    Probe,
    /// Yes: what is too big is not sent (`IP_PMTUDISC_DO`).
    Obey,
}

/// Sends packets. Its sockets are those of the namespace in which it is called, which is to be the same always.
#[derive(Debug)]
pub(super) struct Sender {
    target: Target,
    discover: Discover,
    nonce: Nonce,
    /// ICMP's and TCP's; UDP has a socket for each size.
    raw: Option<OwnedFd>,
    /// By size: what holds the port that it is sent from. TCP's are never asked to connect.
    held: BTreeMap<u32, (OwnedFd, u16)>,
    /// The address that TCP's checksum is made with.
    local: Option<IpAddr>,
    sequence: u16,
}

impl Sender {
    /// For the namespace that the calling thread is in.
    pub(super) fn open(target: Target, discover: Discover) -> Result<Self> {
        let v6 = target.destination.is_ipv6();
        let protocol = match target.kind {
            Kind::Echo if v6 => Some(ipproto::ICMPV6),
            Kind::Echo => Some(ipproto::ICMP),
            Kind::Tcp(_) => Some(ipproto::TCP),
            Kind::Udp(_) => None,
        };
        let raw = protocol
            .map(|protocol| {
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                let domain = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
                let fd = rustix::net::socket_with(domain, SocketType::RAW, flags, Some(protocol))
                    .context(|| "open a raw socket")?;
                // What comes in is seen by packet sockets; this one is to keep nothing.
                let mut nothing = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 }];
                let program = libc::sock_fprog { len: 1, filter: nothing.as_mut_ptr() };
                set(fd.as_fd(), (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER), &program)
                    .context(|| "set up a raw socket")?;
                discovery(&fd, v6, discover)?;
                Ok::<_, crate::Error>(fd)
            })
            .transpose()?;
        let mut sender = Self {
            target,
            discover,
            nonce: nonce(),
            raw,
            held: BTreeMap::new(),
            local: target.source,
            sequence: 0,
        };
        if matches!(target.kind, Kind::Tcp(_)) && sender.local.is_none() {
            sender.local = sender.any_udp().ok().and_then(|udp| Some(udp.local_addr().ok()?.ip()));
        }
        if let (Some(raw), Some(source)) = (&sender.raw, target.source) {
            // An address that is not here is refused again when something is to be sent from it.
            let _ = rustix::net::bind(raw, &SocketAddr::new(source, 0));
        }
        Ok(sender)
    }

    /// The same with other random bytes.
    pub(super) fn with_nonce(&mut self, nonce: Nonce) -> &mut Self {
        self.nonce = nonce;
        self
    }

    pub(super) fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// Sends a packet of `size` bytes, IP header and all. Returns the port that it is from, where there is one.
    pub(super) fn send(&mut self, size: u32) -> Result<Option<u16>, SendError> {
        self.sequence = self.sequence.wrapping_add(1);
        let payload = self.payload(size);
        match self.target.kind {
            Kind::Echo => self.send_raw(&self.echo(&payload)).map(|()| None),
            Kind::Udp(port) => {
                let from = self.hold(size, port)?;
                let fd = &self.held[&size].0;
                // An error about an earlier packet is given once, and then forgotten.
                let mut last = Errno::IO;
                for _ in 0..2 {
                    match rustix::net::send(fd, &payload, SendFlags::DONTWAIT) {
                        Ok(_) | Err(Errno::NOBUFS) => return Ok(Some(from)),
                        Err(errno) => last = errno,
                    }
                }
                Err(SendError::new(last, None))
            }
            Kind::Tcp(port) => {
                let from = self.hold(size, 0)?;
                let local = self.local.ok_or(SendError::NetworkUnreachable)?;
                self.send_raw(&self.segment(local, from, port, &payload)).map(|()| Some(from))
            }
        }
    }

    /// What tells the probe from all others, then what fills it up.
    fn payload(&self, size: u32) -> Vec<u8> {
        let length = size.saturating_sub(self.target.headers()) as usize;
        let mut payload = self.nonce.to_vec();
        payload.extend_from_slice(&size.to_be_bytes());
        payload.resize(length.max(payload.len()), 0x5a);
        payload
    }

    /// An echo request (RFC 792, RFC 4443). The checksum of IPv6 is the kernel's to make (RFC 3542, section 3.1).
    fn echo(&self, payload: &[u8]) -> Vec<u8> {
        let v6 = self.target.destination.is_ipv6();
        let mut message = vec![if v6 { 128 } else { 8 }, 0, 0, 0];
        message.extend_from_slice(&self.nonce[..2]);
        message.extend_from_slice(&self.sequence.to_be_bytes());
        message.extend_from_slice(payload);
        if !v6 {
            let sum = checksum(&message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        message
    }

    /// A segment of TCP with the flag SYN (RFC 9293, section 3.1).
    fn segment(&self, local: IpAddr, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
        let mut segment = Vec::with_capacity(20 + payload.len());
        segment.extend_from_slice(&from.to_be_bytes());
        segment.extend_from_slice(&to.to_be_bytes());
        segment.extend_from_slice(&self.nonce[4..]);
        segment.extend_from_slice(&[0, 0, 0, 0, 5 << 4, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend_from_slice(payload);
        // The pseudo-header: addresses, length, protocol.
        let mut all = Vec::with_capacity(segment.len() + 40);
        for address in [local, self.target.destination] {
            match address {
                IpAddr::V4(address) => all.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => all.extend_from_slice(&address.octets()),
            }
        }
        all.extend_from_slice(&u32::try_from(segment.len()).unwrap_or(0).to_be_bytes());
        all.extend_from_slice(&[0, 0, 0, 6]);
        all.extend_from_slice(&segment);
        let sum = checksum(&all);
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        segment
    }

    fn send_raw(&self, packet: &[u8]) -> Result<(), SendError> {
        let Some(raw) = &self.raw else { return Err(SendError::Invalid) };
        let sent = match self.target.destination {
            IpAddr::V4(to) => {
                rustix::net::sendto(raw, packet, SendFlags::DONTWAIT, &SocketAddr::from((to, 0)))
            }
            IpAddr::V6(to) => {
                let to = SocketAddrV6::new(to, 0, 0, self.target.scope);
                rustix::net::sendto(raw, packet, SendFlags::DONTWAIT, &to)
            }
        };
        match sent {
            // It went out, and the other end of a veth dropped it: IPv6 passes that on to the program (`ip6_send_skb`,
            // `net/ipv6/ip6_output.c`), IPv4 keeps it to itself.
            Ok(_) | Err(Errno::NOBUFS) => Ok(()),
            Err(errno) => Err(SendError::new(errno, None)),
        }
    }

    /// A port for packets of a size, which is nobody else's meanwhile.
    fn hold(&mut self, size: u32, connect: u16) -> Result<u16, SendError> {
        if let Some((_, port)) = self.held.get(&size) {
            return Ok(*port);
        }
        let refused =
            |error: std::io::Error| SendError::new(Errno::from_io_error(&error).unwrap_or(Errno::IO), None);
        let (fd, port) = if connect == 0 {
            let local = self.local.unwrap_or_else(|| self.unspecified());
            let domain = if local.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
            let fd = rustix::net::socket_with(domain, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .map_err(|errno| SendError::new(errno, None))?;
            let scope = if self.target.scope == 0 { 0 } else { self.target.scope };
            let bound = match local {
                IpAddr::V4(_) => rustix::net::bind(&fd, &SocketAddr::new(local, 0)),
                IpAddr::V6(local) => rustix::net::bind(&fd, &SocketAddrV6::new(local, 0, 0, scope)),
            };
            bound.map_err(|errno| SendError::new(errno, None))?;
            let port = rustix::net::getsockname(&fd)
                .ok()
                .and_then(|name| SocketAddr::try_from(name).ok())
                .map_or(0, |name| name.port());
            (fd, port)
        } else {
            let udp = self.udp(connect).map_err(refused)?;
            let port = udp.local_addr().map_err(refused)?.port();
            let fd = OwnedFd::from(udp);
            discovery(&fd, self.target.destination.is_ipv6(), self.discover)
                .map_err(|_| SendError::Invalid)?;
            (fd, port)
        };
        self.held.insert(size, (fd, port));
        Ok(port)
    }

    fn any_udp(&self) -> std::io::Result<UdpSocket> {
        // Connecting sends nothing; the port does not matter.
        self.udp(9)
    }

    /// A socket of UDP that is connected to the destination.
    fn udp(&self, port: u16) -> std::io::Result<UdpSocket> {
        let udp = UdpSocket::bind((self.target.source.unwrap_or_else(|| self.unspecified()), 0))?;
        match self.target.destination {
            IpAddr::V4(to) => udp.connect((to, port))?,
            IpAddr::V6(to) => udp.connect(SocketAddrV6::new(to, port, 0, self.target.scope))?,
        }
        Ok(udp)
    }

    fn unspecified(&self) -> IpAddr {
        if self.target.destination.is_ipv6() {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        }
    }
}

/// Nobody may cut what a socket sends in pieces.
fn discovery(fd: &OwnedFd, v6: bool, discover: Discover) -> Result<()> {
    let what = "forbid a socket fragmentation";
    let fd = fd.as_fd();
    if v6 {
        let how =
            if discover == Discover::Probe { libc::IPV6_PMTUDISC_PROBE } else { libc::IPV6_PMTUDISC_DO };
        set(fd, (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER), &how).context(|| what)?;
        set(fd, (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG), &1_i32).context(|| what)?;
    } else {
        let how = if discover == Discover::Probe { libc::IP_PMTUDISC_PROBE } else { libc::IP_PMTUDISC_DO };
        set(fd, (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER), &how).context(|| what)?;
    }
    Ok(())
}

/// The standard library seeds its hashers from the system's randomness.
fn nonce() -> Nonce {
    std::collections::hash_map::RandomState::new().build_hasher().finish().to_ne_bytes()
}

//! Sending the probe, and hearing what its sender is told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nslab_kernel::error::Context;
use nslab_kernel::netlink::{self, Socket};
use nslab_kernel::route::Lookup;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SendFlags, SocketFlags, SocketType, ipproto, sockopt};

use super::Heard;
use super::hear::Ear;
use super::probe::{Kind, Probe};
use super::recognise::Recogniser;
use crate::Result;
use crate::ping::icmp::checksum;
use crate::sockopt::set;

/// `TCP_SEND_QUEUE` (`include/uapi/linux/tcp.h`).
const TCP_SEND_QUEUE: libc::c_int = 2;
/// ICMP's and `ICMPv6`'s types of an echo request.
const ECHO: u8 = 8;
const ECHO6: u8 = 128;

/// What sends the probe. It stays in the namespace in which it was opened.
pub(super) struct Sender<'p> {
    probe: &'p Probe,
    /// None once it may not take packets that are for others.
    socket: Option<OwnedFd>,
    ear: Ear,
    /// It cannot be from the address that is wanted.
    broken: Option<Errno>,
    told: bool,
    /// A connection is not to be reset.
    keeps: bool,
    /// One that was made and is kept.
    made: Option<Made>,
}

/// A connection that was made.
pub(super) struct Made {
    pub(super) socket: OwnedFd,
    /// The other end has reset it already; its socket says so once.
    pub(super) is_reset: bool,
}

impl<'p> Sender<'p> {
    /// Prepares it in the namespace that the calling thread is in. Of TCP, `keeps` says not to reset a connection that is made.
    pub(super) fn open(probe: &'p Probe, keeps: bool) -> Result<Self> {
        let ipv6 = probe.destination.is_ipv6();
        let domain = if ipv6 { AddressFamily::INET6 } else { AddressFamily::INET };
        let (kind, protocol) = match probe.kind {
            Kind::Echo { .. } if ipv6 => (SocketType::RAW, Some(ipproto::ICMPV6)),
            Kind::Echo { .. } => (SocketType::RAW, Some(ipproto::ICMP)),
            Kind::Udp { .. } => (SocketType::DGRAM, None),
            Kind::Tcp { .. } => (SocketType::STREAM, None),
            Kind::Other(number) => {
                let number = std::num::NonZero::new(u32::from(number));
                (SocketType::RAW, number.map(Protocol::from_raw))
            }
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(domain, kind, flags, protocol)
            .context(|| "open a socket for the probe")?;
        let mut sender = Self {
            probe,
            socket: Some(socket),
            ear: Ear::open(ipv6)?,
            broken: None,
            told: false,
            keeps,
            made: None,
        };
        sender.configure().context(|| "set up a socket for the probe")?;
        Ok(sender)
    }

    fn configure(&mut self) -> Result<(), Errno> {
        let probe = self.probe;
        let Some(socket) = &self.socket else { return Ok(()) };
        let fd = socket.as_fd();
        let is_tcp = matches!(probe.kind, Kind::Tcp { .. });
        if probe.mark != 0 {
            set(fd, (libc::SOL_SOCKET, libc::SO_MARK), &probe.mark)?;
        }
        // What the kernel learned of the way from other packets is not to matter.
        if probe.destination.is_ipv6() {
            if let Some(ttl) = probe.ttl {
                set(fd, (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS), &i32::from(ttl))?;
            }
            if !is_tcp && probe.dont_fragment {
                set(fd, (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER), &libc::IPV6_PMTUDISC_PROBE)?;
                set(fd, (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG), &1_i32)?;
            } else if !is_tcp && self.has_learned() {
                // Cut as the interface wants it. `PROBE` would have it refused (`ip6_sk_ignore_df`, `include/net/ip6_route.h`).
                set(fd, (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER), &libc::IPV6_PMTUDISC_OMIT)?;
            }
        } else {
            set(fd, (libc::SOL_SOCKET, libc::SO_BROADCAST), &1_i32)?;
            if let Some(ttl) = probe.ttl {
                set(fd, (libc::IPPROTO_IP, libc::IP_TTL), &i32::from(ttl))?;
            }
            if !is_tcp {
                let how = if probe.dont_fragment { libc::IP_PMTUDISC_PROBE } else { libc::IP_PMTUDISC_DONT };
                set(fd, (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER), &how)?;
            }
        }
        if is_tcp {
            if !self.keeps {
                // Closing it ends the connection at once.
                sockopt::set_socket_linger(fd, Some(Duration::ZERO))?;
            }
            // The first sequence number is ours (`do_tcp_setsockopt`, `net/ipv4/tcp.c`).
            let sequence = probe.sequence();
            set(fd, (libc::IPPROTO_TCP, libc::TCP_REPAIR), &1_i32)?;
            set(fd, (libc::IPPROTO_TCP, libc::TCP_REPAIR_QUEUE), &TCP_SEND_QUEUE)?;
            set(fd, (libc::IPPROTO_TCP, libc::TCP_QUEUE_SEQ), &sequence)?;
            set(fd, (libc::IPPROTO_TCP, libc::TCP_REPAIR), &0_i32)?;
        }
        let own = match probe.kind {
            Kind::Udp { source, .. } | Kind::Tcp { source, .. } => source,
            _ => 0,
        };
        if probe.source.is_some() || own != 0 {
            let bound = match (probe.source, probe.destination.is_ipv6()) {
                (Some(IpAddr::V4(source)), _) => rustix::net::bind(fd, &SocketAddrV4::new(source, own)),
                (Some(IpAddr::V6(source)), _) => {
                    let scope = if source.is_unicast_link_local() { self.scope() } else { 0 };
                    rustix::net::bind(fd, &SocketAddrV6::new(source, own, 0, scope))
                }
                (None, false) => rustix::net::bind(fd, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, own)),
                (None, true) => rustix::net::bind(fd, &SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, own, 0, 0)),
            };
            self.broken = bound.err();
        }
        Ok(())
    }

    /// Whether the kernel was told before how large a packet gets through. What a route itself says is to count.
    fn has_learned(&self) -> bool {
        let probe = self.probe;
        let lookup = Lookup {
            from: probe.source,
            oif: probe.link,
            mark: probe.mark,
            ..Lookup::new(probe.destination)
        };
        let mut socket = Socket::open(netlink::Protocol::Route);
        let learned = socket.as_mut().ok().and_then(|socket| lookup.path_mtu(socket).ok());
        learned.is_some_and(|path| path.expires.is_some())
    }

    fn scope(&self) -> u32 {
        self.probe.link.unwrap_or(0)
    }

    /// Sends it. The error is the kernel's refusal.
    pub(super) fn send(&mut self) -> Result<(), Errno> {
        if let Some(errno) = self.broken {
            return Err(errno);
        }
        let probe = self.probe;
        let Some(socket) = &self.socket else { return Ok(()) };
        let (bytes, port) = match probe.kind {
            Kind::Echo { id } => (echo(probe.destination.is_ipv6(), id, &probe.payload()), 0),
            Kind::Udp { destination, .. } => (probe.payload(), destination),
            Kind::Tcp { destination, .. } => (Vec::new(), destination),
            Kind::Other(_) => (probe.payload(), 0),
        };
        let v4 = |to: Ipv4Addr| SocketAddrV4::new(to, port);
        let v6 = |to: Ipv6Addr| SocketAddrV6::new(to, port, 0, self.scope());
        if let Kind::Tcp { .. } = probe.kind {
            let begun = match probe.destination {
                IpAddr::V4(to) => rustix::net::connect(socket, &v4(to)),
                IpAddr::V6(to) => rustix::net::connect(socket, &v6(to)),
            };
            return match begun {
                Err(Errno::INPROGRESS) => Ok(()),
                // Refused within this host, before the call was over: that is heard of below.
                Err(Errno::CONNREFUSED) => {
                    self.told = true;
                    Ok(())
                }
                // Nothing will be heard of it: not even by this socket, which tells of no error then.
                begun => {
                    self.socket = None;
                    begun
                }
            };
        }
        let sent = match probe.destination {
            IpAddr::V4(to) => rustix::net::sendto(socket, &bytes, SendFlags::DONTWAIT, &v4(to)),
            IpAddr::V6(to) => rustix::net::sendto(socket, &bytes, SendFlags::DONTWAIT, &v6(to)),
        };
        if let Kind::Other(_) = probe.kind {
            // It would take packets of its protocol.
            self.socket = None;
        }
        sent.map(drop)
    }

    /// The connection, once it is made and if it is kept.
    pub(super) fn made(&mut self) -> Option<Made> {
        self.made.take()
    }

    /// What the sender has heard since it was last asked.
    pub(super) fn hear(&mut self, recogniser: &Recogniser<'_>, heard: &mut Vec<Heard>) {
        self.ear.hear(recogniser, heard);
        let from = self.probe.destination;
        let Some(socket) = &self.socket else { return };
        match self.probe.kind {
            Kind::Udp { .. } => {
                let mut buffer = [0; 64];
                // An error is a pending one, which the ear hears of as well.
                let length = rustix::net::recvfrom(socket, &mut buffer[..], rustix::net::RecvFlags::DONTWAIT);
                if let Ok((_, _, Some(address))) = length
                    && let Ok(address) = std::net::SocketAddr::try_from(address)
                {
                    heard.push(Heard::Answer { from: address.ip() });
                }
            }
            Kind::Tcp { .. } if std::mem::take(&mut self.told) => {
                heard.push(Heard::Reset { from });
                self.socket = None;
            }
            Kind::Tcp { .. } => {
                let mut fds = [PollFd::new(socket, PollFlags::OUT)];
                let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
                if !matches!(poll(&mut fds, Some(&now)), Ok(1)) {
                    return;
                }
                let told = sockopt::socket_error(socket);
                // Told once; an established connection is reset by closing it, unless it is kept.
                let socket = self.socket.take();
                match told {
                    // One that is reset at once was made all the same: before that it is a refusal (`tcp_reset`, `net/ipv4/tcp_input.c`).
                    Ok(made @ (Ok(()) | Err(Errno::CONNRESET | Errno::PIPE))) => {
                        heard.push(Heard::Answer { from });
                        let socket = socket.filter(|_| self.keeps);
                        self.made = socket.map(|socket| Made { socket, is_reset: made.is_err() });
                    }
                    Ok(Err(Errno::CONNREFUSED)) => heard.push(Heard::Reset { from }),
                    _ => {}
                }
            }
            Kind::Echo { .. } | Kind::Other(_) => {}
        }
    }
}

/// A message of ICMP. `ICMPv6`'s checksum is the kernel's work (RFC 3542, section 3.1).
fn echo(ipv6: bool, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![if ipv6 { ECHO6 } else { ECHO }, 0, 0, 0];
    message.extend(id.to_be_bytes());
    message.extend(1_u16.to_be_bytes());
    message.extend(payload);
    if !ipv6 {
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_sums_up() {
        for length in [0, 1, 56, 57] {
            let message = echo(false, 0xabcd, &vec![0xf7; length]);
            assert_eq!(checksum(&message), 0, "{length}");
        }
        assert_eq!(echo(true, 7, b"x"), [128, 0, 0, 0, 0, 7, 0, 1, b'x']);
    }
}

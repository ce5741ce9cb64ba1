//! A raw ICMP socket in a namespace.

use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nslab_kernel::error::Context;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sockopt};

use super::filter;
use super::icmp::Family;
use super::message::{Buffer, Received};
use super::outcome::SendError;
use super::{PingOptions, Probe};
use crate::Result;
use crate::sockopt::set;

/// Room for replies that come faster than they are read, and for requests that wait for a neighbour.
const BUFFER: u32 = 4 << 20;
/// `SOL_RAW` and `ICMP_FILTER` (`include/uapi/linux/icmp.h`).
const ICMP_FILTER: (i32, i32) = (255, 1);
/// `SOL_ICMPV6` and `ICMPV6_FILTER` (`include/uapi/linux/icmpv6.h`).
const ICMP6_FILTER: (i32, i32) = (58, 1);

/// A raw socket. It stays in the namespace in which it was opened.
pub(crate) struct Socket {
    fd: OwnedFd,
    family: Family,
    /// Why it cannot send at all: the source address is not here.
    broken: Option<SendError>,
}

/// Why a request was not sent.
pub(crate) enum NotSent {
    /// No room at the moment.
    Busy,
    /// A refusal.
    Refused(SendError),
}

impl Socket {
    /// Opens one in the namespace that the calling thread is in.
    pub(crate) fn open(family: Family, id: u16, options: &PingOptions) -> Result<Self> {
        let (domain, protocol) = match family {
            Family::V4 => (AddressFamily::INET, ipproto::ICMP),
            Family::V6 => (AddressFamily::INET6, ipproto::ICMPV6),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(domain, SocketType::RAW, flags, Some(protocol))
            .context(|| "open a raw ICMP socket")?;
        let mut socket = Self { fd, family, broken: None };
        socket.configure(id, options)?;
        Ok(socket)
    }

    fn configure(&mut self, id: u16, options: &PingOptions) -> Result<()> {
        let what = "set up a raw ICMP socket";
        let fd = self.fd.as_fd();
        let mut program = filter::program(self.family, id);
        let program =
            libc::sock_fprog { len: program.len().try_into().unwrap_or(0), filter: program.as_mut_ptr() };
        set(fd, (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER), &program).context(|| what)?;
        set(fd, (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS), &1_i32).context(|| what)?;
        // Past the system's limit needs privilege over the whole host, which an ordinary user's namespace does not
        // give: then as much as the limit allows.
        if sockopt::set_socket_recv_buffer_size_force(fd, BUFFER as usize).is_err() {
            sockopt::set_socket_recv_buffer_size(fd, BUFFER as usize).context(|| what)?;
        }
        if set(fd, (libc::SOL_SOCKET, libc::SO_SNDBUFFORCE), &BUFFER).is_err() {
            sockopt::set_socket_send_buffer_size(fd, BUFFER as usize).context(|| what)?;
        }
        match self.family {
            Family::V4 => {
                // With PROBE the kernel sets DF and forgets what it knows of the way's MTU, so that each request tests
                // the way itself (ip(7)).
                let discover =
                    if options.dont_fragment { libc::IP_PMTUDISC_PROBE } else { libc::IP_PMTUDISC_DONT };
                set(fd, ICMP_FILTER, &filter::TYPES_V4).context(|| what)?;
                set(fd, (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER), &discover).context(|| what)?;
                // Without it the kernel reports a packet as sent that found no neighbour table entry (`raw_sendmsg`).
                set(fd, (libc::IPPROTO_IP, libc::IP_RECVERR), &1_i32).context(|| what)?;
                if let Some(ttl) = options.ttl {
                    set(fd, (libc::IPPROTO_IP, libc::IP_TTL), &i32::from(ttl)).context(|| "set the TTL")?;
                }
            }
            Family::V6 => {
                set(fd, ICMP6_FILTER, &filter::TYPES_V6).context(|| what)?;
                if options.dont_fragment {
                    let probe = libc::IPV6_PMTUDISC_PROBE;
                    set(fd, (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER), &probe).context(|| what)?;
                    set(fd, (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG), &1_i32).context(|| what)?;
                }
                set(fd, (libc::IPPROTO_IPV6, libc::IPV6_RECVERR), &1_i32).context(|| what)?;
                set(fd, (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT), &1_i32).context(|| what)?;
                if let Some(ttl) = options.ttl {
                    let option = (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS);
                    set(fd, option, &i32::from(ttl)).context(|| "set the hop limit")?;
                }
            }
        }
        let bound = match (options.source_address, self.family) {
            (Some(IpAddr::V4(address)), Family::V4) => rustix::net::bind(fd, &SocketAddrV4::new(address, 0)),
            (Some(IpAddr::V6(address)), Family::V6) => {
                rustix::net::bind(fd, &SocketAddrV6::new(address, 0, 0, 0))
            }
            _ => Ok(()),
        };
        self.broken = bound.err().map(|errno| SendError::new(errno, None));
        Ok(())
    }

    /// Sends `packet` to the probe's destination.
    pub(crate) fn send(&self, packet: &[u8], probe: &Probe, buffer: &mut Buffer) -> Result<(), NotSent> {
        if let Some(error) = self.broken {
            return Err(NotSent::Refused(error));
        }
        // An ICMP error about an earlier packet, also of another program's ping, is kept as the socket's pending error
        // and returned by the next call (`raw_err`). Such an error is gone once returned; a real one comes again.
        let mut last = Errno::IO;
        for _ in 0..4 {
            let sent = match probe.destination {
                IpAddr::V4(to) => {
                    rustix::net::sendto(&self.fd, packet, SendFlags::DONTWAIT, &SocketAddrV4::new(to, 0))
                }
                IpAddr::V6(to) => {
                    let to = SocketAddrV6::new(to, 0, 0, probe.scope);
                    rustix::net::sendto(&self.fd, packet, SendFlags::DONTWAIT, &to)
                }
            };
            match sent {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => return Err(NotSent::Busy),
                Err(errno) => {
                    let mtu = self.drain_errors(buffer);
                    if mtu.is_some() || !can_be_pending(errno) {
                        return Err(NotSent::Refused(SendError::new(errno, mtu)));
                    }
                    last = errno;
                }
            }
        }
        Err(NotSent::Refused(SendError::new(last, None)))
    }

    /// The next packet; `None` when there is none.
    pub(crate) fn receive<'a>(&self, buffer: &'a mut Buffer) -> Option<Received<'a>> {
        // An error here is a pending one about another packet: what it tells also comes as a packet.
        buffer.receive(self.fd.as_fd(), false).ok()
    }

    /// Empties the error queue. ICMP errors in it come as packets too, where the filter keeps out those about other
    /// programs' packets, so that only the kernel's own words matter: the MTU, where a packet was too big for it.
    pub(crate) fn drain_errors(&self, buffer: &mut Buffer) -> Option<u32> {
        let mut mtu = None;
        while let Ok(received) = buffer.receive(self.fd.as_fd(), true) {
            if let Some(error) =
                received.error.filter(|error| error.local && error.errno == libc::EMSGSIZE as u32)
            {
                mtu = Some(error.info);
            }
        }
        mtu
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The time of day, which is what the kernel stamps packets with.
pub(crate) fn time_of_day() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

/// Whether an ICMP message can have caused it (`icmp_err_convert` in `net/ipv4/icmp.c`, `icmpv6_err_convert`).
fn can_be_pending(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NETUNREACH
            | Errno::HOSTUNREACH
            | Errno::NOPROTOOPT
            | Errno::CONNREFUSED
            | Errno::MSGSIZE
            | Errno::OPNOTSUPP
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::PROTO
            | Errno::ACCESS
    )
}

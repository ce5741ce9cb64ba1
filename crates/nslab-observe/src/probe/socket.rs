//! Sockets of connections and datagrams, each for one probe.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nslab_kernel::error::Context;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::Answer;
use crate::Result;
use crate::ping::icmp::{self, Family};
use crate::ping::message::Buffer;
use crate::ping::{IcmpError, IcmpErrorKind, SendError};
use crate::sockopt::set;

/// `TCP_SEND_QUEUE` of `TCP_REPAIR_QUEUE`, and `TCP_REPAIR_OFF_NO_WP` (`include/uapi/linux/tcp.h`).
const SEND_QUEUE: i32 = 2;
const REPAIR_OFF: i32 = -1;

/// What came of sending.
pub(super) enum Sent {
    /// It is on its way, by a socket of its own unless it is an echo.
    Off(Option<OwnedFd>),
    /// There is no room at the moment.
    Busy,
    /// The kernel refuses.
    Refused(SendError),
}

/// Begins a connection from the namespace that the calling thread is in, whose first sequence number is `sequence`.
pub(super) fn connect(to: SocketAddr, sequence: u32) -> Result<Sent> {
    let socket = open(to.ip(), SocketType::STREAM).context(|| "open a socket of TCP")?;
    // Without it the probe works as well, but is not known elsewhere.
    let _ = number(socket.as_fd(), sequence);
    Ok(match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Sent::Off(Some(socket)),
        Err(errno) => refused(errno),
    })
}

/// Sends a datagram from the namespace that the calling thread is in; with `whole` it is not to be fragmented.
pub(super) fn send(to: SocketAddr, payload: &[u8], whole: bool, buffer: &mut Buffer) -> Result<Sent> {
    let socket = open(to.ip(), SocketType::DGRAM).context(|| "open a socket of UDP")?;
    if whole {
        let fd = socket.as_fd();
        let what = "forbid fragments";
        if to.is_ipv6() {
            let probe = libc::IPV6_PMTUDISC_PROBE;
            set(fd, (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER), &probe).context(|| what)?;
            set(fd, (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG), &1_i32).context(|| what)?;
        } else {
            let probe = libc::IP_PMTUDISC_PROBE;
            set(fd, (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER), &probe).context(|| what)?;
        }
    }
    let sent = rustix::net::connect(&socket, &to)
        .and_then(|()| rustix::net::send(&socket, payload, SendFlags::DONTWAIT));
    Ok(match sent {
        Ok(_) => Sent::Off(Some(socket)),
        Err(Errno::MSGSIZE) => {
            let told = buffer.receive(socket.as_fd(), true).ok().and_then(|received| received.error);
            Sent::Refused(SendError::TooBig { mtu: told.map(|told| told.info) })
        }
        Err(errno) => refused(errno),
    })
}

fn refused(errno: Errno) -> Sent {
    match errno {
        Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM => Sent::Busy,
        errno => Sent::Refused(SendError::new(errno, None)),
    }
}

fn open(to: IpAddr, kind: SocketType) -> std::result::Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (domain, errors) = if to.is_ipv6() {
        (AddressFamily::INET6, (libc::IPPROTO_IPV6, libc::IPV6_RECVERR))
    } else {
        (AddressFamily::INET, (libc::IPPROTO_IP, libc::IP_RECVERR))
    };
    let socket = rustix::net::socket_with(domain, kind, flags, None)?;
    set(socket.as_fd(), errors, &1_i32)?;
    Ok(socket)
}

/// Sets the number of the first byte: a socket that is under repair takes it (`TCP_QUEUE_SEQ`, net/ipv4/tcp.c), and a connection
/// begins with the number that it finds (`tcp_v4_connect`).
fn number(socket: BorrowedFd<'_>, sequence: u32) -> std::result::Result<(), Errno> {
    set(socket, (libc::IPPROTO_TCP, libc::TCP_REPAIR), &1_i32)?;
    let numbered = set(socket, (libc::IPPROTO_TCP, libc::TCP_REPAIR_QUEUE), &SEND_QUEUE)
        .and_then(|()| set(socket, (libc::IPPROTO_TCP, libc::TCP_QUEUE_SEQ), &sequence));
    let ended = set(socket, (libc::IPPROTO_TCP, libc::TCP_REPAIR), &REPAIR_OFF);
    numbered.and(ended)
}

/// What a connection came to; none if it is still being made.
pub(super) fn connected(socket: BorrowedFd<'_>, buffer: &mut Buffer) -> Option<Answer> {
    match rustix::net::sockopt::socket_error(socket) {
        Ok(Ok(())) => rustix::net::getpeername(socket).is_ok().then_some(Answer::Answered),
        Ok(Err(errno)) | Err(errno) => Some(queued(socket, buffer).unwrap_or_else(|| match errno {
            Errno::CONNREFUSED | Errno::CONNRESET => Answer::Reset,
            Errno::TIMEDOUT => Answer::Silence,
            // A kernel that queues no errors of connections that are being made.
            errno => {
                let kind = match errno {
                    Errno::NETUNREACH => IcmpErrorKind::NetworkUnreachable,
                    Errno::HOSTUNREACH => IcmpErrorKind::HostUnreachable,
                    Errno::ACCESS => IcmpErrorKind::Prohibited,
                    _ => IcmpErrorKind::Unreachable,
                };
                Answer::Icmp { from: None, error: IcmpError { kind, icmp_type: 0, code: 0 } }
            }
        })),
    }
}

/// What came for a datagram; none if it is nothing of ours.
pub(super) fn answered(socket: BorrowedFd<'_>, buffer: &mut Buffer) -> Option<Answer> {
    if let Some(error) = queued(socket, buffer) {
        return Some(error);
    }
    // The socket is connected: only the destination's answers come to it.
    let mut byte = [0_u8; 1];
    rustix::net::recv(socket, &mut byte, RecvFlags::DONTWAIT).is_ok().then_some(Answer::Answered)
}

/// The first error of ICMP in the socket's queue.
fn queued(socket: BorrowedFd<'_>, buffer: &mut Buffer) -> Option<Answer> {
    loop {
        let received = buffer.receive(socket, true).ok()?;
        let Some(told) = received.error.filter(|told| !told.local) else { continue };
        let is_ipv6 = told.offender.is_some_and(|from| from.is_ipv6());
        let family = if is_ipv6 { Family::V6 } else { Family::V4 };
        let (kind, code) = told.icmp;
        if let Some(error) = icmp::error(family, kind, code, told.info) {
            return Some(Answer::Icmp { from: told.offender, error });
        }
    }
}

//! `recvmsg(2)` with the things that come beside the bytes: when, from whom, with which hop limit, with which error.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use rustix::io::Errno;

/// The longest packet, with room to spare.
const LARGEST: usize = 66_000;

/// Bytes of `struct sockaddr_in6`, the longest address.
const NAME: libc::socklen_t = 28;

/// Memory to receive into, kept from call to call.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    control: [u8; 512],
}

/// A packet, or an entry of the error queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) bytes: &'a [u8],
    /// The sender (of an entry of the error queue: where the packet was to go).
    pub(crate) from: Option<IpAddr>,
    /// When the kernel received it, since the epoch.
    pub(crate) time: Option<Duration>,
    /// IPv6's hop limit.
    pub(crate) hop_limit: Option<u8>,
    /// What the error queue says.
    pub(crate) error: Option<QueuedError>,
}

/// `struct sock_extended_err` (`include/uapi/linux/errqueue.h`), as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueuedError {
    /// The error number, as the kernel wrote it.
    pub(crate) errno: u32,
    /// It is the own kernel's refusal to send, not an ICMP message (`SO_EE_ORIGIN_LOCAL`).
    pub(crate) local: bool,
    /// For `EMSGSIZE`: the MTU.
    pub(crate) info: u32,
    /// The ICMP message's type and code.
    pub(crate) icmp: (u8, u8),
    /// Who sent it.
    pub(crate) offender: Option<IpAddr>,
}

impl Buffer {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; LARGEST], control: [0; 512] }
    }

    /// The next packet, or the next entry of the error queue; never waits.
    pub(crate) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        error_queue: bool,
    ) -> Result<Received<'_>, Errno> {
        let mut name = [0_u8; NAME as usize];
        let mut part = libc::iovec { iov_base: self.bytes.as_mut_ptr().cast(), iov_len: self.bytes.len() };
        // SAFETY: all-zero is a valid msghdr: null pointers with zero lengths.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_name = name.as_mut_ptr().cast();
        header.msg_namelen = NAME;
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = self.control.as_mut_ptr().cast();
        header.msg_controllen = self.control.len() as _;
        let flags = libc::MSG_DONTWAIT | if error_queue { libc::MSG_ERRQUEUE } else { 0 };
        // SAFETY: every pointer in `header` points to memory of the length given with it, borrowed for the call.
        let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
        let Ok(len) = usize::try_from(len) else {
            return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO));
        };
        #[allow(clippy::unnecessary_cast, reason = "its type differs between C libraries")]
        let control_len = (header.msg_controllen as usize).min(self.control.len());
        let mut received = Received {
            bytes: &self.bytes[..len],
            from: address(&name[..(header.msg_namelen as usize).min(name.len())]),
            time: None,
            hop_limit: None,
            error: None,
        };
        for (level, kind, data) in controls(&self.control[..control_len]) {
            received.take(level, kind, data);
        }
        Ok(received)
    }
}

impl Received<'_> {
    fn take(&mut self, level: i32, kind: i32, data: &[u8]) {
        let word = |at: usize| Some(u32::from_ne_bytes(*data.get(at..)?.first_chunk()?));
        match (level, kind) {
            // A timespec of two longs.
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) if data.len() >= 16 => {
                let long = |at: usize| data[at..].first_chunk().map_or(0, |bytes| i64::from_ne_bytes(*bytes));
                let (seconds, nanos) = (u64::try_from(long(0)), u32::try_from(long(8)));
                self.time =
                    seconds.ok().zip(nanos.ok()).map(|(seconds, nanos)| Duration::new(seconds, nanos));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                self.hop_limit = word(0).and_then(|hops| hops.try_into().ok());
            }
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                // The offender's address stands behind it (`SO_EE_OFFENDER`).
                let offender = data.get(16..).and_then(address);
                let bytes = data.get(4..).and_then(|bytes| bytes.first_chunk());
                self.error = word(0).zip(word(8)).zip(bytes).map(|((errno, info), &[origin, kind, code])| {
                    let local = origin == libc::SO_EE_ORIGIN_LOCAL;
                    QueuedError { errno, local, info, icmp: (kind, code), offender }
                });
            }
            _ => {}
        }
    }
}

/// Reads a `sockaddr_in` or `sockaddr_in6`.
fn address(name: &[u8]) -> Option<IpAddr> {
    let family = i32::from(u16::from_ne_bytes(*name.first_chunk()?));
    match family {
        libc::AF_INET => Some(Ipv4Addr::from(*name.get(4..)?.first_chunk::<4>()?).into()),
        libc::AF_INET6 => Some(Ipv6Addr::from(*name.get(8..)?.first_chunk::<16>()?).into()),
        _ => None,
    }
}

/// The control messages (cmsg(3)) in `bytes`: level, type, content. Ends at the first that is cut off.
fn controls(mut bytes: &[u8]) -> impl Iterator<Item = (i32, i32, &[u8])> {
    const HEADER: usize = size_of::<libc::cmsghdr>();
    const WORD: usize = size_of::<usize>();
    std::iter::from_fn(move || {
        let len = usize::from_ne_bytes(*bytes.first_chunk::<WORD>()?);
        let int = |at: usize| Some(i32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let (level, kind) = (int(WORD)?, int(WORD + 4)?);
        let data = bytes.get(HEADER..len)?;
        bytes = bytes.get(len.next_multiple_of(WORD)..).unwrap_or_default();
        Some((level, kind, data))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reading_takes_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200), len in 0_usize..64) {
            let mut control = len.to_ne_bytes().to_vec();
            control.extend_from_slice(&bytes);
            let mut received = Received { bytes: &[], from: None, time: None, hop_limit: None, error: None };
            for (_, _, data) in controls(&control) {
                for (level, kind) in [
                    (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS),
                    (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT),
                    (libc::IPPROTO_IP, libc::IP_RECVERR),
                ] {
                    received.take(level, kind, data);
                }
            }
            let _ = address(&bytes);
        }
    }
}

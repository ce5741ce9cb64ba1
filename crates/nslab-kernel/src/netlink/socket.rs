//! A netlink socket: requests out, answers in.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::attribute::Attributes;
use super::batch::{Batch, BatchError};
use super::message::{HEADER_LEN, MessageWriter, Request, align};
use crate::abi::{AF_INET, AF_INET6};
use crate::error::{Context, Error, Refusal, Result};

/// At most this many messages go into one send: should the kernel refuse every one of them, its answers (about
/// 800 bytes of kernel memory each) still fit into the default receive buffer of 212992 bytes.
const MESSAGES_PER_SEND: usize = 192;
/// At most this many bytes go into one send, well below the default send buffer.
const BYTES_PER_SEND: usize = 64 * 1024;
/// The kernel fills at most 32 KiB of a dump into one datagram (`netlink_dump`, `net/netlink/af_netlink.c`).
const RECEIVE_BUFFER: usize = 64 * 1024;
/// How often a dump that was overtaken by changes is read again.
const DUMP_ATTEMPTS: usize = 16;

/// The bytes of a socket option that is on or off.
pub(super) const OPTION_LEN: libc::socklen_t = 4;

pub(super) const NLM_F_REQUEST: u16 = 0x1;
pub(super) const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
pub(super) const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSGERR_ATTR_OFFS: u16 = 2;

/// Which part of the kernel a socket talks to (`include/uapi/linux/netlink.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes, rules, neighbours, qdiscs (`NETLINK_ROUTE`).
    Route,
    /// Sockets (`NETLINK_SOCK_DIAG`).
    SockDiag,
    /// nftables and conntrack (`NETLINK_NETFILTER`).
    Netfilter,
    /// Families that are found by name, WireGuard's among them (`NETLINK_GENERIC`).
    Generic,
}

/// A netlink socket. It belongs to the namespace in which it was opened, for as long as it lives.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

thread_local! {
    /// A thread's buffer for what it receives while it is not in use: a program may hold thousands of sockets.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The thread's buffer, or a new one if that is in use (by a callback that uses another socket).
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
}

impl Buffer {
    pub(super) fn take() -> Self {
        let spare = SPARE.take();
        Self { bytes: if spare.is_empty() { vec![0; RECEIVE_BUFFER] } else { spare } }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        // Nothing is kept once the thread is ending.
        let _ = SPARE.try_with(|spare| spare.set(bytes));
    }
}

/// One message that came in.
pub(crate) struct Incoming<'a> {
    pub(crate) kind: u16,
    flags: u16,
    pub(super) sequence: u32,
    pub(crate) payload: &'a [u8],
}

impl Socket {
    /// Opens a socket in the namespace that the calling thread is in.
    pub fn open(protocol: Protocol) -> Result<Self> {
        let protocol = match protocol {
            Protocol::Route => libc::NETLINK_ROUTE,
            Protocol::SockDiag => libc::NETLINK_SOCK_DIAG,
            Protocol::Netfilter => libc::NETLINK_NETFILTER,
            Protocol::Generic => libc::NETLINK_GENERIC,
        };
        // SAFETY: no memory is passed; the descriptor that comes back is ours alone.
        let fd = unsafe {
            let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol);
            if fd < 0 {
                return Err(Error::io("open a netlink socket", io::Error::last_os_error()));
            }
            OwnedFd::from_raw_fd(fd)
        };
        let socket = Self { fd, sequence: 1 };
        // Short acknowledgements with the kernel's own words in them (4.12), and requests for dumps checked as
        // strictly as other requests, so that their filters are obeyed (4.20). Older kernels refuse the option and
        // work without.
        for option in [libc::NETLINK_CAP_ACK, libc::NETLINK_EXT_ACK, libc::NETLINK_GET_STRICT_CHK] {
            let on: libc::c_int = 1;
            // SAFETY: `on` outlives the call and its size is the one that is passed.
            unsafe {
                libc::setsockopt(
                    socket.fd.as_raw_fd(),
                    libc::SOL_NETLINK,
                    option,
                    (&raw const on).cast(),
                    OPTION_LEN,
                );
            }
        }
        Ok(socket)
    }

    /// Sends one request and waits until it is done.
    pub fn request(&mut self, request: &dyn Request) -> Result<()> {
        let mut batch = Batch::new();
        batch.push(request);
        match self.execute(&mut batch)? {
            Ok(()) => Ok(()),
            Err(error) => {
                let refusal = error.refused.into_iter().next().map(|(_, refusal)| refusal);
                Err(request.refused(refusal.unwrap_or(Refusal {
                    errno: Errno::IO,
                    text: None,
                    offset: None,
                })))
            }
        }
    }

    /// Sends all requests of `batch` and waits until they are done; the outer error is one of the socket, the inner
    /// one lists what the kernel refused.
    ///
    /// Only the last message of a send asks for an acknowledgement: the kernel works through one send in order and
    /// answers a refused message in any case, so the acknowledgement of the last says that all are done.
    pub fn execute(&mut self, batch: &mut Batch) -> Result<Result<(), BatchError>> {
        let mut refused = Vec::new();
        let mut first = 0;
        while first < batch.starts.len() {
            let start = batch.starts[first];
            let mut end = first + 1;
            while end < batch.starts.len() && end - first < MESSAGES_PER_SEND {
                let next_end = batch.starts.get(end + 1).copied().unwrap_or(batch.bytes.len());
                if next_end - start > BYTES_PER_SEND {
                    break;
                }
                end += 1;
            }
            let stop = batch.starts.get(end).copied().unwrap_or(batch.bytes.len());
            let base = self.take_sequence(end - first);
            for (sequence, &message) in (base..).zip(&batch.starts[first..end]) {
                batch.bytes[message + 8..message + 12].copy_from_slice(&sequence.to_ne_bytes());
                let ack = if message == batch.starts[end - 1] { NLM_F_ACK } else { 0 };
                let flags = &mut batch.bytes[message + 6..message + 8];
                let asked = u16::from_ne_bytes([flags[0], flags[1]]) & !NLM_F_ACK;
                flags.copy_from_slice(&(asked | NLM_F_REQUEST | ack).to_ne_bytes());
            }
            self.send(&batch.bytes[start..stop])?;
            self.await_acknowledgement(base, end - first, first, &mut refused)?;
            first = end;
        }
        Ok(if refused.is_empty() { Ok(()) } else { Err(BatchError { refused }) })
    }

    /// Sends a request that is answered by one message, and gives its payload to `read`.
    pub fn get<T>(&mut self, request: &dyn Request, read: impl FnOnce(u16, &[u8]) -> Result<T>) -> Result<T> {
        let sequence = self.take_sequence(1);
        let mut bytes = Vec::new();
        MessageWriter::message(&mut bytes, request, NLM_F_REQUEST, sequence);
        self.send(&bytes)?;
        let mut read = Some(read);
        let mut buffer = Buffer::take();
        loop {
            let len = self.receive(&mut buffer)?;
            for message in messages(&buffer.bytes[..len]) {
                if message.sequence != sequence {
                    continue;
                }
                if message.kind == NLMSG_ERROR {
                    let refusal = refusal(&message)
                        .ok_or(Error::Malformed { what: "a request", problem: "an empty acknowledgement" })?;
                    return Err(request.refused(refusal));
                }
                if let Some(read) = read.take() {
                    return read(message.kind, message.payload);
                }
            }
        }
    }

    /// Sends a request for a list and gives each entry (message type and payload) to `entry`; forgets what it gave and
    /// starts anew when the kernel says that the list changed while it was read (`NLM_F_DUMP_INTR`) or that
    /// answers were lost.
    pub fn dump<T>(
        &mut self,
        what: &'static str,
        request: &dyn Request,
        mut entry: impl FnMut(u16, &[u8]) -> Result<Option<T>>,
    ) -> Result<Vec<T>> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut entries = Vec::new();
            if self.dump_once(request, &mut entry, &mut entries)? {
                return Ok(entries);
            }
        }
        Err(Error::Unstable { what })
    }

    /// As [`dump`](Self::dump), of IPv4 and then of IPv6, for messages whose payload begins with the family.
    ///
    /// A list of all families would be one request, but for that the kernel takes the lock that all namespaces share
    /// (RTNL, `rtnl_dump_all` in `net/core/rtnetlink.c`); those of one family it walks without, since Linux 6.9.
    pub fn dump_families<T, R: Request>(
        &mut self,
        what: &'static str,
        request: impl Fn(u8) -> R,
        mut entry: impl FnMut(u16, &[u8]) -> Result<Option<T>>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for family in [AF_INET, AF_INET6] {
            // Without IPv6 the kernel answers for the families that it has.
            let mut of_family = |kind, payload: &[u8]| match payload.first() {
                Some(first) if *first == family => entry(kind, payload),
                _ => Ok(None),
            };
            all.extend(self.dump(what, &request(family), &mut of_family)?);
        }
        Ok(all)
    }

    /// Whether the list is consistent.
    fn dump_once<T>(
        &mut self,
        request: &dyn Request,
        entry: &mut impl FnMut(u16, &[u8]) -> Result<Option<T>>,
        entries: &mut Vec<T>,
    ) -> Result<bool> {
        let sequence = self.take_sequence(1);
        let mut bytes = Vec::new();
        MessageWriter::message(&mut bytes, request, NLM_F_REQUEST | NLM_F_DUMP, sequence);
        self.send(&bytes)?;
        let mut consistent = true;
        // An error of `entry` is kept until the list has ended: the kernel allows no other dump on this socket before.
        let mut failed = None;
        let mut buffer = Buffer::take();
        loop {
            let len = match self.receive(&mut buffer) {
                Ok(len) => len,
                Err(error) if error.errno() == Some(Errno::NOBUFS) => {
                    consistent = false;
                    continue;
                }
                Err(error) => return Err(error),
            };
            for message in messages(&buffer.bytes[..len]) {
                if message.sequence != sequence {
                    continue;
                }
                consistent &= message.flags & NLM_F_DUMP_INTR == 0;
                match message.kind {
                    // A dump that fails on the way ends in NLMSG_DONE with the error number in it.
                    NLMSG_DONE | NLMSG_ERROR => {
                        return match (failed, refusal(&message)) {
                            (Some(error), _) => Err(error),
                            (None, None) => Ok(consistent),
                            (None, Some(refusal)) if refusal.errno == Errno::INTR => Ok(false),
                            (None, Some(refusal)) => Err(request.refused(refusal)),
                        };
                    }
                    kind if failed.is_none() => match entry(kind, message.payload) {
                        Ok(found) => entries.extend(found),
                        Err(error) => failed = Some(error),
                    },
                    _ => {}
                }
            }
        }
    }

    /// Waits for the acknowledgement of the last of `count` messages from sequence number `base` on; adds refusals
    /// under their place in the batch, the first message's being `place`.
    fn await_acknowledgement(
        &mut self,
        base: u32,
        count: usize,
        place: usize,
        refused: &mut Vec<(usize, Refusal)>,
    ) -> Result<()> {
        let mut buffer = Buffer::take();
        loop {
            let len = self.receive(&mut buffer)?;
            for message in messages(&buffer.bytes[..len]) {
                let offset = message.sequence.wrapping_sub(base) as usize;
                if message.kind != NLMSG_ERROR || offset >= count {
                    continue;
                }
                if let Some(refusal) = refusal(&message) {
                    refused.push((place + offset, refusal));
                }
                if offset == count - 1 {
                    return Ok(());
                }
            }
        }
    }

    pub(super) fn take_sequence(&mut self, count: usize) -> u32 {
        let first = self.sequence;
        self.sequence = self.sequence.wrapping_add(u32::try_from(count).unwrap_or(u32::MAX));
        first
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        let sent =
            rustix::io::retry_on_intr(|| rustix::net::send(&self.fd, bytes, rustix::net::SendFlags::empty()))
                .context(|| "send a netlink request")?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(Error::io("send a netlink request", io::Error::from(io::ErrorKind::WriteZero)))
        }
    }

    /// Waits for one datagram; returns its length.
    fn receive(&self, buffer: &mut Buffer) -> Result<usize> {
        let (_, len) = rustix::io::retry_on_intr(|| {
            // TRUNC gives the datagram's whole length even where the buffer is shorter.
            rustix::net::recv(&self.fd, &mut buffer.bytes[..], rustix::net::RecvFlags::TRUNC)
        })
        .context(|| "receive a netlink answer")?;
        if len <= buffer.bytes.len() {
            return Ok(len);
        }
        Err(Error::Malformed { what: "a request", problem: "a message longer than the kernel makes them" })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The refusal in an `NLMSG_ERROR` or `NLMSG_DONE`; none if it is an acknowledgement.
pub(super) fn refusal(message: &Incoming<'_>) -> Option<Refusal> {
    let code = i32::from_ne_bytes(*message.payload.first_chunk()?);
    if code == 0 {
        return None;
    }
    // Error numbers are below 4096 (`MAX_ERRNO`, include/linux/err.h).
    let errno = match code.checked_neg() {
        Some(code @ 1..4096) => Errno::from_raw_os_error(code),
        _ => Errno::IO,
    };
    // After the code: the request's header (whole request unless capped), then attributes (struct nlmsgerr).
    let attributes_at = match message.kind {
        NLMSG_DONE => 4,
        _ if message.flags & NLM_F_CAPPED != 0 => 4 + HEADER_LEN,
        _ => {
            let request_len =
                message.payload.get(4..8).and_then(|bytes| Some(u32::from_ne_bytes(*bytes.first_chunk()?)));
            4 + align(request_len.unwrap_or(0) as usize)
        }
    };
    let attributes =
        (message.flags & NLM_F_ACK_TLVS != 0).then(|| message.payload.get(attributes_at..)).flatten();
    let attribute = |kind| Attributes::new(attributes.unwrap_or_default()).get(kind);
    let text = attribute(NLMSGERR_ATTR_MSG).map(|attribute| attribute.text());
    let offset = attribute(NLMSGERR_ATTR_OFFS).and_then(|attribute| attribute.u32());
    Some(Refusal { errno, text, offset })
}

/// Takes a datagram apart, refusals with what the kernel says of them.
#[cfg(feature = "fuzz")]
pub(crate) fn take_apart(datagram: &[u8]) {
    messages(datagram).for_each(|message| drop(refusal(&message)));
}

/// The messages of one datagram; ends at the first that is cut off.
pub(crate) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Incoming<'_>> {
    std::iter::from_fn(move || {
        let header = datagram.first_chunk::<HEADER_LEN>()?;
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let len = word(0) as usize;
        let payload = datagram.get(HEADER_LEN..len)?;
        let message = Incoming { kind: half(4), flags: half(6), sequence: word(8), payload };
        datagram = datagram.get(align(len)..).unwrap_or_default();
        Some(message)
    })
}

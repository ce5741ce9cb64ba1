//! Requests that the kernel carries out all together or not at all (nfnetlink's batches, `net/netfilter/nfnetlink.c`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::batch::Batch;
use super::socket::{Buffer, NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, Socket, messages, refusal};
use crate::error::{Error, Refusal, Result};

/// The kernel's answers to a refused message take about this much of the receive buffer each.
const ANSWER_SPACE: usize = 1024;
/// No more is asked for, however many messages there are.
const MOST_ANSWER_SPACE: usize = 8 << 20;
/// What the kernel keeps of a send buffer for itself (`netlink_sendmsg`, `net/netlink/af_netlink.c`).
const SEND_OVERHEAD: usize = 32;

/// What became of requests that were sent as one.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All were carried out.
    Done,
    /// None was; these were refused, by their place. More may have been: not all answers could be kept.
    Refused(Vec<(usize, Refusal)>),
    /// It is more than this socket may send at once.
    TooLarge {
        /// The most that it may send, in bytes.
        limit: usize,
    },
}

impl Socket {
    /// Sends all requests of `batch` in one send, so that the kernel sees them as one transaction: the first is to be
    /// `NFNL_MSG_BATCH_BEGIN`, the last `NFNL_MSG_BATCH_END`. The request before the last asks for an acknowledgement.
    ///
    /// nfnetlink works within the system call that sends, so all its answers are there when that returns; none is waited
    /// for, and so a lost one (`ENOBUFS`, when thousands were refused) does no harm.
    pub(crate) fn transact(&mut self, batch: &mut Batch, acknowledged: usize) -> Result<Outcome> {
        let count = batch.starts.len();
        let base = self.take_sequence(count);
        for (place, &start) in batch.starts.iter().enumerate() {
            let sequence = base.wrapping_add(u32::try_from(place).unwrap_or(u32::MAX));
            batch.bytes[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
            let ack = if place == acknowledged { NLM_F_ACK } else { 0 };
            let flags = &mut batch.bytes[start + 6..start + 8];
            let asked = u16::from_ne_bytes([flags[0], flags[1]]) & !NLM_F_ACK;
            flags.copy_from_slice(&(asked | NLM_F_REQUEST | ack).to_ne_bytes());
        }
        self.grow(batch.bytes.len(), libc::SO_SNDBUF, libc::SO_SNDBUFFORCE);
        self.grow((count * ANSWER_SPACE).min(MOST_ANSWER_SPACE), libc::SO_RCVBUF, libc::SO_RCVBUFFORCE);
        let sent = rustix::io::retry_on_intr(|| rustix::net::send(&*self, &batch.bytes, SendFlags::empty()));
        match sent {
            Ok(len) if len == batch.bytes.len() => {}
            Ok(_) => return Err(Error::io("send a transaction", io::Error::from(io::ErrorKind::WriteZero))),
            Err(Errno::MSGSIZE) => {
                let limit = self.space(libc::SO_SNDBUF).saturating_sub(SEND_OVERHEAD);
                return Ok(Outcome::TooLarge { limit });
            }
            Err(error) => return Err(Error::io("send a transaction", error)),
        }
        self.answers(base, count, acknowledged)
    }

    /// Takes in all answers that are there.
    fn answers(&mut self, base: u32, count: usize, acknowledged: usize) -> Result<Outcome> {
        let mut refused = Vec::new();
        let mut done = false;
        let mut buffer = Buffer::take();
        loop {
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            let len = match rustix::net::recv(&*self, &mut buffer.bytes[..], flags) {
                Ok((_, len)) => len.min(buffer.bytes.len()),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR | Errno::NOBUFS) => continue,
                Err(error) => return Err(Error::io("receive the answer to a transaction", error)),
            };
            for message in messages(&buffer.bytes[..len]) {
                let place = message.sequence.wrapping_sub(base) as usize;
                if message.kind != NLMSG_ERROR || place >= count {
                    continue;
                }
                match refusal(&message) {
                    Some(refusal) => refused.push((place, refusal)),
                    None => done |= place == acknowledged,
                }
            }
        }
        // The acknowledgement comes also if something else was refused.
        match (refused.is_empty(), done) {
            (true, true) => Ok(Outcome::Done),
            (false, _) => Ok(Outcome::Refused(refused)),
            (true, false) => {
                Err(Error::Malformed { what: "a transaction", problem: "it was neither done nor refused" })
            }
        }
    }

    /// Bytes that a buffer has room for, as `SO_SNDBUF`.
    fn space(&self, option: libc::c_int) -> usize {
        let mut value: libc::c_int = 0;
        let mut len = super::socket::OPTION_LEN;
        // SAFETY: `value` and `len` outlive the call, and `len` is the size of `value`.
        unsafe {
            libc::getsockopt(
                self.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw mut value).cast(),
                &raw mut len,
            );
        }
        usize::try_from(value).unwrap_or(0)
    }

    /// Makes a buffer's room at least `bytes`, if that is allowed; beyond the system's limit (`net.core.wmem_max`,
    /// `net.core.rmem_max`) it is only to a process with `CAP_NET_ADMIN` over the whole machine.
    fn grow(&self, bytes: usize, option: libc::c_int, by_force: libc::c_int) {
        let wanted = bytes + SEND_OVERHEAD;
        if self.space(option) >= wanted {
            return;
        }
        let wanted = libc::c_int::try_from(wanted).unwrap_or(libc::c_int::MAX / 2);
        for option in [by_force, option] {
            // SAFETY: `wanted` outlives the call and its size is the one that is passed.
            let answer = unsafe {
                libc::setsockopt(
                    self.as_fd().as_raw_fd(),
                    libc::SOL_SOCKET,
                    option,
                    (&raw const wanted).cast(),
                    super::socket::OPTION_LEN,
                )
            };
            if answer == 0 {
                return;
            }
        }
    }
}

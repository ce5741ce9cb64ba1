//! The socket.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::frame::{Frames, filled};
use super::ring::{Block, Delivery, Ring, RingSize};
use super::{ETH_P_ALL, Instruction};
use crate::error::{Context, Result};

/// `PACKET_RX_RING`, `PACKET_STATISTICS`, `PACKET_VERSION`, `TPACKET_V2` and `TPACKET_V3` (`include/uapi/linux/if_packet.h`).
const PACKET_RX_RING: libc::c_int = 5;
const PACKET_STATISTICS: libc::c_int = 6;
const PACKET_VERSION: libc::c_int = 10;
const TPACKET_V2: libc::c_int = 1;
const TPACKET_V3: libc::c_int = 2;

/// What became of the frames that the filter took, since this was last asked (`struct tpacket_stats_v3`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many there were, those that were lost too.
    pub seen: u32,
    /// How many were lost, as no block was free.
    pub lost: u32,
    /// How often the kernel ran out of blocks; 0 where frames are handed over one by one.
    pub full: u32,
}

/// A packet socket with its ring. It stays in the namespace in which it was opened.
#[derive(Debug)]
pub struct PacketSocket {
    // Unmapped before the socket is closed, as the kernel frees the memory with the later of both.
    ring: Ring,
    delivery: Delivery,
    fd: OwnedFd,
}

impl PacketSocket {
    /// Opens one in the namespace that the calling thread is in; needs `CAP_NET_RAW` there. It gives nothing before it is
    /// [started](Self::start). Setting one up and closing it each takes the kernel about 10 ms, in which the thread waits
    /// (`synchronize_net`).
    pub fn open(size: RingSize) -> Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Without a protocol nothing comes until it is bound.
        let fd = rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)
            .context(|| "open a packet socket")?;
        let version = match size.delivery {
            Delivery::Blocks { .. } => TPACKET_V3,
            Delivery::Frames { .. } => TPACKET_V2,
        };
        set(fd.as_fd(), (libc::SOL_PACKET, PACKET_VERSION), &version).context(|| "set up a packet socket")?;
        set(fd.as_fd(), (libc::SOL_PACKET, PACKET_RX_RING), &size.request())
            .context(|| "set up a packet ring")?;
        let ring = Ring::map(fd.as_fd(), size)?;
        Ok(Self { ring, delivery: size.delivery, fd })
    }

    /// Sets what it is to give (`SO_ATTACH_FILTER`): frames for which the program gives a number of bytes, and so many of
    /// each. Fails with `EINVAL` if it is no program that the kernel takes.
    pub fn filter(&self, program: &[Instruction]) -> Result<()> {
        let mut program: Vec<libc::sock_filter> = program
            .iter()
            .map(|one| libc::sock_filter {
                code: one.code,
                jt: one.if_true,
                jf: one.if_false,
                k: one.operand,
            })
            .collect();
        let len = program.len().try_into().unwrap_or(u16::MAX);
        let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
        set(self.fd.as_fd(), (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER), &program)
            .context(|| "attach a filter to a packet socket")
    }

    /// From here on nothing is given that goes out (`PACKET_IGNORE_OUTGOING`, Linux 4.20): what a filter does not take costs a copy of its
    /// head, and this nothing.
    pub fn ignore_outgoing(&self) -> Result<()> {
        set(self.fd.as_fd(), (libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING), &1_i32)
            .context(|| "have a packet socket ignore what goes out")
    }

    /// Begins: from here on it gives what passes any interface of the namespace, also those that come later.
    pub fn start(&self) -> Result<()> {
        // SAFETY: all of it are numbers, for which zero is a value.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::sa_family_t::try_from(libc::AF_PACKET).unwrap_or(0);
        address.sll_protocol = ETH_P_ALL.to_be();
        #[allow(clippy::cast_possible_truncation, reason = "an address has a few bytes")]
        let len = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the kernel reads `len` bytes at the address, which is borrowed for the call.
        let done = unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), len) };
        check(done).context(|| "bind a packet socket")
    }

    /// Ends it: nothing that passes from here on is given. What came before is given within the ring's patience.
    pub fn stop(&self) -> Result<()> {
        self.filter(&[Instruction::give(0)])
    }

    /// How many blocks its ring has.
    pub fn blocks(&self) -> usize {
        self.ring.blocks()
    }

    /// Takes the next block that the kernel gave. The socket is readable while there is one.
    pub fn take(&mut self) -> Option<Block> {
        self.ring.take()
    }

    /// The frames of a block of this socket.
    ///
    /// # Panics
    /// If it is another socket's.
    pub fn frames(&self, block: &Block) -> Frames<'_> {
        let bytes = self.ring.bytes(block);
        match self.delivery {
            Delivery::Blocks { .. } => Frames::of(bytes),
            Delivery::Frames { .. } => Frames::alone(bytes),
        }
    }

    /// What is in a block of this socket, for [`frame_at`](super::frame_at).
    ///
    /// # Panics
    /// If it is another socket's.
    pub fn bytes(&self, block: &Block) -> &[u8] {
        self.ring.bytes(block)
    }

    /// The same without what is not filled, for keeping a copy.
    ///
    /// # Panics
    /// If it is another socket's.
    pub fn filled(&self, block: &Block) -> &[u8] {
        let bytes = self.ring.bytes(block);
        match self.delivery {
            Delivery::Blocks { .. } => filled(bytes),
            Delivery::Frames { .. } => bytes,
        }
    }

    /// Gives a block of this socket back, to be filled again.
    ///
    /// # Panics
    /// If it is another socket's.
    pub fn give_back(&mut self, block: Block) {
        self.ring.give_back(block);
    }

    /// What became of frames since this was last asked.
    pub fn counts(&self) -> Result<Counts> {
        let mut counts = [0_u32; 3];
        #[allow(clippy::cast_possible_truncation, reason = "it has a few bytes")]
        let mut len = size_of_val(&counts) as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` bytes to `counts`, which is borrowed for the call.
        let done = unsafe {
            let place = counts.as_mut_ptr().cast();
            libc::getsockopt(self.fd.as_raw_fd(), libc::SOL_PACKET, PACKET_STATISTICS, place, &raw mut len)
        };
        check(done).context(|| "ask a packet socket for its counts")?;
        let [seen, lost, full] = counts;
        Ok(Counts { seen, lost, full })
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// setsockopt(2) for options that rustix does not have.
fn set<T>(fd: BorrowedFd<'_>, (level, option): (i32, i32), value: &T) -> std::result::Result<(), Errno> {
    #[allow(clippy::cast_possible_truncation, reason = "an option has a few bytes")]
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `size_of::<T>()` bytes at `value`, which is borrowed for the call. Callers pass the type
    // that the option is documented with; the pointer in a sock_fprog points to a program that outlives the call.
    let done =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), len) };
    check(done)
}

fn check(done: libc::c_int) -> std::result::Result<(), Errno> {
    if done == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    }
}

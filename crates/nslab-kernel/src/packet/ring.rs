//! The memory that is shared with the kernel.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::mm::{MapFlags, ProtFlags};

use crate::error::{Context, Result};

/// `TP_STATUS_KERNEL` and `TP_STATUS_USER`: whose a block is.
const STATUS_KERNEL: u32 = 0;
const STATUS_USER: u32 = 1;
/// Where a block says whose it is (`block_status` in `struct tpacket_block_desc`); a frame of its own does at its beginning
/// (`tp_status` in `struct tpacket2_hdr`).
const STATUS_AT: usize = 8;
/// What the kernel works out from it how many frames there are; frames of any length fit.
const FRAME: u32 = 2048;
/// What stands before a frame's bytes where each has its own place: `TPACKET2_HDRLEN`, and as much as a link-layer header takes,
/// each rounded up to [`ALIGNMENT`] (`tpacket_rcv`, `net/packet/af_packet.c`).
const BEFORE: u32 = 80;
/// `TPACKET_ALIGNMENT`.
const ALIGNMENT: u32 = 16;

/// How frames are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Many in a block (`TPACKET_V3`): for very many. The kernel gives a block that is not full after so long, whole milliseconds,
    /// at least one. Each ring has a timer of that period, also where nothing passes; since Linux 6.18 one of high resolution, and
    /// a few hundred of those a second are felt by all traffic of a machine.
    Blocks {
        /// After how long.
        patience: Duration,
    },
    /// Each at once, in a place of its own (`TPACKET_V2`): for few that are waited for. There is no timer.
    Frames {
        /// At most so many bytes of each; below 2³¹.
        length: u32,
    },
}

/// How large a ring is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSize {
    /// Bytes of a block: a multiple of the page size and of 2048, more than the largest frame, else that is cut.
    pub block: u32,
    /// How many blocks.
    pub blocks: u32,
    /// What is handed over at a time.
    pub delivery: Delivery,
}

impl RingSize {
    /// `struct tpacket_req3`, or `struct tpacket_req`, of which that is a longer form.
    pub(super) fn request(self) -> [u32; 7] {
        let frame = self.frame();
        let frames = (self.block / frame).saturating_mul(self.blocks);
        match self.delivery {
            Delivery::Blocks { patience } => {
                let patience = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX).max(1);
                [self.block, self.blocks, frame, frames, patience, 0, 0]
            }
            Delivery::Frames { .. } => [self.block, self.blocks, frame, frames, 0, 0, 0],
        }
    }

    /// The bytes that a frame takes.
    fn frame(self) -> u32 {
        match self.delivery {
            Delivery::Blocks { .. } => FRAME,
            Delivery::Frames { length } => {
                let wanted = length.saturating_add(BEFORE).min(self.block);
                wanted.checked_next_multiple_of(ALIGNMENT).map_or(self.block, |frame| frame.min(self.block))
            }
        }
    }
}

/// What is handed over at a time, a block or a frame, and the program's until it is [given back](super::PacketSocket::give_back).
#[derive(Debug, PartialEq, Eq)]
pub struct Block(usize);

/// The ring of a packet socket, mapped.
#[derive(Debug)]
pub(super) struct Ring {
    start: NonNull<u8>,
    /// The bytes of all of it.
    length: usize,
    /// The bytes of a block.
    block: usize,
    /// What is handed over at a time: so many of a block, and how many bytes each has.
    in_block: usize,
    unit: usize,
    status_at: usize,
    /// For each, whether the program holds it.
    held: Box<[bool]>,
    /// The one that the kernel gives next.
    next: usize,
}

// SAFETY: the memory is the ring's own, and what is done to it goes through `&mut self`, or only reads.
unsafe impl Send for Ring {}

impl Ring {
    /// Maps the ring of a socket that has one of this size.
    pub(super) fn map(socket: BorrowedFd<'_>, size: RingSize) -> Result<Self> {
        let (block, blocks) = (size.block as usize, size.blocks as usize);
        let (unit, status_at) = match size.delivery {
            Delivery::Blocks { .. } => (block, STATUS_AT),
            Delivery::Frames { .. } => (size.frame() as usize, 0),
        };
        let in_block = block / unit.max(1);
        let length = block * blocks;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses a place where nothing is; the memory is used through this value only, until it is
        // unmapped when this is dropped.
        let start = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, socket, 0)
        }
        .context(|| "map a packet ring")?;
        // SAFETY: a mapping at a place that the kernel chooses is never at zero.
        let start = unsafe { NonNull::new_unchecked(start.cast()) };
        let held = vec![false; blocks * in_block].into();
        Ok(Self { start, length, block, in_block, unit, status_at, held, next: 0 })
    }

    pub(super) fn blocks(&self) -> usize {
        self.held.len()
    }

    /// Where one begins, in bytes.
    fn place(&self, number: usize) -> usize {
        assert!(number < self.held.len(), "there is such a block");
        number / self.in_block * self.block + number % self.in_block * self.unit
    }

    /// Whose one is.
    fn status(&self, number: usize) -> &AtomicU32 {
        let place = self.place(number) + self.status_at;
        // SAFETY: the place is within the mapping, as each of them is, and aligned to four bytes, as blocks and frames are;
        // kernel and program both use it as an atomic.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(place).cast()) }
    }

    /// Whether there is a block to take.
    pub(super) fn is_ready(&self) -> bool {
        !self.held[self.next] && self.status(self.next).load(Ordering::Acquire) & STATUS_USER != 0
    }

    /// Takes the next block that the kernel gave.
    pub(super) fn take(&mut self) -> Option<Block> {
        let number = self.next;
        if !self.is_ready() {
            return None;
        }
        self.held[number] = true;
        self.next = (number + 1) % self.held.len();
        Some(Block(number))
    }

    /// What is in a block.
    pub(super) fn bytes(&self, block: &Block) -> &[u8] {
        assert!(self.held[block.0], "a block of this ring, which is held");
        // SAFETY: the block is within the mapping. The kernel gave it, as `take` saw, and does not touch it again before
        // `give_back`, which needs `&mut self` and so ends this borrow.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(self.place(block.0)), self.unit) }
    }

    /// Gives a block back to the kernel.
    #[expect(clippy::needless_pass_by_value, reason = "it is over with it")]
    pub(super) fn give_back(&mut self, block: Block) {
        assert!(std::mem::take(&mut self.held[block.0]), "a block of this ring, which is held");
        self.status(block.0).store(STATUS_KERNEL, Ordering::Release);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nothing borrows from it any more. It cannot fail with these arguments.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

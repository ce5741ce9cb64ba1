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
/// Where a block says whose it is (`block_status` in `struct tpacket_block_desc`).
const STATUS_AT: usize = 8;
/// What the kernel works out from it how many frames there are; frames of any length fit.
const FRAME: u32 = 2048;

/// How large a ring is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSize {
    /// Bytes of a block: a multiple of the page size and of 2048, more than the largest frame, else that is cut.
    pub block: u32,
    /// How many blocks.
    pub blocks: u32,
    /// After how long the kernel gives a block that is not full; whole milliseconds, at least one.
    pub patience: Duration,
}

impl RingSize {
    /// `struct tpacket_req3`.
    pub(super) fn request(self) -> [u32; 7] {
        let patience = u32::try_from(self.patience.as_millis()).unwrap_or(u32::MAX).max(1);
        let frames = (self.block / FRAME).saturating_mul(self.blocks);
        [self.block, self.blocks, FRAME, frames, patience, 0, 0]
    }
}

/// A block that is the program's until it is [given back](super::PacketSocket::give_back).
#[derive(Debug, PartialEq, Eq)]
pub struct Block(usize);

/// The ring of a packet socket, mapped.
#[derive(Debug)]
pub(super) struct Ring {
    start: NonNull<u8>,
    block: usize,
    /// For each block, whether the program holds it.
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
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses a place where nothing is; the memory is used through this value only, until it is
        // unmapped when this is dropped.
        let start = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), block * blocks, protection, MapFlags::SHARED, socket, 0)
        }
        .context(|| "map a packet ring")?;
        // SAFETY: a mapping at a place that the kernel chooses is never at zero.
        let start = unsafe { NonNull::new_unchecked(start.cast()) };
        Ok(Self { start, block, held: vec![false; blocks].into(), next: 0 })
    }

    pub(super) fn blocks(&self) -> usize {
        self.held.len()
    }

    /// Whose a block is.
    fn status(&self, number: usize) -> &AtomicU32 {
        assert!(number < self.held.len(), "there is such a block");
        // SAFETY: the place is within the mapping and aligned to four bytes; kernel and program both use it as an atomic.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(number * self.block + STATUS_AT).cast()) }
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
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(block.0 * self.block), self.block) }
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
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.block * self.held.len()) };
    }
}

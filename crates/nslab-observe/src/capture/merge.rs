//! The packets of many rings, in the order of time.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};

use nslab_kernel::packet::{Block, Frame, PacketSocket, frame_at};

/// So many bytes are copied out of rings that would be full while their packets wait for others' earlier ones.
const COPIED: usize = 256 << 20;

/// A packet that is given next.
#[derive(Debug)]
pub(super) struct Pending {
    /// Its ring.
    pub(super) place: usize,
    slot: usize,
    at: usize,
}

/// A packet that waits.
#[derive(Debug, Clone, Copy)]
struct Entry {
    time: u64,
    /// Where its block is, and it in the block.
    slot: u32,
    at: u32,
}

/// A block of which packets wait.
#[derive(Debug)]
struct Slot {
    bytes: Bytes,
    /// So many.
    left: usize,
}

#[derive(Debug)]
enum Bytes {
    Free,
    Held(Block),
    Copied(Vec<u8>),
}

#[derive(Debug, Default)]
struct Queue {
    /// In the order of time.
    entries: VecDeque<Entry>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// The slots with blocks that are held, the oldest first; some may not hold any more.
    held: VecDeque<usize>,
    held_count: usize,
    blocks: usize,
}

/// All rings.
#[derive(Debug, Default)]
pub(super) struct Merge {
    queues: Vec<Queue>,
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    /// Up to then packets are given.
    complete: u64,
    /// Up to then they are given whatever may come: there is no more room.
    forced: u64,
    copied: usize,
}

impl Merge {
    /// A ring of so many blocks; rings are numbered in the order in which they are added.
    pub(super) fn add_ring(&mut self, blocks: usize) {
        self.queues.push(Queue { blocks, ..Queue::default() });
    }

    /// Adds the packets of a block; says how many they are.
    pub(super) fn add(&mut self, place: usize, block: Block, socket: &mut PacketSocket) -> usize {
        let queue = &mut self.queues[place];
        let slot = queue.free.pop().unwrap_or_else(|| {
            queue.slots.push(Slot { bytes: Bytes::Free, left: 0 });
            queue.slots.len() - 1
        });
        let before = queue.entries.len();
        for (at, time) in socket.frames(&block) {
            let entry = Entry {
                time,
                slot: u32::try_from(slot).unwrap_or(u32::MAX),
                at: u32::try_from(at).unwrap_or(u32::MAX),
            };
            // Processors that stamp at the same moment come into the ring in either order.
            let mut place = queue.entries.len();
            while place > 0 && queue.entries[place - 1].time > time {
                place -= 1;
            }
            if place == queue.entries.len() {
                queue.entries.push_back(entry);
            } else {
                queue.entries.insert(place, entry);
            }
        }
        let left = queue.entries.len() - before;
        if left == 0 {
            queue.free.push(slot);
            socket.give_back(block);
            return 0;
        }
        queue.slots[slot] = Slot { bytes: Bytes::Held(block), left };
        queue.held.push_back(slot);
        queue.held_count += 1;
        left
    }

    /// Whether packets of a ring wait.
    pub(super) fn has_some(&self, place: usize) -> bool {
        !self.queues[place].entries.is_empty()
    }

    /// The time of the oldest packet that waits.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.queues.iter().filter_map(|queue| queue.entries.front()).map(|entry| entry.time).min()
    }

    /// Gives back blocks of a ring of which more than half are held, having copied them.
    pub(super) fn relieve(&mut self, place: usize, socket: &mut PacketSocket) {
        let queue = &mut self.queues[place];
        while queue.held_count > queue.blocks / 2 {
            let Some(slot) = queue.held.pop_front() else { return };
            if !matches!(queue.slots[slot].bytes, Bytes::Held(_)) {
                continue;
            }
            let Bytes::Held(block) = std::mem::replace(&mut queue.slots[slot].bytes, Bytes::Free) else {
                continue;
            };
            let bytes = socket.filled(&block);
            if self.copied + bytes.len() > COPIED {
                // Rather out of order than lost.
                self.forced = queue.entries.back().map_or(self.forced, |last| last.time.max(self.forced));
                queue.slots[slot].bytes = Bytes::Held(block);
                queue.held.push_front(slot);
                return;
            }
            self.copied += bytes.len();
            queue.slots[slot].bytes = Bytes::Copied(bytes.to_vec());
            queue.held_count -= 1;
            socket.give_back(block);
        }
    }

    /// From here on [`Self::next`] gives what is not later than `complete`.
    pub(super) fn begin(&mut self, complete: u64) {
        self.complete = complete.max(self.forced);
        self.heads.clear();
        let heads = self.queues.iter().enumerate();
        self.heads
            .extend(heads.filter_map(|(place, queue)| Some(Reverse((queue.entries.front()?.time, place)))));
    }

    /// The next packet; to be [done](Self::done) with.
    pub(super) fn next(&mut self) -> Option<Pending> {
        let mut head = self.heads.peek_mut()?;
        let Reverse((time, place)) = *head;
        if time > self.complete {
            return None;
        }
        let queue = &mut self.queues[place];
        let entry = queue.entries.pop_front()?;
        match queue.entries.front() {
            Some(next) => head.0.0 = next.time,
            None => drop(PeekMut::pop(head)),
        }
        Some(Pending { place, slot: entry.slot as usize, at: entry.at as usize })
    }

    /// What is in it.
    pub(super) fn frame<'a>(&'a self, pending: &Pending, socket: &'a PacketSocket) -> Option<Frame<'a>> {
        let bytes = match &self.queues[pending.place].slots[pending.slot].bytes {
            Bytes::Held(block) => socket.bytes(block),
            Bytes::Copied(bytes) => bytes,
            Bytes::Free => return None,
        };
        frame_at(bytes, pending.at)
    }

    /// It was given. With its last packet a block is given back.
    #[expect(clippy::needless_pass_by_value, reason = "it is over with it")]
    pub(super) fn done(&mut self, pending: Pending, socket: &mut PacketSocket) {
        let queue = &mut self.queues[pending.place];
        let slot = &mut queue.slots[pending.slot];
        slot.left = slot.left.saturating_sub(1);
        if slot.left > 0 {
            return;
        }
        match std::mem::replace(&mut slot.bytes, Bytes::Free) {
            Bytes::Held(block) => {
                queue.held_count -= 1;
                socket.give_back(block);
            }
            Bytes::Copied(bytes) => self.copied -= bytes.len(),
            Bytes::Free => {}
        }
        // Blocks end mostly in the order in which they began.
        if queue.held.front() == Some(&pending.slot) {
            queue.held.pop_front();
        } else {
            queue.held.retain(|one| *one != pending.slot);
        }
        queue.free.push(pending.slot);
    }
}

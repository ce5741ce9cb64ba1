//! Many requests in one system call.

use std::fmt;

use super::message::{MessageWriter, Request};
use crate::error::Refusal;

/// Requests to be sent together, in order.
///
/// Requests of one batch are *not* a transaction: the kernel carries out each that it can, whatever became of those
/// before it (rtnetlink; nftables has transactions of its own).
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) bytes: Vec<u8>,
    /// Where each message starts in `bytes`.
    pub(super) starts: Vec<usize>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a request; returns its place in the batch, which is the index that a [`BatchError`] names.
    pub fn push(&mut self, request: &dyn Request) -> usize {
        // The sequence number is the place; the socket adds its own base when it sends.
        let place = self.starts.len();
        let start = MessageWriter::message(&mut self.bytes, request, 0, 0);
        self.starts.push(start);
        place
    }

    /// Adds all requests of another batch.
    pub(crate) fn append(&mut self, other: &Self) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.starts.extend(other.starts.iter().map(|offset| start + offset));
    }

    /// How many requests it holds.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Bytes of all requests together.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of the request at this place, its `nlmsghdr` included.
    pub(crate) fn message(&self, place: usize) -> &[u8] {
        let start = self.starts.get(place).copied().unwrap_or(self.bytes.len());
        let end = self.starts.get(place + 1).copied().unwrap_or(self.bytes.len());
        &self.bytes[start..end]
    }

    /// What follows the `nlmsghdr` of a lone request.
    #[cfg(test)]
    pub(crate) fn payload(request: &dyn Request) -> Vec<u8> {
        let mut batch = Self::new();
        batch.push(request);
        batch.bytes.split_off(super::message::HEADER_LEN)
    }

    /// Takes all requests out and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
    }
}

/// What the kernel refused of a batch. All other requests were carried out.
#[derive(Debug)]
pub struct BatchError {
    /// The refused requests by their place in the batch, in order, at least one.
    pub refused: Vec<(usize, Refusal)>,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, refusal) = &self.refused[0];
        write!(f, "request {place} was refused: {refusal}")?;
        match self.refused.len() - 1 {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}

impl std::error::Error for BatchError {}

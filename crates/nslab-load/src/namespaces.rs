//! What a namespace costs that nothing is in.

use std::time::Instant;

use nslab_kernel::Namespace;
use nslab_kernel::namespace::create_each;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::memory::Memory;

/// What namespaces cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NamespaceCost {
    /// How many were made in all.
    pub count: usize,
    /// How long each took to make, in microseconds.
    pub made: Vec<f64>,
    /// The kernel's memory that each takes as long as it is there, by batch.
    pub kept: Vec<Memory>,
}

/// Makes `batches` times `each` namespaces, all of which are there until this returns. None if `is_over` says so meanwhile.
pub fn namespaces(
    each: usize,
    batches: usize,
    is_over: &(dyn Fn() -> bool + Sync),
) -> Result<Option<NamespaceCost>> {
    let mut cost = NamespaceCost::default();
    let mut all: Vec<Namespace> = Vec::new();
    for _ in 0..batches {
        if is_over() {
            return Ok(None);
        }
        let before = Memory::now()?;
        let mut last = Instant::now();
        create_each(each, |_, namespace| {
            cost.made.push(last.elapsed().as_secs_f64() * 1e6);
            all.push(namespace);
            last = Instant::now();
            Ok::<_, nslab_kernel::Error>(())
        })?;
        cost.kept.push(Memory::now()?.each_since(before, each));
        cost.count += each;
    }
    Ok(Some(cost))
}

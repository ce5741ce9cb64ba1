//! Work on many namespaces at once.

use std::num::NonZero;

/// How many threads work on a lab. The kernel serialises most of what they ask of it (RTNL), so more than a few gain
/// nothing.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).min(8)
}

/// Applies `work` to each item on several threads and gives the results in order.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let share = items.len().div_ceil(threads()).max(1);
    if items.len() <= share {
        return items.iter().map(work).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let workers: Vec<_> = items
            .chunks(share)
            .map(|chunk| scope.spawn(move || chunk.iter().map(work).collect::<Vec<R>>()))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// As [`map`]; each thread has a value of its own, which `begin` gives it.
pub fn map_with<T: Sync, S, R: Send>(
    items: &[T],
    begin: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) -> R + Sync,
) -> Vec<R> {
    let share = items.len().div_ceil(threads()).max(1);
    let chunks: Vec<&[T]> = items.chunks(share).collect();
    let results = map(&chunks, |chunk| {
        let mut state = begin();
        chunk.iter().map(|item| work(&mut state, item)).collect::<Vec<R>>()
    });
    results.into_iter().flatten().collect()
}

/// As [`map`], on items that change. A thread is not begun for fewer than `least` items.
pub fn map_mut<T: Send, R: Send>(items: &mut [T], least: usize, work: impl Fn(&mut T) -> R + Sync) -> Vec<R> {
    let share = items.len().div_ceil(threads()).max(least).max(1);
    if items.len() <= share {
        return items.iter_mut().map(work).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let workers: Vec<_> = items
            .chunks_mut(share)
            .map(|chunk| scope.spawn(move || chunk.iter_mut().map(work).collect::<Vec<R>>()))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

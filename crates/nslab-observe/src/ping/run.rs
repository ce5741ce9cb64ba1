//! One call: checks, workers, and the gathering of what they report.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use nslab_kernel::Namespace;

use super::icmp::Nonce;
use super::neighbours::Survey;
use super::worker::Worker;
use super::{Event, Outcome, PingOptions, Probe, schedule};
use crate::{Error, Result};

/// What a packet holds at most besides its IP and ICMP headers: 65535 bytes less 20 and 8.
const LARGEST_PAYLOAD: usize = 65_507;
/// From so many probes on, two threads share the work, and it is asked what the probes will do to the neighbour table.
const MANY: usize = 128;
/// From so many new neighbour entries on, they are reserved and taken away again.
const MANY_ENTRIES: usize = 256;

/// What the workers of one call share.
pub(super) struct Job<'a> {
    pub(super) namespaces: &'a [Namespace],
    pub(super) probes: &'a [Probe],
    pub(super) options: &'a PingOptions,
    pub(super) nonce: Nonce,
    /// How many workers there are.
    pub(super) workers: u16,
    /// What was found out about the namespaces, where that is needed.
    pub(super) survey: Option<Survey>,
    tiles: Vec<Vec<u32>>,
    next_tile: AtomicUsize,
    failed: AtomicBool,
}

/// What a worker reports.
#[derive(Default)]
pub(super) struct Report {
    pub(super) events: Vec<Event>,
    pub(super) finished: Vec<(u32, Outcome)>,
}

/// Sends every probe from its namespace and waits for what comes back. Tells `observer` meanwhile; returns one outcome
/// for each probe, in their order.
///
/// All probes are sent side by side, and the call ends as soon as all are answered. What the network does to them is
/// never an error. Errors where a socket cannot be opened in a namespace: it takes `CAP_NET_RAW` there.
///
/// It takes two file descriptors for each namespace that probes start in, or four for dual-stack ones. Where more than
/// a few hundred neighbour entries will come of it, they are made and taken away by this call, which takes
/// `CAP_NET_ADMIN`; then the neighbour tables of the namespaces are afterwards what they were before. (A process that is
/// killed meanwhile leaves the entries of the pairs in hand behind, until their interfaces go.)
pub fn ping(
    namespaces: &[Namespace],
    probes: &[Probe],
    options: &PingOptions,
    observer: &mut dyn FnMut(Event),
) -> Result<Vec<Outcome>> {
    check(namespaces, probes, options)?;
    let mut outcomes = vec![Outcome::default(); probes.len()];
    if probes.is_empty() || options.count == 0 {
        return Ok(outcomes);
    }
    let many = probes.len() > MANY;
    let workers: u16 = if many {
        thread::available_parallelism().map_or(1, |cpus| if cpus.get() > 1 { 2 } else { 1 })
    } else {
        1
    };
    // Threads that end after the call: each goes from namespace to namespace and never back.
    let survey = many.then(|| on_thread(|| survey(namespaces, probes, options))).transpose()?.flatten();
    let tiles = match &survey {
        Some(survey) => schedule::tiles(probes, namespaces.len(), |probe| survey.owner(probe)),
        None => schedule::tiles(probes, namespaces.len(), |_| None),
    };
    let (next_tile, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let job = Job { namespaces, probes, options, nonce: random(), workers, survey, tiles, next_tile, failed };

    let (sender, reports) = mpsc::channel::<Report>();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|number| {
                let (job, sender) = (&job, sender.clone());
                scope.spawn(move || Worker::new(job, number, sender)?.run().inspect_err(|_| job.fail()))
            })
            .collect();
        drop(sender);
        for report in reports {
            report.events.into_iter().for_each(&mut *observer);
            for (probe, outcome) in report.finished {
                outcomes[probe as usize] = outcome;
            }
        }
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    if let Some(survey) = &job.survey {
        on_thread(|| survey.sweep(namespaces))?;
    }
    Ok(outcomes)
}

impl Job<'_> {
    /// The next probes to send that no worker has taken.
    pub(super) fn take_tile(&self) -> Option<&[u32]> {
        self.tiles.get(self.next_tile.fetch_add(1, Ordering::Relaxed)).map(Vec::as_slice)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
            || self.options.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

fn check(namespaces: &[Namespace], probes: &[Probe], options: &PingOptions) -> Result<()> {
    if options.size > LARGEST_PAYLOAD {
        return Err(Error::TooLarge { size: options.size, most: LARGEST_PAYLOAD });
    }
    if u32::try_from(probes.len()).is_err() {
        return Err(Error::TooMany { probes: probes.len(), most: u32::MAX as usize });
    }
    match probes.iter().enumerate().find(|(_, probe)| probe.source >= namespaces.len()) {
        Some((probe, &Probe { source, .. })) => {
            Err(Error::NoSuchNamespace { probe, source_index: source, namespaces: namespaces.len() })
        }
        None => Ok(()),
    }
}

/// Looks at the namespaces if the probes will make many neighbour entries there.
fn survey(namespaces: &[Namespace], probes: &[Probe], options: &PingOptions) -> Result<Option<Survey>> {
    let survey = Survey::take(namespaces)?;
    let mut entries = std::collections::HashSet::new();
    for probe in probes {
        entries.extend(survey.entries(probe, options));
        if entries.len() > MANY_ENTRIES {
            return Ok(Some(survey));
        }
    }
    Ok(None)
}

fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// A number that no other run has: the standard library seeds its hashers from the system's randomness.
fn random() -> Nonce {
    std::collections::hash_map::RandomState::new().build_hasher().finish().to_ne_bytes()
}

//! By which namespaces probes go.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use nslab_decode::{Frame, Link, decode};
use nslab_kernel::Namespace;
use nslab_kernel::packet::{HARDWARE_ETHERNET, HARDWARE_LOOPBACK, Instruction};

use super::Token;
use crate::capture::{Capture, Options, Sighting, Source};
use crate::{Error, Result};

/// Bytes of a packet that are enough to know it by, also in a tunnel.
const LENGTH: u32 = 256;
/// How soon the end is noticed.
const TURN: Duration = Duration::from_millis(20);

/// When and where each was seen.
type Seen = HashMap<Token, Vec<(u64, usize)>>;

/// Sees what passes in namespaces, until it is asked what probes were among it.
#[derive(Debug)]
pub struct Paths {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Seen>>,
}

impl Paths {
    /// Begins to look; `filter` says at what (`nslab-filter` makes one of text), at everything if it is empty.
    pub fn watch(namespaces: &[Namespace], filter: Vec<Instruction>) -> Result<Self> {
        let sources: Result<Vec<Source>> = namespaces
            .iter()
            .enumerate()
            .map(|(place, namespace)| Ok(Source::all(place.to_string(), namespace.duplicate()?)))
            .collect();
        let sources = sources?;
        let over = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = mpsc::channel();
        let ends = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let options = Options { filter, length: LENGTH, ..Options::default() };
            let mut capture = Capture::open(sources, options)?;
            capture.start()?;
            // Whoever waits for it may have gone.
            let _ = ready.send(());
            let mut found = Seen::new();
            while !ends.load(Ordering::Relaxed) {
                capture.turn(TURN, &mut |sighting| note(sighting, &mut found))?;
            }
            capture.finish(&mut |sighting| note(sighting, &mut found))?;
            Ok(found)
        });
        match is_ready.recv() {
            Ok(()) => Ok(Self { over, thread }),
            Err(_) => match thread.join() {
                Ok(Err(error)) => Err(error),
                Ok(Ok(_)) => Ok(Self { over, thread: std::thread::spawn(|| Ok(Seen::new())) }),
                Err(panic) => std::panic::resume_unwind(panic),
            },
        }
    }

    /// Ends looking. Returns the namespaces that each probe passed, by their places and in their order.
    pub fn end(self) -> Result<HashMap<Token, Vec<usize>>, Error> {
        self.over.store(true, Ordering::Relaxed);
        let found = self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(found.into_iter().map(|(token, seen)| (token, places(seen))).collect())
    }
}

fn note(sighting: &Sighting<'_>, found: &mut Seen) -> ControlFlow<()> {
    let raw = &sighting.frame;
    let (link, bytes) = match raw.hardware {
        HARDWARE_ETHERNET | HARDWARE_LOOPBACK => (Link::Ethernet, raw.bytes),
        _ => (Link::Ip, raw.bytes.get(raw.network..).unwrap_or_default()),
    };
    let length = (raw.length as usize).max(bytes.len());
    let frame = Frame { bytes, length, link, vlan: None, partial_checksum: raw.checksum_pending };
    if let Some(token) = Token::of(&decode(&frame)) {
        found.entry(token).or_default().push((raw.time, sighting.place));
    }
    ControlFlow::Continue(())
}

/// The places in the order of time, each once as long as the packet stays there.
fn places(mut seen: Vec<(u64, usize)>) -> Vec<usize> {
    seen.sort_by_key(|(time, _)| *time);
    let mut places: Vec<usize> = seen.into_iter().map(|(_, place)| place).collect();
    places.dedup();
    places
}

//! How much a connection carries.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nslab_kernel::error::Context;

use super::spaces::on_thread;
use super::{Options, Prober};
use crate::Result;

/// What is measured is the most that came in so long a time: long enough that what queues let through at once is no matter.
const WINDOW: Duration = Duration::from_millis(500);
/// It is tried for so long to reach what is wanted.
const MOST: Duration = Duration::from_secs(2);
/// Bytes that are written and read at once.
const PIECE: usize = 128 << 10;

/// What a connection carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bandwidth {
    /// So many bits in a second.
    Measured(u64),
    /// It could not be measured.
    Failed {
        /// Why, a clause.
        why: String,
    },
}

impl Prober {
    /// Sends as much as goes over a connection of TCP from a namespace to an address of another one, until `wanted` bits in a second
    /// came for half a second, or for two seconds. Both ends are sockets of this call; the other end has `port`, if one is
    /// given and nothing listens there, else one that is free.
    pub fn bandwidth(
        &self,
        source: usize,
        destination: IpAddr,
        port: Option<u16>,
        wanted: u64,
        options: &Options<'_>,
    ) -> Result<Bandwidth> {
        let Some(there) = self.owners(destination).next() else {
            return Ok(Bandwidth::Failed { why: format!("{destination} is no address of a node") });
        };
        on_thread(|| {
            self.namespaces[there].move_thread()?;
            let listen = |port| TcpListener::bind(SocketAddr::new(destination, port));
            let listener = port.map_or_else(|| listen(0), |port| listen(port).or_else(|_| listen(0)));
            let listener = listener.context(|| format!("listen at {destination}"))?;
            let at = listener.local_addr().context(|| "ask for a socket's address")?;
            self.namespaces[source].move_thread()?;
            let writer = match TcpStream::connect_timeout(&at, options.timeout.max(Duration::from_secs(1))) {
                Ok(writer) => writer,
                Err(error) => {
                    return Ok(Bandwidth::Failed {
                        why: format!("no connection to port {}: {error}", at.port()),
                    });
                }
            };
            // The kernel made the connection, so this does not wait.
            let (reader, _) = listener.accept().context(|| "take a connection")?;
            reader.set_read_timeout(Some(WINDOW)).context(|| "set up a connection")?;
            writer.set_write_timeout(Some(WINDOW)).context(|| "set up a connection")?;
            let over = AtomicBool::new(false);
            let best = std::thread::scope(|scope| {
                scope.spawn(|| write(writer, &over));
                let best = read(reader, wanted, options);
                over.store(true, Ordering::Relaxed);
                best
            });
            Ok(Bandwidth::Measured(best))
        })
    }
}

/// Writes until it is over.
fn write(mut writer: TcpStream, over: &AtomicBool) {
    let piece = vec![0_u8; PIECE];
    while !over.load(Ordering::Relaxed) {
        match writer.write(&piece) {
            Err(error) if !is_patience(error.kind()) => return,
            _ => {}
        }
    }
}

/// Reads until enough came, or for long enough; returns the most bits in a second that there were.
fn read(mut reader: TcpStream, wanted: u64, options: &Options<'_>) -> u64 {
    let mut piece = vec![0_u8; PIECE];
    let began = Instant::now();
    let mut windows = Windows::new(began);
    let mut best = 0;
    while best < wanted && began.elapsed() < MOST && !(options.stop)() {
        let before = Instant::now();
        let came = match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(came) => came,
            Err(error) if is_patience(error.kind()) => 0,
            Err(_) => break,
        };
        best = best.max(windows.add(Instant::now(), came as u64));
        if came < piece.len() {
            windows.begin(before);
        }
    }
    best
}

fn is_patience(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// What came, by windows that overlap. A window begins only when nothing is left to read: else what had come before would be
/// counted, where this thread had to wait for a processor.
struct Windows {
    /// When windows began, and how much there was until then; at most one each hundredth of a second.
    counts: std::collections::VecDeque<(Instant, u64)>,
    all: u64,
}

impl Windows {
    fn new(began: Instant) -> Self {
        Self { counts: [(began, 0)].into(), all: 0 }
    }

    /// Adds bytes; returns the bits in a second of the window that ends now, 0 while it is too short.
    fn add(&mut self, now: Instant, bytes: u64) -> u64 {
        self.all += bytes;
        // The one before the last that is old enough goes.
        while self.counts.get(1).is_some_and(|(when, _)| now.duration_since(*when) >= WINDOW) {
            self.counts.pop_front();
        }
        let Some(&(begin, before)) = self.counts.front() else { return 0 };
        let time = now.duration_since(begin);
        if time < WINDOW {
            return 0;
        }
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let bits = u128::from(self.all - before) * 8 * 1_000_000_000 / u128::from(nanoseconds);
        u64::try_from(bits).unwrap_or(u64::MAX)
    }

    /// All that had come at that time has been added.
    fn begin(&mut self, at: Instant) {
        if self.counts.back().is_some_and(|(when, _)| at.saturating_duration_since(*when) >= WINDOW / 50) {
            self.counts.push_back((at, self.all));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_has_its_rate() {
        let began = Instant::now();
        let mut windows = Windows::new(began);
        // 1000 bytes each millisecond are 8 Mbit/s; 100 kB at once in the beginning are soon forgotten.
        let mut last = windows.add(began, 100_000);
        assert_eq!(last, 0);
        for millisecond in 1..1000 {
            last = windows.add(began + Duration::from_millis(millisecond), 1000);
            windows.begin(began + Duration::from_millis(millisecond));
        }
        assert!((7_900_000..8_200_000).contains(&last), "{last}");
    }

    #[test]
    fn a_reader_that_waits_for_a_processor_makes_no_stream_faster() {
        let began = Instant::now();
        let mut windows = Windows::new(began);
        let mut best = 0;
        for millisecond in 1..2000_u64 {
            // It sleeps for 300 of each 700 milliseconds, and then reads what came meanwhile.
            let phase = millisecond % 700;
            if phase < 300 {
                continue;
            }
            let at = began + Duration::from_millis(millisecond);
            best = best.max(windows.add(at, if phase == 300 { 301_000 } else { 1000 }));
            windows.begin(at);
        }
        assert!((7_000_000..8_200_000).contains(&best), "{best}");
    }
}

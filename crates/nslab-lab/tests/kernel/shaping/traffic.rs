//! Packets with numbers, sent and counted.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;

/// Bytes of a frame around a UDP payload: Ethernet, IPv4, UDP.
const HEADERS: usize = 14 + 20 + 8;

/// A datagram that came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Got {
    /// Its number.
    pub(super) number: u32,
    /// How long it was on its way.
    pub(super) took: Duration,
}

pub(super) fn socket(namespace: &Namespace, address: &str) -> UdpSocket {
    let socket = namespace.run(|| UdpSocket::bind(address)).unwrap().unwrap();
    // On a busy machine much comes at once. Only root gets more than the system's limit.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 2 << 20);
    socket
}

/// How long nothing must come for all to be over.
const QUIET: Duration = Duration::from_millis(400);

/// Sends `count` datagrams of `bytes` one every `gap` and returns those that came, in the order in which they did. They
/// are taken in between, so that none is lost for want of room at the receiver.
pub(super) fn send(
    from: &UdpSocket,
    to: &UdpSocket,
    target: SocketAddr,
    (count, bytes, gap): (u32, usize, Duration),
) -> Vec<Got> {
    let mut taker = Taker { socket: to, began: Instant::now(), bytes, got: Vec::new() };
    let mut payload = vec![0x55; bytes];
    for number in 0..count {
        payload[..4].copy_from_slice(&number.to_be_bytes());
        let now = u64::try_from(taker.began.elapsed().as_nanos()).unwrap();
        payload[4..12].copy_from_slice(&now.to_be_bytes());
        from.send_to(&payload, target).unwrap();
        taker.take(gap, false);
    }
    taker.take(QUIET, true);
    taker.got
}

struct Taker<'a> {
    socket: &'a UdpSocket,
    began: Instant,
    bytes: usize,
    got: Vec<Got>,
}

impl Taker<'_> {
    /// Takes what comes for so long, or until nothing has come for so long.
    fn take(&mut self, time: Duration, anew: bool) {
        let mut end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            // Waiting is only as fine as the kernel's clock; below that it is looked again and again.
            let waits = left >= Duration::from_millis(1);
            self.socket.set_nonblocking(!waits).unwrap();
            self.socket.set_read_timeout(waits.then_some(left)).unwrap();
            let mut buffer = vec![0; 65_536];
            if let Ok(len) = self.socket.recv(&mut buffer) {
                assert_eq!(len, self.bytes);
                let at = Instant::now();
                let number = u32::from_be_bytes(*buffer.first_chunk().unwrap());
                let sent = u64::from_be_bytes(*buffer[4..].first_chunk().unwrap());
                let took = at.duration_since(self.began).saturating_sub(Duration::from_nanos(sent));
                self.got.push(Got { number, took });
                if anew {
                    end = at + time;
                }
            } else if left.is_zero() {
                return;
            }
        }
    }
}

/// Sends until something comes: ARP may be lost as anything else, and is over before anything is measured.
pub(super) fn warm_up(from: &UdpSocket, to: &UdpSocket) {
    while send(from, to, to.local_addr().unwrap(), (5, 100, Duration::from_millis(20))).is_empty() {}
}

/// Sends `count` datagrams of `bytes` as fast as they are taken; returns how many bits came in a second, with the headers
/// that queues count, without the first packets, which the bucket let through at once.
pub(super) fn flood(from: &UdpSocket, to: &UdpSocket, count: u32, bytes: usize) -> f64 {
    to.set_nonblocking(false).unwrap();
    to.set_read_timeout(Some(QUIET)).unwrap();
    let target = to.local_addr().unwrap();
    let times: Vec<Instant> = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut buffer = vec![0; 65_536];
            std::iter::from_fn(|| to.recv(&mut buffer).ok().map(|_| Instant::now())).collect()
        });
        let payload = vec![0x55; bytes];
        for _ in 0..count {
            from.send_to(&payload, target).unwrap();
        }
        receiver.join().unwrap()
    });
    let times = &times[times.len() / 4..];
    let time = times[times.len() - 1] - times[0];
    let packets = f64::from(u32::try_from(times.len() - 1).unwrap());
    packets * f64::from(u32::try_from(bytes + HEADERS).unwrap()) * 8.0 / time.as_secs_f64()
}

/// Whether one of several measurements is within three percent of what was asked for: on a busy machine one may be
/// disturbed, but a wrong rate is never right.
pub(super) fn is_right(asked: f64, mut measure: impl FnMut() -> f64) -> Result<(), Vec<f64>> {
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(measure());
        if (all[all.len() - 1] / asked - 1.0).abs() < 0.03 {
            return Ok(());
        }
    }
    Err(all)
}

/// The share of `sent` packets that did not come.
pub(super) fn lost(got: &[Got], sent: u32) -> f64 {
    1.0 - f64::from(u32::try_from(got.len()).unwrap()) / f64::from(sent)
}

//! The two ends of each kind of load.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{Doing, Error, Result};
use crate::window::{Counters, watch};
use crate::{DATAGRAM, Ends, Latency, Load, Sample, Timing};

/// What is written and read at once.
const CHUNK: usize = 128 << 10;
/// Whether it is over is asked this often where nothing comes.
const GLANCE: Duration = Duration::from_millis(20);
/// No part of a load waits longer for the other.
const LIMIT: Duration = Duration::from_secs(5);
/// So many exchanges are remembered at most.
const MOST_EXCHANGES: usize = 4 << 20;

pub(crate) fn run(
    ends: &Ends,
    load: Load,
    timing: Timing,
    is_over: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Sample>> {
    let (sample, what) = match load {
        Load::Stream => (stream(ends, timing, is_over)?, "a stream of TCP"),
        Load::Datagrams => (datagrams(ends, timing, is_over)?, "datagrams of UDP"),
        Load::Exchange => (exchange(ends, timing, is_over)?, "single bytes over TCP"),
        Load::Connections => (connections(ends, timing, is_over)?, "connections of TCP"),
    };
    match sample {
        Some(sample) if sample.count == 0 => Err(Error::Nothing { what }),
        sample => Ok(sample),
    }
}

/// In a namespace, or where this thread is.
fn inside<T>(namespace: Option<&Namespace>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match namespace {
        Some(namespace) => namespace.run(work)?,
        None => work(),
    }
}

fn any(ends: &Ends) -> SocketAddr {
    if ends.address.is_ipv6() { (Ipv6Addr::UNSPECIFIED, 0).into() } else { (Ipv4Addr::UNSPECIFIED, 0).into() }
}

fn listen(ends: &Ends) -> Result<(TcpListener, SocketAddr)> {
    inside(ends.server.as_ref(), || {
        let listener = TcpListener::bind(any(ends)).doing("listen for a connection")?;
        let port = listener.local_addr().doing("listen for a connection")?.port();
        Ok((listener, SocketAddr::new(ends.address, port)))
    })
}

/// A connection: the client's end and the server's.
fn connected(ends: &Ends) -> Result<(TcpStream, TcpStream)> {
    let (listener, to) = listen(ends)?;
    let client = inside(ends.client.as_ref(), || {
        TcpStream::connect_timeout(&to, LIMIT).doing("connect to the other end")
    })?;
    let (server, _) = listener.accept().doing("accept a connection")?;
    for stream in [&client, &server] {
        stream.set_nodelay(true).doing("set up a connection")?;
        stream.set_read_timeout(Some(LIMIT)).doing("set up a connection")?;
        stream.set_write_timeout(Some(LIMIT)).doing("set up a connection")?;
    }
    Ok((client, server))
}

fn stream(ends: &Ends, timing: Timing, is_over: &(dyn Fn() -> bool + Sync)) -> Result<Option<Sample>> {
    let (mut client, mut server) = connected(ends)?;
    let counters = Counters::default();
    std::thread::scope(|scope| {
        let counters = &counters;
        scope.spawn(move || {
            let bytes = vec![0x5a; CHUNK];
            while !counters.is_over() {
                let Ok(count) = client.write(&bytes) else { break };
                counters.sent(count as u64);
            }
            // Closing it ends the other.
        });
        scope.spawn(move || {
            let mut bytes = vec![0; CHUNK];
            while let Ok(count @ 1..) = server.read(&mut bytes) {
                counters.came(count as u64);
            }
        });
        watch(counters, Load::Stream, timing, is_over)
    })
}

fn datagrams(ends: &Ends, timing: Timing, is_over: &(dyn Fn() -> bool + Sync)) -> Result<Option<Sample>> {
    let what = "open a socket of UDP";
    let server = inside(ends.server.as_ref(), || UdpSocket::bind(any(ends)).doing(what))?;
    server.set_read_timeout(Some(GLANCE)).doing(what)?;
    let to = SocketAddr::new(ends.address, server.local_addr().doing(what)?.port());
    let client = inside(ends.client.as_ref(), || {
        let client = UdpSocket::bind(any(ends)).doing(what)?;
        client.connect(to).doing("find a way to the other end")?;
        Ok(client)
    })?;
    client.set_write_timeout(Some(LIMIT)).doing(what)?;
    let counters = Counters::default();
    std::thread::scope(|scope| {
        let counters = &counters;
        scope.spawn(move || {
            let bytes = [0x5a; DATAGRAM];
            while !counters.is_over() {
                if client.send(&bytes).is_ok() {
                    counters.sent(1);
                }
            }
        });
        scope.spawn(move || {
            let mut bytes = [0; DATAGRAM + 1];
            while !counters.is_over() {
                if server.recv(&mut bytes).is_ok() {
                    counters.came(1);
                }
            }
        });
        watch(counters, Load::Datagrams, timing, is_over)
    })
}

fn exchange(ends: &Ends, timing: Timing, is_over: &(dyn Fn() -> bool + Sync)) -> Result<Option<Sample>> {
    let (mut client, mut server) = connected(ends)?;
    let counters = Counters::default();
    let times = Mutex::new(Vec::new());
    let sample = std::thread::scope(|scope| {
        let (counters, times) = (&counters, &times);
        scope.spawn(move || {
            let mut byte = [0];
            while let Ok(1) = server.read(&mut byte) {
                if server.write_all(&byte).is_err() {
                    break;
                }
            }
        });
        scope.spawn(move || {
            let (mut byte, mut own) = ([0x5a], Vec::with_capacity(1 << 16));
            while !counters.is_over() {
                let begun = Instant::now();
                if client.write_all(&byte).is_err() || client.read_exact(&mut byte).is_err() {
                    break;
                }
                let time = begun.elapsed();
                // Before it is counted, so that what was counted was noted.
                if counters.counting.load(Ordering::Relaxed) && own.len() < MOST_EXCHANGES {
                    own.push(u32::try_from(time.as_nanos()).unwrap_or(u32::MAX));
                }
                counters.came(1);
                counters.sent(1);
            }
            *times.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = own;
        });
        watch(counters, Load::Exchange, timing, is_over)
    })?;
    let times = times.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(sample.map(|sample| Sample { latency: latency(times), ..sample }))
}

/// Of times in nanoseconds; none if there are none.
fn latency(mut times: Vec<u32>) -> Option<Latency> {
    times.sort_unstable();
    let at = |thousandths: usize| {
        let place = (times.len() * thousandths).div_ceil(1000).max(1) - 1;
        times.get(place).map(|&time| f64::from(time) / 1e3)
    };
    Some(Latency { p50: at(500)?, p90: at(900)?, p99: at(990)?, p999: at(999)? })
}

fn connections(ends: &Ends, timing: Timing, is_over: &(dyn Fn() -> bool + Sync)) -> Result<Option<Sample>> {
    let (listener, to) = listen(ends)?;
    listener.set_nonblocking(true).doing("listen for connections")?;
    let counters = Counters::default();
    std::thread::scope(|scope| {
        let (counters, client) = (&counters, ends.client.as_ref());
        let calls = scope.spawn(move || {
            let called = inside(client, || {
                while !counters.is_over() {
                    call(&to)?;
                    counters.sent(1);
                }
                Ok(())
            });
            // Whoever is called may have ended before.
            let failed = called.is_err() && !counters.is_over();
            counters.over.store(true, Ordering::Relaxed);
            if failed { called } else { Ok(()) }
        });
        scope.spawn(move || {
            while !counters.is_over() {
                match listener.accept() {
                    Ok(_) => counters.came(1),
                    Err(_) => wait(&listener),
                }
            }
        });
        let sample = watch(counters, Load::Connections, timing, is_over);
        match calls.join() {
            Ok(Err(error)) => Err(error),
            _ => sample,
        }
    })
}

/// Makes a connection, waits until the other end has taken and closed it, and closes it by a reset, so that no port waits for late
/// packets.
fn call(to: &SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(to, LIMIT).doing("connect to the other end")?;
    stream.set_read_timeout(Some(LIMIT)).doing("set up a connection")?;
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).doing("set up a connection")?;
    stream.read(&mut [0]).doing("wait for the other end").map(drop)
}

/// Until somebody calls, for a while.
fn wait(listener: &TcpListener) {
    let mut ready = [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)];
    let time = Timespec::try_from(GLANCE).ok();
    // It is asked again.
    let _ = poll(&mut ready, time.as_ref());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_there_is() {
        assert_eq!(latency(Vec::new()), None);
        let one = latency(vec![1500]);
        assert_eq!(one, Some(Latency { p50: 1.5, p90: 1.5, p99: 1.5, p999: 1.5 }));
        let many = latency((1..=1000).map(|time| time * 1000).collect());
        assert_eq!(many, Some(Latency { p50: 500.0, p90: 900.0, p99: 990.0, p999: 999.0 }));
    }
}

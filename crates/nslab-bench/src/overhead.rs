//! What watching costs those that are not watched: the throughput of traffic while a filter looks for other packets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use serde::Serialize;

use crate::candidates::{self, Places};
use crate::error::{Doing, Error, Result};
use crate::process;
use crate::stats::{print_table, short};

/// The lab that traffic goes through: host, switch, router, host.
const LAB: &str = "watched";
const TEXT: &str = "name: watched\naddressing: {ipv6: none}\nnodes: {a: {}, r: {forward: true}, b: {}}\nswitches: {s: {}}\n\
     links:\n  - [a 10.0.0.2/24, s]\n  - [r 10.0.0.1/24, s]\n  - [r 10.0.1.1/24, b 10.0.1.2/24]\n";
/// What nobody sends.
const OTHERS: &str = "udp port 4000 and host 10.9.9.9";
/// What of a packet is not its header of Ethernet, IPv4 and UDP: these are small packets, of 60 bytes.
const PAYLOAD: usize = 18;
/// The port that programs of this use.
const PORT: u16 = 9000;

/// What watches.
#[derive(Debug, Clone, Copy)]
struct Watcher {
    name: &'static str,
    arguments: &'static [&'static str],
}

/// The first is nobody, whom the others are held against.
const WATCHERS: [Watcher; 5] = [
    Watcher { name: "nobody", arguments: &[] },
    Watcher { name: "drops of one node", arguments: &["drops", "watched/r"] },
    Watcher { name: "drops with a filter", arguments: &["drops", "-f", OTHERS] },
    Watcher { name: "trace --listen", arguments: &["trace", "--lab", LAB, "--listen", OTHERS] },
    Watcher { name: "capture", arguments: &["capture", "--lab", LAB, "-f", OTHERS, "-w", "/dev/null"] },
];

/// What goes through the network.
#[derive(Debug, Clone, Copy)]
enum Traffic {
    /// One connection, as fast as it can.
    Tcp,
    /// Small packets, as many as one thread can send, which a program at the other end reads.
    Udp,
    /// The same where nobody reads: each is dropped in the end, and each drop is told to whoever watches the kernel.
    Dropped,
}

impl Traffic {
    const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Dropped];

    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP, Gbit/s",
            Self::Udp => "UDP, packets/s",
            Self::Dropped => "UDP to a closed port, packets/s",
        }
    }

    /// How much goes through in a second.
    fn measure(self, length: Duration) -> Result<f64> {
        match self {
            Self::Tcp => tcp(length),
            Self::Udp => udp(length, true),
            Self::Dropped => udp(length, false),
        }
    }
}

/// What came of one kind of traffic and one watcher.
#[derive(Debug, Serialize)]
struct Outcome {
    traffic: &'static str,
    watcher: &'static str,
    /// How much went through, round by round.
    throughput: Vec<f64>,
    /// Beside nobody watching, in the same round: 1 is as much.
    ratio: Vec<f64>,
}

/// Rounds of `seconds` for each kind of traffic and each watcher, in turns.
pub fn run(seconds: f64, runs: usize, places: &Places, json: bool) -> Result<()> {
    let file = places.work.join("watched.yaml");
    candidates::write(&file, TEXT)?;
    process::run(&places.nslab, &["up".as_ref(), file.as_os_str()])?;
    let measured = measure(Duration::from_secs_f64(seconds), runs, places);
    process::run(&places.nslab, &["down", LAB])?;
    let outcomes = measured?;
    if json {
        println!("{:#}", serde_json::json!(outcomes));
    } else {
        print(&outcomes);
    }
    Ok(())
}

fn measure(length: Duration, runs: usize, places: &Places) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for traffic in Traffic::ALL {
        let new = |watcher: &Watcher| Outcome {
            traffic: traffic.name(),
            watcher: watcher.name,
            throughput: Vec::new(),
            ratio: Vec::new(),
        };
        let mut of_traffic: Vec<Outcome> = WATCHERS.iter().map(new).collect();
        for round in 0..=runs {
            // Each round in another order, so that none always follows the same.
            let mut figures = [0.0; WATCHERS.len()];
            for step in 0..WATCHERS.len() {
                let which = (round + step) % WATCHERS.len();
                figures[which] = watched(WATCHERS[which], traffic, length, places)?;
            }
            if round == 0 {
                continue;
            }
            for (outcome, figure) in of_traffic.iter_mut().zip(figures) {
                outcome.throughput.push(figure);
                outcome.ratio.push(figure / figures[0]);
            }
        }
        outcomes.append(&mut of_traffic);
    }
    Ok(outcomes)
}

/// How much goes through while this watches.
fn watched(watcher: Watcher, traffic: Traffic, length: Duration, places: &Places) -> Result<f64> {
    if watcher.arguments.is_empty() {
        return traffic.measure(length);
    }
    let mut child = start(watcher, places)?;
    let figure = traffic.measure(length);
    crate::sys::interrupt(child.id());
    child.wait().doing(|| "wait".to_owned())?;
    figure
}

/// Starts a watcher, and waits until it watches.
fn start(watcher: Watcher, places: &Places) -> Result<Child> {
    let mut command = Command::new(&places.nslab);
    command.args(watcher.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().doing(|| format!("run {command:?}"))?;
    let stderr = child.stderr.take().ok_or_else(|| Error::Usage("no standard error".to_owned()))?;
    let mut stderr = BufReader::new(stderr);
    let mut said = String::new();
    while !said.contains("ready: ") {
        if stderr.read_line(&mut said).doing(|| format!("read what {} says", watcher.name))? == 0 {
            let status = child.wait().doing(|| "wait".to_owned())?;
            return Err(process::failed(watcher.name.to_owned(), status, said.as_bytes()));
        }
    }
    // What it says later must not fill the pipe.
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    Ok(child)
}

/// Does something in a node.
fn within<T: Send>(node: &str, work: impl FnOnce() -> std::io::Result<T> + Send) -> Result<T> {
    let failed = |error: nslab_kernel::Error| Error::Usage(error.to_string());
    let namespace =
        Namespace::open(&Path::new("/run/netns").join(format!("{LAB}-{node}"))).map_err(failed)?;
    namespace.run(work).map_err(failed)?.doing(|| format!("open a socket in {node}"))
}

fn tcp(length: Duration) -> Result<f64> {
    let listener = within("b", || TcpListener::bind(("10.0.1.2", PORT)))?;
    let reader = std::thread::spawn(move || -> std::io::Result<u64> {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = vec![0; 1 << 18];
        let mut total = 0;
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(total),
                count => total += count as u64,
            }
        }
    });
    let mut stream = within("a", || TcpStream::connect(("10.0.1.2", PORT)))?;
    let data = vec![0; 1 << 17];
    let begun = Instant::now();
    while begun.elapsed() < length {
        stream.write_all(&data).doing(|| "send".to_owned())?;
    }
    drop(stream);
    let total = reader.join().unwrap_or(Ok(0)).doing(|| "receive".to_owned())?;
    #[allow(clippy::cast_precision_loss, reason = "figures to look at")]
    Ok(total as f64 * 8.0 / begun.elapsed().as_secs_f64() / 1e9)
}

fn udp(length: Duration, is_read: bool) -> Result<f64> {
    let reader = if is_read {
        let socket = within("b", || UdpSocket::bind(("10.0.1.2", PORT)))?;
        socket.set_read_timeout(Some(Duration::from_millis(100))).doing(|| "set a time".to_owned())?;
        Some(std::thread::spawn(move || {
            let mut buffer = [0; 64];
            // Until nothing comes any more.
            while socket.recv(&mut buffer).is_ok() {}
        }))
    } else {
        None
    };
    let socket = within("a", || UdpSocket::bind("0.0.0.0:0"))?;
    let port = if is_read { PORT } else { PORT + 1 };
    socket.connect(("10.0.1.2", port)).doing(|| "connect".to_owned())?;
    let mut sent = 0_u64;
    let begun = Instant::now();
    while begun.elapsed() < length {
        for _ in 0..256 {
            // That nobody listens there comes back as an error of the next one.
            if socket.send(&[0; PAYLOAD]).is_ok() || socket.send(&[0; PAYLOAD]).is_ok() {
                sent += 1;
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    if let Some(reader) = reader {
        let _ = reader.join();
    }
    #[allow(clippy::cast_precision_loss, reason = "figures to look at")]
    Ok(sent as f64 / seconds)
}

fn print(outcomes: &[Outcome]) {
    let spread = |values: &[f64], show: &dyn Fn(f64) -> String| {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        match (sorted.first(), sorted.get(sorted.len() / 2), sorted.last()) {
            (Some(&low), Some(&middle), Some(&high)) => {
                format!("{} ({}–{})", show(middle), show(low), show(high))
            }
            _ => "–".to_owned(),
        }
    };
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|one| {
            vec![
                one.traffic.to_owned(),
                one.watcher.to_owned(),
                spread(&one.throughput, &short),
                spread(&one.ratio, &|ratio| format!("{ratio:.3}")),
            ]
        })
        .collect();
    print_table(&["traffic", "watched by", "throughput", "of that unwatched"], &rows);
}

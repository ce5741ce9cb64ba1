//! What watching costs those that are not watched: the throughput of traffic while a filter looks for other packets.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use serde::Serialize;

use crate::candidates::{self, Places, on_path};
use crate::error::{Doing, Error, Result};
use crate::process::{self, Talking};
use crate::stats::{print_table, short};

/// The lab that traffic goes through: host, switch, router, host; and two hosts beside.
const LAB: &str = "watched";
const TEXT: &str = "name: watched\naddressing: {ipv6: none}\nnodes: {a: {}, r: {forward: true}, b: {}, x: {}, y: {}}\nswitches: {s: {}}\n\
     links:\n  - [a 10.0.0.2/24, s]\n  - [r 10.0.0.1/24, s]\n  - [r 10.0.1.1/24, b 10.0.1.2/24]\n  - [x 10.0.2.1/24, y 10.0.2.2/24]\n";
/// What nobody sends.
const OTHERS: &str = "udp port 4000 and host 10.9.9.9";
/// What of a packet is not its header of Ethernet, IPv4 and UDP: these are small packets, of 60 bytes.
const PAYLOAD: usize = 18;
/// The port that programs of this use.
const PORT: u16 = 9000;

/// The namespaces that it goes through.
const WAY: [&str; 4] = ["watched/a", "watched/s", "watched/r", "watched/b"];

/// What watches.
#[derive(Debug, Clone, Copy)]
enum Watcher {
    /// Nobody, whom the others are held against.
    Nobody,
    /// nslab, with these words, on the way or beside it.
    Nslab { name: &'static str, arguments: &'static [&'static str], on_the_way: bool },
    /// tcpdump, one for each namespace of the way.
    Tcpdump,
}

const WATCHERS: [Watcher; 8] = [
    Watcher::Nobody,
    Watcher::Nslab {
        name: "drops of a node on the way",
        arguments: &["drops", "watched/r"],
        on_the_way: false,
    },
    Watcher::Nslab { name: "drops -f, everywhere", arguments: &["drops", "-f", OTHERS], on_the_way: false },
    Watcher::Nslab {
        name: "trace --listen of other nodes",
        arguments: &["trace", "--listen", OTHERS, "watched/x", "watched/y"],
        on_the_way: false,
    },
    Watcher::Nslab {
        name: "trace --listen on the way",
        arguments: &["trace", "--listen", OTHERS],
        on_the_way: true,
    },
    Watcher::Nslab {
        name: "capture -f on the way",
        arguments: &["capture", "-f", OTHERS, "-w", "/dev/null"],
        on_the_way: true,
    },
    Watcher::Nslab {
        name: "capture -Q in -f on the way",
        arguments: &["capture", "-Q", "in", "-f", OTHERS, "-w", "/dev/null"],
        on_the_way: true,
    },
    Watcher::Tcpdump,
];

impl Watcher {
    fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Nslab { name, .. } => name,
            Self::Tcpdump => "tcpdump on the way",
        }
    }

    /// The programs that it takes.
    fn commands(self, places: &Places) -> Vec<Command> {
        match self {
            Self::Nobody => Vec::new(),
            Self::Nslab { arguments, on_the_way, .. } => {
                let mut command = Command::new(&places.nslab);
                command.args(arguments).args(if on_the_way { &WAY[..] } else { &[] });
                vec![command]
            }
            Self::Tcpdump => {
                let one = |node: &&str| {
                    let mut command = Command::new("ip");
                    command.args(["netns", "exec", &node.replace('/', "-"), "tcpdump", "-Z", "root", "-n"]);
                    command.args(["-i", "any", "-w", "/dev/null", OTHERS]);
                    command
                };
                WAY.iter().map(one).collect()
            }
        }
    }

    /// What it says once it watches.
    fn ready(self) -> &'static str {
        if matches!(self, Self::Tcpdump) { "listening on " } else { "ready: " }
    }
}

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
    let mut watchers = WATCHERS.to_vec();
    watchers.retain(|one| !matches!(one, Watcher::Tcpdump) || on_path("tcpdump"));
    for traffic in Traffic::ALL {
        let new = |watcher: &Watcher| Outcome {
            traffic: traffic.name(),
            watcher: watcher.name(),
            throughput: Vec::new(),
            ratio: Vec::new(),
        };
        let mut of_traffic: Vec<Outcome> = watchers.iter().map(new).collect();
        for round in 0..=runs {
            // Each round in another order, so that none always follows the same.
            let mut figures = vec![0.0; watchers.len()];
            for step in 0..watchers.len() {
                let which = (round + step) % watchers.len();
                figures[which] = watched(watchers[which], traffic, length, places)?;
            }
            if round == 0 {
                continue;
            }
            for (outcome, figure) in of_traffic.iter_mut().zip(&figures) {
                outcome.throughput.push(*figure);
                outcome.ratio.push(figure / figures[0]);
            }
        }
        outcomes.append(&mut of_traffic);
    }
    Ok(outcomes)
}

/// How much goes through while this watches.
fn watched(watcher: Watcher, traffic: Traffic, length: Duration, places: &Places) -> Result<f64> {
    let mut all = Vec::new();
    for command in watcher.commands(places) {
        let mut one = Talking::start(command)?;
        one.says(watcher.ready(), 1)?;
        all.push(one);
    }
    let figure = traffic.measure(length);
    for one in all {
        one.interrupt();
        one.end()?;
    }
    figure
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

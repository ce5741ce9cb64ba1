//! What is captured of a flood of packets, and what that costs: nslab, tcpdump and dumpcap in turns on the same traffic.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use serde::Serialize;

use crate::candidates::{self, Places, on_path};
use crate::error::{Doing, Error, Result};
use crate::process::{self, Talking};
use crate::stats::{Samples, print_table, short};

/// The lab that packets are captured in.
const LAB: &str = "flood";
/// What of a packet is not its header of Ethernet, IPv4 and UDP: these are small packets, of 60 bytes.
const PAYLOAD: usize = 18;
/// A pace is kept in steps of this.
const STEP: Duration = Duration::from_millis(1);
/// After the last packet, so long is given to whoever was behind: tcpdump's ring hands a block over after a second at the latest.
const SETTLE: Duration = Duration::from_millis(1500);

/// A network with a way for packets.
struct Way {
    name: &'static str,
    /// How many interfaces there are, which is how many records a round of packets makes.
    interfaces: usize,
    lab: String,
    /// Namespaces in which to capture, and how many interfaces each packet passes in all of them.
    captured: Vec<String>,
    taps: u64,
    /// Who sends, and to whom.
    senders: Vec<(String, String)>,
}

impl Way {
    /// One cable: captured where packets arrive.
    fn one() -> Self {
        Self {
            name: "1 interface",
            interfaces: 1,
            lab: format!(
                "name: {LAB}\naddressing: {{ipv6: none}}\nnodes: {{a: {{}}, b: {{}}}}\nlinks: [[a 10.0.0.1/24, b 10.0.0.2/24]]\n"
            ),
            captured: vec!["b".into()],
            taps: 1,
            senders: vec![("a".into(), "10.0.0.2".into())],
        }
    }

    /// Host, switch, router, host: four namespaces, six interfaces.
    fn six() -> Self {
        Self {
            name: "6 interfaces",
            interfaces: 6,
            lab: format!(
                "name: {LAB}\naddressing: {{ipv6: none}}\nnodes: {{a: {{}}, r: {{forward: true}}, b: {{}}}}\nswitches: {{s: {{}}}}\n\
                 links:\n  - [a 10.0.0.2/24, s]\n  - [r 10.0.0.1/24, s]\n  - [r 10.0.1.1/24, b 10.0.1.2/24]\n"
            ),
            captured: ["a", "s", "r", "b"].map(str::to_owned).into(),
            taps: 6,
            senders: vec![("a".into(), "10.0.1.2".into())],
        }
    }

    /// A star of hosts, each of which sends to the next.
    fn star(hosts: usize) -> Self {
        let name = |host: usize| format!("h{}", host + 1);
        let address = |host: usize| format!("10.1.{}.{}", (host + 1) / 256, (host + 1) % 256);
        let mut lab = format!("name: {LAB}\naddressing: {{ipv6: none}}\nswitches: {{s: {{}}}}\nnodes:\n");
        for host in 0..hosts {
            let _ = writeln!(lab, "  {}: {{}}", name(host));
        }
        lab.push_str("links:\n");
        for host in 0..hosts {
            let _ = writeln!(lab, "  - [{} {}/16, s]", name(host), address(host));
        }
        Self {
            name: "a star",
            interfaces: hosts * 2,
            lab,
            captured: (0..hosts).map(name).chain(["s".to_owned()]).collect(),
            taps: 4,
            senders: (0..hosts).map(|host| (name(host), address((host + 1) % hosts))).collect(),
        }
    }

    fn of(hosts: usize) -> Self {
        match hosts {
            1 => Self::one(),
            2..=6 => Self::six(),
            many => Self::star(many),
        }
    }
}

/// Who captures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Candidate {
    Nslab,
    Tcpdump,
    Dumpcap,
}

impl Candidate {
    const ALL: [Self; 3] = [Self::Nslab, Self::Tcpdump, Self::Dumpcap];

    fn name(self) -> &'static str {
        match self {
            Self::Nslab => "nslab",
            Self::Tcpdump => "tcpdump",
            Self::Dumpcap => "dumpcap",
        }
    }

    /// The programs that it takes: the others know one namespace each.
    fn commands(self, way: &Way, places: &Places) -> Vec<Command> {
        let file = |name: &str| places.work.join(format!("capture-{name}"));
        if self == Self::Nslab {
            let mut command = Command::new(&places.nslab);
            command.args(["capture", "--lab", LAB, "-f", "udp", "-w"]).arg(file("all.pcapng"));
            if way.captured.len() == 1 {
                command = Command::new(&places.nslab);
                command.args(["capture", &format!("{LAB}/{}", way.captured[0]), "-f", "udp", "-w"]);
                command.arg(file("all.pcapng"));
            }
            return vec![command];
        }
        let one = |node: &String| {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", &format!("{LAB}-{node}")]);
            match self {
                Self::Tcpdump => command
                    .args(["tcpdump", "-Z", "root", "-n", "-i", "any", "-w"])
                    .arg(file(node))
                    .arg("udp"),
                _ => command.args(["dumpcap", "-q", "-i", "any", "-f", "udp", "-w"]).arg(file(node)),
            };
            command
        };
        way.captured.iter().map(one).collect()
    }

    /// What it says once it captures.
    fn ready(self) -> &'static str {
        match self {
            Self::Nslab => "ready: ",
            Self::Tcpdump => "listening on ",
            Self::Dumpcap => "File: ",
        }
    }
}

/// What came of one flood.
#[derive(Debug, Default)]
struct Flood {
    start: Duration,
    stop: Duration,
    sending: Duration,
    sent: u64,
    captured: u64,
    /// Processor time of the programs.
    cpu: Duration,
}

/// What came of several.
#[derive(Debug, Serialize)]
struct Outcome {
    way: String,
    interfaces: usize,
    candidate: &'static str,
    /// Packets a second that were asked for; none for as many as can be.
    pace: Option<u64>,
    /// Records that there were a second, and how many of them were not captured, in percent.
    records_per_second: Vec<f64>,
    lost_percent: Vec<f64>,
    /// Processor time for each record, in nanoseconds.
    cpu_per_record: Vec<f64>,
    /// Milliseconds until all capture, and until all have ended.
    start: Samples,
    stop: Samples,
}

/// Floods of `seconds` at these paces (0: as many as can be), in networks of so many interfaces.
pub fn run(
    sizes: &[usize],
    paces: &[u64],
    seconds: f64,
    runs: usize,
    places: &Places,
    json: bool,
) -> Result<()> {
    let candidates: Vec<Candidate> =
        Candidate::ALL.into_iter().filter(|one| *one == Candidate::Nslab || on_path(one.name())).collect();
    let mut outcomes = Vec::new();
    for &size in sizes {
        let way = Way::of(size);
        let file = places.work.join("flood.yaml");
        candidates::write(&file, &way.lab)?;
        process::run(&places.nslab, &["up".as_ref(), file.as_os_str()])?;
        let measured = paces.iter().try_for_each(|&pace| {
            outcomes.extend(in_turns(&way, (pace > 0).then_some(pace), seconds, runs, &candidates, places)?);
            Ok(())
        });
        process::run(&places.nslab, &["down", LAB])?;
        measured?;
    }
    if json {
        println!("{:#}", serde_json::json!(outcomes));
    } else {
        print(&outcomes);
    }
    Ok(())
}

fn in_turns(
    way: &Way,
    pace: Option<u64>,
    seconds: f64,
    runs: usize,
    candidates: &[Candidate],
    places: &Places,
) -> Result<Vec<Outcome>> {
    let new = |candidate: &Candidate| Outcome {
        way: way.name.to_owned(),
        interfaces: way.interfaces,
        candidate: candidate.name(),
        pace,
        records_per_second: Vec::new(),
        lost_percent: Vec::new(),
        cpu_per_record: Vec::new(),
        start: Samples::default(),
        stop: Samples::default(),
    };
    let mut outcomes: Vec<Outcome> = candidates.iter().map(new).collect();
    for run in 0..=runs {
        for (candidate, outcome) in candidates.iter().zip(&mut outcomes) {
            let flood = one(*candidate, way, pace, Duration::from_secs_f64(seconds), places)?;
            if run == 0 {
                continue;
            }
            #[allow(clippy::cast_precision_loss, reason = "figures to look at")]
            let (records, captured) = ((flood.sent * way.taps) as f64, flood.captured as f64);
            outcome.records_per_second.push(records / flood.sending.as_secs_f64());
            outcome.lost_percent.push((1.0 - captured / records).max(0.0) * 100.0);
            outcome.cpu_per_record.push(flood.cpu.as_secs_f64() * 1e9 / captured.max(1.0));
            outcome.start.push(flood.start);
            outcome.stop.push(flood.stop);
        }
    }
    Ok(outcomes)
}

fn one(
    candidate: Candidate,
    way: &Way,
    pace: Option<u64>,
    length: Duration,
    places: &Places,
) -> Result<Flood> {
    let mut flood = Flood::default();
    let begun = Instant::now();
    let mut all = Vec::new();
    for command in candidate.commands(way, places) {
        all.push(Talking::start(command)?);
    }
    for one in &mut all {
        one.says(candidate.ready(), 1)?;
    }
    flood.start = begun.elapsed();
    let sending = Instant::now();
    flood.sent = send(way, pace, length)?;
    flood.sending = sending.elapsed();
    std::thread::sleep(SETTLE);
    for one in &all {
        flood.cpu += processor_time(one.id());
    }
    let ending = Instant::now();
    all.iter().for_each(Talking::interrupt);
    for one in all {
        flood.captured += captured(&one.end()?);
    }
    flood.stop = ending.elapsed();
    for entry in std::fs::read_dir(&places.work).doing(|| "clean up".to_owned())?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("capture-") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(flood)
}

/// How many packets a program says that it captured.
fn captured(said: &str) -> u64 {
    let number = |line: &str| -> Option<u64> {
        if let Some(counts) = line.strip_prefix("Packets received/dropped on interface ") {
            return counts.rsplit_once(": ")?.1.split('/').next()?.parse().ok();
        }
        line.strip_suffix(" captured")?.split(' ').next()?.parse().ok()
    };
    said.lines().filter_map(number).sum()
}

/// Sends for so long, from each sender in turn; returns how many packets.
fn send(way: &Way, pace: Option<u64>, length: Duration) -> Result<u64> {
    let mut sockets = Vec::with_capacity(way.senders.len());
    for (node, to) in &way.senders {
        let failed = |error: nslab_kernel::Error| Error::Usage(error.to_string());
        let namespace =
            Namespace::open(&Path::new("/run/netns").join(format!("{LAB}-{node}"))).map_err(failed)?;
        let socket = namespace.run(|| UdpSocket::bind("0.0.0.0:0")).map_err(failed)?;
        let socket = socket.doing(|| "open a socket".to_owned())?;
        socket.connect((to.as_str(), 9)).doing(|| format!("connect to {to}"))?;
        // The first waits for the neighbour, and the rest with it.
        let _ = socket.send(&[0; PAYLOAD]);
        sockets.push(socket);
    }
    std::thread::sleep(Duration::from_millis(200));
    let begun = Instant::now();
    let mut sent = sockets.len() as u64;
    let mut next = sockets.iter().cycle();
    while begun.elapsed() < length {
        let burst = match pace {
            None => 256,
            Some(pace) => {
                let due = begun.elapsed().as_nanos() * u128::from(pace) / 1_000_000_000;
                u64::try_from(due).unwrap_or(u64::MAX).saturating_sub(sent)
            }
        };
        for socket in next.by_ref().take(usize::try_from(burst).unwrap_or(0)) {
            // That nobody listens there comes back as an error of the next one.
            if socket.send(&[0; PAYLOAD]).is_ok() || socket.send(&[0; PAYLOAD]).is_ok() {
                sent += 1;
            }
        }
        if pace.is_some() {
            std::thread::sleep(STEP);
        }
    }
    Ok(sent)
}

/// What a process has used of processors so far (`proc_pid_stat(5)`, in ticks of 10 ms).
fn processor_time(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn middle(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print(outcomes: &[Outcome]) {
    let header =
        ["interfaces", "who", "packets/s", "records/s", "lost %", "CPU ns/record", "start ms", "stop ms"];
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|one| {
            vec![
                one.interfaces.to_string(),
                one.candidate.to_owned(),
                one.pace.map_or_else(|| "most".to_owned(), |pace| pace.to_string()),
                format!("{:.0}", middle(&one.records_per_second)),
                short(middle(&one.lost_percent)),
                format!("{:.0}", middle(&one.cpu_per_record)),
                one.start.display(),
                one.stop.display(),
            ]
        })
        .collect();
    print_table(&header, &rows);
}

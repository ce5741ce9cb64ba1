//! `docs/causes`: each code has a tiny network in which `explain` names it, and what it says mends it.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nslab_predict::Code;
use serde_json::Value;

use crate::support::{Run, Session, each_user_alone};

each_user_alone!(each_is_named_and_mended, full_kernel_each_is_named_and_mended);

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
/// Programs of a network may still be starting, and addresses settling.
const LIMIT: Duration = Duration::from_secs(30);
/// So many networks at once.
const THREADS: usize = 4;

/// What no network that everybody can build shows: ends that nobody sees, and what `doctor` alone tells of.
const WITHOUT: [Code; 5] =
    [Code::PeerUnseen, Code::BridgeLoop, Code::NeighbourTableFull, Code::NamespaceUnused, Code::VethStale];

/// A network with its cause.
struct Network {
    code: String,
    /// The lab file.
    text: String,
    /// What is typed before anything is asked.
    set_up: Vec<String>,
    /// Arguments of `nslab explain`.
    questions: Vec<String>,
    /// Why nothing that could be typed mends it.
    no_fix: Option<String>,
    /// A real packet may get there all the same.
    is_chance: bool,
    /// What of the kernel it needs that not all have.
    needs: Option<String>,
}

impl Network {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let note = |word: &str| {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix("# ")?.strip_prefix(word));
            lines.next().map(str::to_owned)
        };
        let mut network = Self {
            code: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            set_up: Vec::new(),
            questions: Vec::new(),
            no_fix: note("no fix: "),
            is_chance: note("chance: ").is_some(),
            needs: note("needs: "),
            text: text.clone(),
        };
        for line in text.lines().filter_map(|line| line.strip_prefix("#   ")) {
            match line.strip_prefix("nslab explain ") {
                Some(question) => network.questions.push(question.to_owned()),
                None if line.starts_with("nslab up ") => {}
                None => network.set_up.push(line.to_owned()),
            }
        }
        assert!(!network.questions.is_empty(), "{} asks nothing", network.code);
        network
    }

    /// Has `doctor` look, without being told where: it names what it is there to find, and nothing else.
    fn examine(&self, session: &Session, lab: &str) -> Result<(), String> {
        let expected: &[&str] = match &self.code[..] {
            "BRIDGE_FIREWALL"
            | "DUPLICATE_ADDRESS"
            | "DUPLICATE_MAC"
            | "FORWARDING_OFF"
            | "LINK_DOWN"
            | "LISTENER_OTHER_ADDRESS"
            | "LOOPBACK_DOWN"
            | "MTU_MISMATCH"
            | "NAT_MISSING"
            | "NO_RETURN_ROUTE"
            | "PMTU_BLACKHOLE"
            | "RP_FILTER"
            | "TTL_EXPIRED"
            | "WRONG_SEGMENT" => &[&self.code],
            // The end that is down is to blame.
            "NO_CARRIER" => &["LINK_DOWN"],
            // Who has no route does not answer those who have one.
            "NO_ROUTE" | "ROUTE_THROW" => &["NO_RETURN_ROUTE"],
            "GATEWAY_UNREACHABLE" => &["GATEWAY_UNREACHABLE", "NO_RETURN_ROUTE"],
            "BRIDGE_VLAN" => &["WRONG_SEGMENT"],
            // What may be meant, or shows only when something is sent.
            _ => &[],
        };
        let run = session.run(["doctor", lab, "--json"]);
        let report: Value = serde_json::from_str(&run.stdout).map_err(|_| format!("doctor: {run:?}"))?;
        let faults = report["faults"].as_array().into_iter().flatten();
        let mut codes: Vec<&str> = faults.filter_map(|fault| fault["code"].as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        if codes != expected {
            return Err(format!("doctor of {} finds {codes:?}: {report:#}", self.code));
        }
        Ok(())
    }

    /// Asks one of its questions in a network of its own, and does what is said.
    fn ask(&self, session: &Session, question: &str) -> Result<(), String> {
        let (lab, file) = {
            let lab = session.lab("cause");
            let file = format!("{lab}.yaml");
            session.file(&file, self.text.replace("name: cause", &format!("name: {lab}")));
            (lab, file)
        };
        let up = session.run(["up", &file]);
        if let (Some(3), Some(option)) = (up.code, &self.needs) {
            nslab_testing::kernel_lacks(option);
            return Ok(());
        }
        up.ok();
        let here = |text: &str| text.replace("cause/", &format!("{lab}/"));
        for command in &self.set_up {
            shell(session, &here(command)).map_err(|said| format!("{command}: {said}"))?;
        }
        let explain = here(&format!("nslab explain {question} --json"));
        let begun = Instant::now();
        let report = loop {
            let run = run(session, &explain);
            let report: Value =
                serde_json::from_str(&run.stdout).map_err(|_| format!("{explain}: {run:?}"))?;
            let is_it = report["cause"]["code"] == *self.code && run.code == Some(1);
            // A server may not be up yet.
            if is_it || begun.elapsed() > LIMIT / if self.no_fix.is_some() { 1 } else { 10 } {
                break report;
            }
        };
        let cause = &report["cause"];
        if cause["code"] != *self.code {
            return Err(format!("{explain}: {report:#}"));
        }
        self.examine(session, &lab)?;
        let probe = here(&probe(question));
        if !self.is_chance && self.code != "UNMODELLED" && shell(session, &probe).is_ok() {
            return Err(format!("{probe} is answered, and {explain} says {}", cause["text"]));
        }
        trace(session, &here(question), &report)?;
        let fix: Vec<&str> = cause["fix"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        match (&self.no_fix, fix.is_empty()) {
            (Some(_), true) => return down(session, &lab),
            (Some(_), false) => {
                return Err(format!("{explain} has a fix, which the file says there is not: {fix:?}"));
            }
            (None, true) => return Err(format!("{explain} has no fix: {report:#}")),
            (None, false) => {}
        }
        for command in &fix {
            shell(session, command).map_err(|said| format!("{command} (of {fix:#?}): {said}"))?;
        }
        let begun = Instant::now();
        while let Err(said) = shell(session, &probe) {
            if begun.elapsed() > LIMIT {
                return Err(format!("{probe} after {fix:#?}: {said}"));
            }
        }
        // What was said it would come to.
        let after = run(session, &explain);
        if after.code != Some(0) {
            return Err(format!("{explain} after {fix:#?}: {after:?}"));
        }
        down(session, &lab)
    }
}

/// Sends the packet and watches it: it ends where it was predicted to, for the reason that was given.
fn trace(session: &Session, question: &str, predicted: &Value) -> Result<(), String> {
    let trace = format!("nslab trace {question} --json");
    let run = run(session, &trace);
    let report: Value = serde_json::from_str(&run.stdout).map_err(|_| format!("{trace}: {run:?}"))?;
    if predicted["verdict"] == "unknown" {
        // What became of it is known now.
        return match report["verdict"].as_str() {
            Some("delivered" | "dropped" | "rejected") if report["agrees"].is_null() => Ok(()),
            _ => Err(format!("{trace}: {report:#}")),
        };
    }
    let same = |part: &str| report["cause"][part] == predicted["cause"][part];
    let is_same = report["verdict"] == predicted["verdict"] && same("code") && same("where") && same("text");
    if !is_same || report["agrees"] != true || run.code != Some(1) {
        return Err(format!("{trace}: {report:#}"));
    }
    // That it ends there was seen.
    let steps = report["steps"].as_array().into_iter().flatten();
    let stops: Vec<&Value> = steps.filter(|step| step["action"] == "stop").collect();
    if !stops.iter().any(|step| step["sight"] == "seen") {
        return Err(format!("{trace}: no end is seen: {report:#}"));
    }
    Ok(())
}

fn down(session: &Session, lab: &str) -> Result<(), String> {
    shell(session, &format!("nslab down {lab}")).map(drop)
}

/// The real packet that a question is about.
fn probe(question: &str) -> String {
    let mut words: Vec<&str> = question.split(' ').collect();
    let destination = words[1].trim_matches('\'');
    if let Some(address) = destination.strip_suffix(":80/tcp") {
        let address = address.trim_matches(['[', ']']);
        return format!("nslab exec {} -- bash -c 'exec 3<>/dev/tcp/{address}/80'", words[0]);
    }
    words.extend(["-c", "1", "-W", "0.4"]);
    format!("nslab ping {}", words.join(" "))
}

fn run(session: &Session, command: &str) -> Run {
    let mut shell = session.other("sh");
    let programs = session.program().parent().unwrap().display().to_string();
    let path = format!("{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    shell.args(["-c", command]).env("PATH", path);
    Run::of(shell)
}

/// Types a command.
pub(crate) fn shell(session: &Session, command: &str) -> Result<String, String> {
    let run = run(session, command);
    if run.code == Some(0) { Ok(run.stdout) } else { Err(format!("{}{}", run.stdout, run.stderr)) }
}

fn all() -> Vec<Network> {
    let mut files: Vec<_> = std::fs::read_dir(Path::new(DOCS).join("causes"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|path| Network::read(path)).collect()
}

fn try_all(session: &Session, networks: &[Network]) {
    let only = std::env::var("NSLAB_TEST_CAUSE").ok();
    let cases: Vec<(&Network, &String)> = networks
        .iter()
        .filter(|network| only.as_ref().is_none_or(|only| *only == network.code))
        .flat_map(|network| network.questions.iter().map(move |question| (network, question)))
        .collect();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((network, question)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(said) = network.ask(session, question) {
                        wrong.lock().unwrap().push(format!("{}: {said}", network.code));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

fn each_is_named_and_mended(session: &Session) {
    if nslab_testing::Oracle::find().is_none() {
        return;
    }
    let mut networks = all();
    networks.retain(|network| network.needs.is_none());
    try_all(session, &networks);
}

fn full_kernel_each_is_named_and_mended(session: &Session) {
    let mut networks = all();
    networks.retain(|network| network.needs.is_some());
    try_all(session, &networks);
}

#[test]
fn every_code_has_a_network_and_a_row() {
    let networks: Vec<String> = all().into_iter().map(|network| network.code).collect();
    let table = std::fs::read_to_string(Path::new(DOCS).join("causes.md")).unwrap();
    for code in Code::ALL {
        let name = code.as_str();
        assert!(table.contains(&format!("`{name}`")), "docs/causes.md does not tell of {name}");
        assert_ne!(
            networks.iter().any(|known| known == name),
            WITHOUT.contains(code),
            "{name} in docs/causes"
        );
    }
    for known in networks {
        assert!(Code::ALL.iter().any(|code| code.as_str() == known), "{known} is no code");
    }
}

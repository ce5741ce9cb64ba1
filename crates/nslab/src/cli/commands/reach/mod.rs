//! `nslab reach`.

mod changes;
mod expect;
mod hosts;

use std::net::IpAddr;
use std::process::ExitCode;

use nslab_predict::reach::{Family, Reach, Service, reach};
use nslab_predict::{Cause, Code, Network, Verdict};
use nslab_snapshot::{Options, Snapshot};
use nslab_view::{Cell, Matrix};
use schemars::JsonSchema;
use serde::Serialize;

pub(in crate::cli) use self::changes::Report as Changes;
pub(in crate::cli) use self::expect::Row as Expectation;
use self::hosts::Hosts;
use super::scan::{load, take};
use super::{DONE, NO};
use crate::cli::args::Reach as Args;
use crate::cli::error::CliError;
use crate::cli::output::Output;

/// What `reach --json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "nslab reach --json")]
pub(in crate::cli) struct Report {
    /// Hosts that fare alike, as senders and as receivers.
    classes: Vec<Vec<String>>,
    /// What becomes of packets between classes, for each service.
    cells: Vec<CellRow>,
    /// What becomes of packets of each pair, for each service.
    pairs: Vec<Pair>,
}

/// What becomes of packets from the hosts of one class to those of another.
#[derive(Serialize, JsonSchema)]
struct CellRow {
    /// The class of the senders: its place in `classes`.
    from: usize,
    /// The class of the receivers.
    to: usize,
    /// `icmp`, `tcp/PORT` or `udp/PORT`.
    #[schemars(with = "String")]
    service: Service,
    /// The address that one of them was asked by; none if there is none.
    address: Option<IpAddr>,
    /// The outcome.
    #[schemars(with = "String", extend("enum" = ["delivered", "dropped", "rejected", "unknown"]))]
    verdict: Verdict,
    /// What stops them.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<CauseRow>,
}

/// The object that stops a packet, in one of the pairs.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct CauseRow {
    /// Which kind of cause.
    #[schemars(with = "String", extend("enum" = Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>()))]
    pub(in crate::cli) code: Code,
    /// The object to blame.
    pub(in crate::cli) r#where: Where,
    /// Why, a sentence.
    pub(in crate::cli) text: String,
    /// Where the answer is what is dropped: why it is.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) inner: Option<Code>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct Where {
    /// The namespace.
    pub(in crate::cli) ns: String,
    /// What there, in words.
    pub(in crate::cli) object: String,
}

/// One pair.
#[derive(Serialize, JsonSchema)]
struct Pair {
    /// The sender.
    from: String,
    /// The receiver.
    to: String,
    /// `icmp`, `tcp/PORT` or `udp/PORT`.
    #[schemars(with = "String")]
    service: Service,
    /// The outcome.
    #[schemars(with = "String", extend("enum" = ["delivered", "dropped", "rejected", "unknown"]))]
    verdict: Verdict,
    /// The code of what stops it.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
}

pub(super) fn run(args: &Args, output: Output) -> Result<ExitCode, CliError> {
    let old = args.diff.as_deref().map(load).transpose()?;
    let wanted = args.expect.as_deref().map(|file| expect::read(file, output)).transpose()?;
    let snapshot = match &args.snapshot {
        Some(file) => load(file)?,
        None => take(Options::default(), output)?,
    };
    let lab = wanted.as_ref().map(|loaded| loaded.lab.name.value.clone());
    let hosts = Hosts::find(&snapshot, &args.targets, lab.as_deref(), args.snapshot.is_none())?;
    let family = match (args.ipv4, args.ipv6) {
        (true, _) => Family::Ipv4,
        (_, true) => Family::Ipv6,
        _ => Family::Any,
    };
    let network = Network::of(&snapshot);
    if let Some(loaded) = wanted {
        return expect::run(&loaded, &network, &hosts, family, output);
    }
    let reach = reach(&network, &hosts.places, &args.service, family);
    if let Some(old) = old {
        return changes::run(&old, &snapshot, &hosts, &reach, family, output);
    }
    if args.csv {
        output.print(&csv(&snapshot, &hosts, &reach));
    } else if output.json {
        output.print_json(&report(&snapshot, &hosts, &reach));
    } else {
        output.print(&text(&hosts, &reach, output));
    }
    let all = (0..reach.services().len()).all(|service| {
        pairs(&hosts).all(|(from, to)| {
            reach.cell(from, to, service).is_some_and(|cell| cell.verdict == Verdict::Delivered)
        })
    });
    Ok(if all { DONE } else { NO.into() })
}

/// All pairs, as places in the list of hosts.
fn pairs(hosts: &Hosts) -> impl Iterator<Item = (usize, usize)> {
    let count = hosts.names.len();
    (0..count).flat_map(move |from| (0..count).filter(move |&to| to != from).map(move |to| (from, to)))
}

/// Why a pair does not reach, in few words, alike for what is alike.
fn reason(cell: &nslab_predict::reach::Cell) -> String {
    match (&cell.address, &cell.cause) {
        (None, _) => "no address".to_owned(),
        (_, Some(cause)) => match cause.inner.filter(|_| cause.code == Code::ReturnDropped) {
            Some(inner) => format!("{} ({inner})", cause.code),
            None => cause.code.to_string(),
        },
        (_, None) => "unknown".to_owned(),
    }
}

fn text(hosts: &Hosts, reach: &Reach, output: Output) -> String {
    let mut text = String::new();
    for (number, service) in reach.services().iter().enumerate() {
        if reach.services().len() > 1 {
            let gap = if text.is_empty() { "" } else { "\n" };
            text.extend([format!("{gap}{service}\n")]);
        }
        let cell = |from: usize, to: usize| match reach.cell(from, to, number) {
            None => Cell::None,
            Some(cell) if cell.verdict == Verdict::Delivered => Cell::Reached,
            Some(cell) => Cell::Failed(reason(cell)),
        };
        let count = hosts.names.len();
        let cells: Vec<Vec<Cell>> =
            (0..count).map(|from| (0..count).map(|to| cell(from, to)).collect()).collect();
        let (sources, destinations) = (&hosts.names, &hosts.names);
        let matrix = Matrix { sources, destinations, cells: &cells, predicted: true };
        text.push_str(&nslab_view::matrix(&matrix, &output.style()));
    }
    text
}

fn csv(snapshot: &Snapshot, hosts: &Hosts, reach: &Reach) -> String {
    let quoted = |text: &str| {
        if text.contains([',', '"', '\n']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let mut text = "from,to,service,verdict,code,ns,object\n".to_owned();
    for (from, to) in pairs(hosts) {
        for (number, service) in reach.services().iter().enumerate() {
            let Some(cell) = reach.cell(from, to, number) else { continue };
            let (code, ns, object) = cell.cause.as_ref().map_or_else(Default::default, |cause| {
                (cause.code.as_str(), name(snapshot, cause.namespace), cause.object.clone())
            });
            let row = [
                &hosts.names[from],
                &hosts.names[to],
                &service.to_string(),
                word(cell.verdict),
                code,
                &ns,
                &object,
            ];
            let row: Vec<String> = row.into_iter().map(quoted).collect();
            text.push_str(&row.join(","));
            text.push('\n');
        }
    }
    text
}

/// A verdict as JSON has it.
pub(in crate::cli) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Dropped => "dropped",
        Verdict::Rejected => "rejected",
        Verdict::Unknown => "unknown",
    }
}

fn name(snapshot: &Snapshot, place: usize) -> String {
    snapshot.namespaces.get(place).map_or_else(String::new, |space| space.name().to_string())
}

/// A cause as JSON has it.
pub(in crate::cli) fn cause_row(snapshot: &Snapshot, cause: &Cause) -> CauseRow {
    CauseRow {
        code: cause.code,
        r#where: Where { ns: name(snapshot, cause.namespace), object: cause.object.clone() },
        text: cause.text.clone(),
        inner: cause.inner,
    }
}

fn report(snapshot: &Snapshot, hosts: &Hosts, reach: &Reach) -> Report {
    let mut classes = vec![Vec::new(); reach.class_count()];
    for (place, name) in hosts.names.iter().enumerate() {
        if let Some(class) = reach.class(place) {
            classes[class].push(name.clone());
        }
    }
    let cells = reach
        .cells()
        .map(|((from, to, service), cell)| CellRow {
            from,
            to,
            service: reach.services()[service],
            address: cell.address,
            verdict: cell.verdict,
            cause: cell.cause.as_ref().map(|cause| cause_row(snapshot, cause)),
        })
        .collect();
    let mut rows = Vec::new();
    for (from, to) in pairs(hosts) {
        for (number, &service) in reach.services().iter().enumerate() {
            let Some(cell) = reach.cell(from, to, number) else { continue };
            rows.push(Pair {
                from: hosts.names[from].clone(),
                to: hosts.names[to].clone(),
                service,
                verdict: cell.verdict,
                code: cell.cause.as_ref().map(|cause| cause.code),
            });
        }
    }
    Report { classes, cells, pairs: rows }
}

//! `nslab ping`.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Instant;

use nslab_kernel::Namespace;
use nslab_kernel::link::list;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_observe::ping::{Event, Outcome, PingOptions, Probe, ping};
use nslab_topology::Topology;
use nslab_topology::model::Device;
use nslab_view::{Cell, Matrix};
use serde::Serialize;

use super::{DONE, NO};
use crate::cli::args::Ping;
use crate::cli::context::{self, Context};
use crate::cli::error::CliError;
use crate::cli::family::{Family, nearest};
use crate::cli::output::{Output, milliseconds};
use crate::cli::target::Target;

/// How many requests one pair gets unless told otherwise.
const COUNT_OF_A_PAIR: u32 = 4;

/// One pair in JSON.
#[derive(Serialize)]
pub(super) struct Row {
    from: String,
    to: String,
    address: IpAddr,
    sent: u32,
    received: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ms: Option<RoundTrip>,
    /// What came instead of answers, in words; silence says nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

#[derive(Serialize)]
struct RoundTrip {
    min: f64,
    avg: f64,
    max: f64,
    mdev: f64,
}

/// Pairs that were pinged.
pub(super) struct Pinged {
    /// The names of rows and columns.
    sources: Vec<String>,
    destinations: Vec<String>,
    /// Row, column and destination of each probe.
    pairs: Vec<(usize, usize, IpAddr)>,
    outcomes: Vec<Outcome>,
}

impl Pinged {
    pub(super) fn rows(&self) -> Vec<Row> {
        let pairs = self.pairs.iter().zip(&self.outcomes);
        pairs.map(|(&(from, to, address), outcome)| self.row(from, to, address, outcome)).collect()
    }

    fn row(&self, from: usize, to: usize, address: IpAddr, outcome: &Outcome) -> Row {
        let mut problems: Vec<String> = outcome.failures.iter().map(|one| one.cause.to_string()).collect();
        problems.dedup();
        Row {
            from: self.sources[from].clone(),
            to: self.destinations[to].clone(),
            address,
            sent: outcome.sent,
            received: outcome.received(),
            rtt_ms: outcome.round_trip().map(|times| RoundTrip {
                min: milliseconds(times.min),
                avg: milliseconds(times.avg),
                max: milliseconds(times.max),
                mdev: milliseconds(times.mdev),
            }),
            problems,
        }
    }

    pub(super) fn text(&self, output: Output) -> String {
        let mut cells = vec![vec![Cell::None; self.destinations.len()]; self.sources.len()];
        for (&(from, to, _), outcome) in self.pairs.iter().zip(&self.outcomes) {
            cells[from][to] = Cell::from(outcome);
        }
        let matrix = Matrix {
            sources: &self.sources,
            destinations: &self.destinations,
            cells: &cells,
            predicted: false,
        };
        nslab_view::matrix(&matrix, &output.style())
    }

    /// Whether every request was answered.
    pub(super) fn exit_code(&self) -> ExitCode {
        if self.outcomes.iter().all(|outcome| outcome.lost() == 0) { DONE } else { ExitCode::from(NO) }
    }
}

pub(super) fn run(args: &Ping, output: Output) -> Result<ExitCode, CliError> {
    let context = Context::open(output)?;
    if let (Some(source), Some(destination)) = (&args.source, &args.destination) {
        return pair(args, source, destination, &context, output);
    }
    // The lab may be in the node's name.
    let qualified = args.source.as_deref().and_then(|name| name.split_once('/')).map(|(lab, _)| lab);
    let state = context.lab(args.lab.as_deref().or(qualified))?;
    let nodes = Nodes::new(&state.topology);
    let from = match &args.source {
        Some(name) => {
            let name = name.strip_prefix(&format!("{}/", state.topology.name)).unwrap_or(name);
            vec![nodes.find(name, &state.topology)?]
        }
        None => (0..nodes.names.len()).collect(),
    };
    let pinged = many(&nodes, &from, args, &state.topology, output)?;
    if output.json {
        output.print_json(&pinged.rows());
    } else {
        output.print(&pinged.text(output));
    }
    Ok(pinged.exit_code())
}

/// Every pair of a lab's nodes, once.
pub(super) fn every_pair(topology: &Topology, output: Output) -> Result<Pinged, CliError> {
    let nodes = Nodes::new(topology);
    let from: Vec<usize> = (0..nodes.names.len()).collect();
    let probes = nodes.probes(&from, Family::Any);
    go(&nodes, &from, probes, &PingOptions::default(), topology, output)
}

fn many(
    nodes: &Nodes,
    from: &[usize],
    args: &Ping,
    topology: &Topology,
    output: Output,
) -> Result<Pinged, CliError> {
    go(nodes, from, nodes.probes(from, family(args)), &options(args, 1), topology, output)
}

fn go(
    nodes: &Nodes,
    from: &[usize],
    probes: Vec<(usize, usize, IpAddr)>,
    options: &PingOptions,
    topology: &Topology,
    output: Output,
) -> Result<Pinged, CliError> {
    let paths = context::paths().lab(&topology.name);
    let namespaces = from
        .iter()
        .map(|&node| Namespace::open(&paths.pin(&nodes.names[node])))
        .collect::<Result<Vec<_>, _>>()?;
    let bar = super::super::progress::counter(output, probes.len());
    let list: Vec<Probe> = probes.iter().map(|&(row, _, address)| Probe::new(row, address)).collect();
    let outcomes = ping(&namespaces, &list, options, &mut |event| {
        if matches!(event, Event::Finished { .. }) {
            bar.inc(1);
        }
    });
    bar.finish_and_clear();
    Ok(Pinged {
        sources: from.iter().map(|&node| nodes.names[node].clone()).collect(),
        destinations: nodes.names.clone(),
        pairs: probes,
        outcomes: outcomes.map_err(|error| machine(&error))?,
    })
}

/// One pair, in the manner of ping(8).
fn pair(
    args: &Ping,
    source: &str,
    destination: &str,
    context: &Context,
    output: Output,
) -> Result<ExitCode, CliError> {
    let qualified = match &args.lab {
        Some(lab) if !source.contains(['/', ':']) && source != "host" => format!("{lab}/{source}"),
        _ => source.to_owned(),
    };
    let target = Target::parse(&qualified, context)?;
    let namespace = target.namespace()?;
    let (address, name) = destination_address(&target, destination, family(args), context)?;
    let options = options(args, COUNT_OF_A_PAIR);
    let mut socket = namespace.run(|| Socket::open(Protocol::Route))??;
    let links = list(&mut socket)?;
    let link = |index: u32| links.iter().find(|link| link.index == index).map(|link| link.name.to_string());
    let style = output.style();
    if !output.json {
        output.print(&nslab_view::ping::header(&name, address, options.size));
    }
    let scope = match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            let up = links.iter().find(|link| !link.loopback && link.up);
            up.map_or(0, |link| link.index)
        }
        _ => 0,
    };
    let probe = Probe { source: 0, destination: address, scope };
    let began = Instant::now();
    let outcomes = ping(&[namespace], &[probe], &options, &mut |event| {
        let line = nslab_view::ping::event(&event, &link, &style);
        if !output.json && !line.is_empty() {
            output.print(&line);
        }
    })
    .map_err(|error| machine(&error))?;
    let pinged = Pinged {
        sources: vec![source.to_owned()],
        destinations: vec![destination.to_owned()],
        pairs: vec![(0, 0, address)],
        outcomes,
    };
    if output.json {
        output.print_json(&pinged.rows());
    } else if let Some(outcome) = pinged.outcomes.first() {
        output.print(&nslab_view::ping::summary(&name, outcome, began.elapsed()));
    }
    Ok(pinged.exit_code())
}

/// The address that a destination means: an address as it is, a node's nearest one.
fn destination_address(
    source: &Target,
    destination: &str,
    family: Family,
    context: &Context,
) -> Result<(IpAddr, String), CliError> {
    if let Ok(address) = destination.parse::<IpAddr>() {
        if !family.allows(address) {
            return Err(CliError::bad_input(format!("{address} is not of the family that was asked for")));
        }
        return Ok((address, destination.to_owned()));
    }
    let (lab, node) = match (destination.split_once('/'), source) {
        (Some((lab, node)), _) => (Some(lab.to_owned()), node),
        (None, Target::Node { lab, .. }) => (Some(lab.clone()), destination),
        (None, _) => (None, destination),
    };
    let state = context.lab(lab.as_deref())?;
    let nodes = Nodes::new(&state.topology);
    let to = nodes.find(node, &state.topology)?;
    let from = match source {
        Target::Node { lab, node } if *lab == state.topology.name => {
            nodes.names.iter().position(|name| name == node)
        }
        _ => None,
    };
    match nodes.address(from, to, family) {
        Some(address) => Ok((address, node.to_owned())),
        None => Err(CliError::bad_input(format!("{node} has no {}address", family.word()))),
    }
}

fn family(args: &Ping) -> Family {
    Family::of_flags(args.ipv4, args.ipv6)
}

fn options(args: &Ping, count: u32) -> PingOptions {
    PingOptions {
        count: args.count.unwrap_or(count),
        interval: args.interval,
        timeout: args.timeout,
        size: usize::from(args.size),
        dont_fragment: args.dont_fragment,
        ttl: args.ttl,
        source_address: args.from,
        ..PingOptions::default()
    }
}

/// A lab's nodes and where their addresses are.
pub(super) struct Nodes {
    pub(super) names: Vec<String>,
    /// By node: segment (none for `lo`) and address, in the order of the lab file.
    addresses: Vec<Vec<(Option<usize>, IpAddr)>>,
}

impl Nodes {
    pub(super) fn new(topology: &Topology) -> Self {
        let mut addresses: Vec<Vec<(Option<usize>, IpAddr)>> = vec![Vec::new(); topology.nodes.len()];
        for link in &topology.links {
            for end in &link.ends {
                if let Device::Node(node) = end.device {
                    let of_end = end.addresses.iter().map(|address| (Some(link.segment), address.addr()));
                    addresses[node].extend(of_end);
                }
            }
        }
        for (node, addresses) in topology.nodes.iter().zip(&mut addresses) {
            for interface in &node.interfaces {
                let own = interface.addresses.iter();
                addresses.extend(own.map(|address| (Some(interface.segment), address.addr())));
            }
            addresses.extend(node.loopback.iter().map(|address| (None, address.addr())));
        }
        Self { names: topology.nodes.iter().map(|node| node.name.clone()).collect(), addresses }
    }

    fn find(&self, name: &str, topology: &Topology) -> Result<usize, CliError> {
        self.names.iter().position(|known| known == name).ok_or_else(|| {
            let known = self.names.clone();
            nslab_lab::Error::NoSuchNode { lab: topology.name.clone(), name: name.to_owned(), known }.into()
        })
    }

    /// The address of `to` that `from` would use: one on a segment that both are on, else the first; IPv4 before IPv6.
    pub(super) fn address(&self, from: Option<usize>, to: usize, family: Family) -> Option<IpAddr> {
        let is_ours = |segment: usize| {
            from.is_some_and(|from| self.addresses[from].iter().any(|(own, _)| *own == Some(segment)))
        };
        nearest(self.addresses[to].iter().copied(), is_ours, family)
    }

    /// From each of `from` to every other node that has an address: row, column, address.
    fn probes(&self, from: &[usize], family: Family) -> Vec<(usize, usize, IpAddr)> {
        let mut probes = Vec::new();
        for (row, &source) in from.iter().enumerate() {
            for to in (0..self.names.len()).filter(|&to| to != source) {
                if let Some(address) = self.address(Some(source), to, family) {
                    probes.push((row, to, address));
                }
            }
        }
        probes
    }
}

fn machine(error: &nslab_observe::Error) -> CliError {
    CliError::new(crate::cli::error::Kind::Machine, error.to_string())
}

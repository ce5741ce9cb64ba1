//! What this kernel can do of what a lab wants, found out by asking it in a namespace that is thrown away.

use std::collections::HashSet;

use nslab_kernel::netlink::{Batch, Protocol, Socket};
use nslab_kernel::qdisc::{ChangeQdisc, Handle, Netem, QdiscKind};
use nslab_kernel::{Namespace, netlink::Request as _};
use nslab_topology::impairment::{Impairment, Impairments, Share};
use nslab_topology::model::Topology;
use nslab_topology::{Lab, Span};

use super::{Change, Queue, ROOT, Sends, Shaper, compile};
use crate::error::{Error, Result};

/// The number of `lo` in every namespace.
const LOOPBACK: u32 = 1;
const NETEM: &str = "CONFIG_NET_SCH_NETEM";
const CORRELATION: &str = "loss with a correlation";

/// Finds out what loses packets here, and refuses what the topology wants and this kernel cannot do. Asks nothing for a
/// lab without bad links. `lab` is where the topology comes from, for the lines of what is refused.
pub fn probe(topology: &Topology, lab: Option<&Lab>) -> Result<Shaper> {
    let impaired: Vec<(String, Impairment)> = impairments(topology).collect();
    if impaired.is_empty() {
        return Ok(Shaper::default());
    }
    let namespace = Namespace::create()?;
    let mut socket = namespace.run(|| Socket::open(Protocol::Route))??;
    let wants_netem = impaired.iter().any(|(_, one)| !Impairment { rate: None, ..*one }.is_none());
    let shaper = if wants_netem && !has_netem(&mut socket)? { Shaper::Classifier } else { Shaper::Netem };
    if shaper == Shaper::Classifier {
        refuse_what_needs_netem(&impaired, lab)?;
    }
    let mut tried = HashSet::new();
    for (place, sends) in senders(topology) {
        let queue = compile(sends, shaper, None);
        if !queue.is_default() && tried.insert(form(&queue)) {
            try_out(&mut socket, &queue, &place)?;
        }
    }
    Ok(shaper)
}

/// Every interface of which there is something to say, with its name.
fn senders(topology: &Topology) -> impl Iterator<Item = (String, Sends<'_>)> {
    let ends = topology.links.iter().flat_map(|link| &link.ends);
    let ends = ends.map(|end| (topology.device_name(end.device), end.name, Sends::from(end)));
    let nodes = topology.nodes.iter();
    let interfaces =
        nodes.flat_map(|node| node.interfaces.iter().map(|one| (&node.name[..], one.name, Sends::from(one))));
    let all = ends.chain(interfaces).filter(|(_, _, one)| !one.impairment.is_none() || !one.paths.is_empty());
    all.map(|(node, name, sends)| (format!("{node}:{name}"), sends))
}

/// Every impairment that there is, and where.
fn impairments(topology: &Topology) -> impl Iterator<Item = (String, Impairment)> {
    senders(topology).flat_map(|(place, sends)| {
        let paths = sends.paths.iter().map(|path| (format!("{place} -> {}", path.to), path.impairment));
        let paths: Vec<_> = paths.collect();
        std::iter::once((place, *sends.impairment)).chain(paths).filter(|(_, one)| !one.is_none())
    })
}

/// Whether the kernel has netem.
pub(crate) fn has_netem(socket: &mut Socket) -> Result<bool> {
    let kind = Some(QdiscKind::Netem(Netem::default()));
    let request = ChangeQdisc { link: LOOPBACK, handle: ROOT, parent: Handle::ROOT, kind };
    match socket.request(&request) {
        Ok(()) => {
            socket.request(&ChangeQdisc { kind: None, ..request })?;
            Ok(true)
        }
        Err(nslab_kernel::Error::Unsupported { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn refuse_what_needs_netem(impaired: &[(String, Impairment)], lab: Option<&Lab>) -> Result<()> {
    let mut refused = Vec::new();
    for (place, one) in impaired {
        let needs = [
            ("delay", !one.delay.is_zero()),
            ("jitter", !one.jitter.is_none()),
            (CORRELATION, one.loss.correlation() != Share::NONE),
            ("duplicate", !one.duplicate.is_none()),
            ("reorder", !one.reorder.is_none()),
            ("corrupt", !one.corrupt.is_none()),
        ];
        refused.extend(needs.iter().filter(|(_, needed)| *needed).map(|(key, _)| (*key, place)));
    }
    let Some((key, place)) = refused.first() else { return Ok(()) };
    let line = lab.and_then(|lab| first_place(lab, key)).map_or_else(String::new, |span| {
        let file = lab.map_or("", |lab| lab.notes.file.as_str());
        format!(" ({file}:{}:{})", span.line, span.column)
    });
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in &refused {
        if !keys.contains(key) {
            keys.push(key);
        }
    }
    let more = match refused.len() - 1 {
        0 => String::new(),
        1 => ", and 1 more".to_owned(),
        more => format!(", and {more} more ({})", keys.join(", ")),
    };
    Err(Error::Machine {
        what: format!(
            "{key} on {place}{line} needs netem, which this kernel was built without ({NETEM}){more}"
        ),
        hint: Some(
            "rate and loss work without it; delay, jitter, duplicate, reorder, corrupt and correlations need a \
             kernel that has it, as distributions' do"
                .to_owned(),
        ),
    })
}

/// Where the lab file says it first.
fn first_place(lab: &Lab, key: &str) -> Option<Span> {
    let links = lab.links.iter().flat_map(|link| {
        std::iter::once(&link.impairments).chain(link.ends.iter().map(|end| &end.impairments))
    });
    let interfaces = lab.nodes.iter().flat_map(|node| &node.interfaces).map(|one| &one.end.impairments);
    let paths = lab.switches.iter().flat_map(|switch| &switch.paths).map(|path| &path.impairments);
    let span = |said: &Impairments| match key {
        "delay" => said.delay.and_then(|one| one.span),
        "jitter" => said.jitter.and_then(|one| one.span),
        CORRELATION => said.loss.filter(|one| one.value.correlation() != Share::NONE)?.span,
        "duplicate" => said.duplicate.and_then(|one| one.span),
        "reorder" => said.reorder.and_then(|one| one.span),
        _ => said.corrupt.and_then(|one| one.span),
    };
    links.chain(interfaces).chain(paths).filter_map(span).min_by_key(|span| span.start)
}

/// What decides whether a kernel can make a queue: the kinds in it; whether some netem doubles packets, and whether it is
/// the only one, as newer kernels refuse one that is not ("cannot mix duplicating netems with other netems in tree",
/// `net/sched/sch_netem.c`).
fn form(queue: &Queue) -> (Vec<String>, bool, bool, bool) {
    let mut kinds: Vec<String> = queue.qdiscs.iter().map(|one| one.kind.name().to_owned()).collect();
    kinds.sort();
    kinds.dedup();
    let netems = || {
        queue.qdiscs.iter().filter_map(|one| match &one.kind {
            QdiscKind::Netem(netem) => Some(netem),
            _ => None,
        })
    };
    let doubles = netems().any(|netem| netem.duplicate != nslab_kernel::qdisc::Share::NONE);
    (kinds, doubles, netems().count() > 1, queue.filters.is_empty())
}

fn try_out(socket: &mut Socket, queue: &Queue, place: &str) -> Result<()> {
    let changes = queue.changes(&Queue::default());
    let mut batch = Batch::new();
    for change in &changes {
        change.clone().push(LOOPBACK, &mut batch);
    }
    let done = socket.execute(&mut batch)?;
    if let Err(refused) = done
        && let Some((number, refusal)) = refused.refused.into_iter().next()
    {
        let error = match &changes[number] {
            Change::Qdisc(one) => one.refused(refusal),
            Change::Class(one) => one.refused(refusal),
            Change::Filter(one) => one.refused(refusal),
        };
        return Err(Error::Machine {
            what: format!("this kernel cannot do what {place} is to do with packets: {error}"),
            hint: None,
        });
    }
    batch.clear();
    Queue::default().changes(queue).into_iter().for_each(|change| change.push(LOOPBACK, &mut batch));
    let _ = socket.execute(&mut batch)?;
    Ok(())
}

//! All namespaces of a host: a table, and which link leads where.

use nslab_kernel::link::{Link, LinkKind};
use nslab_snapshot::{Contents, Name, Namespace, Snapshot, State, Where};

use crate::style::Role;
use crate::table::lines;
use crate::{Style, table};

/// A line for each namespace, then each with its links, their addresses and where they lead.
pub fn host(snapshot: &Snapshot, style: &Style) -> String {
    let headers = ["NAMESPACE", "ALSO", "LINKS", "ROUTES", "RULES", "LISTENERS", "PROCESSES"];
    let rows: Vec<Vec<String>> = snapshot.namespaces.iter().map(|namespace| row(namespace, style)).collect();
    let mut text = table(&headers, &rows, style);
    for namespace in &snapshot.namespaces {
        let Some(state) = namespace.state() else { continue };
        text.push('\n');
        text += &style.paint(Role::Heading, namespace.name().to_string());
        text.push('\n');
        let rows: Vec<Vec<String>> =
            state.network.links.iter().map(|link| link_row(snapshot, state, link, style)).collect();
        let last = rows.len().saturating_sub(1);
        for (number, line) in lines(&rows, 2).into_iter().enumerate() {
            let branch = match (style.unicode, number == last) {
                (true, false) => "├─",
                (true, true) => "└─",
                (false, false) => "|-",
                (false, true) => "`-",
            };
            text.extend([branch, " ", &line, "\n"]);
        }
    }
    text
}

fn row(namespace: &Namespace, style: &Style) -> Vec<String> {
    let mut row = vec![namespace.name().to_string()];
    // A path says nothing to those who know a name.
    let also = namespace.names[1..].iter().filter(|name| !matches!(name, Name::Pinned(_)));
    row.push(also.map(ToString::to_string).collect::<Vec<_>>().join(", "));
    match &namespace.contents {
        Contents::State(state) => {
            let rules = state.nftables.tables.iter().flat_map(|table| &table.chains);
            let rules: usize = rules.map(|chain| chain.rules.len()).sum();
            let also = if state.xtables.is_empty() { "" } else { "+" };
            row.push(state.network.links.len().to_string());
            row.push(state.network.routes.len().to_string());
            row.push(format!("{rules}{also}"));
            row.push(state.sockets.len().to_string());
        }
        Contents::Unreadable { why } => {
            row.push(style.paint(Role::Bad, format!("unreadable: {why}")).into_owned());
            row.extend(std::iter::repeat_n(String::new(), 3));
        }
    }
    row.push(processes(namespace));
    row
}

/// How many processes, and the first of them.
fn processes(namespace: &Namespace) -> String {
    const NAMED: usize = 3;
    let mut names: Vec<&str> = Vec::new();
    for process in &namespace.processes {
        if !names.contains(&&process.command[..]) {
            names.push(&process.command);
        }
    }
    let more =
        if names.len() > NAMED || namespace.process_count > namespace.processes.len() { " …" } else { "" };
    names.truncate(NAMED);
    match namespace.process_count {
        0 => "0".to_owned(),
        count => format!("{count}: {}{more}", names.join(" ")),
    }
}

/// Name, kind, state, addresses, and where it leads.
fn link_row(snapshot: &Snapshot, state: &State, link: &Link, style: &Style) -> Vec<String> {
    let (word, role) = match (link.up, link.carrier) {
        (true, true) => ("up", Role::Good),
        (true, false) => ("no carrier", Role::Bad),
        (false, _) => ("down", Role::Bad),
    };
    let addresses = state.network.addresses.iter().filter(|address| address.link == link.index);
    let addresses: Vec<String> = addresses.map(|address| address.address.to_string()).collect();
    let arrow = if style.unicode { "→" } else { "->" };
    let mut leads = Vec::new();
    if let Some(master) = link.master {
        let name =
            state.link(master).map_or_else(|| format!("number {master}"), |link| link.name.to_string());
        leads.push(format!("in {name}"));
    }
    leads.extend(other_end(snapshot, state, link).map(|end| format!("{arrow} {end}")));
    vec![
        link.name.to_string(),
        link.kind.as_ref().map_or("", LinkKind::name).to_owned(),
        style.paint(role, word).into_owned(),
        addresses.join(" "),
        leads.join(" "),
    ]
}

/// The other end of a link, or what it lies on.
fn other_end(snapshot: &Snapshot, state: &State, link: &Link) -> Option<String> {
    let peer = state.peer(link.index)?;
    let place = match peer.namespace {
        Where::Namespace(place) => place,
        Where::Unseen => return Some("a namespace that was not found".to_owned()),
    };
    let there = snapshot.namespaces.get(place)?;
    let far = there.state()?.link(peer.lower).map(|link| link.name.to_string());
    let own = there.state().is_some_and(|there| std::ptr::eq(there, state));
    Some(match (far, own) {
        (Some(far), true) => far,
        (Some(far), false) => format!("{}:{far}", there.name()),
        (None, _) => there.name().to_string(),
    })
}

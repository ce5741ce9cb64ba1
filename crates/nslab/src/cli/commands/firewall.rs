//! `nslab show TARGET --firewall`.

use std::collections::HashMap;

use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::print::Names;
use nslab_kernel::nftables::{Chain, Family, Ruleset, Table};
use nslab_kernel::state::Select;
use nslab_kernel::{Namespace, NamespaceState};
use nslab_lab::netfilter;
use nslab_topology::model::Policy;
use nslab_view::{FirewallChain, FirewallRow};
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::output::Output;

/// Whether other namespaces than the host's write to the kernel's log (`net/netfilter/nf_log.c`).
const LOG_ALL: &str = "net.netfilter.nf_log_all_netns";

/// What `show TARGET --firewall --json` prints.
#[derive(Serialize)]
struct Report<'a> {
    target: &'a str,
    namespace: String,
    /// What the lab file's firewall and address translation did, chain by chain.
    rules: Vec<Row>,
    /// All tables of the namespace as the kernel has them.
    ruleset: &'a Ruleset,
}

#[derive(Serialize)]
struct Row {
    chain: String,
    /// The line of the lab file; null for what no line of it stands for.
    line: Option<usize>,
    /// The rule in the lab file's words; null for one that was added by hand.
    rule: Option<String>,
    packets: u64,
    bytes: u64,
    /// The kernel's numbers of the rules that it was made into.
    handles: Vec<u64>,
}

/// Prints a namespace's nftables. `policy` is what the lab file says of it, if it is a node.
pub(super) fn show(
    target: &str,
    namespace: &Namespace,
    policy: Option<&Policy>,
    output: Output,
) -> Result<(), CliError> {
    let mut socket = namespace.run(|| Socket::open(Protocol::Netfilter))??;
    let ruleset = Ruleset::read(&mut socket)?;
    let links = namespace.run(|| Socket::open(Protocol::Route))??;
    let interfaces = interfaces(links)?;
    let names = Names { interfaces: Some(&interfaces) };
    let own = ruleset.table(Family::Inet, netfilter::TABLE);
    if output.json {
        let rules =
            own.iter().flat_map(|table| &table.chains).flat_map(|chain| rows(chain, policy)).collect();
        output.print_json(&Report {
            target,
            namespace: namespace.id()?.to_string(),
            rules,
            ruleset: &ruleset,
        });
        return Ok(());
    }
    let mut sections = Vec::new();
    if let Some(table) = own {
        sections.push(nslab_view::firewall(&chains(table, policy, names), &output.style()));
    }
    for table in ruleset.tables.iter().filter(|table| own.is_none_or(|own| own.id != table.id)) {
        sections.push(table.to_nft(names));
    }
    if sections.is_empty() {
        sections.push(format!("{target} has no firewall: nftables has no rules there\n"));
    }
    output.print(sections.join("\n").trim_end());
    // Only the host's own namespace has this sysctl.
    if policy.is_some_and(Policy::logs) && nslab_kernel::sysctl::read(LOG_ALL).is_ok_and(|value| value == "0")
    {
        output.note(&format!(
            "note: lines of `log` are not written, as {LOG_ALL} of the host is 0; `sysctl -w {LOG_ALL}=1` has them \
             written to the kernel's log (dmesg)"
        ));
    }
    Ok(())
}

/// Interfaces' names by their numbers.
fn interfaces(mut socket: Socket) -> Result<HashMap<u32, String>, CliError> {
    let state = NamespaceState::read(&mut socket, Select { tables: false })?;
    Ok(state.links.iter().map(|link| (link.index, link.name.to_string())).collect())
}

fn chains(table: &Table, policy: Option<&Policy>, names: Names<'_>) -> Vec<FirewallChain> {
    let chain = |chain: &Chain| FirewallChain {
        name: chain.name.clone(),
        rules: rows(chain, policy)
            .into_iter()
            .map(|row| FirewallRow {
                packets: Some(row.packets),
                bytes: Some(row.bytes),
                line: row.line,
                foreign: row.rule.is_none(),
                text: row.rule.unwrap_or_else(|| {
                    let handle = row.handles.first().copied().unwrap_or_default();
                    let rule = chain.rules.iter().find(|rule| rule.handle == handle);
                    rule.map_or_else(String::new, |rule| rule.to_nft(table, names).text)
                }),
            })
            .collect(),
    };
    table.chains.iter().map(chain).collect()
}

/// The kernel's rules, those that one line of the lab file was made into put together.
fn rows(chain: &Chain, policy: Option<&Policy>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for rule in &chain.rules {
        let origin = netfilter::origin(rule);
        let (packets, bytes) = rule.counter().unwrap_or_default();
        let line = origin.as_ref().and_then(|origin| match policy {
            Some(policy) => origin.line_now(policy),
            None => origin.line,
        });
        let text = origin.map(|origin| origin.text);
        match rows.last_mut() {
            Some(last) if text.is_some() && last.rule == text && last.line == line => {
                last.packets += packets;
                last.bytes += bytes;
                last.handles.push(rule.handle);
            }
            _ => rows.push(Row {
                chain: chain.name.clone(),
                line,
                rule: text,
                packets,
                bytes,
                handles: vec![rule.handle],
            }),
        }
    }
    rows
}

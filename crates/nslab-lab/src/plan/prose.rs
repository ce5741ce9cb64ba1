//! Plans in words.

use std::fmt;

use nslab_kernel::nftables::Table;
use nslab_topology::model::{NextHop, Processes, Route, RouteAction, Rule, RuleAction};

use super::interface::vlan_words;
use super::{BridgeSettings, LinkChange, Op, Plan, Role, StageKind, Step};
use crate::netfilter;
use crate::shaping::describe;
impl Plan {
    /// One step in words, with its namespace: `red: add address 10.0.0.1/24 to eth0`.
    pub fn describe(&self, step: &Step) -> String {
        let node = &self.namespaces[step.namespace].node;
        let op = &step.op;
        match op {
            Op::CreateVeth { near, far_namespace, far } | Op::DeleteVeth { near, far_namespace, far } => {
                let verb = if matches!(op, Op::CreateVeth { .. }) { "create" } else { "delete" };
                let far_node = &self.namespaces[*far_namespace].node;
                format!("{verb} cable {node}:{} – {far_node}:{}", near.name, far.name)
            }
            Op::CreateNamespace | Op::DeleteNamespace => {
                let verb = if *op == Op::CreateNamespace { "create" } else { "delete" };
                format!("{verb} namespace {}", self.namespaces[step.namespace].name)
            }
            Op::JoinNamespace { existing } => format!("join {existing} as {node}"),
            Op::LeaveNamespace { .. } if self.namespaces[step.namespace].role == Role::Host => {
                "leave the host as it was".to_owned()
            }
            Op::LeaveNamespace { existing } => format!("let go of {existing}"),
            op => format!("{node}: {op}"),
        }
    }
}

/// The operation in words, without its namespace.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateNamespace => f.write_str("create the namespace"),
            Self::DeleteNamespace => f.write_str("delete the namespace"),
            Self::JoinNamespace { existing } => write!(f, "join {existing}"),
            Self::LeaveNamespace { existing } => write!(f, "let go of {existing}"),
            Self::RenameNamespace { from, to } => write!(f, "rename the namespace {from} to {to}"),
            Self::SetSysctl { key, value, before, .. } => {
                write!(f, "set {key} = {value}")?;
                before.as_ref().map_or(Ok(()), |before| write!(f, " (was {before})"))
            }
            Self::CreateBridge { name, settings } => write!(f, "create bridge {name} ({settings})"),
            Self::DeleteBridge { name, .. } => write!(f, "delete bridge {name}"),
            Self::SetBridge { name, settings, .. } => write!(f, "set bridge {name} ({settings})"),
            Self::CreateVeth { near, far, .. } => write!(f, "create cable {} – {}", near.name, far.name),
            Self::DeleteVeth { near, far, .. } => write!(f, "delete cable {} – {}", near.name, far.name),
            Self::DeleteStrayLink { name } => write!(f, "delete stray link {name}"),
            Self::CreateInterface { name, settings } => write!(f, "create {name} ({settings})"),
            Self::DeleteInterface { name, settings } => {
                write!(f, "delete {name} ({})", settings.kind.name())
            }
            Self::SetWireguard { link, settings, .. } => write!(f, "set wireguard {link} ({settings})"),
            Self::SetPortVlan { link, vlan, .. } => {
                write!(f, "put port {link} into VLAN {}", vlan_words(*vlan))
            }
            Self::DeletePortVlan { link, vlan } => write!(f, "take port {link} out of VLAN {}", vlan.id),
            Self::SetIsolated { link, isolated } => {
                write!(f, "{} port {link}", if *isolated { "isolate" } else { "no longer isolate" })
            }
            Self::AddFdb { link, mac, vlan, remote } | Self::DeleteFdb { link, mac, vlan, remote } => {
                let verb = if matches!(self, Self::AddFdb { .. }) { "forward" } else { "no longer forward" };
                write!(f, "{verb} {mac} ")?;
                if let Some(vlan) = vlan {
                    write!(f, "of VLAN {vlan} ")?;
                }
                write!(f, "by {link}")?;
                remote.map_or(Ok(()), |remote| write!(f, " to {remote}"))
            }
            Self::SetLink { name, change, .. } => write!(f, "set {name} {change}"),
            Self::SetQueue { link, queue, before } => {
                write!(f, "set the queue of {link} to {}", describe(queue))?;
                if before.is_default() { Ok(()) } else { write!(f, " (was {})", describe(before)) }
            }
            Self::AddAltName { link, name } => write!(f, "call {link} {name} too"),
            Self::DeleteAltName { link, name } => write!(f, "no longer call {link} {name}"),
            Self::AddAddress { link, address } => write!(f, "add address {address} to {link}"),
            Self::DeleteAddress { link, address } => write!(f, "delete address {address} from {link}"),
            Self::AddRoute(route) => {
                write!(f, "add route {}", Words { route, is_static: false, name: str::to_owned })
            }
            Self::DeleteRoute(route) => {
                write!(f, "delete route {}", Words { route, is_static: false, name: str::to_owned })
            }
            Self::AddRule(rule) => write!(f, "add rule {}", RuleWords(rule, str::to_owned)),
            Self::DeleteRule(rule) => write!(f, "delete rule {}", RuleWords(rule, str::to_owned)),
            Self::SetNeighbour { link, address, mac, .. } => {
                write!(f, "set neighbour {address} at {mac} on {link}")
            }
            Self::DeleteNeighbour { link, address, .. } => write!(f, "delete neighbour {address} on {link}"),
            Self::ReplaceTable { table, before } => table_words(f, table.as_deref(), before.as_deref()),
            Self::RunNft { text: Some(text), before } => {
                let verb = if before.is_some() { "load anew" } else { "load" };
                let lines = text.lines().count();
                write!(f, "{verb} {lines} {} of text with nft", if lines == 1 { "line" } else { "lines" })
            }
            Self::RunNft { text: None, .. } => f.write_str("delete the tables that text for nft made"),
            Self::CreateView(view) => {
                let paths = view.directories.iter().map(|one| &one.path);
                let mut whats: Vec<&str> =
                    paths.chain(view.files.iter().map(|one| &one.path)).map(|path| &path[..]).collect();
                whats.extend((!view.processes.is_hosts()).then_some("processes"));
                write!(f, "make its own {}", whats.join(", "))
            }
            Self::DeleteView(view) => f.write_str(match view.processes {
                Processes::Host => "take its own files and directories away",
                Processes::Private => "end its own processes, take its own files and directories away",
            }),
            Self::WriteFile { file, .. } => write!(f, "write {}", file.path),
            Self::ReplaceHostTable { table: None, .. } => f.write_str("delete the lab's table of nftables"),
            Self::ReplaceHostTable { table: Some(table), before } => {
                let verb = if before.is_some() { "replace" } else { "add" };
                let rules: usize = table.chains.iter().map(|chain| chain.rules.len()).sum();
                write!(f, "{verb} table {} of nftables ({rules} rules)", table.id)
            }
            Self::StartWay(way) => write!(f, "start the {way}"),
            Self::StopWay(way) => write!(f, "stop the {way}"),
            Self::StartProgram(program) => write!(f, "start {:?}", program.name),
            Self::StopProgram(program) => write!(f, "stop {:?}", program.name),
        }
    }
}

/// A table comes, goes, or is made what it shall be: then each rule that makes the difference is named.
fn table_words(f: &mut fmt::Formatter<'_>, table: Option<&Table>, before: Option<&Table>) -> fmt::Result {
    const MOST: usize = 5;
    match (table, before) {
        (None, None) => Ok(()),
        (Some(table), None) => {
            let rules: usize = table.chains.iter().map(|chain| chain.rules.len()).sum();
            write!(f, "load the nftables table {} ({rules} rules)", table.id)
        }
        (None, Some(before)) => write!(f, "delete the nftables table {}", before.id),
        (Some(table), Some(before)) => {
            let differences = netfilter::differences(table, before);
            let shown: Vec<String> = differences.iter().take(MOST).map(ToString::to_string).collect();
            write!(f, "replace the nftables table {}: {}", table.id, shown.join("; "))?;
            match differences.len().saturating_sub(MOST) {
                0 => Ok(()),
                more => write!(f, "; and {more} more"),
            }
        }
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StopPrograms => "stop programs",
            Self::Remove => "remove",
            Self::RemoveCables => "remove cables",
            Self::Namespaces => "namespaces",
            Self::Bridges => "bridges",
            Self::Cables => "cables",
            Self::Interfaces => "interfaces",
            Self::Configure => "configure",
            Self::Firewalls => "firewalls",
            Self::SwitchesUp => "switches up",
            Self::Views => "files and directories",
            Self::StartPrograms => "start programs",
            Self::RemoveNamespaces => "remove namespaces",
        })
    }
}

impl fmt::Display for BridgeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = |on| if on { "on" } else { "off" };
        write!(
            f,
            "mac {}, mtu {}, stp {}, multicast snooping {}",
            self.mac,
            self.mtu,
            state(self.stp),
            state(self.multicast_snooping)
        )?;
        if self.vlan_filtering {
            f.write_str(", VLAN filtering on")?;
        }
        self.ageing_time.map_or(Ok(()), |time| write!(f, ", ageing {} s", f64::from(time) / 100.0))
    }
}

impl fmt::Display for LinkChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(mac) = self.mac {
            parts.push(format!("mac {mac}"));
        }
        if let Some(mtu) = self.mtu {
            parts.push(format!("mtu {mtu}"));
        }
        match self.master {
            Some(Some(master)) => parts.push(format!("master {master}")),
            Some(None) => parts.push("nomaster".to_owned()),
            None => {}
        }
        if let Some(automatic) = self.automatic_link_local {
            parts.push(format!("automatic link-local address {}", if automatic { "on" } else { "off" }));
        }
        if let Some(up) = self.up {
            parts.push(if up { "up" } else { "down" }.to_owned());
        }
        f.write_str(&parts.join(", "))
    }
}

/// A route in ip(8)'s words, without `add`.
pub(super) struct Words<'a> {
    pub(super) route: &'a Route,
    /// Say that it is configuration, not made by hand.
    pub(super) is_static: bool,
    /// How names are written.
    pub(super) name: Name,
}

/// How an interface's name is written.
pub(super) type Name = fn(&str) -> String;

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let route = self.route;
        match &route.action {
            RouteAction::Forward(_) => {}
            RouteAction::Blackhole => f.write_str("blackhole ")?,
            RouteAction::Unreachable => f.write_str("unreachable ")?,
            RouteAction::Prohibit => f.write_str("prohibit ")?,
            RouteAction::Throw => f.write_str("throw ")?,
        }
        match (route.to.prefix_len(), &route.action) {
            (0, RouteAction::Forward(_)) => f.write_str("default")?,
            _ => write!(f, "{}", route.to)?,
        }
        if let RouteAction::Forward(hops) = &route.action
            && let [hop] = &hops[..]
        {
            write_hop(f, hop, route.to.addr().is_ipv6(), self.name)?;
        }
        if self.is_static {
            f.write_str(" proto static")?;
        }
        if let Some(metric) = route.metric.filter(|&metric| metric != 0) {
            write!(f, " metric {metric}")?;
        }
        if route.table != nslab_kernel::route::TABLE_MAIN {
            write!(f, " table {}", route.table)?;
        }
        if let Some(source) = route.source {
            write!(f, " src {source}")?;
        }
        if let Some(mtu) = route.mtu {
            write!(f, " mtu {mtu}")?;
        }
        if let RouteAction::Forward(hops) = &route.action
            && hops.len() > 1
        {
            for hop in hops {
                f.write_str(" nexthop")?;
                write_hop(f, hop, route.to.addr().is_ipv6(), self.name)?;
                write!(f, " weight {}", hop.weight)?;
            }
        }
        Ok(())
    }
}

fn write_hop(f: &mut fmt::Formatter<'_>, hop: &NextHop, ipv6: bool, name: Name) -> fmt::Result {
    if let Some(via) = hop.via {
        let family = if via.is_ipv6() && !ipv6 { "inet6 " } else { "" };
        write!(f, " via {family}{via}")?;
    }
    if let Some(dev) = hop.dev {
        write!(f, " dev {}", name(dev.as_str()))?;
    }
    if hop.onlink { f.write_str(" onlink") } else { Ok(()) }
}

/// A rule in ip(8)'s words, without `add`.
pub(super) struct RuleWords<'a>(pub(super) &'a Rule, pub(super) Name);

impl fmt::Display for RuleWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.0;
        write!(f, "priority {}", rule.priority)?;
        match rule.from {
            Some(from) => write!(f, " from {from}")?,
            None => f.write_str(" from all")?,
        }
        if let Some(to) = rule.to {
            write!(f, " to {to}")?;
        }
        if let Some((mark, mask)) = rule.fwmark {
            write!(f, " fwmark {mark:#x}/{mask:#x}")?;
        }
        if let Some(iif) = rule.iif {
            write!(f, " iif {}", (self.1)(iif.as_str()))?;
        }
        if let Some(oif) = rule.oif {
            write!(f, " oif {}", (self.1)(oif.as_str()))?;
        }
        match rule.action {
            RuleAction::Table(table) => write!(f, " lookup {table}"),
            RuleAction::Blackhole => f.write_str(" blackhole"),
            RuleAction::Unreachable => f.write_str(" unreachable"),
            RuleAction::Prohibit => f.write_str(" prohibit"),
        }
    }
}

//! Plans as the commands that would do the same by hand.

use std::fmt::Write as _;

use nslab_kernel::nftables::print::Names;
use nslab_topology::model::{Existing, Program};
use nslab_types::IfName;

use super::prose::{RuleWords, Words};
use super::{
    LINK_GROUP, LinkChange, Op, Plan, Role, Step, VethEnd, interface_shell, namespace_mark, view_shell,
};
use crate::shaping;

impl Plan {
    /// The plan as a shell script of `ip` and `sysctl` commands: run as root on a host where the lab does not run, the
    /// script of a fresh build makes the same network.
    pub fn shell(&self) -> String {
        let mut script = format!("#!/bin/sh\n# Lab {}: the same by hand.\nset -e\n", self.lab);
        script.push_str(&interface_shell::keys(self));
        for stage in &self.stages {
            let _ = write!(script, "\n# {}\n", stage.kind);
            for step in &stage.steps {
                for command in self.commands(step) {
                    script.push_str(&command);
                    script.push('\n');
                }
            }
        }
        script
    }

    /// The commands that do one step by hand.
    pub fn commands(&self, step: &Step) -> Vec<String> {
        let namespace = &self.namespaces[step.namespace];
        let ns = quote(&namespace.name);
        let is_host = namespace.role == Role::Host;
        let ip =
            |words: String| vec![if is_host { format!("ip {words}") } else { format!("ip -n {ns} {words}") }];
        match &step.op {
            Op::CreateNamespace => vec![
                format!("ip netns add {ns}"),
                format!(
                    "ip -n {ns} link set dev lo up alias {}",
                    quote(&namespace_mark(&self.lab, &namespace.node))
                ),
            ],
            Op::DeleteNamespace => vec![format!("ip netns del {ns}")],
            Op::JoinNamespace { existing } => match existing {
                Existing::Netns(path) if path.starts_with('/') => {
                    vec![format!("touch /run/netns/{ns} && mount --bind {} /run/netns/{ns}", quote(path))]
                }
                Existing::Netns(_) => vec![format!("# {existing} is there")],
                Existing::Pid(pid) => vec![format!("ip netns attach {ns} {pid}")],
                Existing::Container(name) => {
                    let pid = format!("$(docker inspect -f '{{{{.State.Pid}}}}' {})", quote(name));
                    vec![format!("ip netns attach {ns} \"{pid}\"")]
                }
            },
            Op::LeaveNamespace { existing } => match existing {
                Existing::Netns(path) if !path.starts_with('/') => vec![format!("# {existing} stays")],
                // Only the name goes: what it named has others.
                _ => vec![format!("ip netns del {ns}")],
            },
            Op::RenameNamespace { from, to } => {
                let (from, to) = (quote(from), quote(to));
                // A second pin of the same namespace, then the first goes.
                vec![format!(
                    "touch /run/netns/{to} && mount --bind /run/netns/{from} /run/netns/{to} && ip netns del {from}"
                )]
            }
            Op::SetSysctl { key, value, .. } => {
                let set = format!("sysctl -qw {}", quote(&format!("{key}={value}")));
                vec![if is_host { set } else { format!("ip netns exec {ns} {set}") }]
            }
            Op::CreateBridge { name, settings } => ip(format!(
                "link add name {} address {} mtu {} group {LINK_GROUP} type bridge {}",
                q(*name),
                settings.mac,
                settings.mtu,
                bridge_words(settings)
            )),
            Op::SetBridge { name, settings, .. } => vec![
                format!("ip -n {ns} link set dev {} address {} mtu {}", q(*name), settings.mac, settings.mtu),
                format!("ip -n {ns} link set dev {} type bridge {}", q(*name), bridge_words(settings)),
            ],
            Op::DeleteBridge { name, .. } | Op::DeleteStrayLink { name } => {
                ip(format!("link del dev {}", q(*name)))
            }
            Op::CreateVeth { near, far_namespace, far } => {
                // The host's namespace has no name; its first process is in it.
                let far = (&self.namespaces[*far_namespace], far);
                let far_ns = if far.0.role == Role::Host { "1".to_owned() } else { quote(&far.0.name) };
                let far = far.1;
                let mut commands = ip(format!(
                    "link add {} group {LINK_GROUP} numtxqueues 1 numrxqueues 1 type veth peer {} group {LINK_GROUP} \
                     numtxqueues 1 numrxqueues 1 netns {far_ns}",
                    end_words(near),
                    end_words(far)
                ));
                if let Some(master) = near.master {
                    commands.extend(ip(format!("link set dev {} master {}", q(near.name), q(master))));
                }
                if near.up {
                    commands.extend(ip(format!("link set dev {} up", q(near.name))));
                }
                commands
            }
            Op::CreateInterface { name, settings } => interface_shell::create(&ns, *name, settings),
            Op::DeleteInterface { name, .. } => ip(format!("link del dev {}", q(*name))),
            Op::SetWireguard { link, settings, .. } => {
                interface_shell::wireguard(self, (&ns, &namespace.node), *link, settings)
            }
            Op::SetPortVlan { link, vlan, .. } => {
                let pvid = if vlan.pvid { " pvid" } else { "" };
                let untagged = if vlan.untagged { " untagged" } else { "" };
                vec![format!("bridge -n {ns} vlan add dev {} vid {}{pvid}{untagged}", q(*link), vlan.id)]
            }
            Op::DeletePortVlan { link, vlan } => {
                vec![format!("bridge -n {ns} vlan del dev {} vid {}", q(*link), vlan.id)]
            }
            Op::SetIsolated { link, isolated } => {
                let state = if *isolated { "on" } else { "off" };
                vec![format!("bridge -n {ns} link set dev {} isolated {state}", q(*link))]
            }
            Op::AddFdb { link, mac, vlan, remote } | Op::DeleteFdb { link, mac, vlan, remote } => {
                let delete = matches!(step.op, Op::DeleteFdb { .. });
                let vlan = vlan.map_or_else(String::new, |vlan| format!(" vlan {vlan}"));
                let (verb, way) = match remote {
                    Some(remote) => (if delete { "del" } else { "append" }, format!(" dst {remote} self")),
                    None => (if delete { "del" } else { "replace" }, " master static".to_owned()),
                };
                vec![format!("bridge -n {ns} fdb {verb} {mac} dev {}{way}{vlan}", q(*link))]
            }
            Op::DeleteVeth { near, .. } => ip(format!("link del dev {}", q(near.name))),
            Op::SetLink { name, change, .. } => change_words(change)
                .into_iter()
                .flat_map(|words| ip(format!("link set dev {} {words}", q(*name))))
                .collect(),
            Op::SetQueue { link, queue, before } => {
                let words = |change| match shaping::command(change, &q(*link)) {
                    Some(words) => format!("tc -n {ns} {words}"),
                    None => format!("# {ns}: {} had a queue that tc(8) cannot be told", q(*link)),
                };
                queue.changes(before).iter().map(words).collect()
            }
            Op::AddAltName { link, name } => {
                ip(format!("link property add dev {} altname {}", q(*link), quote(name)))
            }
            Op::DeleteAltName { link, name } => {
                ip(format!("link property del dev {} altname {}", q(*link), quote(name)))
            }
            Op::AddAddress { link, address } => {
                ip(format!("address add {address} dev {}{}", q(*link), nodad(address)))
            }
            Op::DeleteAddress { link, address } => ip(format!("address del {address} dev {}", q(*link))),
            Op::AddRoute(route) => {
                let words = Words { route, is_static: true, name: quote };
                ip(format!("{}route add {words}", family(route.to)))
            }
            Op::DeleteRoute(route) => {
                let words = Words { route, is_static: false, name: quote };
                ip(format!("{}route del {words}", family(route.to)))
            }
            Op::AddRule(rule) => ip(format!(
                "{}rule add {} protocol static",
                if rule.ipv6 { "-6 " } else { "" },
                RuleWords(rule, quote)
            )),
            Op::DeleteRule(rule) => {
                ip(format!("{}rule del {}", if rule.ipv6 { "-6 " } else { "" }, RuleWords(rule, quote)))
            }
            Op::SetNeighbour { link, address, mac, .. } => {
                ip(format!("neighbour replace {address} lladdr {mac} dev {} nud permanent", q(*link)))
            }
            Op::DeleteNeighbour { link, address, .. } => {
                ip(format!("neighbour del {address} dev {}", q(*link)))
            }
            Op::ReplaceTable { table, before } => {
                let mut text = String::new();
                if let Some(before) = before {
                    let _ = writeln!(text, "delete table {}", before.id);
                }
                if let Some(table) = table {
                    text.push_str(&table.to_nft(Names::default()));
                }
                vec![here(&ns, &text)]
            }
            Op::RunNft { text, before } => {
                let mut commands = Vec::new();
                if before.is_some() {
                    commands.push(format!("# in {ns}: delete the tables that the text for nft made before"));
                }
                commands.extend(text.as_ref().map(|text| here(&ns, text)));
                commands
            }
            Op::CreateView(view) => view_shell::create(&ns, view),
            Op::DeleteView(_) => view_shell::delete(&ns),
            Op::WriteFile { file, .. } => view_shell::write(&ns, file),
            Op::ReplaceHostTable { table, before } => {
                let mut text = String::new();
                if let Some(before) = before {
                    let _ = writeln!(text, "delete table {}", before.id);
                }
                if let Some(table) = table {
                    text.push_str(&table.to_nft(Names::default()));
                }
                vec![format!("nft -f - <<'NFT'\n{text}NFT")]
            }
            Op::StartWay(way) => vec![format!("# {way}: see {}(1)", way.carrier.program())],
            Op::StopWay(way) => vec![format!("# stop the {way}")],
            Op::StartProgram(program) => {
                let has_view = self.steps().any(|other| {
                    let is_view = matches!(other.op, Op::CreateView(_) | Op::WriteFile { .. });
                    other.namespace == step.namespace && is_view
                });
                let enter = if has_view { view_shell::enter(&ns) } else { format!("ip netns exec {ns}") };
                vec![format!("{enter} {} &", program_words(program))]
            }
            Op::StopProgram(program) => {
                debug_assert!(namespace.role.is_node());
                vec![format!("# stop {} in {ns}: ip netns pids {ns} | xargs kill", quote(&program.name))]
            }
        }
    }
}

/// Text for nft in a namespace, whose name is quoted already.
fn here(ns: &str, text: &str) -> String {
    let end = view_shell::end_of(text, "EOF");
    format!("ip netns exec {ns} nft -f - <<'{end}'\n{}\n{end}", text.trim_end())
}

fn family(prefix: ipnet::IpNet) -> &'static str {
    if prefix.addr().is_ipv6() { "-6 " } else { "" }
}

fn nodad(address: &ipnet::IpNet) -> &'static str {
    if address.addr().is_ipv6() { " nodad" } else { "" }
}

fn end_words(end: &VethEnd) -> String {
    format!("name {} address {} mtu {}", q(end.name), end.mac, end.mtu)
}

fn bridge_words(settings: &super::BridgeSettings) -> String {
    let mut words = format!(
        "stp_state {} mcast_snooping {}",
        u8::from(settings.stp),
        u8::from(settings.multicast_snooping)
    );
    if let Some(time) = settings.ageing_time {
        let _ = write!(words, " ageing_time {time}");
    }
    if settings.vlan_filtering {
        words.push_str(" vlan_filtering 1 vlan_default_pvid 0");
    }
    words
}

/// One `ip link set` for each thing that changes, in the order in which nslab does it.
fn change_words(change: &LinkChange) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(automatic) = change.automatic_link_local {
        words.push(format!("addrgenmode {}", if automatic { "eui64" } else { "none" }));
    }
    if let Some(mac) = change.mac {
        words.push(format!("address {mac}"));
    }
    if let Some(mtu) = change.mtu {
        words.push(format!("mtu {mtu}"));
    }
    match change.master {
        Some(Some(master)) => words.push(format!("master {}", q(master))),
        Some(None) => words.push("nomaster".to_owned()),
        None => {}
    }
    if let Some(up) = change.up {
        words.push(if up { "up" } else { "down" }.to_owned());
    }
    words
}

fn program_words(program: &Program) -> String {
    let mut words: Vec<String> = Vec::new();
    if !program.env.is_empty() {
        words.push("env".to_owned());
        words.extend(program.env.iter().map(|(key, value)| quote(&format!("{key}={value}"))));
    }
    if let [line] = &program.command[..] {
        words.extend(["sh".to_owned(), "-c".to_owned(), quote(line)]);
    } else {
        words.extend(program.command.iter().map(|word| quote(word)));
    }
    words.join(" ")
}

/// An interface's name as a POSIX shell reads it back.
pub(super) fn q(name: IfName) -> String {
    quote(name.as_str())
}

/// The word as a POSIX shell reads it back.
pub(super) fn quote(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_for_a_shell() {
        assert_eq!(quote("plain-1.2/3"), "plain-1.2/3");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}

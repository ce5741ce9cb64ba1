//! Rulesets of nftables.

use std::net::IpAddr;

use super::draft::{Draft, prefix};
use crate::chance::Chance;

/// Rules that let pass and stop, in a namespace that has addresses.
pub(crate) fn filter(chance: &mut Chance, draft: &mut Draft) {
    let routers = draft.routers();
    let all = draft.hosts();
    let node =
        if routers.is_empty() || chance.percent(35) { *chance.pick(&all) } else { *chance.pick(&routers) };
    let family = *chance.pick(&["inet", "inet", "ip", "ip6"]);
    let table = format!("{family} f{}", chance.below(3));
    draft.nft(node, format!("add table {table}"));
    sets(chance, draft, node, &table);
    let others = chance.below(3);
    for other in 0..others {
        draft.nft(node, format!("add chain {table} j{other}"));
    }
    // A chain can only go to those after it: no circles.
    for other in 0..others {
        for _ in 0..chance.between(1, 3) {
            rule(chance, draft, node, &table, &format!("j{other}"), other + 1..others);
        }
    }
    let hooks: &[&str] = if draft.nodes[node].is_router {
        &["forward", "forward", "input", "output", "prerouting", "postrouting"]
    } else {
        &["input", "input", "output", "output", "prerouting", "postrouting"]
    };
    for number in 0..chance.between(1, 2) {
        let hook = *chance.pick(hooks);
        let chain = format!("{hook}{number}");
        let priority = *chance.pick(&["0", "0", "-150", "10", "-300"]);
        let policy = if chance.percent(20) { "drop" } else { "accept" };
        draft.nft(
            node,
            format!("add chain {table} {chain} {{ type filter hook {hook} priority {priority}; policy {policy}; }}"),
        );
        if chance.percent(35) {
            let states = *chance.pick(&[
                "ct state established,related accept",
                "ct state vmap { established : accept, related : accept, invalid : drop }",
                "ct state established accept",
                "ct state invalid drop",
            ]);
            draft.nft(node, format!("add rule {table} {chain} {states}"));
        }
        for _ in 0..chance.between(1, 4) {
            rule(chance, draft, node, &table, &chain, 0..others);
        }
    }
}

fn sets(chance: &mut Chance, draft: &mut Draft, node: usize, table: &str) {
    let addresses: Vec<IpAddr> = (0..2).map(|_| chance.pick(&draft.ends()).1.address(false)).collect();
    let [one, other] = [addresses[0], addresses[1]];
    let elements = if one == other { one.to_string() } else { format!("{one}, {other}") };
    draft.nft(node, format!("add set {table} hosts {{ type ipv4_addr; elements = {{ {elements} }}; }}"));
    let net = prefix(chance.below(draft.segments.len()), false);
    draft.nft(
        node,
        format!("add set {table} nets {{ type ipv4_addr; flags interval; elements = {{ {net} }}; }}"),
    );
    let verdict = *chance.pick(&["drop", "accept", "return"]);
    draft.nft(
        node,
        format!("add map {table} ports {{ type inet_service : verdict; elements = {{ 80 : {verdict}, 53 : accept }}; }}"),
    );
}

/// A chain's rule. It may go to the chains of these numbers.
fn rule(
    chance: &mut Chance,
    draft: &mut Draft,
    node: usize,
    table: &str,
    chain: &str,
    jumps: std::ops::Range<usize>,
) {
    let is_inet = table.starts_with("inet");
    let ipv6 = table.starts_with("ip6") || is_inet && draft.ipv6 && chance.percent(40);
    let mut parts: Vec<String> = Vec::new();
    let mut is_tcp = false;
    for _ in 0..*chance.pick(&[0, 1, 1, 1, 2]) {
        let part = matches(chance, draft, node, ipv6, table);
        is_tcp |= part.starts_with("tcp ");
        parts.push(part);
    }
    let verdict = match chance.below(24) {
        0..6 => "accept".into(),
        6..11 => "drop".into(),
        11 | 12 => "reject".into(),
        13 if ipv6 => {
            let kind =
                *chance.pick(&["no-route", "admin-prohibited", "addr-unreachable", "port-unreachable"]);
            format!("reject with icmpv6 type {kind}")
        }
        13 => {
            let kind = *chance.pick(&[
                "net-unreachable",
                "host-unreachable",
                "prot-unreachable",
                "port-unreachable",
                "net-prohibited",
                "host-prohibited",
                "admin-prohibited",
            ]);
            format!("reject with icmp type {kind}")
        }
        14 if is_inet => {
            let kind =
                *chance.pick(&["no-route", "admin-prohibited", "host-unreachable", "port-unreachable"]);
            format!("reject with icmpx type {kind}")
        }
        15 => {
            if !is_tcp {
                parts.push("meta l4proto tcp".into());
            }
            "reject with tcp reset".into()
        }
        16..19 if !jumps.is_empty() => {
            let to = jumps.start + chance.below(jumps.len());
            format!("{} j{to}", chance.pick(&["jump", "jump", "goto"]))
        }
        19 => "return".into(),
        20 => format!("meta mark set {}", chance.between(1, 3)),
        21 => "counter".into(),
        22 => format!("ct mark set {}", chance.between(1, 3)),
        _ => "tcp dport vmap @ports".into(),
    };
    // What ends a chain for all packets would hide the rest.
    if parts.is_empty() && matches!(verdict.as_str(), "accept" | "drop" | "return") && chance.percent(70) {
        parts.push(matches(chance, draft, node, ipv6, table));
    }
    parts.push(verdict);
    draft.nft(node, format!("add rule {table} {chain} {}", parts.join(" ")));
}

/// What a rule asks of a packet.
fn matches(chance: &mut Chance, draft: &Draft, node: usize, ipv6: bool, table: &str) -> String {
    let family = if ipv6 { "ip6" } else { "ip" };
    let not = if chance.percent(15) { "!= " } else { "" };
    let side = *chance.pick(&["saddr", "daddr"]);
    let address = chance.pick(&draft.ends()).1.address(ipv6);
    let net = prefix(chance.below(draft.segments.len()), ipv6);
    let end = chance.pick(&draft.nodes[node].ends).name.clone();
    match chance.below(26) {
        0..3 => format!("{family} {side} {not}{address}"),
        3..5 => format!("{family} {side} {not}{net}"),
        5 if !table.starts_with("ip6") => format!("ip {side} {not}@hosts"),
        6 if !table.starts_with("ip6") => format!("ip {side} {not}@nets"),
        7 => format!("tcp dport {not}80"),
        8 => "tcp dport { 80, 443 }".into(),
        9 => "udp dport 53".into(),
        10 => "udp dport 1-1000".into(),
        11 if ipv6 => "icmpv6 type echo-request".into(),
        11 => "icmp type echo-request".into(),
        12 if ipv6 => "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded }".into(),
        12 => "icmp type { destination-unreachable, time-exceeded }".into(),
        13 if ipv6 => "icmpv6 type echo-reply".into(),
        13 => "icmp type echo-reply".into(),
        14 => format!("iifname {not}{end}"),
        15 => format!("oifname {not}{end}"),
        16 => "ct state new".into(),
        17 => "ct state established,related".into(),
        18 => "ct direction reply".into(),
        19 => format!("meta mark {}", chance.between(0, 2)),
        20 if ipv6 => "ip6 hoplimit < 5".into(),
        20 => "ip ttl < 5".into(),
        21 => "meta length > 1000".into(),
        22 => format!("meta l4proto {not}{}", chance.pick(&["tcp", "udp", "{ tcp, udp }", "253"])),
        23 => "fib daddr type local".into(),
        24 => "fib saddr . iif oif missing".into(),
        _ if ipv6 => "ip6 dscp ef".into(),
        _ => "ip dscp ef".into(),
    }
}

/// Addresses that are changed.
pub(crate) fn nat(chance: &mut Chance, draft: &mut Draft) {
    let routers = draft.routers();
    let all = draft.hosts();
    let node =
        if routers.is_empty() || chance.percent(20) { *chance.pick(&all) } else { *chance.pick(&routers) };
    let ipv6 = *chance.pick(&draft.families());
    let family = if ipv6 { "ip6" } else { "ip" };
    let table = format!("{family} nat");
    let end = chance.pick(&draft.nodes[node].ends).clone();
    let somebody = chance.pick(&draft.ends()).1.address(ipv6);
    let net = prefix(chance.below(draft.segments.len()), ipv6);
    let own = end.address(ipv6);
    draft.nft(node, format!("add table {table}"));
    let is_source = chance.percent(55);
    let hook = match (is_source, chance.percent(80)) {
        (true, true) => "postrouting",
        (true, false) => "input",
        (false, true) => "prerouting",
        (false, false) => "output",
    };
    let priority = if is_source { "100" } else { "-100" };
    draft.nft(node, format!("add chain {table} {hook} {{ type nat hook {hook} priority {priority}; }}"));
    let about = match chance.below(6) {
        0 if hook == "postrouting" => format!("oifname {} ", end.name),
        0 if hook == "prerouting" => format!("iifname {} ", end.name),
        1 => format!("{family} saddr {net} "),
        2 => format!("{family} daddr {net} "),
        3 => "tcp dport 80 ".into(),
        4 => format!("{family} daddr {somebody} "),
        _ => String::new(),
    };
    let target = chance.pick(&draft.ends()).1.address(ipv6);
    let what = match (is_source, chance.below(6)) {
        (true, 0..4) if hook == "postrouting" => "masquerade".into(),
        (true, _) => format!("snat to {own}"),
        (false, 0..3) => format!("dnat to {target}"),
        (false, 3) => {
            let shown = if ipv6 { format!("[{target}]") } else { target.to_string() };
            format!("meta l4proto tcp dnat to {shown}:80")
        }
        (false, 4) => "meta l4proto { tcp, udp } redirect to :80".into(),
        (false, _) => "redirect".into(),
    };
    draft.nft(node, format!("add rule {table} {hook} {about}{what}"));
}

/// Rules for bridged frames, or IP's rules that bridged packets meet.
pub(crate) fn bridge(chance: &mut Chance, draft: &mut Draft) {
    let switches: Vec<usize> =
        (0..draft.nodes.len()).filter(|&node| !draft.nodes[node].ports.is_empty()).collect();
    let Some(node) = chance.any(&switches) else { return };
    let port = chance.pick(&draft.nodes[node].ports).0.clone();
    let family = *chance.pick(&["bridge", "ip", "inet"]);
    let hook = *chance.pick(&["forward", "forward", "prerouting", "postrouting"]);
    draft.nft(node, format!("add table {family} b"));
    draft.nft(node, format!("add chain {family} b c {{ type filter hook {hook} priority 0; }}"));
    let what = match chance.below(7) {
        0 => format!("iifname {port} drop"),
        1 => format!("oifname {port} drop"),
        2 => "ip protocol icmp drop".into(),
        3 => "tcp dport 80 drop".into(),
        4 => "ct state new drop".into(),
        5 => "icmp type echo-reply drop".into(),
        _ => "udp dport 53 reject".into(),
    };
    draft.nft(node, format!("add rule {family} b c {what}"));
    if family != "bridge" && chance.percent(40) {
        draft.sysctl(node, "net.bridge.bridge-nf-call-iptables", 0);
    }
}

//! What joins the members of a segment.

use super::draft::{Draft, Segment};
use crate::chance::Chance;

/// Joins nodes to one new segment. Of the namespaces that may still be made, `room` are for this.
pub(crate) fn segment(chance: &mut Chance, draft: &mut Draft, members: &[usize], room: usize) {
    draft.segments.push(Segment::default());
    let segment = draft.segments.len() - 1;
    let dice = chance.below(100);
    match members {
        &[one, other] if dice < 55 || room == 0 => cable(draft, segment, one, other),
        _ if dice < 65 || room == 0 => own_bridge(draft, segment, members),
        _ if dice < 76 => macvlans(draft, segment, members),
        _ if dice < 88 && room >= 2 => bridges(chance, draft, segment, members, 2),
        _ => bridges(chance, draft, segment, members, 1),
    }
}

fn next_end(draft: &Draft, node: usize) -> String {
    format!("e{}", draft.nodes[node].ends.len())
}

fn cable(draft: &mut Draft, segment: usize, one: usize, other: usize) {
    let (near, far) = (next_end(draft, one), next_end(draft, other));
    draft.ip(one, format!("link add {near} type veth peer name {far} netns @{other}"));
    draft.end(one, segment, near);
    draft.end(other, segment, far);
}

/// A cable from a node to a port of a bridge.
fn port(draft: &mut Draft, segment: usize, node: usize, switch: usize, bridge: &str) {
    let (near, far) = (next_end(draft, node), format!("p{}", draft.nodes[switch].ports.len()));
    draft.ip(node, format!("link add {near} type veth peer name {far} netns @{switch}"));
    let end = draft.end(node, segment, near);
    draft.ip(switch, format!("link set {far} master {bridge}"));
    draft.ip(switch, format!("link set {far} up"));
    draft.nodes[switch].ports.push((far, bridge.to_owned(), Some((node, end))));
}

fn bridge(draft: &mut Draft, space: usize) -> String {
    let count = draft.lines.iter().filter(|line| line.space == space && line.is_bridge()).count();
    let name = format!("br{count}");
    draft.ip(space, format!("link add {name} type bridge"));
    draft.ip(space, format!("link set {name} up"));
    name
}

/// The first member's own bridge.
fn own_bridge(draft: &mut Draft, segment: usize, members: &[usize]) {
    let name = bridge(draft, members[0]);
    draft.end(members[0], segment, name.clone());
    for &member in &members[1..] {
        port(draft, segment, member, members[0], &name);
    }
}

/// Bridges in namespaces of their own, in a row.
fn bridges(chance: &mut Chance, draft: &mut Draft, segment: usize, members: &[usize], count: usize) {
    let switches: Vec<(usize, String)> = (0..count)
        .map(|_| {
            let space = draft.node(false, true);
            (space, bridge(draft, space))
        })
        .collect();
    for pair in switches.windows(2) {
        let [(one, one_bridge), (other, other_bridge)] = pair else { continue };
        let (near, far) =
            (format!("p{}", draft.nodes[*one].ports.len()), format!("p{}", draft.nodes[*other].ports.len()));
        draft.ip(*one, format!("link add {near} type veth peer name {far} netns @{other}"));
        for (space, name, bridge) in [(*one, near, one_bridge), (*other, far, other_bridge)] {
            draft.ip(space, format!("link set {name} master {bridge}"));
            draft.ip(space, format!("link set {name} up"));
            draft.nodes[space].ports.push((name, bridge.clone(), None));
        }
    }
    for &member in members {
        let (switch, bridge) = chance.pick(&switches).clone();
        port(draft, segment, member, switch, &bridge);
    }
}

/// Macvlans on one end of a cable in a namespace of its own.
fn macvlans(draft: &mut Draft, segment: usize, members: &[usize]) {
    let space = draft.node(false, true);
    draft.ip(space, format!("link add low type veth peer name far netns @{space}"));
    draft.ip(space, "link set far up");
    draft.ip(space, "link set low up");
    for &member in members {
        let name = next_end(draft, member);
        draft.ip(space, format!("link add link low name {name} netns @{member} type macvlan mode bridge"));
        draft.end(member, segment, name);
    }
}

/// Sets interfaces up, and gives them addresses.
pub(crate) fn raise(draft: &mut Draft) {
    for node in 0..draft.nodes.len() {
        if !draft.nodes[node].is_switch {
            draft.ip(node, "link set lo up");
        }
    }
    for (node, end) in draft.ends() {
        draft.ip(node, format!("link set {} up", end.name));
        if draft.ipv4 {
            draft.ip(node, format!("addr add {}/24 dev {}", end.ipv4, end.name));
        }
        if draft.ipv6 {
            draft.ip(node, format!("addr add {}/64 dev {} nodad", end.ipv6, end.name));
            // Without one it asks for no neighbour in the name of others.
            let low = u16::from(end.ipv4.octets()[3]);
            draft.ip(node, format!("addr add fe80::{low}/64 dev {} nodad", end.name));
        }
    }
}

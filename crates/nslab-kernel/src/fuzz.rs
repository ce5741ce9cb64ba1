//! Decoders for fuzzing: everything that takes messages of the kernel apart.

use crate::netlink::{Attributes, Reader};
use crate::nftables::print::Names;
use crate::nftables::read::{
    parse_chain, parse_elements, parse_flowtable, parse_object, parse_rule, parse_set, parse_table,
};
use crate::nftables::{Ruleset, Table, TableId, UserData};
use crate::{
    address, conntrack, link, neighbour, netlink, nftables, qdisc, route, rule, sock_diag, wireguard,
};

/// Takes `data` apart: the first byte says as what, the rest is a message's payload.
pub fn decode(data: &[u8]) {
    let Some((kind, payload)) = data.split_first() else { return };
    match kind % 24 {
        0 => drop(link::parse(payload)),
        1 => drop(address::parse(payload)),
        2 => drop(route::parse(payload)),
        3 => drop(route::parse_nexthop(payload)),
        4 => drop(rule::parse(payload)),
        5 => drop(neighbour::parse(payload)),
        6 => drop(neighbour::fdb::parse(payload)),
        7 => drop(neighbour::vlan::parse(payload)),
        8 => drop(qdisc::parse_qdisc(payload)),
        9 => drop(qdisc::parse_class(payload)),
        10 => drop(qdisc::parse_filter(payload)),
        11 => drop(sock_diag::Protocol::ALL.map(|protocol| sock_diag::parse(protocol, payload))),
        12 => drop(conntrack::parse(&Attributes::new(payload))),
        13 => drop(wireguard::parse(payload)),
        14 => drop(UserData::parse(payload)),
        15 => netlink::take_apart(payload),
        16 => drop(Reader::new(payload).attributes(4)),
        17 => drop(nftables::trace::parse(payload)),
        _ => ruleset(payload),
    }
}

/// Messages of nftables one after the other, each with a byte for its kind and two for its length; what comes of them is
/// printed as well.
fn ruleset(mut payload: &[u8]) {
    let mut ruleset = Ruleset::default();
    while let [kind, high, low, rest @ ..] = payload {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (message, after) = rest.split_at(length);
        message_of(*kind, message, &mut ruleset);
        payload = after;
    }
    drop(ruleset.to_nft(Names::default()));
}

fn message_of(kind: u8, message: &[u8], ruleset: &mut Ruleset) {
    let mut with = |id: Option<TableId>, change: &dyn Fn(&mut Table)| {
        // As if it were of the last table, whatever it says.
        if let (Some(_), Some(table)) = (id, ruleset.tables.last_mut()) {
            change(table);
        }
    };
    match kind % 7 {
        0 => ruleset.tables.extend(parse_table(message)),
        1 => {
            if let Some((id, chain)) = parse_chain(message) {
                with(Some(id), &|table| table.chains.push(chain.clone()));
            }
        }
        2 => {
            if let Some((id, _, rule)) = parse_rule(message) {
                with(Some(id), &|table| {
                    if let Some(chain) = table.chains.last_mut() {
                        chain.rules.push(rule.clone());
                    }
                });
            }
        }
        3 => {
            if let Some((id, set)) = parse_set(message) {
                with(Some(id), &|table| table.sets.push(set.clone()));
            }
        }
        4 => {
            let elements = parse_elements(message);
            if let Some(set) = ruleset.tables.last_mut().and_then(|table| table.sets.last_mut()) {
                set.elements.extend(elements);
            }
        }
        5 => {
            if let Some((id, object)) = parse_object(message) {
                with(Some(id), &|table| table.objects.push(object.clone()));
            }
        }
        _ => {
            if let Some((id, flowtable)) = parse_flowtable(message) {
                with(Some(id), &|table| table.flowtables.push(flowtable.clone()));
            }
        }
    }
}

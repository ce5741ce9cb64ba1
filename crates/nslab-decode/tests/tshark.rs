//! The values of fields, held against tshark.

mod support;

use std::process::Command;

use nslab_decode::{Frame, decode};
use serde_json::Value;
use support::corpus;
use support::oracle::{self, Packet};

/// A field of tshark, and the layer and the field that it is here.
const FIELDS: [(&str, &str, &str); 47] = [
    ("eth.src", "ethernet", "source"),
    ("eth.dst", "ethernet", "destination"),
    ("arp.opcode", "arp", "operation"),
    ("arp.src.hw_mac", "arp", "sender_mac"),
    ("arp.src.proto_ipv4", "arp", "sender"),
    ("arp.dst.proto_ipv4", "arp", "target"),
    ("ip.src", "ipv4", "source"),
    ("ip.dst", "ipv4", "destination"),
    ("ip.len", "ipv4", "total_length"),
    ("ip.id", "ipv4", "id"),
    ("ip.ttl", "ipv4", "ttl"),
    ("ip.proto", "ipv4", "protocol"),
    ("ip.flags.df", "ipv4", "dont_fragment"),
    ("ip.flags.mf", "ipv4", "more_fragments"),
    ("ipv6.src", "ipv6", "source"),
    ("ipv6.dst", "ipv6", "destination"),
    ("ipv6.flow", "ipv6", "flow_label"),
    ("ipv6.hlim", "ipv6", "hop_limit"),
    ("ipv6.plen", "ipv6", "payload_length"),
    ("tcp.srcport", "tcp", "source_port"),
    ("tcp.dstport", "tcp", "destination_port"),
    ("tcp.seq_raw", "tcp", "sequence"),
    ("tcp.ack_raw", "tcp", "acknowledgement"),
    ("tcp.hdr_len", "tcp", "header_length"),
    ("tcp.window_size_value", "tcp", "window"),
    ("tcp.options.mss_val", "tcp", "options/maximum_segment"),
    ("tcp.options.wscale.shift", "tcp", "options/window_scale"),
    ("tcp.options.timestamp.tsval", "tcp", "options/timestamps/value"),
    ("tcp.options.timestamp.tsecr", "tcp", "options/timestamps/echo"),
    ("udp.srcport", "udp", "source_port"),
    ("udp.dstport", "udp", "destination_port"),
    ("udp.length", "udp", "length"),
    ("icmp.type", "icmp", "type"),
    ("icmp.code", "icmp", "code"),
    ("icmp.ident", "icmp", "echo/id"),
    ("icmp.seq", "icmp", "echo/sequence"),
    ("icmpv6.type", "icmpv6", "type"),
    ("icmpv6.code", "icmpv6", "code"),
    ("icmpv6.echo.identifier", "icmpv6", "echo/id"),
    ("icmpv6.nd.ns.target_address", "icmpv6", "neighbor_solicitation/target"),
    ("icmpv6.nd.na.target_address", "icmpv6", "neighbor_advertisement/target"),
    ("igmp.type", "igmp", "type"),
    ("vxlan.vni", "vxlan", "vni"),
    ("gre.proto", "gre", "protocol"),
    ("dns.id", "dns", "id"),
    ("dhcp.id", "dhcp", "transaction"),
    ("sctp.srcport", "sctp", "source_port"),
];

/// The outermost layer of that name.
fn layer<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(fields) => {
            fields.get(name).or_else(|| fields.values().find_map(|value| layer(value, name)))
        }
        _ => None,
    }
}

/// What is at a path, where lists are looked through.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('/').try_fold(value, |value, name| match value {
        Value::Array(items) => items.iter().find_map(|item| item.get(name)),
        value => value.get(name),
    })
}

/// As a number or an address, or as it is.
fn normal(text: &str) -> String {
    if let Ok(address) = text.parse::<std::net::Ipv6Addr>() {
        return address.to_string();
    }
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    match text {
        "false" | "False" => "0".to_owned(),
        "true" | "True" | "request" => "1".to_owned(),
        "reply" => "2".to_owned(),
        "reverse_request" => "3".to_owned(),
        "reverse_reply" => "4".to_owned(),
        "inverse_reply" => "9".to_owned(),
        text => number.map_or_else(|| text.to_owned(), |number| number.to_string()),
    }
}

#[test]
fn fields() {
    if Command::new("tshark").arg("--version").output().is_err() {
        return nslab_testing::skip("there is no tshark");
    }
    let mut packets: Vec<Packet> = corpus::all();
    // Their destination is for tshark the last one of the route.
    packets.retain(|packet| !packet.name.contains("option loose") && !packet.name.contains("option strict"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("packets.pcap");
    oracle::write(&file, 1, &packets);
    let mut command = Command::new("tshark");
    command.args(["-n", "-T", "fields", "-E", "occurrence=f", "-E", "separator=|", "-r"]).arg(&file);
    for (field, _, _) in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.env("HOME", directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(theirs.lines().count(), packets.len());
    let (mut compared, mut wrong) = (0, Vec::new());
    for (packet, theirs) in packets.iter().zip(theirs.lines()) {
        let json = serde_json::to_value(decode(&Frame::new(&packet.bytes))).unwrap();
        for ((field, name, path), theirs) in FIELDS.iter().zip(theirs.split('|')) {
            let ours = layer(&json, name).and_then(|layer| at(layer, path));
            let ours = ours.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            let Some(ours) = ours.filter(|_| !theirs.is_empty()) else { continue };
            compared += 1;
            if normal(&ours) != normal(theirs) {
                wrong.push(format!("{}: {field} is {theirs} for tshark, {ours} for nslab", packet.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 10_000, "{compared}");
}

//! Objects and flowtables in nft's words.

use std::fmt::Write;

use super::statement::{limit_words, quota_words, synproxy_words};
use super::types::{self, Type, quoted};
use super::{commented, symbols};
use crate::nftables::object::{Flowtable, FlowtableFlags, Object, ObjectContent};
use crate::nftables::userdata::UserData;

/// An object's definition.
pub(super) fn object(object: &Object) -> String {
    let kind = object.content.kind();
    let comment = UserData::parse(&object.user_data).comment().and_then(quoted);
    let comment = comment.map_or(String::new(), |comment| format!("\t\tcomment {comment}\n"));
    match content(&object.content) {
        Some(lines) => {
            let mut text = format!("\t{kind} {} {{\n{comment}", object.name);
            for line in lines {
                let _ = writeln!(text, "\t\t{line}");
            }
            text + "\t}\n"
        }
        None => commented(&format!("\t{kind} {} {{ {:?} }}", object.name, object.content)),
    }
}

fn content(content: &ObjectContent) -> Option<Vec<String>> {
    let protocol = |number: u8| types::value(Type::Protocol, Type::Protocol.order(), &[number]);
    Some(match content {
        ObjectContent::Counter { packets, bytes } => vec![format!("packets {packets} bytes {bytes}")],
        ObjectContent::Quota(quota) => vec![quota_words(quota).strip_prefix("quota ")?.to_owned()],
        ObjectContent::Limit(limit) => vec![limit_words(limit)?.strip_prefix("limit ")?.to_owned()],
        ObjectContent::CtHelper { name, family, protocol: number } => vec![
            format!("type {} protocol {}", quoted(name)?, protocol(*number)?),
            format!("l3proto {family}"),
        ],
        ObjectContent::CtTimeout { family, protocol: number, seconds } => {
            let table = match number {
                6 => symbols::TCP_TIMEOUT,
                17 => symbols::UDP_TIMEOUT,
                _ => return None,
            };
            let states: Option<Vec<String>> = seconds
                .iter()
                .map(|(state, seconds)| {
                    let state = types::symbol(table, u128::from(*state))?;
                    Some(format!("{state} : {seconds}"))
                })
                .collect();
            vec![
                format!("protocol {}", protocol(*number)?),
                format!("l3proto {family}"),
                format!("policy = {{ {} }}", states?.join(", ")),
            ]
        }
        ObjectContent::CtExpectation { family, protocol: number, port, timeout, size } => vec![
            format!("protocol {}", protocol(*number)?),
            format!("dport {port}"),
            format!("timeout {}", types::duration(u64::from(*timeout))),
            format!("size {size}"),
            format!("l3proto {family}"),
        ],
        ObjectContent::SecurityMark(context) => vec![quoted(context)?],
        ObjectContent::Synproxy(synproxy) => vec![synproxy_words("", *synproxy)?.trim_start().to_owned()],
        ObjectContent::Connlimit { .. } | ObjectContent::Unknown { .. } => return None,
    })
}

/// A flowtable's definition.
pub(super) fn flowtable(flowtable: &Flowtable) -> String {
    let mut text = format!("\tflowtable {} {{\n", flowtable.name);
    let priority = if flowtable.priority == 0 { "filter".to_owned() } else { flowtable.priority.to_string() };
    let _ = writeln!(text, "\t\thook {} priority {priority}", flowtable.hook);
    if !flowtable.devices.is_empty() {
        let names: Vec<String> = flowtable.devices.iter().map(|name| format!("\"{name}\"")).collect();
        let _ = writeln!(text, "\t\tdevices = {{ {} }}", names.join(", "));
    }
    if flowtable.flags.contains(FlowtableFlags::HW_OFFLOAD) {
        text.push_str("\t\tflags offload\n");
    }
    if flowtable.flags.contains(FlowtableFlags::COUNTER) {
        text.push_str("\t\tcounter\n");
    }
    text + "\t}\n"
}

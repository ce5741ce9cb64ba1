//! Changes on the wire.

use std::cell::Cell;
use std::fmt;

use super::RulePlace;
use crate::netlink::{MessageWriter, Request};
use crate::nftables::abi::*;
use crate::nftables::datatype;
use crate::nftables::expr::{
    ObjectKind, References, write_expression, write_limit, write_list, write_quota, write_synproxy,
    write_value, write_verdict,
};
use crate::nftables::family::Family;
use crate::nftables::object::{Flowtable, Object, ObjectContent};
use crate::nftables::set::{Element, ElementValue, MapsTo, Set, SetFlags};
use crate::nftables::table::{Chain, ChainFlags, Policy, Rule, Table, TableId};
use crate::nftables::{Data, RawAttribute};

/// Elements are put into one message until their list is this long; one element is far shorter than what remains to the
/// 65535 bytes that a list can have.
const ELEMENTS_LEN: usize = 48 * 1024;
/// `NFT_CHAIN_BASE`, which the kernel knows by the hook.
const CHAIN_BASE: u32 = 0x1;
const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;

/// `struct nfgenmsg` (`include/uapi/linux/netfilter/nfnetlink.h`): family, version 0, and a number in network order.
pub(in crate::nftables) fn nfgenmsg(family: u8, number: u16) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [family, 0, high, low]
}

/// A message type of nftables.
pub(in crate::nftables) const fn message_type(kind: u16) -> u16 {
    (NFNL_SUBSYS_NFTABLES << 8) | kind
}

/// The start of a transaction.
pub(super) struct Begin {
    pub(super) generation: Option<u32>,
}

impl fmt::Display for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("begin a transaction")
    }
}

impl Request for Begin {
    fn message_type(&self) -> u16 {
        NFNL_MSG_BATCH_BEGIN
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&nfgenmsg(0, NFNL_SUBSYS_NFTABLES));
        if let Some(generation) = self.generation {
            message.be32(NFNL_BATCH_GENID, generation);
        }
    }
}

/// The end of a transaction, without which nothing of it is carried out.
pub(super) struct End;

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("end a transaction")
    }
}

impl Request for End {
    fn message_type(&self) -> u16 {
        NFNL_MSG_BATCH_END
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&nfgenmsg(0, NFNL_SUBSYS_NFTABLES));
    }
}

/// One change, or a part of one.
pub(super) struct Message<'a> {
    pub(super) table: &'a TableId,
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) references: &'a References,
    pub(super) body: Body<'a>,
}

/// What a change is about.
pub(super) enum Body<'a> {
    /// A table (by the attribute for its name) and perhaps something in it.
    Name(u16, Option<(u16, &'a str)>),
    Table(&'a Table),
    Chain(&'a Chain, Option<u32>),
    Rule {
        chain: &'a str,
        rule: &'a Rule,
        place: RulePlace,
    },
    RuleHandle {
        chain: &'a str,
        handle: u64,
    },
    Set(&'a Set),
    /// As many of `elements` as fit; `taken` says how many did.
    Elements {
        set: &'a str,
        elements: &'a [Element],
        taken: &'a Cell<usize>,
    },
    Object(&'a Object),
    ObjectName {
        kind: ObjectKind,
        name: &'a str,
    },
    Flowtable(&'a Flowtable),
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "change table {}", self.table)
    }
}

impl Request for Message<'_> {
    fn message_type(&self) -> u16 {
        message_type(self.kind)
    }

    fn flags(&self) -> u16 {
        self.flags
    }

    fn write(&self, m: &mut MessageWriter<'_>) {
        let (table, references) = (self.table.name.as_str(), self.references);
        m.header(&nfgenmsg(self.table.family.number(), 0));
        match &self.body {
            Body::Name(kind, more) => {
                m.text(*kind, table);
                if let Some((kind, name)) = more {
                    m.text(*kind, name);
                }
            }
            Body::Table(made) => {
                m.text(NFTA_TABLE_NAME, table);
                m.be32(NFTA_TABLE_FLAGS, made.flags.0);
                user_data(m, NFTA_TABLE_USERDATA, &made.user_data);
                others(m, &made.other);
            }
            Body::Chain(chain, id) => self.chain(m, chain, *id),
            Body::Rule { chain, rule, place } => {
                m.text(NFTA_RULE_TABLE, table);
                match references.chains.get(*chain) {
                    Some(id) => m.be32(NFTA_RULE_CHAIN_ID, *id),
                    None => m.text(NFTA_RULE_CHAIN, chain),
                }
                match place {
                    RulePlace::Last | RulePlace::First => {}
                    RulePlace::After(handle) | RulePlace::Before(handle) => {
                        m.be64(NFTA_RULE_POSITION, *handle);
                    }
                    RulePlace::Instead(handle) => m.be64(NFTA_RULE_HANDLE, *handle),
                }
                write_list(m, NFTA_RULE_EXPRESSIONS, &rule.expressions, references);
                user_data(m, NFTA_RULE_USERDATA, &rule.user_data);
                others(m, &rule.other);
            }
            Body::RuleHandle { chain, handle } => {
                m.text(NFTA_RULE_TABLE, table);
                m.text(NFTA_RULE_CHAIN, chain);
                m.be64(NFTA_RULE_HANDLE, *handle);
            }
            Body::Set(set) => self.set(m, set),
            Body::Elements { set, elements, taken } => self.elements(m, set, elements, taken),
            Body::Object(object) => {
                m.text(NFTA_OBJ_TABLE, table);
                m.text(NFTA_OBJ_NAME, &object.name);
                m.be32(NFTA_OBJ_TYPE, object.content.kind().number());
                write_object(m, &object.content);
                user_data(m, NFTA_OBJ_USERDATA, &object.user_data);
                others(m, &object.other);
            }
            Body::ObjectName { kind, name } => {
                m.text(NFTA_OBJ_TABLE, table);
                m.text(NFTA_OBJ_NAME, name);
                m.be32(NFTA_OBJ_TYPE, kind.number());
            }
            Body::Flowtable(flowtable) => {
                m.text(NFTA_FLOWTABLE_TABLE, table);
                m.text(NFTA_FLOWTABLE_NAME, &flowtable.name);
                m.be32(NFTA_FLOWTABLE_FLAGS, flowtable.flags.0);
                m.nested(NFTA_FLOWTABLE_HOOK, |hook| {
                    hook.be32(NFTA_FLOWTABLE_HOOK_NUM, flowtable.hook.number(Family::Netdev).unwrap_or(0));
                    hook.be32(NFTA_FLOWTABLE_HOOK_PRIORITY, flowtable.priority.cast_unsigned());
                    devices(hook, NFTA_FLOWTABLE_HOOK_DEVS, &flowtable.devices);
                });
                others(m, &flowtable.other);
            }
        }
    }
}

impl Message<'_> {
    fn chain(&self, m: &mut MessageWriter<'_>, chain: &Chain, id: Option<u32>) {
        m.text(NFTA_CHAIN_TABLE, &self.table.name);
        match id {
            // The kernel names it.
            Some(id) => m.be32(NFTA_CHAIN_ID, id),
            None => m.text(NFTA_CHAIN_NAME, &chain.name),
        }
        if let Some(base) = &chain.base {
            m.nested(NFTA_CHAIN_HOOK, |hook| {
                // A hook that the family lacks has no number; this one the kernel refuses.
                hook.be32(NFTA_HOOK_HOOKNUM, base.hook.number(self.table.family).unwrap_or(u32::MAX));
                hook.be32(NFTA_HOOK_PRIORITY, base.priority.cast_unsigned());
                match &base.devices[..] {
                    [] => {}
                    [one] if !one.ends_with('*') => hook.text(NFTA_HOOK_DEV, one),
                    several => devices(hook, NFTA_HOOK_DEVS, several),
                }
            });
            let policy = match base.policy {
                Policy::Accept => NF_ACCEPT,
                Policy::Drop => NF_DROP,
            };
            m.be32(NFTA_CHAIN_POLICY, policy);
            m.text(NFTA_CHAIN_TYPE, base.kind.as_str());
            if let Some((packets, bytes)) = base.counters {
                m.nested(NFTA_CHAIN_COUNTERS, |counters| {
                    counters.be64(NFTA_COUNTER_BYTES, bytes);
                    counters.be64(NFTA_COUNTER_PACKETS, packets);
                });
            }
        }
        let flags = chain.flags.without(ChainFlags(CHAIN_BASE));
        if !flags.is_empty() {
            m.be32(NFTA_CHAIN_FLAGS, flags.0);
        }
        user_data(m, NFTA_CHAIN_USERDATA, &chain.user_data);
        others(m, &chain.other);
    }

    fn set(&self, m: &mut MessageWriter<'_>, set: &Set) {
        m.text(NFTA_SET_TABLE, &self.table.name);
        if let Some((id, sent)) = self.references.sets.get(&set.name) {
            m.text(NFTA_SET_NAME, sent);
            m.be32(NFTA_SET_ID, *id);
        }
        let mut flags = set.flags.without(SetFlags::MAP | SetFlags::OBJECT);
        match set.maps_to {
            MapsTo::Nothing => {}
            MapsTo::Verdict => {
                flags |= SetFlags::MAP;
                m.be32(NFTA_SET_DATA_TYPE, datatype::VERDICT);
                m.be32(NFTA_SET_DATA_LEN, 0);
            }
            MapsTo::Value { kind, len } => {
                flags |= SetFlags::MAP;
                m.be32(NFTA_SET_DATA_TYPE, kind);
                m.be32(NFTA_SET_DATA_LEN, len);
            }
            MapsTo::Object(kind) => {
                flags |= SetFlags::OBJECT;
                m.be32(NFTA_SET_OBJ_TYPE, kind.number());
            }
        }
        match &set.expressions[..] {
            [] => {}
            [one] => write_expression(m, NFTA_SET_EXPR, one, self.references),
            several => {
                flags |= SetFlags::EXPR;
                write_list(m, NFTA_SET_EXPRESSIONS, several, self.references);
            }
        }
        m.be32(NFTA_SET_FLAGS, flags.0);
        m.be32(NFTA_SET_KEY_TYPE, set.key_type);
        m.be32(NFTA_SET_KEY_LEN, set.key_len);
        if set.save_memory {
            m.be32(NFTA_SET_POLICY, 1);
        }
        if set.size.is_some() || !set.fields.is_empty() {
            m.nested(NFTA_SET_DESC, |desc| {
                if let Some(size) = set.size {
                    desc.be32(NFTA_SET_DESC_SIZE, size);
                }
                if !set.fields.is_empty() {
                    desc.nested(NFTA_SET_DESC_CONCAT, |list| {
                        for len in &set.fields {
                            list.nested(NFTA_LIST_ELEM, |field| field.be32(NFTA_SET_FIELD_LEN, *len));
                        }
                    });
                }
            });
        }
        if let Some(timeout) = set.timeout {
            m.be64(NFTA_SET_TIMEOUT, timeout);
        }
        if let Some(interval) = set.gc_interval {
            m.be32(NFTA_SET_GC_INTERVAL, interval);
        }
        user_data(m, NFTA_SET_USERDATA, &set.user_data);
        others(m, &set.other);
    }

    fn elements(&self, m: &mut MessageWriter<'_>, set: &str, elements: &[Element], taken: &Cell<usize>) {
        m.text(NFTA_SET_ELEM_LIST_TABLE, &self.table.name);
        match self.references.sets.get(set) {
            Some((id, sent)) => {
                m.text(NFTA_SET_ELEM_LIST_SET, sent);
                m.be32(NFTA_SET_ELEM_LIST_SET_ID, *id);
            }
            None => m.text(NFTA_SET_ELEM_LIST_SET, set),
        }
        m.nested(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
            let start = list.position();
            let mut count = 0;
            for element in elements {
                if list.position() - start > ELEMENTS_LEN {
                    break;
                }
                list.nested(NFTA_LIST_ELEM, |m| write_element(m, element, self.references));
                count += 1;
            }
            taken.set(count);
        });
    }
}

fn write_element(m: &mut MessageWriter<'_>, element: &Element, references: &References) {
    if !element.flags.is_empty() {
        m.be32(NFTA_SET_ELEM_FLAGS, element.flags.0);
    }
    if let Some(key) = &element.key {
        write_value(m, NFTA_SET_ELEM_KEY, key);
    }
    if let Some(end) = &element.key_end {
        write_value(m, NFTA_SET_ELEM_KEY_END, end);
    }
    match &element.value {
        None => {}
        Some(ElementValue::Value(value)) => write_value(m, NFTA_SET_ELEM_DATA, value),
        Some(ElementValue::Verdict(verdict)) => write_verdict(m, NFTA_SET_ELEM_DATA, verdict, references),
        Some(ElementValue::Object(name)) => m.text(NFTA_SET_ELEM_OBJREF, name),
    }
    if let Some(timeout) = element.timeout {
        m.be64(NFTA_SET_ELEM_TIMEOUT, timeout);
    }
    if let Some(expires) = element.expires {
        m.be64(NFTA_SET_ELEM_EXPIRATION, expires);
    }
    user_data(m, NFTA_SET_ELEM_USERDATA, &element.user_data);
    match &element.expressions[..] {
        [] => {}
        [one] => write_expression(m, NFTA_SET_ELEM_EXPR, one, references),
        several => write_list(m, NFTA_SET_ELEM_EXPRESSIONS, several, references),
    }
    others(m, &element.other);
}

fn write_object(m: &mut MessageWriter<'_>, content: &ObjectContent) {
    if let ObjectContent::Unknown { data, .. } = content {
        return m.nested_raw(NFTA_OBJ_DATA, data);
    }
    m.nested(NFTA_OBJ_DATA, |m| match content {
        ObjectContent::Counter { packets, bytes } => {
            m.be64(NFTA_COUNTER_BYTES, *bytes);
            m.be64(NFTA_COUNTER_PACKETS, *packets);
        }
        ObjectContent::Quota(quota) => write_quota(m, quota),
        ObjectContent::Limit(limit) => write_limit(m, limit),
        ObjectContent::Connlimit { count, inverted } => {
            m.be32(NFTA_CONNLIMIT_COUNT, *count);
            m.be32(NFTA_CONNLIMIT_FLAGS, u32::from(*inverted));
        }
        ObjectContent::CtHelper { name, family, protocol } => {
            m.text(NFTA_CT_HELPER_NAME, name);
            m.be16(NFTA_CT_HELPER_L3PROTO, u16::from(family.number()));
            m.u8(NFTA_CT_HELPER_L4PROTO, *protocol);
        }
        ObjectContent::CtTimeout { family, protocol, seconds } => {
            m.be16(NFTA_CT_TIMEOUT_L3PROTO, u16::from(family.number()));
            m.u8(NFTA_CT_TIMEOUT_L4PROTO, *protocol);
            m.nested(NFTA_CT_TIMEOUT_DATA, |states| {
                for (state, seconds) in seconds {
                    states.be32(*state, *seconds);
                }
            });
        }
        ObjectContent::CtExpectation { family, protocol, port, timeout, size } => {
            m.be16(NFTA_CT_EXPECT_L3PROTO, u16::from(family.number()));
            m.u8(NFTA_CT_EXPECT_L4PROTO, *protocol);
            m.be16(NFTA_CT_EXPECT_DPORT, *port);
            m.u32(NFTA_CT_EXPECT_TIMEOUT, *timeout);
            m.u8(NFTA_CT_EXPECT_SIZE, *size);
        }
        ObjectContent::SecurityMark(context) => m.text(NFTA_SECMARK_CTX, context),
        ObjectContent::Synproxy(synproxy) => write_synproxy(m, *synproxy),
        ObjectContent::Unknown { .. } => {}
    });
}

fn devices(m: &mut MessageWriter<'_>, kind: u16, names: &[String]) {
    m.nested(kind, |list| {
        for name in names {
            match name.strip_suffix('*') {
                Some(prefix) => list.text(NFTA_DEVICE_PREFIX, prefix),
                None => list.text(NFTA_DEVICE_NAME, name),
            }
        }
    });
}

fn user_data(m: &mut MessageWriter<'_>, kind: u16, data: &Data) {
    if !data.is_empty() {
        m.attribute(kind, data);
    }
}

fn others(m: &mut MessageWriter<'_>, attributes: &[RawAttribute]) {
    for attribute in attributes {
        m.attribute(attribute.kind, &attribute.payload);
    }
}

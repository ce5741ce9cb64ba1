//! What the kernel tells of tables and what is in them.

use super::HEADER_LEN;
use crate::netlink::{Attribute, Reader};
use crate::nftables::abi::*;
use crate::nftables::data::{Data, RawAttribute};
use crate::nftables::datatype;
use crate::nftables::expr::{
    self, Expr, ObjectKind, VerdictOrValue, expression, expressions, verdict_or_value,
};
use crate::nftables::family::{Family, Hook};
use crate::nftables::fields::Fields;
use crate::nftables::object::{Flowtable, FlowtableFlags, Object, ObjectContent};
use crate::nftables::set::{Element, ElementFlags, ElementValue, MapsTo, Set, SetFlags};
use crate::nftables::table::{
    BaseChain, Chain, ChainFlags, ChainKind, Policy, Rule, Table, TableFlags, TableId,
};

/// `NFT_CHAIN_BASE`, which [`Chain::base`] says.
const CHAIN_BASE: u32 = 1;
const NF_DROP: u32 = 0;

/// Family and attributes of a message.
fn start(payload: &[u8]) -> Option<(Family, Fields<'_>)> {
    let header = Reader::new(payload);
    Some((Family::from_number(header.u8(0))?, Fields::new(header.attributes(HEADER_LEN))))
}

/// Reads `NFT_MSG_NEWTABLE`.
pub(crate) fn parse_table(payload: &[u8]) -> Option<Table> {
    let (family, mut fields) = start(payload)?;
    let mut table = Table::new(family, fields.name(NFTA_TABLE_NAME)?);
    table.handle = fields.be64(NFTA_TABLE_HANDLE).unwrap_or(0);
    table.flags = TableFlags(fields.be32(NFTA_TABLE_FLAGS).unwrap_or(0));
    table.owner = fields.be32(NFTA_TABLE_OWNER);
    table.user_data = fields.bytes(NFTA_TABLE_USERDATA).unwrap_or_default();
    fields.take(NFTA_TABLE_USE);
    table.other = fields.rest();
    Some(table)
}

/// Reads `NFT_MSG_NEWCHAIN`.
pub(crate) fn parse_chain(payload: &[u8]) -> Option<(TableId, Chain)> {
    let (family, mut fields) = start(payload)?;
    let table = TableId::new(family, fields.name(NFTA_CHAIN_TABLE)?);
    let mut chain = Chain::regular(fields.name(NFTA_CHAIN_NAME)?);
    chain.handle = fields.be64(NFTA_CHAIN_HANDLE).unwrap_or(0);
    chain.flags = ChainFlags(fields.be32(NFTA_CHAIN_FLAGS).unwrap_or(0)).without(ChainFlags(CHAIN_BASE));
    chain.user_data = fields.bytes(NFTA_CHAIN_USERDATA).unwrap_or_default();
    if let Some(hook) = fields.take(NFTA_CHAIN_HOOK) {
        let mut hook = Fields::new(hook.nested());
        chain.base = Some(BaseChain {
            kind: ChainKind::from(fields.text(NFTA_CHAIN_TYPE).unwrap_or_default()),
            hook: Hook::from_number(hook.be32(NFTA_HOOK_HOOKNUM)?, family),
            priority: hook.be32(NFTA_HOOK_PRIORITY)?.cast_signed(),
            policy: match fields.be32(NFTA_CHAIN_POLICY) {
                Some(NF_DROP) => Policy::Drop,
                _ => Policy::Accept,
            },
            devices: devices(hook.take(NFTA_HOOK_DEVS), hook.text(NFTA_HOOK_DEV)),
            counters: fields.take(NFTA_CHAIN_COUNTERS).and_then(|counters| {
                let mut counters = Fields::new(counters.nested());
                Some((counters.be64(NFTA_COUNTER_PACKETS)?, counters.be64(NFTA_COUNTER_BYTES)?))
            }),
        });
    }
    fields.take(NFTA_CHAIN_USE);
    chain.other = fields.rest();
    Some((table, chain))
}

/// Names in a list of devices; one alone is told as `one` too.
fn devices(list: Option<Attribute<'_>>, one: Option<String>) -> Vec<String> {
    let names = list.into_iter().flat_map(|list| list.nested());
    let names: Vec<String> = names
        .filter_map(|name| match name.kind {
            NFTA_DEVICE_NAME => Some(name.text()),
            NFTA_DEVICE_PREFIX => Some(format!("{}*", name.text())),
            _ => None,
        })
        .collect();
    if names.is_empty() { one.into_iter().collect() } else { names }
}

/// Reads `NFT_MSG_NEWRULE`: its table, its chain, itself.
pub(crate) fn parse_rule(payload: &[u8]) -> Option<(TableId, String, Rule)> {
    let (family, mut fields) = start(payload)?;
    let table = TableId::new(family, fields.name(NFTA_RULE_TABLE)?);
    let chain = fields.name(NFTA_RULE_CHAIN)?;
    let rule = Rule {
        handle: fields.be64(NFTA_RULE_HANDLE).unwrap_or(0),
        expressions: fields
            .take(NFTA_RULE_EXPRESSIONS)
            .map(|list| expressions(list.nested()))
            .unwrap_or_default(),
        user_data: fields.bytes(NFTA_RULE_USERDATA).unwrap_or_default(),
        other: {
            // The handle of the rule before it.
            fields.take(NFTA_RULE_POSITION);
            fields.rest()
        },
    };
    Some((table, chain, rule))
}

/// Reads `NFT_MSG_NEWSET`.
pub(crate) fn parse_set(payload: &[u8]) -> Option<(TableId, Set)> {
    let (family, mut fields) = start(payload)?;
    let table = TableId::new(family, fields.name(NFTA_SET_TABLE)?);
    let name = fields.name(NFTA_SET_NAME)?;
    let mut set = Set::new(name, fields.be32(NFTA_SET_KEY_TYPE).unwrap_or(0), fields.be32(NFTA_SET_KEY_LEN)?);
    set.handle = fields.be64(NFTA_SET_HANDLE).unwrap_or(0);
    set.flags = SetFlags(fields.be32(NFTA_SET_FLAGS).unwrap_or(0));
    let data_len = fields.be32(NFTA_SET_DATA_LEN);
    set.maps_to = match (fields.be32(NFTA_SET_DATA_TYPE), fields.be32(NFTA_SET_OBJ_TYPE)) {
        (Some(datatype::VERDICT), _) => MapsTo::Verdict,
        (Some(kind), _) => MapsTo::Value { kind, len: data_len.unwrap_or(0) },
        (None, Some(kind)) => MapsTo::Object(ObjectKind::from_number(kind)),
        (None, None) => MapsTo::Nothing,
    };
    set.flags = set.flags.without(SetFlags::MAP | SetFlags::OBJECT);
    set.save_memory = fields.be32(NFTA_SET_POLICY) == Some(1);
    set.timeout = fields.be64(NFTA_SET_TIMEOUT);
    set.gc_interval = fields.be32(NFTA_SET_GC_INTERVAL).filter(|&interval| interval != 0);
    set.user_data = fields.bytes(NFTA_SET_USERDATA).unwrap_or_default();
    set.backend = fields.text(NFTA_SET_TYPE);
    fields.take(NFTA_SET_COUNT);
    if let Some(desc) = fields.take(NFTA_SET_DESC) {
        let mut desc = Fields::new(desc.nested());
        set.size = desc.be32(NFTA_SET_DESC_SIZE);
        for field in desc.list(NFTA_SET_DESC_CONCAT).unwrap_or_default() {
            set.fields.extend(field.nested().get(NFTA_SET_FIELD_LEN).and_then(|len| len.be32()));
        }
    }
    set.expressions = with_each(&mut fields, NFTA_SET_EXPR, NFTA_SET_EXPRESSIONS);
    set.other = fields.rest();
    Some((table, set))
}

/// What comes with each element: one expression or a list.
fn with_each(fields: &mut Fields<'_>, one: u16, several: u16) -> Vec<Expr> {
    match fields.take(one) {
        Some(one) => vec![expression(one.nested())],
        None => fields.take(several).map(|list| expressions(list.nested())).unwrap_or_default(),
    }
}

/// Reads `NFT_MSG_NEWSETELEM`.
pub(crate) fn parse_elements(payload: &[u8]) -> Vec<Element> {
    let list = Reader::new(payload).attributes(HEADER_LEN).get(NFTA_SET_ELEM_LIST_ELEMENTS);
    let elements = list.into_iter().flat_map(|list| list.nested());
    elements.filter(|element| element.kind == NFTA_LIST_ELEM).map(|element| parse_element(&element)).collect()
}

fn parse_element(element: &Attribute<'_>) -> Element {
    let mut fields = Fields::new(element.nested());
    let value = fields.take(NFTA_SET_ELEM_DATA);
    let known = value.and_then(|value| verdict_or_value(value.nested())).map(|value| match value {
        VerdictOrValue::Verdict(verdict) => ElementValue::Verdict(verdict),
        VerdictOrValue::Value(value) => ElementValue::Value(value),
    });
    let mut unknown = Vec::new();
    if let (Some(value), None) = (value, &known) {
        unknown.push(RawAttribute { kind: value.kind, payload: Data::from(value.payload) });
    }
    let mut parsed = Element {
        key: fields.value(NFTA_SET_ELEM_KEY),
        key_end: fields.value(NFTA_SET_ELEM_KEY_END),
        flags: ElementFlags(fields.be32(NFTA_SET_ELEM_FLAGS).unwrap_or(0)),
        value: known.or_else(|| fields.text(NFTA_SET_ELEM_OBJREF).map(ElementValue::Object)),
        timeout: fields.be64(NFTA_SET_ELEM_TIMEOUT),
        expires: fields.be64(NFTA_SET_ELEM_EXPIRATION),
        expressions: with_each(&mut fields, NFTA_SET_ELEM_EXPR, NFTA_SET_ELEM_EXPRESSIONS),
        user_data: fields.bytes(NFTA_SET_ELEM_USERDATA).unwrap_or_default(),
        other: Vec::new(),
    };
    unknown.extend(fields.rest());
    parsed.other = unknown;
    parsed
}

/// Reads `NFT_MSG_NEWOBJ`.
pub(crate) fn parse_object(payload: &[u8]) -> Option<(TableId, Object)> {
    let (family, mut fields) = start(payload)?;
    let table = TableId::new(family, fields.name(NFTA_OBJ_TABLE)?);
    let name = fields.name(NFTA_OBJ_NAME)?;
    let kind = ObjectKind::from_number(fields.be32(NFTA_OBJ_TYPE)?);
    let data = fields.take(NFTA_OBJ_DATA);
    let known = data.and_then(|data| content(kind, &data));
    let raw = || Data::from(data.map(|data| data.payload).unwrap_or_default());
    let mut object = Object::new(name, known.unwrap_or_else(|| ObjectContent::Unknown { kind, data: raw() }));
    object.handle = fields.be64(NFTA_OBJ_HANDLE).unwrap_or(0);
    object.user_data = fields.bytes(NFTA_OBJ_USERDATA).unwrap_or_default();
    fields.take(NFTA_OBJ_USE);
    object.other = fields.rest();
    Some((table, object))
}

fn content(kind: ObjectKind, data: &Attribute<'_>) -> Option<ObjectContent> {
    let mut fields = Fields::new(data.nested());
    let family = |number: Option<u16>| Family::from_number(u8::try_from(number?).ok()?);
    let content = match kind {
        ObjectKind::Counter => ObjectContent::Counter {
            packets: fields.be64(NFTA_COUNTER_PACKETS)?,
            bytes: fields.be64(NFTA_COUNTER_BYTES)?,
        },
        ObjectKind::Quota => ObjectContent::Quota(expr::quota(&mut fields)?),
        ObjectKind::Limit => ObjectContent::Limit(expr::limit(&mut fields)?),
        ObjectKind::Connlimit => ObjectContent::Connlimit {
            count: fields.be32(NFTA_CONNLIMIT_COUNT)?,
            inverted: match fields.be32(NFTA_CONNLIMIT_FLAGS).unwrap_or(0) {
                0 => false,
                1 => true,
                _ => return None,
            },
        },
        ObjectKind::CtHelper => ObjectContent::CtHelper {
            name: fields.text(NFTA_CT_HELPER_NAME)?,
            family: family(fields.be16(NFTA_CT_HELPER_L3PROTO))?,
            protocol: fields.u8(NFTA_CT_HELPER_L4PROTO)?,
        },
        ObjectKind::CtTimeout => ObjectContent::CtTimeout {
            family: family(fields.be16(NFTA_CT_TIMEOUT_L3PROTO))?,
            protocol: fields.u8(NFTA_CT_TIMEOUT_L4PROTO)?,
            seconds: {
                let states = fields.take(NFTA_CT_TIMEOUT_DATA)?.nested();
                states.map(|state| Some((state.kind, state.be32()?))).collect::<Option<_>>()?
            },
        },
        ObjectKind::CtExpectation => ObjectContent::CtExpectation {
            family: family(fields.be16(NFTA_CT_EXPECT_L3PROTO))?,
            protocol: fields.u8(NFTA_CT_EXPECT_L4PROTO)?,
            port: fields.be16(NFTA_CT_EXPECT_DPORT)?,
            timeout: fields.take(NFTA_CT_EXPECT_TIMEOUT)?.u32()?,
            size: fields.u8(NFTA_CT_EXPECT_SIZE)?,
        },
        ObjectKind::SecurityMark => ObjectContent::SecurityMark(fields.text(NFTA_SECMARK_CTX)?),
        ObjectKind::Synproxy => ObjectContent::Synproxy(expr::synproxy(&mut fields)?),
        ObjectKind::Tunnel | ObjectKind::Other(_) => return None,
    };
    fields.is_spent().then_some(content)
}

/// Reads `NFT_MSG_NEWFLOWTABLE`.
pub(crate) fn parse_flowtable(payload: &[u8]) -> Option<(TableId, Flowtable)> {
    let (family, mut fields) = start(payload)?;
    let table = TableId::new(family, fields.name(NFTA_FLOWTABLE_TABLE)?);
    let name = fields.name(NFTA_FLOWTABLE_NAME)?;
    let mut hook = Fields::new(fields.take(NFTA_FLOWTABLE_HOOK)?.nested());
    let mut flowtable = Flowtable {
        name,
        handle: fields.be64(NFTA_FLOWTABLE_HANDLE).unwrap_or(0),
        hook: Hook::from_number(hook.be32(NFTA_FLOWTABLE_HOOK_NUM)?, Family::Netdev),
        priority: hook.be32(NFTA_FLOWTABLE_HOOK_PRIORITY)?.cast_signed(),
        devices: devices(hook.take(NFTA_FLOWTABLE_HOOK_DEVS), None),
        flags: FlowtableFlags(fields.be32(NFTA_FLOWTABLE_FLAGS).unwrap_or(0)),
        other: Vec::new(),
    };
    fields.take(NFTA_FLOWTABLE_USE);
    flowtable.other = fields.rest();
    Some((table, flowtable))
}

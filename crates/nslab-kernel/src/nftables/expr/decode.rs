//! Expressions read.

use super::{
    BitwiseOp, CmpOp, CtDirection, CtKey, Dynset, Expr, ExthdrKind, FibFlags, FibResult, HashKind, Limit,
    Log, LogFlags, LogLevel, LookupInto, MetaKey, Nat, NatFlags, ObjectKind, Objref, PayloadBase,
    QueueNumber, Quota, RegisterRange, Reject, RejectIcmpx, RtKey, SocketKey, Synproxy, XfrmKey,
};
use crate::netlink::{Attribute, Attributes};
use crate::nftables::abi::*;
use crate::nftables::data::{Data, Register, Verdict};
use crate::nftables::family::Family;
use crate::nftables::fields::Fields;

/// Reads an expression from what an `NFTA_EXPR_*` nest holds. Nothing is lost: what is not understood wholly is
/// [`Expr::Unknown`].
pub(crate) fn expression(attributes: Attributes<'_>) -> Expr {
    let mut fields = Fields::new(attributes);
    let name = fields.take(NFTA_EXPR_NAME).map(|name| name.text()).unwrap_or_default();
    let data = fields.take(NFTA_EXPR_DATA);
    let known = fields.is_spent().then(|| known(&name, data)).flatten();
    known.unwrap_or_else(|| Expr::Unknown { name, data: data.map(|data| Data::from(data.payload)) })
}

/// Reads a list of expressions (`NFTA_LIST_ELEM`s).
pub(crate) fn expressions(list: Attributes<'_>) -> Vec<Expr> {
    list.filter(|element| element.kind == NFTA_LIST_ELEM)
        .map(|element| expression(element.nested()))
        .collect()
}

/// What an `NFTA_DATA_*` nest holds.
pub(crate) enum VerdictOrValue {
    Verdict(Verdict),
    Value(Data),
}

pub(crate) fn verdict_or_value(data: Attributes<'_>) -> Option<VerdictOrValue> {
    let mut fields = Fields::new(data);
    let found = if let Some(value) = fields.bytes(NFTA_DATA_VALUE) {
        VerdictOrValue::Value(value)
    } else {
        let mut inner = Fields::new(fields.take(NFTA_DATA_VERDICT)?.nested());
        let code = inner.be32(NFTA_VERDICT_CODE)?.cast_signed();
        let chain = inner.text(NFTA_VERDICT_CHAIN);
        // A chain may have been bound by its number in a transaction, besides its name.
        inner.take(NFTA_VERDICT_CHAIN_ID);
        let verdict = Verdict::from_code(code, chain)?;
        inner.is_spent().then_some(VerdictOrValue::Verdict(verdict))?
    };
    fields.is_spent().then_some(found)
}

/// An expression that is understood wholly.
fn known(name: &str, data: Option<Attribute<'_>>) -> Option<Expr> {
    let Some(data) = data else {
        return (name == "notrack").then_some(Expr::Notrack);
    };
    let mut fields = Fields::new(data.nested());
    let expr = loads(name, &mut fields)
        .or_else(|| logic(name, &mut fields))
        .or_else(|| state(name, &mut fields))
        .or_else(|| acts(name, &mut fields))?;
    fields.is_spent().then_some(expr)
}

/// What loads into registers or sets from them.
fn loads(name: &str, fields: &mut Fields<'_>) -> Option<Expr> {
    Some(match name {
        "payload" => payload(fields)?,
        "exthdr" => exthdr(fields)?,
        "meta" => {
            let key = MetaKey::from_number(fields.be32(NFTA_META_KEY)?);
            match fields.register_if_any(NFTA_META_DREG)? {
                Some(destination) => Expr::Meta { destination, key },
                None => Expr::MetaSet { source: fields.register(NFTA_META_SREG)?, key },
            }
        }
        "ct" => {
            let key = CtKey::from_number(fields.be32(NFTA_CT_KEY)?);
            let direction = match fields.u8(NFTA_CT_DIRECTION) {
                None => None,
                Some(0) => Some(CtDirection::Original),
                Some(1) => Some(CtDirection::Reply),
                Some(_) => return None,
            };
            match fields.register_if_any(NFTA_CT_DREG)? {
                Some(destination) => Expr::Ct { destination, key, direction },
                None => Expr::CtSet { source: fields.register(NFTA_CT_SREG)?, key, direction },
            }
        }
        "rt" => Expr::Rt {
            destination: fields.register(NFTA_RT_DREG)?,
            key: RtKey::from_number(fields.be32(NFTA_RT_KEY)?),
        },
        "socket" => Expr::Socket {
            destination: fields.register(NFTA_SOCKET_DREG)?,
            key: SocketKey::from_number(fields.be32(NFTA_SOCKET_KEY)?),
            level: fields.be32(NFTA_SOCKET_LEVEL),
        },
        "fib" => Expr::Fib {
            destination: fields.register(NFTA_FIB_DREG)?,
            result: FibResult::from_number(fields.be32(NFTA_FIB_RESULT)?),
            flags: FibFlags(fields.be32(NFTA_FIB_FLAGS)?),
        },
        "numgen" => Expr::Numgen {
            destination: fields.register(NFTA_NG_DREG)?,
            random: match fields.be32(NFTA_NG_TYPE)? {
                0 => false,
                1 => true,
                _ => return None,
            },
            modulus: fields.be32(NFTA_NG_MODULUS)?,
            offset: fields.be32(NFTA_NG_OFFSET).unwrap_or(0),
        },
        "hash" => hash(fields)?,
        "osf" => Expr::Osf {
            destination: fields.register(NFTA_OSF_DREG)?,
            ttl: fields.u8(NFTA_OSF_TTL).unwrap_or(0),
            flags: fields.be32(NFTA_OSF_FLAGS).unwrap_or(0),
        },
        "xfrm" => Expr::Xfrm {
            destination: fields.register(NFTA_XFRM_DREG)?,
            key: XfrmKey::from_number(fields.be32(NFTA_XFRM_KEY)?),
            direction: fields.u8(NFTA_XFRM_DIR)?,
            index: fields.be32(NFTA_XFRM_SPNUM).unwrap_or(0),
        },
        "tunnel" => Expr::Tunnel {
            destination: fields.register(NFTA_TUNNEL_DREG)?,
            key: fields.be32(NFTA_TUNNEL_KEY)?,
            mode: fields.be32(NFTA_TUNNEL_MODE).unwrap_or(0),
        },
        _ => return None,
    })
}

fn payload(fields: &mut Fields<'_>) -> Option<Expr> {
    let base = PayloadBase::from_number(fields.be32(NFTA_PAYLOAD_BASE)?);
    let offset = fields.be32(NFTA_PAYLOAD_OFFSET)?;
    let len = fields.be32(NFTA_PAYLOAD_LEN)?;
    Some(match fields.register_if_any(NFTA_PAYLOAD_DREG)? {
        Some(destination) => Expr::Payload { destination, base, offset, len },
        None => Expr::PayloadSet {
            source: fields.register(NFTA_PAYLOAD_SREG)?,
            base,
            offset,
            len,
            checksum_kind: fields.be32(NFTA_PAYLOAD_CSUM_TYPE).unwrap_or(0),
            checksum_offset: fields.be32(NFTA_PAYLOAD_CSUM_OFFSET).unwrap_or(0),
            checksum_flags: fields.be32(NFTA_PAYLOAD_CSUM_FLAGS).unwrap_or(0),
        },
    })
}

fn exthdr(fields: &mut Fields<'_>) -> Option<Expr> {
    let kind = ExthdrKind::from_number(fields.be32(NFTA_EXTHDR_OP).unwrap_or(0));
    let number = fields.u8(NFTA_EXTHDR_TYPE)?;
    let offset = fields.be32(NFTA_EXTHDR_OFFSET).unwrap_or(0);
    let len = fields.be32(NFTA_EXTHDR_LEN).unwrap_or(0);
    let flags = fields.be32(NFTA_EXTHDR_FLAGS).unwrap_or(0);
    let destination = fields.register_if_any(NFTA_EXTHDR_DREG)?;
    let source = fields.register_if_any(NFTA_EXTHDR_SREG)?;
    Some(match (destination, source, flags) {
        (Some(destination), None, 0 | 1) => {
            Expr::Exthdr { destination, kind, number, offset, len, present: flags == 1 }
        }
        (None, Some(source), 0) => Expr::ExthdrSet { source, kind, number, offset, len },
        (None, None, 0) if offset == 0 && len == 0 => Expr::ExthdrReset { kind, number },
        _ => return None,
    })
}

fn hash(fields: &mut Fields<'_>) -> Option<Expr> {
    let kind = match fields.be32(NFTA_HASH_TYPE).unwrap_or(0) {
        0 => HashKind::Jenkins {
            source: fields.register(NFTA_HASH_SREG)?,
            len: fields.be32(NFTA_HASH_LEN)?,
            seed: fields.be32(NFTA_HASH_SEED),
        },
        1 => HashKind::Symmetric,
        _ => return None,
    };
    Some(Expr::Hash {
        destination: fields.register(NFTA_HASH_DREG)?,
        kind,
        modulus: fields.be32(NFTA_HASH_MODULUS)?,
        offset: fields.be32(NFTA_HASH_OFFSET).unwrap_or(0),
    })
}

/// What calculates and decides.
fn logic(name: &str, fields: &mut Fields<'_>) -> Option<Expr> {
    Some(match name {
        "immediate" => {
            let destination = fields.be32(NFTA_IMMEDIATE_DREG)?;
            let data = verdict_or_value(fields.take(NFTA_IMMEDIATE_DATA)?.nested())?;
            match (destination, data) {
                (0, VerdictOrValue::Verdict(verdict)) => Expr::Verdict(verdict),
                (number, VerdictOrValue::Value(data)) => {
                    Expr::Immediate { destination: Register::from_number(number)?, data }
                }
                _ => return None,
            }
        }
        "cmp" => Expr::Cmp {
            source: fields.register(NFTA_CMP_SREG)?,
            op: CmpOp::from_number(fields.be32(NFTA_CMP_OP)?),
            data: fields.value(NFTA_CMP_DATA)?,
        },
        "range" => Expr::Range {
            source: fields.register(NFTA_RANGE_SREG)?,
            inverted: match fields.be32(NFTA_RANGE_OP)? {
                0 => false,
                1 => true,
                _ => return None,
            },
            from: fields.value(NFTA_RANGE_FROM_DATA)?,
            to: fields.value(NFTA_RANGE_TO_DATA)?,
        },
        "bitwise" => bitwise(fields)?,
        "byteorder" => Expr::Byteorder {
            source: fields.register(NFTA_BYTEORDER_SREG)?,
            destination: fields.register(NFTA_BYTEORDER_DREG)?,
            to_network: match fields.be32(NFTA_BYTEORDER_OP)? {
                0 => false,
                1 => true,
                _ => return None,
            },
            len: fields.be32(NFTA_BYTEORDER_LEN)?,
            size: fields.be32(NFTA_BYTEORDER_SIZE)?,
        },
        "lookup" => Expr::Lookup {
            set: fields.text(NFTA_LOOKUP_SET)?,
            source: fields.register(NFTA_LOOKUP_SREG)?,
            into: match fields.be32(NFTA_LOOKUP_DREG) {
                None => LookupInto::Nothing,
                Some(0) => LookupInto::Verdict,
                Some(number) => LookupInto::Register(Register::from_number(number)?),
            },
            inverted: match fields.be32(NFTA_LOOKUP_FLAGS).unwrap_or(0) {
                0 => false,
                1 => true,
                _ => return None,
            },
        },
        _ => return None,
    })
}

fn bitwise(fields: &mut Fields<'_>) -> Option<Expr> {
    let source = fields.register(NFTA_BITWISE_SREG)?;
    let destination = fields.register(NFTA_BITWISE_DREG)?;
    let len = fields.be32(NFTA_BITWISE_LEN)?;
    let op = match fields.be32(NFTA_BITWISE_OP).unwrap_or(0) {
        0 => BitwiseOp::MaskXor {
            mask: fields.value(NFTA_BITWISE_MASK)?,
            xor: fields.value(NFTA_BITWISE_XOR)?,
        },
        op @ 1..=2 => {
            let bits = fields.value(NFTA_BITWISE_DATA)?;
            let bits = u32::from_ne_bytes(<[u8; 4]>::try_from(&bits[..]).ok()?);
            if op == 1 { BitwiseOp::ShiftLeft(bits) } else { BitwiseOp::ShiftRight(bits) }
        }
        op @ 3..=5 => BitwiseOp::Register { op, other: fields.register(NFTA_BITWISE_SREG2)? },
        _ => return None,
    };
    Some(Expr::Bitwise { source, destination, len, op })
}

/// What has a state of its own.
fn state(name: &str, fields: &mut Fields<'_>) -> Option<Expr> {
    Some(match name {
        "counter" => Expr::Counter {
            packets: fields.be64(NFTA_COUNTER_PACKETS)?,
            bytes: fields.be64(NFTA_COUNTER_BYTES)?,
        },
        "limit" => Expr::Limit(limit(fields)?),
        "quota" => Expr::Quota(quota(fields)?),
        "connlimit" => Expr::Connlimit {
            count: fields.be32(NFTA_CONNLIMIT_COUNT)?,
            inverted: match fields.be32(NFTA_CONNLIMIT_FLAGS).unwrap_or(0) {
                0 => false,
                1 => true,
                _ => return None,
            },
        },
        "last" => {
            let set = fields.be32(NFTA_LAST_SET).unwrap_or(0) != 0;
            Expr::Last { ago: fields.be64(NFTA_LAST_MSECS).filter(|_| set) }
        }
        "dynset" => {
            let flags = fields.be32(NFTA_DYNSET_FLAGS).unwrap_or(0);
            let mut expressions = Vec::new();
            if let Some(one) = fields.take(NFTA_DYNSET_EXPR) {
                expressions.push(expression(one.nested()));
            }
            for one in fields.list(NFTA_DYNSET_EXPRESSIONS).unwrap_or_default() {
                expressions.push(expression(one.nested()));
            }
            Expr::Dynset(Dynset {
                set: fields.text(NFTA_DYNSET_SET_NAME)?,
                op: fields.be32(NFTA_DYNSET_OP)?,
                key: fields.register(NFTA_DYNSET_SREG_KEY)?,
                data: fields.register_if_any(NFTA_DYNSET_SREG_DATA)?,
                timeout: fields.be64(NFTA_DYNSET_TIMEOUT).filter(|&timeout| timeout != 0),
                inverted: match flags & !DYNSET_HAS_EXPRESSIONS {
                    0 => false,
                    1 => true,
                    _ => return None,
                },
                expressions,
            })
        }
        "objref" => Expr::Objref(match fields.be32(NFTA_OBJREF_IMM_TYPE) {
            Some(kind) => Objref::Named {
                kind: ObjectKind::from_number(kind),
                name: fields.text(NFTA_OBJREF_IMM_NAME)?,
            },
            None => Objref::Map {
                set: fields.text(NFTA_OBJREF_SET_NAME)?,
                source: fields.register(NFTA_OBJREF_SET_SREG)?,
            },
        }),
        _ => return None,
    })
}

/// `NFT_DYNSET_F_EXPR`, which only says that `NFTA_DYNSET_EXPRESSIONS` is known.
const DYNSET_HAS_EXPRESSIONS: u32 = 2;

pub(crate) fn limit(fields: &mut Fields<'_>) -> Option<Limit> {
    Some(Limit {
        rate: fields.be64(NFTA_LIMIT_RATE)?,
        seconds: fields.be64(NFTA_LIMIT_UNIT)?,
        burst: fields.be32(NFTA_LIMIT_BURST).unwrap_or(0),
        bytes: match fields.be32(NFTA_LIMIT_TYPE).unwrap_or(0) {
            0 => false,
            1 => true,
            _ => return None,
        },
        inverted: match fields.be32(NFTA_LIMIT_FLAGS).unwrap_or(0) {
            0 => false,
            1 => true,
            _ => return None,
        },
    })
}

pub(crate) fn quota(fields: &mut Fields<'_>) -> Option<Quota> {
    Some(Quota {
        bytes: fields.be64(NFTA_QUOTA_BYTES)?,
        consumed: fields.be64(NFTA_QUOTA_CONSUMED).unwrap_or(0),
        flags: fields.be32(NFTA_QUOTA_FLAGS).unwrap_or(0),
    })
}

pub(crate) fn synproxy(fields: &mut Fields<'_>) -> Option<Synproxy> {
    Some(Synproxy {
        mss: fields.be16(NFTA_SYNPROXY_MSS).unwrap_or(0),
        window_scale: fields.u8(NFTA_SYNPROXY_WSCALE).unwrap_or(0),
        flags: fields.be32(NFTA_SYNPROXY_FLAGS)?,
    })
}

/// What does something to the packet.
fn acts(name: &str, fields: &mut Fields<'_>) -> Option<Expr> {
    Some(match name {
        "log" => Expr::Log(Log {
            prefix: match fields.take(NFTA_LOG_PREFIX) {
                None => None,
                Some(prefix) => {
                    let text = prefix.text();
                    Some(prefix.payload.starts_with(text.as_bytes()).then_some(text)?)
                }
            },
            level: fields.be32(NFTA_LOG_LEVEL).map(LogLevel::from_number),
            flags: LogFlags(fields.be32(NFTA_LOG_FLAGS).unwrap_or(0)),
            group: fields.be16(NFTA_LOG_GROUP),
            snaplen: fields.be32(NFTA_LOG_SNAPLEN),
            threshold: fields.be16(NFTA_LOG_QTHRESHOLD),
        }),
        "reject" => {
            let code = fields.u8(NFTA_REJECT_ICMP_CODE);
            Expr::Reject(match fields.be32(NFTA_REJECT_TYPE)? {
                0 => Reject::Icmp(code?),
                1 => Reject::TcpReset,
                2 => Reject::Icmpx(RejectIcmpx::from_number(u32::from(code?))),
                _ => return None,
            })
        }
        "nat" => Expr::Nat(Nat {
            destination: match fields.be32(NFTA_NAT_TYPE)? {
                0 => false,
                1 => true,
                _ => return None,
            },
            family: family(fields.be32(NFTA_NAT_FAMILY)?)?,
            addresses: range(fields, NFTA_NAT_REG_ADDR_MIN, NFTA_NAT_REG_ADDR_MAX)?,
            ports: range(fields, NFTA_NAT_REG_PROTO_MIN, NFTA_NAT_REG_PROTO_MAX)?,
            flags: NatFlags(fields.be32(NFTA_NAT_FLAGS).unwrap_or(0)),
        }),
        "masq" => Expr::Masquerade {
            flags: NatFlags(fields.be32(NFTA_MASQ_FLAGS).unwrap_or(0)),
            ports: range(fields, NFTA_MASQ_REG_PROTO_MIN, NFTA_MASQ_REG_PROTO_MAX)?,
        },
        "redir" => Expr::Redirect {
            flags: NatFlags(fields.be32(NFTA_REDIR_FLAGS).unwrap_or(0)),
            ports: range(fields, NFTA_REDIR_REG_PROTO_MIN, NFTA_REDIR_REG_PROTO_MAX)?,
        },
        "tproxy" => Expr::Tproxy {
            family: match fields.be32(NFTA_TPROXY_FAMILY)? {
                0 => Family::Inet,
                number => family(number)?,
            },
            address: fields.register_if_any(NFTA_TPROXY_REG_ADDR)?,
            port: fields.register_if_any(NFTA_TPROXY_REG_PORT)?,
        },
        "synproxy" => Expr::Synproxy(synproxy(fields)?),
        "queue" => {
            let number = match fields.register_if_any(NFTA_QUEUE_SREG_QNUM)? {
                Some(register) => QueueNumber::Register(register),
                None => QueueNumber::Fixed {
                    first: fields.be16(NFTA_QUEUE_NUM)?,
                    total: fields.be16(NFTA_QUEUE_TOTAL).unwrap_or(1),
                },
            };
            Expr::Queue { number, flags: fields.be16(NFTA_QUEUE_FLAGS).unwrap_or(0) }
        }
        "dup" => Expr::Dup {
            address: fields.register_if_any(NFTA_DUP_SREG_ADDR)?,
            device: fields.register_if_any(NFTA_DUP_SREG_DEV)?,
        },
        "fwd" => Expr::Fwd {
            device: fields.register(NFTA_FWD_SREG_DEV)?,
            next_hop: match fields.register_if_any(NFTA_FWD_SREG_ADDR)? {
                None => None,
                Some(register) => Some((register, fields.be32(NFTA_FWD_NFPROTO)?)),
            },
        },
        "flow_offload" => Expr::FlowOffload { flowtable: fields.text(NFTA_FLOW_TABLE_NAME)? },
        "match" | "target" => Expr::Xt {
            target: name == "target",
            name: fields.text(NFTA_COMPAT_NAME)?,
            revision: fields.be32(NFTA_COMPAT_REV)?,
            info: fields.bytes(NFTA_COMPAT_INFO)?,
        },
        _ => return None,
    })
}

fn family(number: u32) -> Option<Family> {
    Family::from_number(u8::try_from(number).ok()?)
}

/// Two registers, of which the second is the first where it is left out; the outer none is what cannot be.
#[expect(clippy::option_option, reason = "absent is not wrong")]
fn range(fields: &mut Fields<'_>, first: u16, last: u16) -> Option<Option<RegisterRange>> {
    let first = fields.register_if_any(first)?;
    let last = fields.register_if_any(last)?;
    match (first, last) {
        (None, None) => Some(None),
        (Some(first), last) => Some(Some(RegisterRange { first, last: last.unwrap_or(first) })),
        (None, Some(_)) => None,
    }
}

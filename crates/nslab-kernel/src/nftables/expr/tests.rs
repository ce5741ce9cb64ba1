//! Expressions are read as they are written, and no bytes whatever make the reader panic.

use std::fmt;

use proptest::prelude::*;
use proptest::{collection::vec, option};

use super::*;
use crate::netlink::{Attributes, Batch, MessageWriter, Request};

/// An expression alone in a message.
struct Lone<'a>(&'a Expr);

impl fmt::Display for Lone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write an expression")
    }
}

impl Request for Lone<'_> {
    fn message_type(&self) -> u16 {
        0
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        write_expression(message, 1, self.0, &References::default());
    }
}

/// What the nest of an expression holds.
fn written(expr: &Expr) -> Vec<u8> {
    let payload = Batch::payload(&Lone(expr));
    Attributes::new(&payload).next().unwrap().payload.to_vec()
}

fn read(bytes: &[u8]) -> Expr {
    expression(Attributes::new(bytes))
}

fn register() -> impl Strategy<Value = Register> {
    (0_u8..16).prop_map(|slot| Register::slot(slot).unwrap())
}

fn data() -> impl Strategy<Value = Data> {
    vec(any::<u8>(), 1..65).prop_map(Data::from)
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Zü_][a-z0-9_.-]{0,30}"
}

fn range() -> impl Strategy<Value = RegisterRange> {
    (register(), register()).prop_map(|(first, last)| RegisterRange { first, last })
}

fn family() -> impl Strategy<Value = Family> {
    proptest::sample::select(&Family::ALL[..])
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Accept),
        Just(Verdict::Drop),
        Just(Verdict::Continue),
        Just(Verdict::Break),
        Just(Verdict::Return),
        name().prop_map(Verdict::Jump),
        name().prop_map(Verdict::Goto),
        (any::<u16>(), any::<bool>()).prop_map(|(number, bypass)| Verdict::Queue { number, bypass }),
    ]
}

fn direction() -> impl Strategy<Value = Option<CtDirection>> {
    option::of(prop_oneof![Just(CtDirection::Original), Just(CtDirection::Reply)])
}

fn logic() -> impl Strategy<Value = Expr> {
    let bitwise = prop_oneof![
        (data(), data()).prop_map(|(mask, xor)| BitwiseOp::MaskXor { mask, xor }),
        any::<u32>().prop_map(BitwiseOp::ShiftLeft),
        any::<u32>().prop_map(BitwiseOp::ShiftRight),
        (3_u32..6, register()).prop_map(|(op, other)| BitwiseOp::Register { op, other }),
    ];
    let into = prop_oneof![
        Just(LookupInto::Nothing),
        Just(LookupInto::Verdict),
        register().prop_map(LookupInto::Register)
    ];
    prop_oneof![
        verdict().prop_map(Expr::Verdict),
        (register(), data()).prop_map(|(destination, data)| Expr::Immediate { destination, data }),
        (register(), any::<u32>(), data()).prop_map(|(source, op, data)| Expr::Cmp {
            source,
            op: CmpOp::from_number(op % 8),
            data
        }),
        (register(), any::<bool>(), data(), data()).prop_map(|(source, inverted, from, to)| Expr::Range {
            source,
            inverted,
            from,
            to
        }),
        (register(), register(), any::<u32>(), bitwise)
            .prop_map(|(source, destination, len, op)| Expr::Bitwise { source, destination, len, op }),
        (register(), register(), any::<bool>(), any::<u32>(), any::<u32>()).prop_map(
            |(source, destination, to_network, len, size)| Expr::Byteorder {
                source,
                destination,
                to_network,
                len,
                size
            }
        ),
        (name(), register(), into, any::<bool>()).prop_map(|(set, source, into, inverted)| Expr::Lookup {
            set,
            source,
            into,
            inverted
        }),
    ]
}

fn packet() -> impl Strategy<Value = Expr> {
    let exthdr = (register(), any::<u32>(), any::<u8>(), any::<u32>(), any::<u32>(), 0..4);
    prop_oneof![
        (register(), 0_u32..6, any::<u32>(), any::<u32>()).prop_map(|(destination, base, offset, len)| {
            Expr::Payload { destination, base: PayloadBase::from_number(base), offset, len }
        }),
        (register(), 0_u32..6, any::<[u32; 5]>()).prop_map(|(source, base, numbers)| Expr::PayloadSet {
            source,
            base: PayloadBase::from_number(base),
            offset: numbers[0],
            len: numbers[1],
            checksum_kind: numbers[2],
            checksum_offset: numbers[3],
            checksum_flags: numbers[4],
        }),
        exthdr.prop_map(|(register, kind, number, offset, len, way)| {
            let kind = ExthdrKind::from_number(kind % 7);
            match way {
                0 | 1 => Expr::Exthdr { destination: register, kind, number, offset, len, present: way == 1 },
                2 => Expr::ExthdrSet { source: register, kind, number, offset, len },
                _ => Expr::ExthdrReset { kind, number },
            }
        }),
        (register(), 0_u32..40)
            .prop_map(|(destination, key)| Expr::Meta { destination, key: MetaKey::from_number(key) }),
        (register(), 0_u32..40)
            .prop_map(|(source, key)| Expr::MetaSet { source, key: MetaKey::from_number(key) }),
        (register(), 0_u32..26, direction()).prop_map(|(destination, key, direction)| Expr::Ct {
            destination,
            key: CtKey::from_number(key),
            direction
        }),
        (register(), 0_u32..26, direction()).prop_map(|(source, key, direction)| Expr::CtSet {
            source,
            key: CtKey::from_number(key),
            direction
        }),
        (register(), 0_u32..6)
            .prop_map(|(destination, key)| Expr::Rt { destination, key: RtKey::from_number(key) }),
        (register(), 0_u32..5, option::of(any::<u32>())).prop_map(|(destination, key, level)| {
            Expr::Socket { destination, key: SocketKey::from_number(key), level }
        }),
        (register(), 0_u32..5, 0_u32..64).prop_map(|(destination, result, flags)| Expr::Fib {
            destination,
            result: FibResult::from_number(result),
            flags: FibFlags(flags)
        }),
        (register(), any::<u8>(), any::<u32>()).prop_map(|(destination, ttl, flags)| Expr::Osf {
            destination,
            ttl,
            flags
        }),
        (register(), any::<u32>(), any::<u8>(), any::<u32>()).prop_map(
            |(destination, key, direction, index)| Expr::Xfrm {
                destination,
                key: XfrmKey::from_number(key % 8),
                direction,
                index
            }
        ),
        (register(), any::<u32>(), any::<u32>()).prop_map(|(destination, key, mode)| Expr::Tunnel {
            destination,
            key,
            mode
        }),
    ]
}

fn numbers() -> impl Strategy<Value = Expr> {
    let hash = prop_oneof![
        Just(HashKind::Symmetric),
        (register(), any::<u32>(), option::of(any::<u32>()))
            .prop_map(|(source, len, seed)| HashKind::Jenkins { source, len, seed })
    ];
    prop_oneof![
        (register(), any::<bool>(), any::<u32>(), any::<u32>()).prop_map(
            |(destination, random, modulus, offset)| Expr::Numgen { destination, random, modulus, offset }
        ),
        (register(), hash, any::<u32>(), any::<u32>()).prop_map(|(destination, kind, modulus, offset)| {
            Expr::Hash { destination, kind, modulus, offset }
        }),
        (any::<u64>(), any::<u64>()).prop_map(|(packets, bytes)| Expr::Counter { packets, bytes }),
        (any::<u64>(), any::<u64>(), any::<u32>(), any::<bool>(), any::<bool>()).prop_map(
            |(rate, seconds, burst, bytes, inverted)| Expr::Limit(Limit {
                rate,
                seconds,
                burst,
                bytes,
                inverted
            })
        ),
        (any::<u64>(), any::<u64>(), 0_u32..2).prop_map(|(bytes, consumed, flags)| Expr::Quota(Quota {
            bytes,
            consumed,
            flags
        })),
        (any::<u32>(), any::<bool>()).prop_map(|(count, inverted)| Expr::Connlimit { count, inverted }),
        option::of(any::<u64>()).prop_map(|ago| Expr::Last { ago }),
    ]
}

fn acts() -> impl Strategy<Value = Expr> {
    let log = (
        option::of("[ -~]{0,100}"),
        option::of(0_u32..10),
        0_u32..64,
        option::of(any::<u16>()),
        option::of(any::<u32>()),
        option::of(any::<u16>()),
    );
    let queue = prop_oneof![
        (any::<u16>(), any::<u16>()).prop_map(|(first, total)| QueueNumber::Fixed { first, total }),
        register().prop_map(QueueNumber::Register)
    ];
    prop_oneof![
        log.prop_map(|(prefix, level, flags, group, snaplen, threshold)| Expr::Log(Log {
            prefix,
            level: level.map(LogLevel::from_number),
            flags: LogFlags(flags),
            group,
            snaplen,
            threshold
        })),
        any::<u8>().prop_map(|code| Expr::Reject(Reject::Icmp(code))),
        (0_u32..5).prop_map(|code| Expr::Reject(Reject::Icmpx(RejectIcmpx::from_number(code)))),
        Just(Expr::Reject(Reject::TcpReset)),
        (any::<bool>(), family(), option::of(range()), option::of(range()), any::<u32>()).prop_map(
            |(destination, family, addresses, ports, flags)| Expr::Nat(Nat {
                destination,
                family,
                addresses,
                ports,
                flags: NatFlags(flags)
            })
        ),
        (any::<u32>(), option::of(range()))
            .prop_map(|(flags, ports)| Expr::Masquerade { flags: NatFlags(flags), ports }),
        (any::<u32>(), option::of(range()))
            .prop_map(|(flags, ports)| Expr::Redirect { flags: NatFlags(flags), ports }),
        (family(), option::of(register()), option::of(register()))
            .prop_map(|(family, address, port)| Expr::Tproxy { family, address, port }),
        (any::<u16>(), any::<u8>(), any::<u32>())
            .prop_map(|(mss, window_scale, flags)| Expr::Synproxy(Synproxy { mss, window_scale, flags })),
        Just(Expr::Notrack),
        (queue, any::<u16>()).prop_map(|(number, flags)| Expr::Queue { number, flags }),
        (option::of(register()), option::of(register()))
            .prop_map(|(address, device)| Expr::Dup { address, device }),
        (register(), option::of((register(), any::<u32>())))
            .prop_map(|(device, next_hop)| Expr::Fwd { device, next_hop }),
        name().prop_map(|flowtable| Expr::FlowOffload { flowtable }),
        (any::<bool>(), name(), any::<u32>(), data()).prop_map(|(target, name, revision, info)| Expr::Xt {
            target,
            name,
            revision,
            info
        }),
        (any::<u32>(), name()).prop_map(|(kind, name)| {
            Expr::Objref(Objref::Named { kind: ObjectKind::from_number(kind), name })
        }),
        (register(), name()).prop_map(|(source, set)| Expr::Objref(Objref::Map { set, source })),
        (name(), option::of(data()))
            .prop_map(|(name, data)| Expr::Unknown { name: format!("new-{name}"), data }),
    ]
}

pub(in crate::nftables) fn any_expr() -> impl Strategy<Value = Expr> {
    let flat = prop_oneof![logic(), packet(), numbers(), acts()];
    let inner = vec(numbers(), 0..3);
    let dynset =
        (name(), 0_u32..3, register(), option::of(register()), option::of(1_u64..), any::<bool>(), inner);
    prop_oneof![
        30 => flat,
        1 => dynset.prop_map(|(set, op, key, data, timeout, inverted, expressions)| {
            Expr::Dynset(Dynset { set, op, key, data, timeout, inverted, expressions })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn expressions_are_read_as_they_are_written(expr in any_expr()) {
        prop_assert_eq!(read(&written(&expr)), expr);
    }

    #[test]
    fn expressions_survive_json(expr in any_expr()) {
        let json = serde_json::to_string(&expr).unwrap();
        prop_assert_eq!(serde_json::from_str::<Expr>(&json).unwrap(), expr, "{}", json);
    }

    #[test]
    fn what_is_not_known_wholly_is_kept(expr in any_expr(), kind in 16_u16..60, payload in data()) {
        let mut bytes = written(&expr);
        let attributes: Vec<_> = Attributes::new(&bytes).collect();
        let [name, content] = &attributes[..] else { return Ok(()) };
        let mut content = content.payload.to_vec();
        content.resize(content.len().next_multiple_of(4), 0);
        content.extend(u16::try_from(payload.len() + 4).unwrap().to_ne_bytes());
        content.extend(kind.to_ne_bytes());
        content.extend(&payload[..]);
        let wanted = Expr::Unknown { name: name.text(), data: Some(Data::from(content)) };
        bytes = written(&wanted);
        prop_assert_eq!(read(&bytes), wanted);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..200), expr in any_expr(), cut in any::<usize>()) {
        read(&bytes);
        let whole = written(&expr);
        read(&whole[..cut % whole.len()]);
    }
}

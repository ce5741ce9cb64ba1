//! A rule put together piece by piece.

use std::net::IpAddr;

use ipnet::IpNet;
use nslab_types::IfName;

use super::field::{Field, Needs};
use crate::nftables::data::{Data, Register, Verdict};
use crate::nftables::expr::{
    BitwiseOp, CmpOp, CtKey, CtState, CtStatus, Expr, Limit, Log, LogLevel, LookupInto, MetaKey, Nat,
    NatFlags, ObjectKind, Objref, PayloadBase, RegisterRange, Reject,
};
use crate::nftables::family::Family;
use crate::nftables::table::Rule;
use crate::nftables::userdata::UserData;

/// `NFPROTO_IPV4` and `NFPROTO_IPV6` (`include/uapi/linux/netfilter.h`).
const IPV4: u8 = 2;
const IPV6: u8 = 10;
/// `ETH_P_IP` and `ETH_P_IPV6` (`include/uapi/linux/if_ether.h`).
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// `ARPHRD_ETHER` (`include/uapi/linux/if_arp.h`).
const ETHERNET: u16 = 1;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// A rule put together from matches, then statements, then perhaps a verdict.
///
/// A match of something that only some packets have (an IPv4 address, an ICMP type) is preceded by the match of the family and
/// protocol, as nft does it, unless the rule has that already.
///
/// ```
/// use nslab_kernel::nftables::build::{Field, RuleBuilder};
/// use nslab_kernel::nftables::{CtState, Family};
///
/// let rule = RuleBuilder::new(Family::Inet)
///     .iif_name("lan".parse().unwrap())
///     .source("10.0.0.0/24".parse().unwrap())
///     .l4_protocol(6)
///     .equal(Field::DestinationPort, 443_u16.to_be_bytes())
///     .ct_state(CtState::NEW)
///     .counter()
///     .accept();
/// assert_eq!(rule.counter(), Some((0, 0)));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct RuleBuilder {
    family: Family,
    expressions: Vec<Expr>,
    /// What is matched already.
    l3: Option<u8>,
    l4: Option<u8>,
    ethernet: bool,
    user_data: UserData,
}

impl RuleBuilder {
    /// A rule for a table of this family, which matches everything.
    pub fn new(family: Family) -> Self {
        let l3 = match family {
            Family::Ip => Some(IPV4),
            Family::Ip6 => Some(IPV6),
            _ => None,
        };
        Self { family, expressions: Vec::new(), l3, l4: None, ethernet: false, user_data: UserData::new() }
    }

    /// Adds an expression as it is.
    pub fn expression(mut self, expression: Expr) -> Self {
        self.expressions.push(expression);
        self
    }

    /// Adds expressions as they are.
    pub fn expressions(mut self, expressions: impl IntoIterator<Item = Expr>) -> Self {
        self.expressions.extend(expressions);
        self
    }

    /// Adds a comment, which `nft list` shows.
    pub fn comment(mut self, comment: &str) -> Self {
        self.user_data = self.user_data.with_comment(comment);
        self
    }

    /// Adds what nslab means by the rule ([`UserData::intent`]).
    pub fn intent(mut self, intent: &str) -> Self {
        self.user_data = self.user_data.with_intent(intent);
        self
    }

    fn compare(self, source: Register, op: CmpOp, data: impl Into<Data>) -> Self {
        self.expression(Expr::Cmp { source, op, data: data.into() })
    }

    /// Matches packets of IPv4.
    pub fn ipv4(mut self) -> Self {
        if self.l3 == Some(IPV4) {
            return self;
        }
        self = self.l3(IPV4, ETHERTYPE_IPV4);
        self
    }

    /// Matches packets of IPv6.
    pub fn ipv6(mut self) -> Self {
        if self.l3 == Some(IPV6) {
            return self;
        }
        self = self.l3(IPV6, ETHERTYPE_IPV6);
        self
    }

    fn l3(mut self, protocol: u8, ethertype: u16) -> Self {
        self.l3 = Some(protocol);
        match self.family {
            // They have no netfilter protocol of the packet's own.
            Family::Bridge | Family::Netdev => self.expression(Field::EtherType.load(Register::R1)).compare(
                Register::R1,
                CmpOp::Equal,
                ethertype.to_be_bytes(),
            ),
            _ => self.expression(Field::NetfilterProtocol.load(Register::R1)).compare(
                Register::R1,
                CmpOp::Equal,
                [protocol],
            ),
        }
    }

    /// Matches packets of an IP protocol, as 6 (TCP) or 17 (UDP).
    pub fn l4_protocol(mut self, protocol: u8) -> Self {
        if self.l4 == Some(protocol) {
            return self;
        }
        self.l4 = Some(protocol);
        self.expression(Field::L4Protocol.load(Register::R1)).compare(Register::R1, CmpOp::Equal, [protocol])
    }

    /// Matches packets that came in by an Ethernet device, which all of a bridge's are.
    fn ethernet(mut self) -> Self {
        if self.ethernet || self.family == Family::Bridge {
            return self;
        }
        self.ethernet = true;
        let load = Expr::Meta { destination: Register::R1, key: MetaKey::IifType };
        self.expression(load).compare(Register::R1, CmpOp::Equal, Data::ne16(ETHERNET))
    }

    fn need(self, field: Field) -> Self {
        match field.needs() {
            Needs::Nothing => self,
            Needs::Ipv4 => self.ipv4(),
            Needs::Ipv6 => self.ipv6(),
            Needs::Icmp => self.ipv4().l4_protocol(ICMP),
            Needs::Icmpv6 => self.ipv6().l4_protocol(ICMPV6),
            Needs::Ethernet => self.ethernet(),
        }
    }

    /// Matches a field that has this value, of the field's length and byte order.
    pub fn equal(self, field: Field, value: impl Into<Data>) -> Self {
        self.need(field).expression(field.load(Register::R1)).compare(Register::R1, CmpOp::Equal, value)
    }

    /// Matches a field that does not have this value.
    pub fn not_equal(self, field: Field, value: impl Into<Data>) -> Self {
        self.need(field).expression(field.load(Register::R1)).compare(Register::R1, CmpOp::NotEqual, value)
    }

    /// Matches a field within two values, both included, in network order.
    pub fn range(self, field: Field, from: impl Into<Data>, to: impl Into<Data>) -> Self {
        self.need(field).expression(field.load(Register::R1)).expression(Expr::Range {
            source: Register::R1,
            inverted: false,
            from: from.into(),
            to: to.into(),
        })
    }

    /// Matches a field of which at least one of these bits is set, in the machine's order.
    pub fn any_bit(self, field: Field, bits: u32) -> Self {
        let mask_xor = BitwiseOp::MaskXor { mask: Data::ne32(bits), xor: Data::ne32(0) };
        self.need(field)
            .expression(field.load(Register::R1))
            .expression(Expr::Bitwise {
                source: Register::R1,
                destination: Register::R1,
                len: 4,
                op: mask_xor,
            })
            .compare(Register::R1, CmpOp::NotEqual, Data::ne32(0))
    }

    /// Matches packets that came in by this interface.
    pub fn iif_name(self, name: IfName) -> Self {
        self.equal(Field::IifName, Data::interface_name(name))
    }

    /// Matches packets that leave by this interface.
    pub fn oif_name(self, name: IfName) -> Self {
        self.equal(Field::OifName, Data::interface_name(name))
    }

    /// Matches packets whose state in conntrack is one of these.
    pub fn ct_state(self, states: CtState) -> Self {
        self.any_bit(Field::CtState, states.0)
    }

    /// Matches packets whose connection has one of these marks of its life.
    pub fn ct_status(self, status: CtStatus) -> Self {
        self.any_bit(Field::CtStatus, status.0)
    }

    /// Matches packets from this prefix.
    pub fn source(self, prefix: IpNet) -> Self {
        self.prefix(prefix, Field::SourceIp4, Field::SourceIp6)
    }

    /// Matches packets to this prefix.
    pub fn destination(self, prefix: IpNet) -> Self {
        self.prefix(prefix, Field::DestinationIp4, Field::DestinationIp6)
    }

    fn prefix(self, prefix: IpNet, ipv4: Field, ipv6: Field) -> Self {
        let field = if prefix.addr().is_ipv4() { ipv4 } else { ipv6 };
        let (network, mask) = (Data::address(prefix.network()), Data::address(prefix.netmask()));
        let length = usize::from(prefix.prefix_len());
        let this = self.need(field);
        if length == 0 {
            return this;
        }
        let load = field.load(Register::R1);
        match load {
            // As nft does it, only the bytes that count.
            Expr::Payload { destination, base, offset, .. } if length.is_multiple_of(8) => {
                let len = u32::from(prefix.prefix_len()) / 8;
                this.expression(Expr::Payload { destination, base, offset, len }).compare(
                    Register::R1,
                    CmpOp::Equal,
                    &network[..length / 8],
                )
            }
            load => {
                let xor = Data::from(vec![0; network.len()]);
                let op = BitwiseOp::MaskXor { mask, xor };
                this.expression(load)
                    .expression(Expr::Bitwise {
                        source: Register::R1,
                        destination: Register::R1,
                        len: field.size(),
                        op,
                    })
                    .compare(Register::R1, CmpOp::Equal, network)
            }
        }
    }

    /// Matches packets for which a set holds this field.
    pub fn in_set(self, field: Field, set: &str) -> Self {
        self.lookup(&[field], set, LookupInto::Nothing, false)
    }

    /// Matches packets for which a set does not hold this field.
    pub fn not_in_set(self, field: Field, set: &str) -> Self {
        self.lookup(&[field], set, LookupInto::Nothing, true)
    }

    /// Looks these fields, one after the other, up in a set or map. Together they have at most 64 bytes, each rounded up to a
    /// multiple of four; fields beyond that are not looked at, which the kernel refuses for their set's sake.
    pub fn lookup(mut self, fields: &[Field], set: &str, into: LookupInto, inverted: bool) -> Self {
        let mut slot = 0;
        for &field in fields {
            self = self.need(field);
        }
        for field in fields {
            if let Some(register) = Register::slot(slot) {
                self.expressions.push(field.load(register));
            }
            slot = slot.saturating_add(u8::try_from(field.size().div_ceil(4)).unwrap_or(u8::MAX));
        }
        self.expression(Expr::Lookup { set: set.to_owned(), source: Register::R1, into, inverted })
    }

    /// Gives the verdict that a map has for these fields; goes on if it has none.
    pub fn verdict_map(self, fields: &[Field], map: &str) -> Self {
        self.lookup(fields, map, LookupInto::Verdict, false)
    }

    /// Counts.
    pub fn counter(self) -> Self {
        self.expression(Expr::Counter { packets: 0, bytes: 0 })
    }

    /// Counts with a counter that has a name.
    pub fn named_counter(self, name: &str) -> Self {
        self.expression(Expr::Objref(Objref::Named { kind: ObjectKind::Counter, name: name.to_owned() }))
    }

    /// Writes a line to the kernel's log that starts so; as in nft, of level "warning".
    pub fn log(self, prefix: &str) -> Self {
        let prefix = (!prefix.is_empty()).then(|| prefix.to_owned());
        self.expression(Expr::Log(Log { prefix, level: Some(LogLevel::Warning), ..Log::default() }))
    }

    /// Hands packets to programs that listen to this group (`nfnetlink_log`).
    pub fn log_group(self, prefix: &str, group: u16) -> Self {
        let prefix = (!prefix.is_empty()).then(|| prefix.to_owned());
        self.expression(Expr::Log(Log { prefix, group: Some(group), ..Log::default() }))
    }

    /// Goes on as long as no more than so many packets come in each `seconds`; `burst` more may come at once.
    pub fn limit_packets(self, rate: u64, seconds: u64, burst: u32) -> Self {
        self.expression(Expr::Limit(Limit { rate, seconds, burst, bytes: false, inverted: false }))
    }

    /// Sets the packet's mark.
    pub fn set_mark(self, mark: u32) -> Self {
        self.expression(Expr::Immediate { destination: Register::R1, data: Data::ne32(mark) })
            .expression(Expr::MetaSet { source: Register::R1, key: MetaKey::Mark })
    }

    /// Sets the connection's mark.
    pub fn set_ct_mark(self, mark: u32) -> Self {
        self.expression(Expr::Immediate { destination: Register::R1, data: Data::ne32(mark) })
            .expression(Expr::CtSet { source: Register::R1, key: CtKey::Mark, direction: None })
    }

    /// Sets the largest TCP segment to what the route has room for; match TCP SYNs before.
    pub fn clamp_mss(self) -> Self {
        use crate::nftables::expr::{ExthdrKind, RtKey};
        // The largest segment size is option 2, its value at byte 2 (RFC 9293, section 3.2).
        self.expression(Expr::Rt { destination: Register::R1, key: RtKey::TcpMss })
            .expression(Expr::Byteorder {
                source: Register::R1,
                destination: Register::R1,
                to_network: true,
                len: 2,
                size: 2,
            })
            .expression(Expr::ExthdrSet {
                source: Register::R1,
                kind: ExthdrKind::TcpOption,
                number: 2,
                offset: 2,
                len: 2,
            })
    }

    /// Matches TCP packets that start a connection: SYN without RST (`tcp flags & (syn|rst) == syn`).
    pub fn tcp_syn(self) -> Self {
        const SYN: u8 = 0x02;
        const RST: u8 = 0x04;
        let op = BitwiseOp::MaskXor { mask: Data::u8(SYN | RST), xor: Data::u8(0) };
        // Flags are byte 13 (RFC 9293, section 3.1).
        let load =
            Expr::Payload { destination: Register::R1, base: PayloadBase::Transport, offset: 13, len: 1 };
        self.l4_protocol(6)
            .expression(load)
            .expression(Expr::Bitwise { source: Register::R1, destination: Register::R1, len: 1, op })
            .compare(Register::R1, CmpOp::Equal, [SYN])
    }

    /// Makes this address (and one of these ports, if any) the source of the connection.
    pub fn snat(self, address: IpAddr, ports: Option<(u16, u16)>) -> Rule {
        self.nat(false, Some(address), ports)
    }

    /// Makes this address (and this port or one of these, if any) the destination of the connection.
    pub fn dnat(self, address: IpAddr, ports: Option<(u16, u16)>) -> Rule {
        self.nat(true, Some(address), ports)
    }

    fn nat(mut self, destination: bool, address: Option<IpAddr>, ports: Option<(u16, u16)>) -> Rule {
        let mut family = self.family;
        let mut addresses = None;
        if let Some(address) = address {
            family = if address.is_ipv4() { Family::Ip } else { Family::Ip6 };
            self = if address.is_ipv4() { self.ipv4() } else { self.ipv6() };
            self.expressions
                .push(Expr::Immediate { destination: Register::R1, data: Data::address(address) });
            addresses = Some(RegisterRange::one(Register::R1));
        }
        let (this, ports) = self.ports(ports);
        let nat = Nat { destination, family, addresses, ports, flags: NatFlags::empty() };
        this.expression(Expr::Nat(nat)).go_on()
    }

    /// Loads a range of ports into registers.
    fn ports(self, ports: Option<(u16, u16)>) -> (Self, Option<RegisterRange>) {
        let load = |destination, port| Expr::Immediate { destination, data: Data::be16(port) };
        match ports {
            None => (self, None),
            Some((first, last)) if first == last => {
                (self.expression(load(Register::R2, first)), Some(RegisterRange::one(Register::R2)))
            }
            Some((first, last)) => (
                self.expression(load(Register::R2, first)).expression(load(Register::R3, last)),
                Some(RegisterRange { first: Register::R2, last: Register::R3 }),
            ),
        }
    }

    /// Makes an address of the outgoing interface the source of the connection.
    pub fn masquerade(self) -> Rule {
        self.expression(Expr::Masquerade { flags: NatFlags::empty(), ports: None }).go_on()
    }

    /// Makes this namespace itself the destination of the connection, at this port if any.
    pub fn redirect(self, ports: Option<(u16, u16)>) -> Rule {
        let (this, ports) = self.ports(ports);
        this.expression(Expr::Redirect { flags: NatFlags::empty(), ports }).go_on()
    }

    /// Drops the packet and tells its sender.
    pub fn reject(self, how: Reject) -> Rule {
        self.expression(Expr::Reject(how)).go_on()
    }

    /// Lets the packet pass.
    pub fn accept(self) -> Rule {
        self.verdict(Verdict::Accept)
    }

    /// Drops the packet.
    pub fn drop(self) -> Rule {
        self.verdict(Verdict::Drop)
    }

    /// Evaluates another chain, then goes on.
    pub fn jump(self, chain: &str) -> Rule {
        self.verdict(Verdict::Jump(chain.to_owned()))
    }

    /// Evaluates another chain instead of what remains of this one.
    pub fn goto(self, chain: &str) -> Rule {
        self.verdict(Verdict::Goto(chain.to_owned()))
    }

    /// Ends with a verdict.
    pub fn verdict(self, verdict: Verdict) -> Rule {
        self.expression(Expr::Verdict(verdict)).go_on()
    }

    /// Ends without a verdict: the next rule is evaluated.
    pub fn go_on(self) -> Rule {
        Rule { user_data: self.user_data.to_data(), ..Rule::new(self.expressions) }
    }
}

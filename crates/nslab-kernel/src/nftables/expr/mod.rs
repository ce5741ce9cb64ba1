//! Expressions: what a rule is made of.
//!
//! The kernel evaluates a rule's expressions one after the other on a packet. Most load something into a
//! [`Register`], compare one, or act; the first comparison that fails ends the rule (`NFT_BREAK`), and a verdict ends it too.

mod bits;
mod decode;
mod encode;
mod encode_loads;
mod keys;
mod parts;
#[cfg(test)]
pub(super) mod tests;

use serde::{Deserialize, Serialize};

pub use bits::{CtState, CtStatus, FibFlags, LogFlags, NatFlags};
pub(crate) use decode::{VerdictOrValue, expression, expressions, limit, quota, synproxy, verdict_or_value};
pub(crate) use encode::{
    References, name, write_expression, write_limit, write_list, write_quota, write_synproxy, write_value,
    write_verdict,
};
pub use keys::{
    CmpOp, CtKey, ExthdrKind, FibResult, LogLevel, MetaKey, ObjectKind, PayloadBase, RejectIcmpx, RtKey,
    SocketKey, XfrmKey,
};

pub use parts::{
    BitwiseOp, CtDirection, Dynset, HashKind, Limit, Log, LookupInto, Nat, Objref, QueueNumber, Quota,
    RegisterRange, Reject, Synproxy,
};

use super::data::{Data, Register, Verdict};
use super::family::Family;

/// One expression of a rule, or one that comes with each element of a set.
///
/// What this crate does not know wholly (an expression that is new, or a known one with an attribute that is new) is
/// [`Expr::Unknown`] and loses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Expr {
    /// Puts a fixed value into a register (`immediate`).
    Immediate {
        /// Where to.
        destination: Register,
        /// The value.
        data: Data,
    },
    /// Gives a fixed verdict (`immediate` into the verdict register).
    Verdict(Verdict),
    /// Goes on if a register compares so to a value (`cmp`).
    Cmp {
        /// The register; as many bytes of it as `data` has.
        source: Register,
        /// How.
        op: CmpOp,
        /// The value that it is held against.
        data: Data,
    },
    /// Goes on if a register is within, or not within, two values, both included (`range`).
    Range {
        /// The register.
        source: Register,
        /// Goes on if it is not within.
        inverted: bool,
        /// The least.
        from: Data,
        /// The greatest.
        to: Data,
    },
    /// Calculates with bits (`bitwise`).
    Bitwise {
        /// The register read.
        source: Register,
        /// The register written.
        destination: Register,
        /// How many bytes.
        len: u32,
        /// What is calculated.
        op: BitwiseOp,
    },
    /// Turns numbers from the machine's order to network order or back (`byteorder`).
    Byteorder {
        /// The register read.
        source: Register,
        /// The register written.
        destination: Register,
        /// From the machine's order to network order, else from network order to the machine's.
        to_network: bool,
        /// Bytes of all numbers together.
        len: u32,
        /// Bytes of each number: 2, 4 or 8.
        size: u32,
    },
    /// Loads bytes of the packet (`payload`).
    Payload {
        /// Where to.
        destination: Register,
        /// From which header on.
        base: PayloadBase,
        /// How many bytes after its start.
        offset: u32,
        /// How many bytes.
        len: u32,
    },
    /// Writes bytes of the packet (`payload`).
    PayloadSet {
        /// From where.
        source: Register,
        /// From which header on.
        base: PayloadBase,
        /// How many bytes after its start.
        offset: u32,
        /// How many bytes.
        len: u32,
        /// How a checksum is kept right (`enum nft_payload_csum_types`): 0 not at all, 1 as the Internet's, 2 as SCTP's.
        checksum_kind: u32,
        /// Where in the same header the checksum is.
        checksum_offset: u32,
        /// 1 if the transport header's checksum covers it too (`NFT_PAYLOAD_L4CSUM_PSEUDOHDR`).
        checksum_flags: u32,
    },
    /// Loads an extension header, option or chunk, or whether there is one (`exthdr`).
    Exthdr {
        /// Where to.
        destination: Register,
        /// What kind of thing.
        kind: ExthdrKind,
        /// Its number among those of its kind.
        number: u8,
        /// Bytes after its start.
        offset: u32,
        /// How many bytes.
        len: u32,
        /// Only whether there is one: a byte that is 1 or 0 (`NFT_EXTHDR_F_PRESENT`).
        present: bool,
    },
    /// Writes into an option (`exthdr` with a source register).
    ExthdrSet {
        /// From where.
        source: Register,
        /// What kind of thing.
        kind: ExthdrKind,
        /// Its number among those of its kind.
        number: u8,
        /// Bytes after its start.
        offset: u32,
        /// How many bytes.
        len: u32,
    },
    /// Takes a TCP option out, by padding it (`exthdr` without a register, Linux 5.17).
    ExthdrReset {
        /// What kind of thing.
        kind: ExthdrKind,
        /// Its number among those of its kind.
        number: u8,
    },
    /// Loads what is known of the packet (`meta`).
    Meta {
        /// Where to.
        destination: Register,
        /// What.
        key: MetaKey,
    },
    /// Sets what is known of the packet (`meta`).
    MetaSet {
        /// From where.
        source: Register,
        /// What.
        key: MetaKey,
    },
    /// Loads what is known of the packet's connection (`ct`).
    Ct {
        /// Where to.
        destination: Register,
        /// What.
        key: CtKey,
        /// Of which direction, for those that have one.
        direction: Option<CtDirection>,
    },
    /// Sets something of the packet's connection (`ct`).
    CtSet {
        /// From where.
        source: Register,
        /// What.
        key: CtKey,
        /// In which direction (of zones).
        direction: Option<CtDirection>,
    },
    /// Loads what is known of the packet's route (`rt`).
    Rt {
        /// Where to.
        destination: Register,
        /// What.
        key: RtKey,
    },
    /// Loads what is known of the socket that the packet is for (`socket`).
    Socket {
        /// Where to.
        destination: Register,
        /// What.
        key: SocketKey,
        /// Level in the tree of control groups, for [`SocketKey::CgroupV2`].
        level: Option<u32>,
    },
    /// Looks into the routing tables (`fib`).
    Fib {
        /// Where to.
        destination: Register,
        /// What of the result.
        result: FibResult,
        /// What of the packet is looked for, and how.
        flags: FibFlags,
    },
    /// Loads a number that is counted up or random (`numgen`).
    Numgen {
        /// Where to.
        destination: Register,
        /// Random rather than counted up.
        random: bool,
        /// Numbers are below this.
        modulus: u32,
        /// This is added.
        offset: u32,
    },
    /// Loads a hash of a register or of the packet's flow (`hash`).
    Hash {
        /// Where to.
        destination: Register,
        /// What is hashed.
        kind: HashKind,
        /// Hashes are below this.
        modulus: u32,
        /// This is added.
        offset: u32,
    },
    /// Guesses the sender's operating system (`osf`).
    Osf {
        /// Where to (16 bytes).
        destination: Register,
        /// How the TTL is looked at: 0 strictly or less, 1 anywhere, 2 not at all.
        ttl: u8,
        /// 1: the version too (`NFT_OSF_F_VERSION`).
        flags: u32,
    },
    /// Loads something of an `IPsec` state that the packet went by (`xfrm`).
    Xfrm {
        /// Where to.
        destination: Register,
        /// What.
        key: XfrmKey,
        /// 0 of what came in, 1 of what goes out (`XFRM_POLICY_IN`, `XFRM_POLICY_OUT`).
        direction: u8,
        /// Which state, of several.
        index: u32,
    },
    /// Loads metadata of the tunnel that the packet came by (`tunnel`).
    Tunnel {
        /// Where to.
        destination: Register,
        /// 0 whether there is any, 1 its number (`enum nft_tunnel_keys`).
        key: u32,
        /// 0 both, 1 receiving, 2 sending (`enum nft_tunnel_mode`).
        mode: u32,
    },
    /// Goes on if a set holds a register's value, and loads what a map has for it (`lookup`).
    Lookup {
        /// The set's name.
        set: String,
        /// The register looked for.
        source: Register,
        /// Where what a map gives goes.
        into: LookupInto,
        /// Goes on if the set does not hold it.
        inverted: bool,
    },
    /// Adds to a set, or takes out of it, from a packet (`dynset`).
    Dynset(Dynset),
    /// Refers to a stateful object (`objref`).
    Objref(Objref),
    /// Counts (`counter`).
    Counter {
        /// Packets so far.
        packets: u64,
        /// Bytes so far.
        bytes: u64,
    },
    /// Goes on as long as a rate is not exceeded (`limit`).
    Limit(Limit),
    /// Goes on until so many bytes have passed (`quota`).
    Quota(Quota),
    /// Goes on while there are no more connections than so many (`connlimit`).
    Connlimit {
        /// How many.
        count: u32,
        /// Goes on if there are more.
        inverted: bool,
    },
    /// Remembers when it was reached (`last`).
    Last {
        /// Milliseconds since; none if it never was.
        ago: Option<u64>,
    },
    /// Writes to the log (`log`).
    Log(Log),
    /// Drops the packet and tells its sender (`reject`).
    Reject(Reject),
    /// Changes source or destination addresses and ports of the connection (`nat`).
    Nat(Nat),
    /// Makes the address of the outgoing interface the source (`masq`).
    Masquerade {
        /// How.
        flags: NatFlags,
        /// From which ports to choose.
        ports: Option<RegisterRange>,
    },
    /// Makes this namespace itself the destination (`redir`).
    Redirect {
        /// How.
        flags: NatFlags,
        /// From which ports to choose.
        ports: Option<RegisterRange>,
    },
    /// Gives the packet to a local socket without changing it (`tproxy`).
    Tproxy {
        /// Of which family; [`Family::Inet`] stands for both.
        family: Family,
        /// Address of the socket.
        address: Option<Register>,
        /// Port of the socket.
        port: Option<Register>,
    },
    /// Answers SYNs in the destination's place (`synproxy`).
    Synproxy(Synproxy),
    /// Lets conntrack pass the packet over (`notrack`).
    Notrack,
    /// Gives the packet to a program (`queue`).
    Queue {
        /// The first queue.
        number: QueueNumber,
        /// `NFT_QUEUE_FLAG_*`: 1 passes where no program listens, 2 spreads by CPU.
        flags: u16,
    },
    /// Sends a copy elsewhere (`dup`).
    Dup {
        /// To this address.
        address: Option<Register>,
        /// By the interface of this number.
        device: Option<Register>,
    },
    /// Sends the packet out by another device (`fwd`).
    Fwd {
        /// The interface's number.
        device: Register,
        /// The next hop, and its family's number (`NFPROTO_*`).
        next_hop: Option<(Register, u32)>,
    },
    /// Lets a flowtable take the connection over (`flow_offload`).
    FlowOffload {
        /// The flowtable's name.
        flowtable: String,
    },
    /// A match or target of iptables (`match`, `target`).
    Xt {
        /// A target rather than a match.
        target: bool,
        /// Its name, as `conntrack`.
        name: String,
        /// Its revision.
        revision: u32,
        /// Its own structure, as the kernel has it.
        info: Data,
    },
    /// Something that this crate does not know (wholly).
    Unknown {
        /// Its name in the kernel.
        name: String,
        /// What `NFTA_EXPR_DATA` holds; none where there is no such attribute.
        data: Option<Data>,
    },
}

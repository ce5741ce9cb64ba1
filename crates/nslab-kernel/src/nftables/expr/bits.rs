//! Bits that expressions set or match.

use crate::nftables::flags::flags;

flags! {
    /// What a line of the kernel's log shows (`NF_LOG_*`, `include/uapi/linux/netfilter/nf_log.h`).
    LogFlags {
        /// TCP sequence numbers.
        TCP_SEQUENCE = 0x01,
        /// TCP options.
        TCP_OPTIONS = 0x02,
        /// IP options.
        IP_OPTIONS = 0x04,
        /// The sending socket's user.
        USER = 0x08,
        /// The hardware addresses.
        MAC = 0x20,
        /// All of these (`NF_LOG_MASK`).
        ALL = 0x2f,
    }
}

flags! {
    /// How an address or port is chosen (`NF_NAT_RANGE_*`, `include/uapi/linux/netfilter/nf_nat.h`).
    NatFlags {
        /// The kernel sets it where an address is given.
        MAP_IPS = 0x01,
        /// The kernel sets it where a port is given.
        PROTO_SPECIFIED = 0x02,
        /// Ports by chance (`random`).
        PROTO_RANDOM = 0x04,
        /// A client gets the same address every time (`persistent`).
        PERSISTENT = 0x08,
        /// Ports wholly by chance (`fully-random`).
        PROTO_RANDOM_FULLY = 0x10,
        /// Ports keep their distance from a base.
        PROTO_OFFSET = 0x20,
        /// Prefixes are mapped one to one (`prefix`).
        NETMAP = 0x40,
    }
}

flags! {
    /// What of the packet the routing tables are asked for (`enum nft_fib_flags`).
    FibFlags {
        /// Its source address.
        SOURCE = 0x01,
        /// Its destination address.
        DESTINATION = 0x02,
        /// Its mark counts.
        MARK = 0x04,
        /// The route must lead out by the interface that it came in by.
        IIF = 0x08,
        /// The route must lead out by the interface that it leaves by.
        OIF = 0x10,
        /// Only whether there is a route: 1 or 0.
        PRESENT = 0x20,
    }
}

flags! {
    /// What a packet is to its connection (`NF_CT_STATE_*BIT`, `include/uapi/linux/netfilter/nf_conntrack_common.h`). A packet has
    /// exactly one of these.
    CtState {
        /// No connection can be made of it.
        INVALID = 0x01,
        /// Packets went both ways.
        ESTABLISHED = 0x02,
        /// It starts a connection that belongs to another, or is an ICMP error about one.
        RELATED = 0x04,
        /// It starts a connection.
        NEW = 0x08,
        /// It is not tracked.
        UNTRACKED = 0x40,
    }
}

flags! {
    /// What became of a connection (`IPS_*`, `include/uapi/linux/netfilter/nf_conntrack_common.h`).
    CtStatus {
        /// It was expected.
        EXPECTED = 0x01,
        /// Packets went both ways.
        SEEN_REPLY = 0x02,
        /// It is not forgotten early.
        ASSURED = 0x04,
        /// Its first packet left.
        CONFIRMED = 0x08,
        /// Its source is changed.
        SNAT = 0x10,
        /// Its destination is changed.
        DNAT = 0x20,
        /// It is being forgotten.
        DYING = 0x200,
    }
}

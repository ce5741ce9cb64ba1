//! Numbers of the kernel's rtnetlink interface, by the header that defines them.

// include/uapi/linux/netlink.h
pub(crate) const NLM_F_REPLACE: u16 = 0x100;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
pub(crate) const NLM_F_APPEND: u16 = 0x800;

// include/linux/socket.h
pub(crate) const AF_UNSPEC: u8 = 0;
pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_BRIDGE: u8 = 7;
pub(crate) const AF_INET6: u8 = 10;

// include/uapi/linux/rtnetlink.h: message types
pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_DELLINK: u16 = 17;
pub(crate) const RTM_GETLINK: u16 = 18;
pub(crate) const RTM_SETLINK: u16 = 19;
pub(crate) const RTM_NEWADDR: u16 = 20;
pub(crate) const RTM_DELADDR: u16 = 21;
pub(crate) const RTM_GETADDR: u16 = 22;
pub(crate) const RTM_NEWROUTE: u16 = 24;
pub(crate) const RTM_DELROUTE: u16 = 25;
pub(crate) const RTM_GETROUTE: u16 = 26;
pub(crate) const RTM_NEWNEIGH: u16 = 28;
pub(crate) const RTM_DELNEIGH: u16 = 29;
pub(crate) const RTM_GETNEIGH: u16 = 30;
pub(crate) const RTM_NEWRULE: u16 = 32;
pub(crate) const RTM_DELRULE: u16 = 33;
pub(crate) const RTM_GETRULE: u16 = 34;
pub(crate) const RTM_NEWQDISC: u16 = 36;
pub(crate) const RTM_DELQDISC: u16 = 37;
pub(crate) const RTM_GETQDISC: u16 = 38;
pub(crate) const RTM_NEWTCLASS: u16 = 40;
pub(crate) const RTM_DELTCLASS: u16 = 41;
pub(crate) const RTM_GETTCLASS: u16 = 42;
pub(crate) const RTM_NEWTFILTER: u16 = 44;
pub(crate) const RTM_DELTFILTER: u16 = 45;
pub(crate) const RTM_GETTFILTER: u16 = 46;
pub(crate) const RTM_GETNETCONF: u16 = 82;
pub(crate) const RTM_NEWNSID: u16 = 88;
pub(crate) const RTM_GETNSID: u16 = 90;
pub(crate) const RTM_NEWNEXTHOP: u16 = 104;
pub(crate) const RTM_GETNEXTHOP: u16 = 106;
pub(crate) const RTM_NEWLINKPROP: u16 = 108;
pub(crate) const RTM_DELLINKPROP: u16 = 109;

// include/uapi/linux/rtnetlink.h: what a link dump leaves out or puts in
pub(crate) const RTEXT_FILTER_BRVLAN_COMPRESSED: u32 = 4;
pub(crate) const RTEXT_FILTER_SKIP_STATS: u32 = 8;

// include/uapi/linux/if.h, include/uapi/linux/if_arp.h
pub(crate) const IFF_UP: u32 = 0x1;
pub(crate) const IFF_LOWER_UP: u32 = 0x1_0000;
pub(crate) const ARPHRD_LOOPBACK: u16 = 772;

// include/uapi/linux/if_link.h: every link
pub(crate) const IFLA_ADDRESS: u16 = 1;
pub(crate) const IFLA_IFNAME: u16 = 3;
pub(crate) const IFLA_MTU: u16 = 4;
pub(crate) const IFLA_LINK: u16 = 5;
pub(crate) const IFLA_QDISC: u16 = 6;
pub(crate) const IFLA_XDP: u16 = 43;
pub(crate) const IFLA_XDP_ATTACHED: u16 = 2;
pub(crate) const IFLA_XDP_PROG_ID: u16 = 4;
pub(crate) const IFLA_XDP_DRV_PROG_ID: u16 = 5;
pub(crate) const IFLA_XDP_SKB_PROG_ID: u16 = 6;
pub(crate) const IFLA_XDP_HW_PROG_ID: u16 = 7;
pub(crate) const IFLA_INET_CONF: u16 = 1;
pub(crate) const IFLA_INET6_CONF: u16 = 2;
pub(crate) const IFLA_MASTER: u16 = 10;
pub(crate) const IFLA_LINKINFO: u16 = 18;
pub(crate) const IFLA_IFALIAS: u16 = 20;
pub(crate) const IFLA_AF_SPEC: u16 = 26;
pub(crate) const IFLA_GROUP: u16 = 27;
pub(crate) const IFLA_NET_NS_FD: u16 = 28;
pub(crate) const IFLA_EXT_MASK: u16 = 29;
pub(crate) const IFLA_NUM_TX_QUEUES: u16 = 31;
pub(crate) const IFLA_NUM_RX_QUEUES: u16 = 32;
pub(crate) const IFLA_LINK_NETNSID: u16 = 37;
pub(crate) const IFLA_PROP_LIST: u16 = 52;
pub(crate) const IFLA_ALT_IFNAME: u16 = 53;
pub(crate) const IFLA_INFO_KIND: u16 = 1;
pub(crate) const IFLA_INFO_DATA: u16 = 2;
pub(crate) const IFLA_INFO_SLAVE_KIND: u16 = 4;
pub(crate) const IFLA_INFO_SLAVE_DATA: u16 = 5;
pub(crate) const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;

// include/uapi/linux/if_link.h, include/uapi/linux/veth.h: kinds
pub(crate) const VETH_INFO_PEER: u16 = 1;
pub(crate) const IFLA_BR_FORWARD_DELAY: u16 = 1;
pub(crate) const IFLA_BR_AGEING_TIME: u16 = 4;
pub(crate) const IFLA_BR_STP_STATE: u16 = 5;
pub(crate) const IFLA_BR_VLAN_FILTERING: u16 = 7;
pub(crate) const IFLA_BR_GROUP_FWD_MASK: u16 = 9;
pub(crate) const IFLA_BR_MCAST_SNOOPING: u16 = 23;
pub(crate) const IFLA_BR_VLAN_DEFAULT_PVID: u16 = 39;
pub(crate) const IFLA_VXLAN_ID: u16 = 1;
pub(crate) const IFLA_VXLAN_GROUP: u16 = 2;
pub(crate) const IFLA_VXLAN_LINK: u16 = 3;
pub(crate) const IFLA_VXLAN_LOCAL: u16 = 4;
pub(crate) const IFLA_VXLAN_TTL: u16 = 5;
pub(crate) const IFLA_VXLAN_LEARNING: u16 = 7;
pub(crate) const IFLA_VXLAN_PORT: u16 = 15;
pub(crate) const IFLA_VXLAN_GROUP6: u16 = 16;
pub(crate) const IFLA_VXLAN_LOCAL6: u16 = 17;
pub(crate) const IFLA_MACVLAN_MODE: u16 = 1;
pub(crate) const IFLA_IPVLAN_MODE: u16 = 1;
pub(crate) const IFLA_IPVLAN_FLAGS: u16 = 2;
pub(crate) const IPVLAN_F_PRIVATE: u16 = 0x1;
pub(crate) const IPVLAN_F_VEPA: u16 = 0x2;
pub(crate) const IFLA_VLAN_ID: u16 = 1;
pub(crate) const IFLA_VLAN_PROTOCOL: u16 = 5;
pub(crate) const IFLA_VRF_TABLE: u16 = 1;
pub(crate) const IFLA_GENEVE_ID: u16 = 1;
pub(crate) const IFLA_GENEVE_REMOTE: u16 = 2;
pub(crate) const IFLA_GENEVE_TTL: u16 = 3;
pub(crate) const IFLA_GENEVE_PORT: u16 = 5;
pub(crate) const IFLA_GENEVE_REMOTE6: u16 = 7;
pub(crate) const IFLA_BOND_MODE: u16 = 1;
pub(crate) const IFLA_BOND_MIIMON: u16 = 3;
pub(crate) const IFLA_BOND_PRIMARY: u16 = 11;
pub(crate) const IFLA_BOND_SLAVE_STATE: u16 = 1;
pub(crate) const IFLA_BOND_SLAVE_MII_STATUS: u16 = 2;
pub(crate) const IFLA_BOND_SLAVE_AD_ACTOR_OPER_PORT_STATE: u16 = 7;
pub(crate) const IFLA_TUN_OWNER: u16 = 1;
pub(crate) const IFLA_TUN_TYPE: u16 = 3;
pub(crate) const IFLA_TUN_PERSIST: u16 = 6;

// include/uapi/linux/if_bonding.h
pub(crate) const BOND_STATE_ACTIVE: u8 = 0;
pub(crate) const BOND_LINK_UP: u8 = 0;

// include/uapi/linux/if_tunnel.h
pub(crate) const IFLA_IPTUN_LINK: u16 = 1;
pub(crate) const IFLA_IPTUN_LOCAL: u16 = 2;
pub(crate) const IFLA_IPTUN_REMOTE: u16 = 3;
pub(crate) const IFLA_IPTUN_TTL: u16 = 4;
pub(crate) const IFLA_IPTUN_FLAGS: u16 = 8;
pub(crate) const IFLA_IPTUN_PROTO: u16 = 9;
pub(crate) const IFLA_GRE_LINK: u16 = 1;
pub(crate) const IFLA_GRE_IFLAGS: u16 = 2;
pub(crate) const IFLA_GRE_OFLAGS: u16 = 3;
pub(crate) const IFLA_GRE_IKEY: u16 = 4;
pub(crate) const IFLA_GRE_OKEY: u16 = 5;
pub(crate) const IFLA_GRE_LOCAL: u16 = 6;
pub(crate) const IFLA_GRE_REMOTE: u16 = 7;
pub(crate) const IFLA_GRE_TTL: u16 = 8;
pub(crate) const IFLA_GRE_FLAGS: u16 = 13;

// include/uapi/linux/if_link.h: bridge ports
pub(crate) const IFLA_BRPORT_STATE: u16 = 1;
pub(crate) const IFLA_BRPORT_MODE: u16 = 4;
pub(crate) const IFLA_BRPORT_LEARNING: u16 = 8;
pub(crate) const IFLA_BRPORT_UNICAST_FLOOD: u16 = 9;
pub(crate) const IFLA_BRPORT_MCAST_FLOOD: u16 = 27;
pub(crate) const IFLA_BRPORT_BCAST_FLOOD: u16 = 30;
pub(crate) const IFLA_BRPORT_ISOLATED: u16 = 33;

// include/uapi/linux/if_bridge.h
pub(crate) const IFLA_BRIDGE_FLAGS: u16 = 0;
pub(crate) const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
pub(crate) const BRIDGE_FLAGS_SELF: u16 = 2;
pub(crate) const BRIDGE_VLAN_INFO_PVID: u16 = 0x2;
pub(crate) const BRIDGE_VLAN_INFO_UNTAGGED: u16 = 0x4;
pub(crate) const BRIDGE_VLAN_INFO_RANGE_BEGIN: u16 = 0x8;
pub(crate) const BRIDGE_VLAN_INFO_RANGE_END: u16 = 0x10;

// include/uapi/linux/if_addr.h
pub(crate) const IFA_ADDRESS: u16 = 1;
pub(crate) const IFA_LOCAL: u16 = 2;
pub(crate) const IFA_FLAGS: u16 = 8;
pub(crate) const IFA_PROTO: u16 = 11;
pub(crate) const IFA_F_SECONDARY: u32 = 0x1;
pub(crate) const IFA_F_NODAD: u32 = 0x2;
pub(crate) const IFA_F_OPTIMISTIC: u32 = 0x4;
pub(crate) const IFA_F_HOMEADDRESS: u32 = 0x10;
pub(crate) const IFA_F_DEPRECATED: u32 = 0x20;
pub(crate) const IFA_F_DADFAILED: u32 = 0x8;
pub(crate) const IFA_F_TENTATIVE: u32 = 0x40;
pub(crate) const IFA_F_PERMANENT: u32 = 0x80;

// include/uapi/linux/rtnetlink.h: routes
pub(crate) const RTA_DST: u16 = 1;
pub(crate) const RTA_OIF: u16 = 4;
pub(crate) const RTA_GATEWAY: u16 = 5;
pub(crate) const RTA_PRIORITY: u16 = 6;
pub(crate) const RTA_PREFSRC: u16 = 7;
pub(crate) const RTA_METRICS: u16 = 8;
pub(crate) const RTA_MULTIPATH: u16 = 9;
pub(crate) const RTA_TABLE: u16 = 15;
pub(crate) const RTA_VIA: u16 = 18;
pub(crate) const RTA_NH_ID: u16 = 30;
pub(crate) const RTA_SRC: u16 = 2;
pub(crate) const RTA_IIF: u16 = 3;
pub(crate) const RTA_FLOW: u16 = 11;
pub(crate) const RTA_CACHEINFO: u16 = 12;
pub(crate) const RTA_MARK: u16 = 16;
pub(crate) const RTA_PREF: u16 = 20;
pub(crate) const RTA_EXPIRES: u16 = 23;
pub(crate) const RTA_PAD: u16 = 24;
pub(crate) const RTA_UID: u16 = 25;
pub(crate) const RTA_IP_PROTO: u16 = 27;
pub(crate) const RTA_SPORT: u16 = 28;
pub(crate) const RTA_DPORT: u16 = 29;
pub(crate) const RTAX_MTU: u16 = 2;
pub(crate) const RTN_UNICAST: u8 = 1;
pub(crate) const RTN_LOCAL: u8 = 2;
pub(crate) const RTN_BROADCAST: u8 = 3;
pub(crate) const RTN_ANYCAST: u8 = 4;
pub(crate) const RTN_MULTICAST: u8 = 5;
pub(crate) const RTN_BLACKHOLE: u8 = 6;
pub(crate) const RTN_UNREACHABLE: u8 = 7;
pub(crate) const RTN_PROHIBIT: u8 = 8;
pub(crate) const RTN_THROW: u8 = 9;
pub(crate) const RTM_F_CLONED: u32 = 0x200;
pub(crate) const RTM_F_LOOKUP_TABLE: u32 = 0x1000;
pub(crate) const RTM_F_FIB_MATCH: u32 = 0x2000;
pub(crate) const RTNH_F_ONLINK: u8 = 4;
pub(crate) const RT_SCOPE_UNIVERSE: u8 = 0;
pub(crate) const RT_SCOPE_LINK: u8 = 253;
pub(crate) const RT_SCOPE_HOST: u8 = 254;
pub(crate) const RT_SCOPE_NOWHERE: u8 = 255;

// include/uapi/linux/nexthop.h
pub(crate) const NHA_ID: u16 = 1;
pub(crate) const NHA_GROUP: u16 = 2;
pub(crate) const NHA_BLACKHOLE: u16 = 4;
pub(crate) const NHA_OIF: u16 = 5;
pub(crate) const NHA_GATEWAY: u16 = 6;

// include/uapi/linux/fib_rules.h
pub(crate) const FRA_DST: u16 = 1;
pub(crate) const FRA_SRC: u16 = 2;
pub(crate) const FRA_IIFNAME: u16 = 3;
pub(crate) const FRA_GOTO: u16 = 4;
pub(crate) const FRA_PRIORITY: u16 = 6;
pub(crate) const FRA_FWMARK: u16 = 10;
pub(crate) const FRA_SUPPRESS_IFGROUP: u16 = 13;
pub(crate) const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
pub(crate) const FRA_TABLE: u16 = 15;
pub(crate) const FRA_FWMASK: u16 = 16;
pub(crate) const FRA_OIFNAME: u16 = 17;
pub(crate) const FRA_L3MDEV: u16 = 19;
pub(crate) const FRA_UID_RANGE: u16 = 20;
pub(crate) const FRA_PROTOCOL: u16 = 21;
pub(crate) const FRA_IP_PROTO: u16 = 22;
pub(crate) const FRA_SPORT_RANGE: u16 = 23;
pub(crate) const FRA_DPORT_RANGE: u16 = 24;
pub(crate) const FRA_FLOW: u16 = 11;
pub(crate) const FRA_PAD: u16 = 18;
pub(crate) const FRA_DSCP: u16 = 25;
pub(crate) const FRA_SPORT_MASK: u16 = 28;
pub(crate) const FRA_DPORT_MASK: u16 = 29;
pub(crate) const FRA_DSCP_MASK: u16 = 30;
pub(crate) const FIB_RULE_FIND_SADDR: u32 = 0x0001_0000;
pub(crate) const FIB_RULE_INVERT: u32 = 0x2;
pub(crate) const FR_ACT_TO_TBL: u8 = 1;
pub(crate) const FR_ACT_GOTO: u8 = 2;
pub(crate) const FR_ACT_NOP: u8 = 3;
pub(crate) const FR_ACT_BLACKHOLE: u8 = 6;
pub(crate) const FR_ACT_UNREACHABLE: u8 = 7;
pub(crate) const FR_ACT_PROHIBIT: u8 = 8;

// include/uapi/linux/neighbour.h
pub(crate) const NDA_DST: u16 = 1;
pub(crate) const NDA_LLADDR: u16 = 2;
pub(crate) const NDA_VLAN: u16 = 5;
pub(crate) const NDA_MASTER: u16 = 9;
pub(crate) const NTF_SELF: u8 = 0x2;
pub(crate) const NTF_MASTER: u8 = 0x4;
pub(crate) const NTF_PROXY: u8 = 0x8;
pub(crate) const NTF_EXT_LEARNED: u8 = 0x10;
pub(crate) const NTF_STICKY: u8 = 0x40;
pub(crate) const NUD_REACHABLE: u16 = 0x02;
pub(crate) const NUD_NOARP: u16 = 0x40;
pub(crate) const NUD_PERMANENT: u16 = 0x80;

// include/uapi/linux/rtnetlink.h, include/uapi/linux/gen_stats.h: traffic control
pub(crate) const TCA_KIND: u16 = 1;
pub(crate) const TCA_OPTIONS: u16 = 2;
pub(crate) const TCA_STATS2: u16 = 7;
pub(crate) const TCA_STATS_BASIC: u16 = 1;
pub(crate) const TCA_STATS_QUEUE: u16 = 3;
pub(crate) const TCA_STATS_PKT64: u16 = 8;

// include/uapi/linux/pkt_sched.h
pub(crate) const TCA_TBF_PARMS: u16 = 1;
pub(crate) const TCA_TBF_RATE64: u16 = 4;
pub(crate) const TCA_HTB_PARMS: u16 = 1;
pub(crate) const TCA_HTB_INIT: u16 = 2;
pub(crate) const TCA_HTB_DIRECT_QLEN: u16 = 5;
pub(crate) const TCA_HTB_RATE64: u16 = 6;
pub(crate) const TCA_HTB_CEIL64: u16 = 7;
pub(crate) const TCA_FQ_CODEL_TARGET: u16 = 1;
pub(crate) const TCA_FQ_CODEL_LIMIT: u16 = 2;
pub(crate) const TCA_FQ_CODEL_INTERVAL: u16 = 3;
pub(crate) const TCA_FQ_CODEL_ECN: u16 = 4;
pub(crate) const TCA_FQ_CODEL_FLOWS: u16 = 5;
pub(crate) const TCA_FQ_CODEL_QUANTUM: u16 = 6;
pub(crate) const TCA_NETEM_CORR: u16 = 1;
pub(crate) const TCA_NETEM_DELAY_DIST: u16 = 2;
pub(crate) const TCA_NETEM_REORDER: u16 = 3;
pub(crate) const TCA_NETEM_CORRUPT: u16 = 4;
pub(crate) const TCA_NETEM_LOSS: u16 = 5;
pub(crate) const TCA_NETEM_RATE: u16 = 6;
pub(crate) const TCA_NETEM_ECN: u16 = 7;
pub(crate) const TCA_NETEM_RATE64: u16 = 8;
pub(crate) const TCA_NETEM_LATENCY64: u16 = 10;
pub(crate) const TCA_NETEM_JITTER64: u16 = 11;
pub(crate) const TCA_NETEM_SLOT: u16 = 12;
pub(crate) const TCA_NETEM_PRNG_SEED: u16 = 14;

// include/uapi/linux/pkt_cls.h
pub(crate) const TCA_BPF_CLASSID: u16 = 3;
pub(crate) const TCA_BPF_OPS_LEN: u16 = 4;
pub(crate) const TCA_BPF_OPS: u16 = 5;

// include/uapi/linux/netconf.h
pub(crate) const NETCONFA_IFINDEX: u16 = 1;
pub(crate) const NETCONFA_FORWARDING: u16 = 2;
pub(crate) const NETCONFA_IFINDEX_ALL: i32 = -1;

// include/uapi/linux/net_namespace.h
pub(crate) const NETNSA_NSID: u16 = 1;
pub(crate) const NETNSA_FD: u16 = 3;

// include/uapi/linux/if_tun.h
pub(crate) const TUNSETIFF: libc::Ioctl = 0x4004_54ca;
pub(crate) const TUNSETPERSIST: libc::Ioctl = 0x4004_54cb;
pub(crate) const TUNSETOWNER: libc::Ioctl = 0x4004_54cc;
pub(crate) const IFF_TUN: u16 = 0x0001;
pub(crate) const IFF_TAP: u16 = 0x0002;
pub(crate) const IFF_NO_PI: u16 = 0x1000;
pub(crate) const IFF_TUN_EXCL: u16 = 0x8000;

// include/uapi/linux/sock_diag.h, inet_diag.h
pub(crate) const SOCK_DIAG_BY_FAMILY: u16 = 20;
pub(crate) const INET_DIAG_PROTOCOL: u16 = 10;
pub(crate) const INET_DIAG_SKV6ONLY: u16 = 11;

// include/uapi/linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h
pub(crate) const CTNETLINK: u16 = 1;
pub(crate) const IPCTNL_MSG_CT_NEW: u16 = 0;
pub(crate) const IPCTNL_MSG_CT_GET: u16 = 1;
pub(crate) const CTA_TUPLE_ORIG: u16 = 1;
pub(crate) const CTA_TUPLE_REPLY: u16 = 2;
pub(crate) const CTA_STATUS: u16 = 3;
pub(crate) const CTA_PROTOINFO: u16 = 4;
pub(crate) const CTA_TIMEOUT: u16 = 7;
pub(crate) const CTA_MARK: u16 = 8;
pub(crate) const CTA_ZONE: u16 = 18;
pub(crate) const CTA_TUPLE_IP: u16 = 1;
pub(crate) const CTA_TUPLE_PROTO: u16 = 2;
pub(crate) const CTA_IP_V4_SRC: u16 = 1;
pub(crate) const CTA_IP_V4_DST: u16 = 2;
pub(crate) const CTA_IP_V6_SRC: u16 = 3;
pub(crate) const CTA_IP_V6_DST: u16 = 4;
pub(crate) const CTA_PROTO_NUM: u16 = 1;
pub(crate) const CTA_PROTO_SRC_PORT: u16 = 2;
pub(crate) const CTA_PROTO_DST_PORT: u16 = 3;
pub(crate) const CTA_PROTO_ICMP_ID: u16 = 4;
pub(crate) const CTA_PROTO_ICMP_TYPE: u16 = 5;
pub(crate) const CTA_PROTO_ICMP_CODE: u16 = 6;
pub(crate) const CTA_PROTO_ICMPV6_ID: u16 = 7;
pub(crate) const CTA_PROTO_ICMPV6_TYPE: u16 = 8;
pub(crate) const CTA_PROTO_ICMPV6_CODE: u16 = 9;
pub(crate) const CTA_PROTOINFO_TCP: u16 = 1;
pub(crate) const CTA_PROTOINFO_TCP_STATE: u16 = 1;

/// `struct ifinfomsg`: a link's header.
pub(crate) fn ifinfomsg(family: u8, index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[0] = family;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&change.to_ne_bytes());
    header
}

/// The address family of an address.
pub(crate) fn family_of(address: std::net::IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

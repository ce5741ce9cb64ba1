//! nft's words for numbers (nftables, `src/datatype.c`, `src/proto.c`, `src/meta.c`, `src/ct.c`).

type Table = &'static [(u64, &'static str)];

/// Types of sets and maps.
pub(super) const DATATYPES: Table = &[
    (1, "verdict"),
    (2, "nf_proto"),
    (7, "ipv4_addr"),
    (8, "ipv6_addr"),
    (9, "ether_addr"),
    (10, "ether_type"),
    (11, "arp_op"),
    (12, "inet_proto"),
    (13, "inet_service"),
    (14, "icmp_type"),
    (15, "tcp_flag"),
    (16, "dccp_pkttype"),
    (17, "mh_type"),
    (18, "time"),
    (19, "mark"),
    (20, "iface_index"),
    (21, "iface_type"),
    (22, "realm"),
    (23, "classid"),
    (24, "uid"),
    (25, "gid"),
    (26, "ct_state"),
    (27, "ct_dir"),
    (28, "ct_status"),
    (29, "icmpv6_type"),
    (30, "ct_label"),
    (31, "pkt_type"),
    (32, "icmp_code"),
    (33, "icmpv6_code"),
    (34, "icmpx_code"),
    (35, "devgroup"),
    (36, "dscp"),
    (37, "ecn"),
    (38, "fib_addrtype"),
    (39, "boolean"),
    (40, "ct_event"),
    (41, "ifname"),
    (42, "igmp_type"),
    (43, "time"),
    (44, "hour"),
    (45, "day"),
    (46, "cgroupsv2"),
];

pub(super) const NFPROTO: Table = &[(2, "ipv4"), (10, "ipv6")];
pub(super) const ETHERTYPE: Table =
    &[(0x0800, "ip"), (0x0806, "arp"), (0x86dd, "ip6"), (0x8100, "8021q"), (0x88a8, "8021ad")];
pub(super) const ARP_OPERATION: Table = &[
    (1, "request"),
    (2, "reply"),
    (3, "rrequest"),
    (4, "rreply"),
    (8, "inrequest"),
    (9, "inreply"),
    (10, "nak"),
];
pub(super) const PROTOCOL: Table = &[
    (1, "icmp"),
    (2, "igmp"),
    (6, "tcp"),
    (17, "udp"),
    (33, "dccp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "ipv6-icmp"),
    (108, "comp"),
    (132, "sctp"),
    (136, "udplite"),
];
pub(super) const ICMP_TYPE: Table = &[
    (0, "echo-reply"),
    (3, "destination-unreachable"),
    (4, "source-quench"),
    (5, "redirect"),
    (8, "echo-request"),
    (9, "router-advertisement"),
    (10, "router-solicitation"),
    (11, "time-exceeded"),
    (12, "parameter-problem"),
    (13, "timestamp-request"),
    (14, "timestamp-reply"),
    (15, "info-request"),
    (16, "info-reply"),
    (17, "address-mask-request"),
    (18, "address-mask-reply"),
];
pub(super) const ICMP_CODE: Table = &[
    (0, "net-unreachable"),
    (1, "host-unreachable"),
    (2, "prot-unreachable"),
    (3, "port-unreachable"),
    (4, "frag-needed"),
    (9, "net-prohibited"),
    (10, "host-prohibited"),
    (13, "admin-prohibited"),
];
pub(super) const ICMPV6_TYPE: Table = &[
    (1, "destination-unreachable"),
    (2, "packet-too-big"),
    (3, "time-exceeded"),
    (4, "parameter-problem"),
    (128, "echo-request"),
    (129, "echo-reply"),
    (130, "mld-listener-query"),
    (131, "mld-listener-report"),
    (132, "mld-listener-done"),
    (133, "nd-router-solicit"),
    (134, "nd-router-advert"),
    (135, "nd-neighbor-solicit"),
    (136, "nd-neighbor-advert"),
    (137, "nd-redirect"),
    (138, "router-renumbering"),
    (141, "ind-neighbor-solicit"),
    (142, "ind-neighbor-advert"),
    (143, "mld2-listener-report"),
];
pub(super) const ICMPV6_CODE: Table = &[
    (0, "no-route"),
    (1, "admin-prohibited"),
    (3, "addr-unreachable"),
    (4, "port-unreachable"),
    (5, "policy-fail"),
    (6, "reject-route"),
];
pub(super) const ICMPX_CODE: Table =
    &[(0, "no-route"), (1, "port-unreachable"), (2, "host-unreachable"), (3, "admin-prohibited")];
pub(super) const IGMP_TYPE: Table = &[
    (0x11, "membership-query"),
    (0x12, "membership-report-v1"),
    (0x16, "membership-report-v2"),
    (0x17, "leave-group"),
    (0x22, "membership-report-v3"),
];
pub(super) const DCCP_TYPE: Table = &[
    (0, "request"),
    (1, "response"),
    (2, "data"),
    (3, "ack"),
    (4, "dataack"),
    (5, "closereq"),
    (6, "close"),
    (7, "reset"),
    (8, "sync"),
    (9, "syncack"),
];
pub(super) const MH_TYPE: Table = &[
    (0, "binding-refresh-request"),
    (1, "home-test-init"),
    (2, "careof-test-init"),
    (3, "home-test"),
    (4, "careof-test"),
    (5, "binding-update"),
    (6, "binding-acknowledgement"),
    (7, "binding-error"),
];
pub(super) const TCP_FLAGS: Table = &[
    (0x01, "fin"),
    (0x02, "syn"),
    (0x04, "rst"),
    (0x08, "psh"),
    (0x10, "ack"),
    (0x20, "urg"),
    (0x40, "ecn"),
    (0x80, "cwr"),
];
pub(super) const CT_STATE: Table =
    &[(0x01, "invalid"), (0x02, "established"), (0x04, "related"), (0x08, "new"), (0x40, "untracked")];
pub(super) const CT_STATUS: Table = &[
    (0x01, "expected"),
    (0x02, "seen-reply"),
    (0x04, "assured"),
    (0x08, "confirmed"),
    (0x10, "snat"),
    (0x20, "dnat"),
    (0x200, "dying"),
];
pub(super) const CT_EVENTS: Table = &[
    (0x01, "new"),
    (0x02, "related"),
    (0x04, "destroy"),
    (0x08, "reply"),
    (0x10, "assured"),
    (0x20, "protoinfo"),
    (0x40, "helper"),
    (0x80, "mark"),
    (0x100, "seqadj"),
    (0x200, "secmark"),
    (0x400, "label"),
];
pub(super) const CT_DIRECTION: Table = &[(0, "original"), (1, "reply")];
pub(super) const PACKET_TYPE: Table = &[(0, "host"), (1, "broadcast"), (2, "multicast"), (3, "other")];
pub(super) const HARDWARE: Table = &[
    (1, "ether"),
    (512, "ppp"),
    (768, "ipip"),
    (769, "ipip6"),
    (772, "loopback"),
    (776, "sit"),
    (778, "ipgre"),
];
pub(super) const ADDRESS_TYPE: Table = &[
    (0, "unspec"),
    (1, "unicast"),
    (2, "local"),
    (3, "broadcast"),
    (4, "anycast"),
    (5, "multicast"),
    (6, "blackhole"),
    (7, "unreachable"),
    (8, "prohibit"),
];
pub(super) const DSCP: Table = &[
    (0x00, "cs0"),
    (0x08, "cs1"),
    (0x10, "cs2"),
    (0x18, "cs3"),
    (0x20, "cs4"),
    (0x28, "cs5"),
    (0x30, "cs6"),
    (0x38, "cs7"),
    (0x0a, "af11"),
    (0x0c, "af12"),
    (0x0e, "af13"),
    (0x12, "af21"),
    (0x14, "af22"),
    (0x16, "af23"),
    (0x1a, "af31"),
    (0x1c, "af32"),
    (0x1e, "af33"),
    (0x22, "af41"),
    (0x24, "af42"),
    (0x26, "af43"),
    (0x2e, "ef"),
];
pub(super) const ECN: Table = &[(0, "not-ect"), (1, "ect1"), (2, "ect0"), (3, "ce")];
pub(super) const DAY: Table = &[
    (0, "Sunday"),
    (1, "Monday"),
    (2, "Tuesday"),
    (3, "Wednesday"),
    (4, "Thursday"),
    (5, "Friday"),
    (6, "Saturday"),
];
/// IPv6 extension headers.
pub(super) const EXTENSION: Table =
    &[(0, "hbh"), (43, "rt"), (44, "frag"), (51, "auth"), (60, "dst"), (135, "mh")];
pub(super) const TCP_OPTION: Table =
    &[(0, "eol"), (1, "nop"), (2, "maxseg"), (3, "window"), (4, "sack-perm"), (5, "sack"), (8, "timestamp")];
pub(super) const IP_OPTION: Table = &[(7, "rr"), (131, "lsrr"), (137, "ssrr"), (148, "ra")];
pub(super) const SCTP_CHUNK: Table = &[
    (0, "data"),
    (1, "init"),
    (2, "init-ack"),
    (3, "sack"),
    (4, "heartbeat"),
    (5, "heartbeat-ack"),
    (6, "abort"),
    (7, "shutdown"),
    (8, "shutdown-ack"),
    (9, "error"),
    (10, "cookie-echo"),
    (11, "cookie-ack"),
];
/// `CTA_TIMEOUT_TCP_*` (`include/uapi/linux/netfilter/nfnetlink_cttimeout.h`).
pub(super) const TCP_TIMEOUT: Table = &[
    (1, "syn_sent"),
    (2, "syn_recv"),
    (3, "established"),
    (4, "fin_wait"),
    (5, "close_wait"),
    (6, "last_ack"),
    (7, "time_wait"),
    (8, "close"),
    (9, "syn_sent2"),
    (10, "retrans"),
    (11, "unack"),
];
/// `CTA_TIMEOUT_UDP_*`.
pub(super) const UDP_TIMEOUT: Table = &[(1, "unreplied"), (2, "replied")];

//! Numbers of the kernel's nftables interface.
//!
//! `include/uapi/linux/netfilter/nf_tables.h`, unless another header is named. Attributes are grouped by the `enum` that
//! defines them.

// include/uapi/linux/netfilter/nfnetlink.h
/// The part of nfnetlink that is nftables; the upper byte of its message types (`NFNL_SUBSYS_NFTABLES`).
pub(crate) const NFNL_SUBSYS_NFTABLES: u16 = 10;
pub(crate) const NFNL_MSG_BATCH_BEGIN: u16 = 16;
pub(crate) const NFNL_MSG_BATCH_END: u16 = 17;
pub(crate) const NFNL_BATCH_GENID: u16 = 1;

// enum nf_tables_msg_types
pub(crate) const NFT_MSG_NEWTABLE: u16 = 0;
pub(crate) const NFT_MSG_GETTABLE: u16 = 1;
pub(crate) const NFT_MSG_DELTABLE: u16 = 2;
pub(crate) const NFT_MSG_NEWCHAIN: u16 = 3;
pub(crate) const NFT_MSG_GETCHAIN: u16 = 4;
pub(crate) const NFT_MSG_DELCHAIN: u16 = 5;
pub(crate) const NFT_MSG_NEWRULE: u16 = 6;
pub(crate) const NFT_MSG_GETRULE: u16 = 7;
pub(crate) const NFT_MSG_DELRULE: u16 = 8;
pub(crate) const NFT_MSG_NEWSET: u16 = 9;
pub(crate) const NFT_MSG_GETSET: u16 = 10;
pub(crate) const NFT_MSG_DELSET: u16 = 11;
pub(crate) const NFT_MSG_NEWSETELEM: u16 = 12;
pub(crate) const NFT_MSG_GETSETELEM: u16 = 13;
pub(crate) const NFT_MSG_DELSETELEM: u16 = 14;
pub(crate) const NFT_MSG_GETGEN: u16 = 16;
pub(crate) const NFT_MSG_TRACE: u16 = 17;
pub(crate) const NFT_MSG_NEWOBJ: u16 = 18;
pub(crate) const NFT_MSG_GETOBJ: u16 = 19;
pub(crate) const NFT_MSG_DELOBJ: u16 = 20;
pub(crate) const NFT_MSG_NEWFLOWTABLE: u16 = 22;
pub(crate) const NFT_MSG_GETFLOWTABLE: u16 = 23;
pub(crate) const NFT_MSG_DELFLOWTABLE: u16 = 24;

// enum nft_list_attributes
pub(crate) const NFTA_LIST_ELEM: u16 = 1;

// enum nft_hook_attributes
pub(crate) const NFTA_HOOK_HOOKNUM: u16 = 1;
pub(crate) const NFTA_HOOK_PRIORITY: u16 = 2;
pub(crate) const NFTA_HOOK_DEV: u16 = 3;
pub(crate) const NFTA_HOOK_DEVS: u16 = 4;

// enum nft_table_attributes
pub(crate) const NFTA_TABLE_NAME: u16 = 1;
pub(crate) const NFTA_TABLE_FLAGS: u16 = 2;
pub(crate) const NFTA_TABLE_USE: u16 = 3;
pub(crate) const NFTA_TABLE_HANDLE: u16 = 4;
pub(crate) const NFTA_TABLE_USERDATA: u16 = 6;
pub(crate) const NFTA_TABLE_OWNER: u16 = 7;

// enum nft_chain_attributes
pub(crate) const NFTA_CHAIN_TABLE: u16 = 1;
pub(crate) const NFTA_CHAIN_HANDLE: u16 = 2;
pub(crate) const NFTA_CHAIN_NAME: u16 = 3;
pub(crate) const NFTA_CHAIN_HOOK: u16 = 4;
pub(crate) const NFTA_CHAIN_POLICY: u16 = 5;
pub(crate) const NFTA_CHAIN_USE: u16 = 6;
pub(crate) const NFTA_CHAIN_TYPE: u16 = 7;
pub(crate) const NFTA_CHAIN_COUNTERS: u16 = 8;
pub(crate) const NFTA_CHAIN_FLAGS: u16 = 10;
pub(crate) const NFTA_CHAIN_ID: u16 = 11;
pub(crate) const NFTA_CHAIN_USERDATA: u16 = 12;

// enum nft_rule_attributes
pub(crate) const NFTA_RULE_TABLE: u16 = 1;
pub(crate) const NFTA_RULE_CHAIN: u16 = 2;
pub(crate) const NFTA_RULE_HANDLE: u16 = 3;
pub(crate) const NFTA_RULE_EXPRESSIONS: u16 = 4;
pub(crate) const NFTA_RULE_POSITION: u16 = 6;
pub(crate) const NFTA_RULE_USERDATA: u16 = 7;
pub(crate) const NFTA_RULE_CHAIN_ID: u16 = 11;

// enum nft_set_desc_attributes
pub(crate) const NFTA_SET_DESC_SIZE: u16 = 1;
pub(crate) const NFTA_SET_DESC_CONCAT: u16 = 2;

// enum nft_set_field_attributes
pub(crate) const NFTA_SET_FIELD_LEN: u16 = 1;

// enum nft_set_attributes
pub(crate) const NFTA_SET_TABLE: u16 = 1;
pub(crate) const NFTA_SET_NAME: u16 = 2;
pub(crate) const NFTA_SET_FLAGS: u16 = 3;
pub(crate) const NFTA_SET_KEY_TYPE: u16 = 4;
pub(crate) const NFTA_SET_KEY_LEN: u16 = 5;
pub(crate) const NFTA_SET_DATA_TYPE: u16 = 6;
pub(crate) const NFTA_SET_DATA_LEN: u16 = 7;
pub(crate) const NFTA_SET_POLICY: u16 = 8;
pub(crate) const NFTA_SET_DESC: u16 = 9;
pub(crate) const NFTA_SET_ID: u16 = 10;
pub(crate) const NFTA_SET_TIMEOUT: u16 = 11;
pub(crate) const NFTA_SET_GC_INTERVAL: u16 = 12;
pub(crate) const NFTA_SET_USERDATA: u16 = 13;
pub(crate) const NFTA_SET_OBJ_TYPE: u16 = 15;
pub(crate) const NFTA_SET_HANDLE: u16 = 16;
pub(crate) const NFTA_SET_EXPR: u16 = 17;
pub(crate) const NFTA_SET_EXPRESSIONS: u16 = 18;

// enum nft_set_elem_attributes
pub(crate) const NFTA_SET_ELEM_KEY: u16 = 1;
pub(crate) const NFTA_SET_ELEM_DATA: u16 = 2;
pub(crate) const NFTA_SET_ELEM_FLAGS: u16 = 3;
pub(crate) const NFTA_SET_ELEM_TIMEOUT: u16 = 4;
pub(crate) const NFTA_SET_ELEM_EXPIRATION: u16 = 5;
pub(crate) const NFTA_SET_ELEM_USERDATA: u16 = 6;
pub(crate) const NFTA_SET_ELEM_EXPR: u16 = 7;
pub(crate) const NFTA_SET_ELEM_OBJREF: u16 = 9;
pub(crate) const NFTA_SET_ELEM_KEY_END: u16 = 10;
pub(crate) const NFTA_SET_ELEM_EXPRESSIONS: u16 = 11;

// enum nft_set_elem_list_attributes
pub(crate) const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
pub(crate) const NFTA_SET_ELEM_LIST_SET: u16 = 2;
pub(crate) const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
pub(crate) const NFTA_SET_ELEM_LIST_SET_ID: u16 = 4;

// enum nft_data_attributes
pub(crate) const NFTA_DATA_VALUE: u16 = 1;
pub(crate) const NFTA_DATA_VERDICT: u16 = 2;

// enum nft_verdict_attributes
pub(crate) const NFTA_VERDICT_CODE: u16 = 1;
pub(crate) const NFTA_VERDICT_CHAIN: u16 = 2;
pub(crate) const NFTA_VERDICT_CHAIN_ID: u16 = 3;

// enum nft_expr_attributes
pub(crate) const NFTA_EXPR_NAME: u16 = 1;
pub(crate) const NFTA_EXPR_DATA: u16 = 2;

// enum nft_immediate_attributes
pub(crate) const NFTA_IMMEDIATE_DREG: u16 = 1;
pub(crate) const NFTA_IMMEDIATE_DATA: u16 = 2;

// enum nft_bitwise_attributes
pub(crate) const NFTA_BITWISE_SREG: u16 = 1;
pub(crate) const NFTA_BITWISE_DREG: u16 = 2;
pub(crate) const NFTA_BITWISE_LEN: u16 = 3;
pub(crate) const NFTA_BITWISE_MASK: u16 = 4;
pub(crate) const NFTA_BITWISE_XOR: u16 = 5;
pub(crate) const NFTA_BITWISE_OP: u16 = 6;
pub(crate) const NFTA_BITWISE_DATA: u16 = 7;

// enum nft_byteorder_attributes
pub(crate) const NFTA_BYTEORDER_SREG: u16 = 1;
pub(crate) const NFTA_BYTEORDER_DREG: u16 = 2;
pub(crate) const NFTA_BYTEORDER_OP: u16 = 3;
pub(crate) const NFTA_BYTEORDER_LEN: u16 = 4;
pub(crate) const NFTA_BYTEORDER_SIZE: u16 = 5;

// enum nft_cmp_attributes
pub(crate) const NFTA_CMP_SREG: u16 = 1;
pub(crate) const NFTA_CMP_OP: u16 = 2;
pub(crate) const NFTA_CMP_DATA: u16 = 3;

// enum nft_range_attributes
pub(crate) const NFTA_RANGE_SREG: u16 = 1;
pub(crate) const NFTA_RANGE_OP: u16 = 2;
pub(crate) const NFTA_RANGE_FROM_DATA: u16 = 3;
pub(crate) const NFTA_RANGE_TO_DATA: u16 = 4;

// enum nft_lookup_attributes
pub(crate) const NFTA_LOOKUP_SET: u16 = 1;
pub(crate) const NFTA_LOOKUP_SREG: u16 = 2;
pub(crate) const NFTA_LOOKUP_DREG: u16 = 3;
pub(crate) const NFTA_LOOKUP_SET_ID: u16 = 4;
pub(crate) const NFTA_LOOKUP_FLAGS: u16 = 5;

// enum nft_dynset_attributes
pub(crate) const NFTA_DYNSET_SET_NAME: u16 = 1;
pub(crate) const NFTA_DYNSET_SET_ID: u16 = 2;
pub(crate) const NFTA_DYNSET_OP: u16 = 3;
pub(crate) const NFTA_DYNSET_SREG_KEY: u16 = 4;
pub(crate) const NFTA_DYNSET_SREG_DATA: u16 = 5;
pub(crate) const NFTA_DYNSET_TIMEOUT: u16 = 6;
pub(crate) const NFTA_DYNSET_EXPR: u16 = 7;
pub(crate) const NFTA_DYNSET_FLAGS: u16 = 9;
pub(crate) const NFTA_DYNSET_EXPRESSIONS: u16 = 10;

// enum nft_payload_attributes
pub(crate) const NFTA_PAYLOAD_DREG: u16 = 1;
pub(crate) const NFTA_PAYLOAD_BASE: u16 = 2;
pub(crate) const NFTA_PAYLOAD_OFFSET: u16 = 3;
pub(crate) const NFTA_PAYLOAD_LEN: u16 = 4;
pub(crate) const NFTA_PAYLOAD_SREG: u16 = 5;
pub(crate) const NFTA_PAYLOAD_CSUM_TYPE: u16 = 6;
pub(crate) const NFTA_PAYLOAD_CSUM_OFFSET: u16 = 7;
pub(crate) const NFTA_PAYLOAD_CSUM_FLAGS: u16 = 8;

// enum nft_exthdr_attributes
pub(crate) const NFTA_EXTHDR_DREG: u16 = 1;
pub(crate) const NFTA_EXTHDR_TYPE: u16 = 2;
pub(crate) const NFTA_EXTHDR_OFFSET: u16 = 3;
pub(crate) const NFTA_EXTHDR_LEN: u16 = 4;
pub(crate) const NFTA_EXTHDR_FLAGS: u16 = 5;
pub(crate) const NFTA_EXTHDR_OP: u16 = 6;
pub(crate) const NFTA_EXTHDR_SREG: u16 = 7;

// enum nft_hash_attributes
pub(crate) const NFTA_HASH_SREG: u16 = 1;
pub(crate) const NFTA_HASH_DREG: u16 = 2;
pub(crate) const NFTA_HASH_LEN: u16 = 3;
pub(crate) const NFTA_HASH_MODULUS: u16 = 4;
pub(crate) const NFTA_HASH_SEED: u16 = 5;
pub(crate) const NFTA_HASH_OFFSET: u16 = 6;
pub(crate) const NFTA_HASH_TYPE: u16 = 7;

// enum nft_meta_attributes
pub(crate) const NFTA_META_DREG: u16 = 1;
pub(crate) const NFTA_META_KEY: u16 = 2;
pub(crate) const NFTA_META_SREG: u16 = 3;

// enum nft_rt_attributes
pub(crate) const NFTA_RT_DREG: u16 = 1;
pub(crate) const NFTA_RT_KEY: u16 = 2;

// enum nft_socket_attributes
pub(crate) const NFTA_SOCKET_KEY: u16 = 1;
pub(crate) const NFTA_SOCKET_DREG: u16 = 2;
pub(crate) const NFTA_SOCKET_LEVEL: u16 = 3;

// enum nft_ct_attributes
pub(crate) const NFTA_CT_DREG: u16 = 1;
pub(crate) const NFTA_CT_KEY: u16 = 2;
pub(crate) const NFTA_CT_DIRECTION: u16 = 3;
pub(crate) const NFTA_CT_SREG: u16 = 4;

// enum nft_offload_attributes
pub(crate) const NFTA_FLOW_TABLE_NAME: u16 = 1;

// enum nft_limit_attributes
pub(crate) const NFTA_LIMIT_RATE: u16 = 1;
pub(crate) const NFTA_LIMIT_UNIT: u16 = 2;
pub(crate) const NFTA_LIMIT_BURST: u16 = 3;
pub(crate) const NFTA_LIMIT_TYPE: u16 = 4;
pub(crate) const NFTA_LIMIT_FLAGS: u16 = 5;

// enum nft_connlimit_attributes
pub(crate) const NFTA_CONNLIMIT_COUNT: u16 = 1;
pub(crate) const NFTA_CONNLIMIT_FLAGS: u16 = 2;

// enum nft_counter_attributes
pub(crate) const NFTA_COUNTER_BYTES: u16 = 1;
pub(crate) const NFTA_COUNTER_PACKETS: u16 = 2;

// enum nft_last_attributes
pub(crate) const NFTA_LAST_SET: u16 = 1;
pub(crate) const NFTA_LAST_MSECS: u16 = 2;

// enum nft_log_attributes
pub(crate) const NFTA_LOG_GROUP: u16 = 1;
pub(crate) const NFTA_LOG_PREFIX: u16 = 2;
pub(crate) const NFTA_LOG_SNAPLEN: u16 = 3;
pub(crate) const NFTA_LOG_QTHRESHOLD: u16 = 4;
pub(crate) const NFTA_LOG_LEVEL: u16 = 5;
pub(crate) const NFTA_LOG_FLAGS: u16 = 6;

// enum nft_queue_attributes
pub(crate) const NFTA_QUEUE_NUM: u16 = 1;
pub(crate) const NFTA_QUEUE_TOTAL: u16 = 2;
pub(crate) const NFTA_QUEUE_FLAGS: u16 = 3;
pub(crate) const NFTA_QUEUE_SREG_QNUM: u16 = 4;

// enum nft_quota_attributes
pub(crate) const NFTA_QUOTA_BYTES: u16 = 1;
pub(crate) const NFTA_QUOTA_FLAGS: u16 = 2;
pub(crate) const NFTA_QUOTA_CONSUMED: u16 = 4;

// enum nft_secmark_attributes
pub(crate) const NFTA_SECMARK_CTX: u16 = 1;

// enum nft_reject_attributes
pub(crate) const NFTA_REJECT_TYPE: u16 = 1;
pub(crate) const NFTA_REJECT_ICMP_CODE: u16 = 2;

// enum nft_nat_attributes
pub(crate) const NFTA_NAT_TYPE: u16 = 1;
pub(crate) const NFTA_NAT_FAMILY: u16 = 2;
pub(crate) const NFTA_NAT_REG_ADDR_MIN: u16 = 3;
pub(crate) const NFTA_NAT_REG_ADDR_MAX: u16 = 4;
pub(crate) const NFTA_NAT_REG_PROTO_MIN: u16 = 5;
pub(crate) const NFTA_NAT_REG_PROTO_MAX: u16 = 6;
pub(crate) const NFTA_NAT_FLAGS: u16 = 7;

// enum nft_tproxy_attributes
pub(crate) const NFTA_TPROXY_FAMILY: u16 = 1;
pub(crate) const NFTA_TPROXY_REG_ADDR: u16 = 2;
pub(crate) const NFTA_TPROXY_REG_PORT: u16 = 3;

// enum nft_masq_attributes
pub(crate) const NFTA_MASQ_FLAGS: u16 = 1;
pub(crate) const NFTA_MASQ_REG_PROTO_MIN: u16 = 2;
pub(crate) const NFTA_MASQ_REG_PROTO_MAX: u16 = 3;

// enum nft_redir_attributes
pub(crate) const NFTA_REDIR_REG_PROTO_MIN: u16 = 1;
pub(crate) const NFTA_REDIR_REG_PROTO_MAX: u16 = 2;
pub(crate) const NFTA_REDIR_FLAGS: u16 = 3;

// enum nft_dup_attributes
pub(crate) const NFTA_DUP_SREG_ADDR: u16 = 1;
pub(crate) const NFTA_DUP_SREG_DEV: u16 = 2;

// enum nft_fwd_attributes
pub(crate) const NFTA_FWD_SREG_DEV: u16 = 1;
pub(crate) const NFTA_FWD_SREG_ADDR: u16 = 2;
pub(crate) const NFTA_FWD_NFPROTO: u16 = 3;

// enum nft_objref_attributes
pub(crate) const NFTA_OBJREF_IMM_TYPE: u16 = 1;
pub(crate) const NFTA_OBJREF_IMM_NAME: u16 = 2;
pub(crate) const NFTA_OBJREF_SET_SREG: u16 = 3;
pub(crate) const NFTA_OBJREF_SET_NAME: u16 = 4;
pub(crate) const NFTA_OBJREF_SET_ID: u16 = 5;

// enum nft_gen_attributes
pub(crate) const NFTA_GEN_ID: u16 = 1;

// enum nft_fib_attributes
pub(crate) const NFTA_FIB_DREG: u16 = 1;
pub(crate) const NFTA_FIB_RESULT: u16 = 2;
pub(crate) const NFTA_FIB_FLAGS: u16 = 3;

// enum nft_ct_helper_attributes
pub(crate) const NFTA_CT_HELPER_NAME: u16 = 1;
pub(crate) const NFTA_CT_HELPER_L3PROTO: u16 = 2;
pub(crate) const NFTA_CT_HELPER_L4PROTO: u16 = 3;

// enum nft_ct_timeout_timeout_attributes
pub(crate) const NFTA_CT_TIMEOUT_L3PROTO: u16 = 1;
pub(crate) const NFTA_CT_TIMEOUT_L4PROTO: u16 = 2;
pub(crate) const NFTA_CT_TIMEOUT_DATA: u16 = 3;

// enum nft_ct_expectation_attributes
pub(crate) const NFTA_CT_EXPECT_L3PROTO: u16 = 1;
pub(crate) const NFTA_CT_EXPECT_L4PROTO: u16 = 2;
pub(crate) const NFTA_CT_EXPECT_DPORT: u16 = 3;
pub(crate) const NFTA_CT_EXPECT_TIMEOUT: u16 = 4;
pub(crate) const NFTA_CT_EXPECT_SIZE: u16 = 5;

// enum nft_object_attributes
pub(crate) const NFTA_OBJ_TABLE: u16 = 1;
pub(crate) const NFTA_OBJ_NAME: u16 = 2;
pub(crate) const NFTA_OBJ_TYPE: u16 = 3;
pub(crate) const NFTA_OBJ_DATA: u16 = 4;
pub(crate) const NFTA_OBJ_USE: u16 = 5;
pub(crate) const NFTA_OBJ_HANDLE: u16 = 6;
pub(crate) const NFTA_OBJ_USERDATA: u16 = 8;

// enum nft_flowtable_attributes
pub(crate) const NFTA_FLOWTABLE_TABLE: u16 = 1;
pub(crate) const NFTA_FLOWTABLE_NAME: u16 = 2;
pub(crate) const NFTA_FLOWTABLE_HOOK: u16 = 3;
pub(crate) const NFTA_FLOWTABLE_USE: u16 = 4;
pub(crate) const NFTA_FLOWTABLE_HANDLE: u16 = 5;
pub(crate) const NFTA_FLOWTABLE_FLAGS: u16 = 7;

// enum nft_flowtable_hook_attributes
pub(crate) const NFTA_FLOWTABLE_HOOK_NUM: u16 = 1;
pub(crate) const NFTA_FLOWTABLE_HOOK_PRIORITY: u16 = 2;
pub(crate) const NFTA_FLOWTABLE_HOOK_DEVS: u16 = 3;

// enum nft_osf_attributes
pub(crate) const NFTA_OSF_DREG: u16 = 1;
pub(crate) const NFTA_OSF_TTL: u16 = 2;
pub(crate) const NFTA_OSF_FLAGS: u16 = 3;

// enum nft_synproxy_attributes
pub(crate) const NFTA_SYNPROXY_MSS: u16 = 1;
pub(crate) const NFTA_SYNPROXY_WSCALE: u16 = 2;
pub(crate) const NFTA_SYNPROXY_FLAGS: u16 = 3;

// enum nft_devices_attributes
pub(crate) const NFTA_DEVICE_NAME: u16 = 1;

// enum nft_xfrm_attributes
pub(crate) const NFTA_XFRM_DREG: u16 = 1;
pub(crate) const NFTA_XFRM_KEY: u16 = 2;
pub(crate) const NFTA_XFRM_DIR: u16 = 3;
pub(crate) const NFTA_XFRM_SPNUM: u16 = 4;

// enum nft_ng_attributes
pub(crate) const NFTA_NG_DREG: u16 = 1;
pub(crate) const NFTA_NG_MODULUS: u16 = 2;
pub(crate) const NFTA_NG_TYPE: u16 = 3;
pub(crate) const NFTA_NG_OFFSET: u16 = 4;

// enum nft_tunnel_attributes
pub(crate) const NFTA_TUNNEL_KEY: u16 = 1;
pub(crate) const NFTA_TUNNEL_DREG: u16 = 2;
pub(crate) const NFTA_TUNNEL_MODE: u16 = 3;

// Newer than the header that most distributions ship: Linux 6.16 (sets), 6.13 (bitwise), 6.18 (devices)
pub(crate) const NFTA_SET_TYPE: u16 = 19;
pub(crate) const NFTA_SET_COUNT: u16 = 20;
pub(crate) const NFTA_BITWISE_SREG2: u16 = 8;
pub(crate) const NFTA_DEVICE_PREFIX: u16 = 2;

// include/uapi/linux/netfilter/nf_tables_compat.h
pub(crate) const NFTA_COMPAT_NAME: u16 = 1;
pub(crate) const NFTA_COMPAT_REV: u16 = 2;
pub(crate) const NFTA_COMPAT_INFO: u16 = 3;

// enum nft_trace_attributes
pub(crate) const NFTA_TRACE_TABLE: u16 = 1;
pub(crate) const NFTA_TRACE_CHAIN: u16 = 2;
pub(crate) const NFTA_TRACE_RULE_HANDLE: u16 = 3;
pub(crate) const NFTA_TRACE_TYPE: u16 = 4;
pub(crate) const NFTA_TRACE_VERDICT: u16 = 5;
pub(crate) const NFTA_TRACE_ID: u16 = 6;
pub(crate) const NFTA_TRACE_LL_HEADER: u16 = 7;
pub(crate) const NFTA_TRACE_NETWORK_HEADER: u16 = 8;
pub(crate) const NFTA_TRACE_TRANSPORT_HEADER: u16 = 9;
pub(crate) const NFTA_TRACE_IIF: u16 = 10;
pub(crate) const NFTA_TRACE_OIF: u16 = 12;
pub(crate) const NFTA_TRACE_MARK: u16 = 14;
pub(crate) const NFTA_TRACE_NFPROTO: u16 = 15;
pub(crate) const NFTA_TRACE_POLICY: u16 = 16;
pub(crate) const NFTA_TRACE_CT_ID: u16 = 18;
pub(crate) const NFTA_TRACE_CT_DIRECTION: u16 = 19;
pub(crate) const NFTA_TRACE_CT_STATE: u16 = 21;

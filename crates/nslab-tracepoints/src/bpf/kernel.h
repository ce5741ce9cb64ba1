/* The parts of the kernel's types that the programs look at. Where each member really is, is found when the programs are
 * loaded, by the running kernel's own type information (BTF, Documentation/bpf/btf.rst): neither the order of members nor what
 * is left out here matters, only their names and types.
 */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
/* Definitions of maps (struct bpf_map_def of libbpf's, in types). */
#define MAP_UINT(name, value) int (*name)[value]
#define MAP_TYPE(name, type) type *name

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* include/linux/ns_common.h */
struct ns_common {
	unsigned int inum;
};

/* include/net/net_namespace.h */
struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

/* include/linux/netdevice.h */
struct net_device {
	char name[16];
	int ifindex;
	unsigned short type;
	possible_net_t nd_net;
};

/* include/net/sock.h */
struct sock_common {
	possible_net_t skc_net;
};

struct sock {
	struct sock_common __sk_common;
};

/* include/linux/skbuff.h */
struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned int len;
	__u8 pkt_type : 3;
	__u8 ip_summed : 2;
	/* Until Linux 6.1. */
	__u8 vlan_present : 1;
	int skb_iif;
	__u16 vlan_proto;
	__u16 vlan_tci;
	__u32 mark;
	__u16 protocol;
	__u16 transport_header;
	__u16 network_header;
	__u16 mac_header;
	unsigned int tail;
	unsigned char *head;
	unsigned char *data;
};

#pragma clang attribute pop

/* What can be asked of a member (enum bpf_field_info_kind, libbpf's bpf_core_read.h). */
#define FIELD_BYTE_OFFSET 0
#define FIELD_BYTE_SIZE 1
#define FIELD_EXISTS 2
#define FIELD_LSHIFT_U64 4
#define FIELD_RSHIFT_U64 5

#define field_exists(member) __builtin_preserve_field_info(member, FIELD_EXISTS)

/* Reads an unsigned bit field of what `source` points to. */
#define bit_field(source, member)                                                                                      \
	({                                                                                                             \
		const void *at_ = (const void *)(source) +                                                             \
				  __builtin_preserve_field_info((source)->member, FIELD_BYTE_OFFSET);                  \
		__u64 value_ = 0;                                                                                      \
		/* Else the compiler would take the shifts and the offset together before they are known. */           \
		asm volatile("" : "+r"(at_));                                                                          \
		switch (__builtin_preserve_field_info((source)->member, FIELD_BYTE_SIZE)) {                            \
		case 1:                                                                                                \
			value_ = *(const __u8 *)at_;                                                                   \
			break;                                                                                         \
		case 2:                                                                                                \
			value_ = *(const __u16 *)at_;                                                                  \
			break;                                                                                         \
		case 4:                                                                                                \
			value_ = *(const __u32 *)at_;                                                                  \
			break;                                                                                         \
		case 8:                                                                                                \
			value_ = *(const __u64 *)at_;                                                                  \
			break;                                                                                         \
		}                                                                                                      \
		value_ <<= __builtin_preserve_field_info((source)->member, FIELD_LSHIFT_U64);                          \
		value_ >>= __builtin_preserve_field_info((source)->member, FIELD_RSHIFT_U64);                          \
		value_;                                                                                                \
	})

/* Helpers of the kernel by their numbers, which are fixed (include/uapi/linux/bpf.h). */
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static __u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static long (*bpf_probe_read_kernel)(void *to, __u32 size, const void *from) = (void *)113;
static void *(*bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *record, __u64 flags) = (void *)132;
static long (*bpf_snprintf)(char *to, __u32 size, const char *format, __u64 *data, __u32 length) = (void *)165;

/* include/uapi/linux/bpf.h */
#define BPF_MAP_TYPE_HASH 1
#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_MAP_TYPE_RINGBUF 27

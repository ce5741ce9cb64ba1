/* What becomes of packets, told by the kernel's tracepoints. Rebuilt by `cargo xtask bpf`.
 *
 * The programs only look. Each first asks whose namespace it is, so that packets of others cost as little as may be, then, if one
 * is given, compares the flow and the tuples, and only then writes an event into the ring.
 */
#include "kernel.h"

/* So much of a packet is kept. */
#define BYTES 128
/* A header that was not set (skbuff.h). */
#define UNSET 0xffff
/* The longest header of a link that is told from a stale one. */
#define LONGEST_LINK_HEADER 64
/* Namespaces' numbers begin here (PROC_DYNAMIC_FIRST, linux/proc_fs.h; a few below are fixed, uapi/linux/nsfs.h). What is below
 * is not read from a namespace: skb->dev shares its place with other things while a packet waits in a socket. */
#define FIRST_NAMESPACE 0xefffff00u
/* CHECKSUM_PARTIAL (skbuff.h). */
#define PARTIAL 3

enum kind { DROPPED, RECEIVED, SENT, CONSUMED };

#define HAS_LINK_HEADER 1
#define HAS_NETWORK_HEADER 2
#define CHECKSUM_PENDING 4
#define HAS_REASON 8
#define HAS_TAG 16

/* Read in event.rs. */
struct event {
	__u64 time;
	__u64 location;
	__u64 skb;
	__u64 head;
	__u32 kind;
	__u32 namespace;
	__u32 link;
	__u32 came_by;
	__u32 reason;
	__u32 length;
	__u32 mark;
	__u16 hardware;
	__u16 protocol;
	__u16 captured;
	__u16 network;
	__u16 tag_protocol;
	__u16 tag;
	__u8 packet_type;
	__u8 flags;
	__u8 padding[6];
	char name[16];
	__u8 bytes[BYTES];
};

/* Written before the programs are loaded, by filter.rs. Numbers are those of the machine, addresses and ports of the network. */
struct config {
	/* Namespaces are looked up in `namespaces`. */
	__u32 by_namespace;
	/* 0 for any flow, else 4 or 6. */
	__u32 version;
	/* 0 for any. */
	__u32 protocol;
	/* Which of the ends below are given: bits 0 and 1 for addresses, 2 and 3 for ports. */
	__u32 given;
	__u32 addresses[2][4];
	__u32 ports[2];
	/* Packets may be chosen by `choice`. Where they are not, verifiers do not look at all that. */
	__u32 by_choice;
};
const volatile struct config config SEC(".rodata") = {};

struct {
	MAP_UINT(type, BPF_MAP_TYPE_HASH);
	MAP_UINT(max_entries, 1024);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, __u32);
} namespaces SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_RINGBUF);
	MAP_UINT(max_entries, 1 << 22);
} events SEC(".maps");

/* So many tuples are compared. */
#define TUPLES 16
/* Version and protocol; source and destination. */
#define WORDS 9

/* Packets of IP of which these bits are so. Written by tuple.rs: addresses are the network's, ports the machine's. */
struct tuple {
	__u32 value[WORDS];
	__u32 mask[WORDS];
	/* The first port of the source and of the destination that is meant, and how many more. */
	__u32 first[2];
	__u32 more[2];
};

/* Packets of IP that are of none of these are not told of. It is written while programs run. */
struct choice {
	/* 0 for all packets, else one more than there are tuples. */
	__u32 count;
	struct tuple tuples[TUPLES];
};

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct choice);
} choice SEC(".maps");

/* How many events did not fit into the ring. */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, __u64);
} lost SEC(".maps");

static __always_inline int is_end(int end, int ipv6, const __u32 *address)
{
	if (!(config.given & (1u << end)))
		return 1;
	if (address[0] != config.addresses[end][0])
		return 0;
	return !ipv6 || (address[1] == config.addresses[end][1] && address[2] == config.addresses[end][2] &&
			 address[3] == config.addresses[end][3]);
}

static __always_inline int is_port(int end, __u32 port)
{
	return !(config.given & (4u << end)) || port == config.ports[end];
}

/* Whether it is of the flow, either way. */
static __always_inline int is_wanted(struct sk_buff *skb)
{
	/* Behind a packet's last byte there is `struct skb_shared_info`, so that more than there is may be read. */
	__u32 words[10];
	__u16 ports[2] = {};
	const unsigned char *at = skb->head + skb->network_header;
	const __u8 *bytes = (const __u8 *)words;
	const __u32 *source, *destination;
	__u32 protocol, length;
	int ipv6;

	if (!config.version)
		return 1;
	if (bpf_probe_read_kernel(words, sizeof(words), at))
		return 0;
	if (bytes[0] >> 4 != config.version)
		return 0;
	ipv6 = config.version == 6;
	/* RFC 791 and RFC 8200, section 3 of either. */
	protocol = ipv6 ? bytes[6] : bytes[9];
	length = ipv6 ? 40 : (bytes[0] & 15) * 4;
	source = words + (ipv6 ? 2 : 3);
	destination = words + (ipv6 ? 6 : 4);
	if (config.protocol && protocol != config.protocol)
		return 0;
	if (config.given & 12) {
		/* Pieces but the first have no ports. */
		if (!ipv6 && ((bytes[6] & 0x1f) | bytes[7]))
			return 0;
		if (bpf_probe_read_kernel(ports, sizeof(ports), at + length))
			return 0;
	}
	if (is_end(0, ipv6, source) && is_end(1, ipv6, destination) && is_port(0, ports[0]) && is_port(1, ports[1]))
		return 1;
	return is_end(1, ipv6, source) && is_end(0, ipv6, destination) && is_port(1, ports[0]) && is_port(0, ports[1]);
}

static __always_inline int has_tag(struct sk_buff *skb)
{
	return field_exists(skb->vlan_present) ? bit_field(skb, vlan_present) : skb->vlan_proto != 0;
}

/* Whether what follows a header of IPv6 may be one more before that of the protocol (RFC 8200, section 4; IANA's registry). */
static __always_inline int is_extension(__u32 next)
{
	return next == 0 || next == 43 || next == 44 || next == 50 || next == 51 || next == 60 || next == 135 || next == 139 ||
	       next == 140 || next == 253 || next == 254;
}

/* Whether it may be of one of the tuples: false only of what is a packet of IP for sure, wherever one looks at it, and of none. */
static __always_inline int is_chosen(struct sk_buff *skb)
{
	__u32 zero = 0, network, tail, mac, length, index, word, count, words[10], ends[WORDS] = {};
	__u16 protocol = skb->protocol, ethertype = 0, read[2] = {};
	const __u8 *kind = (const __u8 *)&protocol;
	const __u8 *bytes = (const __u8 *)words, *two = (const __u8 *)read;
	struct choice *chosen = bpf_map_lookup_elem(&choice, &zero);
	__u32 ports[2];
	int ipv6, has_ports = 0;

	if (!chosen)
		return 1;
	count = chosen->count;
	if (!count)
		return 1;
	if (kind[0] == 0x08 && kind[1] == 0x00)
		ipv6 = 0;
	else if (kind[0] == 0x86 && kind[1] == 0xdd)
		ipv6 = 1;
	else
		return 1;
	network = skb->network_header;
	tail = skb->tail;
	mac = skb->mac_header;
	length = ipv6 ? 40 : 20;
	if (has_tag(skb) || !network || network == UNSET || network + length > tail)
		return 1;
	if (mac != UNSET && mac < network && network - mac <= LONGEST_LINK_HEADER) {
		/* Of anything but Ethernet's header it is not known what it is taken for. */
		if (network - mac != 14 || bpf_probe_read_kernel(&ethertype, sizeof(ethertype), skb->head + mac + 12))
			return 1;
		if (ethertype != protocol)
			return 1;
	}
	/* As in is_wanted(), more may be read than there is. */
	if (bpf_probe_read_kernel(words, sizeof(words), skb->head + network))
		return 1;
	if (bytes[0] >> 4 != (ipv6 ? 6 : 4))
		return 1;
	if (ipv6) {
		if (is_extension(bytes[6]))
			return 1;
		ends[0] = 6 | (__u32)bytes[6] << 8;
#pragma unroll
		for (word = 0; word < 8; word++)
			ends[1 + word] = words[2 + word];
		has_ports = 1;
	} else {
		length = (bytes[0] & 15) * 4;
		ends[0] = 4 | (__u32)bytes[9] << 8;
		ends[1] = words[3];
		ends[5] = words[4];
		/* Pieces but the first have no ports. */
		has_ports = !((bytes[6] & 0x1f) | bytes[7]);
	}
	if (network + length + 4 > tail)
		has_ports = 0;
	if (has_ports && bpf_probe_read_kernel(read, sizeof(read), skb->head + network + length))
		has_ports = 0;
	ports[0] = (__u32)two[0] << 8 | two[1];
	ports[1] = (__u32)two[2] << 8 | two[3];
	for (index = 0; index < TUPLES; index++) {
		struct tuple *tuple;
		__u32 differs = 0;

		/* Kept a number: verifiers do not follow pointers that are counted up. */
		asm volatile("" : "+r"(index));
		if (index + 1 >= count || index >= TUPLES)
			return 0;
		tuple = &chosen->tuples[index];
#pragma unroll
		for (word = 0; word < WORDS; word++)
			differs |= (ends[word] ^ tuple->value[word]) & tuple->mask[word];
		if (has_ports) {
			differs |= ports[0] - tuple->first[0] > tuple->more[0];
			differs |= ports[1] - tuple->first[1] > tuple->more[1];
		}
		if (!differs)
			return 1;
	}
	return 0;
}

static __always_inline void tell(enum kind kind, struct sk_buff *skb, struct net_device *dev, struct sock *receiver,
				 __u64 location, __u32 reason, __u32 flags)
{
	struct net *net = 0;
	struct event *event;
	struct sock *sk;
	__u32 namespace = 0, link = 0, begin, tail, mac, network, data;

	if (dev) {
		net = dev->nd_net.net;
		namespace = net->ns.inum;
		link = dev->ifindex;
		if (namespace < FIRST_NAMESPACE || !link) {
			dev = 0;
			namespace = 0;
			link = 0;
		}
	}
	if (receiver) {
		net = receiver->__sk_common.skc_net.net;
		__u32 own = net->ns.inum;
		if (own != namespace) {
			/* The device's place was used for something else. */
			dev = 0;
			link = 0;
			namespace = own;
		}
	}
	if (!namespace) {
		sk = skb->sk;
		if (sk) {
			net = sk->__sk_common.skc_net.net;
			namespace = net->ns.inum;
		}
	}
	if (config.by_namespace && !bpf_map_lookup_elem(&namespaces, &namespace))
		return;
	if (!is_wanted(skb) || (config.by_choice && !is_chosen(skb)))
		return;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		__u32 zero = 0;
		__u64 *count = bpf_map_lookup_elem(&lost, &zero);
		if (count)
			*count += 1;
		return;
	}
	event->time = bpf_ktime_get_ns();
	event->location = location;
	event->skb = (__u64)skb;
	event->head = (__u64)skb->head;
	event->kind = kind;
	event->namespace = namespace;
	event->link = link;
	event->came_by = skb->skb_iif;
	event->reason = reason;
	event->mark = skb->mark;
	event->hardware = dev ? dev->type : UNSET;
	event->protocol = skb->protocol;
	event->packet_type = bit_field(skb, pkt_type);
	event->tag_protocol = skb->vlan_proto;
	event->tag = skb->vlan_tci;
	if (has_tag(skb))
		flags |= HAS_TAG;
	if (bit_field(skb, ip_summed) == PARTIAL)
		flags |= CHECKSUM_PENDING;

	/* It begins with its link header, if it has one that is its own, else with its network header, else where it is. */
	data = skb->data - skb->head;
	tail = skb->tail;
	mac = skb->mac_header;
	network = skb->network_header;
	begin = data;
	if (network && network != UNSET && network <= tail) {
		flags |= HAS_NETWORK_HEADER;
		begin = network;
		if (mac != UNSET && mac < network && network - mac <= LONGEST_LINK_HEADER) {
			begin = mac;
			flags |= HAS_LINK_HEADER;
		}
	} else if (mac != UNSET && mac == data) {
		flags |= HAS_LINK_HEADER;
	}
	event->network = network - begin;
	event->length = skb->len + data - begin;
	event->captured = tail > begin ? (tail - begin < BYTES ? tail - begin : BYTES) : 0;
	event->flags = flags;
	if (bpf_probe_read_kernel(event->bytes, BYTES, skb->head + begin))
		event->captured = 0;
	if (!dev || bpf_probe_read_kernel(event->name, sizeof(event->name), &dev->name))
		event->name[0] = 0;
	bpf_ringbuf_submit(event, 0);
}

/* The tracepoint got its third argument in Linux 5.17 and its fourth in 6.11 (include/trace/events/skb.h). */

SEC("tp_btf/kfree_skb")
int dropped_two(__u64 *arguments)
{
	struct sk_buff *skb = (struct sk_buff *)arguments[0];

	tell(DROPPED, skb, skb->dev, 0, arguments[1], 0, 0);
	return 0;
}

SEC("tp_btf/kfree_skb")
int dropped_three(__u64 *arguments)
{
	struct sk_buff *skb = (struct sk_buff *)arguments[0];

	tell(DROPPED, skb, skb->dev, 0, arguments[1], arguments[2], HAS_REASON);
	return 0;
}

SEC("tp_btf/kfree_skb")
int dropped_four(__u64 *arguments)
{
	struct sk_buff *skb = (struct sk_buff *)arguments[0];

	tell(DROPPED, skb, skb->dev, (struct sock *)arguments[3], arguments[1], arguments[2], HAS_REASON);
	return 0;
}

/* include/trace/events/net.h */
SEC("tp_btf/netif_receive_skb")
int received(__u64 *arguments)
{
	struct sk_buff *skb = (struct sk_buff *)arguments[0];

	tell(RECEIVED, skb, skb->dev, 0, 0, 0, 0);
	return 0;
}

SEC("tp_btf/net_dev_start_xmit")
int sent(__u64 *arguments)
{
	tell(SENT, (struct sk_buff *)arguments[0], (struct net_device *)arguments[1], 0, 0, 0, 0);
	return 0;
}

/* Its second argument, the location, came in Linux 6.3. */
SEC("tp_btf/consume_skb")
int consumed_one(__u64 *arguments)
{
	struct sk_buff *skb = (struct sk_buff *)arguments[0];

	tell(CONSUMED, skb, skb->dev, 0, 0, 0, 0);
	return 0;
}

SEC("tp_btf/consume_skb")
int consumed_two(__u64 *arguments)
{
	struct sk_buff *skb = (struct sk_buff *)arguments[0];

	tell(CONSUMED, skb, skb->dev, 0, arguments[1], 0, 0);
	return 0;
}

/* What the kernel calls a place in its code. A name has at most KSYM_NAME_LEN bytes (512, linux/kallsyms.h). */
struct text {
	char bytes[640];
};

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct text);
} text SEC(".maps");

/* Of an address that is returned to: `function+0x10/0x20 [module]` (Documentation/core-api/printk-formats.rst). */
static const char of_return[] SEC(".rodata") = "%pB";

/* Run on demand (BPF_PROG_TEST_RUN), never put anywhere. The helper came with Linux 5.13. */
SEC("raw_tp")
int name(__u64 *arguments)
{
	__u32 zero = 0;
	__u64 address = arguments[0];
	struct text *to = bpf_map_lookup_elem(&text, &zero);

	if (!to)
		return -1;
	return bpf_snprintf(to->bytes, sizeof(to->bytes), of_return, &address, sizeof(address));
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";

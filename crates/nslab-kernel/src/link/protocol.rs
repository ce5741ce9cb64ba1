//! What IPv4 and IPv6 do at an interface: the sysctls below `net.ipv4.conf` and `net.ipv6.conf` that decide what becomes
//! of a packet, as the kernel tells them with the interface (`IFLA_AF_SPEC`), without a look at `/proc/sys`.

use serde::{Deserialize, Serialize};

use crate::netlink::Attribute;

/// `net.ipv4.conf.IF.…`. What counts is often a value joined with that of `all`, which is for the reader to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ipv4Settings {
    /// `forwarding`.
    pub forwarding: bool,
    /// `proxy_arp`.
    pub proxy_arp: bool,
    /// `proxy_arp_pvlan`.
    pub proxy_arp_pvlan: bool,
    /// `rp_filter`: 0 off, 1 strict (RFC 3704), 2 loose.
    pub rp_filter: u8,
    /// `accept_source_route`.
    pub accept_source_route: bool,
    /// `send_redirects`.
    pub send_redirects: bool,
    /// `arp_filter`.
    pub arp_filter: bool,
    /// `arp_announce`: 0 to 2.
    pub arp_announce: u8,
    /// `arp_ignore`: 0 to 3, or 8.
    pub arp_ignore: u8,
    /// `accept_local`.
    pub accept_local: bool,
    /// `src_valid_mark`.
    pub src_valid_mark: bool,
    /// `route_localnet`.
    pub route_localnet: bool,
    /// `ignore_routes_with_linkdown`.
    pub ignore_routes_with_linkdown: bool,
    /// `bc_forwarding`.
    pub bc_forwarding: bool,
}

/// `net.ipv6.conf.IF.…`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ipv6Settings {
    /// `forwarding`.
    pub forwarding: bool,
    /// `hop_limit`.
    pub hop_limit: u8,
    /// `mtu`, in bytes: no more than the interface's.
    pub mtu: u32,
    /// `disable_ipv6`.
    pub disabled: bool,
    /// `proxy_ndp`.
    pub proxy_ndp: bool,
    /// `accept_ra`: 0 to 2.
    pub accept_ra: u8,
    /// `accept_source_route`; below 0, none.
    pub accept_source_route: i32,
    /// `ignore_routes_with_linkdown`.
    pub ignore_routes_with_linkdown: bool,
    /// `use_tempaddr`: 2 and above prefers temporary addresses as sources.
    pub use_tempaddr: i32,
    /// `use_optimistic`.
    pub use_optimistic: bool,
    /// `use_oif_addrs_only`: the source of what leaves here is an address from here.
    pub use_oif_addrs_only: bool,
    /// `force_forwarding` (Linux 6.17): it forwards also where `all` does not.
    pub force_forwarding: bool,
}

/// The values of `IFLA_INET_CONF` or `IFLA_INET6_CONF`, one number of 32 bits each.
struct Values<'a>(&'a [u8]);

impl Values<'_> {
    /// 0 beyond the end: an older kernel has fewer.
    fn at(&self, place: usize) -> i32 {
        let bytes = self.0.get(place * 4..).and_then(|rest| rest.first_chunk::<4>());
        bytes.map_or(0, |bytes| i32::from_ne_bytes(*bytes))
    }

    fn on(&self, place: usize) -> bool {
        self.at(place) != 0
    }

    fn small(&self, place: usize) -> u8 {
        u8::try_from(self.at(place)).unwrap_or(0)
    }
}

impl Ipv4Settings {
    /// Reads `IFLA_INET_CONF`: `IPV4_DEVCONF_…` (`include/uapi/linux/ip.h`), which count from 1.
    pub(super) fn read(attribute: &Attribute<'_>) -> Self {
        let values = Values(attribute.payload);
        Self {
            forwarding: values.on(0),
            proxy_arp: values.on(2),
            send_redirects: values.on(5),
            rp_filter: values.small(7),
            accept_source_route: values.on(8),
            arp_filter: values.on(12),
            arp_announce: values.small(17),
            arp_ignore: values.small(18),
            accept_local: values.on(22),
            src_valid_mark: values.on(23),
            proxy_arp_pvlan: values.on(24),
            route_localnet: values.on(25),
            ignore_routes_with_linkdown: values.on(28),
            bc_forwarding: values.on(31),
        }
    }
}

impl Ipv6Settings {
    /// Reads `IFLA_INET6_CONF`: `DEVCONF_…` (`include/uapi/linux/ipv6.h`).
    pub(super) fn read(attribute: &Attribute<'_>) -> Self {
        let values = Values(attribute.payload);
        Self {
            forwarding: values.on(0),
            hop_limit: values.small(1),
            mtu: values.at(2).cast_unsigned(),
            accept_ra: values.small(3),
            proxy_ndp: values.on(22),
            accept_source_route: values.at(24),
            disabled: values.on(26),
            ignore_routes_with_linkdown: values.on(39),
            use_tempaddr: values.at(10),
            use_optimistic: values.on(34),
            use_oif_addrs_only: values.on(37),
            force_forwarding: values.on(59),
        }
    }
}

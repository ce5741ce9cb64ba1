//! What names in a filter mean: ports, protocols, hosts.

use std::collections::HashMap;
use std::net::IpAddr;

use nslab_types::MacAddr;

/// Looks names up for a filter. The crate itself reads no file and asks no server.
///
/// What is left out knows no name.
pub trait Names {
    /// The port of a service, as `/etc/services` has it.
    fn port(&self, name: &str, transport: Transport) -> Option<u16>;

    /// A protocol's number, as `/etc/protocols` has it.
    fn protocol(&self, name: &str) -> Option<u8>;

    /// A host's addresses; none if there is no such host.
    ///
    /// # Errors
    ///
    /// Why hosts are not looked up; it becomes the hint of the error that the user sees.
    fn hosts(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let _ = name;
        Err("write its address: names of hosts are not looked up here".to_owned())
    }

    /// A host's Ethernet address, as `/etc/ethers` has it.
    fn ethernet(&self, name: &str) -> Option<MacAddr> {
        let _ = name;
        None
    }
}

/// Protocols that have ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP, protocol 6.
    Tcp,
    /// UDP, protocol 17.
    Udp,
    /// SCTP, protocol 132.
    Sctp,
}

impl Transport {
    /// All of them, in the order in which filters try them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// Its number in the IP header.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// Its name in filters and in `/etc/services`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// Names from tables: a few that are built in, and what files in the manner of `/etc/services` and `/etc/protocols` add.
#[derive(Debug, Clone, Default)]
pub struct NameTable {
    ports: HashMap<(String, Transport), u16>,
    protocols: HashMap<String, u8>,
}

impl NameTable {
    /// What is known without any file.
    pub fn builtin() -> Self {
        Self::default().with_services(SERVICES).with_protocols(PROTOCOLS)
    }

    /// Adds a text in the form of `/etc/services` (services(5)). Its first line for a name counts, before what was there.
    #[must_use]
    pub fn with_services(mut self, text: &str) -> Self {
        let mut found = HashMap::new();
        for (names, value) in lines(text) {
            let Some((port, protocol)) = value.split_once('/') else { continue };
            let Ok(port) = port.parse() else { continue };
            let Some(transport) = Transport::ALL.into_iter().find(|known| known.name() == protocol) else {
                continue;
            };
            for name in names {
                found.entry((name.to_owned(), transport)).or_insert(port);
            }
        }
        self.ports.extend(found);
        self
    }

    /// Adds a text in the form of `/etc/protocols` (protocols(5)). Its first line for a name counts, before what was there.
    #[must_use]
    pub fn with_protocols(mut self, text: &str) -> Self {
        let mut found = HashMap::new();
        for (names, value) in lines(text) {
            let Ok(number) = value.parse() else { continue };
            for name in names {
                found.entry(name.to_owned()).or_insert(number);
            }
        }
        self.protocols.extend(found);
        self
    }
}

impl Names for NameTable {
    fn port(&self, name: &str, transport: Transport) -> Option<u16> {
        self.ports.get(&(name.to_owned(), transport)).copied()
    }

    fn protocol(&self, name: &str) -> Option<u8> {
        self.protocols.get(name).copied()
    }
}

/// The lines `NAME VALUE [ALIAS…] [# comment]` of a text, as all names and the value.
fn lines(text: &str) -> impl Iterator<Item = (Vec<&str>, &str)> {
    text.lines().filter_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (name, value) = (words.next()?, words.next()?);
        Some((std::iter::once(name).chain(words).collect(), value))
    })
}

/// What people write most (IANA's registry of service names).
const SERVICES: &str = "\
ftp-data 20/tcp
ftp 21/tcp
ssh 22/tcp
telnet 23/tcp
smtp 25/tcp mail
domain 53/tcp
domain 53/udp
bootps 67/udp
bootpc 68/udp
tftp 69/udp
http 80/tcp www
kerberos 88/tcp
kerberos 88/udp
pop3 110/tcp
sunrpc 111/tcp
sunrpc 111/udp
ntp 123/udp
imap2 143/tcp imap
snmp 161/tcp
snmp 161/udp
snmp-trap 162/udp
bgp 179/tcp
ldap 389/tcp
ldap 389/udp
https 443/tcp
https 443/udp
microsoft-ds 445/tcp
isakmp 500/udp
syslog 514/udp
submission 587/tcp
ldaps 636/tcp
domain-s 853/tcp
imaps 993/tcp
pop3s 995/tcp
openvpn 1194/udp
radius 1812/udp
nfs 2049/tcp
nfs 2049/udp
mysql 3306/tcp
ipsec-nat-t 4500/udp
sip 5060/tcp
sip 5060/udp
mdns 5353/udp
postgresql 5432/tcp
redis 6379/tcp
http-alt 8080/tcp
";

/// IANA's registry of protocol numbers, as far as Linux names them.
const PROTOCOLS: &str = "\
ip 0
hopopt 0
icmp 1
igmp 2
ggp 3
ipencap 4
tcp 6
egp 8
igp 9
udp 17
dccp 33
ipv6 41
ipv6-route 43
ipv6-frag 44
rsvp 46
gre 47
esp 50
ah 51
ipv6-icmp 58
ipv6-nonxt 59
ipv6-opts 60
eigrp 88
ospf 89
ipip 94
etherip 97
pim 103
ipcomp 108
vrrp 112
l2tp 115
isis 124
sctp 132
udplite 136
mpls-in-ip 137
hip 139
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_add_to_what_is_built_in_and_come_first() {
        let names = NameTable::builtin()
            .with_services(
                "http\t81/tcp alias # comment\nhttp 82/tcp\nodd 7/dccp\nbad x/tcp\nshort\n# none\n",
            )
            .with_protocols("tcp 7 TCP\ntcp 8\nbad 300\n");
        assert_eq!(names.port("http", Transport::Tcp), Some(81));
        assert_eq!(names.port("alias", Transport::Tcp), Some(81));
        assert_eq!(names.port("http", Transport::Udp), None);
        assert_eq!(names.port("domain", Transport::Udp), Some(53));
        assert_eq!(names.port("odd", Transport::Tcp), None);
        assert_eq!(names.protocol("TCP"), Some(7));
        assert_eq!(names.protocol("bad"), None);
        assert_eq!(names.protocol("vrrp"), Some(112));
        assert!(names.hosts("red").is_err());
        assert_eq!(names.ethernet("red"), None);
    }
}

//! Faults that were made by hand, and none where there is none.

mod bridges;
mod leftovers;
mod links;
mod ways;

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use nslab_kernel::{Namespace, NamespaceId};
use nslab_predict::doctor::{Fault, examine};
use nslab_snapshot::{Options, Snapshot};
use nslab_testing::Oracle;

/// Namespaces that belong together, made by ip(8).
struct Drawn {
    ip: Oracle,
    spaces: Vec<(&'static str, Namespace)>,
}

impl Drawn {
    /// Namespaces of these names in a lab of the test's own.
    fn new(lab: &str, names: &[&'static str]) -> Option<Self> {
        let ip = Oracle::find()?;
        let spaces: Vec<_> = names.iter().map(|name| (*name, Namespace::create().unwrap())).collect();
        let drawn = Self { ip, spaces };
        for name in names {
            drawn.at(name, &format!("link set lo up alias nslab:{lab}-{}/{name}", std::process::id()));
        }
        Some(drawn)
    }

    fn space(&self, name: &str) -> &Namespace {
        &self.spaces.iter().find(|(known, _)| *known == name).unwrap().1
    }

    fn at(&self, name: &str, command: &str) {
        self.ip.change(self.space(name), command);
    }

    /// A cable between two, with addresses, both ends up.
    fn cable(&self, [one, other]: [(&str, &str, &str); 2]) {
        use std::os::fd::{AsFd, AsRawFd};
        let there = self.space(other.0);
        let fd = format!("/proc/{}/fd/{}", std::process::id(), there.as_fd().as_raw_fd());
        self.at(one.0, &format!("link add {} type veth peer name {} netns {fd}", one.1, other.1));
        for (name, link, address) in [one, other] {
            self.at(name, &format!("link set {link} up"));
            if !address.is_empty() {
                self.at(name, &format!("address add {address} dev {link}"));
            }
        }
    }

    /// Writes a sysctl.
    fn sysctl(&self, name: &str, key: &str, value: &str) {
        self.space(name).run(|| nslab_kernel::sysctl::write(key, value)).unwrap().unwrap();
    }

    /// Lets namespaces forward both families.
    fn forward(&self, names: &[&str]) {
        for name in names {
            self.sysctl(name, "net.ipv4.ip_forward", "1");
            self.sysctl(name, "net.ipv6.conf.all.forwarding", "1");
        }
    }

    fn snapshot() -> Snapshot {
        Snapshot::take(Options::default()).unwrap()
    }

    /// The faults of a snapshot that concern these namespaces.
    fn faults_of(&self, snapshot: &Snapshot) -> Vec<Fault> {
        let own: Vec<NamespaceId> = self.spaces.iter().map(|(_, space)| space.id().unwrap()).collect();
        examine(snapshot, &|place| own.contains(&snapshot.namespaces[place].id))
    }

    /// All faults that concern these namespaces.
    fn faults(&self) -> Vec<Fault> {
        self.faults_of(&Self::snapshot())
    }

    fn one(&self) -> Fault {
        let faults = self.faults();
        assert_eq!(faults.len(), 1, "{faults:#?}");
        faults.into_iter().next().unwrap()
    }

    /// Tries to make a connection of TCP, which takes an answer.
    fn connects(&self, from: &str, to: &str, address: &str) -> bool {
        /// Long enough for what arrives to be answered.
        const LIMIT: Duration = Duration::from_millis(600);
        let address: IpAddr = address.parse().unwrap();
        let listener = self.space(to).run(|| TcpListener::bind(SocketAddr::new(address, 0)));
        let listener = listener.unwrap().unwrap();
        let target = listener.local_addr().unwrap();
        self.space(from).run(|| TcpStream::connect_timeout(&target, LIMIT)).unwrap().is_ok()
    }

    /// Fails unless a connection comes about; that may take some tries until all links have a carrier.
    fn reaches(&self, from: &str, to: &str, address: &str) {
        assert!((0..20).any(|_| self.connects(from, to, address)), "{from} does not reach {address} of {to}");
    }

    /// Fails if a connection comes about.
    fn is_lost(&self, from: &str, to: &str, address: &str) {
        assert!(!self.connects(from, to, address), "{from} reaches {address} of {to}");
    }

    /// Types the commands that mend a fault, after which there is none.
    fn mend(&self, fault: &Fault) {
        assert!(!fault.fix.is_empty(), "{fault:#?}");
        for command in &fault.fix {
            // As `nslab exec LAB/NODE -- COMMAND`, without nslab.
            let (node, command) = command
                .strip_prefix("nslab exec ")
                .and_then(|rest| rest.split_once(" -- "))
                .unwrap_or_else(|| panic!("{command}"));
            let name = node.rsplit('/').next().unwrap();
            let output = self.space(name).run(|| Command::new("sh").args(["-c", command]).output());
            let output = output.unwrap().unwrap();
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(self.faults(), []);
    }
}

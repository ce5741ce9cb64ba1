//! Labs in a directory of a test's own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::route::RouteAction;
use nslab_kernel::state::Select;
use nslab_kernel::{Namespace, NamespaceState};
use nslab_lab::apply::Event;
use nslab_lab::interrupt::Interrupt;
use nslab_lab::labs::{Helper, Wanted};
use nslab_lab::{Labs, Paths};
use nslab_testing::FALLBACK_TUNNELS;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where the labs are that another process of this executable works on.
pub(crate) const DIRECTORY: &str = "NSLAB_TEST_DIRECTORY";
/// Which lab a keeper is for.
pub(crate) const LAB: &str = "NSLAB_TEST_LAB_NAME";

/// Sysctls that the tests' labs set.
const SYSCTLS: [&str; 5] = [
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.tcp_syn_retries",
];

/// A place for labs that goes away with the test, and fails it if something is left there.
pub(crate) struct Site {
    directory: TempDir,
    pub(crate) paths: Paths,
}

impl Site {
    pub(crate) fn new() -> Self {
        let directory =
            tempfile::Builder::new().prefix("nslab-test-").tempdir().expect("a directory can be made");
        let paths = Self::paths_in(directory.path());
        Self { directory, paths }
    }

    pub(crate) fn paths_in(directory: &Path) -> Paths {
        Paths { netns: directory.join("netns"), state: directory.join("nslab") }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn labs<T>(&self, work: impl FnOnce(&Labs<'_>) -> T) -> T {
        with_labs(&self.paths, &|_| {}, false, work)
    }

    pub(crate) fn up(&self, wanted: &Wanted) -> nslab_lab::labs::Built {
        self.labs(|labs| labs.up(wanted)).unwrap_or_else(|error| panic!("up: {error} ({error:?})"))
    }

    pub(crate) fn down(&self, name: &str) {
        self.labs(|labs| labs.down(name)).unwrap_or_else(|error| panic!("down: {error} ({error:?})"));
    }

    /// The namespace of a node.
    pub(crate) fn node(&self, lab: &str, node: &str) -> Namespace {
        Namespace::open(&self.paths.lab(lab).pin(node)).expect("the node has a namespace")
    }

    /// What the kernel shows of a lab, without numbers that may differ between two builds.
    pub(crate) fn shown(&self, wanted: &Wanted) -> BTreeMap<String, Value> {
        let topology = &wanted.topology;
        let nodes = topology.nodes.iter().map(|node| &node.name);
        nodes
            .chain(topology.switches.iter().map(|switch| &switch.name))
            .map(|node| {
                let namespace = self.node(&topology.name, node);
                let mut shown = normalised(&state(&namespace));
                if let Some(links) = shown["links"].as_object_mut() {
                    links.retain(|name, _| !FALLBACK_TUNNELS.contains(&name.as_str()));
                }
                let value = |key: &&str| ((*key).to_owned(), nslab_kernel::sysctl::read(key).ok());
                let sysctls: BTreeMap<_, _> = namespace
                    .run(|| SYSCTLS.iter().map(value).collect())
                    .expect("a namespace can be entered");
                shown["sysctls"] = json!(sysctls);
                (node.clone(), shown)
            })
            .collect()
    }

    /// Fails if a file or mount is left.
    pub(crate) fn assert_clean(&self) {
        let left: Vec<_> = walk(self.directory());
        assert!(left.is_empty(), "files are left: {left:?}");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts can be read");
        let ours: Vec<_> =
            mounts.lines().filter(|line| line.contains(&*self.directory().to_string_lossy())).collect();
        assert!(ours.is_empty(), "mounts are left: {ours:?}");
    }
}

fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(|entry| {
            let mut below =
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) { walk(&entry.path()) } else { vec![] };
            below.push(entry.path());
            below
        })
        .collect()
}

impl Drop for Site {
    fn drop(&mut self) {
        // A test that failed half-way must not leave mounts in the way of the directory's removal.
        for name in self.paths.labs().unwrap_or_default() {
            let _ = self.labs(|labs| labs.down(&name));
        }
        if !std::thread::panicking() {
            self.assert_clean();
        }
    }
}

pub(crate) fn with_labs<T>(
    paths: &Paths,
    observer: &(dyn Fn(Event<'_>) + Sync),
    one_by_one: bool,
    work: impl FnOnce(&Labs<'_>) -> T,
) -> T {
    let launcher = |helper: Helper<'_>| {
        let Helper::Keeper(lab) = helper else { unreachable!("no node has processes of its own") };
        let mut command = crate::reexec::command("keeper");
        let directory = paths.state.parent().expect("the labs are in the test's directory");
        command.env(DIRECTORY, directory).env(LAB, lab);
        command
    };
    work(&Labs {
        paths: paths.clone(),
        launcher: &launcher,
        outside: None,
        observer,
        waiting: &|| {},
        interrupt: Interrupt::default(),
        one_by_one,
    })
}

/// The lab that a lab file describes; warnings are of no concern here.
pub(crate) fn wanted(source: &str) -> Wanted {
    let loaded = nslab_topology::load(source, "test.yaml", &[])
        .unwrap_or_else(|errors| panic!("the test's lab file is wrong: {errors}\n{source}"));
    Wanted { lab: loaded.lab, topology: loaded.topology, file: None, directory: "/".into() }
}

pub(crate) fn state(namespace: &Namespace) -> NamespaceState {
    let mut socket = namespace
        .run(|| Socket::open(Protocol::Route))
        .expect("a namespace can be entered")
        .expect("a socket can be opened");
    NamespaceState::read(&mut socket, Select { tables: true }).expect("a namespace can be read")
}

/// A namespace's state by names instead of numbers, without what comes and goes by itself.
pub(crate) fn normalised(state: &NamespaceState) -> Value {
    let name = |index: Option<u32>| {
        index
            .and_then(|index| state.links.iter().find(|link| link.index == index))
            .map(|link| link.name.to_string())
    };
    let named = |value: &Value| -> Value { by_name(value, &name) };
    let links: BTreeMap<String, Value> = state
        .links
        .iter()
        .map(|link| {
            let shown = json!({
                "kind": named(&json!(link.kind)), "mac": link.mac, "mtu": link.mtu, "up": link.up, "master": name(link.master),
                "group": link.group, "alias": link.alias, "alt_names": link.alt_names,
                "address_generation": link.address_generation, "queues": link.tx_queues,
            });
            (link.name.to_string(), shown)
        })
        .collect();
    let addresses: BTreeSet<String> = state
        .addresses
        .iter()
        .map(|one| {
            format!(
                "{} {} tentative={}",
                name(Some(one.link)).unwrap_or_default(),
                one.address,
                one.tentative
            )
        })
        .collect();
    let text =
        |values: Vec<Value>| values.iter().map(|value| named(value).to_string()).collect::<BTreeSet<_>>();
    let json = |value: Result<Value, serde_json::Error>| value.expect("it can be written");
    // The kernel makes those of multicast when it has noticed a carrier, sooner or later.
    let lasting = state.routes.iter().filter(|route| !matches!(route.action, RouteAction::Multicast(_)));
    let routes = text(lasting.map(|route| json(serde_json::to_value(route))).collect());
    let rules = text(state.rules.iter().map(|rule| json(serde_json::to_value(rule))).collect());
    let permanent = state.neighbours.iter().filter(|one| one.state & 0x80 != 0);
    let neighbours = text(permanent.map(|one| json(serde_json::to_value(one))).collect());
    json!({"links": links, "addresses": addresses, "routes": routes, "rules": rules, "neighbours": neighbours})
}

/// The value with the numbers of interfaces replaced by their names.
fn by_name(value: &Value, name: &dyn Fn(Option<u32>) -> Option<String>) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                let shown = match &key[..] {
                    "link" | "lower" | "primary" | "local" | "broadcast" | "anycast" | "multicast"
                        if number.is_some() =>
                    {
                        json!(name(number))
                    }
                    _ => by_name(value, name),
                };
                (key.clone(), shown)
            })
            .collect(),
        Value::Array(values) => values.iter().map(|value| by_name(value, name)).collect(),
        other => other.clone(),
    }
}

/// Fails with the differences only.
pub(crate) fn assert_same(is: &BTreeMap<String, Value>, wanted: &BTreeMap<String, Value>, when: &str) {
    let (is, wanted) = (lines(is), lines(wanted));
    let more: Vec<_> = is.difference(&wanted).collect();
    let less: Vec<_> = wanted.difference(&is).collect();
    assert!(more.is_empty() && less.is_empty(), "{when}:\n there is {more:#?}\n there should be {less:#?}");
}

fn lines(shown: &BTreeMap<String, Value>) -> BTreeSet<String> {
    fn walk(path: &str, value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(key, value)| walk(&format!("{path} {key}"), value, into));
            }
            Value::Array(values) => values.iter().for_each(|value| walk(path, value, into)),
            leaf => drop(into.insert(format!("{path} = {leaf}"))),
        }
    }
    let mut into = BTreeSet::new();
    for (node, value) in shown {
        walk(node, value, &mut into);
    }
    into
}

/// Whether a TCP connection from one namespace to an address of the other carries data.
pub(crate) fn reaches(to: &Namespace, from: &Namespace, address: &str) -> bool {
    // Where a connection is possible, its first packet must get through: the second would come after a second.
    reaches_within(to, from, address, Duration::from_millis(900))
}

/// As [`reaches`], with a time of its own.
pub(crate) fn reaches_within(to: &Namespace, from: &Namespace, address: &str, limit: Duration) -> bool {
    let address: std::net::IpAddr = address.parse().unwrap();
    let any: std::net::IpAddr =
        if address.is_ipv6() { "::".parse().unwrap() } else { "0.0.0.0".parse().unwrap() };
    let listener = to.run(|| TcpListener::bind((any, 0))).unwrap().unwrap();
    let port = listener.local_addr().unwrap().port();
    let Ok(mut stream) = from.run(|| TcpStream::connect_timeout(&(address, port).into(), limit)).unwrap()
    else {
        return false;
    };
    let (mut other, _) = listener.accept().unwrap();
    stream.write_all(b"hello").unwrap();
    let mut read = [0; 5];
    other.read_exact(&mut read).unwrap();
    read == *b"hello"
}

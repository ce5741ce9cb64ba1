//! Ways out of an ordinary user's labs, carried by a program of the user's: pasta, else slirp4netns.
//!
//! Either makes a tap device in the node's namespace and carries what comes out of it on through sockets of its own in the
//! host's network. It is started by a helper that has stayed there, and is ended by `down`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nslab_kernel::address::{self, ChangeAddress};
use nslab_kernel::link;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::route::{ChangeRoute, NextHop, PROTOCOL_RA, Route, RouteAction};
use nslab_kernel::{Namespace, sysctl};
use nslab_topology::model::{Publish, Transport};
use nslab_types::IfName;
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

use super::cannot;
use crate::error::{Context, Error, Result};
use crate::paths::LabPaths;
use crate::pins::make_directory;
use crate::rootless::Outside;
use crate::rootless::outside::Request;
use crate::state::replace;

/// How long a carrier has to end.
const GRACE: Duration = Duration::from_secs(2);
/// How long a node's IPv6 address may take to be usable: pasta of 2023 lets the kernel look for duplicates first.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where in its subnet the node is, and the gateway: what slirp4netns makes of a subnet.
const NODE: u32 = 100;
const GATEWAY: u32 = 2;
/// The one subnet that slirp4netns has for IPv6, with its own address where the gateway is (slirp4netns(1), "IPV6").
const SLIRP_IPV6: Ipv6Net = Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0), 64);

/// A way out that a program carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserWay {
    /// Which.
    pub carrier: Carrier,
    /// The node's interface.
    pub interface: IfName,
    /// The subnet, which only the node and the program know of.
    pub ipv4: Ipv4Net,
    /// The same for IPv6, if that is carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Net>,
    /// Ports of the host that lead to the node.
    pub publish: Vec<Publish>,
}

/// A program that carries a way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// pasta, of passt.
    Pasta,
    /// slirp4netns.
    Slirp4netns,
}

impl Carrier {
    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Self::Pasta => "pasta",
            Self::Slirp4netns => "slirp4netns",
        }
    }

    /// The IPv6 subnet of a way that it carries, of which `chosen` is free.
    pub(super) fn ipv6(self, chosen: Option<Ipv6Net>) -> Option<Ipv6Net> {
        chosen.map(|chosen| match self {
            Self::Pasta => chosen,
            Self::Slirp4netns => SLIRP_IPV6,
        })
    }

    /// The first that is installed.
    pub(super) fn find() -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there = |carrier: &Self| {
            std::env::split_paths(&path).any(|directory| directory.join(carrier.program()).is_file())
        };
        [Self::Pasta, Self::Slirp4netns].into_iter().find(is_there).ok_or_else(|| {
            cannot(
                "without root a way out goes through pasta or slirp4netns, and neither is installed",
                "install pasta (the package passt) or slirp4netns",
            )
        })
    }
}

impl std::fmt::Display for UserWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "way out {} at {}", self.interface, self.node())?;
        if let Some(net) = self.ipv6 {
            write!(f, " and {}", at(net, NODE))?;
        }
        write!(f, " through {}", self.carrier.program())
    }
}

/// What is remembered of a way out that is carried.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    way: UserWay,
    pid: i32,
}

impl UserWay {
    fn node(&self) -> std::net::Ipv4Addr {
        (u32::from(self.ipv4.network()) + NODE).into()
    }

    fn gateway(&self) -> std::net::Ipv4Addr {
        (u32::from(self.ipv4.network()) + GATEWAY).into()
    }

    /// Starts the program and waits until it carries.
    pub(crate) fn start(&self, paths: &LabPaths, node: &str, outside: Option<&Outside>) -> Result<()> {
        let Some(outside) = outside else {
            return Err(cannot(
                format!("the way out of {node} has to be made by `nslab up` with the lab file"),
                "run `nslab up`",
            ));
        };
        stop(paths, node)?;
        let directory = paths.node(node);
        make_directory(&directory)?;
        // Before it is started: whoever finds this looks for the process.
        self.note(paths, node, 0)?;
        let pid_file = directory.join("way.pid");
        let api = directory.join("way.sock");
        let request = match self.carrier {
            Carrier::Pasta => self.pasta(&paths.pin(node), &pid_file),
            Carrier::Slirp4netns => self.slirp(&paths.pin(node), &api),
        };
        let pid = if let Some(pid) = outside.run(&request)? {
            pid.as_raw_nonzero().get()
        } else {
            let text = std::fs::read_to_string(&pid_file);
            let text = text.context(|| format!("read {}", pid_file.display()))?;
            text.trim().parse().map_err(|_| Error::Damaged {
                path: pid_file.clone(),
                problem: format!("{text:?} is no process id"),
            })?
        };
        self.note(paths, node, pid)?;
        self.complete(&paths.pin(node), &api, node).inspect_err(|_| drop(stop(paths, node)))
    }

    /// Does what the program does not do itself, and looks whether it has done its part.
    fn complete(&self, pin: &Path, api: &Path, node: &str) -> Result<()> {
        if let Some(net) = self.ipv6 {
            let namespace = Namespace::open(pin)?;
            if self.carrier == Carrier::Slirp4netns {
                namespace.run(|| self.set_ipv6(net))??;
            }
            if !namespace.run(|| self.has_ipv6(net))?? {
                return Err(cannot(
                    format!("{} gave the way out of {node} no IPv6", self.carrier.program()),
                    "leave out `ipv6: true`, or give the host a default route for IPv6",
                ));
            }
        }
        if self.carrier == Carrier::Slirp4netns {
            for publish in &self.publish {
                self.forward(api, publish)?;
            }
        }
        Ok(())
    }

    /// Gives the interface its address and a default route. slirp4netns would leave that to router advertisements, which
    /// routers do not listen to and others wait for.
    fn set_ipv6(&self, net: Ipv6Net) -> Result<()> {
        let mut socket = Socket::open(Protocol::Route)?;
        let link = link::find_by_name(&mut socket, self.interface)?.index;
        sysctl::write(&format!("net/ipv6/conf/{}/accept_ra", self.interface), "0")?;
        let address = IpNet::V6(Ipv6Net::new(at(net, NODE), net.prefix_len()).unwrap_or(net));
        socket.request(&ChangeAddress { link, address, delete: false })?;
        let hop = NextHop { link: Some(link), ..NextHop::via(at(net, GATEWAY).into()) };
        let to = IpNet::V6(Ipv6Net::default());
        // Not by hand, so that it is left alone when the lab is brought to what it shall be.
        let route = Route { protocol: PROTOCOL_RA, ..Route::new(to, RouteAction::Forward(vec![hop])) };
        Ok(socket.request(&ChangeRoute { route, delete: false })?)
    }

    /// Waits until the interface's address can be used; false if it has none.
    fn has_ipv6(&self, net: Ipv6Net) -> Result<bool> {
        let mut socket = Socket::open(Protocol::Route)?;
        let link = link::find_by_name(&mut socket, self.interface)?.index;
        let end = Instant::now() + PATIENCE;
        loop {
            let all = address::list(&mut socket)?;
            let own = all.iter().find(|one| one.link == link && IpNet::V6(net).contains(&one.address));
            match own {
                Some(own) if own.tentative && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                own => return Ok(own.is_some_and(|own| !own.tentative)),
            }
        }
    }

    fn note(&self, paths: &LabPaths, node: &str, pid: i32) -> Result<()> {
        let record = Record { way: self.clone(), pid };
        let text = serde_json::to_vec(&record).map_err(std::io::Error::from).context(|| "write a way out")?;
        replace(&record_path(paths, node), &text, 0o600)
    }

    fn pasta(&self, pin: &Path, pid_file: &Path) -> Request {
        let mut arguments: Vec<String> =
            ["--netns-only", "--quiet", "--config-net", "--no-map-gw"].map(String::from).into();
        if self.ipv6.is_none() {
            arguments.push("-4".to_owned());
        }
        let mut push = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
        push("-I", self.interface.to_string());
        push("-a", self.node().to_string());
        push("-n", self.ipv4.prefix_len().to_string());
        push("-g", self.gateway().to_string());
        if let Some(net) = self.ipv6 {
            push("-a", at(net, NODE).to_string());
            push("-g", at(net, GATEWAY).to_string());
        }
        // Nothing in the other direction: the host's ports are not the node's.
        push("-T", "none".to_owned());
        push("-U", "none".to_owned());
        for (option, transport) in [("-t", Transport::Tcp), ("-u", Transport::Udp)] {
            let ports: Vec<String> = self
                .publish
                .iter()
                .filter(|publish| publish.transport == transport)
                .map(|publish| {
                    let host = publish.host.map_or_else(String::new, |host| format!("{host}/"));
                    format!("{host}{}:{}", publish.host_port, publish.port)
                })
                .collect();
            if ports.is_empty() {
                push(option, "none".to_owned());
            }
            for port in ports {
                push(option, port);
            }
        }
        push("-P", pid_file.display().to_string());
        push("--netns", pin.display().to_string());
        Request { program: "pasta".to_owned(), arguments, ready_on_3: false }
    }

    fn slirp(&self, pin: &Path, api: &Path) -> Request {
        let mut arguments = vec![
            "--configure".to_owned(),
            "--mtu=1500".to_owned(),
            "--disable-host-loopback".to_owned(),
            format!("--cidr={}", self.ipv4),
            "--netns-type=path".to_owned(),
            format!("--api-socket={}", api.display()),
            "--ready-fd=3".to_owned(),
        ];
        if self.ipv6.is_some() {
            arguments.push("--enable-ipv6".to_owned());
        }
        arguments.extend([pin.display().to_string(), self.interface.to_string()]);
        Request { program: "slirp4netns".to_owned(), arguments, ready_on_3: true }
    }

    /// Publishes a port by slirp4netns' API (slirp4netns(1), "API SOCKET").
    fn forward(&self, api: &Path, publish: &Publish) -> Result<()> {
        use std::io::{Read, Write};
        let action = || format!("publish {publish} through slirp4netns");
        let host = publish.host.map_or_else(|| "0.0.0.0".to_owned(), |host| host.to_string());
        let request = serde_json::json!({"execute": "add_hostfwd", "arguments": {
            "proto": publish.transport, "host_addr": host, "host_port": publish.host_port,
            "guest_addr": self.node().to_string(), "guest_port": publish.port,
        }});
        let mut stream = std::os::unix::net::UnixStream::connect(api).context(action)?;
        stream.write_all(request.to_string().as_bytes()).context(action)?;
        stream.shutdown(std::net::Shutdown::Write).context(action)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context(action)?;
        if answer.contains("\"error\"") {
            return Err(cannot(
                format!("slirp4netns could not publish {publish}: {}", answer.trim()),
                "choose a port from 1024 on that is free",
            ));
        }
        Ok(())
    }
}

/// An address in an IPv6 subnet.
fn at(net: Ipv6Net, number: u32) -> std::net::Ipv6Addr {
    (u128::from(net.network()) + u128::from(number)).into()
}

fn record_path(paths: &LabPaths, node: &str) -> PathBuf {
    paths.node(node).join("way.json")
}

fn record(paths: &LabPaths, node: &str) -> Option<Record> {
    serde_json::from_slice(&std::fs::read(record_path(paths, node)).ok()?).ok()
}

/// The way out of a node that is carried now.
pub(crate) fn running(paths: &LabPaths, node: &str) -> Option<UserWay> {
    let record = record(paths, node)?;
    process(record.pid, &paths.pin(node)).map(|_| record.way)
}

/// The subnets that a node's way out has or had.
pub(super) fn subnets(paths: &LabPaths, node: &str) -> Option<(Ipv4Net, Option<Ipv6Net>)> {
    record(paths, node).map(|record| (record.way.ipv4, record.way.ipv6))
}

/// The carrier, if it is alive and what it should be.
fn process(pid: i32, pin: &Path) -> Option<std::os::fd::OwnedFd> {
    let handle = rustix::process::pidfd_open(Pid::from_raw(pid.max(0))?, PidfdFlags::empty()).ok()?;
    // Looked at through what was opened: the number may have passed on before.
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let pin = pin.display().to_string();
    let names = |word: &[u8]| word == pin.as_bytes();
    line.split(|byte| *byte == 0).any(names).then_some(handle)
}

/// Ends a node's carrier, if there is one.
pub(crate) fn stop(paths: &LabPaths, node: &str) -> Result<()> {
    let Some(record) = record(paths, node) else { return Ok(()) };
    let pin = paths.pin(node);
    let pids = if record.pid > 0 { vec![record.pid] } else { all_processes() };
    for handle in pids.into_iter().filter_map(|pid| process(pid, &pin)) {
        let end = Instant::now() + GRACE;
        let _ = rustix::process::pidfd_send_signal(&handle, Signal::TERM);
        let mut polled = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
        let left = rustix::event::Timespec::try_from(end.saturating_duration_since(Instant::now())).ok();
        if !rustix::event::poll(&mut polled, left.as_ref()).is_ok_and(|ended| ended > 0) {
            let _ = rustix::process::pidfd_send_signal(&handle, Signal::KILL);
            let _ = rustix::event::poll(&mut polled, left.as_ref());
        }
    }
    let directory = paths.node(node);
    for file in ["way.json", "way.pid", "way.sock"] {
        match std::fs::remove_file(directory.join(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context(|| format!("remove {file} of {node}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// All processes, for when a command was killed between starting one and noting it.
fn all_processes() -> Vec<i32> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| *pid != own).collect()
}

/// Ends all carriers of a lab.
pub(crate) fn stop_all(paths: &LabPaths) -> Result<()> {
    let nodes = paths.node("");
    let entries = match std::fs::read_dir(&nodes) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.context(|| format!("read {}", nodes.display()))?,
    };
    for entry in entries.flatten() {
        if let Some(node) = entry.file_name().to_str() {
            stop(paths, node)?;
        }
    }
    Ok(())
}

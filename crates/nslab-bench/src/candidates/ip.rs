//! `ip`, as a script would use it: one process a step, and in batches.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::Candidate;
use crate::error::Result;
use crate::process;
use crate::shape::{Cable, Shape, cables, host_address};

/// The steps in which a network is built, as arguments of `ip`: those outside all namespaces, and those inside each.
struct Steps {
    namespaces: Vec<String>,
    /// Making cables, from inside the namespace of this index.
    cables: Vec<(usize, Vec<String>)>,
    /// What is then set inside each namespace.
    settings: Vec<Vec<String>>,
}

fn steps(shape: Shape) -> Steps {
    let namespaces = shape.namespaces();
    let mut wiring: Vec<(usize, Vec<String>)> = Vec::new();
    let mut settings = vec![vec!["link set lo up".to_owned()]; namespaces.len()];
    match shape {
        Shape::Star { hosts } => {
            let mut lines = vec!["link add br0 type bridge".to_owned(), "link set br0 up".to_owned()];
            for host in 1..=hosts {
                let peer = &namespaces[host];
                lines.push(format!("link add p{host} type veth peer name eth0 netns {peer}"));
                lines.push(format!("link set p{host} master br0 up"));
                settings[host].push(format!("addr add {}/16 dev eth0", host_address(host - 1)));
                settings[host].push("link set eth0 up".to_owned());
            }
            wiring.push((0, lines));
        }
        Shape::Mesh { routers } => {
            for Cable { ends: (low, high), addresses } in cables(routers) {
                let (near, far) = (Cable::interface_to(high), Cable::interface_to(low));
                let line = format!("link add {near} type veth peer name {far} netns {}", namespaces[high]);
                match wiring.last_mut() {
                    Some((index, lines)) if *index == low => lines.push(line),
                    _ => wiring.push((low, vec![line])),
                }
                for (router, name, address) in [(low, near, addresses.0), (high, far, addresses.1)] {
                    settings[router].push(format!("addr add {address}/30 dev {name}"));
                    settings[router].push(format!("link set {name} up"));
                }
            }
        }
        // Measured beside the floor only.
        Shape::FatTree(_) => {}
    }
    Steps { namespaces, cables: wiring, settings }
}

/// Turns forwarding on in every router, the way a shell can without a process for each: none is spared here.
fn forwarding(script: &mut String, shape: Shape, namespaces: &[String]) {
    if matches!(shape, Shape::Mesh { .. }) {
        for name in namespaces {
            let _ = writeln!(script, "ip netns exec {name} sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'");
        }
    }
}

/// A shell loop: one `ip` process for each step.
#[derive(Debug)]
pub struct Loop {
    up: PathBuf,
    down: PathBuf,
}

impl Loop {
    /// With its scripts in a directory.
    pub fn new(work: &Path) -> Self {
        Self { up: work.join("loop-up.sh"), down: work.join("loop-down.sh") }
    }
}

impl Candidate for Loop {
    fn prepare(&mut self, shape: Shape) -> Result<()> {
        let steps = steps(shape);
        let (mut up, mut down) = ("set -e\n".to_owned(), "set -e\n".to_owned());
        for name in &steps.namespaces {
            let _ = writeln!(up, "ip netns add {name}");
            let _ = writeln!(down, "ip netns del {name}");
        }
        for (index, lines) in &steps.cables {
            for line in lines {
                let _ = writeln!(up, "ip -n {} {line}", steps.namespaces[*index]);
            }
        }
        for (name, lines) in steps.namespaces.iter().zip(&steps.settings) {
            for line in lines {
                let _ = writeln!(up, "ip -n {name} {line}");
            }
        }
        forwarding(&mut up, shape, &steps.namespaces);
        super::write(&self.up, &up)?;
        super::write(&self.down, &down)
    }

    fn up(&mut self, _: Shape) -> Result<()> {
        process::run("sh", &[&self.up])
    }

    fn down(&mut self) -> Result<()> {
        process::run("sh", &[&self.down])
    }
}

/// `ip -batch`: one process for all namespaces, one for each namespace that cables are made from, one for each
/// namespace's settings.
#[derive(Debug)]
pub struct Batched {
    directory: PathBuf,
}

impl Batched {
    /// With its scripts in a directory.
    pub fn new(work: &Path) -> Self {
        Self { directory: work.join("batch") }
    }
}

impl Candidate for Batched {
    fn prepare(&mut self, shape: Shape) -> Result<()> {
        use crate::error::Doing;
        let steps = steps(shape);
        std::fs::create_dir_all(&self.directory).doing(|| "make a directory for ip -batch".to_owned())?;
        let all = |verb: &str| -> String {
            {
                let lines: Vec<String> =
                    steps.namespaces.iter().map(|name| format!("netns {verb} {name}")).collect();
                lines.join("\n") + "\n"
            }
        };
        super::write(&self.directory.join("namespaces"), &all("add"))?;
        super::write(&self.directory.join("down"), &all("del"))?;
        let mut script = format!("set -e\ncd {}\nip -batch namespaces\n", self.directory.display());
        for (index, lines) in &steps.cables {
            let name = &steps.namespaces[*index];
            super::write(&self.directory.join(format!("cables-{name}")), &(lines.join("\n") + "\n"))?;
            let _ = writeln!(script, "ip -n {name} -batch cables-{name}");
        }
        for (name, lines) in steps.namespaces.iter().zip(&steps.settings) {
            super::write(&self.directory.join(format!("settings-{name}")), &(lines.join("\n") + "\n"))?;
            let _ = writeln!(script, "ip -n {name} -batch settings-{name}");
        }
        forwarding(&mut script, shape, &steps.namespaces);
        super::write(&self.directory.join("up.sh"), &script)
    }

    fn up(&mut self, _: Shape) -> Result<()> {
        process::run("sh", &[self.directory.join("up.sh")])
    }

    fn down(&mut self) -> Result<()> {
        process::run("ip", &["-batch".as_ref(), self.directory.join("down").as_os_str()])
    }
}

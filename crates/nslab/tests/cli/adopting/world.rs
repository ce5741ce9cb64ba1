//! A host of its own, with a network made by a script, described, built again beside itself, and read.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use nslab_snapshot::{Namespace, Snapshot};

use super::compare::{is_node, lines, netns};
use crate::support::{Run, Session};

/// What scripts make networks with: namespaces with `lo` up, and without two seconds of waiting for each address.
pub(super) const WORDS: &str = r#"
ns() {
    for name; do
        ip netns add $name
        ip netns exec $name sh -c 'for on in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 > $on; done'
        ip -n $name link set lo up
    done
}
cable() { # NAMESPACE INTERFACE NAMESPACE INTERFACE
    ip -n $1 link add $2 type veth peer name $4 netns $3
    ip -n $1 link set $2 up
    ip -n $3 link set $4 up
}
sysctl_in() { ip netns exec $1 sh -c "echo '$3' > /proc/sys/$2"; }
# The kernel makes link-local addresses a moment after the carrier is there.
settled() {
    for name in $(ls /run/netns); do
        for link in $(ip -n $name -br link show up | grep LOWER_UP | cut -d' ' -f1 | cut -d@ -f1); do
            [ "$(ip netns exec $name cat /proc/sys/net/ipv6/conf/$link/disable_ipv6 2>/dev/null)" = 0 ] || continue
            [ $link = lo ] || ip -n $name -6 addr show dev $link | grep -q fe80 || return 1
            ! ip -n $name -6 addr show dev $link tentative | grep -q inet6 || return 1
        done
    done
}
settle() {
    rounds=0
    until settled; do
        rounds=$((rounds + 1))
        [ $rounds -lt 600 ] || { echo "link-local addresses are missing" >&2; ip -all netns exec ip a >&2; exit 1; }
        sleep 0.02
    done
}
"#;

/// What hides the mounts of others: those of labs are in `/run`, those of tests in `/tmp`, where the session is too.
const HIDE: &str = r#"
set -e
mount -t tmpfs tmpfs /run
mkdir /run/netns /run/session /run/programs
mount --bind . /run/session
mount --bind "$PROGRAMS" /run/programs
mount -t tmpfs tmpfs /tmp
cd /run/session
PATH=/run/programs:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
"#;

/// A host of its own, in which nobody else is seen: runs a script there, with `nslab` in its path.
pub(super) fn world(session: &Session, script: &str) -> Run {
    let mut command = session.other("unshare");
    // Who is root already keeps the numbers of users.
    command.args(if session.is_root { &["-mnpf"][..] } else { &["-Urmnpf"] });
    session.file("world.sh", format!("{HIDE}{WORDS}\n{script}"));
    command.args(["--mount-proc", "--kill-child", "sh", "world.sh"]);
    command.env("PROGRAMS", session.program().parent().unwrap());
    Run::of(command)
}

/// What came of describing a network and building it again.
pub(super) struct Again {
    /// The lab file.
    pub(super) file: String,
    /// What the description said on standard error.
    pub(super) said: String,
    /// The network before.
    pub(super) before: Snapshot,
    /// What made it.
    script: String,
    /// With the lab beside it.
    pub(super) after: Snapshot,
}

/// The lab that networks are built as.
pub(super) const COPY: &str = "copy";

/// Makes a network by a script, describes it, builds it again beside itself, and reads both.
pub(super) fn again(session: &Session, script: &str, arguments: &str) -> Again {
    let whole = format!(
        "{script}
settle
nslab snapshot save before.nslab -q
nslab export --snapshot before.nslab {arguments} > net.yaml 2> said.txt
nslab up net.yaml --name {COPY} -q 2> up.txt || {{ cat world.sh net.yaml up.txt >&2; exit 1; }}
nslab snapshot save after.nslab -q
nslab plan net.yaml --name {COPY} > plan.txt 2>> up.txt
nslab down {COPY} -q
"
    );
    world(session, &whole).ok();
    let read = |name: &str| std::fs::read_to_string(session.directory().join(name)).unwrap();
    let load = |name: &str| Snapshot::load(&session.directory().join(name)).unwrap();
    let plan = read("plan.txt");
    assert!(plan.contains("there is nothing to do"), "{plan}");
    Again {
        file: read("net.yaml"),
        said: read("said.txt"),
        before: load("before.nslab"),
        script: script.to_owned(),
        after: load("after.nslab"),
    }
}

impl Again {
    /// Holds every namespace of the network against the lab's; `but` says which lines may differ.
    pub(super) fn assert_same(&self, but: impl Fn(&str) -> bool) {
        let mut compared = 0;
        for (place, before) in self.before.namespaces.iter().enumerate() {
            let Some(name) = netns(before) else { continue };
            let is_it = |space: &&Namespace| space.names.iter().any(|own| is_node(own, &name));
            let Some(after) = self.after.namespaces.iter().find(is_it) else {
                panic!("there is no {name} in\n{}", self.file)
            };
            let [is, was] = [(&self.after, after), (&self.before, before)].map(|(snapshot, space)| {
                let lines = lines(snapshot, space.state().unwrap());
                lines.into_iter().filter(|line| !but(line)).collect::<BTreeSet<String>>()
            });
            let mut text = String::new();
            for line in was.difference(&is) {
                writeln!(text, "  - {line}").unwrap();
            }
            for line in is.difference(&was) {
                writeln!(text, "  + {line}").unwrap();
            }
            assert!(
                text.is_empty(),
                "{name} (number {place}) differs:\n{text}\n{}\n{}\n{}",
                self.file,
                self.said,
                self.script
            );
            compared += 1;
        }
        assert!(compared > 0, "there is nothing to compare");
    }

    /// Holds it against the lab, and fails if something could not be expressed.
    pub(super) fn assert_whole(&self) {
        self.assert_same(|_| false);
        assert!(self.said.contains("; all of it is in the lab file"), "{}\n{}", self.said, self.file);
    }
}

//! The arguments, with their help texts.

mod bench;
mod capture;
mod drops;
mod edit;
mod explain;
mod files;
mod labs;
mod look;
mod mtu;
mod run;
mod see;
mod set;
mod test;
mod trace;

use clap::{Parser, Subcommand};

pub(super) use bench::{Bench, Way};
pub(super) use capture::{Capture, Direction};
pub(super) use drops::Drops;
pub(super) use edit::{AddrCommand, LinkCommand, NodeCommand, RouteCommand, SwitchCommand};
pub(super) use explain::{Explain, Schema, SchemaOf};
pub(super) use files::{Completions, Export, Import, Man, ShellName};
pub(super) use labs::{Down, FileArgs, Ls, Plan, Up};
pub(super) use look::{Logs, Ping, Show};
pub(super) use mtu::Mtu;
pub(super) use run::{Exec, Shell};
pub(super) use see::{Doctor, Reach, Scan, SnapshotCommand};
pub(super) use set::{Play, Set};
pub(super) use test::{How, Test};
pub(super) use trace::Trace;

/// Virtual networks out of Linux network namespaces.
#[derive(Debug, Parser)]
#[command(
    name = "nslab",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "Exit status: 0 yes or done, 1 the answer is no, 2 bad input, 3 this machine cannot, 4 the kernel refused \
                  and the change was taken back.\n\nExamples:\n  nslab up examples/guide.yaml     build the lab\n  nslab ping      \
                  \x20                every node to every node\n  nslab exec red -- ip address     run a program in a node\n  nslab down \
                  \x20                     take it away, nothing is left"
)]
pub struct Cli {
    /// Print facts as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no notes and no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build a lab, or bring a running one to what the file now says
    #[command(
        after_help = "Examples:\n  nslab up                        lab.yaml of this directory\n  nslab up examples/guide.yaml --ping\n  nslab up three-tier.yaml --test    and check what the file expects\n  \
                            nslab up star.yaml --set n=500  with another value of a variable\n  nslab up --topo tree,depth=2    \
                            a shape of Mininet's instead of a file\n  nslab up lab.clab.yml           a containerlab file, or the \
                            directory of a Kathará lab\n  nslab up --empty play           begin with nothing, then `nslab node add …`"
    )]
    Up(Up),
    /// Show what `up` would change, and change nothing
    #[command(
        after_help = "Examples:\n  nslab plan                      against the running lab\n  nslab plan examples/guide.yaml --shell\n  \
                            nslab plan --json | jq '.stages[].kind'"
    )]
    Plan(Plan),
    /// Take a lab away; nothing is left
    #[command(
        after_help = "Examples:\n  nslab down                      the only lab, or that of lab.yaml\n  nslab down guide\n  nslab down --all"
    )]
    Down(Down),
    /// List labs and their nodes
    Ls(Ls),
    /// Show a namespace: links, addresses, routes, rules, neighbours; or a whole lab
    #[command(
        after_help = "Examples:\n  nslab show                      the lab as a picture\n  nslab show red\n  nslab show guide/red --json\n  nslab show fw --firewall        its rules, with counters and lines of the lab file\n  \
                            nslab show netns:blue           any namespace that ip netns knows"
    )]
    Show(Show),
    /// Show every network namespace of this host, whoever made it
    #[command(
        after_help = "Found are those that are mounted somewhere, that a process or thread is in, and that somebody has open.\n\nExamples:\n  nslab scan\n  nslab scan --json\n  \
                            nslab scan --snapshot host.nslab    another host, or another time"
    )]
    Scan(Scan),
    /// Look for faults without being told where: in one lab, or on the whole host
    #[command(
        after_help = "Exit status 1 if there is a fault by which packets are lost; with --host, if something is lacking without which no lab can be built.\n\nExamples:\n  nslab doctor\n  nslab doctor guide\n  \
                            nslab doctor --snapshot host.nslab --json\n  nslab doctor --host    before the first lab"
    )]
    Doctor(Doctor),
    /// Say which way a packet goes, whether it arrives, and if not, why and what to change; nothing is sent
    ///
    /// The way there and the way of the answer are worked out from what the kernel has: routes, rules, neighbours, bridges,
    /// firewalls, sockets, of every namespace on the way, whoever made it. What mends a cause is shown only if with it the
    /// packet is predicted to be delivered.
    #[command(
        after_help = "Exit status: 0 it is delivered, 1 it is dropped or rejected, or that cannot be known; 2 bad input, 3 this machine cannot.\n\nExamples:\n  \
                            nslab explain red blue\n  nslab explain red 10.0.0.3      an address, whoever has it or nobody\n  \
                            nslab explain client web:443/tcp --short\n  nslab explain container:app 'pid:4711:53/udp'\n  \
                            nslab explain red '[fd00::2]:80/tcp' --size 1400\n  nslab explain red blue --json | jq -r '.cause.fix[]'\n  \
                            nslab explain red blue --snapshot host.nslab"
    )]
    Explain(Explain),
    /// Send one packet and watch it go: each interface and rule that it meets, beside what was predicted
    ///
    /// The packet is known by a number that it carries, so that NAT, fragments and tunnels do not hide it. Packet sockets see it at
    /// every interface, a table of nftables of its own has the kernel tell of each rule, and every step stands beside the prediction of
    /// `explain`: the same, or different. What the kernel counts of packets that come to nothing is read before and after. Where they differ, there is something that nslab does not model, or a fault of nslab's. What
    /// is made for this goes with the program, however it ends; nothing of what becomes of packets is changed.
    ///
    /// A probe of TCP is a connection that is reset as soon as it is made, or with --connect closed as a program closes it; one of UDP has 8 bytes, which a program may or may not
    /// answer: if it does not, the packet is delivered all the same.
    ///
    /// With --listen nothing is sent: packets of others for which a filter holds are traced in the same way, until Ctrl-C, after -c
    /// packets, or while a program runs. Each is told of when nothing more happens to it: its steps beside the prediction for its
    /// addresses and ports, what became of it, and what threw it away. It is followed where NAT changes it.
    #[command(
        override_usage = "nslab trace [OPTIONS] <SRC> <DST[:PORT/PROTO]>\n       nslab trace [OPTIONS] --listen <EXPR> [TARGET]... [-- <CMD>...]",
        after_help = "Exit status: 0 it was delivered, 1 it was not, or with --strict not as predicted; 2 bad input, 3 this machine cannot. With \
                            --listen: 0, or CMD's own.\n\nExamples:\n  \
                            nslab trace red blue\n  nslab trace client web:443/tcp\n  nslab trace client web:443/tcp --connect\n  nslab trace red 10.0.0.3 --size 1472 --df\n  \
                            nslab trace container:app 'pid:4711:53/udp' --strict\n  nslab trace red blue --json | jq -r '.differences[]'\n  \
                            nslab trace red blue --pcapng way.pcapng\n  \
                            nslab trace --listen 'tcp port 443 and host web' -c 10\n  \
                            nslab trace --listen 'udp port 53' container:app host\n  \
                            nslab trace --listen icmp red blue -- nslab exec red -- ping -c1 10.0.0.2"
    )]
    Trace(Trace),
    /// Work out who reaches whom, without sending anything
    #[command(
        after_help = "Exit status 1 if a pair does not reach, an expectation does not hold, or, with --diff, somebody lost.\n\nExamples:\n  nslab reach                     every pair of the lab, as a matrix\n  \
                            nslab reach guide -s icmp,tcp/80\n  nslab reach red blue netns:other --json\n  \
                            nslab snapshot save before.nslab; …; nslab reach --diff before.nslab\n  \
                            nslab reach --expect lab.yaml   the file's expectations, predicted"
    )]
    Reach(Reach),
    /// Keep what `scan` sees in a file
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Run a program in a node
    #[command(
        after_help = "The program keeps this terminal, its signals and its exit status.\n\nExamples:\n  nslab exec red -- ping -c1 blue\n  \
                            nslab exec guide/red -- ip route\n  echo hello | nslab exec red -- cat"
    )]
    Exec(Exec),
    /// Open a shell in a node; `host` is the namespace around the lab
    #[command(
        after_help = "Examples:\n  nslab shell red\n  nslab shell host                without root: where plain `ip netns list` shows the lab"
    )]
    Shell(Shell),
    /// Show what the programs of a lab wrote
    #[command(
        after_help = "Examples:\n  nslab logs                      all programs\n  nslab logs web -f               go on as more comes\n  \
                            nslab logs web -n 20"
    )]
    Logs(Logs),
    /// Ping one pair, one node to all, or every pair
    #[command(
        after_help = "Exit status 1 if an answer is missing.\n\nExamples:\n  nslab ping                      every pair, as a matrix\n  \
                            nslab ping red                  red to every other\n  nslab ping red blue -c 3\n  nslab ping red 10.0.0.3 --size 1472 --df"
    )]
    Ping(Ping),
    /// Find out how large a packet gets through, where larger ones end, and whether their sender learns of it
    ///
    /// The path's MTU is predicted hop by hop, then measured with packets that nobody may cut in pieces, while packet sockets in
    /// all namespaces on the way watch where they pass, who says that they are too big, and whether that word gets back. Then the
    /// sender's kernel is asked what it has learned, and what it does with the next packet. What mends it is shown only if with it
    /// the packet, or the word, is predicted to arrive.
    #[command(
        after_help = "Exit status: 0 the largest packet that the sender's interface takes gets through, or the sender learns what does; 1 \
                            packets are lost, or that cannot be known; 2 bad input, 3 this machine cannot.\n\nThe words of the verdict: `whole`, \
                            `discovered`, `lost`, `unreachable` (the smallest packet does not get through either), `unknown`.\n\nExamples:\n  \
                            nslab mtu red blue\n  nslab mtu client web:443/tcp     with segments of TCP, as rules may tell them apart\n  \
                            nslab mtu red fd00::2 --predict  nothing is sent\n  nslab mtu container:app 192.0.2.7 --json | jq .measured.mtu\n  \
                            nslab mtu red blue --snapshot host.nslab"
    )]
    Mtu(Mtu),
    /// Try whether what a lab file expects really holds
    ///
    /// Each line of `expect:` is tried with real packets, all at once: echoes, connections, datagrams; then latency, loss, path,
    /// size and bandwidth, where they have bounds. Of each that does not hold it is said what was observed, the cause, and what
    /// mends it. A lab that runs is tested as it is; one that does not is built for the test and taken away again.
    #[command(
        after_help = "Exit status 1 if an expectation does not hold, 2 if the file is wrong or expects nothing.\n\nExamples:\n  nslab test                      \
                            lab.yaml of this directory\n  nslab test three-tier.yaml --junit report.xml\n  nslab test three-tier           the lab that runs under \
                            this name\n  nslab test -k 'client ->' --fail-fast -v\n  nslab test ospf-ring.yaml --within 60s --tap\n  nslab test --json | jq '.tests[] | select(.status == \"failed\")'"
    )]
    Test(Test),
    /// Show or record what passes, in any number of namespaces at once
    ///
    /// Every interface of each namespace is watched, also those that come while it runs, and what passes is told in the order
    /// of time: the namespace and interface, `In`, `Out`, `B` (to all), `M` (to a group) or `P` (to somebody else), and the
    /// packet in tcpdump's words. At the end standard error has how many packets there were and how many the kernel lost.
    ///
    /// What goes out by a loopback interface comes in there again and is shown once, as it comes in. Nothing else is left
    /// out; what `-w -` or this terminal send over a network that is captured is seen there as well.
    #[command(
        after_help = "Examples:\n  nslab capture                   every node of the lab\n  nslab capture red fw:wan -f 'tcp port 80'\n  \
                            nslab capture --all -w host.pcapng    every namespace of this host, into one file\n  nslab capture red -w - | tshark -r -\n  \
                            nslab capture --follow -n       the way of each packet on one line\n  nslab capture -c 8 -- nslab ping red blue -c1\n  nslab capture container:web pid:4711:eth0 -n -e\n  \
                            nslab capture -w ring.pcapng -C 100 -W 5    the last 500 MB"
    )]
    Capture(Capture),
    /// Show packets that die: where, with the kernel's reason, and the object that stops them
    ///
    /// The kernel is watched by small programs at its tracepoint `kfree_skb`, which need root and a kernel that tells its types
    /// (Linux 5.8 or newer with `CONFIG_DEBUG_INFO_BTF`). Each packet is told in tcpdump's words; below it stand the kernel's reason, the
    /// function in which it was dropped, and the cause: which rule, route, setting or port it is, as `explain` names it, where
    /// the prediction for that packet ends in the same namespace by what the reason can mean. Else there is the code alone,
    /// or nothing.
    ///
    /// At the end standard error has how many there were of each kind, and how many could not be told.
    #[command(
        after_help = "Examples:\n  nslab drops                     everywhere on this machine\n  nslab drops fw red:eth0 -f 'tcp port 80'\n  \
                            nslab drops --lab guide         also nodes that come while it runs\n  nslab drops -- nslab ping red blue -c1\n  \
                            nslab drops container:web -c 10 --json | jq -r .cause.code\n  nslab drops --all               also what is no fault"
    )]
    Drops(Drops),
    /// Add or remove a node of a running lab
    #[command(
        subcommand,
        after_help = "Examples:\n  nslab up --empty play\n  nslab node add red\n  nslab node add fw --forward\n  nslab node del red"
    )]
    Node(NodeCommand),
    /// Add, remove, connect or cut a cable of a running lab
    #[command(
        subcommand,
        after_help = "Ends are written as in a lab file: NODE[:INTERFACE] [ADDRESS/LENGTH …].\n\nExamples:\n  \
                                        nslab link add red:veth-red blue:veth-blue\n  nslab link add 'green:eth0 10.0.0.3/24' br0\n  \
                                        nslab link down red:veth-red\n  nslab link del red:veth-red"
    )]
    Link(LinkCommand),
    /// Add or remove a switch of a running lab
    #[command(subcommand, after_help = "Examples:\n  nslab switch add br0\n  nslab switch del br0")]
    Switch(SwitchCommand),
    /// Add or remove an address of a running lab
    #[command(
        subcommand,
        after_help = "Examples:\n  nslab addr add red:veth-red 10.0.0.1/24\n  nslab addr del red:veth-red 10.0.0.1/24"
    )]
    Addr(AddrCommand),
    /// Add or remove a route of a running lab, in the words of ip-route(8)
    #[command(
        subcommand,
        after_help = "Examples:\n  nslab route add red default via 10.0.0.254\n  nslab route add red blackhole 10.66.0.0/16\n  \
                                        nslab route del red default via 10.0.0.254"
    )]
    Route(RouteCommand),
    /// Change a link of a running lab: delay, loss, rate, up, down, MTU
    #[command(
        after_help = "What is not named stays as it is. On an interface it is what this end sends; on a link, both ways.\n\nExamples:\n  \
                            nslab set red:eth0 --loss 5% --rate 10mbit\n  nslab set 'red -- blue' --delay 50ms --jitter 5ms\n  \
                            nslab set 'red -> green' --loss 5%   on one switch\n  \
                            nslab set red:eth0 --clear      good again\n  nslab set red:eth0 --down"
    )]
    Set(Set),
    /// Play a lab's timeline: what happens to its links at set times
    #[command(
        after_help = "At the end, and on Ctrl-C, links are as they were before, unless --keep is given.\n\nExamples:\n  nslab play                      \
                            the timeline of the running lab\n  nslab play lossy.yaml --seed 7  that of a file, on the lab that runs\n  \
                            nslab play --speed 10 --json"
    )]
    Play(Play),
    /// Write down a running lab, or namespaces that somebody made by hand: as a lab file, or as a shell script of ip(8) commands
    ///
    /// Of namespaces the lab file says everything: links, addresses, MACs, routes of all tables, rules, permanent neighbours,
    /// sysctls that differ from the kernel's, nftables. What a lab file cannot express is listed on standard error and in the
    /// file, each thing with its namespace and the reason. Of the host's own namespace there is what joins the others, unless
    /// it is named.
    #[command(
        after_help = "Examples:\n  nslab export > lab.yaml         the running lab\n  nslab export play --shell > lab.sh\n  \
                            nslab export --topo tree,depth=2 > tree.yaml   a lab that does not run\n  nslab export --host > lab.yaml  \
                            every namespace of this host\n  nslab export netns:red container:web > lab.yaml\n  nslab export --snapshot \
                            host.nslab --json | jq .skipped"
    )]
    Export(Export),
    /// Make a lab file of a containerlab topology file or a Kathará lab
    ///
    /// Nodes, links and the commands that configure the network are carried over. What is not is listed on standard
    /// error, each thing with its place and the reason. `nslab up PATH` does the same and builds the lab at once.
    #[command(
        after_help = "Examples:\n  nslab import lab.clab.yml > lab.yaml\n  nslab import kathara-lab/ -o lab.yaml\n  nslab import \
                            lab.clab.yml --stand-ins   plain routers for what needs an image\n  nslab import lab.clab.yml --json | jq .skipped"
    )]
    Import(Import),
    /// Measure what namespaces cost on this machine
    ///
    /// Streams, datagrams, exchanges and connections are made between two programs by loopback where nslab runs, by loopback in a
    /// namespace, by veths, a bridge, routers, NAT and firewalls, in a lab of its own that goes away at the end. Rounds of all of
    /// them follow each other, so that what else the machine does meets all; what cannot be told apart is said to be so.
    #[command(
        after_help = "Examples:\n  nslab bench                     some three minutes\n  nslab bench --quick --only host,namespace,veth\n  \
                            nslab bench --svg cost.svg --rounds 15\n  nslab bench --json | jq '.ways[] | {way, tcp: .figures.tcp_bits_per_second.median}'"
    )]
    Bench(Bench),
    /// Print the completion script of a shell
    #[command(
        after_help = "Examples:\n  source <(nslab completions bash)\n  nslab completions fish > ~/.config/fish/completions/nslab.fish"
    )]
    Completions(Completions),
    /// Print the manual page, or write one for each command into a directory
    #[command(after_help = "Examples:\n  nslab man | man -l -\n  nslab man --out /usr/local/share/man/man1")]
    Man(Man),
    /// Print the JSON Schema of what a command prints with --json
    #[command(after_help = "Examples:\n  nslab schema explain\n  nslab schema doctor-host")]
    Schema(Schema),
    /// A program that waits until `capture` is ready
    #[command(name = "__after", hide = true)]
    After {
        /// The descriptor that tells it.
        descriptor: i32,
        /// The program.
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// The process that measures loopback where nslab was started (started by `bench`)
    #[command(name = "__load", hide = true)]
    Load,
    /// The process that runs a lab's programs (started by `up`)
    #[command(name = "__keeper", hide = true)]
    Keeper {
        /// The lab.
        lab: String,
    },
    /// The process that holds an ordinary user's labs (started by `up`)
    #[command(name = "__holder", hide = true)]
    Holder,
    /// The first process of a node that has processes of its own (started by `up`)
    #[command(name = "__init", hide = true)]
    Init,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn the_quick_way_to_exec_reads_as_the_grammar_does() {
        for line in [
            "nslab exec red -- ping -c1 blue",
            "nslab exec red ping -c1 blue",
            "nslab exec lab/red -- -odd",
            "nslab exec red -- -- x",
            "nslab exec host true",
        ] {
            let words = line.split(' ');
            let quick = Exec::plain(words.clone().map(Into::into)).unwrap_or_else(|| panic!("{line}"));
            let Command::Exec(whole) = Cli::try_parse_from(words).unwrap().command else { panic!("{line}") };
            assert_eq!((quick.target, quick.command), (whole.target, whole.command), "{line}");
        }
        for line in [
            "nslab",
            "nslab exec",
            "nslab exec red",
            "nslab exec red --",
            "nslab exec --help",
            "nslab exec red --json x",
            "nslab --json exec red x",
            "nslab shell red",
            "nslab exec -q red true",
        ] {
            assert!(Exec::plain(line.split(' ').map(Into::into)).is_none(), "{line}");
        }
    }
}

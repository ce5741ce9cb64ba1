//! The arguments, with their help texts.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use super::target::{complete_labs, complete_nodes};

mod see;

pub(super) use see::{Scan, SnapshotCommand};

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
        after_help = "Examples:\n  nslab up                        lab.yaml of this directory\n  nslab up examples/guide.yaml --ping\n  \
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
    /// Write a running lab down: as a lab file, or as a shell script of ip(8) commands
    #[command(
        after_help = "Examples:\n  nslab export > lab.yaml\n  nslab export play --shell > lab.sh\n  nslab export --topo tree,depth=2 > \
                            tree.yaml   a lab that does not run"
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
    /// Print the completion script of a shell
    #[command(
        after_help = "Examples:\n  source <(nslab completions bash)\n  nslab completions fish > ~/.config/fish/completions/nslab.fish"
    )]
    Completions(Completions),
    /// Print the manual page, or write one for each command into a directory
    #[command(after_help = "Examples:\n  nslab man | man -l -\n  nslab man --out /usr/local/share/man/man1")]
    Man(Man),
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

/// A lab file and the values of its variables.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// The lab file, or what `nslab import` takes [default: lab.yaml of this directory]
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// A shape instead of a file: single,K linear,K[,N] tree,DEPTH,FANOUT torus,X,Y ring,K mesh,K fat-tree,K
    #[arg(long, value_name = "SHAPE", conflicts_with_all = ["file", "set"])]
    pub topo: Option<String>,
    /// Give a variable of the lab file another value
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
    /// Give the lab another name
    #[arg(long, value_name = "LAB")]
    pub name: Option<String>,
}

/// `nslab up`.
#[derive(Debug, Args)]
pub struct Up {
    /// What to build
    #[command(flatten)]
    pub file: FileArgs,
    /// Begin a lab with nothing in it
    #[arg(long, value_name = "LAB", conflicts_with_all = ["file", "set", "name", "topo"])]
    pub empty: Option<String>,
    /// Then ping every pair
    #[arg(long)]
    pub ping: bool,
}

/// `nslab plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// What to plan
    #[command(flatten)]
    pub file: FileArgs,
    /// As a shell script of ip(8) and sysctl(8) commands
    #[arg(long, conflicts_with = "json")]
    pub shell: bool,
    /// As if nothing of the lab existed
    #[arg(long)]
    pub fresh: bool,
}

/// `nslab down`.
#[derive(Debug, Args)]
pub struct Down {
    /// The lab [default: that of lab.yaml, or the only one]
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub lab: Option<String>,
    /// All labs
    #[arg(long, conflicts_with = "lab")]
    pub all: bool,
}

/// `nslab ls`.
#[derive(Debug, Args)]
pub struct Ls {
    /// One lab's nodes instead of all labs
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub lab: Option<String>,
}

/// `nslab show`.
#[derive(Debug, Args)]
pub struct Show {
    /// A lab, a node (NODE or LAB/NODE), `host`, `netns:NAME`, `pid:N` or `container:NAME` [default: the lab]
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub target: Option<String>,
    /// Show its firewall and address translation: what each line of the lab file did, and the tables of others
    #[arg(long)]
    pub firewall: bool,
}

/// `nslab exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// Run it as this user, a name or a number [default: the node's `user:`, else who you are]
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// The node (NODE or LAB/NODE), `host`, `netns:NAME`, `pid:N` or `container:NAME`
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub target: String,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<std::ffi::OsString>,
}

impl Exec {
    /// Reads `nslab exec TARGET [--] CMD…`, without any option, from all arguments of the process. Of a program that is
    /// started in a node again and again this is the quick way: to build the whole grammar and read by it takes as long
    /// as entering the node. Whatever is not of this very form is left to the grammar.
    pub(super) fn plain(arguments: impl Iterator<Item = std::ffi::OsString>) -> Option<Self> {
        let mut arguments = arguments.skip(1);
        if arguments.next()? != "exec" {
            return None;
        }
        let is_word = |word: &str| !word.starts_with('-');
        let target = arguments.next()?.into_string().ok().filter(|target| is_word(target))?;
        let mut command: Vec<_> = arguments.collect();
        if command.first()? == "--" {
            command.remove(0);
        } else if !command.first()?.to_str().is_some_and(is_word) {
            return None;
        }
        (!command.is_empty()).then_some(Self { user: None, target, command })
    }
}

/// `nslab shell`.
#[derive(Debug, Args)]
pub struct Shell {
    /// Run it as this user, a name or a number [default: the node's `user:`, else who you are]
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// The node (NODE or LAB/NODE), `host`, `netns:NAME`, `pid:N` or `container:NAME`
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub target: String,
}

/// `nslab logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// One node's programs (NODE or LAB/NODE), or a lab's
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub target: Option<String>,
    /// One program
    pub program: Option<String>,
    /// Only the last lines
    #[arg(short = 'n', long = "tail", value_name = "LINES")]
    pub tail: Option<usize>,
    /// Go on as more comes, until the programs end
    #[arg(short, long)]
    pub follow: bool,
}

/// `nslab ping`.
#[derive(Debug, Args)]
pub struct Ping {
    /// Who sends (NODE or LAB/NODE) [default: every node]
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub source: Option<String>,
    /// Who is to answer: a node or an address [default: every other node]
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub destination: Option<String>,
    /// The lab, where more than one runs
    #[arg(long, add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub lab: Option<String>,
    /// How many requests to each [default: 1, for one pair 4]
    #[arg(short = 'c', long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: Option<u32>,
    /// Seconds between requests to the same destination
    #[arg(short, long, default_value = "1", value_parser = seconds)]
    pub interval: std::time::Duration,
    /// Bytes of payload
    #[arg(short, long, default_value_t = 56, value_parser = clap::value_parser!(u16).range(..=65_467))]
    pub size: u16,
    /// Seconds to wait for an answer
    #[arg(short = 'W', long, default_value = "1", value_parser = seconds)]
    pub timeout: std::time::Duration,
    /// Forbid fragmentation
    #[arg(long = "df")]
    pub dont_fragment: bool,
    /// Hops that a request may take
    #[arg(short, long, value_parser = clap::value_parser!(u8).range(1..))]
    pub ttl: Option<u8>,
    /// IPv4 only
    #[arg(short = '4', conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only
    #[arg(short = '6')]
    pub ipv6: bool,
    /// Send from this address
    #[arg(long, value_name = "ADDRESS", requires = "source")]
    pub from: Option<IpAddr>,
}

/// Which lab an edit is for.
#[derive(Debug, Args)]
pub struct LabArg {
    /// The lab, where more than one runs
    #[arg(long, add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub lab: Option<String>,
}

/// `nslab node`.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Add nodes
    Add {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
        /// Make them routers
        #[arg(long)]
        forward: bool,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
    /// Remove nodes with their cables
    Del {
        /// Their names
        #[arg(required = true, add = clap_complete::ArgValueCandidates::new(complete_nodes))]
        names: Vec<String>,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
}

/// `nslab switch`.
#[derive(Debug, Subcommand)]
pub enum SwitchCommand {
    /// Add switches
    Add {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
    /// Remove switches with their cables
    Del {
        /// Their names
        #[arg(required = true, add = clap_complete::ArgValueCandidates::new(complete_nodes))]
        names: Vec<String>,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
}

/// `nslab link`.
#[derive(Debug, Subcommand)]
pub enum LinkCommand {
    /// Connect two nodes, or a node and a switch
    Add {
        /// One end: NODE[:INTERFACE] [ADDRESS/LENGTH …]
        one: String,
        /// The other end
        other: String,
        /// Bytes of layer 3 that it carries
        #[arg(long)]
        mtu: Option<u32>,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
    /// Remove a cable
    Del {
        /// One end: NODE:INTERFACE, or NODE together with the other end's
        one: String,
        /// The other end
        other: Option<String>,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
    /// Bring an interface up
    Up {
        /// NODE:INTERFACE
        interface: String,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
    /// Take an interface down
    Down {
        /// NODE:INTERFACE
        interface: String,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
}

/// `nslab addr`.
#[derive(Debug, Subcommand)]
pub enum AddrCommand {
    /// Give an interface an address
    Add {
        /// NODE:INTERFACE
        interface: String,
        /// ADDRESS/LENGTH
        address: String,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
    /// Take an address from an interface
    Del {
        /// NODE:INTERFACE
        interface: String,
        /// ADDRESS/LENGTH
        address: String,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
}

/// `nslab route`.
#[derive(Debug, Subcommand)]
pub enum RouteCommand {
    /// Add a route
    Add {
        /// The node
        #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
        node: String,
        /// Where
        #[command(flatten)]
        lab: LabArg,
        /// The route in the words of ip-route(8)
        #[arg(required = true)]
        route: Vec<String>,
    },
    /// Remove a route
    Del {
        /// The node
        #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
        node: String,
        /// Where
        #[command(flatten)]
        lab: LabArg,
        /// The route in the words of ip-route(8)
        #[arg(required = true)]
        route: Vec<String>,
    },
}

/// `nslab set`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub struct Set {
    /// NODE:INTERFACE, a link as 'NODE -- NODE', or the way between two nodes of one switch; 'NODE -> NODE' is one
    /// direction
    #[arg(required = true)]
    pub link: Vec<String>,
    /// Which lab
    #[command(flatten)]
    pub lab: LabArg,
    /// How long packets are held, as 50ms
    #[arg(long, value_name = "TIME", group = "what")]
    pub delay: Option<String>,
    /// By how much that varies to either side, as 5ms, or '5ms 25%' with a correlation
    #[arg(long, value_name = "TIME", group = "what")]
    pub jitter: Option<String>,
    /// How it is spread: uniform, normal, pareto or paretonormal
    #[arg(long, value_name = "NAME", group = "what")]
    pub distribution: Option<String>,
    /// Packets that are lost, as 1%, or '1% 25%' with a correlation, as the three that follow
    #[arg(long, value_name = "SHARE", group = "what")]
    pub loss: Option<String>,
    /// Packets that come twice
    #[arg(long, value_name = "SHARE", group = "what")]
    pub duplicate: Option<String>,
    /// Packets that overtake those that are held
    #[arg(long, value_name = "SHARE", group = "what")]
    pub reorder: Option<String>,
    /// Packets with one bit turned over
    #[arg(long, value_name = "SHARE", group = "what")]
    pub corrupt: Option<String>,
    /// Bits in a second, as 10mbit, or none
    #[arg(long, value_name = "RATE", group = "what")]
    pub rate: Option<String>,
    /// Take all of these away, before what is given besides
    #[arg(long, group = "what")]
    pub clear: bool,
    /// Bring it up
    #[arg(long, group = "what", conflicts_with = "down")]
    pub up: bool,
    /// Take it down
    #[arg(long, group = "what")]
    pub down: bool,
    /// Bytes of layer 3 that it carries
    #[arg(long, value_name = "BYTES", group = "what")]
    pub mtu: Option<u32>,
}

/// `nslab play`.
#[derive(Debug, Args)]
pub struct Play {
    /// A lab file whose timeline is played on the lab that runs, or a lab [default: the lab]
    #[arg(value_hint = ValueHint::FilePath, add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub what: Option<String>,
    /// What random numbers begin with [default: the lab file's `seed`, else chance]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// So many times as fast
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = speed)]
    pub speed: f64,
    /// Leave links as the timeline leaves them
    #[arg(long)]
    pub keep: bool,
}

/// `nslab export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The lab [default: that of lab.yaml, or the only one]
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub lab: Option<String>,
    /// As a shell script of ip(8) and sysctl(8) commands
    #[arg(long)]
    pub shell: bool,
    /// With every name, MAC, address and route written out
    #[arg(long, conflicts_with = "shell")]
    pub resolved: bool,
    /// A shape instead of a running lab, as `nslab up --topo` takes it
    #[arg(long, value_name = "SHAPE", conflicts_with = "lab")]
    pub topo: Option<String>,
    /// Give the shape's lab another name
    #[arg(long, value_name = "LAB", requires = "topo")]
    pub name: Option<String>,
}

/// `nslab import`.
#[derive(Debug, Args)]
pub struct Import {
    /// A containerlab topology file (*.clab.yml), or the directory of a Kathará lab
    #[arg(value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
    /// Write the lab file there instead of to standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Carry over all commands, also those that were meant for a container's own files
    #[arg(long)]
    pub run_all: bool,
    /// Put a plain router in the place of each node that needs an image
    #[arg(long)]
    pub stand_ins: bool,
    /// Give the lab another name
    #[arg(long, value_name = "LAB")]
    pub name: Option<String>,
}

/// `nslab completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: ShellName,
}

/// A shell that completions can be written for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ShellName {
    /// bash
    Bash,
    /// elvish
    Elvish,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// zsh
    Zsh,
}

/// `nslab man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Write one page for each command into this directory
    #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE is wanted".to_owned()),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| "a number is wanted".to_owned())?;
    if !(0.001..=1000.0).contains(&factor) {
        return Err("0.001 to 1000 is wanted".to_owned());
    }
    Ok(factor)
}

fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err("0 to 86400 seconds are wanted".to_owned());
    }
    Ok(std::time::Duration::from_secs_f64(seconds))
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

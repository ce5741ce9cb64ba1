//! Which programs touch nothing but the network.

use super::Outcome;
use crate::script::Simple;

/// How to have everything.
pub(super) const RUN_ALL: &str = "`--run-all` carries it over";

/// Configure the network of the namespace that they run in, and nothing else.
const NETWORK: [&str; 27] = [
    "ip",
    "ifconfig",
    "route",
    "arp",
    "iptables",
    "ip6tables",
    "iptables-legacy",
    "ip6tables-legacy",
    "iptables-nft",
    "ip6tables-nft",
    "ebtables",
    "arptables",
    "nft",
    "tc",
    "bridge",
    "ethtool",
    "ipset",
    "brctl",
    "vconfig",
    "ifenslave",
    "conntrack",
    "arping",
    "ndptool",
    "mii-tool",
    "iw",
    "ipvsadm",
    "devlink",
];
/// Configure it by a file.
const RESTORING: [&str; 2] = ["iptables-restore", "ip6tables-restore"];
/// Send, receive and serve without files.
const TRAFFIC: [&str; 7] = ["iperf3", "iperf", "nc", "ncat", "netcat", "socat", "netserver"];
/// Only print.
const PRINTING: [&str; 12] =
    ["echo", "printf", "true", ":", "date", "cat", "ls", "id", "uname", "pwd", "whoami", "set"];

/// The last part of a path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a container's program does nothing but keep the container.
pub(super) fn is_idle(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(|word| base_name(word)).collect();
    matches!(
        words[..],
        ["sh" | "bash" | "ash" | "zsh" | "cat"] | ["sleep", "infinity" | "inf"] | ["tail", "-f", "null"]
    )
}

/// Whether it serves or makes traffic and needs no file.
pub(super) fn is_server(words: &[String]) -> bool {
    let Some(program) = words.first().map(|word| base_name(word)) else { return false };
    TRAFFIC.contains(&program)
        || matches!(program, "ping" | "ping6")
        || (matches!(program, "python3" | "python")
            && (words.get(1..3).is_some_and(|two| two == ["-m", "http.server"])
                || words.get(1).is_some_and(|word| names_a_file(word))))
}

/// Whether a word is a shell.
pub(super) fn is_shell(word: &str) -> bool {
    matches!(base_name(word), "sh" | "bash" | "ash" | "dash")
}

/// The words that name files, but for the program itself.
pub(super) fn files(words: &[String]) -> impl Iterator<Item = &String> {
    words.iter().skip(1).filter(|word| names_a_file(word))
}

/// The path in a word, which may be an option with a value.
pub(super) fn file_in(word: &str) -> &str {
    word.split_once('=').map_or(word, |(_, path)| path)
}

/// Whether a command configures the network by files.
pub(super) fn is_for_files(simple: &Simple) -> bool {
    let program = simple.words.first().map(|word| base_name(word));
    let known = program.is_some_and(|program| NETWORK.contains(&program) || RESTORING.contains(&program));
    known && !simple.background && files(&simple.words).next().is_some()
}

fn names_a_file(word: &str) -> bool {
    let value = word.split_once('=').map_or(word, |(_, value)| value);
    value.starts_with('/') && !value.starts_with("/dev/null")
        || value.starts_with("./")
        || value.contains("EXEC:")
}

/// What to do with a command that no lab file has a word for.
pub(super) fn judge(simple: &Simple) -> Outcome {
    let Some(program) = simple.words.first().map(|word| base_name(word)) else {
        return Outcome::Done;
    };
    let arguments = &simple.words[1..];
    if let Some(output) = &simple.output {
        return Outcome::Skip(format!("it reads or writes {output}; {RUN_ALL}"));
    }
    if let Some(file) = arguments.iter().find(|word| names_a_file(word))
        && (NETWORK.contains(&program) || TRAFFIC.contains(&program))
    {
        return Outcome::Skip(format!("it needs the file {file}; {RUN_ALL}"));
    }
    match program {
        "ip" | "tc" | "bridge" if arguments.first().is_some_and(|word| is_elsewhere(word)) => {
            Outcome::skip("it works in another namespace, or on a file of commands")
        }
        "nft" if arguments.iter().any(|word| word == "-f") => {
            Outcome::Skip(format!("its rules are in a file; {RUN_ALL}"))
        }
        _ if NETWORK.contains(&program) && simple.background => {
            Outcome::Skip(format!("it runs in the background; {RUN_ALL}"))
        }
        _ if NETWORK.contains(&program) => Outcome::Run,
        // It puts itself into the background.
        "iperf3" | "iperf"
            if arguments.iter().any(|word| word == "-D" || word == "--daemon" || word == "-sD") =>
        {
            Outcome::Run
        }
        "sysctl" => Outcome::Skip(format!("it is about more than the network; {RUN_ALL}")),
        "sleep" | "wait" => {
            Outcome::skip("there is nothing to wait for: the network is complete before any program runs")
        }
        "ping" | "ping6" | "traceroute" => Outcome::skip("it changes nothing; `nslab ping` tries the lab"),
        "hostname" | "hostnamectl" => Outcome::skip("a node's hostname is its name"),
        _ if PRINTING.contains(&program) => Outcome::skip("it changes nothing"),
        "systemctl" | "service" | "rc-service" | "invoke-rc.d" => Outcome::Skip(format!(
            "it is meant for a container's service, here it would start this machine's; {RUN_ALL}"
        )),
        _ if simple.words[0].starts_with("/etc/init.d/") => Outcome::Skip(format!(
            "it is meant for a container's service, here it would start this machine's; {RUN_ALL}"
        )),
        _ => Outcome::Skip(format!(
            "{program} is meant for a container's files, here it would have this machine's; {RUN_ALL}"
        )),
    }
}

fn is_elsewhere(word: &str) -> bool {
    "netns".starts_with(word) && word.len() > 3
        || ["-n", "-netns", "--netns", "-b", "-batch", "--batch", "-all"].contains(&word)
}

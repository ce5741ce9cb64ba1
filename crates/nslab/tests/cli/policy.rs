//! Firewalls and address translation, with real connections.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::examples::{example, gone, is_healthy};
use crate::support::{Session, each_user};

each_user!(
    three_tier,
    home_nat,
    a_change_that_fails_leaves_the_firewall,
    a_firewall_comes_and_goes,
    translation_of_every_kind,
    hosts_have_firewalls,
    text_for_nft,
);

/// Connects to each `ADDRESS PORT PATIENCE` of its arguments, all at once, and prints what became of each and what the other
/// side answered.
const CONNECT: &str = r"
import errno, socket, sys, threading
targets = [target.split(' ') for target in sys.argv[1:]]
answers = [None] * len(targets)
def connect(number):
    address, port, patience = targets[number]
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM)
    one.settimeout(float(patience))
    try:
        one.connect((address, int(port)))
        answers[number] = 'ok ' + (one.recv(200).decode() if port == '7' else '')
    except TimeoutError:
        answers[number] = 'dropped'
    except OSError as error:
        answers[number] = errno.errorcode[error.errno]
threads = [threading.Thread(target=connect, args=[number]) for number in range(len(targets))]
for thread in threads: thread.start()
for thread in threads: thread.join()
print('\n'.join(answers))
";

/// A server on port 7, or on the ports of its arguments, that tells each client from which address it came.
const WHO: &str = r"
import socket, threading, sys
def server(port):
    return socket.create_server(('::', int(port)), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
def serve(server):
    while True:
        client, address = server.accept()
        client.sendall(address[0].removeprefix('::ffff:').encode())
        client.close()
for one in [server(port) for port in sys.argv[1:] or ['7']]:
    threading.Thread(target=serve, args=[one]).start()
";

fn has_python(session: &Session) -> bool {
    let found = session.other("python3").arg("-V").output().is_ok();
    if !found {
        nslab_testing::skip("there is no python3");
    }
    found
}

/// What became of a connection from a node to each address and port, which is to be what is expected: for what is to
/// come one waits however busy the machine is.
fn connect<S: AsRef<str>>(
    session: &Session,
    node: &str,
    targets: &[(String, u16)],
    expected: &[S],
) -> Vec<String> {
    assert_eq!(targets.len(), expected.len());
    let mut arguments: Vec<String> =
        ["exec", node, "--", "python3", "-c", CONNECT].map(str::to_owned).to_vec();
    arguments.extend(targets.iter().zip(expected).map(|((address, port), expected)| {
        let patience = if expected.as_ref() == "dropped" { "1" } else { "20" };
        format!("{address} {port} {patience}")
    }));
    let answers = session.ok(&arguments);
    let answers: Vec<String> = answers.lines().map(|line| line.trim_end().to_owned()).collect();
    assert_eq!(answers.len(), targets.len());
    answers
}

/// Fails unless that became of the connections.
fn check<S: AsRef<str>>(session: &Session, node: &str, targets: &[(String, u16)], expected: &[S]) {
    let answers = connect(session, node, targets, expected);
    let expected: Vec<&str> = expected.iter().map(AsRef::as_ref).collect();
    assert_eq!(answers, expected, "from {node} to {targets:?}");
}

/// Each node's addresses.
fn addresses(session: &Session, lab: &str) -> BTreeMap<String, Vec<String>> {
    let topology = session.json(["show", lab]);
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for end in topology["links"].as_array().unwrap().iter().flat_map(|link| link["ends"].as_array().unwrap())
    {
        let Some(node) = end["device"]["node"].as_u64() else { continue };
        let name = topology["nodes"][usize::try_from(node).unwrap()]["name"].as_str().unwrap();
        let own = end["addresses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|net| net.as_str().unwrap().split('/').next().unwrap().to_owned());
        all.entry(name.to_owned()).or_default().extend(own);
    }
    all
}

/// The packets that a rule, found by a part of its text, decided about in a chain.
fn packets(session: &Session, node: &str, chain: &str, text: &str) -> u64 {
    let shown = session.json(["show", node, "--firewall"]);
    let rules = shown["rules"].as_array().unwrap();
    let found: Vec<&Value> = rules
        .iter()
        .filter(|rule| {
            rule["chain"] == chain && rule["rule"].as_str().is_some_and(|rule| rule.contains(text))
        })
        .collect();
    let [rule] = &found[..] else { panic!("{text}: {found:?} of {rules:#?}") };
    rule["packets"].as_u64().unwrap()
}

/// nft in a node, as another's hand.
fn nft(session: &Session, node: &str, arguments: &str) -> Option<String> {
    if session.other("nft").arg("-v").output().is_err() {
        nslab_testing::skip("there is no nft");
        return None;
    }
    let words = ["exec", node, "--", "nft"].into_iter().chain(arguments.split(' '));
    Some(session.ok(words))
}

fn three_tier(session: &Session) {
    if !has_python(session) {
        return;
    }
    let (lab, file) = example(session, "three-tier");
    let run = session.run(["up", &file, "--name", &lab]).status(0);
    assert!(!run.stderr.contains("warning"), "{run:#?}");
    is_healthy(session, &lab);
    // The table in the file.
    let text = std::fs::read_to_string(session.directory().join(&file)).unwrap();
    let allowed: BTreeSet<(String, String, u16)> = text
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.strip_prefix('#')?.split_whitespace().collect();
            let [from, to, port] = words[..] else { return None };
            Some((from.to_owned(), to.to_owned(), port.parse().ok()?))
        })
        .collect();
    assert_eq!(allowed.len(), 4, "{allowed:?}");
    let ports: BTreeSet<u16> = allowed.iter().map(|(.., port)| *port).collect();
    let nodes = addresses(session, &lab);
    assert_eq!(nodes.len(), 5);
    let tried = std::sync::atomic::AtomicU64::new(0);
    let (fw, tried) = (format!("{lab}/fw"), &tried);
    std::thread::scope(|scope| {
        for from in nodes.keys() {
            let (nodes, ports, allowed, lab) = (&nodes, &ports, &allowed, &lab);
            scope.spawn(move || {
                let mut pairs = Vec::new();
                for (to, addresses) in nodes.iter().filter(|(to, _)| *to != from) {
                    // Of its own network's two addresses, the firewall answers to both by the same rules.
                    let own = addresses
                        .iter()
                        .flat_map(|address| ports.iter().map(|port| (address.clone(), *port)));
                    pairs.extend(own.map(|target| (to.clone(), target)));
                }
                let targets: Vec<(String, u16)> = pairs.iter().map(|(_, target)| target.clone()).collect();
                let expected: Vec<&str> = pairs
                    .iter()
                    .map(|(to, (_, port))| {
                        let serves = allowed.iter().any(|(_, node, served)| node == to && served == port);
                        match from.as_str() {
                            // What the node itself begins is nobody's business.
                            "fw" if serves => "ok",
                            "fw" => "ECONNREFUSED",
                            _ if allowed.contains(&(from.clone(), to.clone(), *port)) => "ok",
                            _ => "dropped",
                        }
                    })
                    .collect();
                let dropped = expected.iter().filter(|expected| **expected == "dropped").count();
                tried.fetch_add(dropped.try_into().unwrap(), std::sync::atomic::Ordering::Relaxed);
                check(session, &format!("{lab}/{from}"), &targets, &expected);
            });
        }
    });
    // Each connection that was allowed was decided about once, in each family.
    for rule in ["to: web, tcp: 80", "to: app, tcp: 8080", "to: db, tcp: 5432"] {
        assert_eq!(packets(session, &fw, "forward", rule), 2, "{rule}");
    }
    // The firewall has an address of each family on each of its four links.
    // So many at once are more than the server's backlog: some are asked for again.
    assert!(packets(session, &fw, "input", "to: self, tcp: 22") >= 8);
    let dropped = ["input", "forward"].map(|chain| packets(session, &fw, chain, "default drop"));
    let tried = tried.load(std::sync::atomic::Ordering::Relaxed);
    assert!(dropped.iter().sum::<u64>() >= tried, "{dropped:?} of {tried}");
    session.ok(["ping", "--lab", &lab]);
    session.ok(["ping", "--lab", &lab, "-6"]);

    let shown = session.ok(["show", &fw, "--firewall"]);
    let line = text.lines().position(|line| line.contains("{from: web, to: app, tcp: 8080}")).unwrap() + 1;
    let line = format!("  {line}  allow {{from: web, to: app, tcp: 8080}}");
    assert!(shown.contains(&line), "{shown}");
    broken_by_hand(session, &lab, &file, &nodes);
    gone(session, &lab);
}

/// One rule less and one more than the file says.
fn broken_by_hand(session: &Session, lab: &str, file: &str, nodes: &BTreeMap<String, Vec<String>>) {
    let (fw, web) = (format!("{lab}/fw"), format!("{lab}/web"));
    let app: Vec<(String, u16)> = nodes["app"].iter().map(|address| (address.clone(), 8080)).collect();
    let shown = session.json(["show", &fw, "--firewall"]);
    let rules = shown["rules"].as_array().unwrap();
    let rule = rules.iter().find(|rule| rule["rule"].as_str().is_some_and(|text| text.contains("8080")));
    let handles = rule.unwrap()["handles"].as_array().unwrap();
    assert_eq!(handles.len(), 2);
    for handle in handles {
        let delete = format!("delete rule inet nslab forward handle {handle}");
        if nft(session, &fw, &delete).is_none() {
            return;
        }
    }
    nft(session, &fw, "add rule inet nslab input udp dport 53 counter accept");
    nft(session, &fw, "add table ip mine");
    nft(session, &fw, "add chain ip mine c");
    nft(session, &fw, "add rule ip mine c tcp dport 99 accept");
    check(session, &web, &app, &["dropped", "dropped"]);
    let plan = session.ok(["plan", file, "--name", lab]);
    assert!(plan.contains("forward lacks the rule `allow {from: web, to: app, tcp: 8080}` (line "), "{plan}");
    assert!(plan.contains("input has a rule that somebody added"), "{plan}");
    assert!(!plan.contains("mine"), "{plan}");
    let shown = session.ok(["show", &fw, "--firewall"]);
    assert!(shown.contains("udp dport 53") && shown.contains("table ip mine"), "{shown}");
    session.ok(["up", "-q", file, "--name", lab]);
    check(session, &web, &app, &["ok", "ok"]);
    let plan = session.ok(["plan", file, "--name", lab]);
    assert!(plan.contains("nothing to do"), "{plan}");
    // What is others' is left alone.
    let left = nft(session, &fw, "list table ip mine").unwrap_or_default();
    assert!(left.contains("tcp dport 99"), "{left}");
}

/// Prints the source of each IP packet that comes in by eth0, until it has seen what its arguments say it shall see.
const CAPTURE: &str = r"
import socket, sys
capture = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(3))
capture.bind(('eth0', 3))
capture.settimeout(20)
print('ready', flush=True)
seen = set()
while not seen >= set(sys.argv[1:]):
    packet, address = capture.recvfrom(2000)
    if address[2] == socket.PACKET_OUTGOING: continue
    if address[1] == 0x800: seen.add(socket.inet_ntop(socket.AF_INET, packet[12:16]))
    elif address[1] == 0x86dd: seen.add(socket.inet_ntop(socket.AF_INET6, packet[8:24]))
print('\n'.join(sorted(seen)))
";

fn home_nat(session: &Session) {
    if !has_python(session) {
        return;
    }
    let (lab, file) = example(session, "home-nat");
    let run = session.run(["up", &file, "--name", &lab]).status(0);
    assert!(!run.stderr.contains("warning"), "{run:#?}");
    is_healthy(session, &lab);
    let node = |name: &str| format!("{lab}/{name}");
    let router = ["203.0.113.2", "2001:db8::2"];
    let to = |addresses: &[&str], port: u16| -> Vec<(String, u16)> {
        addresses.iter().map(|address| ((*address).to_owned(), port)).collect()
    };
    let mut capture = session.command(["exec", &node("internet"), "--", "python3", "-c", CAPTURE]);
    capture.args(router);
    let mut capture = crate::support::Running::start(capture);
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(capture.child.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    for from in ["laptop", "nas"] {
        check(session, &node(from), &to(&["203.0.113.1", "2001:db8::1"], 8081), &["ok", "ok"]);
    }
    let seen: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(capture.end().success());
    // Link-local addresses are neighbours' own business and never leave a link.
    let routed: Vec<&String> = seen.iter().filter(|address| !address.starts_with("fe80:")).collect();
    assert_eq!(routed, ["2001:db8::2", "203.0.113.2"]);
    // The port forward: from outside and from inside, where the answer must come back through the router.
    check(session, &node("internet"), &to(&router, 8080), &["ok", "ok"]);
    check(session, &node("laptop"), &to(&router, 8080), &["ok", "ok"]);
    check(session, &node("nas"), &to(&router, 8080), &["ok", "ok"]);
    // Nothing else comes in.
    check(session, &node("internet"), &to(&router, 80), &["dropped", "dropped"]);
    session.ok(["ping", &node("laptop"), "203.0.113.1", "-c1"]);
    session.ok(["ping", &node("internet"), "203.0.113.2", "-c1"]);
    gone(session, &lab);
}

fn a_change_that_fails_leaves_the_firewall(session: &Session) {
    let lab_file = |rule: &str, run: &str| {
        format!(
            "nodes: {{r: {{forward: true, firewall: {{default: drop, allow: [{rule}]}}, run: [{run}]}}, a: {{}}}}\n\
             links: [[r, a]]\n"
        )
    };
    let (lab, file) = session.lab_file(&lab_file("{tcp: 80}", ""));
    session.ok(["up", &file]);
    let node = format!("{lab}/r");
    let before = session.json(["show", &node, "--firewall"]);
    session.file(
        &file,
        format!("name: {lab}\n{}", lab_file("{tcp: 81}", "{command: \"exit 7\", ready: {tcp: 1}}")),
    );
    session.run(["up", &file]).status(4);
    let after = session.json(["show", &node, "--firewall"]);
    let texts = |shown: &Value| -> Vec<Value> {
        shown["rules"].as_array().unwrap().iter().map(|rule| rule["rule"].clone()).collect()
    };
    assert_eq!(texts(&before), texts(&after));
    assert!(texts(&after).contains(&"allow {tcp: 80}".into()), "{after}");
    gone(session, &lab);
}

fn a_firewall_comes_and_goes(session: &Session) {
    let with = |policy: &str| format!("nodes: {{r: {{forward: true{policy}}}, a: {{}}}}\nlinks: [[r, a]]\n");
    let (lab, file) = session.lab_file(&with(""));
    session.ok(["up", &file]);
    let node = format!("{lab}/r");
    let tables =
        || session.json(["show", &node, "--firewall"])["ruleset"]["tables"].as_array().unwrap().len();
    assert_eq!(tables(), 0);
    let change = |policy: &str| session.file(&file, format!("name: {lab}\n\n\n{}", with(policy)));
    change(", firewall: {default: drop, allow: [{tcp: 80}]}");
    session.ok(["up", &file]);
    assert_eq!(tables(), 1);
    // Only lines moved: nothing is loaded anew, and the new lines are shown.
    session.file(
        &file,
        format!("name: {lab}\n\n\n\n\n{}", with(", firewall: {default: drop, allow: [{tcp: 80}]}")),
    );
    let run = session.run(["up", &file]).status(0);
    assert!(run.stderr.contains("nothing was changed"), "{run:#?}");
    let shown = session.ok(["show", &node, "--firewall"]);
    assert!(shown.contains("  6  allow {tcp: 80}"), "{shown}");
    // What is running can be written down and is the same again.
    let exported = session.ok(["export", &lab]);
    assert!(exported.contains("- {tcp: 80}"), "{exported}");
    session.file(&file, exported);
    assert!(session.ok(["plan", &file]).contains("nothing to do"));
    change("");
    let plan = session.ok(["plan", &file]);
    assert!(plan.contains("r: delete the nftables table inet nslab"), "{plan}");
    session.ok(["up", &file]);
    assert_eq!(tables(), 0);
    let shown = session.ok(["show", &node, "--firewall"]);
    assert!(shown.contains("has no firewall"), "{shown}");
    session.run(["show", &lab, "--firewall"]).status(2).says("a firewall belongs to a node");
    gone(session, &lab);
}

fn translation_of_every_kind(session: &Session) {
    if !has_python(session) {
        return;
    }
    let who = |ports: &str| {
        format!("{{command: [python3, -c, {WHO:?}{ports}], name: who, timeout: 100s, ready: {{tcp: 7}}}}")
    };
    let lab = session.up(&format!(
        "routing: none\n\
         nodes:\n  \
           out: {{forward: true, run: [{}]}}\n  \
           r:\n    \
             forward: true\n    \
             gateway: out\n    \
             nat:\n      \
               - {{masquerade: outside, from: a}}\n      \
               - {{one_to_one: {{outside: 203.0.113.7, inside: b}}}}\n      \
               - {{one_to_one: {{outside: \"2001:db8::7\", inside: b}}}}\n      \
               - {{snat: {{from: c, to: outside, address: [203.0.113.8, \"2001:db8::8\"]}}}}\n      \
               - {{forward: {{tcp: [7, 1000-1010], to: c, from: outside}}}}\n  \
           a: {{gateway: r}}\n  \
           b: {{gateway: r, run: [{}]}}\n  \
           c: {{gateway: r, run: [{}]}}\n\
         switches: {{lan: {{}}}}\n\
         links:\n  \
           - [out 203.0.113.1/24 2001:db8::1/64, r:wan 203.0.113.2/24 203.0.113.7/24 203.0.113.8/24 2001:db8::2/64 2001:db8::7/64 2001:db8::8/64]\n  \
           - [r 10.0.0.1/24 fd00:1::1/64, lan]\n  \
           - [a 10.0.0.2/24 fd00:1::2/64, lan]\n  \
           - [b 10.0.0.3/24 fd00:1::3/64, lan]\n  \
           - [c 10.0.0.4/24 fd00:1::4/64, lan]\n",
        who(""), who(""), who(", \"7\", \"1005\"")
    ));
    let node = |name: &str| format!("{lab}/{name}");
    let to = |addresses: [&str; 2], port: u16| addresses.map(|address| (address.to_owned(), port));
    let out = ["203.0.113.1", "2001:db8::1"];
    // Whom the outside sees.
    for (from, seen) in [
        ("a", ["203.0.113.2", "2001:db8::2"]),
        ("b", ["203.0.113.7", "2001:db8::7"]),
        ("c", ["203.0.113.8", "2001:db8::8"]),
    ] {
        let answers = connect(session, &node(from), &to(out, 7), &["ok", "ok"]);
        // An interface may have several addresses; the kernel takes the one that suits the way.
        let seen = seen.map(|seen| format!("ok {seen}"));
        if from == "a" {
            assert_eq!(answers[0], seen[0]);
            assert!(answers[1].starts_with("ok 2001:db8::"), "{answers:?}");
        } else {
            assert_eq!(answers, seen, "{from}");
        }
    }
    // Who answers the outside.
    check(session, &node("out"), &to(["203.0.113.7", "2001:db8::7"], 7), &out.map(|out| format!("ok {out}")));
    check(session, &node("out"), &to(["203.0.113.2", "2001:db8::2"], 7), &out.map(|out| format!("ok {out}")));
    check(session, &node("out"), &to(["203.0.113.2", "2001:db8::2"], 1005), &["ok", "ok"]);
    check(
        session,
        &node("out"),
        &to(["203.0.113.2", "2001:db8::2"], 1011),
        &["ECONNREFUSED", "ECONNREFUSED"],
    );
    // From beside it, by the address that others see: the answer comes back through the router.
    check(session, &node("a"), &to(["203.0.113.7", "2001:db8::7"], 7), &["ok 10.0.0.1", "ok fd00:1::1"]);
    // `from: outside` is not from inside: the router itself is asked, and nobody listens there.
    check(session, &node("a"), &to(["203.0.113.2", "2001:db8::2"], 7), &["ECONNREFUSED", "ECONNREFUSED"]);
    gone(session, &lab);
}

fn hosts_have_firewalls(session: &Session) {
    if !has_python(session) {
        return;
    }
    let who = |ports: &str, last: u16| {
        format!(
            "{{command: [python3, -c, {WHO:?}, {ports}], name: who, timeout: 100s, ready: {{tcp: {last}}}}}"
        )
    };
    let lab = session.up(&format!(
        "nodes:\n  \
           a:\n    \
             run: [{}]\n    \
             firewall:\n      \
               default: {{input: reject, output: drop}}\n      \
               allow: [{{from: b, tcp: [80, 8000-8010]}}, {{from: self, to: b, tcp: 7}}]\n      \
               deny: [{{tcp: 443}}]\n  \
           b: {{run: [{}]}}\n\
         links: [[a, b]]\n",
        who("\"80\", \"443\", \"8005\", \"22\"", 22),
        who("\"7\", \"8\"", 8)
    ));
    let nodes = addresses(session, &lab);
    let to = |node: &str, ports: &[u16]| -> Vec<(String, u16)> {
        nodes[node].iter().flat_map(|address| ports.iter().map(|port| (address.clone(), *port))).collect()
    };
    // Refused by a reset, which looks as if nobody listened; 443 without a word.
    let answers = ["ok", "ok", "dropped", "ECONNREFUSED"];
    let twice = |answers: &[&'static str]| [answers, answers].concat();
    check(session, &format!("{lab}/b"), &to("a", &[80, 8005, 443, 22]), &twice(&answers));
    let peer = |number: usize| format!("ok {}", nodes["a"][number]);
    let answers = [peer(0), "dropped".to_owned(), peer(1), "dropped".to_owned()];
    check(session, &format!("{lab}/a"), &to("b", &[7, 8]), &answers);
    gone(session, &lab);
}

fn text_for_nft(session: &Session) {
    if session.other("nft").arg("-v").output().is_err() {
        return nslab_testing::skip("there is no nft");
    }
    let with = |rule: &str, firewall: &str| {
        format!(
            "nodes:\n  a:\n    firewall: {firewall}\n    nft:\n      - |\n        table inet mine {{\n          chain c {{\n            \
             type filter hook input priority 5\n            {rule}\n          }}\n        }}\n      - {{file: more.nft}}\n  \
             b: {{}}\nlinks: [[a, b]]\n"
        )
    };
    session.file("more.nft", "table ip more {\n}\n");
    let (lab, file) = session.lab_file(&with("iif eth0 tcp dport 99 drop", "{default: drop}"));
    let node = format!("{lab}/a");
    let change = |rule: &str, firewall: &str| {
        session.file(&file, format!("name: {lab}\n{}", with(rule, firewall)));
    };
    let shown = || session.ok(["show", &node, "--firewall"]);
    // A fault in it makes nothing.
    change("iif eth0 tcp dprot 99 drop", "{default: drop}");
    session.run(["up", &file]).status(2).says("line 10: nft does not take the text of a: syntax error");
    session.assert_nothing_of(&lab);
    change("iif eth0 tcp dport 99 drop", "{default: drop}");
    session.ok(["up", &file]);
    assert!(session.ok(["plan", &file]).contains("nothing to do"));
    let text = shown();
    for part in ["tcp dport 99", "table ip more", "default drop"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // It changes as a whole, and even where it takes the node's own table with it that comes back.
    session.file("more.nft", "flush ruleset\ntable ip other {\n}\n");
    change("iif eth0 tcp dport 98 drop", "{default: drop}");
    assert!(session.ok(["plan", &file]).contains("a: load anew"));
    session.ok(["up", &file]);
    let text = shown();
    assert!(text.contains("table ip other") && text.contains("default drop"), "{text}");
    assert!(!text.contains("table ip more") && !text.contains("dport 99"), "{text}");
    session.file("more.nft", "table ip more {\n}\ntabel x\n");
    session.run(["up", &file]).status(2).says("more.nft:3: nft does not take the text of a");
    session.file("more.nft", "table ip more {\n}\n");
    change("iif eth0 tcp dport 97 drop", "{default: accept}");
    session.ok(["up", &file]);
    let text = shown();
    assert!(text.contains("dport 97") && text.contains("table ip more"), "{text}");
    assert!(!text.contains("table ip other") && !text.contains("default drop"), "{text}");
    // A table that somebody took away comes back.
    nft(session, &node, "delete table inet mine");
    assert!(session.ok(["plan", &file]).contains("lines of text with nft"));
    session.ok(["up", &file]);
    assert!(shown().contains("dport 97"));
    std::fs::remove_file(session.directory().join("more.nft")).unwrap();
    session.run(["plan", &file]).status(2).says("more.nft: No such file");
    session.file(&file, format!("name: {lab}\nnodes: {{a: {{}}, b: {{}}}}\nlinks: [[a, b]]\n"));
    session.ok(["up", &file]);
    assert!(shown().contains("has no firewall"), "{}", shown());
    gone(session, &lab);
}

//! Each example is built, tried and taken away.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Run, Session, as_user, each_user};

each_user!(
    bgp,
    fat_tree,
    full_kernel_lossy,
    full_kernel_site_to_site,
    full_kernel_vlans,
    guide,
    ospf_ring,
    red_blue_green,
    routers,
    services,
    star_1000
);
as_user!(the_guide_to_the_letter);

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

/// How long a routing daemon may take, on a machine with other things to do.
const LIMIT: Duration = Duration::from_secs(180);

/// A copy of an example that the session's user may read, under a name of its own.
pub(crate) fn example(session: &Session, name: &str) -> (String, String) {
    let text = std::fs::read_to_string(Path::new(EXAMPLES).join(format!("{name}.yaml"))).unwrap();
    let lab = session.lab(name);
    let file = format!("{name}.yaml");
    // What is ready at once on a machine that has nothing else to do.
    let text = text.replace(", ready: {", ", timeout: 100s, ready: {");
    // As root bare names could be somebody else's.
    session.file(&file, text.replace("prefix: \"\"", &format!("prefix: \"{lab}-\"")));
    (lab, file)
}

/// Pairs that answered, and that did not.
fn answers(rows: &Value) -> [Vec<(&str, &str)>; 2] {
    let of = |answered: bool| {
        let rows = rows.as_array().unwrap().iter();
        rows.filter(|row| (row["received"] == row["sent"]) == answered)
            .map(|row| (row["from"].as_str().unwrap(), row["to"].as_str().unwrap()))
            .collect()
    };
    [of(true), of(false)]
}

/// Fails if `doctor` finds anything in a lab that is as it should be.
pub(crate) fn is_healthy(session: &Session, lab: &str) {
    assert_eq!(session.json(["doctor", lab])["faults"], serde_json::json!([]), "{lab}");
}

/// Waits for that: until routing daemons agree, packets may go round in circles.
fn gets_healthy(session: &Session, lab: &str) {
    let end = Instant::now() + LIMIT;
    while session.run(["doctor", lab]).code != Some(0) {
        assert!(Instant::now() < end, "{}", session.run(["doctor", lab]).stdout);
    }
}

pub(crate) fn gone(session: &Session, lab: &str) {
    session.ok(["down", lab]);
    session.assert_no_holder();
    session.assert_nothing_of(lab);
}

#[test]
fn none_is_forgotten() {
    let mut names: Vec<String> = std::fs::read_dir(EXAMPLES)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "bgp.yaml",
            "fat-tree.yaml",
            "guide.yaml",
            "home-nat.yaml",
            "lossy.yaml",
            "ospf-ring.yaml",
            "red-blue-green.yaml",
            "routers.yaml",
            "services.yaml",
            "site-to-site.yaml",
            "star-1000.yaml",
            "three-tier.yaml",
            "vlans.yaml"
        ]
    );
}

fn guide(session: &Session) {
    let (lab, file) = example(session, "guide");
    session
        .run(["up", &file, "--name", &lab])
        .status(0)
        .says("warning[overlapping-subnets]: 10.0.0.0/24 is on two separate segments: the cable red–blue and the switch br0 (green)")
        .says("so red and blue cannot reach green");
    let run = session.run(["ping", "--lab", &lab, "-W3", "--json"]).status(1);
    let rows = serde_json::from_str(&run.stdout).unwrap();
    let [answered, lost] = answers(&rows);
    assert_eq!(answered, [("red", "blue"), ("blue", "red")]);
    assert_eq!(lost.len(), 4);
    session.run(["ping", &format!("{lab}/red"), "green", "-c1", "-W0.3"]).status(1);
    // What the guide got wrong is found, and nothing else.
    let faults = session.json(["doctor", &lab]);
    let codes: Vec<&str> =
        faults["faults"].as_array().unwrap().iter().map(|fault| fault["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["WRONG_SEGMENT"]);
    gone(session, &lab);
}

fn the_guide_to_the_letter(session: &Session) {
    let text = std::fs::read_to_string(Path::new(EXAMPLES).join("guide.yaml")).unwrap();
    session.file("guide.yaml", text);
    session.ok(["up", "guide.yaml"]);
    if nslab_testing::Oracle::find().is_some() {
        let mut shell = session.command(["shell", "host"]);
        shell.env("SHELL", "/bin/sh");
        let script = b"ip netns list | sort\nip netns exec red ip -br address show veth-red\n";
        let seen = Run::with_input(shell, script).ok();
        let lines: Vec<&str> = seen.lines().collect();
        let names: Vec<&str> = lines[..4].iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(names, ["blue", "br0", "green", "red"], "{seen}");
        assert!(lines[4].contains("10.0.0.1/24"), "{seen}");
    }
    gone(session, "guide");
}

fn red_blue_green(session: &Session) {
    let (lab, file) = example(session, "red-blue-green");
    let run = session.run(["up", &file, "--name", &lab, "--ping"]).status(0);
    assert!(run.stdout.contains("6 pairs: all answered"), "{run:#?}");
    assert!(!run.stderr.contains("warning"), "{run:#?}");
    is_healthy(session, &lab);
    gone(session, &lab);
}

fn routers(session: &Session) {
    let (lab, file) = example(session, "routers");
    let run = session.run(["up", &file, "--name", &lab]).status(0);
    assert!(!run.stderr.contains("warning"), "{run:#?}");
    for family in ["-4", "-6"] {
        let rows = session.json(["ping", "--lab", &lab, family]);
        assert_eq!(rows.as_array().unwrap().len(), 30, "{family}");
    }
    is_healthy(session, &lab);
    gone(session, &lab);
}

fn fat_tree(session: &Session) {
    let (lab, file) = example(session, "fat-tree");
    let run = session.run(["up", &file, "--name", &lab]).status(0);
    assert!(!run.stderr.contains("warning"), "{run:#?}");
    for family in ["-4", "-6"] {
        // `ping` ends with 1 if an answer is missing.
        let rows = session.json(["ping", "--lab", &lab, family]);
        assert_eq!(rows.as_array().unwrap().len(), 36 * 35, "{family}");
    }
    // Both aggregation routers of the pod are used.
    let routes = session.json(["show", &format!("{lab}/edge1")]);
    let several = routes["routes"].as_array().unwrap().iter();
    let several = several.filter(|route| route.to_string().matches("\"via\"").count() > 1).count();
    assert!(several > 0, "{routes}");
    is_healthy(session, &lab);
    // Without one of the ways the others are used.
    session.ok(["link", "down", "edge1:eth2", "--lab", &lab]);
    session.ok(["ping", &format!("{lab}/h1"), "h16", "-c1"]);
    gone(session, &lab);
}

fn services(session: &Session) {
    if session.other("python3").arg("-V").output().is_err() {
        return nslab_testing::skip("there is no python3");
    }
    let (lab, file) = example(session, "services");
    // Its file in /tmp is named once, and this test runs twice at a time.
    let path = session.directory().join(&file);
    let mark = session.directory().join("prepared");
    let text = std::fs::read_to_string(path).unwrap();
    session.file(&file, text.replace("/tmp/nslab-services-prepared", &mark.to_string_lossy()));
    session.ok(["up", &file, "--name", &lab]);
    // All are ready as soon as `up` says so.
    session.ok(["ping", "--lab", &lab]);
    let client = format!("{lab}/client");
    let fetch = "import urllib.request as u; print(u.urlopen('http://www/', timeout=5).status)";
    assert_eq!(session.ok(["exec", &client, "--", "python3", "-c", fetch]), "200\n");
    let ask = "import socket as s; c = s.socket(s.AF_INET, s.SOCK_DGRAM); c.settimeout(5); \
               c.sendto(b'?', ('clock', 5353)); print(len(c.recv(99)))";
    assert_eq!(session.ok(["exec", &client, "--", "python3", "-c", ask]), "25\n");
    assert!(mark.exists());
    let logs = session.ok(["logs", &format!("{lab}/web")]);
    assert!(logs.contains("GET / HTTP/1.1"), "{logs}");
    let nodes = session.json(["ls", &lab]);
    let programs = nodes.as_array().unwrap().iter().flat_map(|node| node["programs"].as_array().unwrap());
    let states: Vec<&Value> = programs.map(|program| &program["state"]).collect();
    assert_eq!(states, ["running"; 4]);
    is_healthy(session, &lab);
    gone(session, &lab);
}

/// Pings until it is answered: routing daemons need their time.
fn ping_until_answered(session: &Session, lab: &str, from: &str, to: &str) -> Duration {
    let began = Instant::now();
    let from = format!("{lab}/{from}");
    loop {
        let run = session.run(["ping", "-q", &from, to, "-c1", "-W0.2"]);
        if run.code == Some(0) {
            return began.elapsed();
        }
        assert!(began.elapsed() < LIMIT, "{from} does not reach {to}: {run:#?}");
    }
}

#[expect(clippy::print_stderr, reason = "what was measured")]
fn ospf_ring(session: &Session) {
    let daemon = Path::new("/usr/lib/frr/ospfd");
    if !daemon.exists() {
        return nslab_testing::skip(&format!("there is no {} (FRR)", daemon.display()));
    }
    let (lab, file) = example(session, "ospf-ring");
    session.ok(["up", "-q", &file, "--name", &lab]);
    let converged = ["h2", "h3", "h4"].map(|to| ping_until_answered(session, &lab, "h1", to));
    let hops = |to: &str| -> Option<usize> {
        // Each router takes one from the TTL: the smallest that arrives is one more than there are routers.
        let arrives = |ttl: &usize| {
            let ttl = ttl.to_string();
            session.run(["ping", "-q", &format!("{lab}/h1"), to, "-c1", "-W0.5", "--ttl", &ttl]).code
                == Some(0)
        };
        (1..8).find(arrives).map(|ttl| ttl - 1)
    };
    // Routers know of the others' networks at different times.
    let gets_to = |count: usize, what: &str| {
        let end = Instant::now() + LIMIT;
        while hops("h2") != Some(count) {
            assert!(Instant::now() < end, "{what}");
        }
    };
    gets_to(2, "the short way is not taken");
    for (from, to) in [("h2", "h3"), ("h2", "h4"), ("h3", "h4")] {
        ping_until_answered(session, &lab, from, to);
    }
    gets_healthy(session, &lab);
    session.ok(["link", "down", "r1:eth1", "--lab", &lab]);
    let healed = ping_until_answered(session, &lab, "h1", "h2");
    gets_to(4, "the way round is h1, r1, r4, r3, r2, h2");
    eprintln!("OSPF: converged in {converged:.2?}, healed in {healed:.2?}");
    // The same sockets for all programs of the node, and not the host's.
    let r1 = format!("{lab}/r1");
    let seen = session.ok(["exec", &r1, "--", "vtysh", "-c", "show ip ospf neighbor"]);
    assert!(seen.contains("192.0.2.4"), "{seen}");
    assert!(!seen.contains("192.0.2.2"), "{seen}");
    session.ok(["link", "up", "r1:eth1", "--lab", &lab]);
    gets_to(2, "the short way does not come back");
    gone(session, &lab);
}

#[expect(clippy::print_stderr, reason = "what was measured")]
fn bgp(session: &Session) {
    if session.other("bird").arg("--version").output().is_err() {
        return nslab_testing::skip("there is no bird (BIRD 2)");
    }
    let (lab, file) = example(session, "bgp");
    session.ok(["up", "-q", &file, "--name", &lab]);
    let converged = ping_until_answered(session, &lab, "h1", "h4");
    let as1 = format!("{lab}/as1");
    let best = || {
        let all =
            session.ok(["exec", &as1, "--", "birdc", "show", "route", "primary", "all", "for", "10.4.0.1"]);
        let path = all.lines().find_map(|line| line.trim().strip_prefix("BGP.as_path: "));
        path.unwrap_or_default().to_owned()
    };
    // Which of the two short ways is preferred is chance; a longer one may have been there before.
    let end = Instant::now() + LIMIT;
    while !["65002 65004", "65003 65004"].contains(&&best()[..]) {
        assert!(Instant::now() < end, "{}", best());
    }
    gets_healthy(session, &lab);
    session.ok(["link", "down", "as2:to-as4", "--lab", &lab]);
    let healed = ping_until_answered(session, &lab, "h1", "h4");
    let end = Instant::now() + LIMIT;
    while best() != "65003 65004" {
        assert!(Instant::now() < end, "{}", best());
    }
    eprintln!("BGP: converged in {converged:.2?}, healed in {healed:.2?}");
    gone(session, &lab);
}

fn star_1000(session: &Session) {
    let (lab, file) = example(session, "star-1000");
    session.ok(["up", "-q", &file, "--name", &lab]);
    let nodes = session.json(["ls", &lab]);
    assert_eq!(nodes.as_array().unwrap().len(), 1001);
    session.ok(["ping", &format!("{lab}/h1"), "h1000", "-c1"]);
    is_healthy(session, &lab);
    gone(session, &lab);
}

fn full_kernel_lossy(session: &Session) {
    let (lab, file) = example(session, "lossy");
    let run = session.run(["up", &file, "--name", &lab]);
    if run.code == Some(3) {
        // A kernel without netem: refused with the line and the option, and nothing is made.
        run.says(&format!("({file}:15:30)"))
            .says("CONFIG_NET_SCH_NETEM")
            .says("rate and loss work without it");
        session.assert_nothing_of(&lab);
        return;
    }
    run.status(0);
    for (from, to, least) in [("hq", "alpha", 26.0), ("hq", "beta", 80.0), ("laptop", "hq", 16.0)] {
        // One of these may be lost.
        let rows = session.run(["ping", &format!("{lab}/{from}"), to, "-c5", "-i0.1", "-W5", "--json"]);
        let rows: Value = serde_json::from_str(&rows.stdout).unwrap();
        let row = if rows.is_array() { &rows[0] } else { &rows };
        let time = row["rtt_ms"]["min"].as_f64().unwrap();
        assert!(time >= least, "{from} to {to}: {row}");
    }
    let played = session.json(["play", &lab]);
    assert_eq!((played["events"].as_array().unwrap().len(), &played["seed"]), (4, &1.into()), "{played}");
    assert!(session.ok(["plan", &file, "--name", &lab]).contains("nothing to do"));
    is_healthy(session, &lab);
    gone(session, &lab);
}

/// Builds an example; false, where this kernel lacks what it needs: then that is said and nothing was changed.
fn builds(session: &Session, lab: &str, file: &str) -> bool {
    let run = session.run(["up", "-q", file, "--name", lab]);
    if run.code != Some(3) {
        run.status(0);
        return true;
    }
    let said = run.stderr.split_once("it lacks ").unwrap_or_else(|| panic!("{run:#?}")).1.to_owned();
    assert!(said.starts_with("CONFIG_"), "{said}");
    session.run(["plan", file, "--name", lab]).status(3);
    session.assert_no_holder();
    session.assert_nothing_of(lab);
    nslab_testing::kernel_lacks(said.lines().next().unwrap_or_default());
    false
}

fn full_kernel_vlans(session: &Session) {
    let (lab, file) = example(session, "vlans");
    if !builds(session, &lab, &file) {
        return;
    }
    let run = session.run(["ping", "--lab", &lab, "--json"]);
    let rows = serde_json::from_str(&run.stdout).unwrap();
    let [_, lost] = answers(&rows);
    assert_eq!(lost, [("printer1", "printer2"), ("printer2", "printer1")]);
    is_healthy(session, &lab);
    gone(session, &lab);
}

fn full_kernel_site_to_site(session: &Session) {
    let (lab, file) = example(session, "site-to-site");
    if !builds(session, &lab, &file) {
        return;
    }
    // A handshake of which a packet is lost begins anew after five seconds (`REKEY_TIMEOUT`, drivers/net/wireguard/messages.h).
    let rome = format!("{lab}/host-rome");
    let answers = || session.run(["ping", &rome, "host-paris", "-c1", "-W1"]).code == Some(0);
    assert!((0..20).any(|_| answers()), "there is no handshake within 20 seconds");
    session.ok(["ping", "--lab", &lab]);
    is_healthy(session, &lab);
    gone(session, &lab);
}

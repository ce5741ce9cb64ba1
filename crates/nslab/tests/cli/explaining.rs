//! `explain`, against what really happens.

use serde_json::Value;

use crate::causes::shell;
use crate::examples::example;
use crate::support::{PAIR, Run, Session, each_user_alone, keys};

each_user_alone!(
    the_guides_case,
    by_hand,
    a_process_of_its_own_network,
    as_text,
    wrong_words,
    a_file_is_asked_as_the_host_is,
    options_make_the_packet,
    full_kernel_tunnels,
    full_kernel_ipvlans,
);

/// Fails unless the verdict and the code of its cause are these.
fn says(run: &Run, verdict: &str, code: Option<&str>) -> Value {
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
    assert_eq!(
        (report["verdict"].as_str(), report["cause"]["code"].as_str()),
        (Some(verdict), code),
        "{run:#?}"
    );
    assert_eq!(run.code, Some(i32::from(verdict != "delivered")), "{run:#?}");
    report
}

fn explain(session: &Session, words: &str) -> Run {
    session.run(["explain", "--json"].into_iter().chain(words.split(' ')))
}

/// The network of the guide is broken as it is written, and what is said about it mends it.
fn the_guides_case(session: &Session) {
    let (lab, file) = example(session, "guide");
    session.ok(["up", &file, "--name", &lab]);
    says(&explain(session, &format!("{lab}/red {lab}/blue")), "delivered", None);
    let question = format!("{lab}/red 10.0.0.3");
    let report = says(&explain(session, &question), "dropped", Some("WRONG_SEGMENT"));
    let text = report["cause"]["text"].as_str().unwrap();
    for named in [
        format!("{lab}/green:veth-green"),
        format!("the cable {lab}/red:veth-red – {lab}/blue:veth-blue"),
        format!("the bridge {lab}/br0:br0"),
    ] {
        assert!(text.contains(&named), "{named} is not in: {text}");
    }
    let at = &report["cause"]["where"];
    assert_eq!(
        (at["ns"].as_str(), at["object"].as_str()),
        (Some(&format!("{lab}/red")[..]), Some("veth-red"))
    );
    session.run(["ping", &format!("{lab}/red"), "10.0.0.3", "-c", "1", "-W", "0.4"]).status(1);
    // The whole text after "fix" can be pasted.
    let said = session.run(["explain", &format!("{lab}/red"), &format!("{lab}/green")]).status(1).stdout;
    let fix: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("fix (proved")).skip(1).collect();
    assert!(fix.len() > 2, "{said}");
    shell(session, &fix.join("\n")).unwrap();
    session.ok(["ping", &format!("{lab}/red"), "10.0.0.3", "-c", "1"]);
    says(&explain(session, &question), "delivered", None);
    // What was right before is so still.
    session.ok(["ping", &format!("{lab}/red"), "10.0.0.2", "-c", "1"]);
}

fn as_text(session: &Session) {
    let lab = session.up(PAIR);
    let (red, blue) = (format!("{lab}/red"), format!("{lab}/blue"));
    let said = session.ok(["explain", &red, &blue]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("{red} 10.0.0.1 → 10.0.0.2: ICMP echo request, 84 bytes, TTL 64"));
    assert!(lines.contains(&"the answer"), "{said}");
    assert_eq!(lines.last(), Some(&&format!("delivered to {blue}, and the answer comes back")[..]));
    for (number, line) in (1..).zip(lines.iter().filter(|line| line.starts_with("  ") && line.contains(&lab)))
    {
        assert_eq!(line.split_whitespace().next(), Some(&number.to_string()[..]), "{said}");
    }
    assert_eq!(session.ok(["explain", &red, &blue, "--short"]), format!("{}\n", lines[lines.len() - 1]));
    // Nothing listens, which the kernel says with a reset.
    let run = session.run(["explain", &red, &format!("{blue}:80/tcp"), "--short"]).status(1);
    let wanted = format!("rejected: NO_LISTENER at {blue}");
    assert!(run.stdout.starts_with(&wanted) && run.stdout.contains("TCP reset from 10.0.0.2"), "{run:#?}");
    // Nobody has that, which is an answer and no error.
    let run = session.run(["explain", &red, "10.0.0.77", "--short"]).status(1);
    assert!(run.stdout.starts_with(&format!("dropped: NEIGHBOUR_FAILED at {red}:eth0")), "{run:#?}");
    assert_eq!((run.stdout.lines().count(), &run.stderr[..]), (1, ""));
    session.ok(["down", &lab]);
}

fn wrong_words(session: &Session) {
    let lab = session.up(PAIR);
    let red = format!("{lab}/red");
    let close = format!("{lab}/blu");
    for (words, problem) in [
        (vec![&red[..], &close[..]], format!("did you mean \"{lab}/blue\"?")),
        (vec![&red[..], "netns:nonesuch-at-all"], "nonesuch-at-all".to_owned()),
        (vec!["pid:999999999", &red[..]], "999999999".to_owned()),
        (vec![&red[..], "10.0.0.2:0/tcp"], "1 to 65535".to_owned()),
        (vec![&red[..], "10.0.0.2:80/xyz"], "no protocol".to_owned()),
        (vec![&red[..], "10.0.0.2/tcp"], "names no port".to_owned()),
        (vec![&red[..], "fd00::2:80/tcp"], "in brackets".to_owned()),
        (vec![&red[..], "fe80::1%eth7"], "no interface \"eth7\"".to_owned()),
        (vec![&red[..], "10.0.0.2", "-6"], "family".to_owned()),
        (vec![&red[..], "fd00::2", "--from", "10.0.0.1"], "family".to_owned()),
        (vec![&red[..], "10.0.0.2", "--sport", "7"], "--sport".to_owned()),
        (vec![&red[..], "10.0.0.2", "--size", "65520"], "longer than".to_owned()),
        (vec![&red[..], "10.0.0.2", "--ttl", "0"], "0".to_owned()),
        (vec![&red[..], "10.0.0.2", "--mark", "x"], "a number of 32 bits".to_owned()),
        (vec![&red[..], "10.0.0.2", "--snapshot", "nonesuch.nslab"], "nonesuch.nslab".to_owned()),
        (vec![&red[..]], "DST".to_owned()),
    ] {
        session.run(std::iter::once("explain").chain(words)).status(2).says(&problem);
    }
    // A node without an address of that family.
    session.run(["explain", &red, &format!("{lab}/blue"), "-6"]).status(2).says("has no IPv6 address");
    session.ok(["down", &lab]);
}

fn options_make_the_packet(session: &Session) {
    let lab = session.up("
nodes: {red: {}, blue: {}}
links: [[red:eth0 10.0.0.1/24 10.0.0.11/24 fd00::1/64, blue:eth0 10.0.0.2/24 fd00::2/64]]
");
    let (red, blue) = (format!("{lab}/red"), format!("{lab}/blue"));
    let packet = |words: &str| {
        let run = explain(session, &format!("{red} {words}"));
        let report: Value =
            serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
        report["packet"].clone()
    };
    let plain = packet(&blue);
    assert_eq!(
        plain,
        serde_json::json!({
            "source": "10.0.0.1", "destination": "10.0.0.2", "protocol": 1, "sport": null, "dport": null, "ttl": 64,
            "size": 84, "df": false, "mark": 0
        })
    );
    let six = packet(&format!("{blue} -6 --size 100"));
    assert_eq!(
        (&six["source"], &six["protocol"], &six["size"]),
        (&"fd00::1".into(), &58.into(), &148.into())
    );
    let tcp = packet("[fd00::2]:443/tcp --sport 1234 --ttl 3 --mark 0x10");
    assert_eq!((&tcp["sport"], &tcp["dport"], &tcp["ttl"]), (&1234.into(), &443.into(), &3.into()));
    assert_eq!((&tcp["mark"], &tcp["protocol"], &tcp["size"]), (&16.into(), &6.into(), &80.into()));
    let udp = packet("10.0.0.2:53/udp --from 10.0.0.11 --df");
    assert_eq!(
        (&udp["source"], &udp["protocol"], &udp["df"]),
        (&"10.0.0.11".into(), &17.into(), &true.into())
    );
    assert_eq!(packet("10.0.0.2/47")["protocol"], 47);
    // A TTL that does not last, a size that does not fit.
    says(&explain(session, &format!("{red} 10.0.0.2 --size 3000 --df")), "dropped", Some("MTU_EXCEEDED"));
    // What is printed is what the schema says.
    let schema: Value = serde_json::from_str(&session.ok(["schema", "explain"])).unwrap();
    let run = explain(session, &format!("{red} 10.0.0.77"));
    let report = says(&run, "dropped", Some("NEIGHBOUR_FAILED"));
    assert_eq!(keys(&report), keys(&schema["properties"]));
    assert_eq!(keys(&report["cause"]), keys(&schema["$defs"]["Cause"]["properties"]));
    assert_eq!(keys(&report["hops"][0]), keys(&schema["$defs"]["Step"]["properties"]));
    session.ok(["down", &lab]);
}

fn a_file_is_asked_as_the_host_is(session: &Session) {
    let lab = session.up(PAIR);
    let red = format!("{lab}/red");
    let now = session.ok(["explain", &red, "10.0.0.2"]);
    session.ok(["snapshot", "save", "then.nslab"]);
    session.ok(["down", &lab]);
    assert_eq!(session.ok(["explain", &red, "10.0.0.2", "--snapshot", "then.nslab"]), now);
    session
        .run(["explain", &red, &format!("{lab}/blu"), "--snapshot", "then.nslab"])
        .status(2)
        .says("did you mean");
}

/// Runs a script where `ip netns` has names of its own; `fix` is there for it: it types what a text says mends it.
fn script(session: &Session, text: &str) -> String {
    let head = r"
set -e
mount -t tmpfs tmpfs /run
mkdir /run/netns
fix() { sed -n '/^fix (proved/,$p' | sed -n 's/^  //p' > fix.sh; test -s fix.sh; sh -e fix.sh; }
";
    let privilege = if session.is_root { "" } else { "--user --map-root-user" };
    let file = session.file("network.sh", format!("{head}{text}"));
    shell(session, &format!("unshare {privilege} --net --mount sh {}", file.display()))
        .unwrap_or_else(|said| panic!("{said}"))
}

/// Networks that nslab knows nothing of.
fn by_hand(session: &Session) {
    if nslab_testing::Oracle::find().is_none() {
        return;
    }
    let said = script(
        session,
        r"
for name in left router right; do ip netns add $name; ip -n $name link set dev lo up; done
ip link add name eth0 netns left type veth peer name left netns router
ip link add name eth0 netns right type veth peer name right netns router
ip -n left address add 10.0.0.1/24 dev eth0
ip -n left address add fd00::1/64 dev eth0 nodad
ip -n router address add 10.0.0.254/24 dev left
ip -n router address add fd00::fe/64 dev left nodad
ip -n router address add 10.0.1.254/24 dev right
ip -n router address add fd01::fe/64 dev right nodad
ip -n right address add 10.0.1.2/24 dev eth0
ip -n right address add fd01::2/64 dev eth0 nodad
ip -n left link set dev eth0 up
ip -n router link set dev left up
ip -n router link set dev right up
ip -n right link set dev eth0 up
ip -n left route add default via 10.0.0.254
ip -n left route add default via fd00::fe
ip netns exec router sh -c 'echo 0 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv6/conf/all/forwarding'
ip netns exec router nft 'table inet filter { chain forward { type filter hook forward priority 0; policy drop; }; }'
# Until nobody else can have the link-local addresses, a router asks from none.
while ip -n router address | grep -q tentative; do :; done
for to in 10.0.1.2 fd01::2; do
    nslab ping netns:left $to -c 1 -W 0.4 > /dev/null && exit 7
    nslab explain netns:left $to --short || true
    # Three causes, one after another: the router, its policy both ways, and the way back.
    nslab explain left $to > said || true
    fix < said
    cat fix.sh
    nslab ping netns:left $to -c 1 -W 5 > /dev/null
    nslab explain left $to --short
done
",
    );
    for wanted in [
        "dropped: FORWARDING_OFF at netns:router:left, net.ipv4.ip_forward",
        "ip netns exec router sysctl -w net.ipv4.ip_forward=1",
        "ip netns exec router nft add rule inet filter forward ip saddr 10.0.0.1 ip daddr 10.0.1.2 icmp type echo-request accept",
        "ip netns exec router nft add rule inet filter forward ip saddr 10.0.1.2 ip daddr 10.0.0.1 ct state established accept",
        "ip -n right route add 10.0.0.0/24 via 10.0.1.254 dev eth0",
        "ip netns exec router sysctl -w net.ipv6.conf.all.forwarding=1",
        "ip -n right route add fd00::/64 via fd01::fe dev eth0",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in:\n{said}");
    }
    assert_eq!(said.matches("delivered to netns:right").count(), 2, "{said}");
}

/// A process with a network of its own, which has no other name than its number.
fn a_process_of_its_own_network(session: &Session) {
    if nslab_testing::Oracle::find().is_none() {
        return;
    }
    let said = script(
        session,
        r#"
unshare --net sleep 1000 &
pid=$!
trap 'kill $pid' EXIT
own=$(readlink /proc/self/ns/net)
until [ "$(readlink /proc/$pid/ns/net)" != "$own" ]; do :; done
until [ "$(cat /proc/$pid/comm)" = sleep ]; do :; done
ip link add name to-process type veth peer name eth0 netns $pid
ip address add 10.0.0.1/24 dev to-process
ip link set dev lo up
ip link set dev to-process up
nsenter -t $pid --net ip address add 10.0.0.2/24 dev eth0
nslab explain host pid:$pid > said || true
grep -q "^dropped: NO_CARRIER at host:to-process" said || cat said
fix < said
sed "s/$pid/PID/" fix.sh
nslab ping host 10.0.0.2 -c 1 -W 5 > /dev/null
nslab explain host pid:$pid --short | sed "s/$pid/PID/"
nslab explain pid:$pid 10.0.0.1 --short
"#,
    );
    for wanted in [
        "nslab exec pid:PID -- ip link set dev eth0 up",
        "delivered to pid PID (sleep), and the answer comes back",
        "delivered to host, and the answer comes back",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in:\n{said}");
    }
}

/// Tunnels of IP, beside what really happens: whole, and with a network below that does not carry them.
fn full_kernel_tunnels(session: &Session) {
    let said = script(
        session,
        r#"
for name in ann mid bob; do
    ip netns add $name || exit 1
    ip netns exec $name sh -c 'for on in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 > $on; done'
    ip -n $name link set lo up
done
# Asks the kernel whether there are such.
ip -n ann link add probe type gre local 192.0.2.1 remote 192.0.2.2 || { echo lacks; exit 0; }
ip -n ann link del probe
for side in ann bob; do
    ip -n $side link add eth0 type veth peer name $side netns mid
    ip -n $side link set eth0 up
    ip -n mid link set $side up
done
ip -n ann address add 192.0.2.1/24 dev eth0
ip -n mid address add 192.0.2.254/24 dev ann
ip -n mid address add 198.51.100.254/24 dev bob
ip -n bob address add 198.51.100.1/24 dev eth0
ip -n ann route add default via 192.0.2.254
ip -n bob route add default via 198.51.100.254
ip netns exec mid sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
both() {
    ip -n ann link add t0 type $1 local 192.0.2.1 remote 198.51.100.1 $2
    ip -n bob link add t0 type $1 local 198.51.100.1 remote 192.0.2.1 $3
    for side in ann bob; do ip -n $side link set t0 up; done
    if [ $1 = sit ]; then ours=fd00::1 theirs=fd00::2 length=64; else ours=10.0.0.1 theirs=10.0.0.2 length=24; fi
    ip -n ann address add $ours/$length dev t0
    ip -n bob address add $theirs/$length dev t0
}
ask() {
    if nslab ping netns:ann $theirs -c 1 -W 2 > /dev/null; then really=yes; else really=no; fi
    echo "$1: really $really, $(nslab explain netns:ann $theirs --short | sed 's/:.*//; s/,.*//')"
}
gone() { ip -n ann link del t0; ip -n bob link del t0; }
for kind in gre gretap ipip sit; do both $kind; ask $kind; gone; done
both gre "key 5" "key 5"; ask key
ip netns exec mid sh -c 'echo 0 > /proc/sys/net/ipv4/ip_forward'; ask below
ip netns exec mid sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'; gone
both gre "key 5" "key 6"; ask keys; gone
"#,
    );
    if said.contains("lacks") {
        return nslab_testing::kernel_lacks("CONFIG_NET_IPGRE");
    }
    for kind in ["gre", "gretap", "ipip", "sit", "key"] {
        assert!(said.contains(&format!("{kind}: really yes, delivered to netns")), "{kind}: {said}");
    }
    assert!(said.contains("below: really no, dropped"), "{said}");
    assert!(said.contains("keys: really no, unknown"), "{said}");
}

/// Interfaces with one MAC, told apart by their addresses.
fn full_kernel_ipvlans(session: &Session) {
    let said = script(
        session,
        r#"
for name in far host one two; do
    ip netns add $name || exit 1
    ip netns exec $name sh -c 'for on in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 > $on; done'
    ip -n $name link set lo up
done
ip -n host link add eth0 type veth peer name eth0 netns far
for name in far host; do ip -n $name link set eth0 up; done
ip -n far address add 10.0.0.9/24 dev eth0
ip -n far address add fd00::9/64 dev eth0
ip -n host address add 10.0.0.1/24 dev eth0
# Asks the kernel whether there are such.
ip -n host link add probe link eth0 type ipvlan || { echo lacks; exit 0; }
ip -n host link del probe
both() {
    number=0
    for name in one two; do
        number=$((number + 1))
        ip -n host link add iv0 link eth0 netns $name type ipvlan mode $1 || exit 1
        ip -n $name link set iv0 up
        ip -n $name address add 10.0.0.1$number/24 dev iv0
        ip -n $name address add fd00::1$number/64 dev iv0
    done
}
ask() {
    if nslab ping netns:$2 $3 -c 1 -W 1 > /dev/null; then really=yes; else really=no; fi
    echo "$1: really $really, $(nslab explain netns:$2 $3 --short | sed 's/ at .*//; s/ to .*//')"
}
gone() { for name in one two; do ip -n $name link del iv0; done; }
both l2
ask like one 10.0.0.12; ask like6 one fd00::12; ask out one 10.0.0.9; ask in far 10.0.0.12
ask below one 10.0.0.1; gone
both "l2 private"; ask private one 10.0.0.12; gone
both "l2 vepa"; ask vepa one 10.0.0.12; gone
both l3; ask layer3 one 10.0.0.12; ask "layer3 out" one 10.0.0.9; gone
both l3s; ask layer3s one 10.0.0.12; gone
"#,
    );
    if said.contains("lacks") {
        return nslab_testing::kernel_lacks("CONFIG_IPVLAN");
    }
    for case in ["like", "like6", "out", "in", "layer3", "layer3s"] {
        assert!(said.contains(&format!("{case}: really yes, delivered")), "{case}: {said}");
    }
    for case in ["below", "private", "vepa"] {
        assert!(said.contains(&format!("{case}: really no, dropped")), "{case}: {said}");
    }
    assert!(said.contains("layer3 out: really yes, unknown"), "{said}");
}

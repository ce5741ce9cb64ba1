//! `nslab mtu` in networks whose path MTU is known, held against ping(8) and ip(8).

use serde_json::Value;

use crate::causes::shell;
use crate::support::{PAIR, Run, Session, each_user, each_user_alone};

each_user!(
    nothing_in_the_way,
    ends_of_a_cable_that_differ,
    a_narrow_link_behind_a_router,
    a_router_whose_word_is_dropped,
    a_sender_that_does_not_listen,
    by_prediction_alone,
    wrong_questions,
);
// Tunnels between the same addresses in another lab would be taken for its ends.
each_user_alone!(a_tunnel_in_a_bridge);

/// Two hosts and a router between them, whose second link takes less.
fn routed(firewall: &str) -> String {
    format!(
        "
addressing: none
routing: none
nodes:
  a: {{routes: [default via 10.0.0.254, default via fd00::254]}}
  r: {{forward: true{firewall}}}
  b: {{routes: [default via 10.0.1.254, default via fd01::254]}}
links:
  - [a:eth0 10.0.0.1/24 fd00::1/64, r:a 10.0.0.254/24 fd00::254/64]
  - [r:b 10.0.1.254/24 fd01::254/64, b:eth0 10.0.1.2/24 fd01::2/64, {{mtu: 1300}}]
"
    )
}

/// What the router does in the network of a black hole.
const SILENT: &str = ", nft: \"table inet filter { chain output { type filter hook output priority 0; \
                      icmp type destination-unreachable drop; icmpv6 type packet-too-big drop; }; }\"";

struct Asked {
    run: Run,
    report: Value,
}

fn mtu(session: &Session, words: &[&str]) -> Asked {
    let run = session.run(["mtu", "--json"].iter().chain(words));
    let report = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
    Asked { run, report }
}

impl Asked {
    /// Fails unless prediction and measurement say this, and the same.
    fn says(self, verdict: &str, code: Option<&str>, mtu: u32) -> Value {
        let Self { run, report } = self;
        for (what, said) in [("predicted", &report["predicted"]), ("measured", &report["measured"])] {
            assert_eq!(
                (said["verdict"].as_str(), said["mtu"].as_u64()),
                (Some(verdict), Some(mtu.into())),
                "{what}: {report:#}"
            );
        }
        assert_eq!(
            (report["verdict"].as_str(), report["cause"]["code"].as_str()),
            (Some(verdict), code),
            "{report:#}"
        );
        assert_eq!(report["differences"], serde_json::json!([]), "{report:#}");
        assert_eq!(run.code, Some(i32::from(!matches!(verdict, "whole" | "discovered"))), "{report:#}");
        report
    }
}

/// Whether a packet of this size gets through in so many seconds that nobody may cut, as ping(8) finds; none where that is not there.
fn pings(session: &Session, from: &str, to: &str, size: u32, wait: &str) -> Option<bool> {
    let headers = if to.contains(':') { 48 } else { 28 };
    let payload = (size - headers).to_string();
    let words = ["exec", from, "--", "ping", "-M", "do", "-c", "1", "-W", wait, "-s", &payload, to];
    match session.run(words).code {
        Some(0) => Some(true),
        Some(1) => Some(false),
        _ => {
            nslab_testing::skip("ping(8) of iputils is not here");
            None
        }
    }
}

/// ping(8) finds the same largest packet.
fn agrees_with_ping(session: &Session, from: &str, to: &str, mtu: u32) {
    assert!(pings(session, from, to, mtu, "10") != Some(false), "{mtu} bytes are lost");
    assert!(pings(session, from, to, mtu + 1, "0.5") != Some(true), "{} bytes get through", mtu + 1);
}

fn probe(report: &Value, size: u32) -> &Value {
    let probes = report["measured"]["probes"].as_array().unwrap();
    probes
        .iter()
        .find(|probe| probe["size"] == size)
        .unwrap_or_else(|| panic!("{size} was not sent: {report:#}"))
}

/// Types what the report says mends it.
fn mend(session: &Session, report: &Value) {
    let fix: Vec<&str> =
        report["cause"]["fix"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(!fix.is_empty(), "{report:#}");
    shell(session, &fix.join("\n")).unwrap();
}

fn nothing_in_the_way(session: &Session) {
    let lab = session.up(PAIR);
    let (red, blue) = (format!("{lab}/red"), format!("{lab}/blue"));
    let report = mtu(session, &[&red, &blue]).says("whole", None, 1500);
    agrees_with_ping(session, &red, "10.0.0.2", 1500);
    assert_eq!(
        probe(&report, 1500)["seen"],
        serde_json::json!([format!("{red}:eth0"), format!("{blue}:eth0")])
    );
    assert_eq!(report["sender"]["next"], Value::Null);
    for service in ["80/tcp", "53/udp"] {
        let words = format!("{blue}:{service}");
        mtu(session, &[&red, &words]).says("whole", None, 1500);
    }
    let text = session.ok(["mtu", &red, &blue]);
    assert!(
        text.lines().next().unwrap().contains("10.0.0.1 → 10.0.0.2") && text.contains("\nwhole\n"),
        "{text}"
    );
    // What is printed is what the schema says.
    let schema: Value = serde_json::from_str(&session.ok(["schema", "mtu"])).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&report), keys(&schema["properties"]));
    assert_eq!(keys(probe(&report, 1500)), keys(&schema["$defs"]["Probe"]["properties"]));
    assert_eq!(keys(&report["sender"]), keys(&schema["$defs"]["Sender"]["properties"]));
    session.ok(["down", &lab]);
}

/// The guide's case: the larger frame is lost without a word.
fn ends_of_a_cable_that_differ(session: &Session) {
    let lab = session.up("
nodes: {red: {}, blue: {}}
links: [[red:eth0 10.0.0.1/24 fd00::1/64, blue:eth0 10.0.0.2/24 fd00::2/64]]
");
    let (red, blue) = (format!("{lab}/red"), format!("{lab}/blue"));
    session.ok(["exec", &blue, "--", "ip", "link", "set", "dev", "eth0", "mtu", "1300"]);
    for to in ["10.0.0.2", "fd00::2"] {
        // Four bytes more than its MTU get in by a veth.
        let report = mtu(session, &[&red, to]).says("lost", Some("MTU_MISMATCH"), 1304);
        agrees_with_ping(session, &red, to, 1304);
        assert_eq!(probe(&report, 1500)["outcome"], "silent");
        let narrow: Vec<&Value> =
            report["hops"].as_array().unwrap().iter().filter(|hop| hop["narrow"] == true).collect();
        assert_eq!(
            (narrow.len(), &narrow[0]["ns"], &narrow[0]["mtu"]),
            (1, &Value::from(blue.clone()), &1300.into())
        );
    }
    let text = session.run(["mtu", &red, &blue]).status(1).stdout;
    assert!(text.contains("◀ narrow") && text.contains("\nlost: MTU_MISMATCH at "), "{text}");
    let report = mtu(session, &[&red, "10.0.0.2"]).report;
    mend(session, &report);
    mtu(session, &[&red, "10.0.0.2"]).says("whole", None, 1500);
    session.ok(["down", &lab]);
}

fn a_narrow_link_behind_a_router(session: &Session) {
    let lab = session.up(&routed(""));
    let (a, r) = (format!("{lab}/a"), format!("{lab}/r"));
    for (to, router) in [("10.0.1.2", "10.0.0.254"), ("fd01::2", "fd00::254")] {
        let report = mtu(session, &[&a, to]).says("discovered", Some("MTU_EXCEEDED"), 1300);
        let full = probe(&report, 1500);
        assert_eq!(
            (&full["outcome"], &full["from"], &full["mtu"]),
            (&"too_big".into(), &router.into(), &1300.into())
        );
        // The word leaves the router and gets to the sender.
        let at: Vec<&str> =
            full["errors"].as_array().unwrap().iter().map(|one| one["at"].as_str().unwrap()).collect();
        assert_eq!(at, [format!("{r}:a"), format!("{a}:eth0")]);
        // Who keeps it.
        let sender = &report["sender"];
        assert_eq!(
            (&sender["before"]["mtu"], &sender["after"]["mtu"]),
            (&Value::Null, &1300.into()),
            "{report:#}"
        );
        assert!(
            sender["after"]["expires"].as_u64().unwrap() > 0 && sender["next"] == "refuses",
            "{report:#}"
        );
        let route = session.ok(["exec", &a, "--", "ip", "route", "get", to]);
        assert!(route.contains("mtu 1300") && route.contains("expires"), "{route}");
        // It is measured all the same when the sender knows.
        mtu(session, &[&a, to]).says("discovered", Some("MTU_EXCEEDED"), 1300);
        agrees_with_ping(session, &a, to, 1300);
    }
    for to in ["10.0.1.2:80/tcp", "10.0.1.2:53/udp", "[fd01::2]:80/tcp", "[fd01::2]:53/udp"] {
        mtu(session, &[&a, to]).says("discovered", Some("MTU_EXCEEDED"), 1300);
    }
    session.ok(["down", &lab]);
}

fn a_router_whose_word_is_dropped(session: &Session) {
    let lab = session.up(&routed(SILENT));
    let (a, r) = (format!("{lab}/a"), format!("{lab}/r"));
    for to in ["10.0.1.2", "fd01::2", "10.0.1.2:80/tcp"] {
        let report = mtu(session, &[&a, to]).says("lost", Some("PMTU_BLACKHOLE"), 1300);
        let full = probe(&report, 1500);
        assert_eq!((&full["outcome"], &full["errors"]), (&"silent".into(), &serde_json::json!([])));
        assert_eq!(full["seen"].as_array().unwrap().last().unwrap(), &Value::from(format!("{r}:a")));
        assert_eq!(report["sender"]["after"]["mtu"], Value::Null);
        assert_eq!(report["cause"]["where"]["ns"], Value::from(r.clone()));
    }
    agrees_with_ping(session, &a, "10.0.1.2", 1300);
    let text = session.run(["mtu", &a, "10.0.1.2"]).status(1).stdout;
    assert!(text.contains("\nlost: PMTU_BLACKHOLE (FIREWALL_DROP) at "), "{text}");
    // The narrow link is allowed to be narrow: what mends it is that the sender is told.
    for to in ["10.0.1.2", "fd01::2"] {
        let report = mtu(session, &[&a, to]).report;
        mend(session, &report);
        mtu(session, &[&a, to]).says("discovered", Some("MTU_EXCEEDED"), 1300);
    }
    session.ok(["down", &lab]);
}

/// Prediction does not know what the sender makes of the word, and measuring shows it.
fn a_sender_that_does_not_listen(session: &Session) {
    let lab = session.up(&routed(""));
    let a = format!("{lab}/a");
    session.ok(["exec", &a, "--", "sh", "-c", "echo 2 > /proc/sys/net/ipv4/ip_no_pmtu_disc"]);
    let Asked { run, report } = mtu(session, &[&a, "10.0.1.2"]);
    assert_eq!(
        (run.code, &report["verdict"], &report["predicted"]["verdict"]),
        (Some(1), &"lost".into(), &"discovered".into())
    );
    assert_eq!((&report["sender"]["next"], &report["cause"]), (&"sends".into(), &Value::Null), "{report:#}");
    assert_eq!(report["differences"].as_array().unwrap().len(), 1, "{report:#}");
    let text = session.run(["mtu", &a, "10.0.1.2"]).status(1).stdout;
    assert!(text.contains("\ndifferent: predicted is `discovered`, measured was `lost`"), "{text}");
    session.ok(["down", &lab]);
}

/// A tunnel needs 50 bytes of what the links below it take, and tells that hosts which know nothing of it.
fn a_tunnel_in_a_bridge(session: &Session) {
    let lab = session.up(
        "
addressing: {ipv6: none}
nodes:
  h1: {}
  h2: {}
  r1: {forward: true, interfaces: {vx: {type: vxlan, id: 42, remote: r2, mtu: 1500}, br0: {type: bridge, members: [lan, vx], address: none}}}
  r2: {forward: true, interfaces: {vx: {type: vxlan, id: 42, remote: r1, mtu: 1500}, br0: {type: bridge, members: [lan, vx], address: none}}}
  isp: {forward: true}
links:
  - [h1 10.9.0.1/24, r1:lan]
  - [h2 10.9.0.2/24, r2:lan]
  - [r1:wan, isp]
  - [r2:wan, isp]
",
    );
    let h1 = format!("{lab}/h1");
    let report = mtu(session, &[&h1, "10.9.0.2"]).says("discovered", Some("MTU_EXCEEDED"), 1450);
    agrees_with_ping(session, &h1, "10.9.0.2", 1450);
    // In the name of whom the packet was for.
    assert_eq!(probe(&report, 1500)["from"], "10.9.0.2");
    let below: Vec<&Value> =
        report["hops"].as_array().unwrap().iter().filter(|hop| hop["overhead"] == 50).collect();
    assert_eq!(below.len(), 4, "{report:#}");
    mtu(session, &[&h1, "10.9.0.2:80/tcp"]).says("discovered", Some("MTU_EXCEEDED"), 1450);
    session.ok(["down", &lab]);
}

fn by_prediction_alone(session: &Session) {
    let lab = session.up(&routed(SILENT));
    let a = format!("{lab}/a");
    session.ok(["snapshot", "save", "then.nslab"]);
    for words in [&["--predict"][..], &["--snapshot", "then.nslab"]] {
        let asked: Vec<&str> = [&a, "10.0.1.2"].into_iter().chain(words.iter().copied()).collect();
        let Asked { run, report } = mtu(session, &asked);
        assert_eq!(
            (run.code, &report["verdict"], &report["predicted"]["mtu"]),
            (Some(1), &"lost".into(), &1300.into())
        );
        assert_eq!((&report["measured"], &report["sender"]), (&Value::Null, &Value::Null));
    }
    session.ok(["down", &lab]);
}

fn wrong_questions(session: &Session) {
    let lab = session.up(PAIR);
    let red = format!("{lab}/red");
    session.run(["mtu", &red, "10.0.0.2/47"]).status(2).says("protocol 47");
    session.run(["mtu", &red, &format!("{lab}/blu")]).status(2).says("did you mean");
    session.run(["mtu", &red, "10.0.0.2", "-W", "x"]).status(2).says("seconds");
    session.run(["mtu", &red]).status(2).says("DST");
    // Nobody has that: no size gets there, and it is not for its size.
    let Asked { run, report } = mtu(session, &[&red, "10.0.0.77", "-W", "0.3"]);
    assert_eq!(
        (run.code, &report["verdict"], &report["cause"]["code"]),
        (Some(1), &"unreachable".into(), &"NEIGHBOUR_FAILED".into())
    );
    session.ok(["down", &lab]);
}

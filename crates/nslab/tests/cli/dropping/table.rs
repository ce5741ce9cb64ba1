//! Each way to die, provoked in a tiny network, is told with the kernel's reason and its cause.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{ROUTED, can, datagram, during, exec};
use crate::support::{Session, as_root_alone};

as_root_alone!(each_is_named, a_full_queue);

/// So many networks at once.
const THREADS: usize = 3;

/// A way to die.
struct Death {
    title: &'static str,
    lab: &'static str,
    /// Nodes with what is typed there.
    set_up: &'static [(&'static str, &'static str)],
    /// What node `a` sends.
    sends: String,
    /// Where it dies.
    node: &'static str,
    /// The kernel's reasons, of which newer kernels have more.
    reasons: &'static [&'static str],
    code: &'static str,
    /// Part of the object's words.
    object: &'static str,
}

const SWITCHED: &str = "
addressing: {ipv6: none}
nodes: {a: {}, b: {}}
switches: {sw: {}}
links: [[a:eth0 10.0.0.1/24, sw:a], [b:eth0 10.0.0.2/24, sw:b]]
";
const CABLE: &str = "
addressing: {ipv6: none}
nodes: {a: {}, b: {}}
links: [[a:eth0 10.0.0.1/24, b:eth0 10.0.0.2/24]]
";
/// Asks for the next one's MAC, and gets an answer to what it sends to this address.
macro_rules! meet {
    ($address:literal) => {
        (
            "a",
            concat!(
                "python3 -c '\nimport socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.settimeout(10)\n",
                "s.connect((\"",
                $address,
                "\", 9))\ns.send(b\"x\")\ntry: s.recv(1)\nexcept ConnectionRefusedError: pass'"
            ),
        )
    };
}

fn deaths() -> Vec<Death> {
    let there = |size| datagram("10.0.1.2 9", size, "0");
    let routed = |title, set_up, reasons, code, object| Death {
        title,
        lab: ROUTED,
        set_up,
        sends: there(10),
        node: "r",
        reasons,
        code,
        object,
    };
    vec![
        routed(
            "a rule drops",
            &[(
                "r",
                "nft 'table inet f { chain c { type filter hook forward priority 0; udp dport 9 drop; }; }'",
            )],
            &["NETFILTER_DROP"],
            "FIREWALL_DROP",
            "inet f c handle",
        ),
        routed(
            "a policy drops",
            &[("r", "nft 'table ip f { chain c { type filter hook forward priority 0; policy drop; }; }'")],
            &["NETFILTER_DROP"],
            "FIREWALL_DROP",
            "ip f c",
        ),
        routed(
            "a rule rejects",
            &[(
                "r",
                "nft 'table inet f { chain c { type filter hook forward priority 0; udp dport 9 reject; }; }'",
            )],
            &["NETFILTER_DROP"],
            "FIREWALL_REJECT",
            "inet f c handle",
        ),
        Death {
            node: "a",
            ..routed(
                "a rule of the sender's drops",
                &[(
                    "a",
                    "nft 'table inet f { chain c { type filter hook output priority 0; udp dport 9 drop; }; }'",
                )],
                &["NETFILTER_DROP"],
                "FIREWALL_DROP",
                "inet f c handle",
            )
        },
        routed(
            "no forwarding",
            &[("r", "sysctl -w net.ipv4.ip_forward=0")],
            &["IP_INADDRERRORS"],
            "FORWARDING_OFF",
            "ip_forward",
        ),
        Death {
            sends: datagram("10.9.0.1 9", 10, "0"),
            ..routed("no route", &[], &["IP_INNOROUTES"], "NO_ROUTE", "")
        },
        Death {
            sends: datagram("10.0.1.2 9", 10, "s.bind((\"192.0.2.1\", 0))"),
            ..routed(
                "the way back is another one",
                &[
                    // What is asked for 192.0.2.1 is not answered then.
                    meet!("10.0.1.2"),
                    ("a", "ip address add 192.0.2.1/32 dev lo"),
                    ("r", "ip route add 192.0.2.1/32 via 10.0.1.2 && sysctl -w net.ipv4.conf.a.rp_filter=1"),
                ],
                &["IP_RPFILTER"],
                "RP_FILTER",
                "rp_filter",
            )
        },
        Death {
            sends: datagram("10.0.1.2 9", 10, "s.setsockopt(0, socket.IP_TTL, 1)"),
            ..routed("too many hops", &[], &["IP_INHDR"], "TTL_EXPIRED", "")
        },
        Death {
            // IP_MTU_DISCOVER (10) and IP_PMTUDISC_DO (2) of linux/in.h.
            sends: datagram("10.0.1.2 9", 1400, "s.setsockopt(0, 10, 2)"),
            ..routed(
                "too long",
                &[("r", "ip link set dev b mtu 1300")],
                &["PKT_TOO_BIG"],
                "MTU_EXCEEDED",
                "b",
            )
        },
        routed(
            "a black hole",
            &[("r", "ip route add blackhole 10.0.1.2")],
            &["NOT_SPECIFIED"],
            "ROUTE_BLACKHOLE",
            "",
        ),
        routed(
            "forbidden",
            &[("r", "ip route add prohibit 10.0.1.2")],
            &["NOT_SPECIFIED"],
            "ROUTE_PROHIBIT",
            "",
        ),
        routed(
            "unreachable",
            &[("r", "ip route add unreachable 10.0.1.2")],
            &["IP_INADDRERRORS", "NOT_SPECIFIED"],
            "ROUTE_UNREACHABLE",
            "",
        ),
        Death { node: "b", ..routed("nobody listens", &[], &["NO_SOCKET"], "NO_LISTENER", "udp port 9") },
        Death {
            node: "b",
            sends: "python3 -c 'import socket; socket.create_connection((\"10.0.1.2\", 9))'".to_owned(),
            ..routed("nobody listens, TCP", &[], &["NO_SOCKET"], "NO_LISTENER", "tcp port 9")
        },
        Death {
            node: "b",
            ..routed(
                "somebody listens elsewhere",
                &[(
                    "b",
                    "ip address add 10.0.1.3/24 dev eth0; (exec python3 -c 'import socket,time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((\"10.0.1.3\", 9)); print(1, flush=True); time.sleep(600)' </dev/null 2>/dev/null & ) | head -1",
                )],
                &["NO_SOCKET"],
                "LISTENER_OTHER_ADDRESS",
                "",
            )
        },
        Death {
            sends: datagram("10.0.1.77 9", 10, "0") + "; sleep 0.6",
            ..routed(
                "nobody answers for it",
                &[("r", "sysctl -w net.ipv4.neigh.b.mcast_solicit=1 net.ipv4.neigh.b.retrans_time_ms=100")],
                &["NEIGH_FAILED", "NOT_SPECIFIED"],
                "NEIGHBOUR_FAILED",
                "",
            )
        },
        Death {
            node: "a",
            ..routed(
                "a queue drops",
                &[("a", "tc qdisc replace dev eth0 root blackhole")],
                &["QDISC_DROP", "NOT_SPECIFIED"],
                "TC_DROP",
                "",
            )
        },
        Death {
            title: "ports that are isolated from each other",
            lab: SWITCHED,
            set_up: &[
                meet!("10.0.0.2"),
                ("sw", "bridge link set dev a isolated on; bridge link set dev b isolated on"),
            ],
            sends: datagram("10.0.0.2 9", 10, "0"),
            node: "sw",
            reasons: &["NOT_SPECIFIED", "NO_TX_TARGET"],
            code: "BRIDGE_ISOLATED",
            object: "",
        },
        Death {
            title: "the cable's other end takes less",
            lab: CABLE,
            set_up: &[meet!("10.0.0.2"), ("b", "ip link set dev eth0 mtu 1300")],
            sends: datagram("10.0.0.2 9", 1400, "0"),
            node: "a",
            reasons: &["NOT_SPECIFIED", "PKT_TOO_BIG"],
            code: "MTU_MISMATCH",
            object: "eth0",
        },
        Death {
            title: "an address that is the receiver's own",
            lab: CABLE,
            set_up: &[meet!("10.0.0.2"), ("b", "ip address add 10.0.0.1/32 dev lo")],
            sends: datagram("10.0.0.2 9", 10, "0"),
            node: "b",
            reasons: &["IP_LOCAL_SOURCE", "NOT_SPECIFIED", "IP_INADDRERRORS", "IP_RPFILTER"],
            code: "MARTIAN",
            object: "",
        },
    ]
}

fn each_is_named(session: &Session) {
    if !can(session) {
        return;
    }
    let deaths = deaths();
    let only = std::env::var("NSLAB_TEST_DEATH").ok();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(death) = deaths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if only.as_ref().is_none_or(|only| death.title.contains(only.as_str()))
                        && let Err(why) = try_one(session, death)
                    {
                        wrong.lock().unwrap().push(format!("{}: {why}", death.title));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), deaths.len(), wrong.join("\n"));
}

fn try_one(session: &Session, death: &Death) -> Result<(), String> {
    let lab = session.up(death.lab);
    let at = |node: &str| format!("{lab}/{node}");
    for (node, command) in death.set_up {
        let run = exec(session, &at(node), command);
        if run.code != Some(0) {
            return Err(format!("{command}: {run:#?}"));
        }
    }
    let events = during(session, &["--lab", &lab], &at("a"), &death.sends);
    let is_it = |event: &&serde_json::Value| {
        event["event"] == "drop"
            && event["cause"]["code"] == death.code
            && event["namespace"] == at(death.node)
            && event["cause"]["where"]["object"].as_str().is_some_and(|object| object.contains(death.object))
            && event["reason"].as_str().is_none_or(|reason| death.reasons.contains(&reason))
            && event["location"]["function"].is_string()
    };
    if !events.iter().any(|event| is_it(&event)) {
        return Err(format!("{} at {}: {events:#?}", death.code, death.node));
    }
    session.ok(["down", &lab]);
    Ok(())
}

/// A queue that is full.
fn a_full_queue(session: &Session) {
    if !can(session) {
        return;
    }
    let lab = session.up(ROUTED);
    let r = format!("{lab}/r");
    let tc = exec(session, &r, "tc qdisc replace dev b root tbf rate 8kbit burst 2000 limit 2000");
    if tc.code != Some(0) {
        return nslab_testing::kernel_lacks("CONFIG_NET_SCH_TBF");
    }
    let many = datagram("10.0.1.2 9", 1000, "[s.sendto(bytes(1000), (\"10.0.1.2\", 9)) for _ in range(8)]");
    let events = during(session, &["--lab", &lab], &format!("{lab}/a"), &many);
    let full: Vec<_> = events
        .iter()
        .filter(|event| event["cause"]["code"] == "TC_DROP" && event["namespace"] == r)
        .collect();
    assert!(full.len() >= 4, "{events:#?}");
    assert_eq!(full[0]["reason"].as_str().unwrap_or("QDISC_DROP"), "QDISC_DROP");
    assert_eq!(full[0]["cause"]["where"]["object"], "b", "{events:#?}");
    let text = full[0]["cause"]["text"].as_str().unwrap();
    assert!(text.contains("the queue of b (tbf)"), "{text}");
}

//! Ways out, on a host that the test made: a network and mount namespace with its own `/run`.

use std::process::Command;

use crate::support::{Run, Session, as_root};

as_root!(
    from_a_nodes_shell_to_the_outside,
    a_firewall_in_the_way,
    without_root,
    without_root_over_ipv6,
    imported_ports
);

/// Runs a shell script as root of a stand-in host: `eth0` at 203.0.113.2 leads to the namespace `out` at 203.0.113.1.
fn on_a_host(session: &Session, script: &str) -> Run {
    // Who may open the machine's own /dev/net/tun is not for a test to change.
    let begin = "set -e
        mount -t tmpfs host /run
        mknod -m 666 /run/tun c 10 200
        mount --bind /run/tun /dev/net/tun
        ip link set lo up
        ip netns add out
        ip link add eth0 type veth peer name eth0 netns out
        ip address add 203.0.113.2/24 dev eth0
        ip address add 2001:db8::2/64 dev eth0 nodad
        ip link set eth0 up
        ip -n out address add 203.0.113.1/24 dev eth0
        ip -n out address add 2001:db8::1/64 dev eth0 nodad
        ip -n out link set eth0 up
        ip route add default via 203.0.113.1
        ";
    let mut command: Command = session.other("unshare");
    command.args(["-n", "-m", "sh", "-c", &format!("{begin}{script}")]);
    command.env("NSLAB", session.program());
    Run::of(command)
}

const LAB: &str = "name: u
nodes:
  web: {uplink: {publish: [8080:80]}}
  db: {dns: [192.0.2.53, \"2001:db8::53\"]}
links: [[web, db]]
";

fn from_a_nodes_shell_to_the_outside(session: &Session) {
    if nslab_testing::Oracle::find().is_none() {
        return;
    }
    session.file("u.yaml", LAB);
    let script = "
        $NSLAB plan u.yaml
        $NSLAB up u.yaml -q
        $NSLAB exec web -- ip -br address show uplink
        $NSLAB ping web 203.0.113.1 -c 1
        $NSLAB ping web db -c 1
        $NSLAB exec db -- cat /etc/resolv.conf
        $NSLAB exec web -- sh -c 'grep -q . /etc/resolv.conf || true'
        $NSLAB show host
        $NSLAB plan u.yaml
        $NSLAB down
        ip -o link | wc -l
        sysctl -n net.ipv4.conf.eth0.forwarding
        ";
    let said = on_a_host(session, script).ok();
    for part in [
        "create cable web:uplink – host:u-web",
        "add table inet nslab-u of nftables",
        "1 packets transmitted, 1 received",
        "nameserver 192.0.2.53\nnameserver 2001:db8::53\n",
        "there is nothing to do",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // `lo` and `eth0` are left, and forward no more than before.
    assert!(said.ends_with("\n2\n0\n"), "{said}");
}

fn a_firewall_in_the_way(session: &Session) {
    if Command::new("nft").arg("--version").output().is_err() {
        nslab_testing::skip("there is no nft to make a firewall with");
        return;
    }
    session.file("u.yaml", LAB);
    let rules = "nft add table ip filter
        nft add chain ip filter DOCKER-USER
        nft add chain ip filter FORWARD '{ type filter hook forward priority 0; policy drop; }'
        nft add rule ip filter FORWARD jump DOCKER-USER\n";
    on_a_host(session, &format!("{rules} $NSLAB up u.yaml"))
        .status(3)
        .says("the host's firewall drops what is forwarded")
        .says("iptables -I DOCKER-USER -i u-web -j ACCEPT");
    let accept =
        "for way in iifname oifname; do nft insert rule ip filter DOCKER-USER $way u-web accept; done\n";
    let script =
        format!("{rules} {accept} $NSLAB up u.yaml -q; $NSLAB ping web 203.0.113.1 -c 1; $NSLAB down");
    on_a_host(session, &script).ok();
    on_a_host(
        session,
        "python3 -m http.server 8080 > /dev/null 2>&1 &
        server=$!
        until ss -ltn | grep -q :8080; do sleep 0.05; done
        code=0; $NSLAB up u.yaml || code=$?
        kill $server; exit $code",
    )
    .status(2)
    .says("the host's port 8080/tcp")
    .says("nothing was changed");
}

/// The beginning of a script for an ordinary user on the stand-in host: `$U` makes them one, `$serve` tells each client
/// from where it came, `$call` asks it.
fn begin_of(user: &Session) -> String {
    format!(
        "cd {directory}
        U='setpriv --reuid 65534 --regid 65534 --clear-groups env XDG_RUNTIME_DIR={directory}/runtime'
        NSLAB={program}
        mkdir /run/bin
        ln -s /usr/sbin/* /usr/bin/* /run/bin/ 2> /dev/null || true
        PATH=/run/bin
        serve='import socket,sys
s=socket.create_server((\"::\", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    c,a=s.accept(); c.recv(1); c.sendall(a[0].removeprefix(\"::ffff:\").encode()); c.close()'
        call='import socket,sys,time
for i in range(1200):
    try:
        s=socket.create_connection((sys.argv[1],int(sys.argv[2])),1); s.sendall(b\"x\"); seen=s.recv(100).decode()
        if not seen: raise OSError(\"closed\")
        print(\"seen as\",seen); break
    except OSError as error:
        last=error; time.sleep(0.05)
else:
    sys.exit(str(last))'
        ",
        directory = user.directory().display(),
        program = user.program().display(),
    )
}

/// Whether all programs that an ordinary user's way out is tried with are here.
fn has_programs() -> bool {
    ["pasta", "slirp4netns", "setpriv", "python3"].iter().all(|program| {
        let found = Command::new(program).arg("--version").output().is_ok();
        if !found {
            nslab_testing::skip(&format!("there is no {program}"));
        }
        found
    })
}

/// An ordinary user on the stand-in host, with pasta, with slirp4netns, and with neither.
fn without_root(root: &Session) {
    let Some(user) = Session::of_user() else { return };
    if !has_programs() {
        return;
    }
    let lab = user.lab("way");
    user.file(
        "w.yaml",
        format!(
            "name: {lab}\nnodes: {{web: {{uplink: {{publish: [8080:80]}}}}, db: {{}}}}\nlinks: [[web, db]]\n"
        ),
    );
    let begin = begin_of(&user);
    let works = "
        ip netns exec out python3 -c \"$serve\" 9000 > /dev/null 2>&1 &
        server=$!
        trap 'kill $server $inner 2> /dev/null || true' EXIT
        $U $NSLAB up w.yaml -q
        $U $NSLAB exec web -- ip -br -4 address show uplink
        $U $NSLAB exec web -- python3 -c \"$call\" 203.0.113.1 9000
        $U $NSLAB exec web -- python3 -c \"$serve\" 80 > /dev/null 2>&1 &
        inner=$!
        ip netns exec out python3 -c \"$call\" 203.0.113.2 8080
        $U $NSLAB ping web db -c 1
        $U $NSLAB plan w.yaml
        $U $NSLAB down
        ";
    for without in ["", "rm /run/bin/pasta /run/bin/pasta.*\n"] {
        let said = on_a_host(root, &format!("{begin}{without}{works}")).ok();
        assert!(said.contains("seen as 203.0.113.2"), "{said}");
        assert!(said.matches("seen as ").count() == 2 && said.contains("there is nothing to do"), "{said}");
        let pin = format!("/run/nslab/{lab}/ns/web");
        let left = std::fs::read_dir("/proc").unwrap().flatten().find(|entry| {
            std::fs::read(entry.path().join("cmdline"))
                .is_ok_and(|line| line.split(|byte| *byte == 0).any(|word| word == pin.as_bytes()))
        });
        assert!(left.is_none(), "{left:?} is left");
    }
    let neither = "rm /run/bin/pasta /run/bin/pasta.* /run/bin/slirp4netns\n$U $NSLAB up w.yaml";
    on_a_host(root, &format!("{begin}{neither}"))
        .status(3)
        .says("pasta or slirp4netns, and neither is installed");
}

fn without_root_over_ipv6(root: &Session) {
    let Some(user) = Session::of_user().filter(|_| has_programs()) else { return };
    let lab = user.lab("way");
    let file = |name: &str, uplink: &str, more: &str| {
        user.file(
            name,
            format!("name: {lab}\nnodes: {{web: {{uplink: {{{uplink}}}, forward: true}}{more}}}\n"),
        );
    };
    file("6.yaml", "ipv6: true, publish: [8080:8000]", "");
    file("4.yaml", "publish: [8080:8000]", "");
    file("local.yaml", "ipv6: true, publish: ['[2001:db8::2]:8081:8000']", "");
    file("only.yaml", "ipv4: false, ipv6: true", "");
    file("clash.yaml", "ipv6: true", ", x: {addresses: ['fd00::1/128']}");
    let begin = begin_of(&user) + "ip -6 route add default via 2001:db8::1\n";
    let serve = "
        ip netns exec out python3 -c \"$serve\" 9000 > /dev/null 2>&1 &
        server=$!
        trap 'kill $server $inner 2> /dev/null || true' EXIT
        ";
    let works = "
        $U $NSLAB up 6.yaml -q
        $U $NSLAB exec web -- python3 -c \"$call\" 203.0.113.1 9000
        $U $NSLAB exec web -- python3 -c \"$call\" 2001:db8::1 9000
        $U $NSLAB plan 6.yaml
        ";
    // pasta publishes ports in both families, and on an address of either.
    let pasta = "
        $U $NSLAB exec web -- python3 -c \"$serve\" 8000 > /dev/null 2>&1 &
        inner=$!
        ip netns exec out python3 -c \"$call\" 2001:db8::2 8080
        $U $NSLAB up local.yaml -q
        ip netns exec out python3 -c \"$call\" 2001:db8::2 8081
        $U $NSLAB up 4.yaml -q
        $U $NSLAB exec web -- ip -br address show uplink
        $U $NSLAB down
        ";
    let said = on_a_host(root, &format!("{begin}{serve}{works}{pasta}")).ok();
    assert_eq!(said.matches("seen as 203.0.113.2").count(), 1, "{said}");
    assert!(said.matches("seen as ").count() == 4 && said.contains("seen as 2001:db8::2"), "{said}");
    assert!(said.contains("there is nothing to do"), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.contains("/24") && !last.contains("fd00:"), "{said}");
    let without = "rm /run/bin/pasta /run/bin/pasta.*\n";
    let said = on_a_host(root, &format!("{begin}{without}{serve}{works} $U $NSLAB down")).ok();
    assert!(said.contains("seen as 203.0.113.2") && said.contains("seen as 2001:db8::2"), "{said}");
    assert!(said.contains("there is nothing to do"), "{said}");
    for (without, file, what) in [
        ("", "only.yaml", "is never without IPv4"),
        (without, "local.yaml", "needs `ipv6: true` and pasta"),
        (without, "clash.yaml", "slirp4netns has fd00::/64 for IPv6, which the lab uses itself"),
        // Where the host has no IPv6, pasta has none either.
        ("ip -6 route del default\n", "6.yaml", "pasta gave the way out of web no IPv6"),
    ] {
        let script =
            format!("{begin}{without} code=0; $U $NSLAB up {file} || code=$?; $U $NSLAB ls; exit $code");
        let run = on_a_host(root, &script).status(3).says(what);
        assert!(!run.stdout.contains(&lab), "{run:#?}");
    }
}

/// What Docker published for containerlab is published.
fn imported_ports(session: &Session) {
    if Command::new("python3").arg("-V").output().is_err() {
        return nslab_testing::skip("there is no python3");
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../nslab-import/tests/containerlab/ports.clab.yml");
    session.file("ports.clab.yml", std::fs::read_to_string(file).unwrap());
    let script = "
        $NSLAB up ports.clab.yml -q
        call='import time,urllib.request
for i in range(600):
    try:
        print(urllib.request.urlopen(\"http://203.0.113.2:18080/\", timeout=5).status); break
    except OSError:
        time.sleep(0.1)'
        ip netns exec out python3 -c \"$call\"
        $NSLAB down
        ip -o link | wc -l
        ";
    let said = on_a_host(session, script).ok();
    assert!(said.contains("200\n") && said.ends_with("\n2\n"), "{said}");
}

//! Queueing disciplines that a working kernel often lacks.

use super::world::{again, world};
use crate::support::{Session, each_user};

each_user!(full_kernel_lines);

fn full_kernel_lines(session: &Session) {
    let script = "
ns a b
cable a eth0 b eth0
cable a eth1 b eth1
ip -n a addr add 10.0.0.1/24 dev eth0
ip -n b addr add 10.0.0.2/24 dev eth0
tc -n a qdisc add dev eth0 root netem delay 10ms 2ms 25% loss 1% duplicate 0.5% rate 10mbit
tc -n b qdisc add dev eth0 root tbf rate 5mbit burst 20kb latency 50ms
tc -n b qdisc add dev eth1 root sfq
";
    let probe = format!("{script}\ntrue");
    if world(session, &probe).code != Some(0) {
        nslab_testing::kernel_lacks("CONFIG_NET_SCH_NETEM");
        return;
    }
    let again = again(session, script, "--host");
    again.assert_same(|_| false);
    for words in
        ["delay: 10ms", "jitter: 2ms 25%", "loss: 1%", "duplicate: 0.5%", "rate: 10mbit", "rate: 5mbit"]
    {
        assert!(again.file.contains(words), "{words}: {}", again.file);
    }
    for said in ["netns:a: eth0 qdisc netem", "netns:b: eth0 qdisc tbf", "netns:b: eth1 qdisc sfq"] {
        assert!(again.said.contains(said), "{said}: {}", again.said);
    }
}

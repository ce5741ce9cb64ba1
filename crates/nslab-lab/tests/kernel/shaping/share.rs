//! Rate and loss, which every kernel can do.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use nslab_kernel::link;
use nslab_kernel::neighbour::ChangeNeighbour;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_testing::privileged;

use nslab_types::MacAddr;

use super::traffic::{flood, is_right, lost, send, socket, warm_up};
use super::{loser, queues};
use crate::support::{Site, wanted};

fn pair(options: &str) -> String {
    format!(
        "name: p\nnodes: {{a: {{}}, b: {{}}}}\nlinks: [[a 10.1.0.1/24 2001:db8::1/64, b 10.1.0.2/24 2001:db8::2/64, {options}]]\n"
    )
}

#[test]
fn a_rate_is_the_rate_that_is_measured() {
    privileged(|| {
        for (asked, count, bytes) in [("2mbit", 160, 1000), ("20mbit", 1200, 1400), ("100mbit", 5000, 1472)] {
            let site = Site::new();
            let lab = wanted(&pair(&format!("{{rate: {asked}}}")));
            site.up(&lab);
            let wanted = lab.topology.links[0].ends[0].impairment.rate.unwrap().bits();
            let wanted = f64::from(u32::try_from(wanted).unwrap());
            let from = socket(&site.node("p", "a"), "10.1.0.1:0");
            let to = socket(&site.node("p", "b"), "10.1.0.2:0");
            if let Err(measured) = is_right(wanted, || flood(&from, &to, count, bytes)) {
                panic!("{asked}: {measured:?}");
            }
            site.down("p");
        }
    });
}

#[test]
fn a_connection_fills_the_rate() {
    privileged(|| {
        const BYTES: usize = 3_000_000;
        let site = Site::new();
        site.up(&wanted(&pair("{rate: 40mbit}")));
        let listener = site.node("p", "b").run(|| TcpListener::bind("[2001:db8::2]:0")).unwrap().unwrap();
        let target = listener.local_addr().unwrap();
        let measure = || {
            let sender = site.node("p", "a");
            let time = std::thread::scope(|scope| {
                scope.spawn(move || {
                    let mut stream = sender.run(|| TcpStream::connect(target)).unwrap().unwrap();
                    stream.write_all(&vec![7; BYTES]).unwrap();
                });
                let (mut stream, _) = listener.accept().unwrap();
                let began = Instant::now();
                let mut buffer = vec![0; 65_536];
                while stream.read(&mut buffer).unwrap() > 0 {}
                began.elapsed()
            });
            // Of 1514 bytes 1428 are payload (IPv6, TCP with timestamps).
            let payload = f64::from(u32::try_from(BYTES).unwrap()) * 8.0 / time.as_secs_f64();
            payload * 1514.0 / 1428.0
        };
        if let Err(measured) = is_right(40e6, measure) {
            panic!("{measured:?}");
        }
        site.down("p");
    });
}

#[test]
fn a_loss_is_the_loss_that_is_measured_and_counted() {
    privileged(|| {
        const SENT: u32 = 3000;
        let site = Site::new();
        site.up(&wanted(&pair("{loss: 20%}")));
        let from = socket(&site.node("p", "a"), "10.1.0.1:0");
        let to = socket(&site.node("p", "b"), "10.1.0.2:0");
        warm_up(&from, &to);
        let before = loser(&site, "p", "a").statistics.drops;
        let got = send(&from, &to, to.local_addr().unwrap(), (SENT, 100, Duration::from_micros(100)));
        // Six times the standard deviation of 0.0073: one run in 500 million fails by chance.
        let share = lost(&got, SENT);
        assert!((share - 0.2).abs() < 0.044, "{share}");
        let drops = loser(&site, "p", "a").statistics.drops - before;
        let missing = u64::from(SENT) - got.len() as u64;
        // What the two ask each other besides (ARP, IPv6 discovery) may be lost as well.
        assert!((missing..missing + 20).contains(&drops), "{drops} drops, {missing} missing");
        // The other way is one of its own.
        let back = send(&to, &from, from.local_addr().unwrap(), (500, 100, Duration::from_micros(100)));
        assert!((lost(&back, 500) - 0.2).abs() < 0.11, "{}", lost(&back, 500));
        site.down("p");
    });
}

#[test]
fn one_end_is_one_direction_and_all_is_all() {
    privileged(|| {
        let site = Site::new();
        site.up(&wanted(
            "name: p\nnodes: {a: {}, b: {}}\nlinks:\n  - [{node: a, address: 10.1.0.1/24, loss: 100%}, b 10.1.0.2/24]\n",
        ));
        let from = socket(&site.node("p", "a"), "10.1.0.1:0");
        let to = socket(&site.node("p", "b"), "10.1.0.2:0");
        // Permanent entries, as ARP is lost as well.
        for (node, address, other) in [("a", "10.1.0.2", "b"), ("b", "10.1.0.1", "a")] {
            let mut socket = site.node("p", node).run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
            let link = link::find_by_name(&mut socket, "eth0".parse().unwrap()).unwrap().index;
            let mac = Some(mac(&site, other));
            let address = address.parse().unwrap();
            socket.request(&ChangeNeighbour { link, address, mac }).unwrap();
        }
        let got = send(&from, &to, to.local_addr().unwrap(), (50, 100, Duration::ZERO));
        assert_eq!(got.len(), 0);
        assert_eq!(loser(&site, "p", "a").statistics.drops, 50);
        let back = send(&to, &from, from.local_addr().unwrap(), (50, 100, Duration::ZERO));
        assert_eq!(back.len(), 50);
        assert!(queues(&site.node("p", "b")).qdiscs.iter().all(|one| one.kind.name() == "noqueue"));
        site.down("p");
    });
}

fn mac(site: &Site, node: &str) -> MacAddr {
    let state = crate::support::state(&site.node("p", node));
    state.links.iter().find(|link| link.name.as_str() == "eth0").unwrap().mac.unwrap()
}

#[test]
fn what_a_tunnel_loses_is_lost_in_it_alone() {
    privileged(|| {
        let site = Site::new();
        let source = |options: &str| {
            format!(
                "name: t\nnodes:\n  a: {{interfaces: {{vx: {{type: vxlan, id: 5, remote: b, address: 10.9.0.1/24{options}}}}}}}\n  \
                 b: {{interfaces: {{vx: {{type: vxlan, id: 5, remote: a, address: 10.9.0.2/24}}}}}}\n\
                 links: [[a 10.1.0.1/24, b 10.1.0.2/24]]\n"
            )
        };
        let lab = wanted(&source(", loss: 40%, rate: 100mbit"));
        site.up(&lab);
        let [a, b] = ["a", "b"].map(|node| site.node("t", node));
        let many = (1000, 100, Duration::from_micros(100));
        let share = |from: &str, to: &str| {
            let (from, to) = (socket(&a, from), socket(&b, to));
            warm_up(&from, &to);
            lost(&send(&from, &to, to.local_addr().unwrap(), many), 1000)
        };
        assert!(share("10.1.0.1:0", "10.1.0.2:0") <= 0.0, "nothing happens to what goes beside it");
        let inside = share("10.9.0.1:0", "10.9.0.2:0");
        assert!((inside - 0.4).abs() < 0.093, "{inside}");
        assert!(site.labs(|labs| labs.plan(&lab)).unwrap().is_empty());
        // Good again, in the queue alone.
        let built = site.up(&wanted(&source("")));
        assert_eq!(built.plan.steps().count(), 1, "{:?}", built.plan);
        assert!(share("10.9.0.1:0", "10.9.0.2:0") <= 0.0);
        site.down("t");
    });
}

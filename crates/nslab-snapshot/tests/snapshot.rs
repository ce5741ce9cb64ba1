//! Snapshots of namespaces that were made for it, on the real kernel.

#![allow(clippy::unwrap_used, reason = "this is all test code")]

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use nslab_kernel::address::ChangeAddress;
use nslab_kernel::link::{LinkKind, Macvlan, MacvlanMode, NewLink, SetLink, VethPeer};
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::sysctl::Tree;
use nslab_kernel::{Namespace, NamespaceId, mount};
use nslab_snapshot::{Contents, Name, Options, Part, Places, Settings, Snapshot, State, Where};
use nslab_testing::{Nft, privileged, skip};
use nslab_types::IfName;

fn take() -> Snapshot {
    take_with(Options::default())
}

fn take_with(options: Options) -> Snapshot {
    one_at_a_time(|| Snapshot::take(options).unwrap())
}

/// Whoever looks is for a moment in each namespace, where others would find a process then.
fn one_at_a_time<T>(look: impl FnOnce() -> T) -> T {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    look()
}

fn place(snapshot: &Snapshot, id: NamespaceId) -> Option<usize> {
    snapshot.namespaces.iter().position(|namespace| namespace.id == id)
}

fn state(snapshot: &Snapshot, id: NamespaceId) -> &State {
    let found = &snapshot.namespaces[place(snapshot, id).expect("it is found")];
    found.state().unwrap_or_else(|| panic!("{:?}", found.contents))
}

fn name(name: &str) -> IfName {
    name.parse().unwrap()
}

fn route(namespace: &Namespace) -> Socket {
    namespace.run(|| Socket::open(Protocol::Route)).unwrap().unwrap()
}

/// A veth from `here` to `there`, with these numbers.
fn cable(here: &Namespace, there: &Namespace, [main, far]: [(&str, u32); 2]) {
    let peer = VethPeer {
        index: Some(far.1),
        namespace: Some(there.as_fd().as_raw_fd()),
        ..VethPeer::new(name(far.0))
    };
    let link = NewLink::new(name(main.0), LinkKind::Veth(Some(Box::new(peer))));
    route(here).request(&NewLink { index: Some(main.1), up: true, ..link }).unwrap();
}

/// Mounts a namespace in a mount namespace of its own, says its number, and waits, itself in another one.
const ELSEWHERE: &str = "mount -t tmpfs none /mnt && touch /mnt/net && unshare --net=/mnt/net true && stat -Lc %i /mnt/net && read line";

#[test]
fn what_is_mounted_only_elsewhere_is_found() {
    privileged(|| {
        let mut child = Command::new("unshare")
            .args(["--mount", "sh", "-c", ELSEWHERE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let own = Namespace::current().unwrap().id().unwrap();
        let id = NamespaceId { inode: said.trim().parse().unwrap(), ..own };
        let mounted = || nslab_snapshot::mounted(&HashSet::from([id])).remove(&id);
        let path = mounted().unwrap();
        assert!(path.ends_with("root/mnt/net"), "{}", path.display());
        assert_eq!(Namespace::open(&path).unwrap().id().unwrap(), id);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(mounted(), None);
    });
}

/// Has what is mounted below a directory elsewhere, in a mount namespace of its own that hears of more, and waits.
const RECEIVING: &str = "mount --rbind \"$0\" /mnt && umount -l \"$0\" && echo ready && read line";

#[test]
fn what_is_mounted_here_and_elsewhere_has_its_name_from_here() {
    privileged(|| {
        let directory = tempfile::tempdir().unwrap();
        let shared = directory.path();
        mount::bind(shared, shared).unwrap();
        mount::make_private(shared).unwrap();
        mount::make_shared(shared).unwrap();
        let mut child = Command::new("unshare")
            .args(["--mount", "--propagation", "slave", "sh", "-c", RECEIVING])
            .arg(shared)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n");
        let space = Namespace::create().unwrap();
        let (id, pin) = (space.id().unwrap(), shared.join("pin"));
        std::fs::File::create(&pin).unwrap();
        let mut seen = Vec::new();
        // While a look is at it, sooner or later.
        for round in 0..100 {
            one_at_a_time(|| {
                let begun = Instant::now();
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        while begun.elapsed() < round * Duration::from_micros(200) {}
                        space.pin(&pin).unwrap();
                    });
                    let place = nslab_snapshot::places().unwrap().into_iter().find(|place| place.id == id);
                    seen.extend(place.into_iter().flat_map(|one| one.names));
                });
                mount::detach(&pin).unwrap();
            });
        }
        mount::detach(shared).unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        let elsewhere = |name: &&Name| matches!(name, Name::Pinned(path) if !path.starts_with(shared));
        assert_eq!(seen.iter().find(elsewhere), None);
        assert!(seen.contains(&Name::Pinned(pin)), "it was never seen here: {seen:?}");
    });
}

#[test]
fn one_tree_of_sysctls_serves_several_namespaces() {
    privileged(|| {
        let Ok(own) = Tree::own() else {
            skip("this user may not mount procfs");
            return;
        };
        for ttl in [33, 34] {
            let space = Namespace::create().unwrap();
            let mut socket = route(&space);
            space
                .run(|| {
                    nslab_kernel::sysctl::write("net.ipv4.ip_default_ttl", &ttl.to_string()).unwrap();
                    nslab_kernel::sysctl::write("net.ipv4.conf.all.arp_ignore", "2").unwrap();
                    let (settings, unread) = Settings::read(&mut socket, &own);
                    assert_eq!((settings.ttl, settings.ipv4_all.arp_ignore), (ttl, 2));
                    assert_eq!((settings, unread), Settings::read(&mut socket, &Tree::shared()));
                })
                .unwrap();
        }
    });
}

#[test]
fn ends_are_tied_where_numbers_are_alike() {
    privileged(|| {
        let spaces: Vec<Namespace> = (0..4).map(|_| Namespace::create().unwrap()).collect();
        let ids: Vec<NamespaceId> = spaces.iter().map(|space| space.id().unwrap()).collect();
        // Twice the same numbers, and a cable whose ends are both in one.
        cable(&spaces[0], &spaces[1], [("a", 16), ("b", 16)]);
        cable(&spaces[2], &spaces[3], [("a", 16), ("b", 16)]);
        cable(&spaces[0], &spaces[0], [("c", 20), ("d", 21)]);
        let snapshot = take();
        let at = |number: usize| Where::Namespace(place(&snapshot, ids[number]).unwrap());
        for (one, other) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
            let peer = state(&snapshot, ids[one]).peer(16).unwrap();
            assert_eq!((peer.namespace, peer.lower), (at(other), 16), "{one}");
        }
        let own = state(&snapshot, ids[0]).peer(20).unwrap();
        assert_eq!((own.namespace, own.lower), (at(0), 21));
        assert_eq!(state(&snapshot, ids[0]).link_named("c").unwrap().index, 20);
        assert_eq!(state(&snapshot, ids[0]).link(21).unwrap().name, name("d"));
    });
}

#[test]
fn what_lies_on_a_link_of_another_namespace_is_tied_to_it() {
    privileged(|| {
        let (lower, upper) = (Namespace::create().unwrap(), Namespace::create().unwrap());
        cable(&lower, &lower, [("v", 30), ("w", 31)]);
        let mut socket = route(&lower);
        let kind = LinkKind::Macvlan(Macvlan { mode: MacvlanMode::Bridge });
        let link = NewLink {
            lower: Some(30),
            namespace: Some(upper.as_fd().as_raw_fd()),
            ..NewLink::new(name("m"), kind)
        };
        if let Err(error) = socket.request(&link) {
            return skip(&error.to_string());
        }
        let snapshot = take();
        let found = state(&snapshot, upper.id().unwrap());
        let peer = found.peer(found.link_named("m").unwrap().index).unwrap();
        let place = place(&snapshot, lower.id().unwrap()).unwrap();
        assert_eq!((peer.namespace, peer.lower), (Where::Namespace(place), 30));
    });
}

#[test]
fn namespaces_are_found_by_whatever_keeps_them() {
    privileged(|| {
        // A socket, and nothing else.
        let namespace = Namespace::create().unwrap();
        let by_socket = namespace.id().unwrap();
        let socket = namespace.run(|| UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        drop(namespace);
        // A thread that is not the first of its process.
        let (say, hear) = mpsc::channel();
        let (stop, wait) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let namespace = Namespace::create().unwrap();
            let _stay = namespace.enter().unwrap();
            say.send(namespace.id().unwrap()).unwrap();
            drop(namespace);
            let _ = wait.recv();
        });
        let by_thread = hear.recv().unwrap();
        // A process.
        let namespace = Namespace::create().unwrap();
        let by_process = namespace.id().unwrap();
        let mut child = namespace
            .run(|| Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
            .unwrap();
        drop(namespace);
        // A descriptor.
        let by_file = Namespace::create().unwrap();
        let snapshot = take();
        let names = |id| {
            let place = place(&snapshot, id).unwrap_or_else(|| panic!("{id} is not found"));
            snapshot.namespaces[place].names.clone()
        };
        assert!(matches!(names(by_socket)[..], [Name::Id(id)] if id == by_socket));
        assert!(matches!(&names(by_thread)[..], [Name::Process(one)] if one.pid == own_pid()));
        assert!(matches!(&names(by_process)[..], [Name::Process(one)] if one.pid == pid(&child)));
        assert_eq!(names(by_file.id().unwrap()), [Name::Id(by_file.id().unwrap())]);
        let inside = &snapshot.namespaces[place(&snapshot, by_process).unwrap()];
        assert_eq!((inside.process_count, inside.processes[0].pid), (1, pid(&child)));
        assert_eq!(snapshot.find(&format!("pid:{}", child.id())).count(), 1);
        assert_eq!(snapshot.namespaces[0].names[0], Name::Host);
        drop((socket, stop));
        thread.join().unwrap();
        child.stdin.take();
        child.wait().unwrap();
    });
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

fn pid(child: &std::process::Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

#[test]
fn rules_sockets_and_marks_are_in_it_and_a_file_keeps_all() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return skip("there is no nft") };
        let namespace = Namespace::create().unwrap();
        let id = namespace.id().unwrap();
        let mut socket = route(&namespace);
        let lo = SetLink { index: 1, up: Some(true), ..SetLink::default() };
        socket.request(&lo).unwrap();
        let alias = SetLink { index: 1, alias: Some("nslab:some-lab/red".to_owned()), ..SetLink::default() };
        socket.request(&alias).unwrap();
        cable(&namespace, &namespace, [("a", 16), ("b", 17)]);
        let add = ChangeAddress { link: 16, address: "10.0.0.1/24".parse().unwrap(), delete: false };
        socket.request(&add).unwrap();
        nft.apply(
            &namespace,
            "table inet t { chain c { type filter hook input priority 0; tcp dport 80 drop; }; }",
        );
        let _listener = namespace.run(|| TcpListener::bind("10.0.0.1:80").unwrap()).unwrap();
        let snapshot = take();
        let found = state(&snapshot, id);
        let listener = &found.sockets[0];
        assert_eq!((listener.socket.port, listener.process.as_ref().unwrap().pid), (80, own_pid()));
        assert_eq!(found.nftables.tables[0].chains[0].rules.len(), 1);
        // Old kernels do not list all sockets, and none tells an ordinary user of programs.
        let readable = |gap: &&nslab_snapshot::Gap| !matches!(gap.part, Part::Sockets(_) | Part::Programs);
        assert_eq!(found.gaps.iter().find(readable), None);
        assert_eq!(found.settings.ttl, 64);
        let (_, named) = snapshot.find("some-lab/red").next().unwrap();
        assert_eq!((named.id, named.name().to_string()), (id, "some-lab/red".to_owned()));
        // In a file and back; and not from a file that is not whole.
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("host.nslab");
        snapshot.save(&file).unwrap();
        assert_eq!(Snapshot::load(&file).unwrap(), snapshot);
        let text = std::fs::read(&file).unwrap();
        for part in 0..50 {
            let cut = &text[..text.len() * part / 50];
            assert!(Snapshot::parse(cut).unwrap_err().contains("cut short"), "{part}");
        }
        let within = "{\"format\":1,\"machine\":\"→".as_bytes();
        assert!(Snapshot::parse(&within[..within.len() - 1]).unwrap_err().contains("cut short"));
        let other = String::from_utf8(text).unwrap().replacen("\"format\":1", "\"format\":9", 1);
        assert!(Snapshot::parse(other.as_bytes()).unwrap_err().contains("format 9"));
    });
}

#[test]
fn namespaces_that_come_and_go_meanwhile_do_no_harm() {
    privileged(|| {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Not without end: the kernel takes namespaces away more slowly than they are made, with RTNL held.
                for _ in 0..60 {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let two = (Namespace::create().unwrap(), Namespace::create().unwrap());
                    cable(&two.0, &two.1, [("a", 16), ("b", 16)]);
                }
            });
            let taken: Vec<_> = (0..3).map(|_| take_with(Options { connections: true })).collect();
            done.store(true, Ordering::Relaxed);
            for snapshot in taken {
                assert!(matches!(snapshot.namespaces[0].contents, Contents::State(_)));
            }
        });
    });
}

#[test]
fn others_who_only_look_keep_nothing_alive() {
    use rustix::fs::{OFlags, fcntl_setfl};
    privileged(|| {
        let space = Namespace::create().unwrap();
        let id = space.id().unwrap();
        assert!(place(&take(), id).is_some());
        // As a snapshot has it open that another program takes. Somebody else may look into it just now.
        let is_forgotten = || (0..50).any(|_| place(&take(), id).is_none());
        fcntl_setfl(&space, OFlags::APPEND).unwrap();
        assert!(is_forgotten());
        let socket = route(&space);
        assert!(place(&take(), id).is_some(), "a socket in it is a use");
        fcntl_setfl(&socket, OFlags::APPEND).unwrap();
        assert!(is_forgotten());
    });
}

#[test]
fn who_looks_again_sees_what_a_socket_keeps_and_what_none_does() {
    privileged(|| {
        let space = Namespace::create().unwrap();
        let (id, first, second) = (space.id().unwrap(), route(&space), route(&space));
        drop(space);
        let mut places = Places::default();
        let mut is_there = || one_at_a_time(|| places.look().unwrap().iter().any(|place| place.id == id));
        assert!((0..3).all(|_| is_there()));
        drop(first);
        assert!((0..3).all(|_| is_there()));
        drop(second);
        // Somebody else may look into it just now.
        assert!((0..50).any(|_| !is_there()));
    });
}

#[test]
fn groups_and_processes_beyond_the_first() {
    privileged(|| {
        let namespace = Namespace::create().unwrap();
        let id = namespace.id().unwrap();
        let (one, other) = (namespace.duplicate().unwrap(), Namespace::create().unwrap());
        cable(&one, &other, [("a", 16), ("b", 16)]);
        let address = ChangeAddress { link: 16, address: "10.0.0.1/24".parse().unwrap(), delete: false };
        route(&namespace).request(&address).unwrap();
        let group: std::net::Ipv4Addr = "239.1.2.3".parse().unwrap();
        let joined = namespace.run(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.join_multicast_v4(&group, &"10.0.0.1".parse().unwrap()).unwrap();
            socket
        });
        let mut children: Vec<_> = (0..20)
            .map(|_| {
                let start =
                    || Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
                namespace.run(start).unwrap()
            })
            .collect();
        let snapshot = take();
        let groups = state(&snapshot, id).groups.as_ref().unwrap();
        let has = |link: u32, group: std::net::IpAddr| {
            groups.iter().any(|one| one.link == link && one.group == group && !one.by_source)
        };
        assert!(
            has(16, group.into()) && has(16, "224.0.0.1".parse().unwrap()) && !has(1, group.into()),
            "{groups:?}"
        );
        let place = place(&snapshot, id).unwrap();
        let found = &snapshot.namespaces[place];
        assert_eq!((found.processes.len(), found.other_processes.len(), found.process_count), (16, 4, 20));
        for child in &children {
            let name = format!("pid:{}", child.id());
            assert_eq!(snapshot.find(&name).map(|(place, _)| place).collect::<Vec<_>>(), [place], "{name}");
        }
        drop(joined);
        for child in &mut children {
            child.stdin.take();
            child.wait().unwrap();
        }
    });
}

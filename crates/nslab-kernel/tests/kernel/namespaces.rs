//! Namespaces as handles, sysctls in them, processes in them.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};

use nslab_kernel::processes::{self, Depth};
use nslab_kernel::{Error, Namespace, namespace, sysctl};
use nslab_testing::privileged;
use rustix::process::Pid;

use crate::support::Lab;

#[test]
fn a_thread_always_comes_back() {
    privileged(|| {
        let home = Namespace::current().unwrap().id().unwrap();
        let other = Namespace::create().unwrap();
        assert_eq!(Namespace::current().unwrap().id().unwrap(), home, "after making one");
        let inside = other.run(|| Namespace::current().unwrap().id().unwrap()).unwrap();
        assert_eq!(inside, other.id().unwrap());
        assert_ne!(inside, home);
        assert_eq!(Namespace::current().unwrap().id().unwrap(), home, "after a stay");

        let panicked = catch_unwind(AssertUnwindSafe(|| other.run(|| panic!("on purpose"))));
        assert!(panicked.is_err());
        assert_eq!(Namespace::current().unwrap().id().unwrap(), home, "after a panic");

        let stopped = namespace::create_each(3, |number, _| {
            if number == 1 { Err(Error::io("stop", std::io::ErrorKind::Other)) } else { Ok(()) }
        });
        assert!(stopped.is_err());
        assert_eq!(Namespace::current().unwrap().id().unwrap(), home, "after an error in a series");
    });
}

#[test]
fn a_socket_stays_in_its_namespace() {
    privileged(|| {
        let mut lab = Lab::new();
        lab.veth("a", "b");
        let mut other = Lab::new();
        let links = other.namespace.run(|| lab.links()).unwrap();
        assert_eq!(links.len(), 3, "seen from another namespace too");
        assert_eq!(other.links().len(), 1);
    });
}

#[test]
fn only_network_namespaces_are_opened() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.as_path(), Path::new("/proc/self/ns/uts"), directory.path(), Path::new("/dev/null")] {
        let error = Namespace::open(path).unwrap_err();
        assert_eq!(error.errno(), Some(rustix::io::Errno::INVAL), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    assert_eq!(
        Namespace::open(Path::new("/proc/self/ns/net")).unwrap().id().unwrap(),
        Namespace::current().unwrap().id().unwrap()
    );
}

#[test]
fn a_pinned_namespace_outlives_its_handle() {
    privileged(|| {
        let directory = tempfile::tempdir().unwrap();
        let pin = directory.path().join("red");
        for other in [&pin, &directory.path().join("file")] {
            std::fs::write(other, "").unwrap();
        }
        let made = Namespace::create().unwrap();
        let id = made.id().unwrap();
        made.pin(&pin).unwrap();
        drop(made);
        let found = Namespace::list(directory.path()).unwrap();
        assert_eq!(found.len(), 1, "an ordinary file is passed over");
        assert_eq!((found[0].0.as_str(), found[0].1.id().unwrap()), ("red", id));
        nslab_kernel::mount::detach(&pin).unwrap();
        assert!(Namespace::list(directory.path()).unwrap().is_empty());
        assert!(Namespace::list(Path::new("/nonesuch")).unwrap().is_empty());
    });
}

#[test]
fn processes_are_found_by_their_namespace() {
    privileged(|| {
        let other = Namespace::create().unwrap();
        let id = other.id().unwrap();
        assert_eq!(namespace::processes(&HashSet::from([id])).unwrap(), []);
        let mut child = other.run(|| Command::new("cat").stdin(Stdio::piped()).spawn()).unwrap().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
        assert_eq!(namespace::processes(&HashSet::from([id])).unwrap(), [(pid, id)]);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(namespace::processes(&HashSet::from([id])).unwrap(), []);

        // A thread that went elsewhere shows only when threads are looked at.
        let found = other.run(|| processes::list(Depth::Threads, |found| found == id)).unwrap().unwrap();
        assert_eq!(found, [(rustix::process::getpid(), id)]);
    });
}

#[test]
fn sysctls_belong_to_the_namespace() {
    privileged(|| {
        let lab = Lab::new();
        let inside = |value: Option<&str>| {
            lab.namespace
                .run(|| {
                    if let Some(value) = value {
                        sysctl::write("net.ipv4.ip_forward", value)?;
                    }
                    sysctl::read("net.ipv4.ip_forward")
                })
                .unwrap()
        };
        let outside = sysctl::read("net.ipv4.ip_forward").unwrap();
        let before = inside(None).unwrap();
        let turned = if before == "0" { "1" } else { "0" };
        assert_eq!(inside(Some(turned)).unwrap(), turned);
        assert_eq!(sysctl::read("net.ipv4.ip_forward").unwrap(), outside);
        let error = inside(Some("perhaps")).unwrap_err();
        assert!(error.to_string().contains("it does not take this value"), "{error}");
        let error = lab.namespace.run(|| sysctl::write("net.ipv4.nonesuch", "1")).unwrap().unwrap_err();
        assert!(error.to_string().contains("there is no such sysctl here"), "{error}");
    });
}

#[test]
fn without_the_privilege_none_is_made_and_that_is_said() {
    privileged(|| {
        // Capabilities are a thread's own.
        let refused = std::thread::spawn(|| {
            let mut sets = rustix::thread::capabilities(None).unwrap();
            sets.effective.remove(rustix::thread::CapabilitySet::SYS_ADMIN);
            rustix::thread::set_capabilities(None, sets).unwrap();
            Namespace::create().unwrap_err().errno()
        });
        assert_eq!(refused.join().unwrap(), Some(rustix::io::Errno::PERM));
    });
}

//! Building, taking away, and what stands in the way.

use std::io::Read as _;

use nslab_lab::Error;
use nslab_testing::privileged;

use crate::support::{Site, assert_same, reaches, state, wanted};

const GUIDE: &str = r#"
name: guide
prefix: ""
nodes: {red: {}, blue: {}, green: {}}
switches: {br0: {}}
links:
  - [red:veth-red 10.0.0.1/24, blue:veth-blue 10.0.0.2/24]
  - [green:veth-green 10.0.0.3/24, br0:veth-br-green]
"#;

#[test]
fn builds_the_guides_network_and_takes_it_away() {
    privileged(|| {
        let site = Site::new();
        let lab = wanted(GUIDE);
        let built = site.up(&lab);
        assert!(built.new);
        assert!(reaches(&site.node("guide", "blue"), &site.node("guide", "red"), "10.0.0.2"));
        assert!(
            !reaches(&site.node("guide", "green"), &site.node("guide", "red"), "10.0.0.3"),
            "as the guide has it"
        );
        assert_eq!(
            std::fs::read_link(site.paths.netns.join("red")).unwrap(),
            site.paths.lab("guide").pin("red")
        );
        let again = site.up(&lab);
        assert!(!again.new && again.steps == 0, "nothing to change: {:?}", again.plan);
        site.down("guide");
        site.assert_clean();
        assert!(matches!(site.labs(|labs| labs.down("guide")), Err(Error::NoSuchLab { .. })));
    });
}

#[test]
fn routes_between_networks_in_both_families() {
    privileged(|| {
        let site = Site::new();
        let lab = wanted(
            "name: r\nnodes: {a: {}, r1: {forward: true}, r2: {forward: true}, b: {}}\n\
             links: [[a, r1], [r1, r2], [r2, b]]\n",
        );
        site.up(&lab);
        let b = lab.topology.nodes.iter().position(|node| node.name == "b").unwrap();
        let ends = lab.topology.ends_of(nslab_topology::model::Device::Node(b));
        let addresses: Vec<_> = ends.flat_map(|(_, end)| end.addresses.clone()).collect();
        assert_eq!(addresses.len(), 2, "one of each family: {addresses:?}");
        for address in addresses {
            let address = address.addr().to_string();
            assert!(
                reaches(&site.node("r", "b"), &site.node("r", "a"), &address),
                "a reaches {address} at once"
            );
        }
        site.down("r");
    });
}

#[test]
fn leaves_foreign_namespaces_and_files_alone() {
    privileged(|| {
        let site = Site::new();
        std::fs::create_dir_all(&site.paths.netns).unwrap();
        for (holder, content) in [("a file", Some("x")), ("a link", None)] {
            let place = site.paths.netns.join("red");
            match content {
                Some(content) => std::fs::write(&place, content).unwrap(),
                None => std::os::unix::fs::symlink("/proc/self/ns/net", &place).unwrap(),
            }
            let error = site.labs(|labs| labs.up(&wanted(GUIDE))).unwrap_err();
            assert!(
                matches!(&error, Error::Conflict { name, .. } if name.contains("red")),
                "{holder}: {error}"
            );
            assert!(std::fs::symlink_metadata(&place).is_ok(), "{holder} is still there");
            assert!(!site.paths.state.exists(), "nothing was made");
            std::fs::remove_file(&place).unwrap();
        }
        // Another lab's name.
        site.up(&wanted(GUIDE));
        let error =
            site.labs(|labs| labs.up(&wanted(&GUIDE.replace("name: guide", "name: other")))).unwrap_err();
        assert!(matches!(&error, Error::Conflict { holder, .. } if holder.contains("guide")), "{error}");
        assert_eq!(site.paths.labs().unwrap(), ["guide"]);
        site.down("guide");
        std::fs::remove_dir(&site.paths.netns).unwrap();
    });
}

#[test]
fn takes_everything_back_when_the_kernel_refuses() {
    privileged(|| {
        let site = Site::new();
        // The kernel has no such sysctl; it is found out only when it is set.
        let broken = "name: broken\nnodes: {a: {}, b: {sysctl: {net.ipv4.conf.eth0.no_such_thing: 1}}}\nlinks: [[a, b]]\n";
        let error = site.labs(|labs| labs.up(&wanted(broken))).unwrap_err();
        let Error::Refused { refusals, left } = &error else { panic!("{error}") };
        assert!(refusals[0].step.contains("no_such_thing"), "{error}");
        assert!(left.is_empty(), "{left:?}");
        site.assert_clean();

        // On a running lab the change is taken back, and only the change.
        let good = wanted("name: broken\nnodes: {a: {}, b: {}}\nlinks: [[a, b]]\n");
        site.up(&good);
        let before = site.shown(&good);
        let worse = "name: broken\nnodes: {a: {}, c: {}, b: {sysctl: {net.ipv4.conf.eth0.no_such_thing: 1}}}\n\
                     switches: {s: {}}\nlinks: [[a, b, {mtu: 1400}], [c, s], [b, s]]\n";
        assert!(site.labs(|labs| labs.up(&wanted(worse))).is_err());
        assert_same(&site.shown(&good), &before, "after the refusal");
        assert_eq!(site.up(&good).steps, 0);

        // Also where a cable with all that was on it had gone already.
        let other = "name: broken\nnodes: {a: {}, c: {}, b: {sysctl: {net.ipv4.no_such_thing: 1}}}\nlinks: [[b, c]]\n";
        assert!(site.labs(|labs| labs.up(&wanted(other))).is_err());
        assert_same(&site.shown(&good), &before, "after the second refusal");
        assert_eq!(site.up(&good).steps, 0);
        site.down("broken");
    });
}

#[test]
fn many_labs_at_once() {
    privileged(|| {
        let site = Site::new();
        std::thread::scope(|scope| {
            for number in 0..20 {
                let site = &site;
                scope.spawn(move || {
                    let lab =
                        wanted(&format!("name: lab{number}\nnodes: {{a: {{}}, b: {{}}}}\nlinks: [[a, b]]\n"));
                    site.up(&lab);
                    assert_eq!(site.up(&lab).steps, 0);
                    site.down(&format!("lab{number}"));
                });
            }
        });
        site.assert_clean();
    });
}

#[test]
fn two_builders_of_one_lab_do_not_mix() {
    privileged(|| {
        let site = Site::new();
        let one = wanted("name: same\nnodes: {h: {count: 12}}\nswitches: {s: {}}\nlinks: [[h, s]]\n");
        let other =
            wanted("name: same\nnodes: {h: {count: 5}, x: {}}\nswitches: {s: {}}\nlinks: [[h, s], [x, s]]\n");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (site, lab) = (&site, if number % 2 == 0 { &one } else { &other });
                scope.spawn(move || site.up(lab));
            }
        });
        let now = site.labs(|labs| labs.state("same")).unwrap();
        let last = if now.topology == one.topology { &one } else { &other };
        assert_eq!(site.up(last).steps, 0, "what is there is what was built last");
        site.down("same");
    });
}

#[test]
fn two_hundred_cycles_leave_nothing() {
    privileged(|| {
        let site = Site::new();
        let lab = wanted("name: cycle\nnodes: {h: {count: 20}}\nswitches: {s: {}}\nlinks: [[h, s]]\n");
        let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        site.up(&lab);
        site.down("cycle");
        let before = descriptors();
        for _ in 0..nslab_testing::times(200) {
            site.up(&lab);
            site.down("cycle");
        }
        site.assert_clean();
        // Other tests of this process open files meanwhile; a leak would be of two hundred times dozens.
        assert!(descriptors() < before + 200, "{before} descriptors before, {} after", descriptors());
    });
}

#[test]
fn ends_what_runs_in_the_namespaces() {
    privileged(|| {
        let site = Site::new();
        let lab = wanted("name: busy\nnodes: {a: {}}\n");
        site.up(&lab);
        // One that heeds no polite signal.
        let mut child = site
            .node("busy", "a")
            .run(|| {
                std::process::Command::new("sh")
                    .args(["-c", "trap '' HUP TERM; echo on; while :; do sleep 1000; done"])
                    .stdout(std::process::Stdio::piped())
                    .spawn()
            })
            .unwrap()
            .unwrap();
        let mut line = [0; 3];
        child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
        let gone = site.labs(|labs| labs.down("busy")).unwrap();
        assert!(gone.processes >= 1);
        assert!(!child.wait().unwrap().success());
    });
}

#[test]
fn namespaces_are_marked() {
    privileged(|| {
        let site = Site::new();
        site.up(&wanted("name: marks\nnodes: {a: {}, b: {}}\nlinks: [[a, b]]\n"));
        let shown = state(&site.node("marks", "a"));
        assert_eq!(shown.links[0].alias.as_deref(), Some("nslab:marks/a"));
        assert_eq!(shown.links[1].group, nslab_lab::plan::LINK_GROUP);
        site.down("marks");
    });
}

#[test]
fn finds_a_lab_without_its_directory_by_its_marks() {
    privileged(|| {
        let site = Site::new();
        site.up(&wanted("name: lost\nnodes: {a: {}}\n"));
        let mut child = site
            .node("lost", "a")
            .run(|| std::process::Command::new("sleep").arg("1000").spawn())
            .unwrap()
            .unwrap();
        // Somebody took the state away by force.
        nslab_kernel::mount::detach(&site.paths.lab("lost").pins()).unwrap();
        std::fs::remove_dir_all(&site.paths.state).unwrap();
        let gone = site.labs(|labs| labs.down("lost")).unwrap();
        assert_eq!((gone.namespaces, gone.processes), (1, 1));
        assert!(!child.wait().unwrap().success());
        let _ = std::fs::remove_dir(&site.paths.netns);
    });
}

#[test]
fn namespaces_go_from_other_mount_namespaces_too() {
    privileged(|| {
        let site = Site::new();
        site.up(&wanted("name: seen\nnodes: {a: {}, b: {}}\n"));
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "echo on; exec sleep 1000"]).stdout(std::process::Stdio::piped());
        // As a service manager or a shell in a node does. SAFETY: the closure makes system calls only.
        unsafe {
            std::os::unix::process::CommandExt::pre_exec(&mut command, || {
                rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS)?;
                nslab_kernel::mount::make_receiving(std::path::Path::new("/"))
                    .map_err(|_| rustix::io::Errno::PERM)?;
                Ok(())
            });
        }
        let mut other = command.spawn().unwrap();
        other.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
        let pin = site.paths.lab("seen").pin("a").display().to_string();
        let sees =
            || std::fs::read_to_string(format!("/proc/{}/mountinfo", other.id())).unwrap().contains(&pin);
        assert!(sees());
        site.down("seen");
        assert!(!sees(), "it would keep the namespace alive");
        other.kill().unwrap();
        other.wait().unwrap();
    });
}

/// Below an MTU of 1280 the kernel knows nothing of IPv6 on an interface.
#[test]
fn links_that_are_too_small_for_ipv6_are_built() {
    privileged(|| {
        let site = Site::new();
        let lab = wanted(
            "name: small\naddressing: {ipv6: none}\n\
             nodes: {a: {}, b: {interfaces: {br0: {type: bridge, members: [eth0]}}}}\n\
             links: [[a 10.0.0.1/24, b:eth0, {mtu: 1000}]]\n",
        );
        site.up(&lab);
        assert_eq!(site.up(&lab).steps, 0);
        site.down("small");
        site.assert_clean();
    });
}

/// The kernel looks for gateways by the rules that are there.
#[test]
fn a_rule_that_drops_what_looks_for_a_gateway_is_in_nobodys_way() {
    privileged(|| {
        let site = Site::new();
        let lab = wanted(
            "name: rules\naddressing: {ipv6: none}\n\
             nodes: {a: {routes: [10.9.0.0/16 via 10.0.0.2], rules: [iif lo blackhole priority 9]}, b: {}}\n\
             links: [[a 10.0.0.1/24, b 10.0.0.2/24]]\n",
        );
        site.up(&lab);
        assert_eq!(site.up(&lab).steps, 0);
        site.down("rules");
    });
}

//! Namespaces that were there before the lab, joined and left unharmed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nslab_kernel::{Namespace, mount, sysctl};
use nslab_lab::error::Error;
use nslab_lab::existing::FindError;
use nslab_lab::plan::Op;
use nslab_testing::{Oracle, privileged};
use serde_json::{Value, json};

use crate::crash::{kill_building, steps};
use crate::support::{Site, normalised, state, wanted};

/// A namespace that the test made and configured as its owner would.
pub(crate) struct Foreign {
    pub(crate) path: PathBuf,
    pub(crate) namespace: Namespace,
}

impl Foreign {
    /// One with an interface of its own, an address, a default route and a rule, at `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        let namespace = Namespace::create().unwrap();
        let foreign = Self { path, namespace };
        foreign.pin();
        let ip = Oracle::find().expect("ip is needed to make the foreign namespace");
        for line in [
            "link set lo up",
            "link set lo alias mine",
            "link add own type bridge",
            "link set own addrgenmode none",
            "address add 172.20.0.2/16 dev own",
            "link set own up",
            "route add default via 172.20.0.1",
            "route add 198.51.100.0/24 via 172.20.0.1 proto static",
            "route add blackhole 203.0.113.0/24",
            "rule add from 172.20.0.2 lookup 77 priority 500",
        ] {
            ip.change(&foreign.namespace, line);
        }
        foreign
    }

    fn pin(&self) {
        std::fs::write(&self.path, "").unwrap();
        self.namespace.pin(&self.path).unwrap();
    }

    /// All that can be seen of it.
    pub(crate) fn shown(&self) -> Value {
        let sysctls: BTreeMap<String, String> = self
            .namespace
            .run(|| {
                let keys = ["net.ipv4", "net.ipv6"].iter().flat_map(|root| sysctl::list(root).unwrap());
                // Written only, or refused to be read.
                keys.filter_map(|key| Some((key.clone(), sysctl::read(&key).ok()?))).collect()
            })
            .unwrap();
        assert!(sysctls.len() > 100, "{sysctls:?}");
        let mut shown = normalised(&state(&self.namespace));
        shown["sysctls"] = json!(sysctls);
        shown
    }

    pub(crate) fn assert_is(&self, before: &Value, when: &str) {
        let now = self.shown();
        for (part, value) in before.as_object().unwrap() {
            assert_eq!(&now[part], value, "{when}: {part}");
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = mount::detach(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A directory for foreign namespaces, outside of the labs'.
fn elsewhere() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("nslab-foreign-").tempdir().unwrap()
}

/// A lab that puts everything there is to put into the foreign namespace `web`.
fn lab(web: &str) -> String {
    format!(
        "name: j\nnodes:\n  web:\n    {web}\n    forward: true\n    addresses: [192.0.2.9/32]\n    \
         sysctl: {{net.ipv4.icmp_echo_ignore_broadcasts: 0, net.ipv4.conf.eth7.rp_filter: 2}}\n    \
         routes: [192.0.2.128/25 via 172.20.0.1 dev own, blackhole 192.0.2.64/26]\n    \
         rules: [from 192.0.2.9 lookup 78]\n    \
         neighbours: [{{address: 10.0.0.9, mac: 02:00:00:00:00:99, dev: eth7}}]\n  \
         r: {{forward: true}}\n  c: {{}}\nswitches: {{s: {{}}}}\n\
         links: [[web:eth7, s], [r, s], [r, c]]\n"
    )
    .replace("blackhole 192.0.2.64/26", "{to: 192.0.2.64/26, type: blackhole}")
}

fn netns(path: &Path) -> String {
    format!("netns: {}", path.display())
}

#[test]
fn is_joined_and_left_as_it_was() {
    privileged(|| {
        let (site, elsewhere) = (Site::new(), elsewhere());
        let foreign = Foreign::new(elsewhere.path().join("web"));
        let before = foreign.shown();
        let lab = wanted(&lab(&netns(&foreign.path)));
        let built = site.up(&lab);
        assert!(built.plan.steps().any(|step| matches!(step.op, Op::JoinNamespace { .. })));
        let ip = Oracle::find().unwrap();
        let routes = ip.ip(&foreign.namespace, "route show").to_string();
        // The lab's subnets, and its own default still.
        for route in ["10.0.1.0/30", "\"172.20.0.1\"", "192.0.2.128/25", "192.0.2.64/26"] {
            assert!(routes.contains(route), "{route}: {routes}");
        }
        let shown = foreign.shown();
        assert_eq!(shown["links"]["lo"]["alias"], json!("mine"));
        assert_eq!(shown["sysctls"]["net.ipv4.ip_forward"], json!("1"));
        assert_eq!(shown["sysctls"]["net.ipv4.icmp_echo_ignore_broadcasts"], json!("0"));
        let again = site.up(&lab);
        assert_eq!(again.steps, 0, "{:?}", again.plan);
        site.down("j");
        foreign.assert_is(&before, "after down");
    });
}

#[test]
fn what_others_do_meanwhile_stays() {
    privileged(|| {
        let (site, elsewhere) = (Site::new(), elsewhere());
        let foreign = Foreign::new(elsewhere.path().join("web"));
        let lab = wanted(&lab(&netns(&foreign.path)));
        site.up(&lab);
        let ip = Oracle::find().unwrap();
        for line in [
            "link add later type bridge",
            "link set later group 28275",
            "address add 192.0.2.77/32 dev lo",
            "route add 192.0.2.200/32 via 172.20.0.1",
            "rule add from 192.0.2.77 lookup 79 priority 501",
        ] {
            ip.change(&foreign.namespace, line);
        }
        assert_eq!(site.up(&lab).steps, 0);
        // What the lab needs is mended.
        ip.change(&foreign.namespace, "route del 192.0.2.128/25");
        ip.change(&foreign.namespace, "link set eth7 down");
        assert!(site.up(&lab).steps > 0);
        assert_eq!(site.up(&lab).steps, 0);
        site.down("j");
        let shown = foreign.shown().to_string();
        for thing in ["later", "192.0.2.77/32", "192.0.2.200/32", "501"] {
            assert!(shown.contains(thing), "{thing}: {shown}");
        }
        for thing in ["eth7", "192.0.2.9/32", "192.0.2.128/25", "192.0.2.64/26"] {
            assert!(!shown.contains(thing), "{thing}: {shown}");
        }
    });
}

#[test]
fn is_left_when_the_node_goes() {
    privileged(|| {
        let (site, elsewhere) = (Site::new(), elsewhere());
        let foreign = Foreign::new(elsewhere.path().join("web"));
        let before = foreign.shown();
        site.up(&wanted(&lab(&netns(&foreign.path))));
        // Less is asked for, bit by bit.
        let less = format!(
            "name: j\nnodes: {{web: {{{}}}, r: {{forward: true}}}}\nlinks: [[web:eth7, r]]\n",
            netns(&foreign.path)
        );
        site.up(&wanted(&less));
        let shown = foreign.shown();
        assert_eq!(shown["rules"], before["rules"]);
        assert_eq!(shown["sysctls"]["net.ipv4.ip_forward"], before["sysctls"]["net.ipv4.ip_forward"]);
        assert!(shown["links"].get("eth7").is_some());
        let without = wanted("name: j\nnodes: {r: {forward: true}}\n");
        site.up(&without);
        foreign.assert_is(&before, "after the node was taken out");
        assert_eq!(site.up(&without).steps, 0);
        site.down("j");
        foreign.assert_is(&before, "after down");
    });
}

#[test]
fn is_left_as_it_was_when_up_fails() {
    privileged(|| {
        let (site, elsewhere) = (Site::new(), elsewhere());
        let foreign = Foreign::new(elsewhere.path().join("web"));
        let before = foreign.shown();
        let bad = format!("{}  - [web:eth8 10.9.0.1/24, c:eth8 10.9.0.2/24]\n", lab(&netns(&foreign.path)))
            .replace(
                "links: [[web:eth7, s], [r, s], [r, c]]\n",
                "links:\n  - [web:eth7, s]\n  - [r, s]\n  - [r, c]\n",
            )
            .replace("c: {}", "c: {sysctl: {net.ipv4.conf.eth8.rp_filter: nonsense}}");
        let error = site.labs(|labs| labs.up(&wanted(&bad))).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        foreign.assert_is(&before, "after a failed up");
        site.assert_clean();
        // An edit that fails.
        let lab = wanted(&lab(&netns(&foreign.path)));
        site.up(&lab);
        let with_lab = foreign.shown();
        site.labs(|labs| labs.up(&wanted(&bad))).unwrap_err();
        foreign.assert_is(&with_lab, "after a failed edit");
        assert_eq!(site.up(&lab).steps, 0);
        site.down("j");
        foreign.assert_is(&before, "after down");
    });
}

#[test]
fn what_is_in_the_way_is_told_before_anything_is_touched() {
    privileged(|| {
        let (site, elsewhere) = (Site::new(), elsewhere());
        let foreign = Foreign::new(elsewhere.path().join("web"));
        let before = foreign.shown();
        let other = Site::new();
        other.up(&wanted("name: o\nnodes: {n: {}}\n"));
        let web = netns(&foreign.path);
        let own = netns(&other.paths.lab("o").pin("n"));
        for (nodes, links, says) in [
            (format!("web: {{{web}}}, r: {{}}"), "[web:own, r]", "the interface own in web"),
            (
                format!("web: {{{web}}}, r: {{}}"),
                "[web 172.20.0.2/24, r 172.20.0.7/24]",
                "the address 172.20.0.2",
            ),
            (
                format!("web: {{{web}, gateway: r}}, r: {{forward: true}}"),
                "[web, r]",
                "the route to default in web",
            ),
            (format!("web: {{{own}}}, r: {{}}"), "[web, r]", "it is o/n, a node of a lab"),
            (
                "web: {netns: /proc/self/ns/net}, r: {}".to_owned(),
                "[web, r]",
                "it is the host's own namespace",
            ),
            (
                format!("web: {{{web}}}, r: {{netns: {}/../web}}", elsewhere.path().join("x").display()),
                "[web, r]",
                "web is the same namespace",
            ),
        ] {
            std::fs::create_dir_all(elsewhere.path().join("x")).unwrap();
            let lab = wanted(&format!("name: j\nnodes: {{{nodes}}}\nlinks: [{links}]\n"));
            let error = site.labs(|labs| labs.up(&lab)).unwrap_err();
            assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
            assert!(error.to_string().contains(says), "{says}: {error}");
            foreign.assert_is(&before, says);
            site.assert_clean();
        }
        other.down("o");
    });
}

#[test]
fn one_that_vanished_or_came_anew() {
    privileged(|| {
        let (site, elsewhere) = (Site::new(), elsewhere());
        let foreign = Foreign::new(elsewhere.path().join("web"));
        let before = foreign.shown();
        let lab = wanted(&lab(&netns(&foreign.path)));
        site.up(&lab);
        mount::detach(&foreign.path).unwrap();
        std::fs::remove_file(&foreign.path).unwrap();
        for error in
            [site.labs(|labs| labs.plan(&lab)).unwrap_err(), site.labs(|labs| labs.up(&lab)).unwrap_err()]
        {
            let Error::Existing { held: true, source: FindError::Missing { .. }, .. } = error else {
                panic!("{error:?}")
            };
        }
        // A new one under the old name: the old one is left, the new one is joined.
        let anew = Foreign::new(elsewhere.path().join("web"));
        let anew_before = anew.shown();
        let built = site.up(&lab);
        assert!(
            built.plan.steps().any(|step| matches!(step.op, Op::LeaveNamespace { .. })),
            "{:?}",
            built.plan
        );
        foreign.assert_is(&before, "the old one");
        assert_eq!(site.up(&lab).steps, 0);
        assert!(anew.shown()["links"].get("eth7").is_some());
        drop(foreign);
        anew.pin();
        site.down("j");
        anew.assert_is(&anew_before, "the new one");
    });
}

#[test]
fn down_works_without_the_name() {
    privileged(|| {
        let (site, elsewhere) = (Site::new(), elsewhere());
        let foreign = Foreign::new(elsewhere.path().join("web"));
        let before = foreign.shown();
        site.up(&wanted(&lab(&netns(&foreign.path))));
        mount::detach(&foreign.path).unwrap();
        site.down("j");
        foreign.assert_is(&before, "after down");
    });
}

#[test]
fn is_left_as_it_was_when_up_is_killed_at_any_step() {
    privileged(|| {
        let elsewhere = elsewhere();
        let foreign = Foreign::new(elsewhere.path().join("web"));
        let before = foreign.shown();
        let text = lab(&netns(&foreign.path));
        let lab = wanted(&text);
        let mut kills = 0;
        for steps in steps() {
            let site = Site::new();
            if !kill_building(&site, &text, steps) {
                site.down("j");
                break;
            }
            kills = steps;
            if steps % 2 == 0 {
                // Completed by the next `up`.
                site.up(&lab);
                assert_eq!(site.up(&lab).steps, 0);
            }
            site.down("j");
            site.assert_clean();
            foreign.assert_is(&before, &format!("killed after {steps} steps"));
        }
        assert!(kills > 20, "{kills}");
    });
}

/// A process in a namespace of its own.
struct Apart(Child);

impl Apart {
    fn new() -> Self {
        let namespace = Namespace::create().unwrap();
        let child = namespace.run(|| Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn()).unwrap();
        Self(child.unwrap())
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn of_a_process() {
    privileged(|| {
        let site = Site::new();
        let (mut one, mut other) = (Apart::new(), Apart::new());
        let lab = wanted(&format!(
            "name: j\nnodes: {{a: {{pid: {}}}, b: {{pid: {}}}}}\nlinks: [[a, b]]\n",
            one.0.id(),
            other.0.id()
        ));
        site.up(&lab);
        assert_eq!(site.up(&lab).steps, 0);
        let a = state(&site.node("j", "a"));
        assert!(a.links.iter().any(|link| link.name.as_str() == "eth0" && link.up), "{a:?}");
        site.down("j");
        for child in [&mut one.0, &mut other.0] {
            assert!(child.try_wait().unwrap().is_none(), "it was ended");
            let namespace =
                Namespace::of_process(rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap())
                    .unwrap();
            assert_eq!(state(&namespace).links.len(), 1);
        }
        // One that has ended.
        let pid = one.0.id();
        drop(one);
        let lab = wanted(&format!("name: j\nnodes: {{a: {{pid: {pid}}}}}\n"));
        let error = site.labs(|labs| labs.up(&lab)).unwrap_err();
        assert!(error.to_string().contains(&format!("there is no process {pid}")), "{error}");
        site.assert_clean();
    });
}

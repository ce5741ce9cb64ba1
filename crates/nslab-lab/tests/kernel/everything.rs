//! A lab that has everything at once, killed while it is built, changed and taken away: firewall, address translation,
//! text for nft, a way out, files of its own, bad links, tunnels, a joined namespace, programs.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use nslab_lab::apply::Event;
use nslab_lab::labs::Wanted;
use nslab_lab::plan::StageKind;
use nslab_lab::programs::State;
use nslab_testing::{Nft, privileged};
use serde_json::{Value, json};

use crate::crash::{building, kill_building, kill_taking_away, steps};
use crate::join::Foreign;
use crate::support::{assert_same, wanted, with_labs};
use crate::uplink::World;

/// How many labs have been named here.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// How long a process has to end that nobody waits for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The lab `name`, with the namespace at `foreign` in it, on ports of the host from `port` on.
fn lab(name: &str, world: &World, foreign: &Path, port: u16) -> String {
    let (mark, foreign) = (world.site.directory().display(), foreign.display());
    format!(
        r#"
name: {name}
seed: 7
nodes:
  fw:
    forward: true
    uplink: {{publish: ["{port}:80", "127.0.0.1:{second}:53/udp"]}}
    firewall:
      default: drop
      log: true
      reject: [{{from: outside, tcp: 113}}]
      allow:
        - {{from: lan, to: outside, tcp: [80, 443]}}
        - {{from: lan, to: self, icmp: echo-request}}
        - {{from: old, to: web, tcp: 80}}
    nat: [{{masquerade: outside, from: lan}}, {{forward: {{tcp: 8000, to: "web:80", address: 10.7.0.1}}}}]
    nft: |
      table inet mine {{
        set ports {{
          type inet_service
          elements = {{ 22, 80 }}
        }}
        chain c {{
          type filter hook prerouting priority 10
          tcp dport @ports accept
        }}
      }}
  web:
    env: {{NSLAB_TEST_SITE: "{mark}"}}
    dns: [192.0.2.53]
    files: {{/etc/of-k/conf: one}}
    private: [/run/of-k]
    gateway: fw
    run:
      - {{command: "echo made > /run/of-k/made", ready: exit, name: make}}
      - {{command: [sleep, "1000000"], name: serve}}
  h: {{count: 2, gateway: fw}}
  v:
    interfaces:
      vx: {{type: vxlan, id: 5, remote: w, address: 10.9.0.1/24}}
      mv: {{type: macvlan, link: eth0, address: 10.8.0.1/24}}
      t0: tap
  w:
    interfaces:
      vx: {{type: vxlan, id: 5, remote: v}}
      p0: {{type: tap, mtu: 1450}}
      br: {{type: bridge, members: [vx, p0], address: 10.9.0.2/24}}
  old: {{netns: "{foreign}", forward: true, sysctl: {{net.ipv4.icmp_echo_ignore_broadcasts: 0}}}}
switches: {{lan: {{paths: [h1 -- h2: {{rate: 10mbit}}, h1 -> web: {{rate: 20mbit, loss: 1%}}]}}}}
links:
  - [fw:lan 10.7.0.1/24, lan]
  - [h, lan]
  - [web, lan, {{rate: 20mbit}}]
  - [v, w, {{rate: 50mbit}}]
  - [fw:old, old:eth7]
"#,
        second = port + 1
    )
}

/// The same, changed in all its parts.
fn edited(lab: &str) -> String {
    let changes = [
        ("tcp: [80, 443]", "tcp: [80, 443, 8443]"),
        ("elements = { 22, 80 }", "elements = { 22, 443 }"),
        ("- {from: old, to: web, tcp: 80}\n", "\n"),
        ("/etc/of-k/conf: one", "/etc/of-k/conf: two, /etc/of-k/more: three"),
        ("[sleep, \"1000000\"]", "[sleep, \"1000001\"]"),
        ("      mv: {type: macvlan, link: eth0, address: 10.8.0.1/24}\n", ""),
        ("      t0: tap\n", "      t1: tap\n"),
        ("type: vxlan, id: 5", "type: vxlan, id: 6"),
        ("rate: 50mbit", "rate: 40mbit, loss: 2%"),
        ("h1 -- h2: {rate: 10mbit}", "h1 -- h2: {rate: 11mbit}"),
        ("  h: {count: 2,", "  h: {count: 3, sysctl: {net.ipv4.tcp_syn_retries: 3},"),
        ("  v:\n", "  v:\n    firewall: {default: accept}\n"),
        ("  - [fw:old, old:eth7]\n", "  - [v, old:eth8]\n"),
        (":53/udp", ":54/udp"),
    ];
    changes.into_iter().fold(lab.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// A world with a namespace that is joined, and a lab that has everything, once built to see what it looks like.
struct Trial {
    world: World,
    /// The lab's name. Another test may take away what it finds of labs of a name that has no directory there.
    name: String,
    elsewhere: tempfile::TempDir,
}

impl Trial {
    /// None, with the reason said, where something is lacking that the lab is made of.
    fn new() -> Option<Self> {
        Nft::find()?;
        if let Err(error) = nslab_kernel::tun::open() {
            nslab_testing::skip(&format!("{error}"));
            return None;
        }
        let elsewhere = tempfile::Builder::new().prefix("nslab-foreign-").tempdir().unwrap();
        let name = format!("e{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Some(Self { world: World::new(), name, elsewhere })
    }

    fn foreign(&self, name: &str) -> Foreign {
        Foreign::new(self.elsewhere.path().join(name))
    }

    /// The lab that has everything.
    fn lab(&self, foreign: &Foreign) -> String {
        lab(&self.name, &self.world, &foreign.path, 8080)
    }

    /// What a lab is, also what `ip` does not show, in words that are the same for every build.
    fn shown(&self, wanted: &Wanted) -> BTreeMap<String, Value> {
        let mut shown = self.world.site.shown(wanted);
        // What the foreign namespace has besides is another's affair, and looked at when the lab has gone.
        shown.remove("old");
        let name = &wanted.topology.name;
        for (node, seen) in &mut shown {
            // The kernel makes the routes for multicast by and by.
            let routes = seen["routes"].as_array_mut().unwrap();
            routes.retain(|route| !route.as_str().is_some_and(|text| text.contains("ff00::/8")));
            let namespace = self.world.node(name, node);
            seen["queues"] = json!(said(&namespace, "tc", &["qdisc", "show"]));
            if node == "h1" {
                seen["classes"] = json!(said(&namespace, "tc", &["class", "show", "dev", "eth0"]));
                seen["filters"] = json!(said(&namespace, "tc", &["filter", "show", "dev", "eth0"]));
            }
            if node == "fw" || node == "v" {
                seen["rules of nft"] = json!(said(&namespace, "nft", &["-s", "list", "ruleset"]));
            }
        }
        shown.insert("host".to_owned(), json!(said(&self.world.host, "nft", &["-s", "list", "ruleset"])));
        let programs = nslab_lab::runner::status(&self.world.site.paths.lab(name)).unwrap();
        let serve = programs.iter().find(|one| one.name == "serve").expect("it was started");
        assert_eq!(serve.state, State::Running);
        let inside = |path: &str| std::fs::read_to_string(format!("/proc/{}/root{path}", serve.pid)).ok();
        let files = ["/etc/of-k/conf", "/etc/of-k/more", "/run/of-k/made", "/etc/resolv.conf"];
        let programs: Vec<_> = programs.iter().map(|one| (&one.name, &one.command)).collect();
        shown.insert("programs".to_owned(), json!([programs, files.map(inside)]));
        shown
    }

    /// Brings the lab to what is wanted, and looks whether it is that.
    fn completes(&self, text: &str, whole: &BTreeMap<String, Value>, when: &str) {
        let wanted = wanted(text);
        self.world.up(text);
        assert_same(&self.shown(&wanted), whole, when);
        let plan = self.world.host.run(|| self.world.site.labs(|labs| labs.plan(&wanted))).unwrap().unwrap();
        assert!(plan.is_empty(), "{when}: {plan:#?}");
    }

    /// Builds the lab, looks at it, and takes it away.
    fn whole(&self, text: &str) -> BTreeMap<String, Value> {
        self.world.up(text);
        let wanted = wanted(text);
        let shown = self.shown(&wanted);
        self.world.down(&wanted.topology.name);
        shown
    }

    /// Takes the lab away, unless it is gone already, and looks whether anything is left.
    fn is_clean_after_down(&self, name: &str, host: &Value, when: &str) {
        if self.world.site.paths.lab(name).root().exists() {
            self.world.down(name);
        }
        self.world.assert_is(host, when);
        self.assert_no_process(when);
    }

    /// Fails if a program of these labs runs, or one that keeps them.
    fn assert_no_process(&self, when: &str) {
        let mark = self.world.site.directory().display().to_string();
        let end = Instant::now() + PATIENCE;
        // One that was killed a moment ago has not been waited for yet.
        while let Some(left) = process_with(&mark) {
            assert!(Instant::now() < end, "{when}: {left} is left");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A process that has `mark` in its environment.
fn process_with(mark: &str) -> Option<String> {
    std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let environment = std::fs::read(entry.path().join("environ")).ok()?;
        String::from_utf8_lossy(&environment).contains(mark).then(|| entry.path().display().to_string())
    })
}

/// What a program prints in a namespace.
fn said(namespace: &Namespace, program: &str, arguments: &[&str]) -> Vec<String> {
    let output = namespace.run(|| Command::new(program).args(arguments).output()).unwrap().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    // What htb has counted is no part of what was wanted.
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let counter = words.iter().position(|word| *word == "direct_packets_stat");
            let counted = |place: &usize| counter.is_none_or(|at| *place != at + 1);
            let words = words.iter().enumerate().filter(|(place, _)| counted(place));
            words.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
        })
        .collect();
    // Lines of nft belong where they are; those of tc come in the order of the interfaces' numbers.
    if program == "tc" {
        lines.sort();
    }
    lines
}

/// After how many events the first of each stage, the last, and some between are done, while `work` goes on.
fn places(trial: &Trial, text: &str, each: usize) -> Vec<(StageKind, usize)> {
    let seen: Mutex<(usize, Vec<(StageKind, usize)>)> = Mutex::default();
    let observer = |event: Event<'_>| {
        let (count, stages) = &mut *seen.lock().unwrap();
        *count += 1;
        if let Event::Stage { kind, .. } = event {
            stages.push((kind, *count));
        }
    };
    let up = || with_labs(&trial.world.site.paths, &observer, true, |labs| labs.up(&wanted(text)).unwrap());
    trial.world.host.run(up).unwrap();
    let (count, stages) = seen.into_inner().unwrap();
    let ends = stages.iter().skip(1).map(|(_, next)| *next).chain([count + 1]);
    let mut places = Vec::new();
    for ((kind, begin), end) in stages.iter().zip(ends) {
        let length = end - begin;
        let picked = length.min(nslab_testing::times(each).max(2));
        places.extend((0..picked).map(|number| (*kind, begin + number * (length - 1) / (picked - 1).max(1))));
    }
    places
}

#[test]
fn up_killed_at_any_step_is_completed_or_taken_away() {
    privileged(|| {
        let Some(trial) = Trial::new() else { return };
        let foreign = trial.foreign("old");
        let (host, owner) = (trial.world.shown(), foreign.shown());
        let text = trial.lab(&foreign);
        let whole = trial.whole(&text);
        let places = places(&trial, &text, 4);
        trial.world.down(&trial.name);
        let kinds: Vec<StageKind> = places.iter().map(|(kind, _)| *kind).collect();
        for kind in [
            StageKind::Namespaces,
            StageKind::Bridges,
            StageKind::Cables,
            StageKind::Interfaces,
            StageKind::Configure,
            StageKind::Firewalls,
            StageKind::SwitchesUp,
            StageKind::Views,
            StageKind::StartPrograms,
        ] {
            assert!(kinds.contains(&kind), "{kind:?}");
        }
        for (number, (kind, place)) in places.iter().enumerate() {
            let when = format!("killed after {place} events, in {kind:?}");
            let killed = trial.world.host.run(|| kill_building(&trial.world.site, &text, *place)).unwrap();
            assert!(killed, "{when}");
            if number % 2 == 0 {
                trial.completes(&text, &whole, &when);
            }
            trial.is_clean_after_down(&trial.name, &host, &when);
            foreign.assert_is(&owner, &when);
        }
    });
}

#[test]
fn a_change_killed_at_any_step_is_completed_or_taken_away() {
    privileged(|| {
        let Some(trial) = Trial::new() else { return };
        let foreign = trial.foreign("old");
        let (host, owner) = (trial.world.shown(), foreign.shown());
        let text = trial.lab(&foreign);
        let edited = edited(&text);
        let (was, whole) = (trial.whole(&text), trial.whole(&edited));
        trial.world.up(&text);
        let places = places(&trial, &edited, 2);
        trial.world.down(&trial.name);
        for (number, (kind, place)) in places.iter().enumerate() {
            let when = format!("killed after {place} events, in {kind:?}");
            trial.world.up(&text);
            trial.world.host.run(|| kill_building(&trial.world.site, &edited, *place)).unwrap();
            match number % 3 {
                0 => {}
                1 => trial.completes(&edited, &whole, &when),
                _ => trial.completes(&text, &was, &format!("{when} and gone back")),
            }
            trial.is_clean_after_down(&trial.name, &host, &when);
            foreign.assert_is(&owner, &when);
        }
    });
}

#[test]
fn down_killed_at_any_step_is_completed() {
    privileged(|| {
        let Some(trial) = Trial::new() else { return };
        let foreign = trial.foreign("old");
        let (host, owner) = (trial.world.shown(), foreign.shown());
        let text = trial.lab(&foreign);
        let whole = trial.whole(&text);
        for steps in steps().step_by(2) {
            let when = format!("killed after {steps} events");
            trial.world.up(&text);
            let killed = trial.world.host.run(|| kill_taking_away(&trial.world.site, &text, steps)).unwrap();
            if killed && steps % 4 == 1 {
                trial.completes(&text, &whole, &when);
            }
            trial.is_clean_after_down(&trial.name, &host, &when);
            foreign.assert_is(&owner, &when);
            if !killed {
                assert!(steps > 20, "{steps}");
                break;
            }
        }
    });
}

/// Not between two steps but at any moment: the steps of another process are not known.
#[test]
fn up_killed_at_any_moment_is_completed_or_taken_away() {
    privileged(|| {
        let Some(trial) = Trial::new() else { return };
        let foreign = trial.foreign("old");
        let (host, owner) = (trial.world.shown(), foreign.shown());
        let text = trial.lab(&foreign);
        let whole = trial.whole(&text);
        let spawn = || trial.world.host.run(|| building(&trial.world.site, &text).spawn()).unwrap().unwrap();
        let began = Instant::now();
        assert!(spawn().wait().unwrap().success());
        let length = began.elapsed();
        trial.world.down(&trial.name);
        let kills = u32::try_from(nslab_testing::times(12)).unwrap();
        for number in 0..kills {
            let after = length * (number + 1) / (kills + 1);
            let when = format!("killed after {after:?} of {length:?}");
            let mut child = spawn();
            std::thread::sleep(after);
            child.kill().unwrap();
            child.wait().unwrap();
            if number % 2 == 0 {
                trial.completes(&text, &whole, &when);
            }
            trial.is_clean_after_down(&trial.name, &host, &when);
            foreign.assert_is(&owner, &when);
        }
    });
}

/// nft has loaded the text, and nothing of that is noted: whoever comes next must not load it beside itself.
#[test]
fn killed_when_nft_has_done_its_part() {
    privileged(|| {
        let Some(trial) = Trial::new() else { return };
        let foreign = trial.foreign("old");
        let (host, owner) = (trial.world.shown(), foreign.shown());
        let text = trial.lab(&foreign);
        let whole = trial.whole(&text);
        let path = std::env::var("PATH").unwrap();
        let script = format!(
            "#!/bin/sh\nPATH={path:?}:/usr/sbin:/sbin\nnft \"$@\" || exit\n[ \"$1\" = -c ] || kill -9 $PPID\n"
        );
        let program = trial.elsewhere.path().join("nft");
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o755)
            .open(&program)
            .unwrap();
        file.write_all(script.as_bytes()).unwrap();
        drop(file);
        let own = format!("{}:{path}", trial.elsewhere.path().display());
        let nothing = &format!("name: {}\nnodes: {{fw: {{}}}}\n", trial.name)[..];
        for (round, then) in [Some(&text[..]), Some(nothing), None].into_iter().enumerate() {
            let when = format!("round {round}");
            let kill = || {
                let mut command = building(&trial.world.site, &text);
                command.env("PATH", &own).stderr(Stdio::null()).status().unwrap()
            };
            assert!(!trial.world.host.run(kill).unwrap().success(), "{when}");
            match then {
                Some(then) if then == text => trial.completes(then, &whole, &when),
                Some(then) => {
                    trial.world.up(then);
                    let rules = said(&trial.world.node(&trial.name, "fw"), "nft", &["list", "ruleset"]);
                    assert!(rules.is_empty(), "{when}: {rules:?}");
                }
                None => {}
            }
            trial.is_clean_after_down(&trial.name, &host, &when);
            foreign.assert_is(&owner, &when);
        }
    });
}

#[test]
fn twenty_such_labs_side_by_side() {
    privileged(|| {
        let Some(trial) = Trial::new() else { return };
        let count = nslab_testing::times(20).max(2);
        let foreign: Vec<Foreign> = (0..count).map(|number| trial.foreign(&format!("old{number}"))).collect();
        let host = trial.world.shown();
        let owners: Vec<Value> = foreign.iter().map(Foreign::shown).collect();
        let names: Vec<String> = (0..count).map(|number| format!("{}-{number}", trial.name)).collect();
        let texts: Vec<String> = (0..count)
            .map(|number| {
                let port = 8000 + 2 * u16::try_from(number).unwrap();
                lab(&names[number], &trial.world, &foreign[number].path, port)
            })
            .collect();
        let each = |work: &(dyn Fn(usize, &str) + Sync)| {
            let next = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        while let Some((number, text)) = {
                            let number = next.fetch_add(1, Ordering::SeqCst);
                            texts.get(number).map(|text| (number, text))
                        } {
                            work(number, text);
                        }
                    });
                }
            });
        };
        // Every third is killed on its way up, and every third on its way down.
        each(&|number, text| {
            if number % 3 == 0 {
                trial.world.host.run(|| kill_building(&trial.world.site, text, 11 * (number + 1))).unwrap();
            }
            trial.world.up(text);
        });
        each(&|number, text| {
            let plan = trial.world.host.run(|| trial.world.site.labs(|labs| labs.plan(&wanted(text))));
            let plan = plan.unwrap().unwrap();
            assert!(plan.is_empty(), "{number}: {plan:#?}");
        });
        each(&|number, text| {
            if number % 3 == 1 {
                trial.world.host.run(|| kill_taking_away(&trial.world.site, text, number + 1)).unwrap();
            }
            if trial.world.site.paths.lab(&names[number]).root().exists() {
                trial.world.down(&names[number]);
            }
        });
        trial.is_clean_after_down(&names[0], &host, "after all");
        for (number, (foreign, owner)) in foreign.iter().zip(&owners).enumerate() {
            foreign.assert_is(owner, &format!("after all, {number}"));
        }
    });
}

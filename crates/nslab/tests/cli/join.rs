//! Nodes that are existing namespaces, processes, containers.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{PAIR, Run, Running, Session, as_root, as_user, each_user};

as_root!(a_name);
each_user!(a_process, a_container, a_container_without_an_engine, targets);
as_user!(what_is_another_users);

/// The iproute2 that makes the namespace, where it is installed.
fn has_ip() -> bool {
    nslab_testing::Oracle::find().is_some()
}

/// A process in a network namespace of its own, beside the user's labs, of which there must be one.
fn apart(session: &Session) -> Running {
    let running = Running::start(session.command(["exec", "host", "--", "unshare", "-n", "sleep", "1000"]));
    wait_for(&running, "sleep");
    running
}

/// Waits until the process has become a program.
fn wait_for(running: &Running, program: &str) {
    let comm = format!("/proc/{}/comm", running.child.id());
    let came = (0..30_000).any(|_| {
        std::fs::read_to_string(&comm).is_ok_and(|name| name.trim() == program) || {
            std::thread::sleep(std::time::Duration::from_millis(2));
            false
        }
    });
    assert!(came, "{program} does not come");
}

/// What `ip` shows of a target.
fn shown(session: &Session, target: &str) -> Vec<String> {
    ["-d addr", "-4 route show table all", "-6 route show table all", "rule"]
        .map(|words| {
            let mut command = session.command(["exec", target, "--", "ip"]);
            command.args(words.split(' '));
            Run::of(command).ok()
        })
        .into()
}

fn a_name(session: &Session) {
    if !has_ip() {
        return;
    }
    let name = session.lab("existing");
    let target = format!("netns:{name}");
    let ip = |verb: &str| {
        let mut command = session.other("ip");
        command.args(["netns", verb, &name]);
        Run::of(command).ok();
    };
    ip("add");
    let text = format!(
        "nodes: {{web: {{netns: {name}}}, r: {{forward: true}}, c: {{}}}}\n\
         links: [[web 10.7.0.2/24, r 10.7.0.1/24], [c 10.8.0.2/24, r 10.8.0.1/24]]\n"
    );
    let before = shown(session, &target);
    let (lab, file) = session.lab_file(&text);
    let plan = session.ok(["plan", &file]);
    assert!(plan.contains(&format!("join netns:{name} as web")), "{plan}");
    assert_eq!(shown(session, &target), before);
    session.ok(["up", &file]);
    session.ok(["ping", &format!("{lab}/c"), "web", "-c1"]);
    session.ok(["ping", &format!("{lab}/web"), "10.8.0.2", "-c1"]);
    session.ok(["ping", "--lab", &lab]);
    assert!(session.ok(["show", &format!("{lab}/web")]).contains("10.7.0.2/24"));
    assert_eq!(session.ok(["exec", &format!("{lab}/web"), "--", "uname", "-n"]), "web\n");
    // There already, or gone meanwhile.
    session.ok(["plan", &file]);
    let plan = session.json(["plan", &file]);
    assert_eq!(plan["stages"], serde_json::json!([]), "{plan}");
    session.ok(["down", &lab]);
    assert_eq!(shown(session, &target), before);
    ip("del");
    session.run(["up", &file]).status(2).says(&format!("node web: there is no namespace {name:?}"));
    session.assert_nothing_of(&lab);
}

fn a_process(session: &Session) {
    let outer = session.up(PAIR);
    let mut apart = apart(session);
    let pid = apart.child.id();
    let text = format!("nodes: {{p: {{pid: {pid}}}, q: {{}}}}\nlinks: [[p:x 10.7.0.2/24, q 10.7.0.1/24]]\n");
    let (lab, file) = session.lab_file(&text);
    session.ok(["up", &file]);
    session.ok(["ping", &format!("{lab}/q"), "p", "-c1"]);
    session.ok(["ping", &format!("pid:{pid}"), "10.7.0.1", "-c1"]);
    session.ok(["down", &lab]);
    assert!(apart.child.try_wait().unwrap().is_none(), "it was ended");
    assert!(!session.ok(["show", &format!("pid:{pid}")]).contains("10.7.0.2"));
    // It ends while the lab runs.
    session.ok(["up", &file]);
    drop(apart);
    session.run(["up", &file]).status(2).says("any more").says("nothing was changed");
    session.run(["plan", &file]).status(2).says(&format!("there is no process {pid}"));
    session.ok(["down", &lab]);
    session.ok(["down", &outer]);
}

/// A Docker that knows one container, `web`, and answers to `GET /containers/NAME/json` in the way of the real one.
fn engine(session: &Session, pid: u32) -> PathBuf {
    let path = session.directory().join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap() == 0 {
                    break;
                }
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let (status, body) = match request.split(' ').nth(1).unwrap() {
                "/containers/web/json" => (
                    "200 OK",
                    format!(
                        "{{\"Id\":\"0\",\"State\":{{\"Status\":\"running\",\"Running\":true,\"Pid\":{pid}}}}}"
                    ),
                ),
                "/containers/old/json" => (
                    "200 OK",
                    "{\"Id\":\"1\",\"State\":{\"Status\":\"exited\",\"Running\":false,\"Pid\":0}}".to_owned(),
                ),
                _ => ("404 Not Found", "{\"message\":\"No such container\"}".to_owned()),
            };
            write!(stream, "HTTP/1.0 {status}\r\nContent-Type: application/json\r\n\r\n{body}\n").unwrap();
        }
    });
    path
}

fn a_container(session: &Session) {
    let outer = session.up(PAIR);
    let mut apart = apart(session);
    let socket = engine(session, apart.child.id());
    let docker = |arguments: &[&str]| -> Command {
        let mut command = session.command(arguments);
        command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
        command
    };
    let (lab, file) = session
        .lab_file("nodes: {db: {container: web}, q: {}}\nlinks: [[db:lab 10.7.0.2/24, q 10.7.0.1/24]]\n");
    Run::of(docker(&["up", &file])).ok();
    session.ok(["ping", &format!("{lab}/q"), "db", "-c1"]);
    assert!(Run::of(docker(&["show", "container:web"])).ok().contains("10.7.0.2/24"));
    Run::of(docker(&["exec", "container:web", "--", "true"])).ok();
    Run::of(docker(&["show", "container:old"])).status(2).says("does not run");
    Run::of(docker(&["show", "container:other"])).status(2).says("there is no container \"other\"");
    // `down` needs no engine.
    session.ok(["down", &lab]);
    assert!(apart.child.try_wait().unwrap().is_none(), "it was ended");
    session.ok(["down", &outer]);
}

/// As a container is seen from outside: files, a host name and a network of its own.
fn a_container_without_an_engine(session: &Session) {
    let outer = session.up(PAIR);
    let root = session.directory().join("root");
    for directory in [root.clone(), root.join("etc")] {
        std::fs::create_dir(&directory).unwrap();
        session.hand_over(&directory);
    }
    let name = session.lab("box");
    session.hand_over(&{
        std::fs::write(root.join("etc/hostname"), format!("{name}\n")).unwrap();
        root.join("etc/hostname")
    });
    let script = format!("mount --bind {0}/etc/hostname /etc/hostname && exec sleep 1000", root.display());
    let mut command = session.command(["exec", "host", "--", "unshare", "-n", "-m", "sh", "-c", &script]);
    // No engine of this machine is asked.
    let nobody = format!("unix://{}", session.directory().join("nobody.sock").display());
    command.env("DOCKER_HOST", &nobody);
    let running = Running::start(command);
    wait_for(&running, "sleep");
    let mut show = session.command(["show", &format!("container:{name}")]);
    show.env("DOCKER_HOST", &nobody);
    assert!(Run::of(show).ok().contains("lo"));
    let mut show = session.command(["show", "container:no-such-box"]);
    show.env("DOCKER_HOST", &nobody);
    Run::of(show).status(2).says("no container \"no-such-box\" was found").says("nobody.sock");
    drop(running);
    session.ok(["down", &outer]);
}

fn targets(session: &Session) {
    let outer = session.up(PAIR);
    let apart = apart(session);
    let path = format!("netns:/proc/{}/ns/net", apart.child.id());
    assert!(session.ok(["show", &path]).contains("lo"));
    session.run(["show", "netns:/dev/null"]).status(2).says("is not a network namespace");
    drop(apart);
    session.ok(["down", &outer]);
}

/// A process in a user namespace beside the user's own is out of reach, and so is what is root's.
fn what_is_another_users(session: &Session) {
    let outer = session.up(PAIR);
    let running = Running::start({
        let mut command = session.other("unshare");
        command.args(["-U", "-r", "-n", "sleep", "1000"]);
        command
    });
    wait_for(&running, "sleep");
    let pid = running.child.id();
    let (lab, file) = session.lab_file(&format!("nodes: {{p: {{pid: {pid}}}, q: {{}}}}\nlinks: [[p, q]]\n"));
    session.run(["up", &file]).status(3).says("node p: ").says("nothing was changed").says("user namespace");
    session.assert_nothing_of(&lab);
    session.run(["show", "pid:1"]).status(3).says("not yours");
    session.ok(["down", &outer]);
}

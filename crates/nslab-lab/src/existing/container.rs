//! Containers: their first process, as their engine tells it over its socket, or as `/proc` shows it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nslab_kernel::Namespace;
use rustix::process::Pid;
use serde::Deserialize;

use super::{FindError, of_process, proc};

/// An engine answers at once or is in trouble.
const PATIENCE: Duration = Duration::from_secs(5);
/// No answer about one container is nearly as long.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Opens the namespace of a container.
pub(super) fn open(name: &str) -> Result<Namespace, FindError> {
    let mut silent = Vec::new();
    for socket in sockets() {
        match ask(&socket, name) {
            Ok(Answer::Running(pid)) => {
                let namespace = of_process(pid)?;
                // Between the answer and the opening the container may have ended and its number have passed on.
                if let Ok(Answer::Running(again)) = ask(&socket, name)
                    && again == pid
                {
                    return Ok(namespace);
                }
                return Err(not_running(name));
            }
            Ok(Answer::Stopped) => return Err(not_running(name)),
            Ok(Answer::Unknown) => {}
            Err(error) => silent.push(format!("{}: {error}", socket.display())),
        }
    }
    match proc::find(name)? {
        Some(namespace) => Ok(namespace),
        None if silent.is_empty() => Err(FindError::missing(
            format!("there is no container {name:?}"),
            "`docker ps` or `podman ps` shows those that run; another engine's socket is named by DOCKER_HOST or \
             CONTAINER_HOST",
        )),
        None => Err(FindError::missing(
            format!("no container {name:?} was found ({})", silent.join("; ")),
            "name its process instead, with `pid:`",
        )),
    }
}

fn not_running(name: &str) -> FindError {
    FindError::missing(format!("container {name:?} does not run"), "start it first")
}

/// Where engines listen: what the environment names, else the usual places of Docker and Podman that there are.
fn sockets() -> Vec<PathBuf> {
    let named: Vec<PathBuf> = ["DOCKER_HOST", "CONTAINER_HOST"]
        .iter()
        .filter_map(|variable| {
            std::env::var(variable).ok()?.strip_prefix("unix://").map(|path| PathBuf::from(path.to_owned()))
        })
        .collect();
    if !named.is_empty() {
        return named;
    }
    let mut usual: Vec<PathBuf> =
        ["/run/docker.sock", "/run/podman/podman.sock"].iter().map(PathBuf::from).collect();
    if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        usual.extend(["docker.sock", "podman/podman.sock"].map(|socket| runtime.join(socket)));
    }
    usual.retain(|path| path.exists());
    usual
}

/// What an engine says of a container.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Running(Pid),
    Stopped,
    Unknown,
}

/// The part of `GET /containers/NAME/json` that matters, alike with Docker and Podman.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    state: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    #[serde(default)]
    running: bool,
    #[serde(default)]
    pid: i32,
}

/// Asks in HTTP/1.0, so that the answer ends where the connection does. `name` has no character that means something in
/// a request.
fn ask(socket: &Path, name: &str) -> std::io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /containers/{name}/json HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    read(&answer)
}

fn read(answer: &[u8]) -> std::io::Result<Answer> {
    let strange = |what: &str| std::io::Error::other(format!("it {what}"));
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.ok_or_else(|| strange("does not speak HTTP"))?);
    let head = String::from_utf8_lossy(head);
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    match status {
        "200" => {}
        "404" => return Ok(Answer::Unknown),
        other => return Err(strange(&format!("answered with status {other}"))),
    }
    let inspected: Inspected = serde_json::from_slice(&body[4..])
        .map_err(|_| strange("answered with something else than a container"))?;
    Ok(match Pid::from_raw(inspected.state.pid.max(0)) {
        Some(pid) if inspected.state.running => Answer::Running(pid),
        _ => Answer::Stopped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let http =
            |status: &str, body: &str| read(format!("HTTP/1.0 {status}\r\nA: b\r\n\r\n{body}").as_bytes());
        let pid = Pid::from_raw(7).unwrap();
        assert_eq!(
            http("200 OK", r#"{"Id":"x","State":{"Running":true,"Pid":7}}"#).unwrap(),
            Answer::Running(pid)
        );
        assert_eq!(http("200 OK", r#"{"State":{"Running":false,"Pid":0}}"#).unwrap(), Answer::Stopped);
        assert_eq!(http("404 Not Found", "{}").unwrap(), Answer::Unknown);
        assert!(
            http("500 Oh", "").is_err() && http("200 OK", "[]").is_err() && read(b"SSH-2.0\r\n").is_err()
        );
    }
}

//! Unix sockets by paths of any length, for their owner only.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::exec;

/// A socket that listens at `path`, which must be free.
pub(crate) fn listen(path: &Path) -> io::Result<OwnedFd> {
    let socket = stream()?;
    // The kernel gives the file the mode of the socket, so there is no moment in which others could connect.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    let (_directory, address) = address(path)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, 128)?;
    Ok(socket)
}

/// A connection to who listens at `path`; none if nobody does.
pub(crate) fn connect(path: &Path) -> io::Result<Option<UnixStream>> {
    let socket = stream()?;
    let connected =
        address(path).and_then(|(_directory, address)| Ok(rustix::net::connect(&socket, &address)?));
    match connected {
        Ok(()) => Ok(Some(socket.into())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Takes the socket that this process was started with as its standard input, and leaves `/dev/null` there.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    let is_listening = rustix::net::sockopt::socket_acceptconn(&stdin).unwrap_or(false);
    if !is_listening {
        return Err(io::Error::other("this command is nslab's own: it is started with a listening socket"));
    }
    let socket = rustix::io::fcntl_dupfd_cloexec(&stdin, 3)?;
    exec::mute(&stdin)?;
    Ok(socket)
}

fn stream() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// The address of a path. Addresses hold 107 bytes, so the directory goes by a descriptor, which must be open as long
/// as the address is used.
fn address(path: &Path) -> io::Result<(OwnedFd, SocketAddrUnix)> {
    let name = path.file_name().unwrap_or(OsStr::new("."));
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory =
        rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    let address = SocketAddrUnix::new(&short)?;
    Ok((directory, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_work_and_others_are_kept_out() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("x".repeat(200));
        std::fs::create_dir(&deep).unwrap();
        let path = deep.join("socket");
        assert!(connect(&path).unwrap().is_none(), "there is no file");
        let listener = listen(&path).unwrap();
        assert!(connect(&path).unwrap().is_some());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(listener);
        assert!(connect(&path).unwrap().is_none(), "nobody listens");
    }
}

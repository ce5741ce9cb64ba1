//! Users and groups of this machine, and which of them a process here can be.

use std::ffi::{CStr, CString};
use std::io;
use std::path::PathBuf;

use nslab_topology::model::Owner;

use crate::error::{Context, Error, Result};

/// Who a program runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user's number.
    pub uid: u32,
    /// The user's own group.
    pub gid: u32,
    /// All groups of the user.
    pub groups: Vec<u32>,
    /// The user's name, if the number has one.
    pub name: Option<String>,
    /// The user's home directory, if known.
    pub home: Option<PathBuf>,
}

impl Account {
    /// The account of a user that is given by name or number. A number that no account has gets the group of the same
    /// number and no others. Errors with [`Error::Machine`] if there is none of that name, and if this process, being in a
    /// user namespace, cannot become it.
    pub fn find(user: &str) -> Result<Self> {
        let number = user.parse::<u32>().ok();
        let account = match (passwd(number.map_or(Key::Name(user), Key::Number))?, number) {
            (Some(account), _) => account,
            (None, Some(uid)) => Self { uid, gid: uid, groups: vec![uid], name: None, home: None },
            (None, None) => return Err(unknown("user", user)),
        };
        check_mapped("uid_map", "user", user, account.uid)?;
        check_mapped("gid_map", "group of user", user, account.gid)?;
        Ok(account)
    }

    /// Whether a process that is root already is it, so that nothing has to change. In a user namespace root may not
    /// even set its groups.
    pub(super) fn is_current(&self) -> bool {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        (self.uid, self.gid) == (uid, gid)
            && (uid != 0 || self.groups.iter().all(|group| *group == gid) || !may_set_groups())
    }
}

/// The numbers of a file's owner. Errors as [`Account::find`] does.
pub(crate) fn owner_ids(owner: &Owner) -> Result<(u32, u32)> {
    let account = Account::find(&owner.user)?;
    let Some(group) = &owner.group else { return Ok((account.uid, account.gid)) };
    let gid = match group.parse() {
        Ok(gid) => gid,
        Err(_) => group_id(group)?.ok_or_else(|| unknown("group", group))?,
    };
    check_mapped("gid_map", "group", group, gid)?;
    Ok((account.uid, gid))
}

fn unknown(kind: &str, name: &str) -> Error {
    Error::Machine {
        what: format!("there is no {kind} {name:?} on this machine"),
        hint: Some("install the package that makes it, or name another".to_owned()),
    }
}

/// As an ordinary user all happens in a user namespace, in which few users exist: usually one, who is root there.
fn check_mapped(map: &str, kind: &str, name: &str, id: u32) -> Result<()> {
    let path = format!("/proc/self/{map}");
    let text = std::fs::read_to_string(&path).context(|| format!("read {path}"))?;
    if is_mapped(&text, id) {
        return Ok(());
    }
    Err(Error::Machine {
        what: format!(
            "the {kind} {name} ({id}) does not exist in the user namespace that this lab is in: as an ordinary user there is only root"
        ),
        hint: Some("take it out of the lab file, or run nslab as root".to_owned()),
    })
}

/// Whether an id is in a map of lines with first id inside, first id outside and count (`user_namespaces(7)`).
fn is_mapped(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> =
            line.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect();
        matches!(numbers[..], [first, _, count] if (first..first + count).contains(&u64::from(id)))
    })
}

fn may_set_groups() -> bool {
    std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "allow")
}

#[derive(Clone, Copy)]
enum Key<'a> {
    Name(&'a str),
    Number(u32),
}

/// The longest that an entry may be.
const LONGEST_ENTRY: usize = 1 << 20;

/// Asks the system's name service, which knows more than `/etc/passwd`.
fn passwd(key: Key<'_>) -> Result<Option<Account>> {
    let action = || "look up a user".to_owned();
    let Some(name) = c_name(key) else { return Ok(None) };
    let mut buffer = vec![0; 4096];
    loop {
        // SAFETY: zero is a valid value of every field; it is read only after the call has filled it in.
        let mut entry = unsafe { std::mem::zeroed::<libc::passwd>() };
        let mut found = std::ptr::null_mut();
        // SAFETY: the buffer is as long as is said, the name ends with a zero, and what `entry` points to afterwards is
        // in the buffer, which lives as long as it is read.
        let status = unsafe {
            let (buffer, length) = (buffer.as_mut_ptr(), buffer.len());
            match key {
                Key::Name(_) => {
                    libc::getpwnam_r(name.as_ptr(), &raw mut entry, buffer, length, &raw mut found)
                }
                Key::Number(uid) => libc::getpwuid_r(uid, &raw mut entry, buffer, length, &raw mut found),
            }
        };
        match status {
            libc::ERANGE if buffer.len() < LONGEST_ENTRY => buffer.resize(buffer.len() * 4, 0),
            // POSIX lets implementations say "not found" with any of these.
            _ if found.is_null()
                && matches!(status, 0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM) =>
            {
                return Ok(None);
            }
            0 => {
                // SAFETY: the call succeeded, so both point to texts that end with a zero, in the buffer.
                let (name, home) = unsafe { (CStr::from_ptr(entry.pw_name), CStr::from_ptr(entry.pw_dir)) };
                return Ok(Some(Account {
                    uid: entry.pw_uid,
                    gid: entry.pw_gid,
                    groups: groups(name, entry.pw_gid),
                    home: home.to_str().ok().filter(|home| !home.is_empty()).map(PathBuf::from),
                    name: name.to_str().ok().map(str::to_owned),
                }));
            }
            status => return Err(io::Error::from_raw_os_error(status)).context(action),
        }
    }
}

fn c_name(key: Key<'_>) -> Option<CString> {
    match key {
        Key::Name(name) => CString::new(name).ok(),
        Key::Number(_) => Some(CString::default()),
    }
}

/// All groups of a user, the own one among them.
fn groups(name: &CStr, gid: u32) -> Vec<u32> {
    let mut groups = vec![0; 64];
    loop {
        let mut count = libc::c_int::try_from(groups.len()).unwrap_or(libc::c_int::MAX);
        // SAFETY: `count` is how many fit; the call writes no more and says how many there are.
        let result = unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
        let count = usize::try_from(count).unwrap_or(0);
        if result >= 0 || count <= groups.len() {
            groups.truncate(count);
            return groups;
        }
        groups.resize(count, 0);
    }
}

fn group_id(name: &str) -> Result<Option<u32>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    let mut buffer = vec![0; 4096];
    loop {
        // SAFETY: as for a user.
        let mut entry = unsafe { std::mem::zeroed::<libc::group>() };
        let mut found = std::ptr::null_mut();
        // SAFETY: the buffer is as long as is said and the name ends with a zero; only a number is read afterwards.
        let status = unsafe {
            libc::getgrnam_r(name.as_ptr(), &raw mut entry, buffer.as_mut_ptr(), buffer.len(), &raw mut found)
        };
        match status {
            libc::ERANGE if buffer.len() < LONGEST_ENTRY => buffer.resize(buffer.len() * 4, 0),
            _ if found.is_null() => return Ok(None),
            _ => return Ok(Some(entry.gr_gid)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_unknown_users() {
        let root = Account::find("root").unwrap();
        assert_eq!((root.uid, root.name.as_deref()), (0, Some("root")));
        assert_eq!(Account::find("0").unwrap().name.as_deref(), Some("root"));
        assert!(matches!(Account::find("no-such-user"), Err(Error::Machine { .. })));
        let owner = |user: &str, group: Option<&str>| Owner {
            user: user.to_owned(),
            group: group.map(str::to_owned),
        };
        assert_eq!(owner_ids(&owner("root", Some("0"))).unwrap(), (0, 0));
        assert!(matches!(owner_ids(&owner("root", Some("no-such-group"))), Err(Error::Machine { .. })));
    }

    #[test]
    fn maps_of_user_namespaces() {
        assert!(is_mapped("         0          0 4294967295\n", 1000));
        assert!(is_mapped("         0       1000          1\n", 0));
        assert!(!is_mapped("         0       1000          1\n", 1));
        assert!(is_mapped("0 1000 1\n1 100000 65536\n", 65536));
        assert!(!is_mapped("nonsense\n", 0));
    }
}

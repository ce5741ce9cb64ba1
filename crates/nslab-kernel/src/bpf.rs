//! Which BPF programs see packets where netlink does not tell: at interfaces (TCX, since Linux 6.6) and at netfilter's hooks
//! (since 6.4). `bpf(2)`, `include/uapi/linux/bpf.h`.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::link::IfIndex;

/// Commands of `bpf(2)` (`enum bpf_cmd`).
const PROG_GET_NEXT_ID: libc::c_int = 11;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const PROG_QUERY: libc::c_int = 16;
const LINK_GET_FD_BY_ID: libc::c_int = 30;
const LINK_GET_NEXT_ID: libc::c_int = 31;
/// Where programs are attached (`enum bpf_attach_type`).
const TCX_INGRESS: u32 = 46;
const TCX_EGRESS: u32 = 47;
/// The type of a link at a hook of netfilter (`enum bpf_link_type`).
const LINK_TYPE_NETFILTER: u32 = 10;
/// No interface has nearly as many (`bpf_mprog_max`).
const MOST: u32 = 64;

/// So many 32-bit words of what is known of a link are asked for.
const INFO: u32 = 16;

/// The part of `union bpf_attr` that these commands use, in 32-bit words.
type Attributes = [u32; 16];

/// `bpf(2)`. Whatever the attributes point to must be there for as long, and be as long as they say.
unsafe fn bpf(command: libc::c_int, attributes: &mut Attributes) -> io::Result<libc::c_int> {
    // SAFETY: the attributes are as long as is said; what they point to is the caller's promise.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size_of::<Attributes>()) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(libc::c_int::try_from(result).unwrap_or(0)),
    }
}

/// Puts an address into two words.
fn pointer<T>(attributes: &mut Attributes, word: usize, to: *mut T) {
    let bytes = (to as u64).to_ne_bytes();
    attributes[word] = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    attributes[word + 1] = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
}

/// The number after `number` of the programs or links that there are.
fn next(command: libc::c_int, number: u32) -> io::Result<Option<u32>> {
    let mut attributes = Attributes::default();
    attributes[0] = number;
    // SAFETY: it points nowhere.
    match unsafe { bpf(command, &mut attributes) } {
        Ok(_) => Ok(Some(attributes[1])),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the machine has any program at all. An error without `CAP_SYS_ADMIN` in the first user namespace.
pub fn has_programs() -> io::Result<bool> {
    Ok(next(PROG_GET_NEXT_ID, 0)?.is_some())
}

/// A program that the kernel has loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its number, which no other program gets for a long time.
    pub number: u32,
    /// Its name, at most 15 bytes of it; empty if it has none.
    pub name: String,
}

/// All of the machine's, in the order of their numbers. An error without `CAP_SYS_ADMIN` in the first user namespace.
pub fn programs() -> io::Result<Vec<Program>> {
    let mut all = Vec::new();
    let mut number = 0;
    while let Some(following) = next(PROG_GET_NEXT_ID, number)? {
        number = following;
        let mut attributes = Attributes::default();
        attributes[0] = number;
        // SAFETY: it points nowhere.
        let Ok(fd) = (unsafe { bpf(PROG_GET_FD_BY_ID, &mut attributes) }) else { continue };
        // SAFETY: it was opened for us just now.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // `struct bpf_prog_info`: the name is behind 64 bytes.
        let mut info = [0_u32; 20];
        let mut attributes = Attributes::default();
        attributes[0] = fd.as_raw_fd().cast_unsigned();
        attributes[1] = u32::try_from(size_of_val(&info)).unwrap_or(0);
        pointer(&mut attributes, 2, info.as_mut_ptr());
        // SAFETY: the kernel writes at most as much as there is room for.
        if unsafe { bpf(OBJ_GET_INFO_BY_FD, &mut attributes) }.is_ok() {
            let name: Vec<u8> = info[16..].iter().flat_map(|word| word.to_ne_bytes()).collect();
            let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
            all.push(Program { number, name: String::from_utf8_lossy(&name[..end]).into_owned() });
        }
    }
    Ok(all)
}

/// The numbers of the programs that see what comes in at an interface of the thread's namespace, or goes out (`incoming`), in their
/// order. None before Linux 6.6. An error without `CAP_NET_ADMIN` in the first user namespace.
pub fn tcx(link: IfIndex, incoming: bool) -> io::Result<Vec<u32>> {
    let mut numbers = [0_u32; MOST as usize];
    let mut attributes = Attributes::default();
    attributes[0] = link;
    attributes[1] = if incoming { TCX_INGRESS } else { TCX_EGRESS };
    pointer(&mut attributes, 4, numbers.as_mut_ptr());
    attributes[6] = MOST;
    // SAFETY: the kernel writes at most as many numbers as there is room for.
    match unsafe { bpf(PROG_QUERY, &mut attributes) } {
        Ok(_) => Ok(numbers.into_iter().take(attributes[6] as usize).collect()),
        // Nothing was ever attached; the kernel knows of no such places; the interface is gone.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL | libc::ENODEV)) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// A program at a hook of netfilter. The kernel does not tell in which namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetfilterProgram {
    /// The program's number.
    pub program: u32,
    /// `NFPROTO_IPV4` (2) or `NFPROTO_IPV6` (10).
    pub family: u32,
    /// `NF_INET_…`, from prerouting (0) to postrouting (4).
    pub hook: u32,
    /// Its place among others there.
    pub priority: i32,
}

/// All of the machine's. An error without `CAP_SYS_ADMIN` in the first user namespace.
pub fn netfilter_programs() -> io::Result<Vec<NetfilterProgram>> {
    let mut all = Vec::new();
    let mut number = 0;
    while let Some(following) = next(LINK_GET_NEXT_ID, number)? {
        number = following;
        let mut attributes = Attributes::default();
        attributes[0] = number;
        // SAFETY: it points nowhere.
        let Ok(fd) = (unsafe { bpf(LINK_GET_FD_BY_ID, &mut attributes) }) else { continue };
        // SAFETY: it was opened for us just now.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // `struct bpf_link_info`: type, id, prog_id, padding, then what is of the type.
        let mut info = [0_u32; INFO as usize];
        let mut attributes = Attributes::default();
        attributes[0] = fd.as_raw_fd().cast_unsigned();
        attributes[1] = INFO * 4;
        pointer(&mut attributes, 2, info.as_mut_ptr());
        // SAFETY: the kernel writes at most as much as there is room for.
        if unsafe { bpf(OBJ_GET_INFO_BY_FD, &mut attributes) }.is_err() || info[0] != LINK_TYPE_NETFILTER {
            continue;
        }
        all.push(NetfilterProgram {
            program: info[2],
            family: info[4],
            hook: info[5],
            priority: info[6].cast_signed(),
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Namespace;

    const PROG_LOAD: libc::c_int = 5;
    const PROG_ATTACH: libc::c_int = 8;
    const LINK_CREATE: libc::c_int = 28;
    const TYPE_SCHED_CLS: u32 = 3;
    const TYPE_NETFILTER: u32 = 32;
    const NETFILTER: u32 = 45;

    /// Loads a program that returns `verdict`.
    fn load(kind: u32, attach: u32, verdict: i32) -> io::Result<OwnedFd> {
        let verdict = u64::from(verdict.cast_unsigned()) << 32;
        // `r0 = verdict; exit` (`BPF_ALU64 | BPF_MOV | BPF_K`, `BPF_JMP | BPF_EXIT`).
        let mut code = [0xb7 | verdict, 0x95];
        let mut license = *b"GPL\0";
        let mut attributes = Attributes::default();
        attributes[0] = kind;
        attributes[1] = 2;
        pointer(&mut attributes, 2, code.as_mut_ptr());
        pointer(&mut attributes, 4, license.as_mut_ptr());
        // `expected_attach_type` is the 18th word.
        let mut long = [0_u32; 32];
        long[..16].copy_from_slice(&attributes);
        long[17] = attach;
        // SAFETY: code and license are there, and as long as they must be.
        let fd = unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, long.as_mut_ptr(), size_of_val(&long)) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was opened for us just now.
        Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) })
    }

    fn number(fd: &OwnedFd) -> u32 {
        let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
        text.lines().find_map(|line| line.strip_prefix("prog_id:")).unwrap().trim().parse().unwrap()
    }

    #[test]
    fn programs_are_found_where_they_are() {
        let may = !matches!(has_programs(), Err(error) if error.raw_os_error() == Some(libc::EPERM));
        if !may {
            return nslab_testing::skip("programs of BPF are root's");
        }
        let namespace = Namespace::create().unwrap();
        namespace
            .run(|| {
                let program = load(TYPE_SCHED_CLS, TCX_INGRESS, -1).unwrap();
                let mut attributes = Attributes::default();
                attributes[0] = 1;
                attributes[1] = program.as_raw_fd().cast_unsigned();
                attributes[2] = TCX_INGRESS;
                // SAFETY: it points nowhere.
                unsafe { bpf(PROG_ATTACH, &mut attributes) }.unwrap();
                assert!(has_programs().unwrap());
                let known = programs().unwrap();
                assert!(known.iter().any(|one| one.number == self::number(&program)), "{known:?}");
                assert_eq!(tcx(1, true).unwrap(), [number(&program)]);
                assert!(tcx(1, false).unwrap().is_empty());
                assert!(tcx(4711, true).unwrap().is_empty());

                let accepts = load(TYPE_NETFILTER, NETFILTER, 1).unwrap();
                let mut attributes = Attributes::default();
                attributes[0] = accepts.as_raw_fd().cast_unsigned();
                attributes[2] = NETFILTER;
                attributes[4..7].copy_from_slice(&[2, 1, 4711]);
                // SAFETY: it points nowhere.
                let link = unsafe { bpf(LINK_CREATE, &mut attributes) }.unwrap();
                // SAFETY: it was opened for us just now.
                let link = unsafe { OwnedFd::from_raw_fd(link) };
                let own = NetfilterProgram { program: number(&accepts), family: 2, hook: 1, priority: 4711 };
                assert!(netfilter_programs().unwrap().contains(&own));
                drop(link);
                assert!(!netfilter_programs().unwrap().contains(&own));
            })
            .unwrap();
    }
}

//! Raw sockets, of kernels that do not list them by netlink (without `CONFIG_INET_RAW_DIAG`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nslab_kernel::sock_diag::{InetSocket, Protocol, State};

use crate::procnet::ProcNet;

/// TCP's numbers of states that others use too (`include/net/tcp_states.h`).
const ESTABLISHED: u8 = 1;
const CLOSE: u8 = 7;

/// Those of the namespace that the thread is in, which take packets from anybody (`raw_seq_show`, `net/ipv4/raw.c`). Which
/// interface one is bound to, if it is to one, is not told.
pub(crate) fn list(files: &ProcNet) -> std::io::Result<Vec<InetSocket>> {
    let mut sockets = Vec::new();
    for table in ["raw", "raw6"] {
        match files.read(table)? {
            Some(text) => sockets.extend(text.lines().skip(1).filter_map(parse)),
            // A kernel without IPv6.
            None if table == "raw6" => {}
            None => return Err(std::io::ErrorKind::NotFound.into()),
        }
    }
    Ok(sockets)
}

/// Reads a line; none of a socket that has a partner.
fn parse(line: &str) -> Option<InetSocket> {
    let mut words = line.split_whitespace().skip(1);
    let (own, _, state) = (words.next()?, words.next()?, words.next()?);
    let state = match u8::from_str_radix(state, 16).ok()? {
        CLOSE => State::Open,
        ESTABLISHED => return None,
        other => State::Other(other),
    };
    // Of a raw socket the "port" is the protocol number.
    let (address, protocol) = own.rsplit_once(':')?;
    let uid = words.nth(3)?.parse().ok()?;
    let inode = words.nth(1)?.parse().ok()?;
    Some(InetSocket {
        protocol: Protocol::Raw,
        raw_protocol: u16::from_str_radix(protocol, 16).ok()?.to_be_bytes()[1],
        state,
        address: self::address(address)?,
        port: 0,
        peer: None,
        link: None,
        only_v6: address.len() > 8,
        uid,
        inode,
    })
}

/// An address as words of 32 bits in the machine's order.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |place: usize| {
        let word = u32::from_str_radix(hex.get(place * 8..place * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for place in 0..4 {
                bytes[place * 4..place * 4 + 4].copy_from_slice(&word(place)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_are_read() {
        let line = "  253: 0100007F:00FD 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 9071 2 0000000000000000 0";
        let socket = parse(line).unwrap();
        assert_eq!(socket.address, IpAddr::from([127, 0, 0, 1]));
        assert_eq!(
            (socket.raw_protocol, socket.state, socket.uid, socket.inode),
            (253, State::Open, 1000, 9071)
        );
        let line = "   58: 0000000000000000FFFF00000100007F:003A 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 17 2 0000000000000000 0";
        let socket = parse(line).unwrap();
        assert_eq!(socket.address.to_string(), "::ffff:127.0.0.1");
        assert_eq!((socket.raw_protocol, socket.inode), (58, 17));
        assert_eq!(parse("nonsense"), None);
    }
}

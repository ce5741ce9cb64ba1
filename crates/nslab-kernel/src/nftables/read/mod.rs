//! A namespace's tables read.

mod parse;

use std::fmt;

use rustix::io::Errno;

use super::abi::*;
use super::ruleset::Ruleset;
use super::set::{Element, Set};
use super::table::{Table, TableId};
use super::transaction::{message_type, nfgenmsg};
use crate::error::{Error, Result};
use crate::netlink::{MessageWriter, Reader, Request, Socket};

pub(crate) use parse::{
    parse_chain, parse_elements, parse_flowtable, parse_object, parse_rule, parse_set, parse_table,
};

/// How often a ruleset that was overtaken by a transaction is read again.
const ATTEMPTS: usize = 16;
/// The bytes of `struct nfgenmsg`.
pub(crate) const HEADER_LEN: usize = 4;

/// A request to read something.
struct Get<'a> {
    kind: u16,
    what: &'static str,
    /// One set of a table, for its elements.
    set: Option<(&'a TableId, &'a str)>,
}

impl fmt::Display for Get<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read {} of nftables", self.what)?;
        self.set.map_or(Ok(()), |(table, set)| write!(f, " set {set} of table {table}"))
    }
}

impl Request for Get<'_> {
    fn message_type(&self) -> u16 {
        message_type(self.kind)
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let family = self.set.map_or(0, |(table, _)| table.family.number());
        message.header(&nfgenmsg(family, 0));
        if let Some((table, set)) = self.set {
            message.text(NFTA_SET_ELEM_LIST_TABLE, &table.name);
            message.text(NFTA_SET_ELEM_LIST_SET, set);
        }
    }
}

impl Ruleset {
    /// All tables of the namespace that `socket` (of [`crate::netlink::Protocol::Netfilter`]) belongs to, at one moment: if a
    /// transaction comes between, everything is read again.
    pub fn read(socket: &mut Socket) -> Result<Self> {
        Self::read_chosen(socket, true)
    }

    /// The same without the elements of named sets, which may be very many.
    pub fn read_without_elements(socket: &mut Socket) -> Result<Self> {
        Self::read_chosen(socket, false)
    }

    /// The number that the kernel counts up with every transaction.
    pub fn read_generation(socket: &mut Socket) -> Result<u32> {
        let get = Get { kind: NFT_MSG_GETGEN, what: "the generation", set: None };
        let malformed = Error::Malformed { what: "nftables' generation", problem: "it has no number" };
        socket.get(&get, |_, payload| {
            let number = Reader::new(payload).attributes(HEADER_LEN).get(NFTA_GEN_ID);
            number.and_then(|number| number.be32()).ok_or(malformed)
        })
    }

    fn read_chosen(socket: &mut Socket, elements: bool) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let generation = match Self::read_generation(socket) {
                // A kernel without nftables has no rules.
                Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => return Ok(Self::default()),
                generation => generation?,
            };
            let tables = match tables(socket, elements) {
                // Something went between the list that named it and the request for it.
                Err(error) if error.errno() == Some(Errno::NOENT) => continue,
                tables => tables?,
            };
            if Self::read_generation(socket)? == generation {
                return Ok(Self { generation, tables });
            }
        }
        Err(Error::Unstable { what: "nftables rules" })
    }
}

/// A list of things, each with the table that it is in.
fn dump<T>(
    socket: &mut Socket,
    get: u16,
    what: &'static str,
    new: u16,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> Result<Vec<T>> {
    socket.dump(what, &Get { kind: get, what, set: None }, |kind, payload| {
        Ok((kind == message_type(new)).then(|| parse(payload)).flatten())
    })
}

fn tables(socket: &mut Socket, elements: bool) -> Result<Vec<Table>> {
    let mut tables = dump(socket, NFT_MSG_GETTABLE, "tables", NFT_MSG_NEWTABLE, parse_table)?;
    if tables.is_empty() {
        return Ok(tables);
    }
    // Something whose table is not listed was made meanwhile; the generation will tell.
    for (id, chain) in dump(socket, NFT_MSG_GETCHAIN, "chains", NFT_MSG_NEWCHAIN, parse_chain)? {
        if let Some(table) = find(&mut tables, &id) {
            table.chains.push(chain);
        }
    }
    for (id, chain, rule) in dump(socket, NFT_MSG_GETRULE, "rules", NFT_MSG_NEWRULE, parse_rule)? {
        let chains = find(&mut tables, &id).map(|table| &mut table.chains);
        // Rules come chain by chain, mostly the last found.
        if let Some(chain) = chains.and_then(|chains| chains.iter_mut().find(|other| other.name == chain)) {
            chain.rules.push(rule);
        }
    }
    for (id, object) in dump(socket, NFT_MSG_GETOBJ, "objects", NFT_MSG_NEWOBJ, parse_object)? {
        if let Some(table) = find(&mut tables, &id) {
            table.objects.push(object);
        }
    }
    let flowtables = dump(socket, NFT_MSG_GETFLOWTABLE, "flowtables", NFT_MSG_NEWFLOWTABLE, parse_flowtable);
    // Older kernels (before 4.16) have none.
    let none = |error: &Error| error.errno() == Some(Errno::OPNOTSUPP) || error.errno() == Some(Errno::INVAL);
    let flowtables = flowtables.or_else(|error| if none(&error) { Ok(Vec::new()) } else { Err(error) })?;
    for (id, flowtable) in flowtables {
        if let Some(table) = find(&mut tables, &id) {
            table.flowtables.push(flowtable);
        }
    }
    for (id, mut set) in dump(socket, NFT_MSG_GETSET, "sets", NFT_MSG_NEWSET, parse_set)? {
        // A name that could not be read cannot be asked for.
        let askable =
            !set.name.contains(char::REPLACEMENT_CHARACTER) && !id.name.contains(char::REPLACEMENT_CHARACTER);
        if askable && (elements || set.is_anonymous()) {
            set.elements = read_elements(socket, &id, &set)?;
            set.sort();
        }
        if let Some(table) = find(&mut tables, &id) {
            table.sets.push(set);
        }
    }
    Ok(tables)
}

fn find<'a>(tables: &'a mut [Table], id: &TableId) -> Option<&'a mut Table> {
    tables.iter_mut().find(|table| table.id == *id)
}

fn read_elements(socket: &mut Socket, table: &TableId, set: &Set) -> Result<Vec<Element>> {
    let get = Get { kind: NFT_MSG_GETSETELEM, what: "the elements", set: Some((table, &set.name)) };
    let lists = socket.dump("set elements", &get, |kind, payload| {
        Ok((kind == message_type(NFT_MSG_NEWSETELEM)).then(|| parse_elements(payload)))
    })?;
    Ok(lists.into_iter().flatten().collect())
}

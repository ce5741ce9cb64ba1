//! A large firewall loaded: by nslab's own way into the kernel, and by `nft -f` of the same.
//!
//! Both are measured as whole processes, from start to end: what nslab makes of typed rules, and what nft makes of text.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::build::{Field, RuleBuilder, SetKey, interval_elements};
use nslab_kernel::nftables::print::Names;
use nslab_kernel::nftables::{
    BaseChain, Chain, Data, Family, Hook, Ruleset, SetFlags, Table, Transaction, TransactionError,
};
use serde::Serialize;

use crate::candidates::on_path;
use crate::error::{Doing, Error, Result};
use crate::process;
use crate::stats::{Samples, print_table};

/// The inner subcommand that loads with nslab's own code.
pub const LOAD: &str = "load-firewall";
const TABLE: &str = "bench";
const SET: &str = "prefixes";
const TCP: u8 = 6;

/// One measured way, and its times in milliseconds.
#[derive(Debug, Serialize)]
struct Way {
    name: String,
    milliseconds: Samples,
}

/// A firewall of so many rules with a set of so many prefixes.
fn table(rules: usize, prefixes: usize) -> Table {
    let mut table = Table::new(Family::Inet, TABLE);
    let mut set = SetKey(&[Field::SourceIp4]).named(SET);
    set.flags |= SetFlags::INTERVAL;
    // 512 addresses apart, from a /24 to a single address.
    set.elements = interval_elements((0..prefixes).map(|number| {
        let number = u32::try_from(number).unwrap_or(0);
        let first = 0x0100_0000 + number * 512;
        (Data::be32(first), Data::be32(first + (1 << (number % 9)) - 1))
    }));
    if prefixes > 0 {
        table.sets.push(set);
    }
    let mut chain = Chain::base("forward", BaseChain::filter(Hook::Forward));
    if prefixes > 0 {
        chain.rules.push(RuleBuilder::new(Family::Inet).in_set(Field::SourceIp4, SET).drop());
    }
    for number in chain.rules.len()..rules {
        let [_, _, high, low] = u32::try_from(number).unwrap_or(0).to_be_bytes();
        let new = RuleBuilder::new(Family::Inet).comment(&format!("rule {number}"));
        let (from, to) = if number % 2 == 0 {
            (format!("10.{high}.{low}.0/24"), format!("192.168.{low}.{}/32", high + 1))
        } else {
            (format!("2001:db8:{number:x}::/48"), format!("2001:db8::{number:x}/128"))
        };
        let prefix = |text: String| text.parse().expect("a prefix");
        let rule = new
            .source(prefix(from))
            .destination(prefix(to))
            .l4_protocol(TCP)
            .equal(Field::DestinationPort, Data::be16(u16::from(low) + 1))
            .counter();
        chain.rules.push(if number % 3 == 0 { rule.drop() } else { rule.accept() });
    }
    table.chains.push(chain);
    table
}

fn socket() -> Result<Socket> {
    Socket::open(Protocol::Netfilter).map_err(|error| Error::Usage(error.to_string()))
}

/// What the helper process does: it makes the table and loads it.
pub fn load(rules: usize, prefixes: usize) -> Result<()> {
    let mut transaction = Transaction::new();
    transaction.load(&table(rules, prefixes));
    commit(&transaction)
}

fn commit(transaction: &Transaction) -> Result<()> {
    match transaction.commit(&mut socket()?) {
        Ok(()) => Ok(()),
        Err(error @ TransactionError::TooLarge { .. }) => {
            Err(Error::Usage(format!("{error}: run this as root, or with fewer prefixes")))
        }
        Err(error) => Err(Error::Usage(error.to_string())),
    }
}

fn clear() -> Result<()> {
    let mut transaction = Transaction::new();
    transaction.delete_table(&Table::new(Family::Inet, TABLE).id);
    commit(&transaction)
}

/// How many rules and elements are there, so that both ways are seen to have done the same.
fn loaded() -> Result<(usize, usize)> {
    let ruleset = Ruleset::read(&mut socket()?).map_err(|error| Error::Usage(error.to_string()))?;
    let rules = ruleset.tables.iter().flat_map(|table| &table.chains).map(|chain| chain.rules.len()).sum();
    // nft marks the gap before the first range too, nslab does not.
    let elements = ruleset.tables.iter().flat_map(|table| &table.sets).map(|set| set.ranges().len()).sum();
    Ok((rules, elements))
}

/// Measures and prints.
pub fn run(rules: usize, prefixes: usize, runs: usize, work: &Path, json: bool) -> Result<()> {
    let table = table(rules, prefixes);
    let script = work.join("firewall.nft");
    write_script(&script, &table)?;
    let mut transaction = Transaction::new();
    transaction.load(&table);

    let this = PathBuf::from("/proc/self/exe").read_link().doing(|| "find this program".to_owned())?;
    let way = |name: &str| Way { name: name.to_owned(), milliseconds: Samples::default() };
    let mut nft = way("nft -f");
    let mut nslab = way("nslab, a process");
    let mut sent = way("nslab, the transaction sent");
    let mut listed = way("nft list ruleset");
    let mut read = way("nslab, everything read");
    let with_nft = on_path("nft");
    for run in 0..=runs {
        let count = |way: &mut Way, time: Duration| {
            if run > 0 {
                way.milliseconds.push(time);
            }
        };
        let mut wanted = None;
        if with_nft {
            let start = Instant::now();
            process::run("nft", &["-f".as_ref(), script.as_os_str()])?;
            count(&mut nft, start.elapsed());
            let start = Instant::now();
            process::run("nft", &["list", "ruleset"])?;
            count(&mut listed, start.elapsed());
            wanted = Some(loaded()?);
            clear()?;
        }
        let start = Instant::now();
        let (rules, prefixes) = (rules.to_string(), prefixes.to_string());
        process::run(&this, &[LOAD, &rules, &prefixes])?;
        count(&mut nslab, start.elapsed());
        let start = Instant::now();
        let found = loaded()?;
        count(&mut read, start.elapsed());
        clear()?;
        if wanted.is_some_and(|wanted| wanted != found) {
            return Err(Error::Usage(format!("nft loaded {wanted:?} rules and ranges, nslab {found:?}")));
        }
        let start = Instant::now();
        commit(&transaction)?;
        count(&mut sent, start.elapsed());
        clear()?;
    }
    if json {
        let ways = [nft, nslab, sent, listed, read];
        println!("{:#}", serde_json::json!({"rules": rules, "prefixes": prefixes, "ways": ways}));
        return Ok(());
    }
    println!(
        "{rules} rules, {prefixes} prefixes, {} KiB in one transaction (ms: median of {runs} runs, least–greatest)",
        transaction.size() >> 10
    );
    print(&[nft, nslab, sent]);
    print(&[listed, read]);
    if !with_nft {
        eprintln!("nft not measured: it is not installed");
    }
    Ok(())
}

/// Ways beside the first of them that was measured.
fn print(ways: &[Way]) {
    let measured: Vec<&Way> = ways.iter().filter(|way| way.milliseconds.count() > 0).collect();
    let base = measured.first().map_or(f64::NAN, |way| way.milliseconds.median());
    let row = |way: &&Way| {
        let ratio = way.milliseconds.median() / base;
        vec![way.name.clone(), way.milliseconds.display(), format!("×{ratio:.2}")]
    };
    print_table(&["", "", ""], &measured.iter().map(row).collect::<Vec<_>>());
}

fn write_script(path: &Path, table: &Table) -> Result<()> {
    let text = table.to_nft(Names::default());
    let failed = || format!("write {}", path.display());
    let mut file = std::fs::File::create(path).doing(failed)?;
    file.write_all(text.as_bytes()).doing(failed)
}

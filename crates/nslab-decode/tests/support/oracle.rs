//! tcpdump reads what was built.

use std::io::Write;
use std::path::Path;
use std::process::Command;

/// One packet of a file.
#[derive(Clone)]
pub(crate) struct Packet {
    pub name: String,
    pub bytes: Vec<u8>,
    /// On the wire.
    pub length: usize,
}

impl Packet {
    pub(crate) fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        let length = bytes.len();
        Self { name: name.into(), bytes, length }
    }

    /// Only its first bytes.
    pub(crate) fn cut(&self, to: usize) -> Self {
        let name = format!("{} cut to {to}", self.name);
        Self { name, bytes: self.bytes[..to.min(self.bytes.len())].to_vec(), length: self.length }
    }
}

/// The time of a packet: one second and a bit for each.
pub(crate) fn time(number: usize) -> (u32, u32) {
    (1_700_000_000 + number as u32, (number as u32 * 1001) % 1_000_000)
}

/// A file in libpcap's format (pcap-savefile(5)).
pub(crate) fn write(path: &Path, link: u32, packets: &[Packet]) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let mut put = |bytes: &[u8]| file.write_all(bytes).unwrap();
    put(&0xa1b2_c3d4_u32.to_le_bytes());
    put(&2_u16.to_le_bytes());
    put(&4_u16.to_le_bytes());
    put(&[0; 8]);
    put(&262_144_u32.to_le_bytes());
    put(&link.to_le_bytes());
    for (number, packet) in packets.iter().enumerate() {
        let (seconds, micros) = time(number);
        put(&seconds.to_le_bytes());
        put(&micros.to_le_bytes());
        put(&(packet.bytes.len() as u32).to_le_bytes());
        put(&(packet.length as u32).to_le_bytes());
        put(&packet.bytes);
    }
}

/// Whether there is a tcpdump of the version that the text is made after.
pub(crate) fn is_here() -> bool {
    let Ok(output) = Command::new("tcpdump").arg("--version").output() else {
        nslab_testing::skip("there is no tcpdump");
        return false;
    };
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let is_same = text.contains("tcpdump version 4.99");
    if !is_same {
        nslab_testing::skip("tcpdump is not 4.99");
    }
    is_same
}

/// What tcpdump says of each packet, without the time.
pub(crate) fn tell(link: u32, packets: &[Packet], options: &[&str]) -> Vec<String> {
    let text = run(link, packets, &[&["-tt"], options].concat());
    let mut told: Vec<String> = Vec::new();
    for line in text.lines() {
        let (seconds, micros) = time(told.len());
        if let Some(rest) = line.strip_prefix(&format!("{seconds}.{micros:06} ")) {
            told.push(rest.to_owned());
        } else {
            let last = told.last_mut().unwrap();
            last.push('\n');
            last.push_str(line);
        }
    }
    assert_eq!(told.len(), packets.len(), "tcpdump {options:?}");
    told
}

/// All that tcpdump prints.
pub(crate) fn run(link: u32, packets: &[Packet], options: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("packets.pcap");
    write(&file, link, packets);
    let output = Command::new("tcpdump")
        .args(["-n", "-r"])
        .arg(&file)
        .args(options)
        .env("TZ", "UTC")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

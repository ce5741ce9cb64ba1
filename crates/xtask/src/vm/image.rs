//! The kernel inside a compressed image: booted as it is, it need not unpack itself, which takes seconds in an emulation.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Error;

/// Writes the kernel (an ELF file, which qemu boots by the PVH protocol) that is in the image to `to`. Says whether that
/// was possible; else the image must be booted.
pub(crate) fn extract(image: &Path, to: &Path) -> Result<bool, Error> {
    let bytes = std::fs::read(image).map_err(Error::file(image))?;
    let Some((tool, payload)) = payload(&bytes) else { return Ok(false) };
    let mut command = Command::new(tool);
    command.arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return Ok(false) };
    let Some(mut input) = child.stdin.take() else { return Ok(false) };
    let output = std::thread::scope(|scope| {
        // It may end before it has read all, when what follows is not its own.
        scope.spawn(move || input.write_all(payload));
        child.wait_with_output()
    });
    match output {
        Ok(output) if output.stdout.starts_with(b"\x7fELF") => {
            std::fs::write(to, output.stdout).map_err(Error::file(to))?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// The compressed part of an image and the tool that unpacks it (the kernel's `Documentation/arch/x86/boot.rst`:
/// `setup_sects` at 0x1f1, `payload_offset` and `payload_length` at 0x248).
fn payload(image: &[u8]) -> Option<(&'static str, &[u8])> {
    if image.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let word = |at: usize| Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?) as usize);
    let start = (usize::from(*image.get(0x1f1)?) + 1) * 512 + word(0x248)?;
    let payload = image.get(start..start.checked_add(word(0x24c)?)?)?;
    let tools: [(&[u8], &str); 4] = [
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x02!L\x18", "lz4"),
    ];
    let (_, tool) = tools.into_iter().find(|(magic, _)| payload.starts_with(magic))?;
    Some((tool, payload))
}

#[cfg(test)]
mod tests {
    use super::payload;

    #[test]
    fn the_payload_is_where_the_header_says() {
        let mut image = vec![0; 2048];
        assert_eq!(payload(&image), None);
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x1f1] = 1;
        image[0x248] = 16;
        image[0x24c] = 8;
        image[1040..1048].copy_from_slice(b"\x28\xb5\x2f\xfdabcd");
        assert_eq!(payload(&image), Some(("zstd", &b"\x28\xb5\x2f\xfdabcd"[..])));
        image[0x24d] = 0xff;
        assert_eq!(payload(&image), None);
    }
}

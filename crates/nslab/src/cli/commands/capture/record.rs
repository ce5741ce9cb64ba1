//! `-w`.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use nslab_observe::pcapng::{Names, Recorder, Rotation, Section};

use crate::cli::args::Capture;
use crate::cli::error::{CliError, Kind};

/// Where packets are written to.
pub(super) enum Destination {
    Nowhere,
    Pipe,
    Files(Box<Names>),
}

impl Destination {
    pub(super) fn find(args: &Capture) -> Result<Self, CliError> {
        let Some(path) = &args.write else { return Ok(Self::Nowhere) };
        if path == Path::new("-") {
            if args.size.is_some() || args.age.is_some() {
                return Err(CliError::bad_input("standard output is no file, after which another can begin")
                    .hint("-w FILE with -C and -G"));
            }
            return Ok(Self::Pipe);
        }
        if args.files.is_some() && args.size.is_none() && args.age.is_none() {
            return Err(CliError::bad_input("-W is the number of files that -C or -G make")
                .hint("-C 100 -W 5 keeps the last 500 MB"));
        }
        let rotation = Rotation {
            size: args.size.map(|millions| u64::from(millions) * 1_000_000),
            age: args.age.map(|seconds| Duration::from_secs(seconds.into())),
            count: args.files,
        };
        let names = Names::new(path, rotation).map_err(|error| cannot_write(path, &error))?;
        Ok(Self::Files(Box::new(names)))
    }

    pub(super) fn is_pipe(&self) -> bool {
        matches!(self, Self::Pipe)
    }

    /// Creates the first file.
    pub(super) fn begin(self, args: &Capture) -> Result<Option<Recorder>, CliError> {
        let host = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let section = Section {
            system: format!("{} {}", text(host.sysname()), text(host.release())),
            program: format!("nslab {}", env!("CARGO_PKG_VERSION")),
            comment: None,
        };
        let now = super::text::now();
        match self {
            Self::Nowhere => Ok(None),
            Self::Pipe => {
                let pipe = standard_output();
                let recorder = pipe.and_then(|pipe| Recorder::pipe(pipe, section, now));
                recorder.map(Some).map_err(|error| cannot_write(Path::new("-"), &error))
            }
            Self::Files(names) => {
                let path = args.write.clone().unwrap_or_default();
                Recorder::create(*names, section, now).map(Some).map_err(|error| cannot_write(&path, &error))
            }
        }
    }
}

/// Standard output, past the standard library's lock and buffer.
pub(super) fn standard_output() -> io::Result<File> {
    Ok(rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 3)?.into())
}

/// What to say of a file that cannot be written.
pub(in crate::cli::commands) fn cannot_write(path: &Path, error: &io::Error) -> CliError {
    let shown =
        if path == Path::new("-") { "standard output".to_owned() } else { path.display().to_string() };
    // Where the user chose a place that there is not, the input is bad; all else is the machine's.
    let kind = match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::InvalidFilename => Kind::BadInput,
        _ => Kind::Machine,
    };
    let text = error.to_string();
    let text = text.split_once(" (os error ").map_or(&*text, |(words, _)| words);
    CliError::new(kind, format!("cannot write {shown}: {text}"))
}

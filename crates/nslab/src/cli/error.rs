//! Errors of commands: rendered here and nowhere else.

use std::fmt::Write as _;
use std::process::ExitCode;

use nslab_lab::Error as LabError;
use nslab_lab::existing::FindError;

/// What kind of failure it is; decides the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Usage or lab file.
    BadInput,
    /// This machine cannot: privilege, a kernel feature, a missing program.
    Machine,
    /// The kernel refused in the middle of a change, which was taken back.
    Refused,
    /// A signal ended it.
    Interrupted,
}

impl Kind {
    /// The exit status.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::BadInput => 2,
            Self::Machine => 3,
            Self::Refused => 4,
            // What shells show for SIGINT.
            Self::Interrupted => 130,
        }
    }
}

/// A command's failure: what, why, and what to do.
#[derive(Debug)]
pub struct CliError {
    /// Its kind.
    pub kind: Kind,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// More, each on a line of its own.
    pub details: Vec<String>,
    /// What to do about it.
    pub hints: Vec<String>,
    /// The whole text was rendered already (a lab file's diagnostics).
    pub rendered: Option<String>,
}

impl CliError {
    /// An error with a message only.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), details: Vec::new(), hints: Vec::new(), rendered: None }
    }

    /// Bad input with a message only.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(Kind::BadInput, message)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds a line that says more.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// Prints it to standard error and gives the exit status.
    #[expect(clippy::print_stderr, reason = "the one place where errors are shown")]
    pub fn report(&self) -> ExitCode {
        eprint!("{}", self.render());
        ExitCode::from(self.kind.exit_code())
    }

    fn render(&self) -> String {
        if let Some(rendered) = &self.rendered {
            return rendered.clone();
        }
        let mut text = format!("nslab: {}\n", self.message);
        for detail in &self.details {
            let _ = writeln!(text, "  {detail}");
        }
        for hint in &self.hints {
            let _ = writeln!(text, "  help: {hint}");
        }
        text
    }
}

impl From<LabError> for CliError {
    fn from(error: LabError) -> Self {
        let message = error.to_string();
        match error {
            LabError::NoSuchLab { name, known } => unknown(message, &name, &known, "labs"),
            LabError::NoSuchNode { name, known, .. } => {
                unknown(message, &name, &known, "its nodes and switches")
            }
            LabError::Conflict { name, .. } => {
                let hint = if name.starts_with("the interface") {
                    "give the link another interface name in the lab file, or take away what is in the way"
                } else if name.starts_with("the address") || name.starts_with("the route") {
                    "change the lab file, or take away what is in the way"
                } else if name.starts_with("the namespace") || !name.contains(':') {
                    "rename the node, give the lab another `prefix:`, or take away what is in the way"
                } else {
                    "name another namespace for the node in the lab file"
                };
                Self::bad_input(message).detail("nothing was changed").hint(hint)
            }
            LabError::Existing { source, .. } => {
                Self { message, ..Self::from(source) }.detail("nothing was changed")
            }
            LabError::Refused { refusals, left } => {
                let kind =
                    if refusals.iter().any(|one| one.unsupported) { Kind::Machine } else { Kind::Refused };
                let mut error = Self::new(kind, message);
                for refusal in refusals.iter().skip(1).take(9) {
                    error = error.detail(format!("and {refusal}"));
                }
                if refusals.len() > 10 {
                    error = error.detail(format!("and {} more", refusals.len() - 10));
                }
                if left.is_empty() {
                    error.detail("what had been done was taken back")
                } else {
                    let error =
                        left.iter().fold(error, |error, one| error.detail(format!("not taken back: {one}")));
                    error.hint("`nslab plan` shows what differs, `nslab down` takes the lab away")
                }
            }
            LabError::Program { log, .. } => {
                let error = Self::new(Kind::Refused, message);
                let error = log.iter().fold(error, |error, line| error.detail(format!("| {line}")));
                error.detail("what had been done was taken back")
            }
            LabError::Nft { place, shown, .. } => {
                let message = match place {
                    Some(place) => format!("{place}: {message}"),
                    None => message,
                };
                let error = shown
                    .iter()
                    .fold(Self::bad_input(message), |error, line| error.detail(format!("| {line}")));
                error.detail("nothing was changed")
            }
            LabError::Machine { hint, .. } => {
                let error = Self::new(Kind::Machine, message);
                hint.into_iter().fold(error, Self::hint)
            }
            LabError::Interrupted { left } => {
                let error = Self::new(Kind::Interrupted, message);
                if left.is_empty() {
                    error.detail("what had been begun was taken back")
                } else {
                    let error =
                        left.iter().fold(error, |error, one| error.detail(format!("not taken back: {one}")));
                    error.hint("`nslab plan` shows what differs, `nslab down` takes the lab away")
                }
            }
            LabError::Kernel(error) => error.into(),
            LabError::Damaged { .. } => Self::new(Kind::Machine, message).hint(
                "`nslab down LAB` takes away what is there of the lab, whatever state its files are in",
            ),
            _ => Self::new(Kind::Machine, message),
        }
    }
}

impl From<FindError> for CliError {
    fn from(error: FindError) -> Self {
        let kind = match error {
            FindError::Missing { .. } => Kind::BadInput,
            _ => Kind::Machine,
        };
        let rendered = Self::new(kind, error.to_string());
        error.hint().into_iter().fold(rendered, Self::hint)
    }
}

impl From<nslab_kernel::Error> for CliError {
    fn from(error: nslab_kernel::Error) -> Self {
        Self::new(Kind::Machine, error.to_string())
    }
}

impl From<nslab_snapshot::Error> for CliError {
    fn from(error: nslab_snapshot::Error) -> Self {
        let kind = match error {
            nslab_snapshot::Error::Kernel(_) => Kind::Machine,
            _ => Kind::BadInput,
        };
        Self::new(kind, error.to_string())
    }
}

/// An unknown name, with the one that was likely meant.
pub(super) fn unknown(message: String, name: &str, known: &[String], what: &str) -> CliError {
    let error = CliError::bad_input(message);
    match nslab_topology::closest(name, known.iter().map(String::as_str)) {
        Some(close) => error.hint(format!("did you mean {close:?}?")),
        None if known.is_empty() => error,
        None if known.len() <= 12 => error.hint(format!("{what}: {}", known.join(", "))),
        None => error.hint("`nslab ls` lists them"),
    }
}

//! Files that follow each other, named as tcpdump(8) names them.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags};

/// When a file is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Once it has so many bytes (`-C`, there in millions).
    pub size: Option<u64>,
    /// Once it is so old (`-G`).
    pub age: Option<Duration>,
    /// So many files (`-W`): with a size they are written over in turn, with an age alone capturing ends after them.
    pub count: Option<u32>,
}

impl Rotation {
    /// Whether capturing ends with file number `number`, counted from 0.
    pub(super) fn ends_with(self, number: u32) -> bool {
        self.size.is_none() && self.age.is_some() && self.count.is_some_and(|count| number + 1 >= count)
    }
}

/// How files are named.
#[derive(Debug)]
pub struct Names {
    /// Where they are, which stays the same wherever the process goes.
    directory: OwnedFd,
    name: String,
    shown: PathBuf,
    rotation: Rotation,
}

impl Names {
    /// For files at `path`. If they have a greatest age, the name may have the time in it, as in strftime(3).
    pub fn new(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let Some(name) = path.file_name() else { return Err(io::ErrorKind::IsADirectory.into()) };
        let name = name.to_str().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, parent.unwrap_or(Path::new(".")), flags, Mode::empty())?;
        Ok(Self { directory, name, shown: path.to_owned(), rotation })
    }

    /// When a file is full.
    pub fn rotation(&self) -> Rotation {
        self.rotation
    }

    /// As the user named them.
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    /// The name of file number `number`, counted from 0, begun at `time`, in seconds since 1970.
    pub fn name(&self, number: u32, time: i64) -> String {
        let mut name = match self.rotation.age {
            Some(_) => in_local_time(&self.name, time),
            None => self.name.clone(),
        };
        if self.rotation.size.is_some() {
            // The numbers sort as text where it is known how many there are.
            let width = self.rotation.count.map_or(0, |count| count.saturating_sub(1).to_string().len());
            let number = self.rotation.count.map_or(number, |count| number % count.max(1));
            if number > 0 || width > 0 {
                // Writing to a String cannot fail.
                let _ = write!(name, "{number:0width$}");
            }
        }
        name
    }

    /// Opens file number `number`, which is created if it is not there. What is in it stays until an
    /// [`Output`](super::Output) begins with it: it may be one that is still being written.
    pub fn create(&self, number: u32, time: i64) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        let mode = Mode::from_bits_truncate(0o666);
        let file = rustix::fs::openat(&self.directory, self.name(number, time), flags, mode)?;
        Ok(file.into())
    }
}

/// Fills in a time; text that is no pattern stays as it is.
fn in_local_time(pattern: &str, time: i64) -> String {
    let Ok(time) = jiff::Timestamp::from_second(time) else { return pattern.to_owned() };
    let time = time.to_zoned(jiff::tz::TimeZone::system());
    jiff::fmt::strtime::format(pattern, &time).unwrap_or_else(|_| pattern.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pattern: &str, rotation: Rotation) -> Vec<String> {
        let names = Names::new(&Path::new("/tmp").join(pattern), rotation).unwrap();
        (0..12).map(|number| names.name(number, 0)).collect()
    }

    #[test]
    fn by_size_they_are_numbered() {
        let by_size = Rotation { size: Some(1), ..Rotation::default() };
        assert_eq!(names("x", by_size)[..3], ["x", "x1", "x2"]);
        let twelve = names("x", Rotation { count: Some(11), ..by_size });
        assert_eq!(twelve[..2], ["x00", "x01"]);
        assert_eq!(twelve[10..], ["x10", "x00"]);
        assert_eq!(names("x", Rotation { count: Some(10), ..by_size })[9..11], ["x9", "x0"]);
    }

    #[test]
    fn by_age_they_have_the_time() {
        let by_age = Rotation { age: Some(Duration::from_secs(1)), ..Rotation::default() };
        assert!(names("x-%Y", by_age)[0].starts_with("x-19"));
        assert_eq!(names("x", by_age)[..2], ["x", "x"]);
        // Without an age it is no pattern.
        assert_eq!(names("x-%Y", Rotation::default())[0], "x-%Y");
        let both = Rotation { size: Some(1), ..by_age };
        assert_eq!(names("x", both)[..2], ["x", "x1"]);
    }

    #[test]
    fn with_an_age_alone_the_count_ends_it() {
        let by_age = Rotation { age: Some(Duration::from_secs(1)), count: Some(2), size: None };
        assert!(!by_age.ends_with(0) && by_age.ends_with(1));
        assert!(!Rotation { size: Some(1), ..by_age }.ends_with(1));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(Names::new(Path::new("/nonexistent/x"), Rotation::default()).is_err());
        assert!(Names::new(Path::new("/"), Rotation::default()).is_err());
        let names = Names::new(Path::new("/proc"), Rotation::default()).unwrap();
        assert!(names.create(0, 0).is_err());
    }
}

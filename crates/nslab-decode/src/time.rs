//! Times in front of packets, as tcpdump's `-t` to `-ttttt` have them.

use std::fmt::{self, Write as _};

/// How a time is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stamp {
    /// `13:04:55.123456`.
    #[default]
    TimeOfDay,
    /// Nothing (`-t`).
    None,
    /// Seconds since 1970 in UTC (`-tt`).
    Seconds,
    /// Since the packet before (`-ttt`).
    SincePrevious,
    /// With the date (`-tttt`).
    Date,
    /// Since the first packet (`-ttttt`).
    SinceFirst,
}

impl Stamp {
    /// What so many `-t` ask for; 6 and more are 5.
    pub fn of_count(count: u8) -> Self {
        match count {
            0 => Self::TimeOfDay,
            1 => Self::None,
            2 => Self::Seconds,
            3 => Self::SincePrevious,
            4 => Self::Date,
            _ => Self::SinceFirst,
        }
    }
}

/// With how many digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Precision {
    /// Six.
    #[default]
    Micro,
    /// Nine.
    Nano,
}

/// Writes the time of one packet after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    stamp: Stamp,
    precision: Precision,
    offset: i32,
    first: Option<i128>,
    previous: Option<i128>,
}

const SECOND: i128 = 1_000_000_000;
const DAY: i64 = 86_400;

impl Clock {
    /// `offset` is the local time's, in seconds east of UTC.
    pub fn new(stamp: Stamp, precision: Precision, offset: i32) -> Self {
        Self { stamp, precision, offset, first: None, previous: None }
    }

    /// Writes the time and a space behind it, or nothing. `time` is in nanoseconds since 1970 in UTC.
    pub fn write(&mut self, time: i64, text: &mut String) {
        // What is not shown is left off before differences are made, so that they are those of what is shown.
        let time = match self.precision {
            Precision::Micro => i128::from(time).div_euclid(1000) * 1000,
            Precision::Nano => i128::from(time),
        };
        let (seconds, rest) = (time.div_euclid(SECOND), time.rem_euclid(SECOND));
        // A String takes everything.
        let _ = match self.stamp {
            Stamp::None => Ok(()),
            Stamp::Seconds => write!(text, "{seconds}").and_then(|()| self.fraction(rest, text)),
            Stamp::TimeOfDay | Stamp::Date => {
                let local = i64::try_from(seconds).unwrap_or_default() + i64::from(self.offset);
                let (day, second) = (local.div_euclid(DAY), local.rem_euclid(DAY));
                let date = if self.stamp == Stamp::Date { write_date(day, text) } else { Ok(()) };
                date.and_then(|()| clock_time(second, text)).and_then(|()| self.fraction(rest, text))
            }
            Stamp::SincePrevious => {
                let since = self.previous.unwrap_or(time);
                self.previous = Some(time);
                self.difference(time - since, text)
            }
            Stamp::SinceFirst => {
                let since = *self.first.get_or_insert(time);
                self.difference(time - since, text)
            }
        };
        if self.stamp != Stamp::None {
            text.push(' ');
        }
    }

    /// Hours, minutes and seconds, with a sign if it is less than nothing.
    fn difference(&self, difference: i128, text: &mut String) -> fmt::Result {
        let (sign, difference) = if difference < 0 { ("-", -difference) } else { (" ", difference) };
        text.push_str(sign);
        clock_time(i64::try_from(difference / SECOND).unwrap_or(i64::MAX), text)?;
        self.fraction(difference % SECOND, text)
    }

    fn fraction(&self, nanos: i128, text: &mut String) -> fmt::Result {
        match self.precision {
            Precision::Micro => write!(text, ".{:06}", nanos / 1000),
            Precision::Nano => write!(text, ".{nanos:09}"),
        }
    }
}

fn clock_time(seconds: i64, text: &mut String) -> fmt::Result {
    write!(text, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The date of a day, counted from 1970-01-01, in the Gregorian calendar.
fn write_date(day: i64, text: &mut String) -> fmt::Result {
    // Years from March on, so that a leap day is a year's last; 400 years have 146097 days.
    let shifted = day + 719_468;
    let (era, in_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    write!(text, "{year:04}-{month:02}-{day:02} ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(clock: &mut Clock, times: &[i64]) -> Vec<String> {
        let tell = |time| {
            let mut text = String::new();
            clock.write(time, &mut text);
            text
        };
        times.iter().copied().map(tell).collect()
    }

    #[test]
    fn dates() {
        let times = [0, 951_782_400, 1_709_164_799, 4_107_542_399, -1].map(|seconds| seconds * 1_000_000_000);
        let mut clock = Clock::new(Stamp::Date, Precision::Micro, 0);
        let expected = [
            "1970-01-01 00:00:00.000000 ",
            "2000-02-29 00:00:00.000000 ",
            "2024-02-28 23:59:59.000000 ",
            "2100-02-28 23:59:59.000000 ",
            "1969-12-31 23:59:59.000000 ",
        ];
        assert_eq!(told(&mut clock, &times), expected);
        let mut clock = Clock::new(Stamp::TimeOfDay, Precision::Nano, -3600);
        assert_eq!(told(&mut clock, &[5]), ["23:00:00.000000005 "]);
    }

    #[test]
    fn differences_are_of_what_is_shown() {
        let mut clock = Clock::new(Stamp::SincePrevious, Precision::Micro, 0);
        let times = [999_999_500, 1_000_000_400, 1_000_000_300, 0];
        let expected = [" 00:00:00.000000 ", " 00:00:00.000001 ", " 00:00:00.000000 ", "-00:00:01.000000 "];
        assert_eq!(told(&mut clock, &times), expected);
    }

    #[test]
    fn all_times_are_written() {
        for stamp in (0..7).map(Stamp::of_count) {
            for offset in [i32::MIN, 0, i32::MAX] {
                let mut clock = Clock::new(stamp, Precision::Nano, offset);
                told(&mut clock, &[i64::MIN, i64::MAX, 0, -1, i64::MIN]);
            }
        }
    }
}

//! Numbers with units: times, shares, rates.

use std::time::Duration;

/// A whole number, decimal or `0x…`.
pub(super) fn whole_number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // `from_str_radix` also takes a sign.
    if digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        u64::from_str_radix(digits, radix).ok()
    } else {
        None
    }
}

/// `500ms`, `10s`, `2m`, `1h`, `50us`; a bare number counts seconds.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" | "" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| duration.as_secs() <= 365 * 86_400)
}

/// `1%`, `0.5%`: parts of one.
pub(crate) fn share(text: &str) -> Option<f64> {
    let (number, unit) = split(text)?;
    (unit == "%" && number <= 100.0).then_some(number / 100.0)
}

/// `10mbit`, `1gbit`, `500kbit`, `64bit`; also `…bps` for bytes: bits in a second.
pub(crate) fn rate(text: &str) -> Option<f64> {
    let (number, unit) = split(text)?;
    let unit = unit.to_ascii_lowercase();
    let (scale, bits) = match unit.strip_suffix("bit") {
        Some(scale) => (scale, 1.0),
        None => (unit.strip_suffix("bps")?, 8.0),
    };
    let scale = match scale {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        _ => return None,
    };
    Some(number * scale * bits).filter(|rate| *rate >= 8.0)
}

fn split(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    number.is_finite().then_some((number, &text[end..]))
}

/// A duration as a lab file writes it.
pub(crate) fn show_duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    if micros.is_multiple_of(1_000_000) {
        format!("{}s", micros / 1_000_000)
    } else if micros.is_multiple_of(1_000) {
        format!("{}ms", micros / 1_000)
    } else {
        format!("{micros}us")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("10"), Some(Duration::from_secs(10)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        for bad in ["", "ms", "-1s", "1 s", "1x", "1e99", "99999999h", "."] {
            assert_eq!(duration(bad), None, "{bad:?}");
        }
        for text in ["500ms", "10s", "7us"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
    }

    #[test]
    fn shares_and_rates() {
        assert_eq!(share("1%"), Some(0.01));
        assert_eq!(share("1"), None);
        assert_eq!(share("101%"), None);
        assert_eq!(rate("10mbit"), Some(1e7));
        assert_eq!(rate("1kbps"), Some(8e3));
        assert_eq!(rate("10"), None);
        assert_eq!(rate("0mbit"), None);
    }

    #[test]
    fn numbers() {
        assert_eq!(whole_number("0x1f"), Some(31));
        assert_eq!(whole_number("010"), Some(10));
        for bad in ["", "+1", "-1", "1.0", "0x", "1_000", "99999999999999999999"] {
            assert_eq!(whole_number(bad), None, "{bad:?}");
        }
    }
}

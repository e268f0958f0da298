//! Points in time, to the nanosecond, with the precision that the source gave.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
pub(super) const SECONDS_PER_DAY: i64 = 86_400;
/// Days of the 400 years after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;
/// From 0000-03-01.
const DAYS_TO_1970: i64 = 719_468;

/// A span of time in nanoseconds; never negative where it is a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(pub i64);

impl Duration {
    /// So many whole seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// So many whole minutes.
    pub const fn minutes(minutes: i64) -> Self {
        Self::seconds(minutes.saturating_mul(60))
    }

    /// So many whole hours.
    pub const fn hours(hours: i64) -> Self {
        Self::minutes(hours.saturating_mul(60))
    }
}

/// Nanoseconds since 1970 in UTC. Compared and hashed as an instant; printed with as many fraction digits as its source had.
///
/// The range is that of 64 bits (years 1677 to 2262); what lies outside is held at its edge.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timestamp {
    nanos: i64,
    digits: u8,
}

impl Timestamp {
    /// From nanoseconds since 1970, printed with as many digits as are needed (none, 3, 6 or 9).
    pub fn from_nanos(nanos: i64) -> Self {
        let digits = match nanos.rem_euclid(NANOS_PER_SECOND) {
            0 => 0,
            part if part % 1_000_000 == 0 => 3,
            part if part % 1_000 == 0 => 6,
            _ => 9,
        };
        Self { nanos, digits }
    }

    /// From whole seconds since 1970.
    pub fn from_seconds(seconds: i64) -> Self {
        Self { nanos: seconds.saturating_mul(NANOS_PER_SECOND), digits: 0 }
    }

    /// Nanoseconds since 1970.
    pub fn nanos(self) -> i64 {
        self.nanos
    }

    /// Whole milliseconds since 1970, rounded down.
    pub fn millis(self) -> i64 {
        self.nanos.div_euclid(1_000_000)
    }

    /// This much later; held at the edge of the range.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self { nanos: self.nanos.saturating_add(span.0), digits: self.digits }
    }

    /// This much earlier; held at the edge of the range.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self { nanos: self.nanos.saturating_sub(span.0), digits: self.digits }
    }

    /// How long from `earlier` to this; negative if it lies after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration(self.nanos.saturating_sub(earlier.nanos))
    }

    /// The start of the bucket of this length, aligned in UTC, that holds the instant.
    #[must_use]
    pub fn bucket(self, length: Duration) -> Self {
        let length = length.0.max(1);
        Self::from_nanos(self.nanos.div_euclid(length).saturating_mul(length))
    }

    /// Reads RFC 3339 with 0 to 9 fraction digits (more are cut), `T` or a blank between date and time, and the zone as `Z`,
    /// `+hh:mm`, `+hhmm` or `+hh`; without a zone it is UTC. Go's `2021-09-02 18:29:17.1 +0000 UTC` is read too.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() < 19 || bytes.len() > 64 || !matches!(bytes[10], b'T' | b't' | b' ') {
            return None;
        }
        let number =
            |from: usize, to: usize| bytes[from..to].iter().try_fold(0_u32, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0')));
        if bytes[4] != b'-' || bytes[7] != b'-' || bytes[13] != b':' || bytes[16] != b':' {
            return None;
        }
        let days = days_of_date(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        // A leap second counts as the last second before it: what comes after it must not go back in time.
        let of_day = hour * 3600 + minute * 60 + second.min(59);
        let (nanos, digits, rest) = fraction(&bytes[19..])?;
        let seconds = days * SECONDS_PER_DAY + i64::from(of_day) - i64::from(zone(rest)?);
        let total = i128::from(seconds) * i128::from(NANOS_PER_SECOND) + i128::from(nanos);
        let nanos = i64::try_from(total).unwrap_or(if total < 0 { i64::MIN } else { i64::MAX });
        Some(Self { nanos, digits })
    }

    /// RFC 3339 in UTC.
    pub fn write(self, to: &mut impl fmt::Write) -> fmt::Result {
        let seconds = self.nanos.div_euclid(NANOS_PER_SECOND);
        let part = self.nanos.rem_euclid(NANOS_PER_SECOND);
        let (year, month, day) = date_of_days(seconds.div_euclid(SECONDS_PER_DAY));
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let rows =
            [(0, 4, year), (5, 7, month), (8, 10, day), (11, 13, of_day / 3600), (14, 16, of_day / 60 % 60), (17, 19, of_day % 60), (20, 29, part)];
        for (from, to, mut number) in rows {
            for digit in text[from..to].iter_mut().rev() {
                *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        }
        let end = if self.digits == 0 { 19 } else { 20 + usize::from(self.digits.min(9)) };
        text[end] = b'Z';
        to.write_str(std::str::from_utf8(&text[..=end]).unwrap_or_default())
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; none if there is no such date. Years are counted from March, so that the leap day
/// ends one.
pub(super) fn days_of_date(year: u32, month: u32, day: u32) -> Option<i64> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(is_leap),
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let (year, month, day) = (i64::from(year) - i64::from(month <= 2), i64::from((month + 9) % 12), i64::from(day));
    let of_year = (153 * month + 2) / 5 + day - 1;
    Some(365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - DAYS_TO_1970)
}

/// The date so many days after 1970-01-01: year, month, day.
pub(super) fn date_of_days(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let (era, of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (DAYS_PER_ERA - 1)) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn fraction(bytes: &[u8]) -> Option<(u32, u8, &[u8])> {
    let Some(b'.' | b',') = bytes.first() else { return Some((0, 0, bytes)) };
    let end = bytes[1..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |at| at + 1);
    if end == 1 {
        return None;
    }
    let kept = &bytes[1..end.min(10)];
    let value = kept.iter().fold(0_u32, |sum, b| sum * 10 + u32::from(b - b'0'));
    let digits = u8::try_from(kept.len()).ok()?;
    Some((value * 10_u32.pow(9 - u32::from(digits)), digits, &bytes[end..]))
}

/// Seconds east of UTC.
fn zone(rest: &[u8]) -> Option<i32> {
    let rest = rest.strip_suffix(b" UTC").unwrap_or(rest).trim_ascii();
    let (sign, digits) = match rest {
        b"" | b"Z" | b"z" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let digits: Vec<i32> = digits.iter().filter(|b| **b != b':').map(|b| b.is_ascii_digit().then(|| i32::from(b - b'0'))).collect::<Option<_>>()?;
    match digits[..] {
        [a, b] => Some(sign * (a * 10 + b) * 3600),
        [a, b, c, d] => Some(sign * ((a * 10 + b) * 3600 + (c * 10 + d) * 60)),
        _ => None,
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Hash for Timestamp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.nanos.hash(state);
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl FromStr for Timestamp {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| format!("`{}` is no time: RFC 3339 such as 2026-01-01T00:00:00Z is", text.escape_debug()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(Timestamp::parse(text).map_or_else(|| "none".to_owned(), |t| t.to_string()), expected, "{text}");
    }

    #[test]
    fn reads_what_sources_write() {
        check("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
        check("2023-05-25T13:44:05.478445995Z", "2023-05-25T13:44:05.478445995Z");
        check("2026-01-01T00:00:00.120000Z", "2026-01-01T00:00:00.120000Z");
        check("2026-01-01T03:00:00+03:00", "2026-01-01T00:00:00Z");
        check("2026-01-01T03:00:00+0300", "2026-01-01T00:00:00Z");
        check("2021-09-02 18:29:17.118082213 +0000 UTC", "2021-09-02T18:29:17.118082213Z");
        check("2022-11-29 00:09:04.38", "2022-11-29T00:09:04.38Z");
        check("2026-06-30T23:59:60Z", "2026-06-30T23:59:59Z");
        check("9999-12-31T00:00:00Z", "2262-04-11T23:47:16Z");
        for bad in ["", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00é", "2026-01-01T00:00:00+1"] {
            check(bad, "none");
        }
    }

    #[test]
    fn dates_are_those_of_chrono() {
        let first = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        for days in (-719_528_i64..2_932_896).step_by(7).chain(-110_000..110_000) {
            let date = first + chrono::TimeDelta::days(days);
            let (year, month, day) = date_of_days(days);
            assert_eq!(format!("{year:04}-{month:02}-{day:02}"), date.to_string(), "{days}");
            assert_eq!(days_of_date(year as u32, month as u32, day as u32), Some(days));
        }
        for (year, month, day) in [(2026, 2, 29), (1900, 2, 29), (2026, 4, 31), (2026, 0, 1), (2026, 13, 1), (2026, 1, 0), (2026, 1, 32)] {
            assert_eq!(days_of_date(year, month, day), None);
        }
        assert_eq!(days_of_date(2000, 2, 29), Some(11_016));
        assert_eq!(Timestamp::from_nanos(i64::MIN).to_string(), "1677-09-21T00:12:43.145224192Z");
        assert_eq!(Timestamp::from_nanos(-1).to_string(), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn buckets_are_aligned_in_utc() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        assert_eq!(at("2026-01-01T10:59:59.9Z").bucket(Duration::hours(1)), at("2026-01-01T10:00:00Z"));
        assert_eq!(at("1969-12-31T23:30:00Z").bucket(Duration::hours(1)), at("1969-12-31T23:00:00Z"));
    }
}

//! Parts of a time, and times as counts since 1970.

use super::Timestamp;
use super::time::{SECONDS_PER_DAY, date_of_days, days_of_date};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// 1970-01-01 was a Thursday: so many days after a Monday.
const THURSDAY: i64 = 3;

/// A number that a time has. All are taken in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimePart {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// Of the month, 1 to 31.
    Day,
    /// Of the year as ISO 8601 counts them, 1 to 53: weeks begin on Monday, and the first has the year's first Thursday.
    Week,
    /// 1 to 12.
    Month,
    Year,
}

impl TimePart {
    /// Every part.
    pub const ALL: [Self; 6] = [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// As Sigma's modifiers call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The part of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// The least and the greatest that it can be.
    pub fn range(self) -> (i64, i64) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::Day => (1, 31),
            Self::Week => (1, 53),
            Self::Month => (1, 12),
            // What 64 bits of nanoseconds reach.
            Self::Year => (1677, 2262),
        }
    }
}

impl Timestamp {
    /// A part of the time, in UTC.
    pub fn part(self, part: TimePart) -> i64 {
        let seconds = self.nanos().div_euclid(NANOS_PER_SECOND);
        let (days, of_day) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day) = date_of_days(days);
        match part {
            TimePart::Minute => of_day / 60 % 60,
            TimePart::Hour => of_day / 3_600,
            TimePart::Day => day,
            TimePart::Week => week(days),
            TimePart::Month => month,
            TimePart::Year => year,
        }
    }

    /// Reads a count since 1970 in seconds, milliseconds, microseconds or nanoseconds, told apart by size, with or without a fraction.
    /// Fewer than 100 million seconds (before 1973) are no time.
    pub fn since_1970(text: &str) -> Option<Self> {
        if text.contains(['e', 'E']) {
            // As some writers spell large numbers: no more than microseconds survive in a double.
            let number: f64 = text.parse().ok().filter(|number: &f64| (1e8..1e19).contains(number))?;
            return scaled(number as i64, (number.fract() * 1e6).round() as i64 * 1_000);
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if whole.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return None;
        }
        let part = fraction.bytes().take(9).try_fold((0_i64, NANOS_PER_SECOND), |(sum, unit), byte| {
            byte.is_ascii_digit().then(|| (sum + i64::from(byte - b'0') * (unit / 10), unit / 10))
        })?;
        scaled(whole.parse().ok()?, part.0)
    }
}

/// `part` is a billionth of what `whole` counts.
fn scaled(whole: i64, part: i64) -> Option<Timestamp> {
    let unit = match whole {
        100_000_000_000_000_000.. => 1,
        100_000_000_000_000.. => 1_000,
        100_000_000_000.. => 1_000_000,
        100_000_000.. => NANOS_PER_SECOND,
        _ => return None,
    };
    Some(Timestamp::from_nanos(whole.saturating_mul(unit).saturating_add(part / (NANOS_PER_SECOND / unit))))
}

/// A week is that of its Thursday, and is counted in the Thursday's year.
fn week(days: i64) -> i64 {
    let thursday = days - (days + THURSDAY).rem_euclid(7) + THURSDAY;
    let (year, ..) = date_of_days(thursday);
    let first = u32::try_from(year).ok().and_then(|year| days_of_date(year, 1, 1)).unwrap_or(thursday);
    (thursday - first) / 7 + 1
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, Timelike};

    use super::*;

    #[test]
    fn parts_are_those_of_chrono() {
        let start = chrono::DateTime::from_timestamp(-1_000_000_000, 0).unwrap();
        for step in 0..40_000_i64 {
            let date = start + chrono::TimeDelta::seconds(step * 101_113);
            let time = Timestamp::from_seconds(date.timestamp());
            let expected = [
                i64::from(date.minute()),
                i64::from(date.hour()),
                i64::from(date.day()),
                i64::from(date.iso_week().week()),
                i64::from(date.month()),
                i64::from(date.year()),
            ];
            assert_eq!(TimePart::ALL.map(|part| time.part(part)), expected, "{date}");
        }
    }

    #[test]
    fn every_part_lies_in_its_range() {
        for text in ["1677-09-22T00:00:00Z", "2026-12-31T23:59:60Z", "2020-12-31T00:00:00Z", "2262-04-11T23:47:16Z"] {
            let time = Timestamp::parse(text).unwrap();
            for part in TimePart::ALL {
                let (least, greatest) = part.range();
                assert!((least..=greatest).contains(&time.part(part)), "{text} {part:?}");
                assert_eq!(TimePart::by_name(part.name()), Some(part));
            }
        }
    }
}

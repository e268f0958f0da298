//! Times as all the systems spell them.

use crate::model::Timestamp;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads RFC 3339 and its kin, `Tue Sep 30 17:37:30 2014` (UTC), and a count since 1970 in seconds, milliseconds, microseconds or
/// nanoseconds, told apart by size, with or without a fraction. The zero of a clock (1970, or year 1) is no time: it stands for none.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    Timestamp::parse(text).or_else(|| Timestamp::since_1970(text)).or_else(|| spoken(text)).filter(|time| time.nanos() > 0)
}

/// From seconds and nanoseconds in members of their own; the latter may be missing, negative or too many.
pub(super) fn of_parts(seconds: &str, nanos: Option<&str>) -> Option<Timestamp> {
    let seconds: i64 = seconds.parse().ok().filter(|seconds| *seconds > 0)?;
    let nanos: i64 = nanos.and_then(|nanos| nanos.parse().ok()).unwrap_or_default();
    Some(Timestamp::from_nanos(seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(nanos)))
}

/// The form of C's `asctime`, perhaps with `UTC` behind.
fn spoken(text: &str) -> Option<Timestamp> {
    let mut words = text.split_ascii_whitespace().skip(1);
    let [month, day, clock, year] = [words.next()?, words.next()?, words.next()?, words.next()?];
    if words.next().is_some_and(|zone| !matches!(zone, "UTC" | "GMT")) || day.len() > 2 {
        return None;
    }
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    Timestamp::parse(&format!("{year}-{month:02}-{day:0>2}T{clock}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_however_they_are_spelled() {
        let check = |text: &str, expected: &str| assert_eq!(read(text).map(|time| time.to_string()).unwrap_or_default(), expected, "{text}");
        check("2026-01-02T03:04:05.678901234Z", "2026-01-02T03:04:05.678901234Z");
        check("2021-09-02 18:29:17.118082213 +0000 UTC", "2021-09-02T18:29:17.118082213Z");
        check("2022-11-29 00:09:04.38", "2022-11-29T00:09:04.38Z");
        check("2026-01-02T06:04:05+03:00", "2026-01-02T03:04:05Z");
        check("Tue Sep 30 17:37:30 2014", "2014-09-30T17:37:30Z");
        check("Mon May  2 22:27:32 2016 UTC", "2016-05-02T22:27:32Z");
        check("1412123850", "2014-10-01T00:37:30Z");
        check("1632889070.3075402", "2021-09-29T04:17:50.307540200Z");
        check("1.6328890703075402e+09", "2021-09-29T04:17:50.307540Z");
        check("1632889070307", "2021-09-29T04:17:50.307Z");
        check("1632889070307.25", "2021-09-29T04:17:50.307250Z");
        check("1632889070307540", "2021-09-29T04:17:50.307540Z");
        check("1632889070307540123", "2021-09-29T04:17:50.307540123Z");
        check("1970-01-01T00:00:00Z", "");
        check("0001-01-01T00:00:00Z", "");
        for text in
            ["", "0", "12", "collision", "2021-1-1T10:10:10Z", "Tue Sep 31 1:2 x", "99999999999999999999", "-5", "1e400", "Tue Foo 30 17:37:30 2014"]
        {
            check(text, "");
        }
        assert_eq!(of_parts("1628548814", Some("-879126275")).map(|time| time.to_string()).as_deref(), Some("2021-08-09T22:40:13.120873725Z"));
        assert_eq!(of_parts("0", None), None);
    }
}

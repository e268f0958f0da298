//! Times as envelopes write them: RFC 3339, or a number since 1970.

use crate::model::Timestamp;

/// The time that a text or number says. The size of a number tells its unit: seconds with or without a fraction, milliseconds,
/// microseconds or nanoseconds.
pub(super) fn when(text: &str) -> Option<Timestamp> {
    if let Some(time) = Timestamp::parse(text) {
        return Some(time);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 19 || !is_digits(whole) || !is_digits(fraction) {
        // Some shippers print a double with an exponent.
        let seconds = text.parse::<f64>().ok().filter(|seconds| text.contains(['e', 'E']) && (1e8..1e11).contains(seconds))?;
        return when(&format!("{seconds:.6}"));
    }
    let digits = match whole.len() {
        0..=11 => 9,
        12..=14 => 6,
        15..=17 => 3,
        _ => 0,
    };
    let shift = |number: i64, places: usize| number.checked_mul(10_i64.pow(u32::try_from(places).ok()?));
    let fraction: String = fraction.chars().take(digits).collect();
    let part = if fraction.is_empty() { 0 } else { shift(fraction.parse().ok()?, digits - fraction.len())? };
    let nanos = shift(whole.parse().ok()?, digits)?.checked_add(part)?;
    Some(Timestamp::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::when;

    #[test]
    fn the_size_of_a_number_tells_its_unit() {
        for (text, nanos) in [
            ("1554141513.598656", Some(1_554_141_513_598_656_000)),
            ("1554141513", Some(1_554_141_513_000_000_000)),
            ("1554141513598", Some(1_554_141_513_598_000_000)),
            ("1554141513598656", Some(1_554_141_513_598_656_000)),
            ("1554141513598656001", Some(1_554_141_513_598_656_001)),
            ("1554141513.5986560019999", Some(1_554_141_513_598_656_001)),
            ("1.554141513598656e9", Some(1_554_141_513_598_656_000)),
            ("2019-04-01T17:58:33Z", Some(1_554_141_513_000_000_000)),
            ("99999999999999999999", None),
            ("9999999999999999999", None),
            ("-1", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(when(text).map(|time| time.nanos()), nanos, "{text}");
        }
    }
}

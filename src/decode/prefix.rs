//! Text in front of a record on its line: the container runtime's (`<time> stdout F {..}`), CloudWatch's export (`<time> {..}`) and
//! fluentd's file output (`<time>\t<tag>\t{..}`).

/// Bytes of a line that hold any known prefix.
pub(super) const BYTES_MAX: usize = 256;

/// The length of the prefix in front of a record that starts with `{` or `[`; 0 is none.
pub(super) fn prefix_len(line: &[u8]) -> usize {
    let line = line.get(..BYTES_MAX.min(line.len())).unwrap_or_default();
    let Some(time_end) = line.iter().position(|byte| matches!(byte, b' ' | b'\t')) else { return 0 };
    let (time, rest) = line.split_at(time_end);
    if !is_time(time) {
        return 0;
    }
    let mut words = rest;
    for _ in 0..3 {
        words = words.get(1..).unwrap_or_default();
        if matches!(words.first(), Some(b'{' | b'[')) {
            return line.len() - words.len();
        }
        let Some(end) = words.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\n')) else { return 0 };
        let (word, after) = words.split_at(end);
        let is_known = rest.first() == Some(&b'\t') || matches!(word, b"stdout" | b"stderr" | b"F" | b"P");
        if !is_known || after.first() == Some(&b'\n') {
            return 0;
        }
        words = after;
    }
    0
}

/// Whether this looks like RFC 3339: `2026-01-01T00:00:00`, and what may follow the seconds.
fn is_time(text: &[u8]) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let fits = |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    text.len() > SHAPE.len()
        && text.iter().zip(SHAPE).all(fits)
        && text.iter().skip(SHAPE.len()).all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'Z' | b'+' | b'-' | b':'))
}

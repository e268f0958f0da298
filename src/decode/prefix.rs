//! What shippers put before a record on its line.

/// The record after a prefix that is known, or `None`.
///
/// CRI container logs: `2026-01-01T00:00:00.1Z stdout F {…}`; `CloudWatch` exports: `2026-01-01T00:00:00.000Z {…}`; fluentd's `out_file`:
/// `time<TAB>tag<TAB>{…}`; JSON text sequences: a record separator (RFC 7464).
pub(super) fn strip(line: &[u8]) -> Option<&[u8]> {
    let brace = memchr::memchr(b'{', line)?;
    let (prefix, record) = line.split_at_checked(brace)?;
    let prefix = std::str::from_utf8(prefix).ok()?.trim_end_matches([' ', '\t']);
    if prefix == "\u{1e}" {
        return Some(record);
    }
    let mut words = prefix.split([' ', '\t']);
    let time = words.next()?;
    crate::model::Timestamp::parse(time)?;
    match (words.next(), words.next(), words.next()) {
        (None, ..) => Some(record),
        (Some("stdout" | "stderr"), Some("F" | "P"), None) => Some(record),
        (Some(_tag), None, _) if prefix.contains('\t') => Some(record),
        _ => None,
    }
}

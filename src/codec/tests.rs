use std::io::Write as _;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// How a stream ends: its length and the reason, if it was cut short.
fn stream(input: &[u8], limits: &InflateLimits) -> (Vec<u8>, Option<RejectReason>) {
    let mut expanded = open(input, limits).unwrap();
    let mut out = Vec::new();
    let result = expanded.read_to_end(&mut out);
    (out, result.err().map(|error| fault_of(&error).unwrap()))
}

fn check(input: &[u8], expected: &[u8], reason: Option<RejectReason>) {
    let (out, ended) = stream(input, &InflateLimits::default());
    assert_eq!(ended, reason);
    assert!(out == expected, "{} bytes and not {}", out.len(), expected.len());
}

#[test]
fn layers_and_members_are_taken_off() {
    let text = b"{\"a\":1}\n".repeat(1000);
    let twice = [text.clone(), text.clone()].concat();
    check(&text, &text, None);
    check(b"", b"", None);
    check(&gzip(&text), &text, None);
    check(&zstd(&text), &text, None);
    check(&[gzip(&text), gzip(&text)].concat(), &twice, None);
    check(&[zstd(&text), zstd(&text)].concat(), &twice, None);
    check(&gzip(&zstd(&gzip(&text))), &text, None);
    check(&gzip(b""), b"", None);
    check(&gzip(&gzip(&gzip(&gzip(&text)))), b"", Some(RejectReason::TooDeep));
    let members: Vec<u8> = (0..10_000).flat_map(|_| gzip(b"")).collect();
    check(&members, b"", None);
}

#[test]
fn damage_ends_the_stream_after_the_readable_part() {
    let text: Vec<u8> = (0..200_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_string().into_bytes()).collect();
    for packed in [gzip(&text), zstd(&text)] {
        let (out, ended) = stream(&packed[..packed.len() / 2], &InflateLimits::default());
        assert_eq!(ended, Some(RejectReason::BadCompression));
        assert!(!out.is_empty() && text.starts_with(&out));
        let mut whole = Vec::new();
        let how = if packed[0] == 0x1f { Compression::Gzip } else { Compression::Zstd };
        assert_eq!(Codec.inflate(how, &packed, &InflateLimits::default(), &mut whole), Ok(()));
        assert!(whole == text);
    }
    let mut bad_sum = gzip(&text);
    let at = bad_sum.len() - 6;
    bad_sum[at] ^= 1;
    assert_eq!(stream(&bad_sum, &InflateLimits::default()).1, Some(RejectReason::BadCompression));
    check(&[gzip(b"{}"), b"garbage".to_vec()].concat(), b"{}", Some(RejectReason::BadCompression));
    check(b"\x1f\x8b", b"", Some(RejectReason::BadCompression));
}

#[test]
fn bombs_are_cut_at_the_limits() {
    let zeros = vec![b' '; 8 << 20];
    for packed in [gzip(&zeros), zstd(&zeros), gzip(&zstd(&zeros))] {
        let (out, ended) = stream(&packed, &InflateLimits::default());
        assert_eq!(ended, Some(RejectReason::Bomb));
        assert!(out.len() <= 200 * packed.len().max(6000), "{}", out.len());
    }
    let limits = InflateLimits { decoded_bytes_max: 100, ..InflateLimits::default() };
    for (len, ended) in [(99, None), (100, None), (101, Some(RejectReason::Bomb))] {
        assert_eq!(stream(&gzip(&vec![b'x'; len]), &limits).1, ended, "{len}");
    }
    // A frame that asks for a window of 2 GiB.
    assert_eq!(stream(b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", &InflateLimits::default()).1, Some(RejectReason::Bomb));
}

use std::io::{Cursor, Write};

use super::*;
use crate::model::{Inflate, InflateLimits, RejectReason};

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// What comes out of the bytes, as a whole and as a stream.
fn check(packed: &[u8], expected: &[u8]) {
    let mut streamed = Vec::new();
    open(Cursor::new(packed.to_vec())).unwrap().read_to_end(&mut streamed).unwrap();
    assert!(streamed == expected, "streamed {} bytes, expected {}", streamed.len(), expected.len());
    let mut whole = packed.to_vec();
    while let Magic::Compressed(how) = Magic::of(&whole) {
        let inflated = Inflater.inflate(how, &whole, &InflateLimits::default());
        assert_eq!(inflated.damage, None);
        whole = inflated.bytes;
    }
    assert!(whole == expected);
}

#[test]
fn members_frames_and_nesting() {
    check(b"plain", b"plain");
    check(&gzip(b"one"), b"one");
    check(&[gzip(b"one"), gzip(b"two")].concat(), b"onetwo");
    check(&gzip(&gzip(b"twice")), b"twice");
    check(&zstd::encode_all(&b"zst"[..], 3).unwrap(), b"zst");
    check(&[zstd::encode_all(&b"a"[..], 3).unwrap(), zstd::encode_all(&b"b"[..], 3).unwrap()].concat(), b"ab");
    check(&gzip(&zstd::encode_all(&b"mixed"[..], 3).unwrap()), b"mixed");
}

#[test]
fn damage_keeps_what_stands_before_it() {
    let plain: Vec<u8> = (0..200_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
    let packed = gzip(&plain);
    let inflated = Inflater.inflate(Compression::Gzip, &packed[..packed.len() / 2], &InflateLimits::default());
    assert_eq!(inflated.damage, Some(RejectReason::BadCompression));
    assert!(!inflated.bytes.is_empty() && plain.starts_with(&inflated.bytes));
}

#[test]
fn bombs_end_early() {
    let bomb = gzip(&vec![0; 200 << 20]);
    let inflated = Inflater.inflate(Compression::Gzip, &bomb, &InflateLimits::default());
    assert_eq!(inflated.damage, Some(RejectReason::Bomb));
    assert!(inflated.bytes.len() <= InflateLimits::default().ratio_free_bytes + 200 * bomb.len());
}

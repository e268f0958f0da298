//! Whole payloads: what is pushed, and small objects.

use std::io::Read;

use super::ZSTD_WINDOW_LOG_MAX;
use crate::model::{Compression, Inflate, InflateLimits, Inflated, RejectReason};

/// Undoes gzip and zstd.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inflater;

impl Inflate for Inflater {
    fn inflate(&self, how: Compression, input: &[u8], limits: &InflateLimits) -> Inflated {
        let mut bytes = Vec::with_capacity(input.len().saturating_mul(4).min(limits.decoded_bytes_max));
        let mut piece = vec![0; 64 << 10];
        let result = match how {
            Compression::Gzip => pump(flate2::bufread::MultiGzDecoder::new(input), input.len(), limits, &mut piece, &mut bytes),
            Compression::Zstd => match zstd::stream::read::Decoder::with_buffer(input).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Ok(decoder)
            }) {
                Ok(decoder) => pump(decoder, input.len(), limits, &mut piece, &mut bytes),
                Err(_) => Some(RejectReason::BadCompression),
            },
        };
        Inflated { bytes, damage: result }
    }
}

fn pump(mut from: impl Read, bytes_in: usize, limits: &InflateLimits, piece: &mut [u8], to: &mut Vec<u8>) -> Option<RejectReason> {
    loop {
        match from.read(piece) {
            Ok(0) => return None,
            Ok(read) => {
                if limits.is_bomb(bytes_in, to.len() + read) {
                    return Some(RejectReason::Bomb);
                }
                to.extend_from_slice(piece.get(..read).unwrap_or_default());
            }
            Err(_) => return Some(RejectReason::BadCompression),
        }
    }
}

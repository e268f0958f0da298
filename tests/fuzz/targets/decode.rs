//! Any bytes: every byte is accounted for, pieces give what the whole gives, redacting is stable, and an event is the same when it is read again.
#![no_main]

use std::sync::Arc;

use bartizan::decode::{DecodeLimits, Decoded, Decoder, Stream};
use bartizan::model::{ClusterId, Origin, Parser, PartitionId, Position, SourceId, TenantId, Timestamp};
use bartizan::normalize::{Redactor, normalize};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let mut limits = DecodeLimits::default();
    limits.record.record_bytes_max = 64 << 10;
    let mut decoder = Decoder::new(limits, None);
    let mut whole = Decoded::default();
    decoder.decode(payload, &mut whole);
    assert_eq!(whole.bytes_total, payload.len() as u64);
    assert_eq!(whole.bytes_records + whole.bytes_rejects + whole.bytes_separators, whole.bytes_total);

    let (mut pieces, mut stream) = (Decoded::default(), Stream::new());
    let size = usize::from(payload.first().copied().unwrap_or(1)).max(1);
    for piece in payload.chunks(size) {
        stream.push(&mut decoder, piece, &mut pieces);
    }
    stream.finish(&mut decoder, &mut pieces);
    assert_eq!((pieces.records.len(), pieces.rejects_total()), (whole.records.len(), whole.rejects_total()));

    let origin = Arc::new(Origin::of("fuzz", Timestamp::from_nanos(0)));
    let (mut redactor, mut parser) = (Redactor::default(), Parser::default());
    for record in whole.records.drain(..) {
        let record = redactor.redact(record, &mut parser);
        let again = redactor.redact(record.clone(), &mut parser);
        assert_eq!(again.doc.text(), record.doc.text(), "redacting twice changes nothing");
        let event = normalize(record, &origin, Position(0));
        assert_eq!(normalize(again, &origin, Position(0)).id, event.id);
    }
});

//! Payloads become records: compression, wrapping and the stream of JSON values are peeled off.

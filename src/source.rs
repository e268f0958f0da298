//! Where events come from. Every source is a log that is read from a checkpoint.
//!
//! | kind | log | partition | position |
//! |---|---|---|---|
//! | `file` | the files themselves as they grow ([`tail`]) | `file/<source>/<device>-<inode>-<how it begins>` | the byte after the last whole record |
//! | (`ingest`) | the files themselves, once ([`mod@file`]) | `file/<path>` | none: a finite replay |
//! | `push` | the spool, of redacted bytes | `spool` | the frame's number |
//! | `s3` | the bucket, in the order in which its objects were found ([`objects`]) | `s3/<source>` | the object's number |
//! | `kafka` | a topic's partition | `kafka/<source>/<topic>/<partition>` | the offset |

pub mod file;
#[cfg(feature = "scale")]
pub mod kafka;
pub mod objects;
pub mod s3;
pub mod spool;
pub mod tail;

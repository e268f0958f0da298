//! Alerts go out.

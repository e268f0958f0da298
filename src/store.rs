//! Where events and alerts are kept.

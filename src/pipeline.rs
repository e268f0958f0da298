//! The flow from sources to stores.

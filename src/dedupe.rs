//! Event ids seen.

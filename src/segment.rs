//! Frames of a log on disk.

//! A record in any dialect becomes an event.

//! One query language for search, exceptions, routes and the live tail.

mod ast;
mod matches;

pub use ast::{Bound, Query, ValueTest, Wild, WildPart};
pub use matches::matches;

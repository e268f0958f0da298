//! One query language for search, exceptions, routes and the live tail.

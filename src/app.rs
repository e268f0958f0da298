//! The service, built from its configuration.

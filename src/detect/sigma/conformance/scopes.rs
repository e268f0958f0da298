//! Beyond the table: array scopes.

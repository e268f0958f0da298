//! Findings become alerts, and alerts have a life.

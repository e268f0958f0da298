//! Any text as a rule file: it is a rule set or has diagnostics, and what was taken compiles.
#![no_main]

use std::sync::Arc;

use bartizan::detect::engine::{Engine, EngineSettings};
use bartizan::detect::sigma;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let files = [(Arc::from("fuzz.yml"), text.to_owned())];
    let (rules, diagnostics) = sigma::parse(&files, &sigma::Settings::default());
    for diagnostic in &diagnostics {
        assert!(!diagnostic.to_string().is_empty());
    }
    let engine = Engine::new(Arc::new(rules), EngineSettings::default());
    assert!(engine.refused().len() <= engine.rules().rules.len());
});

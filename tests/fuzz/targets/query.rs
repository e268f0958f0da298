//! Any text as a query: parsed or refused at a character of the text.
#![no_main]

use bartizan::query::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = parse(text) {
        assert!(error.at <= text.chars().count(), "{error}");
        assert!(!error.help.is_empty());
    }
});

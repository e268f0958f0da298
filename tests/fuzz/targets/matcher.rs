//! Any rules over any events: the compiled matcher finds what plain loops over rules and records find.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bartizan::detect::matcher::plain::check(bytes));

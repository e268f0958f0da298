//! Any correlations over any events, in any order: the engine tells what the model does by brute force.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bartizan::detect::correlate_model::check(bytes));

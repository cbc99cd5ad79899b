//! Runs the target `curve`, which is `callboard_fuzz::curve`, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| callboard_fuzz::curve(input));

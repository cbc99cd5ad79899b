//! Runs the target `envelope`, which is `callboard_fuzz::envelope`, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| callboard_fuzz::envelope(input));

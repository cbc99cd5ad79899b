//! Runs the target `gate`, which is `callboard_fuzz::gate`, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| callboard_fuzz::gate(input));

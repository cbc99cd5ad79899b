//! Runs the target `machine`, which is `callboard_fuzz::machine`, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| callboard_fuzz::machine(input));

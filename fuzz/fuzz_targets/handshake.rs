//! Runs the target `handshake`, which is `callboard_fuzz::handshake`, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| callboard_fuzz::handshake(input));

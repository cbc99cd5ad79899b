//! Tests of pools with real processes. They need only `sh`, `sleep` and other standard commands.
//!
//! This program is its own helper: it is also the pool's shim and some of the worker processes. Therefore it does not use Rust's test
//! harness, which defines `main` itself.

mod harness;
mod helpers;
mod output;
mod supervision;
mod termination;

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

/// One test: its name and its function.
type Test = (&'static str, fn());

/// Lists functions as tests.
#[macro_export]
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        pub(crate) const TESTS: &[$crate::Test] = &[$((stringify!($test), $test)),*];
    };
}

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    match arguments.next() {
        Some(word) if word == helpers::RUN_WORKER => helpers::run_worker(arguments),
        Some(word) if word == helpers::HELPER => helpers::run_helper(arguments),
        _ => run_tests(),
    }
}

fn run_tests() -> ExitCode {
    let tests = [supervision::TESTS, termination::TESTS, output::TESTS].concat();
    let trial = |(name, test): Test| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), tests.into_iter().map(trial).collect()).exit_code()
}

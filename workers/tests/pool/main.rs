//! Pools with real processes. They need only `sh`, `sleep` and what every system has beside them.
//!
//! This program is its own helper: the pool's shim and some of the processes in the tests are this program, started again. That
//! is why it has no harness of Rust's, which would not let it be anything but a test.

mod actors;
mod house;
mod leaving;
mod printing;
mod supervision;

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

/// One test: a name, which is the rule, and what proves it.
type Rule = (&'static str, fn());

/// Lists functions as rules.
#[macro_export]
macro_rules! rules {
    ($($rule:ident),* $(,)?) => {
        pub(crate) const RULES: &[$crate::Rule] = &[$((stringify!($rule), $rule)),*];
    };
}

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    match arguments.next() {
        Some(word) if word == actors::RUN_WORKER => actors::run_worker(arguments),
        Some(word) if word == actors::ACT => actors::act(arguments),
        _ => run_tests(),
    }
}

fn run_tests() -> ExitCode {
    let rules = [supervision::RULES, leaving::RULES, printing::RULES].concat();
    let trial = |(name, rule): Rule| {
        Trial::test(name, move || {
            rule();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), rules.into_iter().map(trial).collect()).exit_code()
}

//! The `callboard` command.

mod command;
mod settings;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::main()
}

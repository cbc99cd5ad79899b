//! The `callboard` command.

mod command;
mod peers_file;
mod settings;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::main()
}

//! `callboard completions`: prints the completions of a shell.

use clap::Args;
use clap_complete::Shell;

use crate::command::output::{self, exit::Exit};

/// The name of the command that is completed.
const NAME: &str = "callboard";

/// Shown below `callboard completions --help`.
const AFTER_HELP: &str = "\
Examples:
  callboard completions bash >~/.local/share/bash-completion/completions/callboard
  callboard completions zsh >~/.zfunc/_callboard
  callboard completions fish >~/.config/fish/completions/callboard.fish";

/// Print the completions of a shell: a script that the shell loads
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints the script for `command`, which is the whole command line.
    pub(crate) fn run(&self, command: clap::Command) -> anyhow::Result<Exit> {
        output::print_bytes(&script(self.shell, command))?;
        Ok(Exit::Success)
    }
}

fn script(shell: Shell, command: clap::Command) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut without_hidden(&command), NAME, &mut script);
    script
}

/// Returns the command line without the commands that its help does not list. clap completes them in bash.
fn without_hidden(command: &clap::Command) -> clap::Command {
    let listed = command.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let root = clap::Command::new(NAME).version(env!("BUILD_VERSION"));
    root.args(command.get_arguments().cloned()).subcommands(listed)
}

//! The syntax of the command line: what clap does not do by itself.
//!
//! | file | contents |
//! |---|---|
//! | `words` | the words before clap parses them: values that begin with a hyphen, and `help --help` |
//! | `help` | the help of all commands: paragraphs that fit the terminal, global options at the end |
//! | `error` | the errors of clap, without long values |

mod error;
mod help;
mod words;

use std::ffi::OsString;

pub(crate) use self::words::without_space;
use clap::{CommandFactory, FromArgMatches};

/// Parses the words of this process. Prints help, the version, or what is wrong with the words, and then exits the process.
pub(crate) fn parse<C: CommandFactory + FromArgMatches>() -> C {
    try_parse(std::env::args_os()).unwrap_or_else(|error: clap::Error| error.exit())
}

/// Parses words, the first of which is the name of the program.
///
/// # Errors
/// What is wrong with the words, or the help or version that they ask for.
pub(crate) fn try_parse<C: CommandFactory + FromArgMatches>(
    words: impl IntoIterator<Item = impl Into<OsString>>,
) -> Result<C, clap::Error> {
    let mut command = command::<C>();
    let words = words::prepare(&command, words.into_iter().map(Into::into));
    let matches = command.try_get_matches_from_mut(words);
    matches.and_then(|mut matches| C::from_arg_matches_mut(&mut matches)).map_err(error::clipped)
}

/// Returns the command with everything that clap derives from its parts.
pub(crate) fn command<C: CommandFactory>() -> clap::Command {
    let mut command = help::fitted(C::command());
    command.build();
    command
}

//! The words of a command line, before clap parses them.
//!
//! clap parses a word that begins with a hyphen as a flag, also where a user means a value: `--timeout -1s`, or `-1e-5` and `-.5` as
//! arguments of a call. Its error then names a letter of the value, and its tip does not help. So a value of a flag is joined to it,
//! `--timeout=-1s`, and the command's own error says what to write.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// Prepares the words of a command line, the first of which is the name of the program.
pub(super) fn prepare(root: &Command, words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.into_iter().peekable();
    let mut prepared = Vec::from_iter(words.next());
    let (mut command, mut is_help) = (root, false);
    while let Some(word) = words.next() {
        if let Some(next) = subcommand(command, &word) {
            is_help |= next.get_name() == "help";
            command = next;
        } else if word == "--" || starts_program(command, &word) {
            // The words of a program are its own, and after `--` nothing is a flag.
            prepared.push(word);
            break;
        } else if let Some(flag) = flag(command, &word).filter(|flag| flag.get_action().takes_values()) {
            match words.next_if(|value| is_value_of(flag, command, value)) {
                Some(value) if begins_with_hyphen(&value) => prepared.push(joined(&word, &value)),
                value => prepared.extend([word].into_iter().chain(value)),
            }
            continue;
        } else if is_help && matches!(word.to_str(), Some("-h" | "--help")) {
            // `help --help` is the same as `help`.
            continue;
        } else if takes_numbers(command) && is_negative_number(&word) {
            prepared.push(joined_with_space(&word));
            continue;
        }
        prepared.push(word);
    }
    prepared.extend(words);
    prepared
}

/// Removes the space that [`prepare`] writes before a negative number.
pub(crate) fn without_space(word: &str) -> &str {
    word.strip_prefix(' ').filter(|rest| is_negative_number(OsStr::new(rest))).unwrap_or(word)
}

fn subcommand<'a>(command: &'a Command, word: &OsStr) -> Option<&'a Command> {
    command.find_subcommand(word)
}

/// Returns whether a word is the program of `pool`, which takes all words after it.
fn starts_program(command: &Command, word: &OsStr) -> bool {
    !begins_with_hyphen(word) && command.get_positionals().any(Arg::is_trailing_var_arg_set)
}

/// Returns whether a command's positional arguments may be any numbers: only those of `call`.
fn takes_numbers(command: &Command) -> bool {
    command.get_positionals().any(|arg| arg.get_id() == "arguments")
}

/// Returns whether the word after a flag is the flag's value. A word with two hyphens is rather another flag, perhaps misspelled.
fn is_value_of(before: &Arg, command: &Command, word: &OsStr) -> bool {
    let is_flag = word.as_encoded_bytes().starts_with(b"--") || flag(command, word).is_some();
    before.is_allow_hyphen_values_set() || !is_flag
}

/// Returns the flag that a word is exactly.
fn flag<'a>(command: &'a Command, word: &OsStr) -> Option<&'a Arg> {
    let text = word.to_str()?;
    command.get_arguments().find(|arg| match text.strip_prefix("--") {
        Some(name) => {
            arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        }
        None => text.strip_prefix('-').is_some_and(|short| arg.get_short().is_some_and(|own| short == own.to_string())),
    })
}

fn begins_with_hyphen(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}

fn is_negative_number(word: &OsStr) -> bool {
    matches!(word.as_encoded_bytes(), [b'-', b'0'..=b'9' | b'.', ..])
}

fn joined(flag: &OsStr, value: &OsStr) -> OsString {
    let mut joined = flag.to_owned();
    joined.push("=");
    joined.push(value);
    joined
}

/// Returns a negative number with a space before it: clap does not parse that as a flag.
fn joined_with_space(number: &OsStr) -> OsString {
    let mut word = OsString::from(" ");
    word.push(number);
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{CommandLine, line};

    fn prepared(words: &str) -> String {
        let words = words.split(' ').map(OsString::from);
        let words = prepare(&line::command::<CommandLine>(), words);
        words.join(OsStr::new("|")).into_string().expect("the words are text")
    }

    #[test]
    fn a_value_that_begins_with_a_hyphen_is_joined_to_its_flag() {
        assert_eq!(prepared("callboard call a.b --timeout -1s 2"), "callboard|call|a.b|--timeout=-1s|2");
        assert_eq!(prepared("callboard --config f pool -n -1 worker"), "callboard|--config|f|pool|-n=-1|worker");
        assert_eq!(prepared("callboard dead show --timeout -1s 3"), "callboard|dead|show|--timeout=-1s|3");
    }

    #[test]
    fn a_flag_is_not_the_value_of_the_flag_before_it() {
        for words in
            ["callboard call a.b --timeout --cast", "callboard call a.b --timeout -h", "callboard pool --min -n 3 x"]
        {
            assert_eq!(prepared(words), words.replace(' ', "|"));
        }
    }

    #[test]
    fn a_negative_number_of_a_call_has_a_space_before_it() {
        assert_eq!(prepared("callboard call a.b -1e-5 -.5 -x y=-3"), "callboard|call|a.b| -1e-5| -.5|-x|y=-3");
        assert_eq!(prepared("callboard call a.b -- -1e-5"), "callboard|call|a.b|--|-1e-5");
        assert_eq!(without_space(" -1e-5"), "-1e-5");
        assert_eq!(without_space(" x"), " x");
    }

    #[test]
    fn the_words_of_a_program_stay() {
        for words in ["callboard pool -n 2 worker -1e-5 --timeout -1s", "callboard pool -- call --timeout -1s"] {
            assert_eq!(prepared(words), words.replace(' ', "|"));
        }
    }

    #[test]
    fn help_needs_no_help() {
        assert_eq!(prepared("callboard help --help"), "callboard|help");
        assert_eq!(prepared("callboard help call -h"), "callboard|help|call");
        assert_eq!(prepared("callboard dead help --help"), "callboard|dead|help");
        assert_eq!(prepared("callboard call --help"), "callboard|call|--help");
    }
}

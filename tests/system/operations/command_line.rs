//! The command line of every command: its help, its values, and the length of its errors.

use crate::harness::{Finished, callboard, unused_address};

/// A command with its flags that take a value, as its help lists them.
struct Listed {
    /// Its words, such as `dead show`.
    words: Vec<String>,
    flags: Vec<String>,
}

/// Returns every command, and the commands in it.
fn all() -> Vec<Listed> {
    let mut found = vec![listed(Vec::new())];
    let mut next = 0;
    while next < found.len() {
        let words = found[next].words.clone();
        let help = help_of(&words);
        let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        // A command's name is two spaces from the margin; a longer indentation continues the line before it.
        let names = commands.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
        let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
        found.extend(names.map(|name| listed([words.clone(), vec![name.to_owned()]].concat())));
        next += 1;
    }
    found
}

fn listed(words: Vec<String>) -> Listed {
    let help = help_of(&words);
    let flags = help
        .lines()
        .filter_map(|line| line.trim_start().split_once("--"))
        .filter(|(before, _)| before.is_empty() || (before.starts_with('-') && before.ends_with(", ")));
    let flags = flags.filter_map(|(_, flag)| flag.split_once(" <")).map(|(name, _)| format!("--{name}"));
    Listed { flags: flags.collect(), words }
}

fn help_of(words: &[String]) -> String {
    let mut command = callboard();
    command.args(words).arg("--help");
    Finished::of(command).printed()
}

impl Listed {
    /// Runs the command with more words. It cannot reach a broker.
    fn run(&self, words: &[&str]) -> Finished {
        let mut command = callboard();
        command.args(&self.words).args(words);
        command.env("CALLBOARD_FRONTEND", unused_address()).env("CALLBOARD_CLIENT_TIMEOUT", "200ms");
        Finished::of(command)
    }
}

#[test]
fn every_command_has_help_that_fits_and_ends_with_the_global_options() {
    let all = all();
    assert!(all.len() > 25, "{} commands", all.len());
    for command in &all {
        let help = help_of(&command.words);
        let too_long: Vec<_> = help.lines().filter(|line| line.chars().count() > 110).collect();
        assert!(too_long.is_empty() && !help.contains('\x1b'), "{:?}: {too_long:?}", command.words);
        let (_, global) = help.split_once("\nGlobal options:\n").unwrap_or_else(|| panic!("{:?}", command.words));
        assert!(global.contains("--config") && global.contains("--log-format"), "{:?}: {help}", command.words);
        assert!(!global.contains("\nOptions:\n"), "{:?}: {help}", command.words);
        let words: Vec<_> = command.words.iter().map(String::as_str).collect();
        let with_help = Finished::callboard(&[&["help"], words.as_slice(), &["--help"]].concat());
        assert_eq!(with_help.code, 0, "{with_help:?}");
    }
}

#[test]
fn a_value_that_begins_with_a_hyphen_is_the_value_of_its_flag() {
    for command in all() {
        for flag in &command.flags {
            // The unknown flag ends the command before it does anything.
            let ended = command.run(&[flag, "-1s", "--no-such-flag"]);
            let names_value =
                ended.stderr.contains("invalid value '-1s' for") || ended.stderr.contains("'--no-such-flag'");
            let has_tip = ended.stderr.contains("use '-- -1");
            assert!(ended.code == 2 && names_value && !has_tip, "{:?} {flag}: {ended:?}", command.words);
        }
    }
    let config = |words: &[&str]| Finished::callboard(&[&["config"], words].concat()).failed(2);
    assert_eq!(config(&["--timeout", "-1s"]), "error: --timeout: -1s is too small; must be at least 1ms");
    assert_eq!(config(&["-n", "-1"]), "error: -n: -1 is too small; must be at least 1");
    assert!(config(&["--heartbeat", "-x"]).starts_with("error: --heartbeat: \"-x\" is not a duration; write "));
}

#[test]
fn an_error_repeats_only_the_beginning_of_what_was_typed() {
    let long = "x".repeat(100_000);
    for command in all().iter().filter(|command| !command.words.is_empty()) {
        let mut ended = vec![command.run(&[&long]), command.run(&[&format!("--{long}")])];
        ended.extend(command.flags.iter().map(|flag| command.run(&[flag, &long, "--no-such-flag"])));
        for ended in ended {
            let Finished { code, stderr, .. } = &ended;
            assert!(stderr.len() < 4_000, "{:?}: {} bytes: {}", command.words, stderr.len(), &stderr[..400]);
            assert!((2..=4).contains(code) && stderr.starts_with("error: "), "{:?}: {code} {stderr}", command.words);
            assert!(stderr.matches(&long[..70]).count() <= 2, "{:?}: {stderr}", command.words);
        }
    }
}

#[test]
fn colours_follow_the_conventions() {
    let help = |variables: &[(&str, &str)]| {
        let mut command = callboard();
        command.arg("--help").envs(variables.iter().copied());
        command.env_remove("NO_COLOR").envs(variables.iter().copied());
        Finished::of(command).stdout
    };
    assert!(!help(&[]).contains('\x1b'), "a pipe has no colours");
    assert!(help(&[("CLICOLOR_FORCE", "1")]).contains('\x1b'));
    assert!(!help(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\x1b'));
}

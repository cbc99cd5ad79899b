//! Exit codes.

use std::{fmt, process::ExitCode};

use crate::settings::SettingError;

/// The exit codes. Scripts depend on them: they are as stable as the flags. Each has one meaning, which [`Exit::meaning`] prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Success.
    Success = 0,
    /// The outcome of a call, or of a request to the broker or a pool, is an error.
    Failed = 1,
    /// Invalid usage, settings or input.
    Usage = 2,
    /// There is no connection to a broker.
    NoBroker = 3,
    /// The command could not start, or gave up: a port in use, a missing program, a crash loop.
    GaveUp = 4,
    /// A timeout passed.
    TimedOut = 5,
    /// The broker rejected this program: its key, its role, or its version.
    Rejected = 6,
    /// A comparison or a check found a difference: a contract that breaks callers, a wrong result of demo.
    CheckFailed = 7,
    /// A reload was rolled back.
    RolledBack = 8,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// All exit codes, in the order of their numbers.
    const ALL: [Exit; 10] = [
        Exit::Success,
        Exit::Failed,
        Exit::Usage,
        Exit::NoBroker,
        Exit::GaveUp,
        Exit::TimedOut,
        Exit::Rejected,
        Exit::CheckFailed,
        Exit::RolledBack,
        Exit::Interrupted,
    ];

    /// Returns the meaning of the code, as in `callboard --help` and the guide.
    fn meaning(self) -> &'static str {
        match self {
            Exit::Success => "success",
            Exit::Failed => "a call, or a request to the broker or a pool, ended with an error",
            Exit::Usage => "invalid usage, setting or input",
            Exit::NoBroker => "no connection to a broker",
            Exit::GaveUp => "the command could not start, or gave up: port in use, program missing, crash loop",
            Exit::TimedOut => "the timeout passed",
            Exit::Rejected => "the broker rejected this program: its key, role or version",
            Exit::CheckFailed => "a check found a difference: contract diff a breaking change, demo a wrong result",
            Exit::RolledBack => "a reload was rolled back",
            Exit::Interrupted => "Ctrl-C (a second one ends the command at once)",
        }
    }

    /// Returns a line for each exit code.
    pub(crate) fn table() -> String {
        Exit::ALL.map(|exit| format!("  {:<4} {}", exit as u8, exit.meaning())).join("\n")
    }

    /// Returns an error that ends the command with this code.
    pub(crate) fn because(self, error: impl Into<anyhow::Error>) -> anyhow::Error {
        Ended { exit: self, error: error.into() }.into()
    }

    /// Returns the error of a type that was given to [`Exit::because`].
    pub(crate) fn cause<E: std::error::Error + Send + Sync + 'static>(error: &mut anyhow::Error) -> Option<&mut E> {
        error.downcast_mut::<Ended>()?.error.downcast_mut()
    }

    /// Returns the exit code of an error: the one it carries, else the default of its type.
    pub(crate) fn of(error: &anyhow::Error) -> Exit {
        if let Some(ended) = error.downcast_ref::<Ended>() {
            ended.exit
        } else if error.is::<SettingError>() {
            Exit::Usage
        } else {
            Exit::GaveUp
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An error with its exit code.
#[derive(Debug)]
struct Ended {
    exit: Exit,
    error: anyhow::Error,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Ended {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.chain().nth(1)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn an_error_keeps_its_exit_code_below_a_context() {
        let error = Exit::NoBroker.because(anyhow!("refused").context("no broker"));
        assert_eq!(format!("{error:#}"), "no broker: refused");
        let outer = Err::<(), _>(error).context("calling").expect_err("it was one");
        assert_eq!(Exit::of(&outer), Exit::NoBroker);
        assert_eq!(Exit::of(&anyhow!("port in use")), Exit::GaveUp);
    }
    #[test]
    fn the_guide_has_the_meaning_of_each_exit_code() {
        let page = include_str!("../../../docs/guide/settings.md");
        let table = page.split_once("## Exit codes").expect("the page has the table").1;
        let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| code")).collect();
        let codes = Exit::ALL.map(|exit| format!("| {} | {} |", exit as u8, exit.meaning()));
        assert_eq!(rows, codes);
    }
}

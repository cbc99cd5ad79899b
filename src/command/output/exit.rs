//! Exit codes.

use std::{fmt, process::ExitCode};

use crate::settings::SettingError;

/// The exit codes. Scripts depend on them: they are as stable as the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Success.
    Success = 0,
    /// The call ended with a status other than those of [`Exit::NoBroker`], or demo or bench got a wrong result.
    Failed = 1,
    /// Invalid usage or an invalid setting.
    Usage = 2,
    /// No broker could be reached, or the deadline passed.
    NoBroker = 3,
    /// The command could not start, or gave up: a port in use, a missing program, a crash loop.
    GaveUp = 4,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// Returns an error that ends the command with this code.
    pub(crate) fn because(self, error: impl Into<anyhow::Error>) -> anyhow::Error {
        Ended { exit: self, error: error.into() }.into()
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
        write!(f, "{:#}", self.error)
    }
}

impl std::error::Error for Ended {}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn an_error_keeps_its_exit_code_below_a_context() {
        let error = Exit::NoBroker.because(anyhow!("refused").context("no broker"));
        assert_eq!(error.to_string(), "no broker: refused");
        let outer = Err::<(), _>(error).context("calling").expect_err("it was one");
        assert_eq!(Exit::of(&outer), Exit::NoBroker);
        assert_eq!(Exit::of(&anyhow!("port in use")), Exit::GaveUp);
    }
}

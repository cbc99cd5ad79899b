//! Settings that were given as flags.

use std::path::PathBuf;

/// The flags of one command line that set a setting, and the settings file of `--config`.
///
/// A flag applies to every setting that has it: `--frontend` is the address that `broker` binds and that `call` connects to.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// The file that `--config` names.
    pub(crate) config: Option<PathBuf>,
    given: Vec<(&'static str, String)>,
}

impl Flags {
    /// Sets the settings file.
    pub(crate) fn with_config(self, config: Option<PathBuf>) -> Flags {
        Flags { config, ..self }
    }

    /// Adds a flag that takes a value, if it was given.
    pub(crate) fn with(mut self, flag: &'static str, value: Option<&String>) -> Flags {
        self.given.extend(value.map(|value| (flag, value.clone())));
        self
    }

    /// Adds a flag without a value, if it was given.
    pub(crate) fn with_switch(self, flag: &'static str, given: bool) -> Flags {
        self.with(flag, given.then(|| "true".to_owned()).as_ref())
    }

    /// Returns the value that was given for `flag`.
    pub(crate) fn value_of(&self, flag: &str) -> Option<&str> {
        self.given.iter().find(|(name, _)| *name == flag).map(|(_, value)| value.as_str())
    }
}

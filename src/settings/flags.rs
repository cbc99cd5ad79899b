//! Settings that a command was given as flags.

use std::path::PathBuf;

/// The flags that were typed, and the settings file that `--config` names.
///
/// A flag means every setting that has it: `--frontend` is the address that `broker` binds and that `call` connects to.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// What `--config` names.
    pub(crate) config: Option<PathBuf>,
    given: Vec<(&'static str, String)>,
}

impl Flags {
    /// Adds the settings file, if `--config` was typed.
    pub(crate) fn with_config(self, config: Option<PathBuf>) -> Flags {
        Flags { config, ..self }
    }

    /// Adds a flag that takes a value, if it was typed.
    pub(crate) fn with(mut self, flag: &'static str, value: Option<&String>) -> Flags {
        self.given.extend(value.map(|value| (flag, value.clone())));
        self
    }

    /// Adds a flag without a value, if it was typed.
    pub(crate) fn with_switch(self, flag: &'static str, typed: bool) -> Flags {
        self.with(flag, typed.then(|| "true".to_owned()).as_ref())
    }

    /// The settings file that is named by `--config`, or else by its variable.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        super::typed::settings_file(self, &|variable| std::env::var_os(variable)).map(|(path, _)| path)
    }

    /// What was typed for `flag`.
    pub(crate) fn value_of(&self, flag: &str) -> Option<&str> {
        self.given.iter().find(|(name, _)| *name == flag).map(|(_, value)| value.as_str())
    }
}

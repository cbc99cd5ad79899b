//! Settings as typed: for each, the text of the strongest layer that wrote it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{
    authkey::VARIABLE,
    catalogue::{POOL_NAME, SETTINGS, Setting},
    error::SettingError,
    file::{self, GivenPool},
    flags::Flags,
    source::Source,
};

/// The variable that names the settings file.
pub(crate) const CONFIG_VARIABLE: &str = "CALLBOARD_CONFIG";

/// A text and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// As it was written; a TOML number or boolean as its text.
    pub(crate) text: String,
    /// Where.
    pub(crate) source: Source,
}

/// Everything that was written.
#[derive(Debug, Default)]
pub(crate) struct Typed {
    /// By table and key.
    given: BTreeMap<(&'static str, &'static str), Given>,
    /// Whether the environment holds a key. The key itself is no setting, and not kept.
    authkey: bool,
}

impl Typed {
    /// Reads the layers, the weakest first, so that a stronger one replaces it.
    ///
    /// `environment` gives a variable's value. It is an argument so that a test needs no environment of its own.
    ///
    /// # Errors
    /// If the settings file cannot be read or names something unknown, or a variable is not text.
    pub(crate) fn gather(flags: &Flags, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Typed, SettingError> {
        let mut typed = Typed::default();
        if let Some((path, named_by)) = settings_file(flags, environment) {
            typed.add_file(&path, named_by)?;
        }
        typed.add_environment(environment)?;
        typed.add_flags(flags);
        Ok(typed)
    }

    /// Adds what a file says of one pool alone: it is the strongest, as the flags of that pool.
    pub(crate) fn add_pool(&mut self, pool: &GivenPool) {
        self.add(&POOL_NAME, pool.name.clone());
        for (setting, given) in &pool.given {
            self.add(setting, given.clone());
        }
    }

    /// What was written for `setting`.
    pub(crate) fn given(&self, setting: &Setting) -> Option<&Given> {
        self.given.get(&(setting.table, setting.key))
    }

    /// Whether the environment holds a key.
    pub(crate) fn has_authkey(&self) -> bool {
        self.authkey
    }

    fn add_file(&mut self, path: &Path, named_by: Source) -> Result<(), SettingError> {
        for (setting, given) in file::parse(path, &read_file(path, named_by)?)? {
            self.add(setting, given);
        }
        Ok(())
    }

    fn add_environment(&mut self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<(), SettingError> {
        self.authkey = environment(VARIABLE).is_some_and(|text| !text.is_empty());
        for setting in SETTINGS {
            for variable in setting.variables.iter().rev() {
                if let Some(text) = read_variable(environment, variable)? {
                    self.add(setting, Given { text, source: Source::Environment(variable) });
                }
            }
        }
        Ok(())
    }

    fn add_flags(&mut self, flags: &Flags) {
        for setting in SETTINGS {
            if let Some(text) = flags.value_of(setting.flag) {
                self.add(setting, Given { text: text.to_owned(), source: Source::Flag(setting.flag) });
            }
        }
    }

    fn add(&mut self, setting: &'static Setting, given: Given) {
        self.given.insert((setting.table, setting.key), given);
    }
}

/// The pools that a settings file tells of, in its order.
///
/// # Errors
/// If it cannot be read, or does not say what a pool is.
pub(crate) fn pools_of(path: &Path) -> Result<Vec<GivenPool>, SettingError> {
    file::parse_pools(path, &read_file(path, Source::Flag("--config"))?)
}

fn read_file(path: &Path, named_by: Source) -> Result<String, SettingError> {
    std::fs::read_to_string(path).map_err(|error| SettingError::FileUnreadable {
        path: path.to_owned(),
        named_by,
        error,
    })
}

/// The settings file to read, and who names it. Without a name none is read: a file that happens to lie somewhere decides nothing.
pub(super) fn settings_file(
    flags: &Flags,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Option<(PathBuf, Source)> {
    if let Some(path) = &flags.config {
        return Some((path.clone(), Source::Flag("--config")));
    }
    let path = environment(CONFIG_VARIABLE).filter(|path| !path.is_empty())?;
    Some((PathBuf::from(path), Source::Environment(CONFIG_VARIABLE)))
}

/// A variable's text. An empty one counts as unset: that is how many launchers unset one.
fn read_variable(
    environment: &dyn Fn(&str) -> Option<OsString>,
    variable: &'static str,
) -> Result<Option<String>, SettingError> {
    let Some(text) = environment(variable).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text.into_string().map(Some).map_err(|_| SettingError::NotText(variable))
}

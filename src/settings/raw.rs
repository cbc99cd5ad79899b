//! Settings as written: for each, the text of the strongest layer that sets it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{
    catalogue::{FORMER_VARIABLES, POOL_NAME, SETTINGS, Setting},
    environment::{AUTHKEY_VARIABLE, CONFIG_VARIABLE, CURVE_SECRET_VARIABLE},
    error::SettingError,
    file::{self, RawPool},
    flags::Flags,
    source::{RawValue, Source},
};

/// The unparsed values of all layers.
#[derive(Debug, Default)]
pub(crate) struct RawSettings {
    /// By table and key.
    values: BTreeMap<(&'static str, &'static str), RawValue>,
    /// Whether the environment holds a key. The key itself is not a setting, and is not kept here.
    authkey: bool,
    /// The same for a secret CURVE key.
    curve_secret: bool,
}

impl RawSettings {
    /// Reads the layers, the weakest first, so that a stronger one replaces it.
    ///
    /// `environment` returns a variable's value. It is an argument so that a test does not depend on the process's environment.
    ///
    /// # Errors
    /// If the settings file cannot be read or names something unknown, or a variable is not text.
    pub(crate) fn gather(
        flags: &Flags,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<RawSettings, SettingError> {
        let mut raw = RawSettings::default();
        if let Some((path, named_by)) = settings_file(flags, environment) {
            raw.add_file(&path, named_by)?;
        }
        raw.add_environment(environment)?;
        raw.add_flags(flags);
        Ok(raw)
    }

    /// Adds the values that a file sets for one pool. They override every other layer, as flags of that pool would.
    pub(crate) fn add_pool(&mut self, pool: &RawPool) {
        self.add(&POOL_NAME, pool.name.clone());
        for (setting, value) in &pool.values {
            self.add(setting, value.clone());
        }
    }

    /// Returns the value of `setting`, if any layer sets it.
    pub(crate) fn value(&self, setting: &Setting) -> Option<&RawValue> {
        self.values.get(&(setting.table, setting.key))
    }

    /// Returns whether the environment holds a key.
    pub(crate) fn has_authkey(&self) -> bool {
        self.authkey
    }

    /// Returns whether the environment holds a secret CURVE key.
    pub(crate) fn has_curve_secret(&self) -> bool {
        self.curve_secret
    }

    fn add_file(&mut self, path: &Path, named_by: Source) -> Result<(), SettingError> {
        for (setting, value) in file::parse(path, &read_file(path, named_by)?)? {
            self.add(setting, value);
        }
        Ok(())
    }

    fn add_environment(&mut self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<(), SettingError> {
        let is_set = |variable| environment(variable).is_some_and(|text: OsString| !text.is_empty());
        self.authkey = is_set(AUTHKEY_VARIABLE);
        self.curve_secret = is_set(CURVE_SECRET_VARIABLE);
        for (variable, setting) in FORMER_VARIABLES {
            self.add_variable(environment, variable, setting)?;
        }
        for setting in SETTINGS {
            for variable in setting.variables.iter().rev() {
                self.add_variable(environment, variable, setting)?;
            }
        }
        Ok(())
    }

    /// Adds the value of one variable. An empty variable counts as unset: many launchers unset a variable in that way.
    fn add_variable(
        &mut self,
        environment: &dyn Fn(&str) -> Option<OsString>,
        variable: &'static str,
        setting: &'static Setting,
    ) -> Result<(), SettingError> {
        let Some(text) = environment(variable).filter(|text| !text.is_empty()) else { return Ok(()) };
        let text = text.into_string().map_err(|_| SettingError::NotText(variable))?;
        self.add(setting, RawValue { text, source: Source::Environment(variable) });
        Ok(())
    }

    fn add_flags(&mut self, flags: &Flags) {
        for setting in SETTINGS {
            if let Some(text) = flags.value_of(setting.flag) {
                self.add(setting, RawValue { text: text.to_owned(), source: Source::Flag(setting.flag) });
            }
        }
    }

    fn add(&mut self, setting: &'static Setting, value: RawValue) {
        self.values.insert((setting.table, setting.key), value);
    }
}

/// Reads the pools of a settings file, in the order of the file.
///
/// # Errors
/// If the file cannot be read, or the table of a pool is not valid.
pub(crate) fn read_pools(path: &Path) -> Result<Vec<RawPool>, SettingError> {
    file::parse_pools(path, &read_file(path, Source::Flag("--config"))?)
}

/// Returns the settings file that `--config` names, or else its variable.
pub(crate) fn config_file(flags: &Flags) -> Option<PathBuf> {
    settings_file(flags, &|variable| std::env::var_os(variable)).map(|(path, _)| path)
}

fn read_file(path: &Path, named_by: Source) -> Result<String, SettingError> {
    std::fs::read_to_string(path).map_err(|error| SettingError::FileUnreadable {
        path: path.to_owned(),
        named_by,
        error,
    })
}

/// Returns the settings file and the source that names it. Without a name no file is read: a file that happens to be in the
/// working directory must have no effect.
fn settings_file(flags: &Flags, environment: &dyn Fn(&str) -> Option<OsString>) -> Option<(PathBuf, Source)> {
    if let Some(path) = &flags.config {
        return Some((path.clone(), Source::Flag("--config")));
    }
    let path = environment(CONFIG_VARIABLE).filter(|path| !path.is_empty())?;
    Some((PathBuf::from(path), Source::Environment(CONFIG_VARIABLE)))
}

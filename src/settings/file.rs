//! The parser of the settings file: TOML with the tables of the catalogue, and the pools that `callboard up` starts.

use std::{ops::Range, path::Path};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    catalogue::{FORMER_KEYS, SETTINGS, Setting, TABLES, settings_of},
    error::SettingError,
    nearest::nearest,
    source::{RawValue, Source},
};

/// The table of the pools that `callboard up` starts.
const POOLS: &str = "pools";
/// The key of a pool's program.
const PROGRAM: &str = "program";
/// Settings that a pool of that table does not take: its name is that of the table, and its broker is that of the file.
const NOT_OF_POOLS: [&str; 2] = ["name", "backend"];

/// One pool of the file.
#[derive(Clone, Debug)]
pub(crate) struct RawPool {
    /// Its name, with the line where its table begins.
    pub(crate) name: RawValue,
    /// Its program, and the program's arguments.
    pub(crate) program: Vec<String>,
    /// Its own settings, which override those of `[pool]`.
    pub(crate) values: Vec<(&'static Setting, RawValue)>,
}

/// Parses the settings in `text`; errors name `path`.
///
/// # Errors
/// If the text is not TOML, or a table, a key or a value is not valid. The error has the line.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Vec<(&'static Setting, RawValue)>, SettingError> {
    let file = File { path, text };
    let root = file.root()?;
    let mut found = Vec::new();
    // Only `callboard up` reads the pools.
    for (name, value) in root.get_ref().iter().filter(|(name, _)| name.get_ref() != POOLS) {
        let (table, entries) = file.table(name, value)?;
        for (key, value) in entries {
            found.push(file.entry(table, table, key, value)?);
        }
    }
    Ok(found)
}

/// Parses the pools in `text`, in the order of the file.
///
/// # Errors
/// As for [`parse`], or if a pool has no program.
pub(crate) fn parse_pools(path: &Path, text: &str) -> Result<Vec<RawPool>, SettingError> {
    let file = File { path, text };
    let root = file.root()?;
    let Some((key, value)) = root.get_ref().iter().find(|(name, _)| name.get_ref() == POOLS) else {
        return Ok(Vec::new());
    };
    let DeValue::Table(tables) = value.get_ref() else { return Err(file.no_pool(key)) };
    let mut tables: Vec<_> = tables.iter().collect();
    tables.sort_by_key(|(name, _)| name.span().start);
    tables.into_iter().map(|(name, value)| file.pool(name, value)).collect()
}

/// The text of a settings file, with its path for errors.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

type Key<'a> = Spanned<DeString<'a>>;

impl<'f> File<'f> {
    fn root(&self) -> Result<Spanned<DeTable<'f>>, SettingError> {
        DeTable::parse(self.text).map_err(|error| SettingError::FileSyntax {
            place: self.place(&error.span().unwrap_or(0..0)),
            message: error.message().to_owned(),
        })
    }

    /// Parses one pool.
    fn pool(&self, name: &Key<'_>, value: &Spanned<DeValue<'_>>) -> Result<RawPool, SettingError> {
        let DeValue::Table(entries) = value.get_ref() else { return Err(self.no_pool(name)) };
        let (mut program, mut values) = (None, Vec::new());
        for (key, value) in entries {
            match key.get_ref().as_ref() {
                PROGRAM => program = Some(self.program(key, value)?),
                other if NOT_OF_POOLS.contains(&other) => return Err(self.not_of_pools(key)),
                _ => values.push(self.entry("pool", &format!("pools.{}", name.get_ref()), key, value)?),
            }
        }
        let source = self.place(&name.span());
        let program = program.ok_or_else(|| SettingError::Value {
            place: source.clone(),
            wrong: format!("the pool {} has no program; write program = [\"./worker\", \"ARGUMENT\"]", name.get_ref()),
        })?;
        Ok(RawPool { name: RawValue { text: name.get_ref().to_string(), source }, program, values })
    }

    /// Parses a program: a string, or a list with its arguments.
    fn program(&self, key: &Key<'_>, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, SettingError> {
        let words = match value.get_ref() {
            DeValue::String(program) => Some(vec![program.to_string()]),
            DeValue::Array(words) => words.iter().map(|word| Some(word.get_ref().as_str()?.to_owned())).collect(),
            _ => None,
        };
        words.filter(|words| !words.is_empty()).ok_or_else(|| SettingError::Value {
            place: self.place(&key.span()),
            wrong: "program is not a list of strings; write program = [\"./worker\", \"ARGUMENT\"]".to_owned(),
        })
    }

    fn no_pool(&self, name: &Key<'_>) -> SettingError {
        SettingError::Value {
            place: self.place(&name.span()),
            wrong: format!(
                "{} is not a table; write [pools.NAME] and below it program = [\"./worker\"]",
                name.get_ref()
            ),
        }
    }

    fn not_of_pools(&self, key: &Key<'_>) -> SettingError {
        SettingError::Unknown {
            place: self.place(&key.span()),
            what: format!("a pool in [pools] does not take {}", key.get_ref()),
            hint: "the name is that of its table, and the broker is that of this file".to_owned(),
        }
    }

    /// Returns the name and the entries of a table.
    fn table<'t>(
        &self,
        name: &Key<'t>,
        value: &'t Spanned<DeValue<'t>>,
    ) -> Result<(&'static str, &'t DeTable<'t>), SettingError> {
        let DeValue::Table(entries) = value.get_ref() else {
            return Err(self.outside_tables(name));
        };
        let table = TABLES.into_iter().find(|table| *table == name.get_ref());
        let table = table.ok_or_else(|| SettingError::Unknown {
            place: self.place(&name.span()),
            what: format!("unknown table [{}]", name.get_ref()),
            hint: nearest(name.get_ref(), TABLES)
                .map_or_else(|| format!("write {}", list(TABLES)), |near| format!("did you mean [{near}]?")),
        })?;
        Ok((table, entries))
    }

    /// Parses an entry as a setting of `table`; errors call the table `title`.
    fn entry(
        &self,
        table: &'static str,
        title: &str,
        key: &Key<'_>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(&'static Setting, RawValue), SettingError> {
        let name: &str = key.get_ref();
        let setting = setting_of(table, name).ok_or_else(|| {
            let names = || settings_of(table).map(|setting| setting.key);
            SettingError::Unknown {
                place: self.place(&key.span()),
                what: format!("unknown setting {name} in [{title}]"),
                hint: nearest(name, names()).map_or_else(
                    || format!("the settings are {}", list(names())),
                    |near| format!("did you mean {near}?"),
                ),
            }
        })?;
        let source = self.place(&key.span());
        let text = scalar(value.get_ref()).map_err(|found| SettingError::Value {
            place: source.clone(),
            wrong: format!("{name} is {found}; write one value, such as {name} = {}", example(setting)),
        })?;
        Ok((setting, RawValue { text, source }))
    }

    /// Returns the error for a setting before the first table.
    fn outside_tables(&self, name: &Key<'_>) -> SettingError {
        let tables = SETTINGS.into_iter().filter(|setting| setting.key == name.get_ref());
        let tables: Vec<_> = tables.map(|setting| format!("[{}]", setting.table)).collect();
        let hint = if tables.is_empty() {
            format!("the tables are {}", list(TABLES.map(|table| format!("[{table}]"))))
        } else {
            format!("write it below {}", tables.join(" or "))
        };
        SettingError::Unknown {
            place: self.place(&name.span()),
            what: format!("{} is not in a table", name.get_ref()),
            hint,
        }
    }

    /// Returns the place where `span` begins.
    fn place(&self, span: &Range<usize>) -> Source {
        let before = self.text.as_bytes().iter().take(span.start);
        Source::File(self.path.to_owned(), 1 + before.filter(|byte| **byte == b'\n').count())
    }
}

/// Returns the setting of a table that has this key, or had it in the version before.
fn setting_of(table: &str, key: &str) -> Option<&'static Setting> {
    let former = FORMER_KEYS.into_iter().filter(|(in_table, former, _)| *in_table == table && *former == key);
    settings_of(table).find(|setting| setting.key == key).or_else(|| former.map(|(.., setting)| setting).next())
}

/// Returns the text of a value as an environment variable would hold it, or else the name of its type.
fn scalar(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        DeValue::Datetime(_) => Err("a date"),
        DeValue::Array(_) => Err("a list"),
        DeValue::Table(_) => Err("a table"),
    }
}

/// Returns an example value of `setting` as TOML.
fn example(setting: &Setting) -> String {
    let text = setting.default.unwrap_or("calculator");
    let bare = text == "false" || text.bytes().all(|byte| byte.is_ascii_digit());
    if bare { text.to_owned() } else { format!("\"{text}\"") }
}

/// Joins names as `a, b, c`.
fn list(names: impl IntoIterator<Item = impl Into<String>>) -> String {
    names.into_iter().map(Into::into).collect::<Vec<_>>().join(", ")
}

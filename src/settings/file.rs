//! The settings file: TOML with the tables of the catalogue, every value with its line; and the pools that `callboard up` starts.

use std::{ops::Range, path::Path};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    catalogue::{SETTINGS, Setting, TABLES, settings_of},
    error::SettingError,
    nearest::nearest,
    source::Source,
    typed::Given,
};

/// The table of the pools that `callboard up` starts.
const POOLS: &str = "pools";
/// What a pool of that table has beside settings.
const PROGRAM: &str = "program";
/// Settings that a pool of that table has not: its name is the table's, and its broker is the file's.
const NOT_OF_POOLS: [&str; 2] = ["name", "backend"];

/// A pool that the file tells of.
#[derive(Clone, Debug)]
pub(crate) struct GivenPool {
    /// Its name, and the line where it begins.
    pub(crate) name: Given,
    /// Its program and its arguments.
    pub(crate) program: Vec<String>,
    /// Its own settings, which count before those of `[pool]`.
    pub(crate) given: Vec<(&'static Setting, Given)>,
}

/// Reads the file's `text`; `path` is for its name.
///
/// # Errors
/// With the line of whatever is no TOML, is no table or setting of ours, or has a value that no setting has.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Vec<(&'static Setting, Given)>, SettingError> {
    let file = File { path, text };
    let root = file.root()?;
    let mut found = Vec::new();
    // The pools are read by who starts them.
    for (name, value) in root.get_ref().iter().filter(|(name, _)| name.get_ref() != POOLS) {
        let (table, entries) = file.table(name, value)?;
        for (key, value) in entries {
            found.push(file.entry(table, table, key, value)?);
        }
    }
    Ok(found)
}

/// Reads the pools of the file's `text`, in the order in which they stand there.
///
/// # Errors
/// As [`parse`], or a pool has no program.
pub(crate) fn parse_pools(path: &Path, text: &str) -> Result<Vec<GivenPool>, SettingError> {
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

/// A settings file while it is read.
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

    /// One of the pools.
    fn pool(&self, name: &Key<'_>, value: &Spanned<DeValue<'_>>) -> Result<GivenPool, SettingError> {
        let DeValue::Table(entries) = value.get_ref() else { return Err(self.no_pool(name)) };
        let (mut program, mut given) = (None, Vec::new());
        for (key, value) in entries {
            match key.get_ref().as_ref() {
                PROGRAM => program = Some(self.program(key, value)?),
                other if NOT_OF_POOLS.contains(&other) => return Err(self.not_of_pools(key)),
                _ => given.push(self.entry("pool", &format!("pools.{}", name.get_ref()), key, value)?),
            }
        }
        let source = self.place(&name.span());
        let program = program.ok_or_else(|| SettingError::Value {
            place: source.clone(),
            wrong: format!("the pool {} has no program; write program = [\"./worker\", \"ARGUMENT\"]", name.get_ref()),
        })?;
        Ok(GivenPool { name: Given { text: name.get_ref().to_string(), source }, program, given })
    }

    /// A program alone, or with its arguments.
    fn program(&self, key: &Key<'_>, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, SettingError> {
        let words = match value.get_ref() {
            DeValue::String(program) => Some(vec![program.to_string()]),
            DeValue::Array(words) => words.iter().map(|word| Some(word.get_ref().as_str()?.to_owned())).collect(),
            _ => None,
        };
        words.filter(|words| !words.is_empty()).ok_or_else(|| SettingError::Value {
            place: self.place(&key.span()),
            wrong: "program is not a list of texts; write program = [\"./worker\", \"ARGUMENT\"]".to_owned(),
        })
    }

    fn no_pool(&self, name: &Key<'_>) -> SettingError {
        SettingError::Value {
            place: self.place(&name.span()),
            wrong: format!("{} is no table; write [pools.NAME] and below it program = [\"./worker\"]", name.get_ref()),
        }
    }

    fn not_of_pools(&self, key: &Key<'_>) -> SettingError {
        SettingError::Unknown {
            place: self.place(&key.span()),
            what: format!("a pool below [pools] has no setting {}", key.get_ref()),
            hint: "its name is its table's, and its broker is this file's".to_owned(),
        }
    }

    /// One of our tables: its name and what is in it.
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
            what: format!("there is no table [{}]", name.get_ref()),
            hint: nearest(name.get_ref(), TABLES)
                .map_or_else(|| format!("write {}", list(TABLES)), |near| format!("did you mean [{near}]?")),
        })?;
        Ok((table, entries))
    }

    /// One of our settings, with its value as text. Those of `table` may stand below another `title`.
    fn entry(
        &self,
        table: &'static str,
        title: &str,
        key: &Key<'_>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(&'static Setting, Given), SettingError> {
        let name: &str = key.get_ref();
        let setting = settings_of(table).find(|setting| setting.key == name).ok_or_else(|| {
            let names = || settings_of(table).map(|setting| setting.key);
            SettingError::Unknown {
                place: self.place(&key.span()),
                what: format!("[{title}] has no setting {name}"),
                hint: nearest(name, names())
                    .map_or_else(|| format!("it has {}", list(names())), |near| format!("did you mean {near}?")),
            }
        })?;
        let source = self.place(&key.span());
        let text = scalar(value.get_ref()).map_err(|found| SettingError::Value {
            place: source.clone(),
            wrong: format!("{name} is {found}; write one value, such as {name} = {}", example(setting)),
        })?;
        Ok((setting, Given { text, source }))
    }

    /// A setting that stands before the first table.
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
            what: format!("{} is in no table", name.get_ref()),
            hint,
        }
    }

    /// The place where `span` begins.
    fn place(&self, span: &Range<usize>) -> Source {
        let before = self.text.as_bytes().iter().take(span.start);
        Source::File(self.path.to_owned(), 1 + before.filter(|byte| **byte == b'\n').count())
    }
}

/// The text of a value as an environment variable would hold it, or what it is instead of one value.
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

/// A value of `setting` as TOML.
fn example(setting: &Setting) -> String {
    let text = setting.default.unwrap_or("calculator");
    let bare = text == "false" || text.bytes().all(|byte| byte.is_ascii_digit());
    if bare { text.to_owned() } else { format!("\"{text}\"") }
}

/// `a, b, c`.
fn list(names: impl IntoIterator<Item = impl Into<String>>) -> String {
    names.into_iter().map(Into::into).collect::<Vec<_>>().join(", ")
}

//! What `callboard up` is to start, from one settings file, checked before anything runs.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::anyhow;
use callboard::{AuthKey, core::wire::handshake::Role, pool::find_program};

use crate::{
    command::{
        output::exit::Exit,
        run::{broker, pool::sizing::Sizing},
    },
    settings::{Flags, RawPool, Settings, read_pools},
};

/// The broker and the pools of a file.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The file.
    pub(crate) file: PathBuf,
    /// How long the broker's calls may go on once it is asked to stop.
    pub(crate) broker_drain: Duration,
    /// Whether SIGHUP means something to the broker.
    pub(crate) broker_has_key_file: bool,
    /// By which key we may ask the broker whether it is well.
    pub(crate) authkey: Option<AuthKey>,
    /// The pools, in the file's order.
    pub(crate) pools: Vec<PlannedPool>,
}

/// One pool of the file.
#[derive(Debug)]
pub(crate) struct PlannedPool {
    pub(crate) name: String,
    /// How long its calls may go on once it is asked to stop.
    pub(crate) drain: Duration,
    /// Processes that it begins with.
    pub(crate) size: u32,
    /// Its program, found.
    program: PathBuf,
    raw: RawPool,
}

impl Plan {
    /// Reads the file, and checks all that can be known without starting anything.
    ///
    /// # Errors
    /// What is wrong first: a setting, a key file, a program that is not there.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Plan> {
        let flags = Flags::default().with_config(Some(file.to_owned()));
        let settings = Settings::load(&flags)?;
        broker::settings_of(&settings.broker)?.check().map_err(|error| Exit::Usage.because(error))?;
        let given = read_pools(file)?;
        if given.is_empty() {
            let hint = "write [pools.NAME] and below it program = [\"./worker\"]";
            return Err(Exit::Usage.because(anyhow!("{} names no pool: {hint}", file.display())));
        }
        let pools = given.into_iter().map(|pool| PlannedPool::of(&flags, pool)).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Plan {
            file: file.to_owned(),
            broker_drain: settings.broker.drain.value,
            broker_has_key_file: settings.broker.authkey.file.is_some(),
            authkey: asking_key(&settings)?,
            pools,
        })
    }

    /// What was found, for people.
    pub(crate) fn text(&self) -> String {
        let pools = self.pools.iter().map(|pool| {
            let arguments: String = pool.raw.program.iter().skip(1).map(|word| format!(" {word}")).collect();
            format!("\n  pool {}: {} processes of {}{arguments}", pool.name, pool.size, pool.program.display())
        });
        format!("{} is fine: a broker, and then{}", self.file.display(), pools.collect::<String>())
    }

    /// The arguments of the command that is the broker.
    pub(crate) fn broker_arguments(&self) -> Vec<OsString> {
        vec!["--config".into(), self.file.clone().into(), "broker".into()]
    }
}

impl PlannedPool {
    fn of(flags: &Flags, raw: RawPool) -> anyhow::Result<PlannedPool> {
        let settings = Settings::load_pool(flags, &raw)?.pool;
        let size = Sizing::of(&settings)?.size;
        settings.authkey.keys()?;
        let name = raw.name.text.clone();
        let program = find_program(raw.program.first().map(String::as_ref).unwrap_or_default());
        let program = program.map_err(|error| {
            let place = raw.name.source.to_string();
            Exit::GaveUp.because(anyhow::Error::new(error).context(format!("{place}: the pool {name}")))
        })?;
        Ok(PlannedPool { name, drain: settings.drain.value, size, program, raw })
    }

    /// The arguments of the command that is this pool.
    pub(crate) fn arguments(&self, file: &Path, backend: &str) -> Vec<OsString> {
        let own = self.raw.values.iter().flat_map(|(setting, value)| [setting.flag.into(), value.text.clone().into()]);
        let mut all: Vec<OsString> = vec!["--config".into(), file.into(), "pool".into()];
        all.extend(["--name", &self.name, "--backend", backend].map(Into::into));
        all.extend(own);
        all.push("--".into());
        all.extend(self.raw.program.iter().map(Into::into));
        all
    }
}

/// The key of `[client]`, or else one of the broker's own that a client may have.
fn asking_key(settings: &Settings) -> anyhow::Result<Option<AuthKey>> {
    if let Some(keys) = settings.client.authkey.keys()? {
        return Ok(Some(keys.first().clone()));
    }
    let Some(keys) = settings.broker.authkey.keys()? else { return Ok(None) };
    Ok(keys.iter().find(|key| key.roles().permit(Role::Client)).cloned())
}

//! The plan of `callboard up`: the processes to start, from one settings file, checked before any of them runs.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::anyhow;
use callboard::pool::find_program;

use super::credentials;
use crate::{
    command::{
        logging::Format,
        output::exit::Exit,
        run::{broker, pool::sizing::Sizing},
    },
    settings::{Credentials, Flags, RawPool, Settings, Source, Sourced, read_pools},
};

/// The flag of the admin endpoint. Only `up` itself has one.
pub(super) const ADMIN_FLAG: &str = "--admin";

/// The broker and the pools of a file.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The file.
    pub(crate) file: PathBuf,
    /// The time that running calls have to finish when the broker is asked to stop.
    pub(crate) broker_drain: Duration,
    /// Whether the broker reloads a key file at SIGHUP.
    pub(crate) broker_has_key_file: bool,
    /// What the watchdog shows to the broker.
    pub(crate) credentials: Credentials,
    /// Whether the broker would reject these credentials.
    pub(crate) is_watchdog_rejected: bool,
    /// The address of the one admin endpoint; `None`: no endpoint.
    pub(crate) admin: Sourced<Option<String>>,
    /// The pools, in the file's order.
    pub(crate) pools: Vec<PlannedPool>,
    /// The format of the log of all processes; `None`: that of their environment.
    log_format: Option<Format>,
}

/// One pool of the file.
#[derive(Debug)]
pub(crate) struct PlannedPool {
    pub(crate) name: String,
    /// The time that its running calls have to finish when it is asked to stop.
    pub(crate) drain: Duration,
    /// The initial number of its processes.
    pub(crate) size: u32,
    /// The path of its program.
    program: PathBuf,
    raw: RawPool,
}

impl Plan {
    /// Reads the file, and checks everything that can be checked without starting a process. `admin` is the flag of that name.
    ///
    /// # Errors
    /// The first problem: a setting, a key file, or a program that does not exist.
    pub(crate) fn read(file: &Path, admin: Option<&String>) -> anyhow::Result<Plan> {
        let flags = Flags::default().with_config(Some(file.to_owned())).with("--admin", admin);
        let settings = Settings::load(&flags)?;
        broker::settings_of(&settings.broker)?.check().map_err(|error| Exit::Usage.because(error))?;
        let given = read_pools(file)?;
        if given.is_empty() {
            let hint = "write [pools.NAME] and below it program = [\"./worker\"]";
            return Err(Exit::Usage.because(anyhow!("{} has no pool: {hint}", file.display())));
        }
        let credentials = credentials::of_watchdog(&settings)?;
        let peers = settings.broker.peers()?;
        let pools = given.into_iter().map(|pool| PlannedPool::of(&flags, pool)).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Plan {
            file: file.to_owned(),
            broker_drain: settings.broker.drain.value,
            broker_has_key_file: settings.broker.has_key_file(),
            is_watchdog_rejected: peers.is_some_and(|peers| credentials::are_unknown(&credentials, &peers)),
            credentials,
            admin: settings.broker.admin,
            pools,
            log_format: None,
        })
    }

    /// Returns the plan as text.
    pub(crate) fn text(&self) -> String {
        let pools = self.pools.iter().map(|pool| {
            let arguments: String = pool.raw.program.iter().skip(1).map(|word| format!(" {word}")).collect();
            format!("\n  pool {}: {} processes of {}{arguments}", pool.name, pool.size, pool.program.display())
        });
        format!("{} is valid: a broker, then{}", self.file.display(), pools.collect::<String>())
    }

    /// Returns the arguments of the broker's command.
    pub(crate) fn broker_arguments(&self) -> Vec<OsString> {
        let mut all = self.global_arguments();
        all.push("broker".into());
        all
    }

    /// Returns the arguments before the name of each command.
    pub(crate) fn global_arguments(&self) -> Vec<OsString> {
        let format = self.log_format.map(|format| ["--log-format".into(), format.name().into()]);
        let file = ["--config".into(), self.file.clone().into()];
        file.into_iter().chain(format.into_iter().flatten()).collect()
    }

    /// Sets the format of the log of all processes.
    pub(crate) fn with_log_format(self, log_format: Option<Format>) -> Plan {
        Plan { log_format, ..self }
    }
}

impl PlannedPool {
    fn of(flags: &Flags, raw: RawPool) -> anyhow::Result<PlannedPool> {
        let settings = Settings::load_pool(flags, &raw)?.pool;
        let size = Sizing::of(&settings)?.size;
        refuse_own_endpoint(&settings.admin)?;
        settings.credentials.read()?;
        let name = raw.name.text.clone();
        let program = find_program(raw.program.first().map(String::as_ref).unwrap_or_default());
        let program = program.map_err(|error| {
            let place = raw.name.source.to_string();
            Exit::GaveUp.because(anyhow::Error::new(error).context(format!("{place}: the pool {name}")))
        })?;
        Ok(PlannedPool { name, drain: settings.drain.value, size, program, raw })
    }

    /// Returns the arguments of this pool's command, after the global ones; `more` are those of the admin endpoint.
    pub(crate) fn arguments(&self, global: Vec<OsString>, backend: &str, more: Vec<OsString>) -> Vec<OsString> {
        let own = self.raw.values.iter().filter(|(setting, _)| setting.flag != ADMIN_FLAG);
        let own = own.flat_map(|(setting, value)| [setting.flag.into(), value.text.clone().into()]);
        let mut all = global;
        all.push("pool".into());
        all.extend(["--name", &self.name, "--backend", backend].map(Into::into));
        all.extend(own);
        all.extend(more);
        all.push("--".into());
        all.extend(self.raw.program.iter().map(Into::into));
        all
    }
}

/// Rejects the admin endpoint of one pool, when the file sets it: the endpoint of `up` covers all pools, and several pools could not
/// share an address.
fn refuse_own_endpoint(admin: &Sourced<Option<String>>) -> anyhow::Result<()> {
    match (&admin.value, &admin.source) {
        (Some(address), Source::File(..)) => {
            let hint = "set admin in [broker]: that endpoint covers the broker and all pools";
            let place = &admin.source;
            Err(Exit::Usage
                .because(anyhow!("{place}: a pool of callboard up has no endpoint of its own ({address}); {hint}")))
        }
        _ => Ok(()),
    }
}

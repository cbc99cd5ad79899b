//! What a pool is made from.

use std::{ffi::OsString, io, path::PathBuf, time::Duration};

use callboard_core::{
    auth::AuthKey,
    wire::method::{NameError, check_identifier, check_service},
};

use super::{
    ask::Bounds,
    name::pool_name,
    process::{Recipe, Secret},
    program::{ProgramError, find_program},
    seats::Rules,
};

/// Seats that one pool may have. Each costs the pool three descriptors, and a process usually has 1,024.
pub const POOL_SIZE_MAX: u32 = 256;
/// How long the processes of a pool have to end where nobody says otherwise.
pub const DRAIN_DEFAULT: Duration = Duration::from_secs(30);

/// How long new processes have to be registered before the old ones are kept after all, where nobody says otherwise: a worker
/// that loads a lot before it serves has a minute.
pub const READY_DEFAULT: Duration = Duration::from_secs(60);
/// How long a new generation serves beside the old one, where nobody says otherwise: long enough that most methods are called.
pub const TRIAL_DEFAULT: Duration = Duration::from_secs(2);
/// How many times its first size anybody may ask of a pool whose operator said nothing: enough to be of use at a rush, and not
/// enough to swamp the machine that the first size was chosen for.
const GROWTH_MAX: u32 = 4;

/// How many processes may be asked for of a pool that begins with `size`, where nobody says otherwise.
pub fn size_max_default(size: u32) -> u32 {
    size.saturating_mul(GROWTH_MAX).min(POOL_SIZE_MAX)
}

/// What a pool is made from.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// Its name, an identifier. Must not be another pool's at the same broker. Default: [`pool_name`] of the program.
    pub name: String,
    /// How many processes it begins with, from 1 to [`POOL_SIZE_MAX`].
    pub size: u32,
    /// How few and how many processes may be asked for later. Default: 1 and four times the size.
    pub bounds: Option<Bounds>,
    /// The workers' program: a path, or a name to be found in PATH.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where the workers find the broker: the URL of its backend.
    pub backend: String,
    /// The key by which the workers prove themselves to the broker: they find it in `CALLBOARD_AUTHKEY`. Default: none, and they
    /// have what the pool itself has in its environment.
    pub authkey: Option<AuthKey>,
    /// The program that calls [`super::run_worker`], and the arguments that make it do so, to which the pool adds its own. On
    /// Linux `/proc/self/exe` names the running program itself, even after its file was replaced.
    pub shim: (PathBuf, Vec<OsString>),
    /// How long the processes have to end when the pool ends by itself (it gave up, or its handle was dropped). Too short: calls
    /// that run are lost. Too long: a stubborn worker delays the end. Default: [`DRAIN_DEFAULT`].
    pub drain: Duration,
    /// How long new processes have to be registered when old ones are exchanged for them. Too short: a slow start counts as a
    /// failure. Too long: a program that hangs is noticed late. Default: [`READY_DEFAULT`].
    pub ready: Duration,
    /// How long the new processes of a reload serve beside the old ones before these leave. Too short: a fault that shows after a
    /// while is not seen in time. Too long: twice the processes for that long. Default: [`TRIAL_DEFAULT`].
    pub trial: Duration,
}

impl PoolSettings {
    /// Settings for a pool of one process with everything else as its default.
    pub fn new(
        program: impl Into<OsString>,
        arguments: Vec<OsString>,
        backend: impl Into<String>,
        shim: (PathBuf, Vec<OsString>),
    ) -> PoolSettings {
        let program = program.into();
        let name = pool_name(&program, &arguments);
        PoolSettings {
            name,
            size: 1,
            bounds: None,
            program,
            arguments,
            backend: backend.into(),
            authkey: None,
            shim,
            drain: DRAIN_DEFAULT,
            ready: READY_DEFAULT,
            trial: TRIAL_DEFAULT,
        }
    }

    /// How few and how many processes may be asked for.
    pub fn bounds(&self) -> Bounds {
        self.bounds.unwrap_or(Bounds { min: 1, max: size_max_default(self.size) })
    }

    /// What the pool's machine goes by.
    pub(super) fn rules(&self) -> Rules {
        let (bounds, name) = (self.bounds(), self.name.clone());
        Rules { name, bounds, drain: self.drain, ready: self.ready, trial: self.trial }
    }

    /// Checks the settings and finds the program.
    pub(super) fn recipe(&self) -> Result<Recipe, PoolError> {
        if !(1..=POOL_SIZE_MAX).contains(&self.size) {
            return Err(PoolError::Size(self.size));
        }
        let bounds = self.bounds();
        if bounds.min == 0 || bounds.max > POOL_SIZE_MAX || !bounds.contain(self.size) {
            return Err(PoolError::Bounds { size: self.size, bounds });
        }
        check_identifier(&self.name)?;
        check_service(&service_name(&self.name))?;
        Ok(Recipe {
            pool: self.name.clone(),
            backend: self.backend.clone(),
            authkey: self.authkey.as_ref().map(|key| key.line().map(Secret).ok_or(PoolError::Authkey)).transpose()?,
            shim: self.shim.clone(),
            program: find_program(&self.program)?,
            arguments: self.arguments.clone(),
        })
    }
}

/// The service by which a pool of this name is asked and told at the broker.
pub fn service_name(pool: &str) -> String {
    format!("callboard.pool.{pool}")
}

/// Why a pool could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// A size that no pool has.
    #[error("a pool has 1 to {POOL_SIZE_MAX} processes, not {0}")]
    Size(u32),
    /// Bounds that no pool has, or that its size is not within.
    #[error(
        "a pool of {size} processes cannot be bounded by {} and {}: 1 <= min <= size <= max <= {POOL_SIZE_MAX}",
        bounds.min, bounds.max
    )]
    Bounds {
        /// The size to begin with.
        size: u32,
        /// What was meant to bound it.
        bounds: Bounds,
    },
    /// A name that no pool can have.
    #[error("a pool cannot have this name: {0}")]
    Name(#[from] NameError),
    /// A key that an environment variable cannot hold.
    #[error(
        "the pool's key is not one line of text, and so cannot be given to its workers: make one with `openssl rand -base64 32`"
    )]
    Authkey,
    /// The workers' program cannot be run.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The shim cannot be started.
    #[error("the pool cannot start its helper {shim:?}: {source}")]
    Shim {
        /// The program that was to call [`super::run_worker`].
        shim: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system has no thread, or no more descriptors, for the pool.
    #[error("the pool cannot start: {0}")]
    System(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> PoolSettings {
        PoolSettings::new("sh", vec!["worker.sh".into()], "tcp://127.0.0.1:5560", ("/bin/sh".into(), Vec::new()))
    }

    #[test]
    fn a_pool_is_named_by_default() {
        let recipe = settings().recipe().expect("fine settings");
        assert_eq!(recipe.pool, "worker");
    }

    #[test]
    fn a_key_that_no_variable_can_hold_is_told_before_anything_starts() {
        let with = |key: &[u8]| PoolSettings { authkey: AuthKey::new(key).ok(), ..settings() }.recipe();
        let recipe = with(b"0123456789abcdef").expect("a line of text");
        assert!(!format!("{recipe:?}").contains("0123"), "it is not shown");
        assert!(matches!(with(b"0123456789\nabcdef"), Err(PoolError::Authkey)));
    }

    #[test]
    fn what_cannot_be_a_pool_is_refused_before_anything_starts() {
        let size = |size| PoolSettings { size, ..settings() }.recipe();
        assert!(matches!(size(0), Err(PoolError::Size(0))));
        assert!(matches!(size(POOL_SIZE_MAX + 1), Err(PoolError::Size(_))));
        let bounded = |min, max| PoolSettings { size: 4, bounds: Some(Bounds { min, max }), ..settings() }.recipe();
        assert!(bounded(4, 4).is_ok());
        for (min, max) in [(0, 4), (5, 6), (1, 3), (1, POOL_SIZE_MAX + 1)] {
            assert!(matches!(bounded(min, max), Err(PoolError::Bounds { .. })), "{min} {max}");
        }
        let name = |name: &str| PoolSettings { name: name.into(), ..settings() }.recipe();
        assert!(matches!(name("a.b"), Err(PoolError::Name(NameError::BadPart(_)))));
        assert!(matches!(name(&"a".repeat(120)), Err(PoolError::Name(NameError::TooLong(_)))));
        let missing = PoolSettings { program: "no-such-program".into(), ..settings() }.recipe();
        assert!(matches!(missing, Err(PoolError::Program(ProgramError::NotInPath(_)))));
    }
}

//! The settings of a pool.

mod name;

use std::{ffi::OsString, io, path::PathBuf, time::Duration};

use callboard_core::{
    auth::AuthKey,
    wire::method::{NameError, check_identifier, check_service},
};

use callboard_transport::CurveKeys;

pub use self::name::{POOL_NAME_BYTES_MAX, pool_name};
use super::{
    process::{ProcessSpec, ProgramError, Secret, find_program},
    replicas::{Bounds, SupervisionSettings},
};

/// The maximum size of a pool. Each process costs the pool three file descriptors, and the usual limit is 1,024.
pub const POOL_SIZE_MAX: u32 = 256;
/// The default drain time: how long the processes of a pool have to exit.
pub const DRAIN_DEFAULT: Duration = Duration::from_secs(30);

/// The default startup timeout: how long the new processes of a rollout have to register. It allows for a worker that loads a lot of
/// data before it serves.
pub const STARTUP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// The default canary period: long enough that most methods are called.
pub const CANARY_PERIOD_DEFAULT: Duration = Duration::from_secs(2);
/// The default maximum size as a multiple of the initial size. It helps during a load peak, and does not overload a machine that the
/// initial size was chosen for.
const GROWTH_FACTOR_MAX: u32 = 4;

/// Returns the default maximum size of a pool with this initial size.
pub fn size_max_default(size: u32) -> u32 {
    size.saturating_mul(GROWTH_FACTOR_MAX).min(POOL_SIZE_MAX)
}

/// The settings of a pool.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// The name of the pool: an identifier, unique among the pools of a broker. Default: [`pool_name`] of the program.
    pub name: String,
    /// The initial number of processes, from 1 to [`POOL_SIZE_MAX`]. Default: 1.
    pub size: u32,
    /// The sizes that the running pool accepts. Default: from 1 to four times the initial size.
    pub bounds: Option<Bounds>,
    /// The workers' program: a path, or a name to look up in PATH.
    pub program: OsString,
    /// The arguments of the program.
    pub arguments: Vec<OsString>,
    /// The URL of the broker's backend.
    pub backend: String,
    /// The key with which the workers authenticate to the broker. The pool sets it as `CALLBOARD_AUTHKEY`. Default: none; the workers
    /// inherit the environment of the pool.
    pub authkey: Option<AuthKey>,
    /// The keys with which the workers encrypt their connections. The pool sets them as `CALLBOARD_SERVER_KEY` and
    /// `CALLBOARD_CURVE_SECRET`. Default: none; the workers inherit the environment of the pool.
    pub curve: Option<CurveKeys>,
    /// The program that calls [`super::run_worker`], and its leading arguments; the pool appends its own. On Linux, `/proc/self/exe`
    /// names the running program itself, even if its file was replaced.
    pub shim: (PathBuf, Vec<OsString>),
    /// The drain time: how long a process has to exit after SIGTERM, unless a shutdown sets another time. If it is too short, running
    /// calls are lost. If it is too long, a hanging worker delays the end. Default: [`DRAIN_DEFAULT`].
    pub drain: Duration,
    /// How long the new processes of a rollout have to register. If it is too short, a slow start counts as a failure. If it is too
    /// long, a hanging program is noticed late. Default: [`STARTUP_TIMEOUT_DEFAULT`].
    pub startup_timeout: Duration,
    /// How long the new processes of a reload serve beside the old ones. If it is too short, a late fault is not seen in time. If it is
    /// too long, the pool runs twice the processes for that time. Default: [`CANARY_PERIOD_DEFAULT`].
    pub canary_period: Duration,
}

impl PoolSettings {
    /// Creates the settings of a pool of one process, with all other settings at their defaults.
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
            curve: None,
            shim,
            drain: DRAIN_DEFAULT,
            startup_timeout: STARTUP_TIMEOUT_DEFAULT,
            canary_period: CANARY_PERIOD_DEFAULT,
        }
    }

    /// Returns the sizes that the pool accepts.
    pub fn bounds(&self) -> Bounds {
        self.bounds.unwrap_or(Bounds { min: 1, max: size_max_default(self.size) })
    }

    /// Returns the settings of the replica set.
    pub(super) fn supervision(&self) -> SupervisionSettings {
        let (bounds, name) = (self.bounds(), self.name.clone());
        let Self { drain, startup_timeout, canary_period, .. } = *self;
        SupervisionSettings { name, bounds, drain, startup_timeout, canary_period }
    }

    /// Checks the settings and looks up the program.
    pub(super) fn process_spec(&self) -> Result<ProcessSpec, PoolError> {
        if !(1..=POOL_SIZE_MAX).contains(&self.size) {
            return Err(PoolError::Size(self.size));
        }
        let bounds = self.bounds();
        if bounds.min == 0 || bounds.max > POOL_SIZE_MAX || !bounds.contain(self.size) {
            return Err(PoolError::Bounds { size: self.size, bounds });
        }
        check_identifier(&self.name)?;
        check_service(&service_name(&self.name))?;
        Ok(ProcessSpec {
            pool: self.name.clone(),
            backend: self.backend.clone(),
            authkey: self
                .authkey
                .as_ref()
                .map(|key| key.to_line().map(Secret).ok_or(PoolError::Authkey))
                .transpose()?,
            curve: self.curve.clone(),
            shim: self.shim.clone(),
            program: find_program(&self.program)?,
            arguments: self.arguments.clone(),
        })
    }
}

/// Returns the name of the service through which clients of the broker control a pool of this name.
pub fn service_name(pool: &str) -> String {
    format!("callboard.pool.{pool}")
}

/// Why a pool cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The size is not valid.
    #[error("size {0} is not valid: a pool has 1 to {POOL_SIZE_MAX} processes")]
    Size(u32),
    /// The bounds are not valid, or do not contain the initial size.
    #[error(
        "size {size} with bounds {} to {} is not valid: 1 <= min <= size <= max <= {POOL_SIZE_MAX} must hold",
        bounds.min, bounds.max
    )]
    Bounds {
        /// The initial size.
        size: u32,
        /// The bounds.
        bounds: Bounds,
    },
    /// The name is not valid.
    #[error("the name of the pool is not valid: {0}")]
    Name(#[from] NameError),
    /// The key cannot be passed in an environment variable.
    #[error(
        "the pool's key is not one line of text and cannot be passed to its workers: create one with `openssl rand -base64 32`"
    )]
    Authkey,
    /// The workers' program cannot be executed.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The shim cannot be started.
    #[error("cannot start the pool's shim {shim:?}: {source}")]
    Shim {
        /// The program that calls [`super::run_worker`].
        shim: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The system has no thread or no file descriptor for the pool.
    #[error("cannot start the pool: {0}")]
    System(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> PoolSettings {
        PoolSettings::new("sh", vec!["worker.sh".into()], "tcp://127.0.0.1:5560", ("/bin/sh".into(), Vec::new()))
    }

    #[test]
    fn a_pool_has_a_default_name() {
        let spec = settings().process_spec().expect("valid settings");
        assert_eq!(spec.pool, "worker");
    }

    #[test]
    fn a_key_that_no_variable_can_hold_is_an_error_before_the_start() {
        let with = |key: &[u8]| PoolSettings { authkey: AuthKey::new(key).ok(), ..settings() }.process_spec();
        let spec = with(b"0123456789abcdef").expect("a line of text");
        assert!(!format!("{spec:?}").contains("0123"), "debug output does not contain the key");
        assert!(matches!(with(b"0123456789\nabcdef"), Err(PoolError::Authkey)));
    }

    #[test]
    fn invalid_settings_are_errors_before_the_start() {
        let size = |size| PoolSettings { size, ..settings() }.process_spec();
        assert!(matches!(size(0), Err(PoolError::Size(0))));
        assert!(matches!(size(POOL_SIZE_MAX + 1), Err(PoolError::Size(_))));
        let bounded =
            |min, max| PoolSettings { size: 4, bounds: Some(Bounds { min, max }), ..settings() }.process_spec();
        assert!(bounded(4, 4).is_ok());
        for (min, max) in [(0, 4), (5, 6), (1, 3), (1, POOL_SIZE_MAX + 1)] {
            assert!(matches!(bounded(min, max), Err(PoolError::Bounds { .. })), "{min} {max}");
        }
        let name = |name: &str| PoolSettings { name: name.into(), ..settings() }.process_spec();
        assert!(matches!(name("a.b"), Err(PoolError::Name(NameError::InvalidPart(_)))));
        assert!(matches!(name(&"a".repeat(120)), Err(PoolError::Name(NameError::TooLong(_)))));
        let missing = PoolSettings { program: "no-such-program".into(), ..settings() }.process_spec();
        assert!(matches!(missing, Err(PoolError::Program(ProgramError::NotInPath(_)))));
    }
}

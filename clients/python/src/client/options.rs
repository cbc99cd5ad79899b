//! The options of a call, from Python.

use std::time::Duration;

use callboard_clients::{Call, Effect, Priority};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::PyDict,
};

/// A limit of time: the client's default, none, or seconds.
#[derive(Clone, Copy, Default)]
pub(super) enum Timeout {
    #[default]
    Default,
    None,
    After(Duration),
}

impl<'py> FromPyObject<'_, 'py> for Timeout {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Timeout> {
        if value.is_none() {
            return Ok(Timeout::None);
        }
        if let Ok(span) = value.extract::<Duration>() {
            return Ok(Timeout::After(span));
        }
        let seconds: f64 = value.extract()?;
        let span = Duration::try_from_secs_f64(seconds);
        span.map(Timeout::After).map_err(|_| PyValueError::new_err(format!("invalid timeout: {seconds} seconds")))
    }
}

/// The options of a call.
#[derive(Default)]
pub(super) struct Options {
    timeout: Timeout,
    key: Option<String>,
    priority: Priority,
    effect: Option<Effect>,
    wait_for_ready: bool,
    conflate: bool,
}

impl Options {
    pub(super) fn apply<T>(self, call: Call<T>) -> Call<T> {
        let Options { timeout, key, priority, effect, wait_for_ready, conflate } = self;
        let call = match timeout {
            Timeout::Default => call,
            Timeout::None => call.no_timeout(),
            Timeout::After(span) => call.timeout(span),
        };
        let call = if priority == Priority::default() { call } else { call.priority(priority) };
        let call = key.into_iter().fold(call, Call::key);
        let call = effect.into_iter().fold(call, Call::effect);
        let call = if wait_for_ready { call.wait_for_ready() } else { call };
        if conflate { call.conflate() } else { call }
    }

    /// Takes the options out of `kwargs`; what is left are arguments by name.
    pub(super) fn take_from(kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Options> {
        let mut options = Options::default();
        let Some(kwargs) = kwargs else { return Ok(options) };
        for name in ["timeout", "key", "priority", "effect", "wait_for_ready", "conflate"] {
            if let Some(value) = kwargs.get_item(name)? {
                options.set(name, &value)?;
                kwargs.del_item(name)?;
            }
        }
        Ok(options)
    }

    /// Reads all options of a dictionary.
    ///
    /// # Errors
    /// `TypeError` for an unknown option.
    pub(super) fn from_dict(given: &Bound<'_, PyDict>) -> PyResult<Options> {
        let mut options = Options::default();
        for (name, value) in given {
            options.set(name.extract()?, &value)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match name {
            "timeout" => self.timeout = value.extract()?,
            "key" => self.key = value.extract()?,
            "priority" => self.priority = priority(value.extract()?)?,
            "effect" => self.effect = value.extract::<Option<&str>>()?.map(effect).transpose()?,
            "wait_for_ready" => self.wait_for_ready = value.extract()?,
            "conflate" => self.conflate = value.extract()?,
            _ => {
                let text =
                    format!("unknown option {name:?}: use timeout, key, priority, effect, wait_for_ready or conflate");
                return Err(PyTypeError::new_err(text));
            }
        }
        Ok(())
    }
}

fn priority(name: &str) -> PyResult<Priority> {
    match name {
        "low" => Ok(Priority::Low),
        "normal" => Ok(Priority::Normal),
        "high" => Ok(Priority::High),
        _ => Err(PyValueError::new_err(format!("invalid priority {name:?}: use \"low\", \"normal\" or \"high\""))),
    }
}

fn effect(name: &str) -> PyResult<Effect> {
    match name {
        "read" => Ok(Effect::Read),
        "idempotent" => Ok(Effect::Idempotent),
        "once" => Ok(Effect::Once),
        _ => Err(PyValueError::new_err(format!("invalid effect {name:?}: use \"read\", \"idempotent\" or \"once\""))),
    }
}

//! One process of `callboard up`, the broker or a pool: its start, its events, and its restart.

use std::{ffi::OsString, future, process::ExitStatus, time::Duration};

use rustix::process::Signal;
use tokio::time::{Instant, sleep_until, timeout};

use super::notify;
use crate::command::{logging, output, process::child::Child};

/// The backoff before the first restart. It is doubled each time, up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// The longest backoff. A pool that gives up has retried by itself for a while, and an operator that repairs its program should not
/// wait long.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The time after which a ready process counts as stable, so that its next restart has the first backoff.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// The time that a process has beyond its own drain time before it is killed. A pool stops its workers within that, too.
const BEYOND_DRAIN: Duration = Duration::from_secs(10);

/// One process: the broker or a pool.
pub(crate) struct Component {
    /// Its name in logs and status.
    pub(crate) name: String,
    /// The time that its running calls have to finish when it is asked to stop.
    drain: Duration,
    arguments: Vec<OsString>,
    state: State,
    /// The backoff before its next restart.
    backoff: Duration,
    /// Whether it has ever been ready.
    pub(crate) was_ready: bool,
}

enum State {
    /// Not started yet, or ended for good.
    Idle,
    /// Ended, to be restarted at that time.
    Backoff { until: Instant },
    /// Running, and ready since then.
    Running { child: Box<Child>, ready: Option<Instant> },
}

/// An event of a component.
pub(crate) enum ComponentEvent {
    /// It printed this ready line.
    Ready(String),
    /// It ended, in this way.
    Ended(String),
    /// Its backoff is over.
    RestartDue,
}

impl Component {
    /// Creates a component that is not started yet.
    pub(crate) fn new(name: String, drain: Duration, arguments: Vec<OsString>) -> Component {
        Component { name, drain, arguments, state: State::Idle, backoff: BACKOFF_MIN, was_ready: false }
    }

    /// Adds arguments for its next start.
    pub(crate) fn add_arguments(&mut self, arguments: impl IntoIterator<Item = OsString>) {
        self.arguments.extend(arguments);
    }

    /// Starts it.
    ///
    /// # Errors
    /// If the system cannot start a process.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let child = Child::start_inheriting(&self.arguments, &notify::VARIABLES)?;
        tracing::info!(target: logging::UP, component = self.name, pid = child.pid(), "started");
        self.state = State::Running { child: Box::new(child), ready: None };
        Ok(())
    }

    /// Returns whether the process neither runs nor waits for a restart.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Marks it as ended for good.
    pub(crate) fn set_idle(&mut self) {
        self.state = State::Idle;
    }

    /// Returns whether the process has printed its ready line.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.state, State::Running { ready: Some(_), .. })
    }

    /// Waits for its next event; for ever if it is idle.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub(crate) async fn next_event(&mut self) -> ComponentEvent {
        match &mut self.state {
            State::Idle => future::pending().await,
            State::Backoff { until } => {
                sleep_until(*until).await;
                ComponentEvent::RestartDue
            }
            State::Running { child, ready } => loop {
                match child.line_or_end().await {
                    Ok(Ok(line)) if ready.is_none() && line.starts_with("ready ") => {
                        *ready = Some(Instant::now());
                        self.was_ready = true;
                        return ComponentEvent::Ready(line);
                    }
                    // A failure to print cannot be reported either.
                    Ok(Ok(line)) => drop(output::print(&line)),
                    Ok(Err(status)) => return ComponentEvent::Ended(describe(status)),
                    Err(error) => return ComponentEvent::Ended(error.to_string()),
                }
            },
        }
    }

    /// Schedules a restart of a component that has ended. Returns the backoff.
    pub(crate) fn schedule_restart(&mut self) -> Duration {
        if let State::Running { ready: Some(since), .. } = &self.state
            && since.elapsed() >= STABLE_AFTER
        {
            self.backoff = BACKOFF_MIN;
        }
        let backoff = self.backoff;
        self.backoff = (backoff * 2).min(BACKOFF_MAX);
        self.state = State::Backoff { until: Instant::now() + backoff };
        backoff
    }

    /// Sends it a signal, if it runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if let State::Running { child, .. } = &self.state {
            child.signal(signal);
        }
    }

    /// Waits until it has ended, after it was asked to; kills it if it takes too long.
    ///
    /// # Cancel safety
    /// Cancel safe, but its time starts again.
    pub(crate) async fn ended(&mut self) {
        if let State::Running { child, .. } = &mut self.state {
            let ended = async { while let Ok(Ok(_)) = child.line_or_end().await {} };
            if timeout(self.drain + BEYOND_DRAIN, ended).await.is_err() {
                tracing::error!(target: logging::UP, component = self.name, "did not end in time: killing it");
            }
        }
        // The drop kills it, if it still runs.
        self.state = State::Idle;
    }
}

fn describe(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}

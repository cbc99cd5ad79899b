//! One process of `callboard up`: the broker or a pool. Started, watched, started again when it ends.

use std::{ffi::OsString, future, process::ExitStatus, time::Duration};

use rustix::process::Signal;
use tokio::time::{Instant, sleep_until, timeout};

use super::notify;
use crate::command::{output, process::child::Child};

/// What a process that has ended waits before it is started again. Doubled each time, up to [`AGAIN_MAX`].
const AGAIN_MIN: Duration = Duration::from_secs(1);
/// A pool that gives up has tried for itself for a while; who repairs its program does not want to wait long.
const AGAIN_MAX: Duration = Duration::from_secs(30);
/// A process that has been ready for this long was well: its next end is the first.
const WELL_AFTER: Duration = Duration::from_secs(60);
/// What a process has beyond its own time to drain before it is killed: a pool stops its workers within that, too.
const BEYOND_DRAIN: Duration = Duration::from_secs(10);

/// One of them.
pub(crate) struct Part {
    /// What it is, for people.
    pub(crate) name: String,
    /// How long its calls may go on once it is asked to stop.
    drain: Duration,
    arguments: Vec<OsString>,
    state: State,
    /// What it waits before it is started again.
    again: Duration,
    /// Whether it has ever been ready.
    pub(crate) was_ready: bool,
}

enum State {
    /// It was not started yet, or has ended for good.
    Idle,
    /// It has ended, and is started again at that time.
    Waiting { until: Instant },
    /// It runs; ready since then.
    Running { child: Box<Child>, ready: Option<Instant> },
}

/// What happened to one of them.
pub(crate) enum Happened {
    /// It says that it is ready, in this line.
    Ready(String),
    /// It has ended, and how.
    Ended(String),
    /// It is time to start it again.
    Due,
}

impl Part {
    /// One that is yet to be started.
    pub(crate) fn new(name: String, drain: Duration, arguments: Vec<OsString>) -> Part {
        Part { name, drain, arguments, state: State::Idle, again: AGAIN_MIN, was_ready: false }
    }

    /// Adds arguments for its next start.
    pub(crate) fn add(&mut self, arguments: impl IntoIterator<Item = OsString>) {
        self.arguments.extend(arguments);
    }

    /// Starts it.
    ///
    /// # Errors
    /// The system has no process for it.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let child = Child::start_inheriting(&self.arguments, &notify::VARIABLES)?;
        tracing::info!(part = self.name, pid = child.pid(), "started");
        self.state = State::Running { child: Box::new(child), ready: None };
        Ok(())
    }

    /// Whether it neither runs nor is to be started again.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// It has ended, and is not started again.
    pub(crate) fn forget(&mut self) {
        self.state = State::Idle;
    }

    /// Whether it serves, as far as it said so itself.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.state, State::Running { ready: Some(_), .. })
    }

    /// Waits for what happens to it next; for ever if it is idle.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is lost.
    pub(crate) async fn happens(&mut self) -> Happened {
        match &mut self.state {
            State::Idle => future::pending().await,
            State::Waiting { until } => {
                sleep_until(*until).await;
                Happened::Due
            }
            State::Running { child, ready } => loop {
                match child.line_or_end().await {
                    Ok(Ok(line)) if ready.is_none() && line.starts_with("ready ") => {
                        *ready = Some(Instant::now());
                        self.was_ready = true;
                        return Happened::Ready(line);
                    }
                    // Nobody is left to tell if this fails.
                    Ok(Ok(line)) => drop(output::print(&line)),
                    Ok(Err(status)) => return Happened::Ended(said(status)),
                    Err(error) => return Happened::Ended(error.to_string()),
                }
            },
        }
    }

    /// It has ended, and is to be started again. Returns after which time.
    pub(crate) fn again(&mut self) -> Duration {
        if let State::Running { ready: Some(since), .. } = &self.state
            && since.elapsed() >= WELL_AFTER
        {
            self.again = AGAIN_MIN;
        }
        let after = self.again;
        self.again = (after * 2).min(AGAIN_MAX);
        self.state = State::Waiting { until: Instant::now() + after };
        after
    }

    /// Signals it, if it runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if let State::Running { child, .. } = &self.state {
            child.signal(signal);
        }
    }

    /// Waits until it is gone, after it was asked to end; kills it if it takes longer than it may.
    ///
    /// # Cancel safety
    /// Cancel safe, but its time begins anew.
    pub(crate) async fn gone(&mut self) {
        if let State::Running { child, .. } = &mut self.state {
            let ended = async { while let Ok(Ok(_)) = child.line_or_end().await {} };
            if timeout(self.drain + BEYOND_DRAIN, ended).await.is_err() {
                tracing::error!(part = self.name, "did not end when it was asked to, and is killed");
            }
        }
        // Dropped: killed, if it still runs.
        self.state = State::Idle;
    }
}

fn said(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}

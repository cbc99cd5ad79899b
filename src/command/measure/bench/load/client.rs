//! One client of the bench.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use callboard::{Client, authkeys_from_environment, curve_keys_from_environment};
use futures::future::join_all;

use super::{
    super::parameters::{Parameters, Style},
    backlog::Backlog,
    caller::Caller,
    casts,
    schedule::Schedule,
    tally::{Measured, Tally},
};

/// A client with its load.
pub(crate) struct LoadClient {
    client: Client,
    parameters: Parameters,
    number: u32,
    /// The id of its casts.
    id: u64,
    casts_sent: u64,
    backlog: Option<Backlog>,
}

impl LoadClient {
    /// Connects, with the keys of the environment.
    ///
    /// # Errors
    /// If the broker does not accept it.
    pub(crate) async fn connect(frontend: &str, number: u32, parameters: Parameters) -> anyhow::Result<LoadClient> {
        let mut builder = Client::builder(frontend).name(format!("bench{number}"));
        if let Some(keys) = authkeys_from_environment()? {
            builder = builder.authkey(keys.first().clone());
        }
        if let Some(keys) = curve_keys_from_environment()? {
            builder = builder.curve(keys);
        }
        if parameters.inline {
            builder = builder.inline();
        }
        if parameters.fill.is_some() {
            let calls = parameters.share_of_fill(number) as usize + 1;
            builder = builder.queue_calls_max(calls).callbacks_max(calls);
        }
        let client = builder.connect().await?;
        Ok(LoadClient { client, parameters, number, id: rand::random::<u32>().into(), casts_sent: 0, backlog: None })
    }

    /// Warms up, so that connections and memory are those of a running system; or makes the calls that wait for the workers.
    ///
    /// # Errors
    /// If calls cannot be made.
    pub(crate) async fn prepare(&mut self) -> anyhow::Result<()> {
        if self.parameters.fill.is_some() {
            let calls = self.parameters.share_of_fill(self.number);
            self.backlog = Some(Backlog::fill(&self.client, &self.parameters, calls).await?);
            return Ok(());
        }
        self.call_for(Duration::from_millis(self.parameters.warm_up_ms)).await.map(drop)
    }

    /// Makes the calls that are measured.
    ///
    /// # Errors
    /// If calls cannot be made.
    pub(crate) async fn measure(&mut self) -> anyhow::Result<Measured> {
        match self.backlog.take() {
            Some(backlog) => backlog.drained().await,
            None => self.call_for(Duration::from_secs(self.parameters.seconds)).await,
        }
    }

    /// Closes the client, so that the broker does not wait for it.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        Ok(self.client.close().await?)
    }

    /// Makes calls for `span`, and waits until the last one has ended.
    async fn call_for(&mut self, span: Duration) -> anyhow::Result<Measured> {
        let tally = RefCell::new(Tally::new()?);
        let start = Instant::now();
        let end = start + span;
        let schedule =
            self.parameters.interval().map(|interval| Schedule::start(start + self.phase(interval), end, interval));
        let schedule = schedule.transpose()?;
        let callers = (0..self.parameters.window).map(|caller| self.caller(caller));
        let callers = callers.collect::<anyhow::Result<Vec<_>>>()?;
        join_all(callers.into_iter().map(|caller| async {
            match &schedule {
                Some(schedule) => open_loop(caller, schedule, &tally).await,
                None => closed_loop(caller, end, &tally).await,
            }
        }))
        .await;
        let mut tally = tally.into_inner();
        self.finish_casts(&mut tally).await?;
        Ok(tally.measured(start.elapsed()))
    }

    fn caller(&self, caller: u32) -> anyhow::Result<Caller<'_>> {
        let id = if self.parameters.style == Style::Cast { self.id } else { u64::from(caller) << 40 };
        Caller::new(&self.client, &self.parameters, id)
    }

    /// Returns the client's place in the interval: calls of several clients are not made at the same times.
    fn phase(&self, interval: Duration) -> Duration {
        interval.mul_f64(f64::from(self.number) / f64::from(self.parameters.clients))
    }

    /// Waits until all casts have run. The casts of another worker's method cannot be counted.
    async fn finish_casts(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        if self.parameters.style != Style::Cast || self.parameters.method.is_some() {
            return Ok(());
        }
        self.casts_sent += tally.calls();
        let missing = casts::missing(&self.client, self.id, self.casts_sent).await?;
        if missing > 0 {
            self.casts_sent -= missing;
            tally.fail(missing, format!("{missing} casts did not run"));
        }
        Ok(())
    }
}

/// Makes one call after another. A latency counts from the end of the call before, so it has the caller's own time, too.
async fn closed_loop(mut caller: Caller<'_>, end: Instant, tally: &RefCell<Tally>) {
    let mut started = Instant::now();
    while started < end {
        let outcome = caller.call().await;
        let ended = Instant::now();
        tally.borrow_mut().count(started, ended, outcome);
        started = ended;
    }
}

/// Makes the calls of a schedule. A latency counts from the scheduled time, also if all callers were busy then.
async fn open_loop(mut caller: Caller<'_>, schedule: &Schedule, tally: &RefCell<Tally>) {
    while let Some(scheduled) = schedule.next().await {
        let outcome = caller.call().await;
        tally.borrow_mut().count(scheduled, Instant::now(), outcome);
    }
}

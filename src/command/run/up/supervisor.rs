//! The processes of `callboard up`: started in order, kept running, stopped in order.

use anyhow::anyhow;
use futures::future::select_all;
use rustix::process::Signal;
use tokio::task::JoinHandle;

use super::{
    component::{Happened, Part},
    notify::Notify,
    plan::Plan,
    watchdog::beat,
};
use crate::command::{
    output::{self, exit::Exit},
    process::{
        child::addresses,
        signals::{Hangups, StopSignals},
    },
};

/// Where the broker is among the parts: first.
const BROKER: usize = 0;

/// All that runs.
pub(crate) struct Tree {
    plan: Plan,
    /// The broker, and the pools in the file's order. Later ones are started when the one before is ready.
    parts: Vec<Part>,
    notify: Notify,
    /// What the broker said when it was ready first.
    addresses: Option<String>,
    /// Whether all parts have been ready.
    announced: bool,
    pulse: Option<JoinHandle<()>>,
}

impl Tree {
    /// Nothing runs yet.
    pub(crate) fn new(plan: Plan) -> Tree {
        let broker = Part::new("broker".to_owned(), plan.broker_drain, plan.broker_arguments());
        let notify = Notify::from_environment();
        Tree { plan, parts: vec![broker], notify, addresses: None, announced: false, pulse: None }
    }

    /// Starts everything, keeps it running, and stops it when it is asked to.
    ///
    /// # Errors
    /// A part ended before all were ready; those that ran have been stopped.
    pub(crate) async fn run(mut self) -> anyhow::Result<Exit> {
        let mut signals = StopSignals::catch()?;
        let hangups = Hangups::catch(self.plan.broker_has_key_file)?;
        let ended = self.live(&mut signals, hangups).await;
        self.stop(&mut signals).await;
        ended
    }

    /// Until somebody asks it to stop.
    async fn live(&mut self, signals: &mut StopSignals, mut hangups: Hangups) -> anyhow::Result<Exit> {
        self.parts[BROKER].start()?;
        loop {
            let happened = tokio::select! {
                // All are cancel safe, by their own words.
                (happened, at, _) = select_all(self.parts.iter_mut().map(|part| Box::pin(part.happens()))) => Some((at, happened)),
                exit = signals.next() => return Ok(exit),
                () = hangups.next() => None,
            };
            match happened {
                Some((at, Happened::Ready(line))) => self.ready(at, &line)?,
                Some((at, Happened::Ended(how))) => self.ended(at, &how)?,
                Some((at, Happened::Due)) => self.parts[at].start()?,
                None => self.parts[BROKER].signal(Signal::HUP),
            }
            self.tell_status();
        }
    }

    /// A part is ready, maybe again.
    fn ready(&mut self, at: usize, line: &str) -> anyhow::Result<()> {
        tracing::info!(part = self.parts[at].name, "ready");
        if at == BROKER && self.addresses.is_none() {
            self.broker_is_there(line)?;
        }
        match self.parts.iter_mut().find(|part| !part.was_ready) {
            // The next one; or one that was started already, and waits for its workers.
            Some(next) => {
                if next.is_idle() {
                    next.start()
                } else {
                    Ok(())
                }
            }
            None if !self.announced => self.announce(),
            None => Ok(()),
        }
    }

    /// The pools can be started. A broker that is started again listens where this one did, also on ports that the system chose.
    fn broker_is_there(&mut self, line: &str) -> anyhow::Result<()> {
        let (frontend, backend) = addresses(line)?;
        self.parts[BROKER].add(["--frontend", frontend, "--backend", backend].map(Into::into));
        let (file, pools) = (&self.plan.file, &self.plan.pools);
        let part = |pool: &super::plan::PlannedPool| {
            Part::new(format!("pool {}", pool.name), pool.drain, pool.arguments(file, backend))
        };
        self.parts.extend(pools.iter().map(part));
        self.addresses = Some(line.to_owned());
        if let Some(within) = self.notify.watchdog() {
            let beats = beat(self.notify.clone(), within, frontend.to_owned(), self.plan.authkey.clone());
            self.pulse = Some(tokio::spawn(beats));
        }
        Ok(())
    }

    fn announce(&mut self) -> anyhow::Result<()> {
        self.announced = true;
        self.notify.tell("READY=1");
        let pools: Vec<_> = self.plan.pools.iter().map(|pool| pool.name.as_str()).collect();
        output::print(&format!("{} pools={}", self.addresses.as_deref().unwrap_or_default(), pools.join(",")))
    }

    /// A part has ended by itself. Before all were ready that is a failed start; later it is started again, and the others serve on.
    fn ended(&mut self, at: usize, how: &str) -> anyhow::Result<()> {
        let part = &mut self.parts[at];
        if !self.announced {
            part.forget();
            return Err(Exit::GaveUp.because(anyhow!("the {} ended before everything was ready ({how})", part.name)));
        }
        let after = part.again();
        tracing::error!(part = part.name, "ended ({how}); it is started again in {after:?}, and the others go on");
        Ok(())
    }

    /// Tells systemd who is missing.
    fn tell_status(&self) {
        let missing: Vec<_> =
            self.parts.iter().filter(|part| !part.is_ready()).map(|part| part.name.as_str()).collect();
        self.notify.tell(&match missing.as_slice() {
            [] => "STATUS=all serve".to_owned(),
            _ => format!("STATUS=not ready: {}", missing.join(", ")),
        });
    }

    /// Stops the pools, the last one first, and then the broker: whoever calls another pool is listed below it and ends before it.
    async fn stop(&mut self, signals: &mut StopSignals) {
        self.notify.tell("STOPPING=1");
        for at in (0..self.parts.len()).rev() {
            self.parts[at].signal(Signal::TERM);
            loop {
                tokio::select! {
                    // Cancel safe, but for its time, which is bounded by the number of signals that somebody sends.
                    () = self.parts[at].gone() => break,
                    // Whoever asks a second time does not want to wait: none of them finishes its calls.
                    _ = signals.next() => self.parts.iter().for_each(|part| part.signal(Signal::TERM)),
                }
            }
        }
        if let Some(pulse) = &self.pulse {
            pulse.abort();
        }
    }
}

//! The supervisor of `callboard up`: starts the processes in order, keeps them running, and stops them in order.

use anyhow::anyhow;
use callboard::core::text::HumanDuration;
use futures::future::select_all;
use rustix::process::Signal;
use tokio::task::JoinHandle;

use super::{
    admin::UpAdmin,
    component::{Component, ComponentEvent},
    notify::Notify,
    plan::Plan,
    watchdog,
};
use crate::command::{
    admin::snapshot::Phase,
    logging,
    output::{self, exit::Exit},
    process::{
        child::addresses,
        signals::{Hangups, StopSignals},
    },
};

/// The index of the broker among the components.
const BROKER: usize = 0;

/// The supervisor of the broker and the pools.
pub(crate) struct Supervisor {
    plan: Plan,
    /// The broker, then the pools in the order of the file. Each is started when the one before it is ready.
    components: Vec<Component>,
    notify: Notify,
    admin: UpAdmin,
    /// The first ready line of the broker.
    ready_line: Option<String>,
    /// Whether all components have been ready.
    announced: bool,
    watchdog: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Creates a supervisor that has started no process yet, and starts the admin endpoint.
    ///
    /// # Errors
    /// If the address of the endpoint cannot be listened on.
    pub(crate) fn new(plan: Plan) -> anyhow::Result<Supervisor> {
        let admin = UpAdmin::start(&plan)?;
        let mut broker = Component::new("broker".to_owned(), plan.broker_drain, plan.broker_arguments());
        broker.add_arguments(admin.arguments(BROKER));
        let (notify, components) = (Notify::from_environment(), vec![broker]);
        Ok(Supervisor { plan, components, notify, admin, ready_line: None, announced: false, watchdog: None })
    }

    /// Starts everything, keeps it running, and stops it when it is asked to.
    ///
    /// # Errors
    /// If a component ended before all were ready. Those that ran have been stopped.
    pub(crate) async fn run(mut self) -> anyhow::Result<Exit> {
        let mut signals = StopSignals::catch()?;
        let hangups = Hangups::catch(self.plan.broker_has_key_file)?;
        let ended = self.supervise(&mut signals, hangups).await;
        self.stop(&mut signals).await;
        ended
    }

    /// Handles events until a signal asks it to stop.
    async fn supervise(&mut self, signals: &mut StopSignals, mut hangups: Hangups) -> anyhow::Result<Exit> {
        self.components[BROKER].start()?;
        loop {
            let event = tokio::select! {
                // All are cancel safe: see their docs.
                (event, at, _) = select_all(self.components.iter_mut().map(|component| Box::pin(component.next_event()))) => Some((at, event)),
                exit = signals.next() => return Ok(exit),
                () = hangups.next() => None,
            };
            match event {
                Some((at, ComponentEvent::Ready(line))) => self.on_ready(at, &line)?,
                Some((at, ComponentEvent::Ended(how))) => self.on_ended(at, &how)?,
                Some((at, ComponentEvent::RestartDue)) => self.components[at].start()?,
                None => self.components[BROKER].signal(Signal::HUP),
            }
            self.notify_status();
        }
    }

    /// Starts the next component after one is ready, possibly after a restart.
    fn on_ready(&mut self, at: usize, line: &str) -> anyhow::Result<()> {
        tracing::info!(target: logging::UP, component = self.components[at].name, "ready");
        if at == BROKER && self.ready_line.is_none() {
            self.add_pools(line)?;
        }
        match self.components.iter_mut().find(|component| !component.was_ready) {
            // The next one, unless it was started already and waits for its workers.
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

    /// Adds the pools, once the broker listens. A restarted broker listens on the same addresses, also on ports that the system chose.
    fn add_pools(&mut self, line: &str) -> anyhow::Result<()> {
        let (frontend, backend) = addresses(line)?;
        self.components[BROKER].add_arguments(["--frontend", frontend, "--backend", backend].map(Into::into));
        let pools = &self.plan.pools;
        let component = |(at, pool): (usize, &super::plan::PlannedPool)| {
            let arguments = pool.arguments(self.plan.global_arguments(), backend, self.admin.arguments(at + 1));
            Component::new(format!("pool {}", pool.name), pool.drain, arguments)
        };
        self.components.extend(pools.iter().enumerate().map(component));
        self.ready_line = Some(line.to_owned());
        if let Some(timeout) = self.notify.watchdog() {
            let watchdog =
                watchdog::run(self.notify.clone(), timeout, frontend.to_owned(), self.plan.credentials.clone());
            self.watchdog = Some(tokio::spawn(watchdog));
        }
        Ok(())
    }

    fn announce(&mut self) -> anyhow::Result<()> {
        self.announced = true;
        self.admin.set_phase(Phase::Running);
        self.notify.send("READY=1");
        let pools: Vec<_> = self.plan.pools.iter().map(|pool| pool.name.as_str()).collect();
        output::print(&format!("{} pools={}", self.ready_line.as_deref().unwrap_or_default(), pools.join(",")))
    }

    /// Handles the end of a component. Before all were ready, the start has failed; later, the component is restarted while the others
    /// continue.
    fn on_ended(&mut self, at: usize, how: &str) -> anyhow::Result<()> {
        let component = &mut self.components[at];
        if !self.announced {
            component.set_idle();
            return Err(
                Exit::GaveUp.because(anyhow!("the {} ended before everything was ready ({how})", component.name))
            );
        }
        let backoff = component.schedule_restart();
        tracing::error!(target: logging::UP, component = component.name, "ended ({how}): restarting it in {}", HumanDuration(backoff));
        Ok(())
    }

    /// Notifies systemd of the components that are not ready.
    fn notify_status(&self) {
        let missing: Vec<_> = self
            .components
            .iter()
            .filter(|component| !component.is_ready())
            .map(|component| component.name.as_str())
            .collect();
        self.notify.send(&match missing.as_slice() {
            [] => "STATUS=all ready".to_owned(),
            _ => format!("STATUS=not ready: {}", missing.join(", ")),
        });
    }

    /// Stops the pools, the last one first, then the broker. A pool that calls another one is listed below it, and so ends before it.
    async fn stop(&mut self, signals: &mut StopSignals) {
        self.notify.send("STOPPING=1");
        self.admin.set_phase(Phase::Stopping);
        for at in (0..self.components.len()).rev() {
            self.components[at].signal(Signal::TERM);
            loop {
                tokio::select! {
                    // Cancel safe, but for its timeout, which starts again at each signal.
                    () = self.components[at].ended() => break,
                    // A second signal means: do not wait for running calls. It is for all of them.
                    _ = signals.next() => self.components.iter().for_each(|component| component.signal(Signal::TERM)),
                }
            }
        }
        if let Some(watchdog) = &self.watchdog {
            watchdog.abort();
        }
    }
}

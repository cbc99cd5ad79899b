//! The signals that ask a worker to stop.

use std::{
    io, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use callboard_transport::RuntimeHandoff;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

/// The exit status after Ctrl-C, as a shell reports it.
const INTERRUPTED: i32 = 130;
/// The exit status after SIGTERM, as a shell reports it.
const TERMINATED: i32 = 143;

/// The handler of SIGTERM and Ctrl-C. It runs on a thread of its own, because the program's runtime can hang: a blocking handler that
/// does not return keeps it from shutting down.
#[derive(Debug)]
pub(super) struct Signals {
    first: oneshot::Receiver<()>,
    /// Set when the worker has stopped. Then any signal exits the process at once.
    stopped: Arc<AtomicBool>,
}

impl Signals {
    /// Installs the signal handlers.
    ///
    /// # Errors
    /// If the system cannot install them, or has no thread.
    pub(super) fn catch() -> io::Result<Signals> {
        let (sender, first) = oneshot::channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let runtime = RuntimeHandoff::new()?;
        let watch = {
            let _inside = runtime.handle().enter();
            watch(signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, sender, Arc::clone(&stopped))
        };
        thread::Builder::new()
            .name("callboard-signals".into())
            .spawn(move || runtime.into_runtime().block_on(watch))?;
        Ok(Signals { first, stopped })
    }

    /// Waits for the first signal.
    ///
    /// # Cancel safety
    /// Cancel safe until it has returned once.
    pub(super) async fn received(&mut self) {
        // The thread does not end before it has sent the first signal.
        let _ = (&mut self.first).await;
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// Reports the first signal. While the worker drains, another SIGTERM has no effect, and another Ctrl-C exits the process. After the
/// worker has stopped, both exit it.
async fn watch(mut terminate: Signal, mut interrupt: Signal, sender: oneshot::Sender<()>, stopped: Arc<AtomicBool>) {
    let mut sender = Some(sender);
    loop {
        let exit = tokio::select! {
            // Both are cancel safe: a signal that one arm missed is received in the next iteration.
            _ = terminate.recv() => TERMINATED,
            _ = interrupt.recv() => INTERRUPTED,
        };
        match sender.take() {
            _ if stopped.load(Ordering::Relaxed) => process::exit(exit),
            // Fails if the worker is just stopping.
            Some(sender) => drop(sender.send(())),
            None if exit == INTERRUPTED => process::exit(exit),
            None => {}
        }
    }
}

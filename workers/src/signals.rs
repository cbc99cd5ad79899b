//! How the system tells a worker to end.

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

/// How a process exits that Ctrl-C has ended, as a shell shows it.
const INTERRUPTED: i32 = 130;
/// How a process exits that SIGTERM has ended, as a shell shows it.
const TERMINATED: i32 = 143;

/// SIGTERM and Ctrl-C, caught from the moment this is made, on a thread of its own: a program whose runtime hangs (a blocking
/// handler that does not return keeps it from ending) must still be told.
#[derive(Debug)]
pub(crate) struct Signals {
    first: oneshot::Receiver<()>,
    /// Set when the worker has left: whatever comes then ends the process at once.
    over: Arc<AtomicBool>,
}

impl Signals {
    pub(crate) fn catch() -> io::Result<Signals> {
        let (tell, first) = oneshot::channel();
        let over = Arc::new(AtomicBool::new(false));
        let runtime = RuntimeHandoff::new()?;
        let watch = {
            let _inside = runtime.handle().enter();
            watch(signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, tell, Arc::clone(&over))
        };
        thread::Builder::new()
            .name("callboard-signals".into())
            .spawn(move || runtime.into_runtime().block_on(watch))?;
        Ok(Signals { first, over })
    }

    /// Waits for the first of them.
    pub(crate) async fn end(&mut self) {
        // The thread never ends before it has told.
        let _ = (&mut self.first).await;
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Tells of the first signal. While the worker drains, another SIGTERM changes nothing, and another Ctrl-C ends the process;
/// afterwards both do.
async fn watch(mut terminate: Signal, mut interrupt: Signal, tell: oneshot::Sender<()>, over: Arc<AtomicBool>) {
    let mut tell = Some(tell);
    loop {
        let exit = tokio::select! {
            // Both are cancel safe: a signal that one arm did not tell is told at the next turn.
            _ = terminate.recv() => TERMINATED,
            _ = interrupt.recv() => INTERRUPTED,
        };
        match tell.take() {
            _ if over.load(Ordering::Relaxed) => process::exit(exit),
            // An error is a worker that is just leaving.
            Some(tell) => drop(tell.send(())),
            None if exit == INTERRUPTED => process::exit(exit),
            None => {}
        }
    }
}

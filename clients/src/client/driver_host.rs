//! The runtime of a driver: that of an I/O thread, or that of the program.

use std::{io, sync::Arc, thread};

use callboard_transport::RuntimeHandoff;
use tokio::runtime::Handle;

use crate::{
    completion::notifier::CompletionNotifier,
    driver::{Driver, Placement},
    shared::channels::ThreadChannels,
};

/// The runtime of a driver that has not started.
pub(super) enum DriverHost {
    /// The runtime of a thread that has not started.
    IoThread(RuntimeHandoff),
    /// The program's runtime.
    Inline(Handle),
}

impl DriverHost {
    /// Creates the runtime of an I/O thread, or finds that of the program.
    ///
    /// # Errors
    /// If the system provides no event queue, or the program has no runtime here.
    pub(super) fn new(placement: Placement) -> io::Result<DriverHost> {
        match placement {
            Placement::IoThread => RuntimeHandoff::new().map(DriverHost::IoThread),
            Placement::Inline => Handle::try_current().map(DriverHost::Inline).map_err(io::Error::other),
        }
    }

    /// Returns the runtime.
    pub(super) fn runtime(&self) -> Handle {
        match self {
            DriverHost::IoThread(runtime) => runtime.handle().clone(),
            DriverHost::Inline(runtime) => runtime.clone(),
        }
    }

    /// Starts the notifier of a driver on another thread. An inline driver wakes callers itself.
    pub(super) fn notifier(&self, channels: &Arc<ThreadChannels>) -> Option<CompletionNotifier> {
        match self {
            DriverHost::IoThread(_) => CompletionNotifier::start(channels),
            DriverHost::Inline(_) => None,
        }
    }

    /// Starts the driver.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub(super) fn start(self, driver: Driver) -> io::Result<()> {
        match self {
            DriverHost::IoThread(runtime) => {
                let thread = thread::Builder::new().name("callboard-client".to_owned());
                thread.spawn(move || driver.run(runtime.into_runtime())).map(drop)
            }
            DriverHost::Inline(runtime) => {
                drop(driver.spawn(&runtime));
                Ok(())
            }
        }
    }
}

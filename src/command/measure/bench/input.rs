//! Lines of standard input, with which the bench leads its processes.

use std::{io, thread};

use anyhow::Context as _;
use tokio::sync::mpsc;

/// The lines, until the bench closes them or has ended.
///
/// A thread reads them. A task of the runtime could not: the runtime would wait for its last read at the end of the program.
pub(crate) struct Input(mpsc::Receiver<()>);

impl Input {
    /// Starts to read.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(crate) fn start() -> io::Result<Input> {
        let (sender, lines) = mpsc::channel(1);
        thread::Builder::new().name("input".to_owned()).spawn(move || {
            let mut lines = io::stdin().lines().map_while(Result::ok);
            // Fails if the program is ending.
            lines.try_for_each(|_| sender.blocking_send(()))
        })?;
        Ok(Input(lines))
    }

    /// Waits for the next line.
    ///
    /// # Errors
    /// If there are no more.
    ///
    /// # Cancel safety
    /// Cancel safe: no line is lost.
    pub(crate) async fn line(&mut self) -> anyhow::Result<()> {
        self.0.recv().await.context("the bench has ended")
    }
}

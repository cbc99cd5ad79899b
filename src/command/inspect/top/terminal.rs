//! The terminal: raw mode and the alternate screen, until it is dropped, and its keys.

use std::{
    env,
    io::{self, IsTerminal as _},
    thread,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use ratatui::{DefaultTerminal, Frame, crossterm::event};
use tokio::sync::mpsc;

use crate::command::output::exit::Exit;

/// The interval at which the thread that reads keys checks whether the screen is closed.
const CLOSED_CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// The events that may wait to be handled. More keys wait in the terminal.
const EVENTS_MAX: usize = 64;

/// Checks that the command runs on a terminal that can move its cursor.
///
/// # Errors
/// It does not.
pub(crate) fn check() -> anyhow::Result<()> {
    let is_dumb = env::var_os("TERM").is_some_and(|name| name == "dumb");
    if !is_dumb && io::stdout().is_terminal() && io::stdin().is_terminal() {
        return Ok(());
    }
    let what = if is_dumb { "a terminal with TERM=dumb cannot show top" } else { "top needs a terminal" };
    Err(Exit::Usage.because(anyhow!("{what}: run callboard status --watch instead")))
}

/// The terminal in raw mode, with the alternate screen. Its drop restores it. A panic restores it, too, before its message.
pub(crate) struct Terminal(DefaultTerminal);

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(crate) fn open() -> anyhow::Result<Terminal> {
        let terminal = ratatui::try_init().inspect_err(|_| restore());
        Ok(Terminal(terminal.context("cannot control the terminal")?))
    }

    /// Draws the screen.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(crate) fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> anyhow::Result<()> {
        self.0.draw(render).map(drop).context("cannot write to the terminal")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    // A terminal that is gone needs no restoring.
    let _ = ratatui::try_restore();
}

/// Starts the thread that reads the events of the terminal. It ends when the receiver is dropped, or the terminal is gone.
///
/// # Errors
/// The system starts no thread.
pub(crate) fn events() -> io::Result<mpsc::Receiver<event::Event>> {
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    let read = move || {
        while !sender.is_closed() {
            let event = match event::poll(CLOSED_CHECK_INTERVAL) {
                Ok(true) => event::read(),
                Ok(false) => continue,
                Err(error) => Err(error),
            };
            let Ok(event) = event else { return };
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("terminal".to_owned()).spawn(read)?;
    Ok(receiver)
}

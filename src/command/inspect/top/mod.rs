//! `callboard top`: a live view of the broker, with keys to act.
//!
//! `model` is the state and what changes it, `view` draws it. Both are pure. `poller` queries the broker, `actions` changes it, and
//! `terminal` owns the terminal.

mod actions;
mod model;
mod poller;
mod terminal;
mod view;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use anstream::{AutoStream, ColorChoice};
use anyhow::Context as _;
use callboard::Client;
use clap::Args;
use ratatui::crossterm::event::{Event, KeyEventKind};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::interval,
};

use self::{
    model::{
        action::Action,
        keys::Effect,
        snapshot::{Query, Snapshot},
        state::State,
    },
    terminal::Terminal,
    view::Theme,
};
use crate::{
    command::{
        client::{self, flags::ConnectionFlags},
        output::{self, exit::Exit},
        process::signals::StopSignals,
    },
    settings::{ClientSettings, Flags, Settings},
};

/// The interval at which the age of the data is drawn again.
const DRAW_INTERVAL: Duration = Duration::from_secs(1);

/// Shown below `callboard top --help`, above the keys.
const AFTER_HELP: &str = "\
CALLS/s of workers are counted between two polls, and calls/s is their sum. Those of a service are an average of five seconds.
TREND has a sample of CALLS/s for each second, at most two minutes. TIMEOUT is the time that a call has left.

If the broker has keys, open calls, dead letters and all actions need a key with the role operator. NO_COLOR=1 switches colours
off. Without a terminal, use callboard status --watch.";

/// Show services, workers, pools, calls and dead letters live, with keys to act
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub(crate) struct Top {
    #[command(flatten)]
    connection: ConnectionFlags,
}

/// Returns what is shown below `callboard top --help`.
fn after_help() -> String {
    format!("{AFTER_HELP}\n\nKeys:\n{}", view::KEYS)
}

impl Top {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Shows the screen until the user quits.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let mut signals = StopSignals::catch().context("cannot catch signals")?;
        let settings = Arc::new(settings.client);
        terminal::check()?;
        // Cancel safe: a signal before the screen is open ends the command.
        let client = tokio::select! {
            client = client::connect(&settings) => client?,
            exit = signals.next() => return Ok(exit),
        };
        let has_colours = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        let terminal = Terminal::open()?;
        let mut app = App::open(terminal, &client, &settings, Theme::new(has_colours))?;
        let exit = app.run(&mut signals).await;
        drop(app);
        client::leave(&client).await;
        exit
    }
}

/// The screen with what feeds it.
struct App {
    terminal: Terminal,
    theme: Theme,
    state: State,
    events: mpsc::Receiver<Event>,
    query: watch::Sender<Query>,
    polled: mpsc::Receiver<Result<Box<Snapshot>, String>>,
    /// The poller, and the actions that have not ended. They end with the screen.
    tasks: JoinSet<Option<Result<String, String>>>,
    client: Client,
    settings: Arc<ClientSettings>,
}

/// What the screen reacts to.
enum Wake {
    Event(Option<Event>),
    Polled(Result<Box<Snapshot>, String>),
    Outcome(Result<String, String>),
    Signal(Exit),
    Tick,
}

impl App {
    fn open(terminal: Terminal, client: &Client, settings: &Arc<ClientSettings>, theme: Theme) -> anyhow::Result<App> {
        let state = State::new(&settings.frontend.value, Instant::now());
        let (query, queries) = watch::channel(state.query());
        let (sender, polled) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        let poller = poller::run(client.clone(), Arc::clone(settings), queries, sender);
        tasks.spawn(async move {
            poller.await;
            None
        });
        let events = terminal::events().context("cannot read keys")?;
        let (client, settings) = (client.clone(), Arc::clone(settings));
        Ok(App { terminal, theme, state, events, query, polled, tasks, client, settings })
    }

    async fn run(&mut self, signals: &mut StopSignals) -> anyhow::Result<Exit> {
        let mut ticks = interval(DRAW_INTERVAL);
        loop {
            let (state, theme) = (&self.state, self.theme);
            self.terminal.draw(|frame| view::draw(frame, state, theme, Instant::now()))?;
            // Every branch is cancel safe: channels, a timer, and signals lose nothing.
            let wake = tokio::select! {
                event = self.events.recv() => Wake::Event(event),
                Some(polled) = self.polled.recv() => Wake::Polled(polled),
                Some(Ok(Some(outcome))) = self.tasks.join_next() => Wake::Outcome(outcome),
                exit = signals.next() => Wake::Signal(exit),
                _ = ticks.tick() => Wake::Tick,
            };
            if let Some(exit) = self.on_wake(wake) {
                return Ok(exit);
            }
        }
    }

    /// Updates the state. Returns the exit code if the command ends.
    fn on_wake(&mut self, wake: Wake) -> Option<Exit> {
        match wake {
            Wake::Event(Some(Event::Key(key))) if key.kind != KeyEventKind::Release => match self.state.on_key(key) {
                Some(Effect::Quit) => return Some(Exit::Success),
                Some(Effect::Interrupt) => return Some(Exit::Interrupted),
                Some(Effect::Perform(action)) => self.perform(action),
                None => {}
            },
            Wake::Event(Some(_)) | Wake::Tick => {}
            // The terminal is gone.
            Wake::Event(None) => return Some(Exit::Success),
            Wake::Polled(Ok(snapshot)) => self.state.on_snapshot(*snapshot),
            Wake::Polled(Err(failure)) => self.state.on_failure(failure),
            Wake::Outcome(outcome) => self.state.on_outcome(outcome),
            Wake::Signal(exit) => return Some(exit),
        }
        let query = self.state.query();
        self.query.send_if_modified(|current| {
            let is_new = *current != query;
            *current = query;
            is_new
        });
        None
    }

    fn perform(&mut self, action: Action) {
        let (client, settings) = (self.client.clone(), Arc::clone(&self.settings));
        self.tasks.spawn(async move {
            let outcome = actions::perform(&client, &settings, &action).await;
            Some(outcome.map_err(|error| output::message(&error)))
        });
    }
}

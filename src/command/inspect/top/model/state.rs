//! The state of the screen: its list, the selected row, the mode of the keyboard, and the last snapshot.

use std::time::Instant;

use super::{
    action::Action,
    history::History,
    rows::{self, Row},
    snapshot::{Detail, Query, Snapshot},
    tab::{Scope, Tab},
};

/// The state of the screen.
#[derive(Debug)]
pub(crate) struct State {
    /// The address of the broker.
    pub(crate) address: String,
    pub(crate) tab: Tab,
    pub(crate) scope: Scope,
    pub(crate) filter: String,
    pub(crate) mode: Mode,
    pub(crate) is_paused: bool,
    /// The outcome of the last action.
    pub(crate) notice: Option<Notice>,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) history: History,
    /// Why the last poll failed, until one succeeds.
    pub(crate) failure: Option<String>,
    /// The time of the data on the screen; at first, the time at which the command started.
    pub(crate) answered: Instant,
    /// The lists to which Esc returns.
    pub(super) back: Vec<(Tab, Scope)>,
    lists: [ListState; Tab::ALL.len()],
}

/// What the keyboard controls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The list.
    List,
    /// The text of the filter.
    Filter,
    /// The new size of a pool.
    Size { pool: String, from: u32, typed: String },
    /// The answer to a confirmation.
    Confirm(Action),
    /// A call or dead letter in full. `scroll` is its first line on the screen.
    Detail { detail: Detail, scroll: usize },
    /// The page with the keys.
    Help,
}

/// A line about the outcome of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

/// The selected row and the order of one list.
#[derive(Clone, Debug)]
pub(crate) struct ListState {
    /// The key of the selected row, so that the selection stays at it when rows move.
    selected: Option<String>,
    /// The place of the selected row when it was drawn last: its successor is selected if it is gone.
    index: usize,
    /// The column by which rows are sorted.
    pub(crate) sort: usize,
    pub(crate) is_descending: bool,
}

impl State {
    /// Creates the state of a screen without data.
    pub(crate) fn new(address: &str, now: Instant) -> State {
        State {
            address: address.to_owned(),
            tab: Tab::Services,
            scope: Scope::All,
            filter: String::new(),
            mode: Mode::List,
            is_paused: false,
            notice: None,
            snapshot: None,
            history: History::default(),
            failure: None,
            answered: now,
            back: Vec::new(),
            lists: Tab::ALL.map(ListState::of),
        }
    }

    /// Returns what the next poll queries.
    pub(crate) fn query(&self) -> Query {
        let detail = match &self.mode {
            Mode::Detail { detail, .. } => Some(detail.clone()),
            _ => None,
        };
        Query { tab: self.tab, detail, is_paused: self.is_paused }
    }

    /// Takes the result of a poll. A result that arrives after the user has paused the refresh is dropped.
    pub(crate) fn on_snapshot(&mut self, mut snapshot: Snapshot) {
        self.failure = None;
        if self.is_paused {
            return;
        }
        self.answered = snapshot.taken;
        self.history.record(&snapshot);
        if let Some(earlier) = self.snapshot.take() {
            snapshot.inherit(earlier);
        }
        self.snapshot = Some(snapshot);
        self.keep_selection();
    }

    /// Takes the failure of a poll.
    pub(crate) fn on_failure(&mut self, failure: String) {
        self.failure = Some(failure);
    }

    /// Takes the outcome of an action.
    pub(crate) fn on_outcome(&mut self, outcome: Result<String, String>) {
        let is_error = outcome.is_err();
        self.notice = Some(Notice { text: outcome.unwrap_or_else(|error| error), is_error });
    }

    /// Returns the rows of the list, filtered and sorted; `Err` is the reason why the broker does not return them.
    pub(crate) fn rows(&self) -> Result<Vec<Row>, String> {
        let Some(snapshot) = &self.snapshot else { return Ok(Vec::new()) };
        let mut rows = rows::rows(self.tab, &self.scope, snapshot, &self.history)?;
        rows.retain(|row| rows::matches(row, &self.filter));
        let list = self.list();
        rows::sort(&mut rows, list.sort, list.is_descending);
        Ok(rows)
    }

    /// Returns the selection and the order of the list.
    pub(crate) fn list(&self) -> &ListState {
        &self.lists[self.tab.index()]
    }

    pub(super) fn list_mut(&mut self) -> &mut ListState {
        &mut self.lists[self.tab.index()]
    }

    /// Returns the place of the selected row.
    pub(crate) fn selected_index(&self, rows: &[Row]) -> usize {
        let list = self.list();
        let found = rows.iter().position(|row| list.selected.as_ref() == Some(&row.key));
        found.unwrap_or(list.index).min(rows.len().saturating_sub(1))
    }

    /// Returns the key of the selected row.
    pub(super) fn selected_key(&self) -> Option<String> {
        let rows = self.rows().ok()?;
        rows.get(self.selected_index(&rows)).map(|row| row.key.clone())
    }

    /// Selects the row that `place` chooses, given the place of the selected row and the number of rows.
    pub(super) fn select(&mut self, place: impl FnOnce(usize, usize) -> usize) {
        let rows = self.rows().unwrap_or_default();
        let index = place(self.selected_index(&rows), rows.len()).min(rows.len().saturating_sub(1));
        let list = self.list_mut();
        list.index = index;
        list.selected = rows.get(index).map(|row| row.key.clone());
    }

    /// Remembers the place of the selected row, and selects another one in its place if it is gone.
    pub(super) fn keep_selection(&mut self) {
        self.select(|index, _| index);
    }
}

impl ListState {
    fn of(tab: Tab) -> ListState {
        let (sort, is_descending) = match tab {
            // The oldest first.
            Tab::Calls => (3, true),
            // The newest first.
            Tab::DeadLetters => (0, true),
            _ => (0, false),
        };
        ListState { selected: None, index: 0, sort, is_descending }
    }
}

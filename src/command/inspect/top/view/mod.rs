//! The screen of `top`: draws the state of the model. It reads no clock.

mod layout;
mod sparkline;
#[cfg(test)]
mod tests;
mod theme;

use std::time::{Duration, Instant};

use callboard::core::{broker::Status as BrokerStatus, text::HumanDuration};
use ratatui::{Frame, buffer::Buffer, layout::Rect, style::Style};

use self::layout::{fitted, widths};
pub(crate) use self::theme::Theme;
use super::model::{
    history::{History, Series},
    rows::{self, Cell, Column, Kind, Row},
    snapshot::{Detail, Snapshot},
    state::{Mode, State},
    tab::{Scope, Tab},
};
use crate::command::output::{escape::printable, fit::clipped};

/// The age of the data from which the screen shows it: two polls have not been answered.
const SHOWN_AGE_MIN: Duration = Duration::from_secs(3);
/// The longest sparkline in the head of the screen.
const HEAD_SAMPLES_MAX: usize = 30;
/// The keys, as the help page and `callboard top --help` show them.
pub(crate) const KEYS: &str = "\
Move  1 to 6, Tab, Shift-Tab     another list
      Up, Down, k, j             another row
      g, G, Page Up, Page Down   the first row, the last row, or 15 rows on
      Enter, Esc                 open the row, go back
Show  s, i                       sort by the next column, invert the order
      /                          show the rows with a text; Esc shows all
      Space                      pause or continue the refresh
      ?                          this page
      q, Ctrl-C                  quit
Act   S, R                       scale or reload a pool
      P                          pause or resume a service, method or worker
      U                          cancel the waiting calls of a service
      D                          drain a worker
      X                          cancel a call
      r, d                       resend or drop a dead letter
Each action asks for a confirmation: y performs it, any other key does not.";

/// Draws the state as it is at `now`.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &State, theme: Theme, now: Instant) {
    let area = frame.area();
    Screen { buffer: frame.buffer_mut(), area, theme }.draw(state, now);
}

/// The screen while it is drawn.
struct Screen<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    theme: Theme,
}

impl Screen<'_> {
    fn draw(&mut self, state: &State, now: Instant) {
        self.head(state, now);
        self.tabs(state);
        match (&state.mode, &state.snapshot) {
            (Mode::Help, _) => self.text(KEYS, 0),
            (Mode::Detail { detail, scroll }, Some(snapshot)) => self.detail(detail, *scroll, snapshot),
            (_, None) => self.text("waiting for the broker", 0),
            _ => self.list(state),
        }
        self.notice(state);
        self.foot(state);
    }

    /// Draws a text from a place on, up to the right margin. Returns the column behind it.
    fn put(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        if x >= self.area.width || y >= self.area.height {
            return x;
        }
        self.buffer.set_stringn(x, y, text, usize::from(self.area.width - x), style).0
    }

    /// Draws a line from the left margin, and fills it to the right one.
    fn line(&mut self, y: u16, text: &str, style: Style) {
        let text = fitted(text, usize::from(self.area.width), Kind::Text);
        self.put(0, y, &text, style);
    }

    fn head(&mut self, state: &State, now: Instant) {
        let broker = state.snapshot.as_ref().map(|snapshot| &snapshot.status.broker);
        let up = broker
            .map(|broker| format!(" up {}, {} clients", span(broker.uptime_ms), broker.clients))
            .unwrap_or_default();
        self.line(0, &format!("callboard top  {}{up}", printable(&state.address)), self.theme.head());
        if let Some(age) = age_text(state, now) {
            self.right(0, &format!(" {age} "), self.theme.alert());
        }
        if let Some(broker) = broker {
            let width = usize::from(self.area.width);
            self.line(1, &numbers(broker, &state.history, width), Style::new());
        }
    }

    /// Draws a text at the right margin of a line.
    fn right(&mut self, y: u16, text: &str, style: Style) {
        let len = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
        self.put(self.area.width.saturating_sub(len), y, text, style);
    }

    fn tabs(&mut self, state: &State) {
        let mut x = 0;
        for (number, tab) in (1..).zip(Tab::ALL) {
            let is_shown = tab == state.tab;
            let text =
                if is_shown { format!("[{number} {}]", tab.name()) } else { format!(" {number} {} ", tab.name()) };
            let style = if is_shown { self.theme.selected_tab() } else { Style::new() };
            x = self.put(x, 2, &text, style);
        }
        if state.scope != Scope::All {
            self.put(x + 1, 2, &printable(&state.scope.label()), Style::new());
        }
    }

    /// The first line, and the number of lines, between the tabs and the notice.
    fn body(&self) -> (u16, usize) {
        (4, usize::from(self.area.height.saturating_sub(6)))
    }

    fn list(&mut self, state: &State) {
        let rows = match state.rows() {
            Ok(rows) => rows,
            Err(error) => return self.text(&printable(&error), 0),
        };
        let columns = rows::columns(state.tab);
        let list = state.list();
        let titles: Vec<_> = (0..)
            .zip(&columns)
            .map(|(at, column)| match (at == list.sort, list.is_descending) {
                (false, _) => column.title.to_owned(),
                (true, true) => format!("{}▼", column.title),
                (true, false) => format!("{}▲", column.title),
            })
            .collect();
        let widths = widths(&columns, &titles, &rows, usize::from(self.area.width));
        self.line(3, &join(&columns, &widths, titles.iter().cloned()), self.theme.titles());
        let (top, height) = self.body();
        let selected = state.selected_index(&rows);
        // The selected row is on the screen.
        let first = (selected + 1).saturating_sub(height);
        for (y, (at, row)) in (top..).zip(rows.iter().enumerate().skip(first).take(height)) {
            let style = self.theme.row(at == selected, row.is_alert);
            self.line(y, &row_text(&columns, &widths, row), style);
        }
        if rows.is_empty() {
            self.text(empty_text(state), 0);
        }
    }

    fn detail(&mut self, detail: &Detail, scroll: usize, snapshot: &Snapshot) {
        match &snapshot.detail {
            Some((of, Ok(text) | Err(text))) if of == detail => self.text(text, scroll),
            _ => self.text("waiting for the broker", 0),
        }
    }

    /// Draws a text below the tabs, wrapped at the right margin, from one of its lines on.
    fn text(&mut self, text: &str, scroll: usize) {
        let (top, height) = self.body();
        let width = usize::from(self.area.width);
        let lines: Vec<_> = text.lines().flat_map(|line| layout::wrapped(line, width)).collect();
        let first = scroll.min(lines.len().saturating_sub(height));
        for (y, line) in (top..).zip(lines.iter().skip(first).take(height)) {
            self.line(y, line, Style::new());
        }
    }

    fn notice(&mut self, state: &State) {
        let y = self.area.height.saturating_sub(2);
        let omitted = state.snapshot.as_ref().and_then(|snapshot| omitted(state.tab, snapshot));
        match (&state.notice, &state.failure) {
            (Some(notice), _) => self.line(y, &printable(&notice.text), self.theme.notice(notice.is_error)),
            (None, Some(failure)) => self.line(y, &printable(failure), self.theme.notice(true)),
            (None, None) => self.line(y, &omitted.unwrap_or_default(), Style::new()),
        }
    }

    fn foot(&mut self, state: &State) {
        let text = match &state.mode {
            Mode::Confirm(action) => {
                let width = usize::from(self.area.width).saturating_sub(" (y/n)?".len());
                format!("{} (y/n)?", clipped(&printable(&action.question()), width))
            }
            Mode::Filter => format!("rows with: {}_", printable(&state.filter)),
            Mode::Size { pool, from, typed } => {
                format!("new number of workers of pool {}, now {from}: {typed}_", printable(pool))
            }
            Mode::Detail { .. } => "Esc back  j k scroll  q quit".to_owned(),
            Mode::Help => "any key: back  q quit".to_owned(),
            Mode::List if !state.filter.is_empty() => {
                format!("rows with {}  Esc all rows  {}", printable(&state.filter), hints(state.tab))
            }
            Mode::List => hints(state.tab).to_owned(),
        };
        let style = match &state.mode {
            Mode::Confirm(_) => self.theme.alert(),
            _ => self.theme.head(),
        };
        self.line(self.area.height.saturating_sub(1), &text, style);
    }
}

/// Returns the numbers of the whole broker, and a sparkline of its calls per second in the rest of the width.
fn numbers(broker: &BrokerStatus, history: &History, width: usize) -> String {
    let rate = history.rate(&Series::Broker).map(|rate| format!("{rate:.1}"));
    let counters = &broker.counters;
    let numbers = format!(
        "open {}  calls/s {}  failed {}  dead-lettered {}  workers lost {}  ",
        broker.open,
        rate.unwrap_or_else(|| "-".to_owned()),
        counters.failed,
        counters.buried,
        counters.workers_lost,
    );
    let room = width.saturating_sub(numbers.len()).min(HEAD_SAMPLES_MAX);
    format!("{numbers}{}", sparkline::render(&history.samples(&Series::Broker), room))
}

/// Returns the age of the data, if it is not refreshed each second.
fn age_text(state: &State, now: Instant) -> Option<String> {
    let age = now.saturating_duration_since(state.answered);
    let seconds = HumanDuration(Duration::from_secs(age.as_secs()));
    match state.is_paused {
        true => Some(format!("refresh paused for {seconds}")),
        false => (age >= SHOWN_AGE_MIN).then(|| format!("no answer for {seconds}")),
    }
}

/// Returns the keys that are useful in a list.
fn hints(tab: Tab) -> &'static str {
    match tab {
        Tab::Services => "Enter methods  P pause  U purge  s sort  / filter  ? keys  q quit",
        Tab::Methods => "Enter calls  Esc back  P pause  s sort  / filter  ? keys  q quit",
        Tab::Workers => "Enter calls  Esc back  D drain  P pause  s sort  / filter  ? keys  q quit",
        Tab::Pools => "Enter workers  S scale  R reload  s sort  / filter  ? keys  q quit",
        Tab::Calls => "Enter why  Esc back  X cancel  s sort  / filter  ? keys  q quit",
        Tab::DeadLetters => "Enter show  r resend  d drop  s sort  / filter  ? keys  q quit",
    }
}

fn empty_text(state: &State) -> &'static str {
    match state.tab {
        _ if !state.filter.is_empty() => "no row contains the text of the filter",
        Tab::Services => "no services at this broker",
        Tab::Methods => "no methods",
        Tab::Workers => "no workers",
        Tab::Pools => "no pools",
        Tab::Calls => "no open calls",
        Tab::DeadLetters => "no dead letters",
    }
}

/// Returns how many rows the broker's answer leaves out.
fn omitted(tab: Tab, snapshot: &Snapshot) -> Option<String> {
    let omitted = snapshot.status.broker.omitted;
    let count = match tab {
        Tab::Services => omitted.services,
        Tab::Workers => omitted.workers,
        _ => 0,
    };
    (count > 0).then(|| format!("and {count} more"))
}

fn row_text(columns: &[Column], widths: &[usize], row: &Row) -> String {
    let cells = row.cells.iter().zip(widths).map(|(cell, &width)| match cell {
        Cell::Text(text) | Cell::Number(_, text) => text.clone(),
        Cell::Samples(samples) => sparkline::render(samples, width),
    });
    join(columns, widths, cells)
}

/// Joins the cells of a line at the widths of their columns.
fn join(columns: &[Column], widths: &[usize], cells: impl Iterator<Item = String>) -> String {
    let fitted =
        cells.zip(columns.iter().zip(widths)).map(|(cell, (column, &width))| fitted(&cell, width, column.kind));
    fitted.collect::<Vec<_>>().join(layout::GAP)
}

/// Formats milliseconds.
fn span(millis: u64) -> String {
    HumanDuration(Duration::from_millis(millis)).to_string()
}

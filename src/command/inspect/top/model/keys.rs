//! What each key does.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    action::{Action, Target},
    rows::{self, Kind},
    snapshot::Detail,
    state::{Mode, Notice, State},
    tab::{Scope, Tab},
};

/// The rows that Page Up and Page Down move by.
const PAGE_ROWS: usize = 15;
/// The longest filter, and the longest number.
const TYPED_CHARS_MAX: usize = 64;

/// What the program does after a key, besides drawing the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Ends with success.
    Quit,
    /// Ends as at Ctrl-C.
    Interrupt,
    /// Sends a request to the broker or a pool.
    Perform(Action),
}

impl State {
    /// Takes a key.
    pub(crate) fn on_key(&mut self, key: KeyEvent) -> Option<Effect> {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return (key.code == KeyCode::Char('c')).then_some(Effect::Interrupt);
        }
        match &self.mode {
            Mode::List => self.on_list_key(key.code),
            Mode::Filter => self.on_filter_key(key.code),
            Mode::Size { .. } => self.on_size_key(key.code),
            Mode::Confirm(_) => self.on_confirm_key(key.code),
            Mode::Detail { .. } => self.on_detail_key(key.code),
            Mode::Help => self.on_help_key(key.code),
        }
    }

    fn on_list_key(&mut self, code: KeyCode) -> Option<Effect> {
        self.notice = None;
        match code {
            KeyCode::Char('q') => return Some(Effect::Quit),
            KeyCode::Tab => self.switch(self.tab.after(1)),
            KeyCode::BackTab => self.switch(self.tab.after(Tab::ALL.len() - 1)),
            KeyCode::Char(digit @ '1'..='6') => self.switch(Tab::of_digit(digit)?),
            KeyCode::Down | KeyCode::Char('j') => self.select(|index, _| index + 1),
            KeyCode::Up | KeyCode::Char('k') => self.select(|index, _| index.saturating_sub(1)),
            KeyCode::PageDown => self.select(|index, _| index + PAGE_ROWS),
            KeyCode::PageUp => self.select(|index, _| index.saturating_sub(PAGE_ROWS)),
            KeyCode::Home | KeyCode::Char('g') => self.select(|_, _| 0),
            KeyCode::End | KeyCode::Char('G') => self.select(|_, len| len),
            KeyCode::Enter => self.drill_down(),
            KeyCode::Esc => self.go_back(),
            KeyCode::Char('s') => self.sort_by_next_column(),
            KeyCode::Char('i') => self.list_mut().is_descending ^= true,
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Char(' ') => self.is_paused ^= true,
            KeyCode::Char(letter) => self.ask(letter),
            _ => {}
        }
        None
    }

    fn switch(&mut self, tab: Tab) {
        (self.tab, self.scope) = (tab, Scope::All);
        self.filter.clear();
        self.back.clear();
        self.keep_selection();
    }

    fn drill_down(&mut self) {
        let Some(key) = self.selected_key() else { return };
        match self.tab {
            Tab::Services => self.enter(Tab::Methods, Scope::Service(key)),
            Tab::Methods => self.enter(Tab::Calls, Scope::Method(key)),
            Tab::Workers => self.enter(Tab::Calls, Scope::Worker(key)),
            Tab::Pools => self.enter(Tab::Workers, Scope::Pool(key)),
            Tab::Calls => self.mode = Mode::Detail { detail: Detail::Call(key), scroll: 0 },
            Tab::DeadLetters => {
                if let Ok(id) = key.parse() {
                    self.mode = Mode::Detail { detail: Detail::DeadLetter(id), scroll: 0 };
                }
            }
        }
    }

    fn enter(&mut self, tab: Tab, scope: Scope) {
        self.back.push((self.tab, std::mem::replace(&mut self.scope, scope)));
        self.tab = tab;
        self.filter.clear();
        self.keep_selection();
    }

    /// Removes the filter, else returns to the list before.
    fn go_back(&mut self) {
        if !self.filter.is_empty() {
            self.filter.clear();
        } else if let Some((tab, scope)) = self.back.pop() {
            (self.tab, self.scope) = (tab, scope);
        }
        self.keep_selection();
    }

    /// Sorts by the next column: numbers descending, texts ascending.
    fn sort_by_next_column(&mut self) {
        let columns = rows::columns(self.tab);
        let list = self.list_mut();
        list.sort = (list.sort + 1) % columns.len();
        list.is_descending = columns[list.sort].kind != Kind::Text;
    }

    fn on_filter_key(&mut self, code: KeyCode) -> Option<Effect> {
        match code {
            KeyCode::Enter => self.mode = Mode::List,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::List;
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) if self.filter.chars().count() < TYPED_CHARS_MAX => self.filter.push(letter),
            _ => {}
        }
        self.keep_selection();
        None
    }

    fn on_size_key(&mut self, code: KeyCode) -> Option<Effect> {
        let Mode::Size { pool, from, typed } = &mut self.mode else { return None };
        match code {
            KeyCode::Esc => self.mode = Mode::List,
            KeyCode::Backspace => drop(typed.pop()),
            KeyCode::Char(digit) if digit.is_ascii_digit() && typed.len() < TYPED_CHARS_MAX => typed.push(digit),
            KeyCode::Enter => {
                let action = typed.parse().map(|size| Action::Scale { pool: pool.clone(), from: *from, size });
                match action {
                    Ok(action) => self.mode = Mode::Confirm(action),
                    Err(_) => self.refuse("write a whole number of workers, such as 8"),
                }
            }
            _ => {}
        }
        None
    }

    /// A key other than `y` does not confirm.
    fn on_confirm_key(&mut self, code: KeyCode) -> Option<Effect> {
        let Mode::Confirm(action) = std::mem::replace(&mut self.mode, Mode::List) else { return None };
        (code == KeyCode::Char('y')).then_some(Effect::Perform(action))
    }

    fn on_detail_key(&mut self, code: KeyCode) -> Option<Effect> {
        let Mode::Detail { detail, scroll } = &mut self.mode else { return None };
        match code {
            KeyCode::Char('q') => return Some(Effect::Quit),
            KeyCode::Esc | KeyCode::Enter => self.mode = Mode::List,
            KeyCode::Down | KeyCode::Char('j') => *scroll += 1,
            KeyCode::Up | KeyCode::Char('k') => *scroll = scroll.saturating_sub(1),
            KeyCode::Char(' ') => self.is_paused ^= true,
            KeyCode::Char(letter) => {
                let is_call = matches!(detail, Detail::Call(_));
                if is_call && letter == 'X' || !is_call && matches!(letter, 'r' | 'd') {
                    self.mode = Mode::List;
                    self.ask(letter);
                }
            }
            _ => {}
        }
        None
    }

    fn on_help_key(&mut self, code: KeyCode) -> Option<Effect> {
        if code == KeyCode::Char('q') {
            return Some(Effect::Quit);
        }
        self.mode = Mode::List;
        None
    }

    /// Asks for the confirmation of the action that a letter stands for.
    fn ask(&mut self, letter: char) {
        let Some(key) = self.selected_key() else { return };
        let action = match letter {
            'S' => return self.ask_for_size(&key),
            'R' => self.pool_of(&key).map(|pool| Action::Reload { pool }).ok_or("R reloads a pool: press 4"),
            'P' => self.pause(&key).ok_or("P pauses a service, method or worker: press 1, 2 or 3"),
            'X' => self.cancel(&key).ok_or("X cancels a call: press 5"),
            'D' => self.drain(&key).ok_or("D drains a worker: press 3"),
            'U' => self.purge(&key).ok_or("U cancels the waiting calls of a service: press 1"),
            'r' => self
                .dead_letter(&key, |id, method| Action::Resend { id, method })
                .ok_or("r resends a dead letter: press 6"),
            'd' => {
                self.dead_letter(&key, |id, method| Action::Drop { id, method }).ok_or("d drops a dead letter: press 6")
            }
            _ => return,
        };
        match action {
            Ok(action) => self.mode = Mode::Confirm(action),
            Err(hint) => self.refuse(hint),
        }
    }

    fn refuse(&mut self, hint: &str) {
        self.notice = Some(Notice { text: hint.to_owned(), is_error: true });
    }

    fn ask_for_size(&mut self, key: &str) {
        let Some(pool) = self.pool_of(key) else { return self.refuse("S scales a pool: press 4") };
        let mut pools = self.snapshot.iter().flat_map(|snapshot| &snapshot.status.pools);
        match pools.find(|report| report.name == pool).map(|report| report.size) {
            Some(from) => self.mode = Mode::Size { pool, from, typed: String::new() },
            None => self.refuse("the pool does not answer"),
        }
    }

    /// Returns the pool of the selected row, which is a pool or a worker.
    fn pool_of(&self, key: &str) -> Option<String> {
        match self.tab {
            Tab::Pools => Some(key.to_owned()),
            Tab::Workers => self.snapshot.as_ref()?.pool_of_worker(key).map(|pool| pool.name.clone()),
            _ => None,
        }
    }

    fn pause(&self, key: &str) -> Option<Action> {
        let limits = &self.snapshot.as_ref()?.limits;
        let (target, is_paused) = match self.tab {
            Tab::Services | Tab::Methods => {
                let is_paused = limits.limits.iter().any(|limit| limit.target == key && limit.limit.paused);
                (Target::Calls(key.to_owned()), is_paused)
            }
            Tab::Workers => {
                let is_paused = limits.paused_workers.iter().any(|worker| worker == key);
                (Target::Worker(key.to_owned()), is_paused)
            }
            _ => return None,
        };
        Some(if is_paused { Action::Resume(target) } else { Action::Pause(target) })
    }

    fn cancel(&self, key: &str) -> Option<Action> {
        let calls = self.snapshot.as_ref()?.calls.as_ref()?.as_ref().ok()?;
        let call = calls.iter().find(|call| self.tab == Tab::Calls && call.call == key)?;
        Some(Action::Cancel { call: call.call.clone(), method: call.method.clone() })
    }

    fn drain(&self, key: &str) -> Option<Action> {
        (self.tab == Tab::Workers).then(|| Action::Drain { worker: key.to_owned() })
    }

    fn purge(&self, key: &str) -> Option<Action> {
        let services = &self.snapshot.as_ref()?.status.broker.services;
        // The broker counts the waiting calls of a service, not of each of its methods.
        let service = services.iter().find(|service| self.tab == Tab::Services && service.name == key)?;
        Some(Action::Purge { target: key.to_owned(), waiting: service.waiting })
    }

    fn dead_letter(&self, key: &str, action: impl FnOnce(u64, String) -> Action) -> Option<Action> {
        let letters = self.snapshot.as_ref()?.dead_letters.as_ref()?.as_ref().ok()?;
        let letter = letters.iter().find(|letter| self.tab == Tab::DeadLetters && letter.id.to_string() == key)?;
        Some(action(letter.id, letter.method.clone()))
    }
}

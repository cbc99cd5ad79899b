//! The lists of the screen.

/// One list of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tab {
    Services,
    Methods,
    Workers,
    Pools,
    Calls,
    DeadLetters,
}

/// The rows of a list that are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    /// Methods of a service.
    Service(String),
    /// Calls of a method, `SERVICE.METHOD`.
    Method(String),
    /// Calls that a worker runs.
    Worker(String),
    /// Workers of a pool.
    Pool(String),
}

impl Tab {
    /// All lists, in the order of their numbers on the keyboard.
    pub(crate) const ALL: [Tab; 6] =
        [Tab::Services, Tab::Methods, Tab::Workers, Tab::Pools, Tab::Calls, Tab::DeadLetters];

    /// Returns its name on the screen.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tab::Services => "services",
            Tab::Methods => "methods",
            Tab::Workers => "workers",
            Tab::Pools => "pools",
            Tab::Calls => "calls",
            Tab::DeadLetters => "dead letters",
        }
    }

    /// Returns its place in [`Tab::ALL`].
    pub(crate) fn index(self) -> usize {
        Tab::ALL.iter().position(|tab| *tab == self).unwrap_or(0)
    }

    /// Returns the list that is `steps` after this one; the first follows the last.
    pub(crate) fn after(self, steps: usize) -> Tab {
        Tab::ALL[(self.index() + steps) % Tab::ALL.len()]
    }

    /// Returns the list of a digit key.
    pub(crate) fn of_digit(digit: char) -> Option<Tab> {
        let number = usize::try_from(digit.to_digit(10)?).ok()?;
        Tab::ALL.get(number.checked_sub(1)?).copied()
    }
}

impl Scope {
    /// Returns the scope for the screen, such as `of jobs`; empty for all rows.
    pub(crate) fn label(&self) -> String {
        match self {
            Scope::All => String::new(),
            Scope::Service(name) | Scope::Method(name) | Scope::Pool(name) => format!("of {name}"),
            Scope::Worker(name) => format!("at {name}"),
        }
    }
}

//! One attack, and the process that makes it.

use std::{any::Any, thread};

use crate::{ATTACKS, wire::Wire};

/// The first word of an attacker's command line.
pub(crate) const WORD: &str = "attack";
/// What an attacker says when it has done its worst, and holds what it has.
pub(crate) const DONE: &str = "done";

/// What an attacker still holds when it has done its worst.
pub(crate) type Spoils = Box<dyn Any>;

/// An attack.
#[derive(Debug)]
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// Limits of the broker, where an attack at full size on its own ones would take more memory than a test may.
    flags: &'static [&'static str],
    /// Limits of the broker, so that a small attack reaches them.
    small_flags: &'static [&'static str],
    /// Reasons for which the broker must have closed connections.
    pub(crate) reasons: &'static [&'static str],
    run: fn(&Target) -> Spoils,
}

impl Attack {
    pub(crate) const fn new(name: &'static str, run: fn(&Target) -> Spoils) -> Attack {
        Attack { name, flags: &[], small_flags: &[], reasons: &[], run }
    }

    pub(crate) const fn flags(self, flags: &'static [&'static str]) -> Attack {
        Attack { flags, ..self }
    }

    pub(crate) const fn small_flags(self, small_flags: &'static [&'static str]) -> Attack {
        Attack { small_flags, ..self }
    }

    /// The flags of the broker that it goes against.
    pub(crate) fn flags_of(&self, size: Size) -> &'static [&'static str] {
        if size == Size::Small && !self.small_flags.is_empty() { self.small_flags } else { self.flags }
    }

    pub(crate) const fn ends_with(self, reasons: &'static [&'static str]) -> Attack {
        Attack { reasons, ..self }
    }
}

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// What `cargo test` can afford.
    Small,
    /// As it would be meant.
    Full,
}

/// Whom it goes against.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) frontend: String,
    pub(crate) backend: String,
    size: Size,
}

impl Target {
    /// A number that depends on the attack's size.
    pub(crate) fn many(&self, small: usize, full: usize) -> usize {
        match self.size {
            Size::Small => small,
            Size::Full => full,
        }
    }

    pub(crate) fn doors(&self) -> [(&str, &'static str); 2] {
        [(&self.frontend, "client"), (&self.backend, "worker")]
    }

    /// A client that was let in.
    pub(crate) fn client(&self) -> Wire {
        Wire::join(&self.frontend, "client")
    }
}

/// The attacker's process: attacks, says so, and holds what it has until it is killed.
pub(crate) fn run(name: &str, frontend: &str, backend: &str, size: &str) {
    // Each connection is a file here, too.
    callboard::broker::gate::raise_file_limit().unwrap();
    let attack = ATTACKS.iter().find(|attack| attack.name == name).unwrap();
    let size = if size == format!("{:?}", Size::Full) { Size::Full } else { Size::Small };
    let target = Target { frontend: frontend.to_owned(), backend: backend.to_owned(), size };
    let spoils = (attack.run)(&target);
    println!("{DONE}");
    loop {
        thread::park();
        // A park may end by itself.
        let _ = &spoils;
    }
}

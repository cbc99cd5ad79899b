//! One attack, and the process that makes it.

use std::{any::Any, thread, time::Duration};

use crate::{
    ATTACKS,
    mode::Mode,
    wire::{Endpoint, Wire},
};

/// The first word of an attacker's command line.
pub(crate) const WORD: &str = "attack";
/// The line that an attacker prints when its attack is complete. It keeps its resources until it is killed.
pub(crate) const DONE: &str = "done";

/// The resources, such as open connections, that an attacker keeps after its attack.
pub(crate) type Held = Box<dyn Any>;

/// An attack.
#[derive(Debug)]
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// Flags that lower the broker's limits, if an attack at full size on the default limits needs too much memory for a test.
    flags: &'static [&'static str],
    /// Flags that lower the broker's limits, so that a small attack reaches them.
    small_flags: &'static [&'static str],
    /// The close reasons that the broker must report.
    reasons: &'static [&'static str],
    /// The close reasons with CURVE, if they differ.
    curve_reasons: Option<&'static [&'static str]>,
    /// The modes in which the attack makes sense.
    modes: &'static [Mode],
    /// Whether the broker must stop reading from the attacker for a while.
    pub(crate) pauses: bool,
    /// A part of the log line for the attacker's connections.
    pub(crate) log: Option<&'static str>,
    run: fn(&Target) -> Held,
}

impl Attack {
    pub(crate) const fn new(name: &'static str, run: fn(&Target) -> Held) -> Attack {
        Attack {
            name,
            flags: &[],
            small_flags: &[],
            reasons: &[],
            curve_reasons: None,
            modes: &Mode::ALL,
            pauses: false,
            log: None,
            run,
        }
    }

    pub(crate) const fn flags(self, flags: &'static [&'static str]) -> Attack {
        Attack { flags, ..self }
    }

    pub(crate) const fn small_flags(self, small_flags: &'static [&'static str]) -> Attack {
        Attack { small_flags, ..self }
    }

    /// Returns the flags of the attacked broker.
    pub(crate) fn flags_of(&self, size: Size) -> &'static [&'static str] {
        if size == Size::Small && !self.small_flags.is_empty() { self.small_flags } else { self.flags }
    }

    pub(crate) const fn pauses(self) -> Attack {
        Attack { pauses: true, ..self }
    }

    pub(crate) const fn ends_with(self, reasons: &'static [&'static str]) -> Attack {
        Attack { reasons, ..self }
    }

    /// Sets a part of the log line that the broker must write.
    pub(crate) const fn logs(self, log: &'static str) -> Attack {
        Attack { log: Some(log), ..self }
    }

    /// Sets the close reasons with CURVE, which differ.
    pub(crate) const fn ends_with_curve(self, reasons: &'static [&'static str]) -> Attack {
        Attack { curve_reasons: Some(reasons), ..self }
    }

    /// Sets the modes in which the attack makes sense.
    pub(crate) const fn only(self, modes: &'static [Mode]) -> Attack {
        Attack { modes, ..self }
    }

    /// Returns whether the attack makes sense in this mode.
    pub(crate) fn runs_in(&self, mode: Mode) -> bool {
        self.modes.contains(&mode)
    }

    /// Returns the close reasons that the broker must report.
    pub(crate) fn reasons_in(&self, mode: Mode) -> &'static [&'static str] {
        self.curve_reasons.filter(|_| mode == Mode::Curve).unwrap_or(self.reasons)
    }
}

/// The size of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Fast enough for `cargo test`.
    Small,
    /// The size of a real attack.
    Full,
}

/// The attacked broker.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) frontend: Endpoint,
    pub(crate) backend: Endpoint,
    size: Size,
}

impl Target {
    /// Returns a number that depends on the attack's size.
    pub(crate) fn many(&self, small: usize, full: usize) -> usize {
        match self.size {
            Size::Small => small,
            Size::Full => full,
        }
    }

    /// Returns how long a flood lasts.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_millis(self.many(300, 5_000) as u64)
    }

    pub(crate) fn mode(&self) -> Mode {
        self.frontend.mode
    }

    pub(crate) fn endpoints(&self) -> [(&Endpoint, &'static str); 2] {
        [(&self.frontend, "client"), (&self.backend, "worker")]
    }

    /// Connects and authenticates a client.
    pub(crate) fn client(&self) -> Wire {
        Wire::join(&self.frontend, "client")
    }
}

/// The attacker's process: attacks, prints [`DONE`], and keeps its resources until it is killed.
pub(crate) fn run(name: &str, frontend: &str, backend: &str, size: &str, mode: &str) {
    // Each connection is an open file of this process, too.
    callboard::broker::gate::raise_file_limit().unwrap();
    let attack = ATTACKS.iter().find(|attack| attack.name == name).unwrap();
    let size = if size == format!("{:?}", Size::Full) { Size::Full } else { Size::Small };
    if size == Size::Full {
        // A real attacker has a machine of its own. Here it gets the CPU time that the broker and the legitimate peers leave. A small attack
        // is not measured, and must end in time beside other tests.
        rustix::process::nice(19).unwrap();
    }
    let mode = Mode::parse(mode).unwrap();
    let endpoint = |address: &str| Endpoint { address: address.to_owned(), mode };
    let target = Target { frontend: endpoint(frontend), backend: endpoint(backend), size };
    let held = (attack.run)(&target);
    println!("{DONE}");
    loop {
        thread::park();
        // A park may end spuriously.
        let _ = &held;
    }
}

//! The command line.

use std::fmt;

/// Seconds of the short form with all faults.
const SECONDS: u64 = 4;
/// Rounds of the short kill loop.
const ROUNDS: u64 = 15;

/// One run of the test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) faults: Faults,
    pub(crate) seed: u64,
    /// All connections are encrypted.
    pub(crate) curve: bool,
}

/// The faults that a run injects.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Faults {
    /// Kills, stops and restarts of any process, the pool included.
    All { seconds: u64 },
    /// kill -9 on a worker, the broker or a client.
    Kills { rounds: u64 },
}

/// Parses the command line. Without a flag for length or encryption, the runs are all short forms. The list is empty if the command
/// line selects other tests: `cargo test NAME` passes the name to each test program.
pub(crate) fn parse(words: Vec<String>) -> Vec<Run> {
    let (mut faults, mut seed, mut curve) = (Vec::new(), 1, false);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|text| text.parse().ok()).expect("the flag needs a number");
        match word.as_str() {
            "--seconds" => faults.push(Faults::All { seconds: number() }),
            "--kill-loop" => faults.push(Faults::Kills { rounds: number() }),
            "--seed" => seed = number(),
            "--curve" => curve = true,
            "--list" => return Vec::new(),
            // The flags of libtest, which have no effect here.
            flag if flag.starts_with('-') => {}
            name if "chaos".contains(name) => {}
            _ => return Vec::new(),
        }
    }
    let encryption: &[bool] = if faults.is_empty() && !curve { &[false, true] } else { &[curve] };
    if faults.is_empty() {
        faults = vec![Faults::All { seconds: SECONDS }, Faults::Kills { rounds: ROUNDS }];
    }
    let runs = encryption.iter().flat_map(|&curve| faults.iter().map(move |&faults| Run { faults, seed, curve }));
    runs.collect()
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults {
            Faults::All { seconds } => write!(f, "{seconds} s of all faults")?,
            Faults::Kills { rounds } => write!(f, "{rounds} rounds of the kill loop")?,
        }
        write!(f, ", seed {}, {}", self.seed, if self.curve { "encrypted" } else { "plain" })
    }
}

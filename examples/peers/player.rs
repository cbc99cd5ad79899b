//! The player: an application with its own loop. It makes calls whose replies arrive in the loop, and it serves calls.

mod api;
#[path = "../common/program.rs"]
mod program;

use std::{
    cell::Cell,
    env,
    error::Error,
    process::ExitCode,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use api::{Hint, Player, UmpireClient};
use callboard::{CallError, Worker, polled};
use tokio::runtime::Runtime;

/// How long running calls can continue at the end.
const LAST: Duration = Duration::from_secs(5);
/// The interval of the loop: 60 iterations a second.
const ROUND: Duration = Duration::from_millis(16);

/// The part of the state that served calls use.
#[derive(Clone, Default)]
struct Guesser {
    guesses: Arc<AtomicU32>,
    /// The number, once the umpire has reported it.
    found: Arc<AtomicU32>,
}

impl Player for Guesser {
    fn found(&self, number: u32) -> u32 {
        self.found.store(number, Ordering::Release);
        self.guesses.load(Ordering::Acquire)
    }
}

/// The loop's state: the range of possible numbers, and whether a reply is outstanding.
#[derive(Clone, Copy)]
struct Range {
    least: u32,
    most: u32,
    asked: bool,
}

fn main() -> ExitCode {
    let about = "Usage: peers-player\n\nGuesses the number of peers-umpire.\n\n\
                 Variables: CALLBOARD_BACKEND and CALLBOARD_FRONTEND are the addresses of the broker.";
    program::early_exit(about).unwrap_or_else(|| program::exit_code(play()))
}

fn play() -> Result<(), Box<dyn Error>> {
    let guesser = Guesser::default();
    let runtime = Runtime::new()?;
    let worker = runtime.block_on(async { Worker::new().serve(guesser.clone().into_service()).start() })?;

    let frontend = env::var("CALLBOARD_FRONTEND").unwrap_or_else(|_| "tcp://127.0.0.1:5559".to_owned());
    let client = polled::Client::new(frontend)?;
    let umpire = UmpireClient::from(&client);
    // A blocking call: it returns with the reply, or at the deadline.
    let most = umpire.most().wait_for_ready().wait()?;
    let range = Rc::new(Cell::new(Range { least: 1, most, asked: false }));
    let mut rounds = 0_u32;
    // The umpire's call can arrive before the reply to the last guess.
    while guesser.found.load(Ordering::Acquire) == 0 || client.pending() > 0 {
        if !range.get().asked {
            guess(&client, &umpire, &guesser, &range)?;
        }
        rounds += 1;
        client.poll();
        std::thread::sleep(ROUND);
    }
    println!("found {} in {rounds} rounds", guesser.found.load(Ordering::Acquire));
    client.close()?;
    runtime.block_on(worker.shutdown(LAST));
    Ok(())
}

/// Guesses the middle of the range without waiting; the reply arrives in a later iteration.
fn guess(
    client: &polled::Client,
    umpire: &UmpireClient,
    guesser: &Guesser,
    range: &Rc<Cell<Range>>,
) -> Result<(), CallError> {
    let now = Range { asked: true, ..range.get() };
    let number = now.least.midpoint(now.most);
    range.set(now);
    guesser.guesses.fetch_add(1, Ordering::AcqRel);
    let range = Rc::clone(range);
    client.on_complete(umpire.guess(number), move |hint| match hint {
        Ok(Hint::Higher) => range.set(Range { least: number + 1, asked: false, ..now }),
        Ok(Hint::Lower) => range.set(Range { most: number - 1, asked: false, ..now }),
        Ok(Hint::Right) => println!("{number} is right"),
        // An error arrives once, like a reply. Then the same guess is repeated.
        Err(error) => {
            println!("call failed: {error}");
            range.set(Range { asked: false, ..now });
        }
    })
}

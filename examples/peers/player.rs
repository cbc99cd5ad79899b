//! The other application: it guesses by calls whose answers come back to its loop, and is called itself.

mod api;

use std::{
    cell::Cell,
    env,
    error::Error,
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

/// What runs when it ends has this long.
const LAST: Duration = Duration::from_secs(5);
/// A round of the loop: 60 a second.
const ROUND: Duration = Duration::from_millis(16);

/// What callers see of it.
#[derive(Clone, Default)]
struct Guesser {
    guesses: Arc<AtomicU32>,
    /// The number, once the umpire has said it.
    found: Arc<AtomicU32>,
}

impl Player for Guesser {
    fn found(&self, number: u32) -> u32 {
        self.found.store(number, Ordering::Release);
        self.guesses.load(Ordering::Acquire)
    }
}

/// What the loop knows: the number is one of these; and whether an answer is awaited.
#[derive(Clone, Copy)]
struct Range {
    least: u32,
    most: u32,
    asked: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let guesser = Guesser::default();
    let runtime = Runtime::new()?;
    let worker = runtime.block_on(async { Worker::new().serve(guesser.clone().into_service()).start() })?;

    let frontend = env::var("CALLBOARD_FRONTEND").unwrap_or_else(|_| "tcp://127.0.0.1:5559".to_owned());
    let client = polled::Client::new(frontend)?;
    let umpire = UmpireClient::from(&client);
    // A call like a local one: it blocks until the answer is there, or its time is up.
    let most = umpire.most().wait_for_ready().wait()?;
    let range = Rc::new(Cell::new(Range { least: 1, most, asked: false }));
    let mut rounds = 0_u32;
    // The umpire's call may come before the answer to the last guess.
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

/// Asks for the middle of what is left, and goes on; the answer comes in a later round.
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
        // It is told once, as an answer would be; then the same guess is made again.
        Err(error) => {
            println!("no answer: {error}");
            range.set(Range { asked: false, ..now });
        }
    })
}

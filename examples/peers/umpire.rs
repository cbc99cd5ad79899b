//! The umpire: an application with its own loop, which serves calls and makes calls. It chooses a number, and congratulates the player
//! that finds it.
//!
//! ```text
//! callboard broker &
//! cargo run --example peers-umpire -- 37 &
//! cargo run --example peers-player
//! ```
//!
//! `CALLBOARD_BACKEND` and `CALLBOARD_FRONTEND` are the addresses of the broker.

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
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use api::{Hint, PlayerClient, Umpire};
use callboard::{CallError, Worker, polled};
use tokio::runtime::Runtime;

const MOST: u32 = 100;
/// How long running calls can continue at the end.
const LAST: Duration = Duration::from_secs(5);
/// The interval of the loop: 60 iterations a second.
const ROUND: Duration = Duration::from_millis(16);

/// The part of the state that served calls use. They run on the worker's threads while the loop continues.
#[derive(Clone)]
struct Secret {
    number: u32,
    found: Arc<AtomicBool>,
}

impl Umpire for Secret {
    fn most(&self) -> u32 {
        MOST
    }

    fn guess(&self, number: u32) -> Hint {
        match number {
            low if low < self.number => Hint::Higher,
            high if high > self.number => Hint::Lower,
            _ => {
                self.found.store(true, Ordering::Release);
                Hint::Right
            }
        }
    }
}

fn main() -> ExitCode {
    let about = "Usage: peers-umpire [NUMBER]\n\nChooses a number that peers-player guesses, 37 by default.\n\n\
                 Variables: CALLBOARD_BACKEND and CALLBOARD_FRONTEND are the addresses of the broker.";
    program::early_exit(about).unwrap_or_else(|| program::exit_code(play()))
}

fn play() -> Result<(), Box<dyn Error>> {
    let number = env::args().nth(1).map_or(Ok(37), |word| word.parse())?;
    let secret = Secret { number, found: Arc::default() };
    let runtime = Runtime::new()?;
    let worker = runtime.block_on(async { Worker::new().serve(secret.clone().into_service()).start() })?;

    let frontend = env::var("CALLBOARD_FRONTEND").unwrap_or_else(|_| "tcp://127.0.0.1:5559".to_owned());
    let client = polled::Client::new(frontend)?;
    let player = PlayerClient::from(&client);
    // `Rc` and `Cell` suffice, because callbacks run on this thread, where the program polls.
    let applauded = Rc::new(Cell::new(false));
    while !applauded.get() {
        if secret.found.swap(false, Ordering::AcqRel) {
            let applauded = Rc::clone(&applauded);
            client.on_complete(player.found(number), move |guesses: Result<u32, CallError>| {
                match guesses {
                    Ok(guesses) => println!("the player needed {guesses} guesses"),
                    Err(error) => println!("cannot congratulate the player: {error}"),
                }
                applauded.set(true);
            })?;
        }
        // A game would update and draw its scene here.
        client.poll();
        std::thread::sleep(ROUND);
    }
    client.close()?;
    runtime.block_on(worker.shutdown(LAST));
    Ok(())
}

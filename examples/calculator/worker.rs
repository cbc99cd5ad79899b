//! A calculator: a worker that serves functions under names.
//!
//! ```text
//! callboard broker &
//! cargo run --example calculator-worker &
//! callboard call calculator.add 2 3
//! ```

mod number;
#[path = "../common/program.rs"]
mod program;

use std::{fmt, process::ExitCode};

use callboard::{Code, Error, Service, Worker, WorkerError};
use number::Number;
use serde::Serialize;

/// An application error: the caller gets the type's name, the text below, and the fields.
#[derive(Debug, Serialize)]
struct DivisionByZero {
    dividend: Number,
}

impl fmt::Display for DivisionByZero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot divide {} by zero", self.dividend)
    }
}

fn add(x: Number, y: Number) -> Result<Number, Error> {
    x.add(y).ok_or_else(|| too_large(format!("{x} + {y}")))
}

fn sub(x: Number, y: Number) -> Result<Number, Error> {
    x.sub(y).ok_or_else(|| too_large(format!("{x} - {y}")))
}

fn div(x: Number, y: Number) -> Result<Number, DivisionByZero> {
    x.div(y).ok_or(DivisionByZero { dividend: x })
}

/// An error that consists only of a code and a message needs no type.
fn too_large(operation: String) -> Error {
    Error::new(Code::OutOfRange, format!("{operation} is beyond the integers of 64 bits"))
}

#[tokio::main]
async fn main() -> ExitCode {
    program::worker("Serves calculator.add, calculator.sub and calculator.div.", serve).await
}

async fn serve() -> Result<(), WorkerError> {
    let calculator = Service::new("calculator").read("add", ["x", "y"], add).read("sub", ["x", "y"], sub).read(
        "div",
        ["x", "y"],
        div,
    );
    Worker::new().serve(calculator).run().await
}

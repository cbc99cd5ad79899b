//! A client of the calculator. It needs no declaration of the service.
//!
//! ```text
//! cargo run --example calculator-client -- tcp://127.0.0.1:5559
//! ```

#[path = "../common/program.rs"]
mod program;

use std::{collections::BTreeMap, env, error::Error, process::ExitCode};

use callboard::{Client, named};

#[tokio::main]
async fn main() -> ExitCode {
    program::client("Usage: calculator-client [FRONTEND]\n\nMakes some calls of calculator. FRONTEND is tcp://127.0.0.1:5559 by default.", run).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let frontend = env::args().nth(1).unwrap_or_else(|| "tcp://127.0.0.1:5559".to_owned());
    let client = Client::connect(frontend).await?;

    let sum: i64 = client.call("calculator.add", (2, 3)).await?;
    println!("2 + 3 = {sum}");
    let sum: f64 = client.call("calculator.add", (2.5, 3)).await?;
    println!("2.5 + 3 = {sum}");
    let difference: i64 = client.call("calculator.sub", named([("y", 3), ("x", 2)])).await?;
    println!("2 - 3 = {difference}");

    // Arguments of a wrong type: the call fails, and the worker continues.
    if let Err(error) = client.call::<i64>("calculator.sub", ([1, 2], 4)).await {
        println!("[1, 2] - 4: {}: {}", error.type_name(), error.message());
    }
    // An application error: its type name, its text and its fields.
    if let Err(error) = client.call::<f64>("calculator.div", (1, 0)).await {
        let details: BTreeMap<String, i64> = error.details().transpose()?.unwrap_or_default();
        println!("1 / 0: {}: {} {details:?}", error.type_name(), error.message());
    }
    Ok(client.close().await?)
}

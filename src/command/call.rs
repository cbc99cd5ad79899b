//! `callboard call`: one call, its outcome printed.

use anyhow::anyhow;
use callboard::{
    CallError, Client, EncodedArguments, Priority,
    core::wire::{method::MethodName, status::Failure},
};
use ciborium::Value;
use clap::Args;

use super::{arguments, check, client, connection::Connection, described, exit::Exit, json, output};
use crate::settings::{ClientSettings, Flags, Settings};

/// Shown below `callboard call --help`.
const AFTER_HELP: &str = "\
An argument is NAME=VALUE or VALUE. A value that is JSON means that, anything else is a string: 2, true, '[1, 2]' and
'{\"a\": 1}' are JSON, hello and 007 are strings, '\"5\"' is the string 5, and '\"a=b\"' is the string a=b by position.
@FILE stands for the bytes of a file. Flags may follow the arguments; after -- nothing is a flag.

Where the service describes its types, arguments are checked before they are sent.

The result is printed on stdout as JSON, an error on stderr.

Examples:
  callboard call calculator.add 2 3
  callboard call calculator.sub x=2 y=-3 --timeout 5s
  callboard call mailer.send to=ann@example.org body=@letter.txt --cast";

/// Call a method and print its result
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Call {
    /// The method, as in calculator.add
    #[arg(value_name = "SERVICE.METHOD")]
    method: String,
    /// Its arguments: VALUE or NAME=VALUE
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    pub(super) arguments: Vec<String>,
    /// Send it and ask for no answer
    #[arg(long)]
    pub(super) cast: bool,
    /// Wait for the service, or the deadline, if nobody serves it now
    #[arg(long)]
    wait_for_ready: bool,
    /// How soon it is to have its turn beside other calls of the same key or address: low, normal or high
    #[arg(long, value_name = "PRIORITY", default_value = "normal", value_parser = priority)]
    priority: Priority,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Call {
    /// The settings that were typed as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Makes the call.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let arguments = arguments::arguments(&self.arguments).map_err(|error| Exit::Usage.because(error))?;
        let method = MethodName::parse(self.method.as_str()).map_err(|error| Exit::Usage.because(error))?;
        let client = client::connect(&settings.client).await?;
        check_arguments(&client, &method, &arguments, &settings.client).await?;
        if self.cast {
            let cast = client::timed(client.call(self.method, arguments), &settings.client);
            ready(cast.priority(self.priority), self.wait_for_ready).cast().await.map_err(client::failed)?;
            // Until the broker has it, the process must not end.
            client.close().await.map_err(|error| Exit::NoBroker.because(error))?;
            return Ok(Exit::Fine);
        }
        let call = client::timed(client.call::<Value>(self.method, arguments), &settings.client);
        let result = ready(call.priority(self.priority), self.wait_for_ready).await.map_err(client::failed)?;
        client::leave(&client).await;
        output::print(&json::compact(&result))?;
        Ok(Exit::Fine)
    }
}

/// What certainly does not fit is told without troubling a worker. What nobody described is sent as it is.
async fn check_arguments(
    client: &Client,
    method: &MethodName,
    arguments: &EncodedArguments,
    settings: &ClientSettings,
) -> anyhow::Result<()> {
    let service = described::description_if_any(client, method.service(), settings).await.map_err(client::failed)?;
    let Some(service) = service else { return Ok(()) };
    let Some(known) = service.method(method.method()) else { return Ok(()) };
    let Err(misfit) = check::check(arguments, known, &service) else { return Ok(()) };
    let error = client::failed(CallError::from(Box::new(Failure::from(misfit))));
    Err(Exit::Failed.because(anyhow!("{error}\n  method: {}.{known}", service.name)))
}

fn ready<T>(call: callboard::Call<T>, wait: bool) -> callboard::Call<T> {
    if wait { call.wait_for_ready() } else { call }
}

fn priority(text: &str) -> Result<Priority, String> {
    match text {
        "low" => Ok(Priority::Low),
        "normal" => Ok(Priority::Normal),
        "high" => Ok(Priority::High),
        _ => Err("a priority is low, normal or high".to_owned()),
    }
}

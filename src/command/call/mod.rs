//! `callboard call`: makes one call and prints its outcome.

mod answers;
pub(crate) mod arguments;
mod check;
mod hint;
mod items;
mod lines;
mod object;
mod printer;
mod result;

use std::{convert::Infallible, time::Duration};

use anyhow::bail;
use callboard::{
    CallError, Client, EncodedArguments, Priority, Progress,
    core::{
        contract::Style,
        wire::{method::MethodName, status::Failure},
    },
};
use ciborium::Value;
use clap::{Args, ValueEnum};
use tokio::time::timeout;

use self::items::{ItemText, Known};
use crate::{
    command::{
        client::{self, contracts, failure::CallFailure, flags::ConnectionFlags},
        line::without_space,
        output::{self, escape::printable, exit::Exit, json},
        process::signals,
    },
    settings::{ClientSettings, Flags, Settings},
};

/// The time that Ctrl-C waits until the broker has the cancellation of the call.
const CANCEL_MAX: Duration = Duration::from_millis(500);

/// Shown below `callboard call --help`.
const AFTER_HELP: &str = "\
An argument is NAME=VALUE or VALUE. A value is parsed as JSON; if it is not JSON, it is a string: 2, true, '[1, 2]' and
'{\"a\": 1}' are JSON, hello and 007 are strings, '\"5\"' is the string 5, and '\"a=b\"' is the positional string a=b.
A value that begins with {, [, \" or like a negative number (-5 or -.5) must be JSON: otherwise the command ends with exit
code 2 and names the place. @FILE is the content of a file, as bytes. Flags may follow the arguments; after -- nothing is a
flag.

If the service describes its types, arguments are checked before they are sent.

The result is printed on stdout as JSON, an error on stderr. Values that JSON cannot represent are converted as RFC 8949
section 6.1 describes: bytes to base64url text without padding (--raw writes the bytes themselves), NaN and infinities to
null, with a warning on stderr. With --json stdout has one JSON value, {\"result\": ...} or {\"error\": {...}}; a stream has a
line {\"item\": ...} for each item, and a broadcast {\"answers\": [...]}.

The items of a server stream are printed as they arrive, one JSON value per line. A client stream takes its items from
the lines of standard input, each of them JSON. A bidi stream is a filter in a pipe. The style of a method comes from its
service (`callboard describe`), or else from --style. The timeout applies to streams, too: --timeout none disables it.

Examples:
  callboard call calculator.add 2 3
  callboard call calculator.sub x=2 y=-3 --timeout 5s
  callboard call kvs.inc views --key views
  callboard call mailer.send to=ann@example.org body=@letter.txt --cast
  callboard call cache.reset --broadcast
  callboard call images.load cat --raw > cat.png
  callboard call numbers.count 1000 | head -3
  seq 1 100 | callboard call numbers.sum
  seq 1 100 | callboard call numbers.sums 0 | tail -1
  callboard call position.watch --conflate --timeout none
  callboard call numbers.walk 500 --progress";

/// Call a method and print its result
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Call {
    /// The method, such as calculator.add
    #[arg(value_name = "SERVICE.METHOD")]
    method: String,
    /// Its arguments: VALUE or NAME=VALUE
    #[arg(value_name = "ARG", value_parser = argument)]
    pub(super) arguments: Vec<String>,
    /// Send a one-way call, without a reply
    #[arg(long)]
    pub(super) cast: bool,
    /// Print the progress of the handler on stderr
    #[arg(long, conflicts_with_all = ["cast", "conflate"])]
    progress: bool,
    /// Keep only the newest item if items arrive faster than they are printed
    #[arg(long, alias = "latest", conflicts_with = "cast")]
    conflate: bool,
    /// Style of the method, if the service does not describe it
    #[arg(long, value_name = "STYLE", conflicts_with = "cast")]
    style: Option<StyleName>,
    /// Send the call to every worker of the service, and print a line for each: its name, a tab, its result
    #[arg(long, conflicts_with_all = ["progress", "conflate", "style", "key"])]
    broadcast: bool,
    /// Write a byte string result as raw bytes, and nothing else
    #[arg(long, conflicts_with_all = ["cast", "broadcast", "conflate"])]
    raw: bool,
    /// Print the result or the error as a JSON object on stdout, and each item of a stream
    #[arg(long, conflicts_with_all = ["cast", "raw"])]
    json: bool,
    /// If no worker serves the service, wait for one until the timeout
    #[arg(long)]
    wait_for_ready: bool,
    /// Run the call in sequence with other calls of this key, on one worker
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Priority among calls of the same authkey or address: low, normal or high
    #[arg(long, value_name = "PRIORITY", default_value = "normal", value_parser = priority)]
    priority: Priority,
    #[command(flatten)]
    pub(super) connection: ConnectionFlags,
}

impl Call {
    /// Returns the settings that were given as flags.
    pub(crate) fn flags(&self) -> Flags {
        self.connection.flags()
    }

    /// Makes the call. Ctrl-C cancels it.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let mut client = None;
        let ended = signals::or_interrupted(async {
            let arguments = arguments::arguments(&self.arguments).map_err(|error| Exit::Usage.because(error))?;
            let method = MethodName::parse(self.method.as_str()).map_err(|error| Exit::Usage.because(error))?;
            let client = client.insert(client::connect(&settings.client).await?);
            match self.make(client, &method, arguments, settings.client).await {
                Err(error) => Err(hint::with_hint(client, &method, error).await),
                ended => ended,
            }
        });
        let ended = ended.await;
        // Without the close, the function would run on until the broker misses this client.
        if let (Some(client), Ok(Exit::Interrupted)) = (&client, &ended) {
            let _ = timeout(CANCEL_MAX, client.close()).await;
        }
        match ended {
            Err(error) if self.json => object::print_error(error),
            ended => ended,
        }
    }

    async fn make(
        &self,
        client: &Client,
        method: &MethodName,
        arguments: EncodedArguments,
        mut settings: ClientSettings,
    ) -> anyhow::Result<Exit> {
        // The style of a method is known once a worker serves it. A cast does not need it.
        let waits = self.wait_for_ready && !self.cast && self.style.is_none();
        let left =
            if waits { contracts::wait(client, method.service(), &settings).await? } else { settings.timeout.value };
        // The query uses the full timeout: its failure must not look like a failure of the call.
        let known = Known::of(client, method, &settings).await?;
        settings.timeout.value = left;
        if let Some(known) = &known {
            check_arguments(&arguments, known)?;
        }
        let style = self.style(known.as_ref()).map_err(|error| Exit::Usage.because(error))?;
        if self.cast {
            if known.is_none() && !self.wait_for_ready {
                hint::warn_of_cast(client, method, &settings).await;
            }
            return self.cast(client, arguments, &settings).await;
        }
        let call = self.call::<Value>(client, arguments, &settings);
        if self.broadcast {
            let answers = call.broadcast().await.map_err(client::failed)?;
            client::leave(client).await;
            return if self.json { object::print_answers(answers) } else { answers::print(answers) };
        }
        match style {
            StyleName::Unary => self.print(&self.outcome(call).await?)?,
            StyleName::Server => items::download(call, self.item_text()).await?,
            StyleName::Client => self.print(&items::upload(call, known.as_ref()).await?)?,
            StyleName::Bidi => items::duplex(call, known.as_ref(), self.item_text()).await?,
        }
        client::leave(client).await;
        Ok(Exit::Success)
    }

    /// Prints a result.
    fn print(&self, result: &Value) -> anyhow::Result<()> {
        if self.json { output::print(&object::of_result(result)) } else { result::print(result, self.raw) }
    }

    /// Returns the function that formats the items of a stream.
    fn item_text(&self) -> ItemText {
        if self.json { object::of_item } else { json::compact }
    }

    async fn cast(
        &self,
        client: &Client,
        arguments: EncodedArguments,
        settings: &ClientSettings,
    ) -> anyhow::Result<Exit> {
        let cast = self.call::<()>(client, arguments, settings);
        let sent = if self.broadcast { cast.cast_to_all().await } else { cast.cast().await };
        sent.map_err(client::failed)?;
        // The process must not end before the broker has the call.
        client.close().await.map_err(|error| Exit::NoBroker.because(error))?;
        Ok(Exit::Success)
    }

    /// Builds the call from the flags.
    fn call<T>(&self, client: &Client, arguments: EncodedArguments, settings: &ClientSettings) -> callboard::Call<T> {
        let call = client::timed(client.call(self.method.as_str(), arguments), settings).priority(self.priority);
        let call = if self.wait_for_ready { call.wait_for_ready() } else { call };
        let call = self.key.iter().fold(call, callboard::Call::key);
        if self.conflate { call.conflate() } else { call }
    }

    /// Returns the style: that of the flag, else that of the service.
    fn style(&self, known: Option<&Known>) -> anyhow::Result<StyleName> {
        let style = match (self.style, known.map(|known| known.method.style)) {
            (Some(style), _) => style,
            (None, None | Some(Style::Unary)) => StyleName::Unary,
            (None, Some(Style::Server)) => StyleName::Server,
            (None, Some(Style::Client)) => StyleName::Client,
            (None, Some(Style::Bidi)) => StyleName::Bidi,
            (None, Some(_)) => bail!("{} has a style that this version does not know; upgrade callboard", self.method),
        };
        if self.cast && style != StyleName::Unary {
            bail!("--cast does not work with {}, which is a streaming method", self.method);
        }
        if self.broadcast && style != StyleName::Unary {
            bail!("--broadcast does not work with {}, which is a streaming method", self.method);
        }
        if self.progress && style != StyleName::Unary {
            bail!("--progress does not work with {}, which is a streaming method", self.method);
        }
        if self.raw && matches!(style, StyleName::Server | StyleName::Bidi) {
            bail!("--raw does not work with {}, which sends a stream of items", self.method);
        }
        if self.conflate && !matches!(style, StyleName::Server | StyleName::Bidi) {
            bail!("--conflate does not work with {}, which sends no stream of items", self.method);
        }
        Ok(style)
    }

    async fn outcome(&self, call: callboard::Call<Value>) -> anyhow::Result<Value> {
        let outcome = if self.progress { call.on_progress(print_progress).await } else { call.await };
        outcome.map_err(client::failed)
    }
}

/// The style of a method, as a value of --style.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StyleName {
    /// One request, one reply
    Unary,
    /// The handler sends items
    Server,
    /// The caller sends items
    Client,
    /// Both send items
    #[value(alias = "both")]
    Bidi,
}

fn print_progress(Progress { done, total, message }: Progress) {
    let total = total.map(|total| format!(" of {total}")).unwrap_or_default();
    output::note(format!("{done}{total} {}", printable(&message)).trim_end());
}

/// Rejects arguments that cannot match the method's description, without a call to a worker.
fn check_arguments(arguments: &EncodedArguments, Known { service, method }: &Known) -> anyhow::Result<()> {
    let Err(mismatch) = check::check(arguments, method, service) else { return Ok(()) };
    let failure = CallFailure::new(CallError::from(Box::new(Failure::from(mismatch))));
    Err(failure.with_note(format!("method: {}.{method}", service.name)).into_error())
}

/// Returns an argument as it was typed.
fn argument(word: &str) -> Result<String, Infallible> {
    Ok(without_space(word).to_owned())
}

fn priority(text: &str) -> Result<Priority, String> {
    match text {
        "low" => Ok(Priority::Low),
        "normal" => Ok(Priority::Normal),
        "high" => Ok(Priority::High),
        _ => Err("write low, normal or high".to_owned()),
    }
}

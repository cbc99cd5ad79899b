//! `callboard call`: one call, its outcome printed.

mod answers;
mod arguments;
mod check;
mod hint;
mod items;
mod lines;
pub(crate) mod negative_numbers;
mod printer;
mod result;

use std::time::Duration;

use anyhow::{anyhow, bail};
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

use self::items::Known;
use crate::{
    command::{
        client::{self, contracts, flags::Connection},
        output::{self, escape::printable, exit::Exit},
        process::signals,
    },
    settings::{ClientSettings, Flags, Settings},
};

/// How long Ctrl-C waits until the broker knows that nobody waits for the call any more.
const CANCEL_MAX: Duration = Duration::from_millis(500);

/// Shown below `callboard call --help`.
const AFTER_HELP: &str = "\
An argument is NAME=VALUE or VALUE. A value that is JSON means that, anything else is a string: 2, true, '[1, 2]' and
'{\"a\": 1}' are JSON, hello and 007 are strings, '\"5\"' is the string 5, and '\"a=b\"' is the string a=b by position.
@FILE stands for the bytes of a file. Flags may follow the arguments; after -- nothing is a flag.

Where the service describes its types, arguments are checked before they are sent.

The result is printed on stdout as JSON, an error on stderr. What JSON has no word for is said as RFC 8949 section 6.1
advises: bytes as base64url text without padding (--raw writes the bytes themselves), NaN and infinities as null, with a
warning on stderr.

Items of a method that sends them are printed as they come, one JSON a line; a method that takes items gets the lines of
standard input, each of them JSON. One that does both is a filter in a pipe. Which of these a method is says its service
(`callboard describe`); --style says it where that does not. A stream has a time-out as any call: --timeout none.

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
  callboard call position.watch --latest --timeout none
  callboard call numbers.walk 500 --progress";

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
    /// Tell on stderr how far the handler is
    #[arg(long, conflicts_with_all = ["cast", "latest"])]
    progress: bool,
    /// Of items that come faster than they are printed, keep only the newest
    #[arg(long, conflicts_with = "cast")]
    latest: bool,
    /// Which items travel, where the service does not say
    #[arg(long, value_name = "STYLE", conflicts_with = "cast")]
    style: Option<StyleName>,
    /// Send it to every worker that serves it, and print a line for each: its name, a tab, its result
    #[arg(long, conflicts_with_all = ["progress", "latest", "style", "key"])]
    broadcast: bool,
    /// Write the bytes of a result that is a byte string as they are, and nothing else
    #[arg(long, conflicts_with_all = ["cast", "broadcast", "latest"])]
    raw: bool,
    /// Wait for the service, or the deadline, if no worker serves it now
    #[arg(long)]
    wait_for_ready: bool,
    /// Run it one at a time with others of this key, on one worker
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
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

    /// Makes the call. At Ctrl-C it is cancelled.
    pub(crate) async fn run(self, settings: Settings) -> anyhow::Result<Exit> {
        let mut client = None;
        let ended = signals::or_interrupted(async {
            let arguments = arguments::arguments(&self.arguments).map_err(|error| Exit::Usage.because(error))?;
            let method = MethodName::parse(self.method.as_str()).map_err(|error| Exit::Usage.because(error))?;
            arguments::doubts(&self.arguments).iter().for_each(|doubt| output::warn(doubt));
            let client = client.insert(client::connect(&settings.client).await?);
            match self.make(client, &method, arguments, settings.client).await {
                Err(error) => Err(hint::with_hint(client, &method, error).await),
                ended => ended,
            }
        });
        let ended = ended.await;
        // A process that just ended would let the function go on until the broker misses it.
        if let (Some(client), Ok(Exit::Interrupted)) = (&client, &ended) {
            let _ = timeout(CANCEL_MAX, client.close()).await;
        }
        ended
    }

    async fn make(
        &self,
        client: &Client,
        method: &MethodName,
        arguments: EncodedArguments,
        mut settings: ClientSettings,
    ) -> anyhow::Result<Exit> {
        // What a method is shows once somebody serves it. A cast needs not know.
        let waits = self.wait_for_ready && !self.cast && self.style.is_none();
        let left =
            if waits { contracts::wait(client, method.service(), &settings).await? } else { settings.timeout.value };
        // Asking what it is takes no time worth counting: an answer that does not come must not be told as the call's.
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
            return answers::print(answers);
        }
        match style {
            StyleName::Unary => result::print(&self.outcome(call).await?, self.raw)?,
            StyleName::Server => items::download(call).await?,
            StyleName::Client => result::print(&items::upload(call, known.as_ref()).await?, self.raw)?,
            StyleName::Both => items::duplex(call, known.as_ref()).await?,
        }
        client::leave(client).await;
        Ok(Exit::Fine)
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
        // Until the broker has it, the process must not end.
        client.close().await.map_err(|error| Exit::NoBroker.because(error))?;
        Ok(Exit::Fine)
    }

    /// The call as the flags say.
    fn call<T>(&self, client: &Client, arguments: EncodedArguments, settings: &ClientSettings) -> callboard::Call<T> {
        let call = client::timed(client.call(self.method.as_str(), arguments), settings).priority(self.priority);
        let call = if self.wait_for_ready { call.wait_for_ready() } else { call };
        let call = self.key.iter().fold(call, callboard::Call::key);
        if self.latest { call.latest() } else { call }
    }

    /// Which items travel: as it was typed, else as the service says.
    fn style(&self, known: Option<&Known>) -> anyhow::Result<StyleName> {
        let style = match (self.style, known.map(|known| known.method.style)) {
            (Some(style), _) => style,
            (None, None | Some(Style::Unary)) => StyleName::Unary,
            (None, Some(Style::Server)) => StyleName::Server,
            (None, Some(Style::Client)) => StyleName::Client,
            (None, Some(Style::Both)) => StyleName::Both,
            (None, Some(_)) => bail!("{} is of a style that this version does not know", self.method),
        };
        if self.cast && style != StyleName::Unary {
            bail!("--cast is for methods without items, and {} has some", self.method);
        }
        if self.broadcast && style != StyleName::Unary {
            bail!("--broadcast is for methods without items, and {} has some", self.method);
        }
        if self.progress && style != StyleName::Unary {
            bail!("--progress is for methods without items, and {} has some", self.method);
        }
        if self.raw && matches!(style, StyleName::Server | StyleName::Both) {
            bail!("--raw is for methods with one result, and {} sends items", self.method);
        }
        if self.latest && !matches!(style, StyleName::Server | StyleName::Both) {
            bail!("--latest is for methods that send items, and {} sends none", self.method);
        }
        Ok(style)
    }

    async fn outcome(&self, call: callboard::Call<Value>) -> anyhow::Result<Value> {
        let outcome = if self.progress { call.on_progress(tell).await } else { call.await };
        outcome.map_err(client::failed)
    }
}

/// A method's style, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StyleName {
    /// One request, one reply
    Unary,
    /// The handler sends items
    Server,
    /// The caller sends items
    Client,
    /// Both send items
    Both,
}

fn tell(Progress { done, total, message }: Progress) {
    let total = total.map(|total| format!(" of {total}")).unwrap_or_default();
    output::note(format!("{done}{total} {}", printable(&message)).trim_end());
}

/// What certainly does not fit is told without troubling a worker. What nobody described is sent as it is.
fn check_arguments(arguments: &EncodedArguments, Known { service, method }: &Known) -> anyhow::Result<()> {
    let Err(misfit) = check::check(arguments, method, service) else { return Ok(()) };
    let error = client::failed(CallError::from(Box::new(Failure::from(misfit))));
    Err(Exit::Failed.because(anyhow!("{error}\n  method: {}.{method}", service.name)))
}

fn priority(text: &str) -> Result<Priority, String> {
    match text {
        "low" => Ok(Priority::Low),
        "normal" => Ok(Priority::Normal),
        "high" => Ok(Priority::High),
        _ => Err("a priority is low, normal or high".to_owned()),
    }
}

//! Streaming calls: items from standard input to the handler, and from the handler to standard output.

use callboard::{
    CallError, Client, Code, Executed, ItemSender, ReplyStream, SendError,
    core::{
        contract::{MethodDescription, ServiceDescription},
        wire::{method::MethodName, status::Failure},
    },
};
use ciborium::Value;

use super::{
    check,
    lines::{self, Item, Lines},
    printer::Printer,
};
use crate::{
    command::client::{self, contracts, failure::CallFailure},
    settings::ClientSettings,
};

/// Formats an item of a stream.
pub(super) type ItemText = fn(&Value) -> String;

/// The description of a method and its service.
pub(super) struct Known {
    pub(super) service: ServiceDescription,
    pub(super) method: MethodDescription,
}

impl Known {
    /// Queries the description; `None` if there is none, since the call itself then reports the problem.
    ///
    /// # Errors
    /// The broker does not answer.
    pub(super) async fn of(
        client: &Client,
        method: &MethodName,
        settings: &ClientSettings,
    ) -> anyhow::Result<Option<Known>> {
        let service = contracts::description_if_any(client, method.service(), settings).await;
        let Some(service) = service.map_err(client::failed)? else { return Ok(None) };
        let method = service.method(method.method()).cloned();
        Ok(method.map(|method| Known { service, method }))
    }
}

/// Prints the items that the handler sends.
///
/// # Errors
/// The error of the call, after the items before it.
pub(super) async fn download(call: callboard::Call<Value>, text: ItemText) -> anyhow::Result<()> {
    let printer = Printer::start()?;
    let printed = print(call.stream(), &printer, text).await;
    printer.end().await?;
    printed
}

/// Sends standard input to the handler. Returns the reply.
///
/// # Errors
/// The error of the call, or of a line; the latter cancels the call.
pub(super) async fn upload(call: callboard::Call<Value>, known: Option<&Known>) -> anyhow::Result<Value> {
    let lines = Lines::of_stdin()?;
    let (sender, mut reply) = call.upload();
    tokio::select! {
        biased;
        // Neither is polled again once it is ready. A handler may reply before the end of the items.
        reply = &mut reply => return reply.map_err(client::failed),
        sent = send(sender, lines, known) => sent?,
    }
    reply.await.map_err(client::failed)
}

/// Sends standard input to the handler and prints its items, both at the same time.
///
/// # Errors
/// The error of the call, or of a line; the latter cancels the call. Both come after the items before them.
pub(super) async fn duplex(call: callboard::Call<Value>, known: Option<&Known>, text: ItemText) -> anyhow::Result<()> {
    let (lines, printer) = (Lines::of_stdin()?, Printer::start()?);
    let (sender, items) = call.duplex();
    let both = async {
        let mut printing = std::pin::pin!(print(items, &printer, text));
        tokio::select! {
            biased;
            // As above.
            printed = &mut printing => return printed,
            sent = send(sender, lines, known) => sent?,
        }
        printing.await
    };
    let ended = both.await;
    printer.end().await?;
    ended
}

async fn print(mut items: ReplyStream<Value>, printer: &Printer, text: ItemText) -> anyhow::Result<()> {
    while let Some(item) = items.next().await {
        if !printer.print(text(&item.map_err(client::failed)?)).await {
            break;
        }
    }
    Ok(())
}

/// Sends each line, and then the end. If the call has ended, its outcome has the reason.
async fn send(mut sender: ItemSender<Value>, mut lines: Lines, known: Option<&Known>) -> anyhow::Result<()> {
    while let Some(Item { line, value }) = lines.next().await? {
        if let Some(known) = known {
            check_item(line, &value, known)?;
        }
        match sender.send(&value).await {
            Ok(()) => {}
            Err(SendError::Closed) => return Ok(()),
            Err(error) => return Err(lines::error(line, error.to_string())),
        }
    }
    sender.end();
    Ok(())
}

/// Rejects an item that cannot match the method's description, as for arguments.
fn check_item(line: u64, value: &Value, Known { service, method }: &Known) -> anyhow::Result<()> {
    let Some(item) = &method.incoming else { return Ok(()) };
    check::check_item(value, item, service).map_err(|mismatch| {
        let message = format!("line {line} of standard input: {mismatch}");
        let failure = Failure::new(Code::InvalidArgument, Executed::Maybe, message);
        let note = format!("method: {}.{method}", service.name);
        CallFailure::new(CallError::from(Box::new(failure))).with_note(note).into_error()
    })
}

//! Calls with items: those of standard input go to the handler, the handler's to standard output.

use anyhow::anyhow;
use callboard::{
    Client, ItemSender, ReplyStream, SendError,
    core::{
        contract::{MethodDescription, ServiceDescription},
        wire::method::MethodName,
    },
};
use ciborium::Value;

use super::{
    check,
    lines::{self, Item, Lines},
    printer::Printer,
};
use crate::{
    command::{
        client::{self, contracts},
        output::{exit::Exit, json},
    },
    settings::ClientSettings,
};

/// What is known of a method.
pub(super) struct Known {
    pub(super) service: ServiceDescription,
    pub(super) method: MethodDescription,
}

impl Known {
    /// What most workers say of a method, if it can be had; else the call itself tells what is wrong.
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

/// Prints what the handler sends.
///
/// # Errors
/// The call's, after the items that came before it.
pub(super) async fn download(call: callboard::Call<Value>) -> anyhow::Result<()> {
    let printer = Printer::start()?;
    let printed = print(call.stream(), &printer).await;
    printer.end().await?;
    printed
}

/// Sends standard input to the handler: the reply.
///
/// # Errors
/// The call's, or what is wrong with a line; then the call is cancelled.
pub(super) async fn upload(call: callboard::Call<Value>, known: Option<&Known>) -> anyhow::Result<Value> {
    let lines = Lines::of_stdin()?;
    let (sender, mut reply) = call.upload();
    tokio::select! {
        biased;
        // Neither is asked again once it is ready. A handler may have heard enough before the end.
        reply = &mut reply => return reply.map_err(client::failed),
        sent = send(sender, lines, known) => sent?,
    }
    reply.await.map_err(client::failed)
}

/// Both at once, as a pipe does.
///
/// # Errors
/// The call's, or what is wrong with a line; then the call is cancelled. Both after the items that came before.
pub(super) async fn duplex(call: callboard::Call<Value>, known: Option<&Known>) -> anyhow::Result<()> {
    let (lines, printer) = (Lines::of_stdin()?, Printer::start()?);
    let (sender, items) = call.duplex();
    let both = async {
        let mut printing = std::pin::pin!(print(items, &printer));
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

async fn print(mut items: ReplyStream<Value>, printer: &Printer) -> anyhow::Result<()> {
    while let Some(item) = items.next().await {
        if !printer.print(json::compact(&item.map_err(client::failed)?)).await {
            break;
        }
    }
    Ok(())
}

/// Sends each line, and then the end. A call that is over wants no more, and its outcome says why.
async fn send(mut sender: ItemSender<Value>, mut lines: Lines, known: Option<&Known>) -> anyhow::Result<()> {
    while let Some(Item { line, value }) = lines.next().await? {
        if let Some(known) = known {
            check_item(line, &value, known)?;
        }
        match sender.send(&value).await {
            Ok(()) => {}
            Err(SendError::Closed) => return Ok(()),
            Err(error) => return Err(lines::wrong(line, error.to_string())),
        }
    }
    sender.end();
    Ok(())
}

/// What certainly does not fit is told without troubling the handler, as with arguments.
fn check_item(line: u64, value: &Value, Known { service, method }: &Known) -> anyhow::Result<()> {
    let Some(item) = &method.incoming else { return Ok(()) };
    check::check_item(value, item, service).map_err(|misfit| {
        let method = format!("{}.{method}", service.name);
        Exit::Failed.because(anyhow!("INVALID_ARGUMENT: line {line} of standard input: {misfit}\n  method: {method}"))
    })
}

//! One call of each style.

use callboard::{Call, CallError, Client, Encoded, EncodedArguments};
use futures::future::join;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::super::{
    super::echo::Message,
    parameters::{Parameters, Style},
};
use crate::command::call::arguments::arguments;

/// The calls of one client, one after another.
///
/// A client has one for each call that may be outstanding.
pub(crate) struct Caller<'a> {
    client: &'a Client,
    parameters: &'a Parameters,
    target: Target,
    /// The number of the next call, from which its key follows.
    turn: u64,
}

/// The method that is called.
enum Target {
    /// The bench's own, with this argument.
    Bench(Message),
    /// A method of another worker, with these arguments. Its result is not checked.
    Method(String, EncodedArguments),
}

impl<'a> Caller<'a> {
    /// Creates a caller whose calls have ids from `id` on. The ids of casts name the client, so that the workers can count them.
    ///
    /// # Errors
    /// If the arguments for another worker's method are not valid.
    pub(crate) fn new(client: &'a Client, parameters: &'a Parameters, id: u64) -> anyhow::Result<Caller<'a>> {
        let payload = vec![0x5a; parameters.size as usize];
        let target = match &parameters.method {
            Some(method) => Target::Method(method.clone(), arguments(&parameters.args)?),
            None => Target::Bench(Message { id, name: "0123456789abcdef".to_owned(), payload }),
        };
        Ok(Caller { client, parameters, target, turn: id })
    }

    /// Makes one call, and returns its number of operations, or its error.
    pub(crate) async fn call(&mut self) -> Result<u64, String> {
        self.turn += 1;
        let (style, key) = (self.parameters.style, self.key());
        let with_key = Key(key);
        match &mut self.target {
            Target::Bench(message) => call_bench(self.client, self.parameters, with_key, message).await,
            Target::Method(method, arguments) if style == Style::Cast => {
                with_key.add(self.client.call(&*method, &*arguments)).cast().await.map(|()| 1).map_err(text)
            }
            Target::Method(method, arguments) if style == Style::ServerStream => {
                read(with_key.add(self.client.call::<()>(&*method, &*arguments)).stream::<Encoded>(), |_, _| true).await
            }
            Target::Method(method, arguments) => {
                let call = with_key.add(self.client.call::<Encoded>(&*method, &*arguments));
                finish(style, call, |_| true).await
            }
        }
    }

    fn key(&self) -> Option<String> {
        let keys = u64::from(self.parameters.keys);
        (keys > 0).then(|| format!("key{}", self.turn % keys))
    }
}

/// The affinity key of a call, if it has one.
struct Key(Option<String>);

impl Key {
    fn add<T>(self, call: Call<T>) -> Call<T> {
        self.0.into_iter().fold(call, Call::key)
    }
}

/// Calls a method of the bench's own workers.
async fn call_bench(client: &Client, parameters: &Parameters, key: Key, message: &mut Message) -> Result<u64, String> {
    let items = u64::from(parameters.items);
    match parameters.style {
        Style::Cast => key.add(client.call("bench.cast", (&*message,))).cast().await.map(|()| 1).map_err(text),
        Style::ServerStream => {
            let stream = key.add(client.call::<()>("bench.send", (items, &*message))).stream::<Message>();
            let received = read(stream, |at, item| item.id == at && item.payload == message.payload).await?;
            complete(received, items)
        }
        Style::ClientStream => {
            let (sender, received) = key.add(client.call::<u64>("bench.receive", ())).upload::<Message>();
            let (sent, received) = join(send(sender, items, message), received).await;
            sent?;
            complete(received.map_err(text)?, items)
        }
        Style::Bidirectional => {
            let (sender, stream) = key.add(client.call::<()>("bench.exchange", ())).duplex::<Message, Message>();
            let size = message.payload.len();
            let reading = read(stream, |at, item: &Message| item.id == at && item.payload.len() == size);
            let (sent, received) = join(send(sender, items, message), reading).await;
            sent?;
            complete(received?, items)
        }
        style @ (Style::Await | Style::Callback | Style::Broadcast) => {
            message.id += 1;
            let call = key.add(client.call::<Message>("bench.echo", (&*message,)));
            finish(style, call, |result| result == message).await
        }
    }
}

/// Makes a call without streams, and checks its results.
async fn finish<T>(style: Style, call: Call<T>, is_right: impl Fn(&T) -> bool) -> Result<u64, String>
where
    T: DeserializeOwned + Send + 'static,
{
    let results = match style {
        Style::Callback => vec![called_back(call).await?],
        Style::Broadcast => call.broadcast().await.and_then(callboard::Answers::all).map_err(text)?,
        _ => return call.await.map_err(text).and_then(|result| right(is_right(&result))),
    };
    right(results.iter().all(is_right))
}

/// Makes a call with a callback, and waits until the callback has run.
async fn called_back<T: DeserializeOwned + Send + 'static>(call: Call<T>) -> Result<T, String> {
    let (sender, result) = oneshot::channel();
    // Fails if the caller has ended.
    call.on_complete(move |outcome| drop(sender.send(outcome))).await.map_err(text)?;
    result.await.map_err(|_| "a callback did not run".to_owned())?.map_err(text)
}

/// Sends the items with their numbers as ids.
async fn send(mut sender: callboard::ItemSender<Message>, items: u64, message: &mut Message) -> Result<(), String> {
    for id in 0..items {
        message.id = id;
        sender.send(message).await.map_err(|error| error.to_string())?;
    }
    sender.end();
    Ok(())
}

/// Reads all items, and returns their number.
async fn read<T: DeserializeOwned>(
    mut stream: callboard::ReplyStream<T>,
    is_right: impl Fn(u64, &T) -> bool,
) -> Result<u64, String> {
    let mut received = 0;
    while let Some(item) = stream.next().await {
        right(is_right(received, &item.map_err(text)?))?;
        received += 1;
    }
    Ok(received)
}

fn right(is_right: bool) -> Result<u64, String> {
    if is_right { Ok(1) } else { Err("a result was wrong".to_owned()) }
}

fn complete(received: u64, expected: u64) -> Result<u64, String> {
    if received == expected { Ok(received) } else { Err(format!("{received} of {expected} items arrived")) }
}

fn text(error: CallError) -> String {
    error.to_string()
}

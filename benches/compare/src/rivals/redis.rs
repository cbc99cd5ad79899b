//! Redis: a list of requests, which the workers pop, and a list of results for each client.

use std::{
    cell::RefCell,
    collections::HashMap,
    process,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _, aio::MultiplexedConnection, io::tcp::TcpSettings};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::{load::Echo, message::Message};

/// Elements of one BLMPOP.
pub(super) const BATCH: usize = 64;
const REQUESTS: &str = "requests";

/// A request with the list for its result.
#[derive(Serialize, Deserialize)]
struct Request(String, Message);

/// The callers that wait, by the ids of their messages.
type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Message>>>>;

/// A client with a connection that pushes requests. Another one pops results.
pub(super) struct RedisClient {
    requests: RefCell<MultiplexedConnection>,
    results: Rc<str>,
    waiting: Waiting,
}

/// Returns the arguments of redis-server: nothing is written to disk.
pub(super) fn server(port: u16) -> Vec<String> {
    ["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"].map(str::to_owned).into()
}

pub(super) async fn worker(url: &str, batch: usize) -> anyhow::Result<()> {
    let (mut requests, results) = (connection(url).await?, connection(url).await?);
    println!("ready");
    loop {
        for request in pop(&mut requests, REQUESTS, batch).await? {
            let Request(list, message) = callboard::core::body::decode(&request)?;
            let (body, mut results) = (message.encode()?, results.clone());
            // The next pop does not wait for this push.
            tokio::spawn(async move { push(&mut results, &list, &body).await });
        }
    }
}

pub(super) async fn connect(url: String, batch: usize) -> anyhow::Result<RedisClient> {
    let list = format!("results:{}", process::id());
    let (waiting, mut results) = (Waiting::default(), connection(&url).await?);
    let client = RedisClient {
        requests: RefCell::new(connection(&url).await?),
        results: list.as_str().into(),
        waiting: Arc::clone(&waiting),
    };
    tokio::spawn(async move {
        while let Ok(popped) = pop(&mut results, &list, batch).await {
            popped
                .iter()
                .filter_map(|result| Message::decode(result).ok())
                .for_each(|message| deliver(&waiting, message));
        }
    });
    Ok(client)
}

fn deliver(waiting: &Waiting, message: Message) {
    let caller = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&message.id);
    // Fails if the caller has ended.
    caller.map(|caller| caller.send(message));
}

async fn connection(url: &str) -> anyhow::Result<MultiplexedConnection> {
    let info = url.into_connection_info()?.set_tcp_settings(TcpSettings::default().set_nodelay(true));
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    Ok(Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await?)
}

async fn push(connection: &mut MultiplexedConnection, list: &str, body: &[u8]) -> anyhow::Result<()> {
    Ok(redis::cmd("RPUSH").arg(list).arg(body).query_async(connection).await?)
}

/// Waits for elements of a list, and removes at most `batch`.
async fn pop(connection: &mut MultiplexedConnection, list: &str, batch: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    if batch == 1 {
        let popped: Option<(String, Vec<u8>)> = redis::cmd("BLPOP").arg(list).arg(0).query_async(connection).await?;
        return Ok(popped.into_iter().map(|(_, element)| element).collect());
    }
    let mut command = redis::cmd("BLMPOP");
    command.arg(0).arg(1).arg(list).arg("LEFT").arg("COUNT").arg(batch);
    let popped: Option<(String, Vec<Vec<u8>>)> = command.query_async(connection).await?;
    Ok(popped.map(|(_, elements)| elements).unwrap_or_default())
}

impl Echo for RedisClient {
    async fn call(&self, message: Message) -> anyhow::Result<Message> {
        let (sender, result) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(message.id, sender);
        let request = callboard::core::body::encode(&Request(self.results.to_string(), message))?;
        let mut requests = self.requests.borrow().clone();
        push(&mut requests, REQUESTS, &request).await?;
        result.await.context("the connection for results is lost")
    }
}

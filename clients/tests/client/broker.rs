//! A scripted broker on zeromq's ROUTER and the core's codec.

use std::collections::VecDeque;

use bytes::Bytes;
use callboard_core::{
    body,
    wire::{
        bundle::{self, Bundler, Recipient},
        envelope::{Credit, Envelope, Reply, Request},
        handshake::{Hello, Welcome},
        ids::{BrokerId, StartId},
        limits,
        status::Failure,
    },
};
use serde::Serialize;
use zeromq::{RouterSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

/// A scripted broker. It answers pings; the test does everything else.
pub(crate) struct Broker {
    socket: RouterSocket,
    /// The address for clients.
    pub(crate) address: String,
    /// The identity of the last sender, which receives what the broker sends.
    peer: Bytes,
    /// Envelopes that were received and not returned yet.
    read: VecDeque<Envelope>,
    /// The start id in the welcome. See [`Broker::restarted`].
    start: StartId,
    /// The number of calls that a client may have open. Bytes are not limited.
    pub(crate) credit_calls: u32,
    /// The number of answered pings.
    pub(crate) pings: usize,
}

impl Broker {
    pub(crate) async fn start() -> Broker {
        Broker::start_at("tcp://127.0.0.1:0", StartId([1; 16])).await
    }

    /// Starts a broker on an address that was in use a moment ago.
    async fn start_at(address: &str, start: StartId) -> Broker {
        loop {
            let mut socket = RouterSocket::new();
            if let Ok(endpoint) = socket.bind(address).await {
                let address = endpoint.to_string();
                let (peer, read) = (Bytes::new(), VecDeque::new());
                return Broker { socket, address, peer, read, start, credit_calls: 1000, pings: 0 };
            }
            tokio::task::yield_now().await;
        }
    }

    /// Closes all connections and restarts on the same port, with or without its state.
    pub(crate) async fn restarted(self, with_memory: bool) -> Broker {
        let start = if with_memory { self.start } else { StartId([self.start.0[0] + 1; 16]) };
        let address = self.address.clone();
        self.stop().await;
        Broker::start_at(&address, start).await
    }

    /// Stops and closes all connections.
    pub(crate) async fn stop(self) {
        self.socket.close().await;
    }

    /// Accepts the next client.
    pub(crate) async fn welcome(&mut self) -> Hello {
        let hello = self.hello().await;
        self.let_in().await;
        hello
    }

    /// Accepts the client that has just sent hello.
    pub(crate) async fn let_in(&mut self) {
        self.send(Envelope::Challenge(Bytes::new())).await;
        assert_eq!(self.next().await, Envelope::Proof(Bytes::new()));
        let welcome = Welcome {
            version: 2,
            broker: BrokerId([7; 16]),
            start: self.start,
            frontend: self.address.clone(),
            heartbeat_ms: 1000,
            credit_calls: self.credit_calls,
            credit_bytes: limits::CREDIT_BYTES,
            message_bytes_max: limits::MESSAGE_BYTES_MAX as u64,
            capabilities: Vec::new(),
            proof: None,
        };
        self.send(Envelope::Welcome(body::encode(&welcome).unwrap())).await;
    }

    /// Waits for the hello of a client.
    pub(crate) async fn hello(&mut self) -> Hello {
        match self.next().await {
            Envelope::Hello(hello) => body::decode(&hello).unwrap(),
            other => panic!("not a hello: {other:?}"),
        }
    }

    /// Receives the next envelope other than a ping.
    pub(crate) async fn next(&mut self) -> Envelope {
        loop {
            match self.read.pop_front() {
                Some(Envelope::Ping(ping)) => {
                    self.pings += 1;
                    self.send(Envelope::Pong(ping.number)).await;
                }
                Some(envelope) => return envelope,
                None => self.read().await,
            }
        }
    }

    /// Receives the next envelope, which must be a request.
    pub(crate) async fn request(&mut self) -> Request {
        match self.next().await {
            Envelope::Request(request) => request,
            other => panic!("not a request: {other:?}"),
        }
    }

    /// Answers pings while the future is polled. Panics if another envelope arrives.
    pub(crate) async fn idle(&mut self) {
        let envelope = self.next().await;
        panic!("unexpected envelope: {envelope:?}");
    }

    async fn read(&mut self) {
        let mut frames = self.socket.recv().await.unwrap().into_vec();
        self.peer = frames.remove(0);
        self.read.extend(bundle::read(&frames, Recipient::Broker).map(Result::unwrap));
    }

    pub(crate) async fn send(&mut self, envelope: Envelope) {
        let mut bundler = Bundler::new();
        bundler.push(&envelope);
        for frames in bundler.take() {
            let frames: Vec<_> = std::iter::once(self.peer.clone()).chain(frames).collect();
            // An error means that the client has disconnected.
            let _ = self.socket.send(ZmqMessage::try_from(frames).unwrap()).await;
        }
    }

    /// Answers a call.
    pub(crate) async fn answer(&mut self, request: &Request, result: impl Serialize) {
        self.reply(request, Ok(body::encode(&result).unwrap()), None).await;
    }

    /// Answers a call and grants the credit that it used.
    pub(crate) async fn answer_with_credit(&mut self, request: &Request, result: impl Serialize) {
        let credit = Credit { calls: 1, bytes: request.body.len() as u64, offer: 0 };
        self.reply(request, Ok(body::encode(&result).unwrap()), Some(credit)).await;
    }

    /// Ends a call with a failure.
    pub(crate) async fn fail(&mut self, request: &Request, failure: Failure) {
        self.reply(request, Err(Box::new(failure)), None).await;
    }

    async fn reply(&mut self, request: &Request, outcome: Result<Bytes, Box<Failure>>, credit: Option<Credit>) {
        let reply =
            Reply { number: request.number.0, outcome, credit, handler_time: None, extensions: Default::default() };
        self.send(Envelope::Reply(reply)).await;
    }

    /// Waits for the client's goodbye and answers it.
    pub(crate) async fn goodbye(&mut self) {
        assert_eq!(self.next().await, Envelope::Goodbye(None));
        self.send(Envelope::Goodbye(None)).await;
    }
}

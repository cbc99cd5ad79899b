//! tarpc: TCP and bincode from a client to a server.

use futures::StreamExt as _;
use tarpc::{
    client, context,
    server::{BaseChannel, Channel as _},
    tokio_serde::formats::Bincode,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::LengthDelimitedCodec;

use crate::{load::Echo, message::Message};

/// Makes the client and the server.
#[tarpc::service]
pub(crate) trait EchoService {
    async fn call(message: Message) -> Message;
}

#[derive(Clone)]
struct EchoHandler;

impl EchoService for EchoHandler {
    async fn call(self, _context: context::Context, message: Message) -> Message {
        message
    }
}

pub(super) async fn server(nodelay: bool) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ready {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(nodelay)?;
        let frames = LengthDelimitedCodec::builder().new_framed(stream);
        let channel = BaseChannel::with_defaults(tarpc::serde_transport::new(frames, Bincode::default()));
        let calls = channel.execute(EchoHandler.serve());
        tokio::spawn(calls.for_each(|call| async {
            tokio::spawn(call);
        }));
    }
}

pub(super) async fn connect(address: String, nodelay: bool) -> anyhow::Result<EchoServiceClient> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(nodelay)?;
    let frames = LengthDelimitedCodec::builder().new_framed(stream);
    let transport = tarpc::serde_transport::new(frames, Bincode::default());
    Ok(EchoServiceClient::new(client::Config::default(), transport).spawn())
}

impl Echo for EchoServiceClient {
    async fn call(&self, message: Message) -> anyhow::Result<Message> {
        Ok(EchoServiceClient::call(self, context::current(), message).await?)
    }
}

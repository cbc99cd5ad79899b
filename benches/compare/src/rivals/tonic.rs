//! tonic: gRPC from a client to a server.

use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};

use self::proto::{
    ItemsRequest,
    echo_client::EchoClient,
    echo_server::{Echo as EchoService, EchoServer},
};
use crate::{load::Echo, message::Message};

#[allow(clippy::all)]
mod proto {
    tonic::include_proto!("echo");
}

/// More streams than any number of outstanding calls: hyper permits 200.
const STREAMS_MAX: u32 = 2_048;

struct EchoHandler;

pub(super) async fn server() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ready http://{}", listener.local_addr()?);
    let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().max_concurrent_streams(Some(STREAMS_MAX)).add_service(EchoServer::new(EchoHandler));
    Ok(server.serve_with_incoming(connections).await?)
}

pub(super) async fn connect(url: String) -> anyhow::Result<EchoClient<Channel>> {
    Ok(EchoClient::new(Endpoint::from_shared(url)?.connect().await?))
}

#[tonic::async_trait]
impl EchoService for EchoHandler {
    type ItemsStream = BoxStream<'static, Result<proto::Message, Status>>;

    async fn call(&self, request: Request<proto::Message>) -> Result<Response<proto::Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn items(&self, request: Request<ItemsRequest>) -> Result<Response<Self::ItemsStream>, Status> {
        let ItemsRequest { items, size } = request.into_inner();
        let message = Message::new(0, size as usize);
        let item = move |id| Ok(to_proto(Message { id, ..message.clone() }));
        Ok(Response::new(stream::iter(0..items).map(item).boxed()))
    }
}

impl Echo for EchoClient<Channel> {
    async fn call(&self, message: Message) -> anyhow::Result<Message> {
        let result = EchoClient::call(&mut self.clone(), to_proto(message)).await?.into_inner();
        Ok(Message { id: result.id, name: result.name, payload: result.payload })
    }

    async fn items(&self, items: u64, size: usize) -> anyhow::Result<u64> {
        let request = ItemsRequest { items, size: size as u64 };
        let mut stream = EchoClient::items(&mut self.clone(), request).await?.into_inner();
        let mut received = 0;
        while let Some(item) = stream.message().await? {
            anyhow::ensure!(item.id == received, "an item is missing");
            received += 1;
        }
        Ok(received)
    }
}

fn to_proto(Message { id, name, payload }: Message) -> proto::Message {
    proto::Message { id, name, payload }
}

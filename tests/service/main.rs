//! A trait as the contract: its stub, its implementation, and a broker between them, all in one process.
#![allow(clippy::unwrap_used)]

mod contract;
mod forms;
mod library;
mod streams;

use callboard::{
    Client, RunningWorker, Service, Worker,
    broker::{RunningBroker, Settings},
};
use serde::de::IgnoredAny;

/// A broker, a worker that serves one service, and a client.
struct Scene {
    client: Client,
    _worker: RunningWorker,
    _broker: RunningBroker,
}

impl Scene {
    async fn of(service: Service) -> Scene {
        let any_port = || "tcp://127.0.0.1:0".parse().unwrap();
        let broker = RunningBroker::start(Settings::new(any_port(), any_port())).await.unwrap();
        let mut worker = Worker::new().backend(broker.backend()).serve(service).start().unwrap();
        worker.registered().await.unwrap();
        let client = Client::connect(broker.frontend()).await.unwrap();
        // The worker has sent its registration. Wait until the broker has handled it.
        let served = async || client.call::<Vec<IgnoredAny>>("callboard.services", ()).await.unwrap().len();
        while served().await == 0 {}
        Scene { client, _worker: worker, _broker: broker }
    }
}

//! Items that cannot be sent, and wrong implementations of a trait with streams.

use callboard::{Incoming, Outgoing, Stream};

struct Silent;

#[callboard::service]
trait Streams {
    async fn upload(&self, parts: Incoming<Silent>) -> u32;
    async fn ticks(&self) -> Outgoing<impl Stream<Item = Silent>>;
}

#[callboard::service]
trait Numbers {
    async fn count(&self) -> Outgoing<impl Stream<Item = u32>>;
    async fn sum(&self, numbers: Incoming<u32>) -> u32;
}

struct Words;

fn texts() -> std::pin::Pin<Box<dyn Stream<Item = String> + Send>> {
    todo!()
}

impl Numbers for Words {
    async fn count(&self) -> Outgoing<impl Stream<Item = String>> {
        Outgoing::new(texts())
    }

    async fn sum(&self, _: Incoming<u32>) -> u32 {
        0
    }
}

async fn call(numbers: NumbersClient) {
    let _: u32 = numbers.count().await.unwrap();
    let _ = numbers.sum().stream();
}

fn main() {}

//! Streams are not there yet.

#[callboard::service]
trait Streams {
    async fn upload(&self, parts: callboard::Incoming<u32>) -> u32;
    async fn ticks(&self) -> impl Stream<Item = u32>;
    async fn tocks(&self) -> Outgoing<u32>;
}

fn main() {}

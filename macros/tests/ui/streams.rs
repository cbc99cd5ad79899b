//! Streams in a wrong form or position.

use callboard::{Incoming, Outgoing, Stream};

#[callboard::service]
trait Streams {
    fn blocking(&self, parts: Incoming<u32>) -> u32;
    fn blocking_too(&self) -> Outgoing<impl Stream<Item = u32>>;
    async fn first(&self, parts: Incoming<u32>, name: String);
    async fn two(&self, one: Incoming<u32>, other: Incoming<u32>);
    async fn untyped(&self, parts: Incoming);
    async fn changed(&self, mut parts: Incoming<u32>);
    async fn lent(&self, parts: Incoming<&str>);
    async fn taken(&self, parts: Outgoing<u32>);
    async fn implied(&self, parts: impl Stream<Item = u32>);
    async fn bare(&self) -> impl Stream<Item = u32>;
    async fn other(&self) -> Incoming<u32>;
    async fn number(&self) -> Outgoing<u32>;
    async fn itemless(&self) -> Outgoing<impl Stream>;
    async fn hidden(&self) -> Outgoing<impl Stream<Item = impl Send>>;
    async fn half(&self) -> Outgoing<impl Stream<Item = Result<u32>>>;
    async fn errors(&self) -> Result<Outgoing<impl Stream<Item = Result<u32, String>>>, u8>;
}

fn main() {}

//! Options of `rpc(..)` that are rejected, and names that collide.

#[callboard::service]
trait Options {
    #[rpc(raed)]
    fn misspelt(&self);
    #[rpc(fast)]
    fn unknown(&self);
    #[rpc(read, once)]
    fn two_effects(&self);
    #[rpc(name = "no name")]
    fn no_name(&self);
    fn into_service(&self);
}

#[callboard::service]
trait Twice {
    #[rpc(name = "put")]
    fn insert(&self, x: u32);
    fn put(&self, x: u32);
}

fn main() {}

//! Traits that are rejected as a whole.

#[callboard::service]
trait Generic<T> {}

#[callboard::service(nmae = "x")]
trait Misspelt {}

#[callboard::service(name = "no name")]
trait NoName {}

#[callboard::service(name = "callboard.mine")]
trait Reserved {}

#[callboard::service]
trait Constants {
    const LIMIT: u32;
    type Item;
}

#[callboard::service]
struct NoTrait;

fn main() {}

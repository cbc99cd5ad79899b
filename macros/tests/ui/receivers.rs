//! Receivers other than `&self` are rejected.

#[callboard::service]
trait Receivers {
    fn none(x: u32);
    fn mutable(&mut self);
    fn owned(self);
    fn typed(self: std::sync::Arc<Self>);
}

fn main() {}

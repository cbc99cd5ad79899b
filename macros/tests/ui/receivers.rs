//! Calls run side by side: a method has the implementation by a shared reference.

#[callboard::service]
trait Receivers {
    fn none(x: u32);
    fn mutable(&mut self);
    fn owned(self);
    fn typed(self: std::sync::Arc<Self>);
}

fn main() {}

//! Implementations that cannot be shared between concurrent calls.

use std::{cell::Cell, rc::Rc};

#[callboard::service]
trait Counter {
    async fn next(&self) -> u32;
}

struct Shared(Cell<u32>);

impl Counter for Shared {
    async fn next(&self) -> u32 {
        self.0.replace(1)
    }
}

struct Held;

impl Counter for Held {
    async fn next(&self) -> u32 {
        let held = Rc::new(1);
        std::future::ready(()).await;
        *held
    }
}

fn main() {}

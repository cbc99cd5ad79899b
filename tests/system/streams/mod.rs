//! Calls that carry streams of items.

mod command;
mod items;
mod synchronous;
mod window;

//! The model of `top`: what the screen shows, and what keys and answers change. It reads no clock and no terminal.

pub(crate) mod action;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod rows;
pub(crate) mod snapshot;
pub(crate) mod state;
pub(crate) mod tab;
#[cfg(test)]
mod tests;

//! The outcomes of calls when a worker or the broker is killed, stopped or stuck.

mod broker;
mod matrix;
mod unresponsive;
mod worker;

//! System tests: real processes over real sockets. The name of each test is the rule that it proves.
#![cfg(feature = "command")]
#![allow(clippy::unwrap_used)]

mod authkeys;
mod broadcasts;
mod broker;
mod by_hand;
mod calculator;
mod callbacks;
mod calls;
mod calls_with_items;
mod concurrency;
mod demo;
mod faults;
mod foreign;
mod handlers;
mod harness;
mod held_bytes;
mod keys;
mod kvs;
mod logs;
mod lost_broker;
mod matrix;
mod nested;
mod peers;
mod pool;
mod pool_heals;
mod pool_life;
mod pool_reload;
mod pool_scale;
mod position;
mod status;
mod streams;
mod streams_of_threads;
mod stuck;
mod terminal;
mod threads;
mod up;
mod users;

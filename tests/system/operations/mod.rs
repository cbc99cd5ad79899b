//! The commands that an operator runs: their start, their output and their end.

mod authkeys;
mod bench;
mod broker;
mod demo;
mod logs;
mod peers_file;
mod startup_errors;
mod status;
mod terminal;
mod up;

//! The commands that an operator runs: their start, their output and their end.

mod authkeys;
mod bench;
mod broker;
mod command_line;
mod demo;
mod log_format;
mod logs;
mod operator;
mod peers_file;
mod startup_errors;
mod status;
mod terminal;
mod top;
mod up;

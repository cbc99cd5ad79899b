//! `callboard pool`, and the commands that change a running pool.

mod broken_program;
mod lifecycle;
mod policy;
mod reload;
mod scale;
mod start;

//! The output of workers, on its way to the pool's standard error.

mod lines;
mod printer;

pub use self::lines::{LAST_LINES_MAX, LINE_BYTES_MAX};
pub(super) use self::{
    lines::LastLines,
    printer::{Output, Printer},
};

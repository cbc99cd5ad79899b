//! The report: tables in Markdown, and plots.

pub(crate) mod markdown;
mod number;
pub(crate) mod plot;

//! Calls without streams: their results, their errors, and the interfaces that make them.

mod affinity;
mod broadcasts;
mod callbacks;
mod command;
mod concurrency;
mod handlers;
mod inline;
mod nested;
mod prefetch;
mod synchronous;

//! The admin endpoint: metrics, health and scaling over HTTP, of real processes.

mod endpoint;
mod health;
mod limits;
mod metrics;
mod page;
mod prometheus;
mod startup;
mod up;

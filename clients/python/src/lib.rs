//! The native module of the Python package `callboard`: the Rust client and worker for Python objects.
//!
//! | module | contents |
//! |---|---|
//! | `value` | the conversion of Python objects to CBOR and back |
//! | `error` | the Python exceptions of failed calls |
//! | `wait` | blocks a Python thread until a future is ready, and lets signals interrupt it |
//! | `client` | the client: calls, futures, streams, and the inbox of programs with an event loop |
//! | `worker` | the worker: Python functions as handlers |

mod client;
mod curve;
mod error;
mod value;
mod wait;
mod worker;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    client::register(module)?;
    worker::register(module)?;
    value::register(module)
}

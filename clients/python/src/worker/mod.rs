//! The worker: Python functions as handlers.
//!
//! | file | contents |
//! |---|---|
//! | `builder` | `Worker`: the settings, the services, and the thread that runs the worker |
//! | `method` | one method of a service, and where its function runs |
//! | `handler` | a Python function as a handler: what it does with a call |
//! | `signature` | binds the arguments of a call to the parameters of a function |
//! | `context` | the context of a call, for its handler |
//! | `failure` | the failures of handlers, from Python exceptions |
//! | `items` | the items of the caller |
//! | `threads` | the queue of the threads that run plain functions |
//! | `event_loop` | the queue of an asyncio event loop |
//! | `signals` | reports signals without the GIL |

mod builder;
mod context;
mod event_loop;
mod failure;
mod handler;
mod items;
mod method;
mod signals;
mod signature;
mod threads;

use pyo3::prelude::*;

/// Adds the classes to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("BACKEND_DEFAULT", callboard_workers::BACKEND_DEFAULT)?;
    module.add_class::<builder::Worker>()?;
    module.add_class::<context::Context>()?;
    module.add_class::<event_loop::LoopQueue>()?;
    module.add_class::<event_loop::LoopCall>()?;
    module.add_class::<items::Items>()?;
    module.add_class::<method::Method>()?;
    module.add_class::<signals::SignalWatch>()?;
    module.add_class::<threads::ThreadQueue>()
}

//! The client, from Python.
//!
//! | file | contents |
//! |---|---|
//! | `handle` | the class `Client` |
//! | `settings` | the settings of a client |
//! | `request`, `options` | a request: its method, its arguments and its options |
//! | `statistics` | the counters of a client |
//! | `operation` | what a program waits for, and its outcome |
//! | `pending` | a call that was made, whose outcome is taken later |
//! | `inbox` | outcomes that are delivered in batches |
//! | `stream` | the items of a call |

mod handle;
mod inbox;
mod operation;
mod options;
mod pending;
mod request;
mod settings;
mod statistics;
mod stream;

use pyo3::prelude::*;

/// Adds the classes to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<handle::Client>()?;
    module.add_class::<inbox::Inbox>()?;
    module.add_class::<pending::PendingCall>()?;
    module.add_class::<stream::ItemStream>()?;
    module.add_class::<stream::ItemSender>()?;
    module.add("END", operation::end_of_stream(module.py())?)?;
    module.add_function(wrap_pyfunction!(handle::after_fork_in_child, module)?)
}

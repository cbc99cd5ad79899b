//! The counters of a client, for Python.

use callboard_clients::Statistics;
use pyo3::{prelude::*, types::PyDict};

/// Returns the counters as a dictionary. Callbacks are Python's own, so Python counts them.
pub(super) fn to_dict<'py>(py: Python<'py>, statistics: &Statistics) -> PyResult<Bound<'py, PyDict>> {
    let counters = [
        ("calls", statistics.calls),
        ("casts", statistics.casts),
        ("casts_dropped", statistics.casts_dropped),
        ("answered", statistics.answered),
        ("failed", statistics.failed),
        ("expired", statistics.expired),
        ("cancelled", statistics.cancelled),
        ("resent", statistics.resent),
        ("late", statistics.late),
        ("refused", statistics.refused),
        ("connections", statistics.connections),
        ("waiting", statistics.waiting as u64),
        ("open", statistics.open as u64),
    ];
    let dict = PyDict::new(py);
    for (name, count) in counters {
        dict.set_item(name, count)?;
    }
    Ok(dict)
}

//! Objects that stand for another value: enums, dataclasses, pydantic models, UUIDs.

use pyo3::{
    intern,
    prelude::*,
    types::{PyBytes, PyDict, PyString},
};

use super::imported::{Imported, Optional};
use crate::value::problem::Problem;

/// The tag of a byte string that is a UUID.
pub(crate) const TAG_UUID: u64 = 37;

pub(crate) static ENUM: Imported = Imported::new("enum", "Enum");
pub(crate) static UUID: Imported = Imported::new("uuid", "UUID");
pub(crate) static PYDANTIC_MODEL: Optional = Optional::new("pydantic.main", "BaseModel");

/// Returns the names of the fields of a dataclass, or `None` for a value of any other type.
pub(crate) fn dataclass_fields<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Vec<Bound<'py, PyString>>>> {
    static FIELDS: Imported = Imported::new("dataclasses", "fields");
    let py = value.py();
    if value.get_type().getattr_opt(intern!(py, "__dataclass_fields__"))?.is_none() {
        return Ok(None);
    }
    let fields = FIELDS.get(py)?.call1((value,))?.try_iter()?;
    fields.map(|field| Ok(field?.getattr(intern!(py, "name"))?.cast_into()?)).collect::<PyResult<_>>().map(Some)
}

/// Returns the `UUID` of its bytes.
pub(crate) fn decode_uuid<'py>(py: Python<'py>, bytes: &[u8]) -> Result<Bound<'py, PyAny>, Problem> {
    let arguments = PyDict::new(py);
    arguments.set_item(intern!(py, "bytes"), PyBytes::new(py, bytes))?;
    UUID.get(py)?.call((), Some(&arguments)).map_err(|error| Problem::rejected(py, "UUID", error))
}

//! Arrays of numbers as typed arrays (RFC 8746): of numpy, which is optional, and of the module `array`.

use callboard_core::body::Head;
use pyo3::{
    exceptions::PyImportError,
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyBool, PyByteArray, PyList, PyMemoryView, PyModule, PyTuple},
};

use super::{
    element::Element,
    imported::{Imported, Optional},
};
use crate::value::{output::Output, problem::Problem};

/// The tag of an array of the dimensions and the elements, of which the last index changes fastest.
pub(crate) const TAG_DIMENSIONS: u64 = 40;
/// The tag of an array whose elements all have one type. CBOR has no typed array of booleans.
pub(crate) const TAG_HOMOGENEOUS: u64 = 41;

/// The byte of `false` in CBOR; the one of `true` is the next.
const FALSE: u8 = 0xf4;

pub(crate) static NUMPY_ARRAY: Optional = Optional::new("numpy", "ndarray");
pub(crate) static NUMPY_SCALAR: Optional = Optional::new("numpy", "generic");
pub(crate) static ARRAY: Optional = Optional::new("array", "array");

/// Encodes a `numpy.ndarray` of at least one dimension.
pub(crate) fn encode_numpy(out: &mut Output<'_>, array: &Bound<'_, PyAny>) -> Result<(), Problem> {
    let py = array.py();
    if array.hasattr(intern!(py, "mask"))? {
        return Err(Problem::unsupported("cannot send a masked array; use array.filled()"));
    }
    let dimensions: Vec<u64> = array.getattr(intern!(py, "shape"))?.extract()?;
    if dimensions.len() == 1 {
        return encode_elements(out, array);
    }
    Head::Tag(TAG_DIMENSIONS).write(out.out);
    Head::Array(Some(2)).write(out.out);
    Head::Array(Some(dimensions.len() as u64)).write(out.out);
    dimensions.into_iter().for_each(|dimension| Head::Unsigned(dimension).write(out.out));
    out.nested(|out| out.nested(|out| encode_elements(out, array)))
}

fn encode_elements(out: &mut Output<'_>, array: &Bound<'_, PyAny>) -> Result<(), Problem> {
    let py = array.py();
    let dtype = array.getattr(intern!(py, "dtype"))?;
    let kind: char = dtype.getattr(intern!(py, "kind"))?.extract()?;
    let size: usize = dtype.getattr(intern!(py, "itemsize"))?.extract()?;
    let order: char = dtype.getattr(intern!(py, "byteorder"))?.extract()?;
    let contiguous = py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "ascontiguousarray"), (array,))?;
    if kind == 'b' {
        return encode_booleans(out, &contiguous);
    }
    match Element::of_numpy(kind, size, order) {
        Some(element) => encode_typed(out, element, &contiguous),
        None => Err(Problem::unsupported(format!("cannot send an array of dtype {dtype}; use array.tolist()"))),
    }
}

fn encode_typed(out: &mut Output<'_>, element: Element, buffer: &Bound<'_, PyAny>) -> Result<(), Problem> {
    Head::Tag(element.tag()).write(out.out);
    out.nested(|out| Ok(out.buffer(buffer)?))
}

/// Encodes a contiguous array of booleans. Each is one byte in CBOR as in numpy, so that no loop is needed.
fn encode_booleans(out: &mut Output<'_>, array: &Bound<'_, PyAny>) -> Result<(), Problem> {
    let py = array.py();
    let items = array.call_method1(intern!(py, "view"), (intern!(py, "u1"),))?.add(FALSE)?;
    Head::Tag(TAG_HOMOGENEOUS).write(out.out);
    Head::Array(Some(items.getattr(intern!(py, "size"))?.extract()?)).write(out.out);
    out.nested(|out| out.nested(|out| Ok(out.content(PyMemoryView::from(&items)?)?)))
}

/// Encodes an `array.array`.
pub(crate) fn encode_array(out: &mut Output<'_>, array: &Bound<'_, PyAny>) -> Result<(), Problem> {
    let py = array.py();
    let code: char = array.getattr(intern!(py, "typecode"))?.extract()?;
    let size: usize = array.getattr(intern!(py, "itemsize"))?.extract()?;
    match Element::of_array(code, size) {
        Some(element) => encode_typed(out, element, array),
        None => Err(Problem::unsupported(format!("cannot send an array of type code {code:?}; send it as a string"))),
    }
}

/// Returns the array of a typed array's content: of numpy if it is installed, else of the module `array`. Returns `None` if
/// neither has the type.
pub(crate) fn decode_typed<'py>(
    py: Python<'py>,
    element: Element,
    content: &[u8],
) -> Result<Option<Bound<'py, PyAny>>, Problem> {
    if !content.len().is_multiple_of(element.size()) {
        let message = format!("tag {}: {} bytes are no multiple of {}", element.tag(), content.len(), element.size());
        return Err(Problem::invalid(message));
    }
    // A bytearray, because an array over bytes could not be changed.
    let content = PyByteArray::new(py, content);
    if let Some(numpy) = numpy(py)? {
        return Ok(Some(numpy.call_method1(intern!(py, "frombuffer"), (content, element.dtype()))?));
    }
    let Some(code) = element.array_code() else { return Ok(None) };
    static ARRAY: Imported = Imported::new("array", "array");
    let array = ARRAY.get(py)?.call1((code,))?;
    array.call_method1(intern!(py, "frombytes"), (content,))?;
    if !element.is_native() {
        array.call_method0(intern!(py, "byteswap"))?;
    }
    Ok(Some(array))
}

/// Returns the array of several dimensions, or `None` if the elements are not an array of numpy.
pub(crate) fn decode_dimensions<'py>(parts: &[Bound<'py, PyAny>]) -> Result<Option<Bound<'py, PyAny>>, Problem> {
    let [dimensions, elements] = parts else {
        return Err(Problem::invalid("tag 40: expected an array of two items"));
    };
    // Not signed: numpy would compute a dimension of -1.
    let dimensions: Vec<u64> = dimensions
        .extract()
        .map_err(|_| Problem::invalid("tag 40: expected an array of dimensions, which are unsigned integers"))?;
    if !NUMPY_ARRAY.is_type_of(elements)? {
        return Ok(None);
    }
    let py = elements.py();
    let reshaped = elements.call_method1(intern!(py, "reshape"), (PyTuple::new(py, dimensions)?,));
    reshaped.map(Some).map_err(|error| Problem::rejected(py, "dimensions of an array", error))
}

/// Returns the array of numpy of a list of booleans, and any other value unchanged.
pub(crate) fn decode_homogeneous<'py>(items: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = items.py();
    let booleans =
        items.cast::<PyList>().is_ok_and(|list| list.iter().all(|item| item.is_exact_instance_of::<PyBool>()));
    match numpy(py)? {
        Some(numpy) if booleans => numpy.call_method1(intern!(py, "array"), (items, intern!(py, "?"))),
        _ => Ok(items),
    }
}

/// Returns the module numpy, or `None` if it is not installed.
fn numpy(py: Python<'_>) -> PyResult<Option<&Bound<'_, PyModule>>> {
    static NUMPY: PyOnceLock<Option<Py<PyModule>>> = PyOnceLock::new();
    let module = NUMPY.get_or_try_init(py, || match py.import("numpy") {
        Ok(module) => Ok(Some(module.unbind())),
        Err(error) if error.is_instance_of::<PyImportError>(py) => Ok(None),
        Err(error) => Err(error),
    })?;
    Ok(module.as_ref().map(|module| module.bind(py)))
}

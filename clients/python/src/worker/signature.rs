//! The parameters of a served function, and the binding of a call's arguments to them.

use callboard_core::body::{ArgumentError, ArgumentProblem};
use pyo3::{
    intern,
    prelude::*,
    types::{PyDict, PyString, PyTuple, PyType},
};

use crate::value;

/// The parameters of a function, in order.
#[derive(Debug)]
pub(super) struct Signature {
    parameters: Vec<Parameter>,
    /// The names of the arguments, in order: the parameters that a call can set.
    pub(super) names: Vec<String>,
    /// Whether all parameters are arguments and can be passed by position.
    positional: bool,
}

/// One parameter. Python creates it, in `_contract.py`.
#[derive(Debug, FromPyObject)]
struct Parameter {
    name: Py<PyString>,
    kind: String,
    keyword_only: bool,
    has_default: bool,
    default: Py<PyAny>,
    /// The type whose values need no conversion, if there is one.
    exact: Option<Py<PyType>>,
    /// Converts other values, or raises `_types.Mismatch`. If `None`, any value is valid.
    convert: Option<Py<PyAny>>,
}

/// Why the arguments of a call do not fit.
pub(super) enum BindError {
    /// They do not fit the parameters.
    Arguments(ArgumentError),
    /// A conversion raised another exception.
    Exception(PyErr),
}

impl From<PyErr> for BindError {
    fn from(error: PyErr) -> BindError {
        BindError::Exception(error)
    }
}

/// The arguments of a Python call.
pub(super) type Bindings<'py> = (Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>);

impl<'py> FromPyObject<'_, 'py> for Signature {
    type Error = PyErr;

    fn extract(parameters: Borrowed<'_, 'py, PyAny>) -> PyResult<Signature> {
        let parameters: Vec<Parameter> = parameters.extract()?;
        let arguments = parameters.iter().filter(|parameter| parameter.is_argument());
        let names = arguments.map(|parameter| parameter.name.to_string()).collect();
        let positional = parameters.iter().all(|parameter| parameter.is_argument() && !parameter.keyword_only);
        Ok(Signature { parameters, names, positional })
    }
}

impl Parameter {
    fn is_argument(&self) -> bool {
        self.kind == "argument"
    }

    /// Checks a value against the type of the parameter.
    fn check<'py>(&self, value: Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, BindError> {
        let py = value.py();
        if self.exact.as_ref().is_some_and(|exact| value.get_type().is(exact.bind(py))) {
            return Ok(value);
        }
        let Some(convert) = &self.convert else { return Ok(value) };
        convert.bind(py).call1((value, &self.name)).map_err(|error| mismatch(py, error))
    }
}

impl Signature {
    /// Binds the encoded arguments of a call. `special` returns the values of the parameters that are not arguments, by their kind.
    pub(super) fn bind<'py>(
        &self,
        py: Python<'py>,
        body: &[u8],
        special: impl Fn(&str) -> PyResult<Bound<'py, PyAny>>,
    ) -> Result<Bindings<'py>, BindError> {
        let (given, named) = value::decode_arguments(py, body).map_err(|error| undecodable(py, &error))?;
        let named = named.filter(|named| !named.is_empty());
        if self.positional && named.is_none() && given.len() == self.parameters.len() {
            return Ok((self.check_all(py, given)?, None));
        }
        self.call_arguments(py, self.by_name(given, named)?, special)
    }

    /// Checks arguments that were all given by position.
    fn check_all<'py>(&self, py: Python<'py>, given: Bound<'py, PyTuple>) -> Result<Bound<'py, PyTuple>, BindError> {
        let mut converted = None;
        for (at, (parameter, value)) in self.parameters.iter().zip(given.iter()).enumerate() {
            let checked = parameter.check(value.clone())?;
            if !checked.is(&value) {
                converted.get_or_insert_with(|| given.iter().collect::<Vec<_>>())[at] = checked;
            }
        }
        match converted {
            Some(values) => Ok(PyTuple::new(py, values)?),
            None => Ok(given),
        }
    }

    /// Finds the value of each argument.
    fn by_name<'py>(
        &self,
        given: Bound<'py, PyTuple>,
        named: Option<Bound<'py, PyDict>>,
    ) -> Result<Vec<Option<Bound<'py, PyAny>>>, BindError> {
        let mut values: Vec<_> = given.iter().map(Some).collect();
        if values.len() > self.names.len() {
            let got = values.len().to_string();
            return Err(problem(ArgumentProblem::TooMany, "", &self.listed(), &got));
        }
        values.resize(self.names.len(), None);
        for (name, value) in named.iter().flatten() {
            let name = name.cast::<PyString>().map_err(PyErr::from)?.to_str()?.to_owned();
            let Some(at) = self.names.iter().position(|known| *known == name) else {
                let shown: String = name.chars().take(80).collect();
                return Err(problem(ArgumentProblem::Unknown, &shown, &self.listed(), &shown));
            };
            if values[at].replace(value).is_some() {
                return Err(problem(ArgumentProblem::Duplicate, &name, "one value", "two"));
            }
        }
        Ok(values)
    }

    /// Checks the values, and puts them with the defaults and the special parameters in the form of a Python call.
    fn call_arguments<'py>(
        &self,
        py: Python<'py>,
        values: Vec<Option<Bound<'py, PyAny>>>,
        special: impl Fn(&str) -> PyResult<Bound<'py, PyAny>>,
    ) -> Result<Bindings<'py>, BindError> {
        let (mut positions, names) = (Vec::with_capacity(self.parameters.len()), PyDict::new(py));
        let mut values = values.into_iter();
        for parameter in &self.parameters {
            let value = match parameter.is_argument().then(|| values.next().flatten()) {
                None => special(&parameter.kind)?,
                Some(Some(value)) => parameter.check(value)?,
                Some(None) if parameter.has_default => parameter.default.bind(py).clone(),
                Some(None) => {
                    let name = parameter.name.to_string();
                    return Err(problem(ArgumentProblem::Missing, &name, "a value", "nothing"));
                }
            };
            match parameter.keyword_only {
                true => names.set_item(&parameter.name, value)?,
                false => positions.push(value),
            }
        }
        Ok((PyTuple::new(py, positions)?, (!names.is_empty()).then_some(names)))
    }

    fn listed(&self) -> String {
        if self.names.is_empty() { "no arguments".to_owned() } else { self.names.join(", ") }
    }
}

fn problem(problem: ArgumentProblem, argument: &str, expected: &str, got: &str) -> BindError {
    let (argument, expected, got) = (argument.to_owned(), expected.to_owned(), got.to_owned());
    BindError::Arguments(ArgumentError { problem, argument, expected, got })
}

/// Returns the error of a body that cannot be decoded.
fn undecodable(py: Python<'_>, error: &PyErr) -> BindError {
    problem(ArgumentProblem::Malformed, "", "encoded arguments", &error.value(py).to_string())
}

/// Converts the exception of a conversion: `_types.Mismatch` has the fields of an argument error.
fn mismatch(py: Python<'_>, error: PyErr) -> BindError {
    let exception = error.value(py);
    let field = |name| exception.getattr(name).and_then(|field| field.extract::<String>());
    let fields = (field(intern!(py, "argument")), field(intern!(py, "expected")), field(intern!(py, "got")));
    let (Ok(argument), Ok(expected), Ok(got)) = fields else { return BindError::Exception(error) };
    let refused = exception.getattr(intern!(py, "refused")).is_ok_and(|refused| refused.is_truthy().unwrap_or(false));
    let kind = if refused { ArgumentProblem::Rejected } else { ArgumentProblem::Mismatch };
    BindError::Arguments(ArgumentError { problem: kind, argument, expected, got })
}

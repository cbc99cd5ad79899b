//! A request, from Python.

use callboard_clients::{Call, Client, EncodedArguments};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use super::options::Options;
use crate::value;

const NO_METHOD: &str = "the first argument is the method, such as \"calculator.add\"";

/// A request: in Python the tuple `(method, args, kwargs, options)`. Without `options`, they are among `kwargs`.
#[derive(FromPyObject)]
pub(super) struct Request<'py>(
    Bound<'py, PyString>,
    Bound<'py, PyTuple>,
    Option<Bound<'py, PyDict>>,
    Option<Bound<'py, PyDict>>,
);

impl<'py> Request<'py> {
    /// Creates a request from the arguments of `Client.call`: the method comes first, and options are among `kwargs`.
    ///
    /// # Errors
    /// `TypeError` if the first argument is not a string.
    pub(super) fn from_call(args: &Bound<'py, PyTuple>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Request<'py>> {
        let method = args.get_item(0).ok().and_then(|method| method.cast_into::<PyString>().ok());
        let method = method.ok_or_else(|| PyTypeError::new_err(NO_METHOD))?;
        Ok(Request(method, args.get_slice(1, args.len()), kwargs.cloned(), None))
    }

    /// Prepares the call of a client. Options that are among `kwargs` are removed there.
    ///
    /// # Errors
    /// `TypeError` for an argument that cannot be sent, and for an unknown option; `ValueError` for the value of an option.
    pub(super) fn prepare<T>(self, client: &Client) -> PyResult<Call<T>> {
        let Request(method, args, kwargs, options) = self;
        let options = match options {
            Some(options) => Options::from_dict(&options)?,
            None => Options::take_from(kwargs.as_ref())?,
        };
        let arguments = EncodedArguments(value::encode_arguments(&args, kwargs.as_ref())?);
        Ok(options.apply(client.call(method.to_str()?, arguments)))
    }
}

//! The Python exceptions of failed calls.

//! The error of a file of peers that cannot be used.

use crate::{command::output::exit::Exit, peers_file::PeersFileError};

/// Returns the error that ends the command, with the exit code of a usage error.
pub(super) fn unusable(error: PeersFileError) -> anyhow::Error {
    Exit::Usage.because(error)
}

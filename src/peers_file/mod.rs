//! The file of the peers that a broker knows.
//!
//! | file | contents |
//! |---|---|
//! | `file` | reading the file, and replacing it |
//! | `raw` | the TOML tables of the file |
//! | `edit` | adding a peer to its text, and removing one |
//! | `key_edit` | adding a key to a peer in its text, and removing old ones |
//! | `error` | why a file is not accepted |

mod edit;
mod error;
mod file;
mod key_edit;
mod raw;

pub(crate) use self::{edit::NewPeer, error::PeersFileError, file::PeersFile, key_edit::NewKey};

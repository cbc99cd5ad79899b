//! Files for an installation, generated from the syntax of the command line.
//!
//! | file | contents |
//! |---|---|
//! | `completions` | `callboard completions`: completions of a shell |
//! | `man` | `callboard man`: man pages |

pub(crate) mod completions;
pub(crate) mod man;

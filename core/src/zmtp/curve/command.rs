//! The names and lengths of the commands.

/// A command's name after its length, as on the wire.
pub(super) const HELLO: &[u8] = b"\x05HELLO";
pub(super) const WELCOME: &[u8] = b"\x07WELCOME";
pub(super) const INITIATE: &[u8] = b"\x08INITIATE";
pub(super) const READY: &[u8] = b"\x05READY";
pub(super) const MESSAGE: &[u8; 8] = b"\x07MESSAGE";

/// The length of a HELLO. It is longer than a WELCOME, so that a server cannot be used to amplify a flood.
pub(super) const HELLO_BYTES: usize = 200;
pub(super) const WELCOME_BYTES: usize = 168;
/// The length of an INITIATE without its metadata.
pub(super) const INITIATE_BYTES_MIN: usize = 257;
/// The length of a READY without its metadata.
pub(super) const READY_BYTES_MIN: usize = 30;
pub(super) const COOKIE_BYTES: usize = 96;

/// Returns the `N` bytes at an offset of a command whose length was checked.
pub(super) fn part<const N: usize>(command: &[u8], at: usize) -> [u8; N] {
    *command[at..].first_chunk().expect("the length of the command was checked")
}

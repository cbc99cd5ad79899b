//! The header codec, written by hand.

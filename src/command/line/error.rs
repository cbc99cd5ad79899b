//! The errors of clap, without long values.

use clap::error::{ContextKind, ContextValue};

use crate::command::output::escape::excerpt;

/// The parts of an error that repeat what was typed.
const TYPED: [ContextKind; 3] = [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::InvalidSubcommand];

/// Returns an error that repeats only the beginning of a long word.
pub(super) fn clipped(mut error: clap::Error) -> clap::Error {
    for kind in TYPED {
        if let Some(ContextValue::String(text)) = error.get(kind) {
            let text = excerpt(text);
            error.insert(kind, ContextValue::String(text));
        }
    }
    // The tip repeats an unknown argument once more.
    let is_long = error.get(ContextKind::InvalidArg).is_some_and(|word| word.to_string().contains("more characters)"));
    if is_long {
        error.remove(ContextKind::Suggested);
    }
    error
}

//! Panics of handlers: the outcome of the call, and a log line with the backtrace.

use std::{
    any::Any,
    backtrace::Backtrace,
    cell::Cell,
    env,
    io::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::{Mutex, Once, PoisonError},
    time::{Duration, Instant},
};

use callboard_transport::CallScope;
use tracing::dispatcher;

use crate::{
    handler::Context,
    log,
    outcome::{Outcome, panic_failure},
};

/// The largest part of a backtrace that is logged.
const BACKTRACE_BYTES_MAX: usize = 8 * 1024;
/// The time between two backtraces in the log. To find the names of their functions takes tens of milliseconds, and a method that
/// panics for each call would slow down the worker.
const BACKTRACE_INTERVAL: Duration = Duration::from_secs(1);

thread_local! {
    /// The backtrace of the last panic of a handler on this thread.
    static BACKTRACE: Cell<Option<Backtrace>> = const { Cell::new(None) };
}

/// Captures the backtrace of each panic of a handler from now on, unless RUST_BACKTRACE is 0. The panic hook of the program still runs.
pub(crate) fn capture_backtraces() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        if env::var_os("RUST_BACKTRACE").is_some_and(|value| value == "0") {
            return;
        }
        let program = take_hook();
        set_hook(Box::new(move |info| {
            if CallScope::is_entered() {
                BACKTRACE.set(Some(Backtrace::force_capture()));
            }
            program(info);
        }));
    });
}

/// Returns the outcome of a handler that panicked, and logs the panic with the id of the call. A panic fails only its own call.
pub(super) fn caught(panic: Box<dyn Any + Send>, context: &Context) -> Outcome {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let failure = panic_failure(text.as_deref().unwrap_or("no panic message"));
    report(context, &failure.message, &backtrace_text(BACKTRACE.take()));
    // Dropping the panic payload can panic too.
    let _ = catch_unwind(AssertUnwindSafe(move || drop(panic)));
    Err(failure)
}

/// Logs a panic. Without a log it goes to standard error, so that a worker that was started by hand reports it.
fn report(context: &Context, message: &str, backtrace: &str) {
    let (call, method) = (context.call_id(), context.method());
    // The message may contain what the caller sent: it must not begin a line of its own.
    let message: String = message.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if dispatcher::has_been_set() {
        tracing::error!(target: log::WORKER, %call, method, "{message}{backtrace}");
    } else {
        // A failure to print cannot be reported either.
        let _ = writeln!(io::stderr(), "callboard: call {call} of {method}: {message}{backtrace}");
    }
}

/// Returns the frames of the program in a backtrace, each on a line; nothing if the last one was logged just now.
fn backtrace_text(backtrace: Option<Backtrace>) -> String {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let Some(backtrace) = backtrace else { return String::new() };
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_some_and(|last| last.elapsed() < BACKTRACE_INTERVAL) {
        return String::new();
    }
    *last = Some(Instant::now());
    drop(last);
    format!("\n{}", frames_of_program(&backtrace.to_string()))
}

/// Cuts the frames of the panic itself and of the executor off a backtrace, and what is beyond the limit.
fn frames_of_program(backtrace: &str) -> String {
    let frames: Vec<&str> = backtrace.lines().collect();
    let is_of = |names: &'static [&'static str]| move |line: &&str| names.iter().any(|name| line.contains(name));
    let panicking = frames.iter().rposition(is_of(&["core::panicking::", "std::panicking::begin_panic"]));
    // The next line is the place of the last such frame, if it is known.
    let start = panicking.map_or(0, |at| at + 1 + usize::from(frames.get(at + 1).is_some_and(is_place)));
    let end = frames.iter().skip(start).position(is_of(&["callboard_workers::"])).map_or(frames.len(), |at| start + at);
    let text = frames[start..end].join("\n");
    text[..text.floor_char_boundary(BACKTRACE_BYTES_MAX)].to_owned()
}

/// Returns whether a line of a backtrace is the place of the frame above it.
fn is_place(line: &&str) -> bool {
    line.trim_start().starts_with("at ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backtrace_has_the_frames_of_the_program_only() {
        let backtrace = "   0: std::backtrace::Backtrace::force_capture\n   1: core::panicking::panic_fmt\n             at /rustc/panicking.rs:75:14\n   2: calculator::divide\n             at ./src/main.rs:7:5\n   3: callboard_workers::handler::call\n   4: std::rt::lang_start";
        assert_eq!(frames_of_program(backtrace), "   2: calculator::divide\n             at ./src/main.rs:7:5");
        assert_eq!(frames_of_program("   0: one\n   1: two"), "   0: one\n   1: two");
        assert_eq!(frames_of_program(&"x".repeat(100_000)).len(), BACKTRACE_BYTES_MAX);
    }
}

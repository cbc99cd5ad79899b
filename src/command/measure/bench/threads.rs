//! Threads with a runtime each, for the programs of the bench with several clients or workers.

use std::{io, thread};

use anyhow::Context as _;

/// Runs `program` on `count` threads, each with a runtime of one thread. It receives the number of its thread, from 0 on.
///
/// An error is passed to `failed` on the thread that has it.
///
/// # Errors
/// If the system cannot start a thread.
pub(crate) fn start<P, F>(
    name: &str,
    count: u32,
    program: P,
    failed: impl Fn(anyhow::Error) + Clone + Send + 'static,
) -> io::Result<()>
where
    P: Fn(u32) -> F + Clone + Send + 'static,
    F: Future<Output = anyhow::Result<()>>,
{
    for number in 0..count {
        let (program, failed) = (program.clone(), failed.clone());
        let run = move || block_on(program(number)).unwrap_or_else(failed);
        thread::Builder::new().name(format!("{name}{number}")).spawn(run)?;
    }
    Ok(())
}

fn block_on(program: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start: the system provides no event queue")?.block_on(program)
}

//! The tasks that read the output of workers, and the thread that prints it to standard error.

use std::{
    io::{self, Write},
    os::fd::OwnedFd,
    thread,
    time::Duration,
};

use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::Receiver,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::lines::{LINE_BYTES_MAX, LastLines, LineSplitter};

/// The capacity of the queue of lines to print. When it is full, workers that print are blocked for [`PRINT_TIMEOUT`]; the pool itself
/// is not blocked.
const LINES_WAITING_MAX: usize = 256;
/// How long a full queue blocks a worker that prints. A slow reader of standard error therefore loses nothing. A reader that does not
/// read at all must not stop the worker's calls: further output is dropped until the queue has capacity again.
const PRINT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the output of a process is read after its exit. Its own output is in the pipe by then, but a process that it started in
/// another group can hold the pipe open forever.
const READ_AFTER_EXIT: Duration = Duration::from_secs(1);

/// The thread that writes to standard error. Such a write can block, which the pool's own thread must not.
#[derive(Debug)]
pub(in crate::pool) struct Printer {
    lines: mpsc::Sender<Vec<u8>>,
    done: oneshot::Receiver<()>,
}

impl Printer {
    /// Starts the thread. It ends when the last sender of lines is dropped.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(in crate::pool) fn start() -> io::Result<Printer> {
        let (lines, mut printed) = mpsc::channel::<Vec<u8>>(LINES_WAITING_MAX);
        let (finished, done) = oneshot::channel();
        thread::Builder::new().name("callboard-output".into()).spawn(move || {
            while let Some(line) = printed.blocking_recv() {
                // Fails if standard error is closed, which must not stop the workers.
                let _ = io::stderr().write_all(&line);
            }
            let _ = finished.send(());
        })?;
        Ok(Printer { lines, done })
    }

    /// Waits until all lines are printed, for a bounded time, because standard error can block.
    pub(in crate::pool) async fn finish(self) {
        drop(self.lines);
        let _ = timeout(READ_AFTER_EXIT, self.done).await;
    }

    /// Starts a task that reads the output of the process `instance`.
    ///
    /// # Errors
    /// If the pipes cannot be registered with the runtime.
    pub(in crate::pool) fn follow(&self, instance: &str, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<Output> {
        let (exited, exit) = oneshot::channel();
        let reader = OutputReader {
            pipes: [Pipe::new(stdout)?, Pipe::new(stderr)?],
            sender: LineSender { prefix: format!("{instance}: "), lines: self.lines.clone(), dropped: 0 },
            last_lines: LastLines::default(),
        };
        Ok(Output { exited, task: tokio::spawn(reader.run(exit)) })
    }
}

/// The handle to the output task of one process. The task ends within a bounded time after the handle is dropped.
#[derive(Debug)]
pub(in crate::pool) struct Output {
    exited: oneshot::Sender<()>,
    task: JoinHandle<LastLines>,
}

impl Output {
    /// Reports that the process has exited. The returned task reads the rest of the pipes, and yields the last lines within
    /// [`READ_AFTER_EXIT`].
    pub(in crate::pool) fn finish(self) -> JoinHandle<LastLines> {
        let _ = self.exited.send(());
        self.task
    }
}

/// The standard output or the standard error of one process.
#[derive(Debug)]
struct Pipe {
    /// `None` after end-of-file.
    receiver: Option<Receiver>,
    splitter: LineSplitter,
}

impl Pipe {
    fn new(pipe: OwnedFd) -> io::Result<Pipe> {
        Ok(Pipe { receiver: Some(Receiver::from_owned_fd(pipe)?), splitter: LineSplitter::default() })
    }

    /// Waits for output and returns the lines that it completes. Waits forever after end-of-file. Cancel safe.
    async fn read(&mut self) -> Vec<Vec<u8>> {
        let Some(receiver) = &mut self.receiver else {
            return std::future::pending().await;
        };
        let mut buffer = [0; LINE_BYTES_MAX];
        let mut lines = Vec::new();
        match receiver.read(&mut buffer).await {
            Ok(count) if count > 0 => self.splitter.push(&buffer[..count], &mut lines),
            _ => {
                lines.extend(self.splitter.finish());
                self.receiver = None;
            }
        }
        lines
    }
}

/// The task that reads the output of one process.
struct OutputReader {
    pipes: [Pipe; 2],
    sender: LineSender,
    last_lines: LastLines,
}

impl OutputReader {
    async fn run(mut self, exited: oneshot::Receiver<()>) -> LastLines {
        tokio::select! {
            // Dropped when the time is over: then the output that did not fit into the queue is lost.
            () = self.read_all() => {}
            // Only waits.
            () = read_time_over(exited) => {
                let rests: Vec<_> = self.pipes.iter_mut().filter_map(|pipe| pipe.splitter.finish()).collect();
                rests.iter().for_each(|line| self.last_lines.push(line));
            }
        }
        self.last_lines
    }

    async fn read_all(&mut self) {
        while self.pipes.iter().any(|pipe| pipe.receiver.is_some()) {
            let [stdout, stderr] = &mut self.pipes;
            let lines = tokio::select! {
                // Both are cancel safe.
                lines = stdout.read() => lines,
                lines = stderr.read() => lines,
            };
            for line in lines {
                self.last_lines.push(&line);
                self.sender.send(&line).await;
            }
        }
    }
}

/// The sender of one process's lines to the printer, which runs as long as a sender exists.
struct LineSender {
    prefix: String,
    lines: mpsc::Sender<Vec<u8>>,
    /// The number of lines dropped since the last one that was sent.
    dropped: u64,
}

impl LineSender {
    /// Sends a line. Waits for capacity for a bounded time, and not at all if the previous line was dropped.
    async fn send(&mut self, line: &[u8]) {
        let printed = [self.prefix.as_bytes(), line, b"\n"].concat();
        if self.dropped == 0 {
            self.dropped = u64::from(timeout(PRINT_TIMEOUT, self.lines.send(printed)).await.is_err());
        } else if let Ok(permits) = self.lines.try_reserve_many(2) {
            let count = std::mem::take(&mut self.dropped);
            let notice = format!("{}({count} lines dropped: standard error was blocked)\n", self.prefix);
            permits.zip([notice.into_bytes(), printed]).for_each(|(permit, line)| permit.send(line));
        } else {
            self.dropped += 1;
        }
    }
}

/// Waits until [`READ_AFTER_EXIT`] after the process has exited, or after its [`Output`] was dropped.
async fn read_time_over(exited: oneshot::Receiver<()>) {
    let _ = exited.await;
    sleep(READ_AFTER_EXIT).await;
}

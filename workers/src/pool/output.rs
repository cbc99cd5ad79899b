//! What workers print, on its way to the pool's standard error.

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

use super::lines::{LINE_BYTES_MAX, LastLines, LineCutter};

/// Lines that wait to be printed. When they are this many, workers that print wait, too, for [`PATIENCE`]; the pool itself does not.
const LINES_WAITING_MAX: usize = 256;
/// How long a worker that prints waits for a reader. A slow one loses nothing by it; one that does not read at all must not stop the
/// worker's calls, and so what it prints from then on is lost, until somebody reads again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the output of a process is read after its end. What it printed itself is in the pipe by then; but a process that it
/// left behind, in another group, may hold the pipe open for ever.
const LINGER: Duration = Duration::from_secs(1);

/// The thread that writes to standard error, which may block: the thread that watches the workers must not.
#[derive(Debug)]
pub(super) struct Printer {
    lines: mpsc::Sender<Vec<u8>>,
    done: oneshot::Receiver<()>,
}

impl Printer {
    /// Starts the thread. It ends when the last sender of lines is gone.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub(super) fn start() -> io::Result<Printer> {
        let (lines, mut printed) = mpsc::channel::<Vec<u8>>(LINES_WAITING_MAX);
        let (finished, done) = oneshot::channel();
        thread::Builder::new().name("callboard-output".into()).spawn(move || {
            while let Some(line) = printed.blocking_recv() {
                // Standard error may have been closed: that is no reason to stop the workers.
                let _ = io::stderr().write_all(&line);
            }
            let _ = finished.send(());
        })?;
        Ok(Printer { lines, done })
    }

    /// Waits until everything is printed, for a bounded time: standard error may be stuck.
    pub(super) async fn finish(self) {
        drop(self.lines);
        let _ = timeout(LINGER, self.done).await;
    }

    /// Follows the output of a process called `instance`, on a task of its own.
    ///
    /// # Errors
    /// If the pipes cannot be watched.
    pub(super) fn follow(&self, instance: &str, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<Output> {
        let (ended, end) = oneshot::channel();
        let follower = Follower {
            pipes: [Pipe::new(stdout)?, Pipe::new(stderr)?],
            outlet: Outlet { prefix: format!("{instance}: "), lines: self.lines.clone(), lost: 0 },
            last: LastLines::default(),
        };
        Ok(Output { ended, task: tokio::spawn(follower.run(end)) })
    }
}

/// The output of one process. Its task ends by itself a bounded time after this is dropped.
#[derive(Debug)]
pub(super) struct Output {
    ended: oneshot::Sender<()>,
    task: JoinHandle<LastLines>,
}

impl Output {
    /// The process has ended: what is still in its pipes is read. The task returns its last lines within [`LINGER`].
    pub(super) fn end(self) -> JoinHandle<LastLines> {
        let _ = self.ended.send(());
        self.task
    }
}

/// One of the two pipes.
#[derive(Debug)]
struct Pipe {
    /// `None` after its end.
    receiver: Option<Receiver>,
    cutter: LineCutter,
}

impl Pipe {
    fn new(pipe: OwnedFd) -> io::Result<Pipe> {
        Ok(Pipe { receiver: Some(Receiver::from_owned_fd(pipe)?), cutter: LineCutter::default() })
    }

    /// Waits for output and returns the lines that are complete with it. Never returns after the end. Cancel safe.
    async fn read(&mut self) -> Vec<Vec<u8>> {
        let Some(receiver) = &mut self.receiver else {
            return std::future::pending().await;
        };
        let mut buffer = [0; LINE_BYTES_MAX];
        let mut lines = Vec::new();
        match receiver.read(&mut buffer).await {
            Ok(count) if count > 0 => self.cutter.cut(&buffer[..count], &mut lines),
            _ => {
                lines.extend(self.cutter.rest());
                self.receiver = None;
            }
        }
        lines
    }
}

/// The task that reads a process's output.
struct Follower {
    pipes: [Pipe; 2],
    outlet: Outlet,
    last: LastLines,
}

impl Follower {
    async fn run(mut self, ended: oneshot::Receiver<()>) -> LastLines {
        tokio::select! {
            // Dropped half-way if time is up: what is lost then is output that nobody took in time.
            () = self.read_all() => {}
            // Only waits.
            () = lingered(ended) => {
                let rests: Vec<_> = self.pipes.iter_mut().filter_map(|pipe| pipe.cutter.rest()).collect();
                rests.iter().for_each(|line| self.last.push(line));
            }
        }
        self.last
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
                self.last.push(&line);
                self.outlet.print(&line).await;
            }
        }
    }
}

/// The way of a process's lines to the printer, which lives as long as there is a sender.
struct Outlet {
    prefix: String,
    lines: mpsc::Sender<Vec<u8>>,
    /// Lines for which there was no room since the last one that went through.
    lost: u64,
}

impl Outlet {
    /// Waits for a bounded time until there is room, or not at all where there was none for the line before.
    async fn print(&mut self, line: &[u8]) {
        let printed = [self.prefix.as_bytes(), line, b"\n"].concat();
        if self.lost == 0 {
            self.lost = u64::from(timeout(PATIENCE, self.lines.send(printed)).await.is_err());
        } else if let Ok(room) = self.lines.try_reserve_many(2) {
            let told =
                format!("{}({} lines are lost: nobody read them)\n", self.prefix, std::mem::take(&mut self.lost));
            room.zip([told.into_bytes(), printed]).for_each(|(place, line)| place.send(line));
        } else {
            self.lost += 1;
        }
    }
}

/// Returns some time after the process has ended (or its [`Output`] was dropped).
async fn lingered(ended: oneshot::Receiver<()>) {
    let _ = ended.await;
    sleep(LINGER).await;
}

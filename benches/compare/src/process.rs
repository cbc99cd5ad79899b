//! One process of a peer.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;

/// The time in which an installed program must open its port.
const START_MAX: Duration = Duration::from_secs(10);

/// A running process. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
    input: ChildStdin,
}

/// CPU seconds and resident MiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_s: f64,
    pub(crate) rss_mib: f64,
}

impl Process {
    /// Starts this program in the role of a peer's process.
    pub(crate) fn start_role(arguments: &[&str]) -> anyhow::Result<Process> {
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        Process::start(Command::new(program).arg("role").args(arguments))
    }

    /// Starts an installed program that serves a port, and waits until it does.
    pub(crate) fn start_server(name: &str, arguments: impl Fn(u16) -> Vec<String>) -> anyhow::Result<(Process, u16)> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut process = Process::start(Command::new(name).args(arguments(port)).stderr(Stdio::null()))?;
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let has_ended = process.child.try_wait()?.is_some();
            anyhow::ensure!(!has_ended && started.elapsed() < START_MAX, "{name} does not serve port {port}");
            thread::sleep(Duration::from_millis(20));
        }
        Ok((process, port))
    }

    fn start(command: &mut Command) -> anyhow::Result<Process> {
        let name = command.get_program().to_string_lossy().into_owned();
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.with_context(|| format!("cannot start {name}"))?;
        let lines = BufReader::new(child.stdout.take().context("the process has no standard output")?);
        let input = child.stdin.take().context("the process has no standard input")?;
        Ok(Process { child, lines, input })
    }

    /// Reads the next line.
    pub(crate) fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        anyhow::ensure!(self.lines.read_line(&mut line)? > 0, "a process has ended before it was ready");
        Ok(line.trim_end().to_owned())
    }

    /// Reads the line `ready`, and returns the words after it.
    pub(crate) fn ready(&mut self) -> anyhow::Result<Vec<String>> {
        let line = self.line()?;
        let words =
            line.strip_prefix("ready").with_context(|| format!("a process printed {line:?} and not \"ready\""))?;
        Ok(words.split_whitespace().map(str::to_owned).collect())
    }

    /// Writes the line for which a client waits.
    pub(crate) fn resume(&mut self) -> anyhow::Result<()> {
        Ok(self.input.write_all(b"go\n")?)
    }

    /// Reads what the process has used since its start.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in parentheses, may have any characters. The columns follow it.
        let columns: Vec<_> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let column = |at: usize| columns.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page_mib = rustix::param::page_size() as f64 / (1024.0 * 1024.0);
        // Columns 14, 15 and 24 of proc(5), of which the name is the second.
        Ok(Usage { cpu_s: (column(11) + column(12)) / ticks, rss_mib: column(21) * page_mib })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! What the counts depend on besides the code.

use std::process::{Command, Stdio};

/// The compiler, the C library and the processor: each changes the counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Environment {
    /// The first line of `rustc --version`.
    pub(super) rustc: String,
    /// The first line of `ldd --version`: the C library has the allocator, and copies memory.
    pub(super) libc: String,
    /// The processor, and whether it has the vector instructions that the C library copies memory with.
    pub(super) processor: String,
}

impl Environment {
    /// Returns the environment of this machine. `None` without valgrind.
    pub(super) fn detect() -> Option<Environment> {
        first_line("valgrind")?;
        let unknown = || "unknown".to_owned();
        Some(Environment {
            rustc: first_line("rustc").unwrap_or_else(unknown),
            libc: first_line("ldd").unwrap_or_else(unknown),
            processor: processor(),
        })
    }

    /// Returns how another environment differs from that of this baseline, if it does.
    pub(super) fn difference(&self, other: &Environment) -> Option<String> {
        let pairs = [(&self.rustc, &other.rustc), (&self.libc, &other.libc), (&self.processor, &other.processor)];
        let (before, now) = pairs.into_iter().find(|(before, now)| before != now)?;
        Some(format!("the baseline was written with {before}, and this machine has {now}"))
    }
}

/// Returns the first line that a program prints for `--version`. `None` if it cannot run.
fn first_line(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned)
}

#[cfg(target_arch = "x86_64")]
fn processor() -> String {
    let avx2 = if std::arch::is_x86_feature_detected!("avx2") { "with AVX2" } else { "without AVX2" };
    format!("x86_64 {avx2}")
}

#[cfg(not(target_arch = "x86_64"))]
fn processor() -> String {
    std::env::consts::ARCH.to_owned()
}

//! The log of the broker: a line for each diagnostic, within limits.
//!
//! Everything here can be caused by a peer, as often as it likes. So the lines of each reason are limited, and the workers of a pool share
//! a line.
//!
//! | file | contents |
//! |---|---|
//! | `limiter` | the limit on the lines of one reason |
//! | `diagnostics` | the line of each diagnostic |
//! | `target` | the target of the lines |
//! | `pools` | the changes of the workers of a pool, in one line |

mod diagnostics;
mod limiter;
mod pools;
mod target;
#[cfg(test)]
mod tests;

use std::time::Instant;

use callboard_core::{broker::Diagnostic, wire::ids::ConnectionId};

use self::pools::PoolChanges;
pub(crate) use self::{limiter::LogLimiter, target::TARGET};

/// The log of the machine's diagnostics.
#[derive(Debug, Default)]
pub(crate) struct DiagnosticLog {
    limiter: LogLimiter,
    pools: PoolChanges,
}

impl DiagnosticLog {
    /// Logs a diagnostic, unless there are too many of its reason; `address_of` returns the address of a connection.
    pub(crate) fn log(&mut self, diagnostic: &Diagnostic, address_of: impl Fn(ConnectionId) -> Option<String>) {
        self.pools.record(diagnostic, Instant::now());
        self.limiter
            .log(diagnostics::reason(diagnostic), |suppressed| diagnostics::write(diagnostic, suppressed, address_of));
    }

    /// Returns when [`DiagnosticLog::write_due`] has something to write.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.pools.poll_timeout()
    }

    /// Writes the lines about pools that are due.
    pub(crate) fn write_due(&mut self, now: Instant) {
        let limiter = &mut self.limiter;
        self.pools.take_due(now, |pool, changes| {
            limiter.log("pool-changed", |suppressed| pools::write(pool, changes, suppressed));
        });
    }
}

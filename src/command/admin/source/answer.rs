//! The answer of a broker or a pool, within a bound.

use std::time::Duration;

use tokio::time::timeout;

/// The time that a broker or a pool has to answer. One that does not is not live.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(1);

/// Returns the answer of `what`, or why it did not answer.
pub(super) async fn answer<T>(what: &str, answer: impl Future<Output = Option<T>>) -> Result<T, String> {
    match timeout(ANSWER_MAX, answer).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(format!("{what} has ended")),
        Err(_) => Err(format!("{what} did not answer within {} s", ANSWER_MAX.as_secs())),
    }
}

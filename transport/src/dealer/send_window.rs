//! The limit of the sent messages that zeromq holds.
//!
//! zeromq queues up to 100,000 messages of any size and does not report when it has written one. But it drops a message once it is
//! written. So some messages carry a receipt: a frame that reports its drop to the window. Messages are written in order, so a
//! receipt confirms all messages before it too. A receipt costs an allocation, so only one message of a batch carries one.

use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use bytes::Bytes;
use callboard_core::wire::bundle::Frames;
use futures::task::AtomicWaker;

/// The limit of what zeromq holds. High enough to keep a fast network busy while the driver's task sleeps; low enough that a peer
/// that does not read costs little memory, and that a lost connection loses no more than a socket's buffer would.
const HELD_BYTES_MAX: usize = 1024 * 1024;
/// The number of bytes for which one message carries a receipt.
const BATCH_BYTES: usize = 64 * 1024;
/// The memory that a message takes beyond its bytes: zeromq's lists and futures around it.
const MESSAGE_BYTES: usize = 256;
/// zeromq's own limit. It must never be reached: a send that waits there cannot be cancelled.
const ZEROMQ_QUEUE_MAX: usize = 100_000;

const _: () = assert!(
    (HELD_BYTES_MAX + BATCH_BYTES) / MESSAGE_BYTES + 1 < ZEROMQ_QUEUE_MAX,
    "a message that the window admits must never wait in zeromq"
);
const _: () = assert!(BATCH_BYTES < HELD_BYTES_MAX, "a full window must hold a receipt, or it would stay full");

/// Counts the messages that zeromq holds, in batches.
#[derive(Default)]
pub(super) struct SendWindow {
    /// The size of the messages admitted since the last receipt.
    batch: usize,
    held: Arc<Held>,
}

/// The part that the receipts share.
#[derive(Default)]
struct Held {
    /// The size of all batches whose receipt is not dropped yet.
    bytes: AtomicUsize,
    /// The task that waits for capacity.
    waiter: AtomicWaker,
}

/// The first frame of a batch's last message.
struct Receipt {
    frame: Bytes,
    batch: usize,
    held: Arc<Held>,
}

impl SendWindow {
    /// Returns true if a message, of any size, may be given to zeromq.
    pub(super) fn has_capacity(&self) -> bool {
        self.held.bytes.load(Ordering::Acquire) < HELD_BYTES_MAX
    }

    /// Counts `frames`, which are given to zeromq next. Returns the same bytes, with a receipt if the batch is full.
    pub(super) fn admit(&mut self, frames: Frames) -> Frames {
        self.batch += MESSAGE_BYTES + frames.first.len() + frames.large.as_ref().map_or(0, Bytes::len);
        if self.batch < BATCH_BYTES {
            return frames;
        }
        let batch = std::mem::take(&mut self.batch);
        self.held.bytes.fetch_add(batch, Ordering::AcqRel);
        let receipt = Receipt { frame: frames.first, batch, held: Arc::clone(&self.held) };
        Frames { first: Bytes::from_owner(receipt), large: frames.large }
    }

    /// Waits until the window has capacity.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping the future has no effect.
    pub(super) async fn capacity(&self) {
        future::poll_fn(|context| {
            // Registered before the check: a receipt that is dropped in between wakes this task.
            self.held.waiter.register(context.waker());
            if self.has_capacity() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl AsRef<[u8]> for Receipt {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.held.bytes.fetch_sub(self.batch, Ordering::AcqRel);
        self.held.waiter.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::atomic::AtomicBool,
        task::{Context, Wake, Waker},
    };

    use super::*;

    fn frames(bytes: usize) -> Frames {
        Frames { first: Bytes::from(vec![7; bytes]), large: None }
    }

    #[test]
    fn admitted_frames_are_the_same_bytes() {
        let mut window = SendWindow::default();
        let large = Some(Bytes::from_static(b"body"));
        let before = Frames { first: Bytes::from(vec![7; 2 * BATCH_BYTES]), large };
        assert_eq!(window.admit(before.clone()), before);
    }

    #[test]
    fn capacity_ends_at_the_limit_and_returns_when_the_messages_are_dropped() {
        let mut window = SendWindow::default();
        let mut given = Vec::new();
        while window.has_capacity() {
            given.push(window.admit(frames(100)));
        }
        assert!(given.len() <= (HELD_BYTES_MAX + BATCH_BYTES) / MESSAGE_BYTES);
        drop(given);
        assert!(window.has_capacity());
        assert_eq!(window.held.bytes.load(Ordering::Acquire), 0);
    }

    #[test]
    fn one_message_of_any_size_is_admitted() {
        let mut window = SendWindow::default();
        let given = window.admit(frames(2 * HELD_BYTES_MAX));
        assert!(!window.has_capacity());
        drop(given);
        assert!(window.has_capacity());
    }

    #[test]
    fn a_task_that_waits_for_capacity_is_woken() {
        let mut window = SendWindow::default();
        let given = window.admit(frames(2 * HELD_BYTES_MAX));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        assert!(pin!(window.capacity()).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(given);
        assert!(woken.0.load(Ordering::Acquire));
        assert!(pin!(window.capacity()).poll(&mut Context::from_waker(&waker)).is_ready());
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Release);
        }
    }
}

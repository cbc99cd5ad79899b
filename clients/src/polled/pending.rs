//! The callbacks and tasks that wait for the program's polls.

use std::{cell::RefCell, fmt, mem};

use bytes::Bytes;
use slab::Slab;

use super::task::Task;
use crate::error::call_error::CallError;

/// Decodes a call's outcome and runs the user's callback with it. Not `Send`: it stays on the thread that made the call.
type Run = Box<dyn FnOnce(Result<Bytes, CallError>)>;

/// A callback or a task that waits for the program's polls.
pub(super) enum Pending {
    /// A callback that waits for its outcome.
    Callback(Run),
    /// A task that waits for its wake-up.
    Task(Task),
    /// A task that is being polled. `woken` is true if it was polled again meanwhile, by itself.
    Running { woken: bool },
}

/// Polls the task with this key, if there is one. `pending` is not borrowed meanwhile: the task may make calls, and poll the client.
pub(super) fn run_task(pending: &RefCell<Slab<Pending>>, key: usize) {
    let mut task = match pending.borrow_mut().get_mut(key) {
        Some(Pending::Running { woken }) => {
            // The task itself polls the client.
            *woken = true;
            return;
        }
        Some(slot @ Pending::Task(_)) => match mem::replace(slot, Pending::Running { woken: false }) {
            Pending::Task(task) => task,
            _ => unreachable!("the slot holds a task"),
        },
        // A late wake-up: the key belongs to another entry by now.
        Some(Pending::Callback(_)) | None => return,
    };
    let mut slot = RunningSlot { pending, key, task: None };
    if task.poll().is_pending() {
        slot.task = Some(task);
    }
}

/// The slot of a running task. On drop it puts the task back, or removes the slot of a task that completed or panicked.
struct RunningSlot<'a> {
    pending: &'a RefCell<Slab<Pending>>,
    key: usize,
    task: Option<Task>,
}

impl Drop for RunningSlot<'_> {
    fn drop(&mut self) {
        let mut pending = self.pending.borrow_mut();
        let Some(task) = self.task.take() else {
            drop(pending.remove(self.key));
            return;
        };
        let woken = matches!(pending[self.key], Pending::Running { woken: true });
        if woken {
            task.wake();
        }
        pending[self.key] = Pending::Task(task);
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pending::Callback(_) => "Callback",
            Pending::Task(_) => "Task",
            Pending::Running { .. } => "Running",
        })
    }
}

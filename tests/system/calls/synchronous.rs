//! Clients for programs that are not async: the blocking and the polled client.

use std::{
    cell::{Cell, RefCell},
    os::fd::AsFd,
    rc::Rc,
    thread,
    time::Duration,
};

use callboard::{CallError, Client, Code, blocking, polled};
use rustix::event::{PollFd, PollFlags, poll};

use crate::harness::{Broker, DEADLINE, Pool, Process, poll_until};

struct Scene {
    broker: Broker,
    _worker: Process,
}

fn calculator() -> Scene {
    let broker = Broker::start();
    let worker = broker.worker("calculator-worker", "calculator");
    Scene { broker, _worker: worker }
}

#[test]
fn any_number_of_threads_wait_for_calls_of_one_client() {
    let scene = calculator();
    let client = blocking::Client::connect(&scene.broker.frontend).unwrap();
    thread::scope(|scope| {
        for x in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for y in 0..100 {
                    assert_eq!(client.call::<i64>("calculator.add", (x, y)).wait().unwrap(), x + y);
                }
            });
        }
    });
    let error = client.call::<f64>("calculator.div", (1, 0)).wait().unwrap_err();
    assert_eq!(error.type_name(), "DivisionByZero");
    client.close().unwrap();
    assert_eq!(client.call::<i64>("calculator.add", (1, 2)).wait().unwrap_err().code(), Code::FailedPrecondition);
}

#[test]
fn calls_complete_on_any_runtime_even_if_the_runtime_of_the_client_is_blocked() {
    let scene = calculator();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime.block_on(Client::connect(&scene.broker.frontend)).unwrap();
    thread::scope(|scope| {
        for x in 0..4_i64 {
            let client = &client;
            scope.spawn(move || {
                for y in 0..50 {
                    let calls = (0..10).map(|z| client.call::<i64>("calculator.add", (x + y, z)).into_future());
                    let sums = futures::executor::block_on(futures::future::try_join_all(calls)).unwrap();
                    assert_eq!(sums, (x + y..x + y + 10).collect::<Vec<_>>());
                }
            });
        }
    });
    runtime.block_on(client.close()).unwrap();
}

#[test]
fn a_blocking_client_goes_on_where_a_callback_takes_the_answer() {
    let scene = calculator();
    let client = blocking::Client::connect(&scene.broker.frontend).unwrap();
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    client
        .call("calculator.add", (2, 3))
        .on_complete(move |sum: Result<i64, CallError>| sender.send(sum).unwrap())
        .unwrap();
    assert_eq!(receiver.recv_timeout(DEADLINE).unwrap().unwrap(), 5);
    client.call("calculator.add", (2, 3)).cast().unwrap();
    client.close().unwrap();
}

#[test]
fn polled_callbacks_run_on_the_thread_that_polls_and_only_there() {
    let scene = calculator();
    let client = polled::Client::new(&scene.broker.frontend).unwrap();
    // Neither `Send` nor behind a lock: only this thread uses it.
    let sums = Rc::new(RefCell::new(Vec::new()));
    let here = thread::current().id();
    for x in 0..100_i64 {
        let sums = Rc::clone(&sums);
        let seen = move |sum: Result<i64, CallError>| {
            assert_eq!(thread::current().id(), here);
            sums.borrow_mut().push(sum.unwrap());
        };
        client.call("calculator.add", (x, 1)).on_complete(seen).unwrap();
    }
    assert_eq!(client.pending(), 100);
    poll_until(&client, || client.pending() == 0);
    let mut sums = sums.take();
    sums.sort_unstable();
    assert_eq!(sums, (1..=100).collect::<Vec<_>>());
    assert_eq!(client.poll(), 0);
    client.close().unwrap();
}

#[test]
fn a_polled_clients_file_descriptor_is_readable_when_there_is_something_to_do() {
    let scene = calculator();
    let client = polled::Client::new(&scene.broker.frontend).unwrap();
    for round in 0..20 {
        let sum = Rc::new(Cell::new(0));
        let seen = Rc::clone(&sum);
        client
            .call("calculator.add", (round, 1))
            .on_complete(move |s: Result<i64, CallError>| seen.set(s.unwrap()))
            .unwrap();
        // The program's own loop over its descriptors. No code of the client runs meanwhile.
        let timeout = rustix::event::Timespec { tv_sec: DEADLINE.as_secs().cast_signed(), tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&client.as_fd(), PollFlags::IN)], Some(&timeout)).unwrap(), 1);
        assert_eq!(client.poll(), 1);
        assert_eq!(sum.get(), round + 1);
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&client.as_fd(), PollFlags::IN)], Some(&now)).unwrap(), 0);
    }
}

#[test]
fn polling_never_blocks_and_a_callback_gets_the_timeout_when_it_passes() {
    // No broker listens at this address.
    let client = polled::Client::new("tcp://127.0.0.1:9").unwrap();
    let ended = Rc::new(RefCell::new(None));
    let seen = Rc::clone(&ended);
    let call = client.call("calculator.add", (2, 3)).timeout(Duration::from_millis(300));
    call.on_complete(move |sum: Result<i64, CallError>| *seen.borrow_mut() = Some(sum)).unwrap();
    assert_eq!(client.poll(), 0);
    poll_until(&client, || client.pending() == 0);
    let error = ended.take().unwrap().unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
}

#[test]
fn a_polled_callback_may_make_calls_and_poll() {
    let scene = calculator();
    let client = Rc::new(polled::Client::new(&scene.broker.frontend).unwrap());
    let steps = Rc::new(Cell::new(0));
    next_step(&client, &steps);
    poll_until(&client, || steps.get() == 10);
    assert_eq!(client.pending(), 0);
}

/// Adds one through the broker, and makes the next call in the callback, up to ten.
fn next_step(client: &Rc<polled::Client>, steps: &Rc<Cell<i64>>) {
    // Not a strong reference: a client that its own callbacks keep alive would never be dropped.
    let (again, seen) = (Rc::downgrade(client), Rc::clone(steps));
    let callback = move |sum: Result<i64, CallError>| {
        seen.set(sum.unwrap());
        let client = again.upgrade().unwrap();
        client.poll();
        if seen.get() < 10 {
            next_step(&client, &seen);
        }
    };
    client.call("calculator.add", (steps.get(), 1)).on_complete(callback).unwrap();
}

#[test]
fn closing_or_dropping_a_polled_client_runs_each_pending_callback_once_with_cancelled() {
    let broker = Broker::start();
    let _pool = Pool::start(&broker, 1);
    for close in [true, false] {
        let client = polled::Client::new(&broker.frontend).unwrap();
        let codes = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..50 {
            let codes = Rc::clone(&codes);
            let seen = move |ended: Result<(), CallError>| codes.borrow_mut().push(ended.unwrap_err().code());
            client.call("jobs.pause", (600_000,)).no_timeout().on_complete(seen).unwrap();
        }
        if close {
            client.close().unwrap();
        } else {
            drop(client);
        }
        assert_eq!(codes.take(), [Code::Cancelled; 50]);
    }
}

#[test]
fn a_full_polled_client_returns_an_error_and_drops_the_callback() {
    let client = Client::builder("tcp://127.0.0.1:9").callbacks_max(2).polled().unwrap();
    let kept = Rc::new(());
    let call = || {
        let kept = Rc::clone(&kept);
        client.call("a.b", ()).on_complete(move |_: Result<(), CallError>| drop(kept))
    };
    assert!(call().is_ok() && call().is_ok());
    assert_eq!(call().unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(Rc::strong_count(&kept), 3);
    assert_eq!(
        client.call("no name", ()).on_complete(|_: Result<(), CallError>| {}).unwrap_err().code(),
        Code::ResourceExhausted
    );
    drop(client);
    assert_eq!(Rc::strong_count(&kept), 1);
}

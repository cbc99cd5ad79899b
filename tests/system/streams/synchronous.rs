//! Streams and stubs of the blocking and the polled client.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use callboard::{CallError, Code, Failed, Progress, blocking, polled};

use crate::harness::{Broker, DEADLINE, Process, example, poll_until};

#[path = "../../../examples/users/api.rs"]
#[allow(dead_code)]
mod api;

use api::{UserError, UserManagerClient, UserType};

/// Starts a broker and the example worker, and connects a blocking client.
fn scene() -> (Broker, Process, blocking::Client) {
    let broker = Broker::start();
    let worker = broker.worker("streams-worker", "numbers");
    let client = blocking::Client::connect(&broker.frontend).unwrap();
    (broker, worker, client)
}

fn polled_scene() -> (Broker, Process, polled::Client) {
    let broker = Broker::start();
    let worker = broker.worker("streams-worker", "numbers");
    let client = polled::Client::new(&broker.frontend).unwrap();
    (broker, worker, client)
}

fn users(broker: &Broker) -> (Process, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = example("users-worker");
    command
        .env("CALLBOARD_BACKEND", &broker.backend)
        .env("CALLBOARD_EXAMPLE_USERS_FILE", folder.path().join("users.json"));
    let worker = Process::start(command);
    broker.wait_for_service("user_manager");
    (worker, folder)
}

#[test]
fn a_blocking_client_iterates_over_items_and_sends_some() {
    let (_broker, _worker, client) = scene();
    let items = client.call::<()>("numbers.count", (10_000,)).timeout(DEADLINE).stream::<u64>();
    assert_eq!(items.map(Result::unwrap).sum::<u64>(), 50_005_000);
    let (mut numbers, sum) = client.call::<i64>("numbers.sum", ()).timeout(DEADLINE).upload::<i64>();
    (1..=10_000).for_each(|number| numbers.send(&number).unwrap());
    numbers.end();
    assert_eq!(sum.wait().unwrap(), 50_005_000);
    let (mut numbers, mut sums) = client.call::<()>("numbers.sums", (100,)).timeout(DEADLINE).duplex::<i64, i64>();
    for (number, sum) in [(1, 101), (2, 103)] {
        numbers.send(&number).unwrap();
        assert_eq!(sums.next().unwrap().unwrap(), sum);
    }
    numbers.end();
    assert!(sums.next().is_none());
}

#[test]
fn a_blocking_client_gets_errors_progress_and_the_count_of_missed_items() {
    let (_broker, _worker, client) = scene();
    let mut words = client.call::<()>("numbers.walk", (3,)).stream::<u64>();
    assert_eq!(words.next().unwrap().unwrap_err().code(), Code::InvalidArgument);
    assert!(words.next().is_none(), "the stream ends with the error");
    let (sender, receiver) = std::sync::mpsc::sync_channel(1_000);
    let walk = client.call::<u64>("numbers.walk", (100,)).timeout(DEADLINE);
    assert_eq!(walk.on_progress(move |Progress { done, .. }| sender.try_send(done).unwrap()).wait().unwrap(), 100);
    assert_eq!(receiver.iter().last(), Some(100));
    let mut newest = client.call::<()>("numbers.count", (10_000,)).timeout(DEADLINE).conflate().stream::<u64>();
    let (mut taken, mut last, mut dropped) = (0, 0, 0);
    while let Some(number) = newest.next() {
        (taken, last) = (taken + 1, number.unwrap());
        dropped = newest.as_stream().map_or(dropped, callboard::ReplyStream::dropped);
    }
    assert_eq!((last, taken + dropped), (10_000, 10_000));
}

#[test]
fn a_progress_callback_may_call_and_wait() {
    let (_broker, _worker, client) = scene();
    let walk = client.call::<u64>("numbers.walk", (100,)).timeout(DEADLINE);
    let (asked, answers) = (client.clone(), Arc::new(AtomicU64::new(0)));
    let answered = Arc::clone(&answers);
    let reply = walk.on_progress(move |_| {
        let answer = asked.call::<u64>("numbers.walk", (1,)).timeout(DEADLINE).wait();
        answered.fetch_add(answer.unwrap(), Ordering::Relaxed);
    });
    assert_eq!(reply.wait().unwrap(), 100);
    assert_ne!(answers.load(Ordering::Relaxed), 0, "progress was reported");
}

#[test]
fn a_stub_is_made_of_a_blocking_client() {
    let broker = Broker::start();
    let (_worker, _folder) = users(&broker);
    let client = blocking::Client::connect(&broker.frontend).unwrap();
    let users = UserManagerClient::from(&client);
    assert_eq!(users.get_user(5).wait().unwrap().nickname, "Zaru");
    assert_eq!(users.get_user(7).wait(), Err(Failed::Application(UserError::NotFound { id: 7 })));
    let normal = blocking::Items::from(users.get_users_by_type(UserType::Normal).stream());
    let nicknames: Vec<_> = normal.map(|user| user.unwrap().nickname).collect();
    assert_eq!(nicknames, ["foo", "Zaru", "Saru"]);
    let (ids, count) = users.count_already_users().upload();
    let (mut ids, count) = (blocking::ItemSender::from(ids), blocking::Reply::from(count));
    [1, 2, 99].iter().for_each(|id| ids.send(id).unwrap());
    ids.end();
    assert_eq!(count.wait(), Ok(2));
}

#[test]
fn a_polled_client_gets_items_and_their_end_on_its_own_thread() {
    let (_broker, _worker, client) = polled_scene();
    let (count, ended) = (Rc::new(Cell::new(0_u64)), Rc::new(Cell::new(false)));
    let (counted, end) = (Rc::clone(&count), Rc::clone(&ended));
    let call = client.call::<()>("numbers.count", (10_000,)).timeout(DEADLINE);
    call.stream::<u64>(move |item| match item {
        Some(item) => {
            counted.set(counted.get() + 1);
            assert_eq!(item.unwrap(), counted.get());
        }
        None => end.set(true),
    })
    .unwrap();
    assert_eq!((client.pending(), count.get()), (1, 0), "no callback runs before a poll");
    poll_until(&client, || ended.get());
    assert_eq!((client.pending(), count.get()), (0, 10_000));
    client.close().unwrap();
}

#[test]
fn a_polled_client_that_does_not_poll_delays_only_its_own_handler() {
    let (_broker, _worker, client) = polled_scene();
    let (last, ended) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let (seen, end) = (Rc::clone(&last), Rc::clone(&ended));
    let count = client.as_async().call::<()>("numbers.count", (1_000,)).timeout(DEADLINE).stream::<u64>();
    let each = move |item: Option<Result<u64, CallError>>| match item {
        Some(item) => seen.set(item.unwrap()),
        None => end.set(true),
    };
    client.for_each(count, each).unwrap();
    let ran = client.poll();
    assert!(ran <= 1 && last.get() <= 32, "one turn: {}", last.get());
    let sum = Rc::new(Cell::new(0));
    let seen = Rc::clone(&sum);
    client
        .call("numbers.walk", (5,))
        .on_complete(move |steps: Result<u64, CallError>| seen.set(steps.unwrap()))
        .unwrap();
    poll_until(&client, || sum.get() == 5);
    poll_until(&client, || ended.get());
    assert_eq!(last.get(), 1_000);
}

#[test]
fn a_future_runs_in_the_polls_and_sends_items_there() {
    let (_broker, _worker, client) = polled_scene();
    let (mut numbers, sum) = client.as_async().call::<i64>("numbers.sum", ()).timeout(DEADLINE).upload::<i64>();
    let result = Rc::new(RefCell::new(None));
    let result_of_task = Rc::clone(&result);
    let sending = async move {
        for number in 1..=5_000 {
            numbers.send(&number).await.unwrap();
        }
        numbers.end();
        *result_of_task.borrow_mut() = Some(sum.await);
    };
    client.run(sending).unwrap();
    poll_until(&client, || result.borrow().is_some());
    assert_eq!(result.take(), Some(Ok(12_502_500)));
}

#[test]
fn each_callback_of_a_polled_client_gets_exactly_one_end() {
    let (_broker, _worker, client) = polled_scene();
    let ends = Rc::new(RefCell::new(Vec::new()));
    let end = |end: &Rc<RefCell<Vec<Code>>>| {
        let ends = Rc::clone(end);
        move |item: Option<Result<u64, CallError>>| match item {
            Some(Ok(_)) => {}
            Some(Err(error)) => ends.borrow_mut().push(error.code()),
            None => panic!("the stream has no end"),
        }
    };
    let ticks = || client.call::<()>("numbers.ticks", ()).no_timeout();
    ticks().timeout(Duration::from_millis(100)).stream(end(&ends)).unwrap();
    poll_until(&client, || ends.borrow().len() == 1);
    ticks().stream(end(&ends)).unwrap();
    let seen = Rc::clone(&ends);
    let asked = client.as_async().call::<u64>("numbers.walk", (1_000_000,)).no_timeout();
    client.on_complete(asked, move |steps| seen.borrow_mut().push(steps.unwrap_err().code())).unwrap();
    client.process(Duration::from_secs(1));
    drop(client);
    assert_eq!(*ends.borrow(), [Code::DeadlineExceeded, Code::Cancelled, Code::Cancelled]);
}

#[test]
fn a_stub_is_made_of_a_polled_client_and_its_callbacks_may_poll() {
    let broker = Broker::start();
    let (_worker, _folder) = users(&broker);
    let client = Rc::new(polled::Client::new(&broker.frontend).unwrap());
    let users = UserManagerClient::from(&*client);
    let found = Rc::new(RefCell::new(Vec::new()));
    for id in [5, 7] {
        let found = Rc::clone(&found);
        let keep = move |user: Result<api::User, Failed<UserError>>| found.borrow_mut().push((id, user.is_ok()));
        client.on_complete(users.get_user(id), keep).unwrap();
    }
    poll_until(&client, || found.borrow().len() == 2);
    found.borrow_mut().sort_unstable();
    assert_eq!(*found.borrow(), [(5, true), (7, false)]);
    let names = Rc::new(RefCell::new(Vec::new()));
    let (seen, polling) = (Rc::clone(&names), Rc::clone(&client));
    let each = move |user: Option<Result<api::User, CallError>>| {
        polling.poll();
        seen.borrow_mut().push(user.map(|user| user.unwrap().nickname));
    };
    client.for_each(users.get_users_by_type(UserType::Normal).stream(), each).unwrap();
    poll_until(&client, || names.borrow().last() == Some(&None));
    let expected = ["foo", "Zaru", "Saru"].map(|name| Some(name.to_owned()));
    assert_eq!(names.borrow()[..3], expected);
}

//! Limits of concurrent calls: of a method over several workers, and of a worker over its services. The workers run in the test's process, the broker does not.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use callboard::{Reply, Service, Worker};
use tokio::sync::Semaphore;

use crate::harness::{Broker, DEADLINE, until};

/// The number of running reports, its maximum, and the permits to finish.
#[derive(Clone)]
struct Desk {
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    leave: Arc<Semaphore>,
}

impl Desk {
    async fn report(self, year: u32) -> Reply<u32> {
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(open, Ordering::SeqCst);
        self.leave.acquire().await.unwrap().forget();
        self.open.fetch_sub(1, Ordering::SeqCst);
        Reply(year)
    }

    fn books(&self) -> Service {
        let desk = self.clone();
        Service::new("books")
            .read("report", ["year"], move |year| desk.clone().report(year))
            .read("title", [], async || "Callboard")
            .concurrency("report", 2)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_concurrency_limit_of_a_method_holds_over_two_workers_with_many_slots() {
    let desk = Desk { open: Arc::default(), most: Arc::default(), leave: Arc::new(Semaphore::new(0)) };
    let broker = Broker::start();
    let workers = [(); 2].map(|()| Worker::new().backend(&broker.backend).serve(desk.books()).start().unwrap());
    for mut worker in workers {
        worker.registered().await.unwrap();
    }
    let client = broker.client().await;
    let calls: Vec<_> = (0..10)
        .map(|year| client.call::<u32>("books.report", (year,)).timeout(DEADLINE))
        .map(|call| tokio::spawn(call.into_future()))
        .collect();
    until("the limit is reached", || (desk.open.load(Ordering::SeqCst) == 2).then_some(()));
    // Calls of other methods do not wait behind them.
    let title = client.call::<String>("books.title", ()).timeout(DEADLINE).await.unwrap();
    assert_eq!(title, "Callboard");
    assert!(broker.command(&["services"]).printed().contains("2 of 2"));
    desk.leave.add_permits(10);
    for (year, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap() as usize, year);
    }
    assert_eq!(desk.most.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_one_slot_for_all_services_runs_one_call_at_a_time() {
    let desk = Desk { open: Arc::default(), most: Arc::default(), leave: Arc::new(Semaphore::new(0)) };
    let broker = Broker::start();
    let service = |name: &str| {
        let desk = desk.clone();
        Service::new(name).read("report", ["year"], move |year| desk.clone().report(year))
    };
    let worker = Worker::new().backend(&broker.backend).serve(service("books")).serve(service("maps"));
    let mut worker = worker.slots(1).start().unwrap();
    worker.registered().await.unwrap();
    let client = broker.client().await;
    let calls: Vec<_> = (0..6)
        .map(|year| (["books.report", "maps.report"][year % 2], year as u32))
        .map(|(method, year)| client.call::<u32>(method, (year,)).timeout(DEADLINE))
        .map(|call| tokio::spawn(call.into_future()))
        .collect();
    until("a call runs", || (desk.open.load(Ordering::SeqCst) == 1).then_some(()));
    desk.leave.add_permits(6);
    for (year, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap() as usize, year);
    }
    assert_eq!(desk.most.load(Ordering::SeqCst), 1);
}

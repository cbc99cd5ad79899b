//! The service `callboard`: what the broker says of itself. All its methods are `read`.

use serde::{Deserialize, Serialize};

use super::{Broker, Counters, client::Outcome, service::near};
use crate::{
    body,
    wire::{
        envelope::Effect,
        status::{Code, Executed, Failure},
    },
};

/// The name of the broker's own service.
pub(super) const SERVICE: &str = "callboard";
/// What comes before a pool's name in the name of its service.
pub(super) const POOL_PREFIX: &str = "callboard.pool.";
const METHODS: [&str; 8] = ["ping", "services", "status", "why", "dead", "dead_show", "dead_resend", "dead_drop"];

/// A service as `callboard.services` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Workers that serve it.
    pub workers: usize,
    /// Calls they can run at once.
    pub slots: u64,
    /// Calls they run now.
    pub running: u64,
    /// Calls that wait.
    pub waiting: usize,
    /// Its methods.
    pub methods: Vec<MethodStatus>,
}

/// A method as `callboard.services` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodStatus {
    /// Its name.
    pub name: String,
    /// The names of its arguments, in order.
    pub arguments: Vec<String>,
    /// What it may do to the world, by the strictest worker's word.
    pub effect: Effect,
}

/// The broker as `callboard.status` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The broker's id.
    pub broker: String,
    /// The id of this start.
    pub start: String,
    /// Clients that are connected, or may yet return.
    pub clients: usize,
    /// Workers that are connected.
    pub workers: Vec<WorkerStatus>,
    /// Calls that are open: waiting or running.
    pub open: usize,
    /// What was counted since the start.
    pub counters: Counters,
}

/// A worker as `callboard.status` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its instance name.
    pub name: String,
    /// Its pool, if it has one.
    pub pool: Option<String>,
    /// Its process on its machine.
    pub pid: Option<u32>,
    /// Its machine.
    pub host: String,
    /// Calls it runs.
    pub running: usize,
    /// Whether it takes no more calls.
    pub draining: bool,
    /// Whether it did not stop a call that ran past its hard limit.
    #[serde(default)]
    pub stuck: bool,
}

/// Whether a service's name is the broker's or a pool's.
pub(super) fn is_reserved(service: &str) -> bool {
    service == SERVICE || service.starts_with("callboard.")
}

impl Broker {
    /// Answers a call of the broker's own service.
    pub(super) fn own_call(&self, method: &str) -> Outcome {
        let body = match method {
            "ping" => body::encode(&()),
            "services" => body::encode(&self.service_statuses()),
            "status" => body::encode(&self.status()),
            _ => {
                let meant = near(method, METHODS.into_iter()).join(" or ");
                let message = match meant.as_str() {
                    "" => format!("{SERVICE} has no method {method}; it has {}", METHODS.join(", ")),
                    _ => format!("{SERVICE} has no method {method}; did you mean {meant}?"),
                };
                return Err(Box::new(Failure::new(Code::Unimplemented, Executed::No, message)));
            }
        };
        body.map_err(|error| Box::new(Failure::new(Code::Internal, Executed::Yes, error.to_string())))
    }

    /// The broker as it stands.
    pub fn status(&self) -> Status {
        let worker = |worker: &super::Worker| WorkerStatus {
            name: worker.name.to_string(),
            pool: worker.pool.clone(),
            pid: worker.pid,
            host: worker.host.clone(),
            running: worker.running.len(),
            draining: worker.draining,
            stuck: worker.stuck > 0,
        };
        Status {
            broker: self.identity.broker.to_string(),
            start: self.identity.start.to_string(),
            clients: self.clients.len(),
            workers: self.workers.values().map(worker).collect(),
            open: self.calls.len(),
            counters: self.counters,
        }
    }

    /// The services that somebody serves now.
    pub fn service_statuses(&self) -> Vec<ServiceStatus> {
        let served = self.service_names.values().filter(|key| self.services[key].offers > 0);
        served.map(|key| self.service_status(*key)).collect()
    }

    fn service_status(&self, key: super::ServiceKey) -> ServiceStatus {
        let service = &self.services[&key];
        let offers = self.workers.values().flat_map(|worker| &worker.offers).filter(|offer| offer.service == key);
        let (slots, running) = offers.fold((0, 0), |(slots, running), offer| {
            (slots + u64::from(offer.slots), running + u64::from(offer.running))
        });
        let serves = |worker: &&super::Worker| worker.offers.iter().any(|offer| offer.service == key);
        let methods = service.methods.iter().filter(|method| method.is_offered()).map(|method| MethodStatus {
            name: method.name.clone(),
            arguments: method.arguments.clone(),
            effect: method.effect(),
        });
        ServiceStatus {
            name: service.name.clone(),
            workers: self.workers.values().filter(serves).count(),
            slots,
            running,
            waiting: service.queue.len(),
            methods: methods.collect(),
        }
    }
}

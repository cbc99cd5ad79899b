//! The paths of a call through the core, each as a function that performs it once.
//!
//! The guard (`main.rs`) counts their instructions and allocations, and the bench (`benches/time.rs`) measures their time.

mod broker;
mod client;
mod codec;
mod queue;
mod samples;
mod worker;

/// A path through the core whose cost is measured.
pub struct Path {
    /// Its name in tables and in the baseline.
    pub name: &'static str,
    /// The number of calls of one run. Costs are stated for one call.
    pub calls: u32,
    /// Prepares a number of runs. Each call of the returned function is one run.
    pub prepare: fn(runs: usize) -> Box<dyn FnMut()>,
}

/// The number of envelopes of a full bundle, and of the calls of a busy turn.
const MANY: u32 = 64;

/// All paths.
pub const PATHS: [Path; 14] = [
    Path { name: "encode_request", calls: 1, prepare: |_| codec::encode(vec![samples::request(1)]) },
    Path { name: "decode_request", calls: 1, prepare: |_| codec::decode_for_broker(vec![samples::request(1)]) },
    Path { name: "encode_dispatch", calls: 1, prepare: |_| codec::encode(vec![samples::dispatch(1)]) },
    Path { name: "decode_dispatch", calls: 1, prepare: |_| codec::decode_for_peer(vec![samples::dispatch(1)]) },
    Path { name: "encode_reply", calls: 1, prepare: |_| codec::encode(vec![samples::reply(1)]) },
    Path { name: "decode_reply", calls: 1, prepare: |_| codec::decode_for_peer(vec![samples::reply(1)]) },
    Path { name: "encode_bundle_of_64", calls: MANY, prepare: |_| codec::encode(samples::requests(1, MANY)) },
    Path {
        name: "decode_bundle_of_64",
        calls: MANY,
        prepare: |_| codec::decode_for_broker(samples::requests(1, MANY)),
    },
    Path { name: "queue_with_10k_waiting", calls: 1, prepare: |_| queue::push_and_pop(10_000, 100) },
    Path { name: "broker_call", calls: 1, prepare: |runs| broker::turns(runs, 1) },
    Path { name: "broker_turn_of_64", calls: MANY, prepare: |runs| broker::turns(runs, MANY) },
    Path { name: "broker_waiting_call", calls: 1, prepare: broker::waiting_calls },
    Path { name: "worker_call", calls: 1, prepare: worker::calls },
    Path { name: "client_call", calls: 1, prepare: client::calls },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_runs_as_often_as_it_was_prepared() {
        for path in PATHS {
            let mut run = (path.prepare)(3);
            (0..3).for_each(|_| run());
        }
    }
}

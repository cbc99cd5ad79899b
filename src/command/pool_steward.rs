//! What a pool does with what it learns at the broker.

use std::{sync::Arc, time::Duration};

use callboard::{
    core::broker::Load,
    pool::{PoolControl, PoolStatus, SeatState},
};

use super::pool_lookout::Lookout;

/// How often it looks at its workers while some are to register or are on trial.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Tells the pool which of its workers have registered at the broker, for as long as it is polled.
pub(crate) async fn steward(lookout: Arc<Lookout>, control: PoolControl) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if !awaits_registration(&control.status()) {
            continue;
        }
        // A broker that does not answer is asked again a moment later.
        if let Some(load) = lookout.load().await {
            tell_registered(&load, &control).await;
        }
    }
}

fn awaits_registration(status: &PoolStatus) -> bool {
    status.seats.iter().any(|seat| matches!(seat.state, SeatState::Running { .. }))
}

async fn tell_registered(load: &Load, control: &PoolControl) {
    for worker in &load.workers {
        control.registered(worker.name.as_str()).await;
    }
}

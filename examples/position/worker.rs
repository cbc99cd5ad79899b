//! A worker with a background loop: a point moves around a circle, with or without calls.
//!
//! ```text
//! cargo run --example position-worker -- --every-ms 100 --degrees 5
//! callboard call position.position me
//! callboard call position.watch --conflate --timeout none
//! ```

mod api;
#[path = "../common/program.rs"]
mod program;
mod settings;

use std::{process::ExitCode, sync::Arc};

use api::{Point, Position, Published, Reading, Status};
use callboard::{Outgoing, Stream, Worker};
use futures::stream;
use settings::Settings;
use tokio::{sync::watch, time};

/// The state that the loop and the served calls share.
#[derive(Clone)]
struct Circle {
    /// In degrees.
    azimuth: Arc<watch::Sender<f64>>,
}

impl Circle {
    /// Moves the point forever.
    async fn turn(self, settings: Settings) {
        let mut ticks = time::interval(settings.every);
        loop {
            ticks.tick().await;
            self.azimuth.send_modify(|azimuth| *azimuth = (*azimuth + settings.degrees).rem_euclid(360.0));
        }
    }
}

fn reading(azimuth: f64, message: String) -> Reading {
    let (y, x) = azimuth.to_radians().sin_cos();
    Reading { x, y, z: 0.0, status: Status::Ok, message }
}

impl Position for Circle {
    async fn position(&self, request: String) -> Reading {
        tracing::debug!(request, "was asked for the position");
        reading(*self.azimuth.borrow(), format!("for {request}"))
    }

    async fn publish(&self, Point { x, y, .. }: Point) -> Published {
        if !(x.is_finite() && y.is_finite()) || (x, y) == (0.0, 0.0) {
            let message = "no place on the circle is the nearest".to_owned();
            return Published { status: Status::Refused, message };
        }
        let azimuth = y.atan2(x).to_degrees().rem_euclid(360.0);
        self.azimuth.send_replace(azimuth);
        tracing::info!(azimuth, "continues from a published position");
        Published { status: Status::Ok, message: format!("continues from {azimuth:.1} degrees") }
    }

    async fn watch(&self) -> Outgoing<impl Stream<Item = Reading>> {
        // Each watcher gets the newest azimuth that it has not seen. A slow watcher already skips some here.
        let changes = stream::unfold(self.azimuth.subscribe(), async |mut azimuth| {
            azimuth.changed().await.ok()?;
            let now = *azimuth.borrow_and_update();
            Some((reading(now, format!("at {now:.1} degrees")), azimuth))
        });
        Outgoing::conflated(Box::pin(changes))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    program::exit_code(serve().await)
}

async fn serve() -> anyhow::Result<()> {
    let settings = Settings::load(("CALLBOARD_BACKEND", "tcp://127.0.0.1:5560"), 100)?;
    let circle = Circle { azimuth: Arc::new(watch::Sender::new(0.0)) };
    let worker = Worker::new().backend(&settings.address).serve(circle.clone().into_service());
    let turning = tokio::spawn(circle.turn(settings));
    let ended = worker.run().await;
    turning.abort();
    Ok(ended?)
}

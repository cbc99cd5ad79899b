//! The time of each path. `cargo bench` in this folder; `cargo bench -- broker` for some of them.

use std::time::Instant;

use callboard_instructions::PATHS;
use criterion::{Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for path in PATHS {
        let mut group = criterion.benchmark_group("core");
        group.throughput(Throughput::Elements(path.calls.into()));
        group.bench_function(path.name, |bencher| {
            bencher.iter_custom(|runs| {
                let mut run = (path.prepare)(usize::try_from(runs).expect("a number of runs"));
                let started = Instant::now();
                (0..runs).for_each(|_| run());
                started.elapsed()
            });
        });
        group.finish();
    }
    criterion.final_summary();
}

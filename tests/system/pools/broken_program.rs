//! Changes of a pool whose program is missing or whose directory is gone: each ends with a clear error, and the pool recovers.

use std::{fs, path::PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::{Broker, Pool, example_path, signal};

/// A pool of two workers whose program is a file of the test.
struct Scene {
    broker: Broker,
    pool: Pool,
    folder: TempDir,
    program: PathBuf,
}

impl Scene {
    /// Starts the pool with a relative program, in its folder.
    fn start() -> Scene {
        let (broker, folder) = (Broker::start(), tempfile::tempdir().unwrap());
        let program = folder.path().join("pool-worker");
        fs::copy(example_path("pool-worker"), &program).unwrap();
        let mut command = Pool::command_with(&broker.backend, "jobs", 2, &["--startup-timeout", "5s"]);
        command.arg("./pool-worker").current_dir(folder.path());
        let pool = Pool::of(command, "jobs", 2);
        Scene { broker, pool, folder, program }
    }

    fn away(&self) -> PathBuf {
        self.folder.path().join("away")
    }

    /// Removes the program and kills a worker, which then cannot be restarted.
    fn break_one_worker(&self) {
        let pids = self.pool.pids(&self.broker);
        fs::rename(&self.program, self.away()).unwrap();
        signal(pids[1], Signal::KILL);
        self.pool.process.stderr.wait_for("The pool retries it every 10s");
    }

    fn repair(&self) {
        fs::rename(self.away(), &self.program).unwrap();
    }

    fn assert_serves(&self) {
        assert!(self.broker.call(&["jobs.collatz", "27"]).printed().contains("\"value\":111"));
    }
}

#[test]
fn a_reload_of_a_looping_pool_is_rolled_back_while_its_program_is_missing_and_succeeds_after_that() {
    let scene = Scene::start();
    scene.break_one_worker();
    scene.broker.command(&["reload", "jobs"]).failed_with(8, &["rolled back, the old workers stay"]);
    scene.assert_serves();
    scene.repair();
    let reloaded = scene.broker.command(&["reload", "jobs"]).printed();
    assert_eq!(reloaded, "jobs reloaded: 2 new workers");
    scene.assert_serves();
}

#[test]
fn a_looping_pool_shrinks_at_once_and_grows_when_its_program_is_back() {
    let scene = Scene::start();
    scene.break_one_worker();
    assert_eq!(scene.broker.command(&["scale", "jobs", "1"]).printed(), "jobs has 1 workers");
    let grown = scene.broker.command(&["scale", "jobs", "3", "--timeout", "1s"]);
    grown.failed_with(5, &["timed out before jobs had 3 workers", "the pool continues"]);
    scene.assert_serves();
    scene.repair();
    assert_eq!(scene.broker.command(&["scale", "jobs", "3"]).printed(), "jobs has 3 workers");
}

#[test]
fn a_pool_whose_directory_is_gone_keeps_its_workers_and_can_shrink() {
    let scene = Scene::start();
    fs::remove_dir_all(scene.folder.path()).unwrap();
    scene.broker.command(&["reload", "jobs"]).failed_with(8, &["rolled back, the old workers stay"]);
    scene.pool.process.stderr.wait_for("cannot execute \"./pool-worker\"");
    scene.assert_serves();
    assert_eq!(scene.broker.command(&["scale", "jobs", "1"]).printed(), "jobs has 1 workers");
    scene.assert_serves();
}

#[test]
fn a_pool_with_an_absolute_program_reloads_also_if_its_directory_is_gone() {
    let (broker, folder) = (Broker::start(), tempfile::tempdir().unwrap());
    let mut command = Pool::command(&broker.backend, "jobs", 2);
    command.arg(example_path("pool-worker")).current_dir(folder.path());
    let _pool = Pool::of(command, "jobs", 2);
    folder.close().unwrap();
    assert_eq!(broker.command(&["reload", "jobs"]).printed(), "jobs reloaded: 2 new workers");
}

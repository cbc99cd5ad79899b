//! Tests of supervision: restarts, crash loops and startup errors.

use std::{fs, process::Command};

use callboard_workers::pool::{Exit, Pool, PoolError, PoolEvent, ProgramError, ReplicaId};

use crate::{
    harness::{FOREVER, TestPool, block_on, kill, living_processes, settings, unique_name},
    helpers::RUN_WORKER,
    tests,
};

tests![
    a_killed_worker_is_restarted_at_once,
    a_crash_loop_ends_the_pool_and_reports_the_last_lines,
    a_crash_loop_of_one_replica_drains_the_others,
    a_missing_program_is_an_error_before_the_start,
    a_program_that_cannot_be_executed_reports_the_reason,
    a_missing_shim_is_an_error,
    a_worker_has_the_environment_and_the_group_of_its_pool,
    the_pool_is_ready_when_all_workers_are_reported_registered,
    the_shim_runs_nothing_without_its_pool,
];

fn a_killed_worker_is_restarted_at_once() {
    let mut pool = TestPool::with_script(2, "exec sleep 1000");
    let ((first, _), (second, pid)) = (pool.started(), pool.started());
    let name = pool.name.clone();
    assert_eq!([first, second.clone()], [format!("{name}-1"), format!("{name}-2")]);
    kill(pid);
    let replica = ReplicaId(2);
    assert_eq!(pool.event(), PoolEvent::Exited { instance: second, replica, exit: Exit::Signal(9) });
    let instance = format!("{name}-2.1");
    assert_eq!(pool.event(), PoolEvent::Restarting { instance: instance.clone(), replica, after: Default::default() });
    assert!(matches!(pool.event(), PoolEvent::Started { instance: started, .. } if started == instance));
    pool.shutdown(FOREVER);
    pool.finish();
    pool.wait_until_empty();
}

fn a_crash_loop_ends_the_pool_and_reports_the_last_lines() {
    let mut pool = TestPool::with_script(1, "echo one; echo two >&2; printf three; exit 3");
    let events = pool.finish();
    let Some(PoolEvent::GaveUp { crash_loop, last_lines }) = events.last() else {
        panic!("{events:?}");
    };
    assert_eq!((&crash_loop.instance, &crash_loop.last_exit), (&format!("{}-1.4", pool.name), &Exit::Status(3)));
    let mut lines = last_lines.clone();
    lines.sort(); // two pipes: their order is not defined
    assert_eq!(lines, ["one", "three", "two"]);
    assert_eq!(events.iter().filter(|event| matches!(event, PoolEvent::Started { .. })).count(), 5);
}

fn a_crash_loop_of_one_replica_drains_the_others() {
    let script = "case $CALLBOARD_INSTANCE in *-2) trap 'touch $1/drained; exit' TERM; touch $1/trapped;
        while :; do sleep 0.02; done;; esac
        while [ ! -e $1/trapped ]; do sleep 0.02; done; exit 1";
    let mut pool = TestPool::with_script(2, script);
    let events = pool.finish();
    assert!(events.iter().any(|event| matches!(event, PoolEvent::GaveUp { .. })), "{events:?}");
    assert!(pool.has("drained"));
}

fn a_missing_program_is_an_error_before_the_start() {
    let name = unique_name();
    let error = Pool::start(settings(&name, 2, "no-such-program-anywhere", &[])).expect_err("no program");
    assert!(matches!(error, PoolError::Program(ProgramError::NotInPath(_))), "{error}");
    assert_eq!(living_processes(&name, None), []);
}

fn a_program_that_cannot_be_executed_reports_the_reason() {
    use std::os::unix::fs::PermissionsExt;
    let script = std::env::temp_dir().join(unique_name());
    fs::write(&script, "#!/no/such/interpreter\n").expect("a file");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("an executable");
    let events = TestPool::with_program(1, script.to_str().expect("text"), |_| Vec::new()).finish();
    fs::remove_file(&script).expect("the file");
    let Some(PoolEvent::GaveUp { crash_loop, last_lines, .. }) = events.last() else {
        panic!("{events:?}");
    };
    assert_eq!(crash_loop.last_exit, Exit::Status(127));
    assert!(
        last_lines.iter().any(|line| line.contains("interpreter in its first line does not exist")),
        "{last_lines:?}"
    );
}

fn a_missing_shim_is_an_error() {
    let mut settings = settings(&unique_name(), 1, "sleep", &["1000".into()]);
    settings.shim.0 = "/no/such/shim".into();
    let error = Pool::start(settings).expect_err("no shim");
    assert!(error.to_string().contains("/no/such/shim"), "{error}");
}

fn a_worker_has_the_environment_and_the_group_of_its_pool() {
    let script = "printenv > $1/environment; cat > $1/stdin; cut -d' ' -f5 /proc/$$/stat > $1/group; touch $1/done;
        exec sleep 1000";
    let mut pool = TestPool::with_script(1, script);
    let (instance, pid) = pool.started();
    pool.wait_for("done");
    let environment = fs::read_to_string(pool.directory.join("environment")).expect("text");
    let value = |name: &str| environment.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    assert_eq!(value("CALLBOARD_BACKEND"), Some("tcp://127.0.0.1:5560"));
    assert_eq!(value("CALLBOARD_POOL"), Some(&*pool.name));
    assert_eq!(value("CALLBOARD_POOL_PID"), Some(&*std::process::id().to_string()));
    assert_eq!(value("CALLBOARD_INSTANCE"), Some(&*instance));
    assert!(value("CALLBOARD_LIFELINE").is_some_and(|lifeline| lifeline.contains(':')));
    assert_eq!(fs::read(pool.directory.join("stdin")).expect("a file"), b"", "standard input is at end-of-file");
    assert_eq!(fs::read_to_string(pool.directory.join("group")).expect("text").trim(), pid.to_string());
    pool.shutdown(FOREVER);
    pool.finish();
}

fn the_pool_is_ready_when_all_workers_are_reported_registered() {
    let mut pool = TestPool::with_script(2, "exec sleep 1000");
    let (first, second) = (pool.started().0, pool.started().0);
    let control = pool.pool.control();
    block_on(async {
        control.registered(first).await;
        control.registered(second).await;
    });
    assert_eq!(pool.event(), PoolEvent::Ready { workers: 2 });
    let states: Vec<_> = control.status().replicas.iter().map(|replica| replica.state.name()).collect();
    assert_eq!(states, ["registered", "registered"]);
    pool.shutdown(FOREVER);
    pool.finish();
    assert!(control.status().replicas.iter().all(|replica| replica.state.name() == "empty"));
}

fn the_shim_runs_nothing_without_its_pool() {
    let shim = |arguments: &[&str]| {
        let program = std::env::current_exe().expect("a path");
        Command::new(program).arg(RUN_WORKER).args(arguments).output().expect("an end")
    };
    let output = shim(&["2147483647", "echo", "ran"]);
    assert_eq!((output.status.code(), &*output.stdout), (Some(125), &b""[..]));
    assert_eq!(shim(&[]).status.code(), Some(125));
}

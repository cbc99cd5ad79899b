//! Processes are kept alive, or it is said why not.

use std::{fs, process::Command};

use callboard_workers::pool::{Exit, Pool, PoolError, PoolEvent, ProgramError, SeatId};

use crate::{
    actors::RUN_WORKER,
    house::{FOR_EVER, House, kill, living, settings, unique_name, wait},
    rules,
};

rules![
    a_worker_that_is_killed_is_replaced_at_once,
    a_crash_loop_ends_the_pool_with_the_last_lines,
    a_crash_loop_of_one_seat_drains_the_others,
    a_missing_program_is_an_error_before_anything_starts,
    a_program_that_cannot_be_run_after_all_says_why,
    a_shim_that_is_not_there_says_so,
    a_worker_knows_its_pool_and_is_alone_with_it,
    the_pool_is_ready_when_its_owner_says_so_of_all,
    the_shim_runs_nothing_without_its_pool,
];

fn a_worker_that_is_killed_is_replaced_at_once() {
    let mut house = House::of_script(2, "exec sleep 1000");
    let ((first, _), (second, pid)) = (house.started(), house.started());
    let name = house.name.clone();
    assert_eq!([first, second.clone()], [format!("{name}-1"), format!("{name}-2")]);
    kill(pid);
    let seat = SeatId(2);
    assert_eq!(house.event(), PoolEvent::Exited { instance: second, seat, exit: Exit::Signal(9) });
    let instance = format!("{name}-2.1");
    assert_eq!(house.event(), PoolEvent::Restarting { instance: instance.clone(), seat, after: Default::default() });
    assert!(matches!(house.event(), PoolEvent::Started { instance: started, .. } if started == instance));
    house.shutdown(FOR_EVER);
    house.finish();
    house.until_nobody_lives();
}

fn a_crash_loop_ends_the_pool_with_the_last_lines() {
    let mut house = House::of_script(1, "echo one; echo two >&2; printf three; exit 3");
    let events = house.finish();
    let Some(PoolEvent::GaveUp { instance, verdict, last_lines }) = events.last() else {
        panic!("{events:?}");
    };
    assert_eq!((instance, &verdict.last), (&format!("{}-1.4", house.name), &Exit::Status(3)));
    let mut lines = last_lines.clone();
    lines.sort(); // two pipes: their order is not known
    assert_eq!(lines, ["one", "three", "two"]);
    assert_eq!(events.iter().filter(|event| matches!(event, PoolEvent::Started { .. })).count(), 5);
}

fn a_crash_loop_of_one_seat_drains_the_others() {
    let script = "case $CALLBOARD_INSTANCE in *-2) trap 'touch $1/drained; exit' TERM; touch $1/trapped;
        while :; do sleep 0.02; done;; esac
        while [ ! -e $1/trapped ]; do sleep 0.02; done; exit 1";
    let mut house = House::of_script(2, script);
    let events = house.finish();
    assert!(events.iter().any(|event| matches!(event, PoolEvent::GaveUp { .. })), "{events:?}");
    assert!(house.has("drained"));
}

fn a_missing_program_is_an_error_before_anything_starts() {
    let name = unique_name();
    let error = Pool::start(settings(&name, 2, "no-such-program-anywhere", &[])).expect_err("no program");
    assert!(matches!(error, PoolError::Program(ProgramError::NotInPath(_))), "{error}");
    assert_eq!(living(&name, None), []);
}

fn a_program_that_cannot_be_run_after_all_says_why() {
    use std::os::unix::fs::PermissionsExt;
    let script = std::env::temp_dir().join(unique_name());
    fs::write(&script, "#!/no/such/interpreter\n").expect("a file");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("an executable");
    let events = House::of_settings(1, script.to_str().expect("text"), |_| Vec::new()).finish();
    fs::remove_file(&script).expect("the file");
    let Some(PoolEvent::GaveUp { verdict, last_lines, .. }) = events.last() else {
        panic!("{events:?}");
    };
    assert_eq!(verdict.last, Exit::Status(127));
    assert!(last_lines.iter().any(|line| line.contains("interpreter that is not there")), "{last_lines:?}");
}

fn a_shim_that_is_not_there_says_so() {
    let mut settings = settings(&unique_name(), 1, "sleep", &["1000".into()]);
    settings.shim.0 = "/no/such/shim".into();
    let error = Pool::start(settings).expect_err("no shim");
    assert!(error.to_string().contains("/no/such/shim"), "{error}");
}

fn a_worker_knows_its_pool_and_is_alone_with_it() {
    let script = "printenv > $1/environment; cat > $1/stdin; cut -d' ' -f5 /proc/$$/stat > $1/group; touch $1/done;
        exec sleep 1000";
    let mut house = House::of_script(1, script);
    let (instance, pid) = house.started();
    house.until_has("done");
    let environment = fs::read_to_string(house.folder.join("environment")).expect("text");
    let value = |name: &str| environment.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    assert_eq!(value("CALLBOARD_BACKEND"), Some("tcp://127.0.0.1:5560"));
    assert_eq!(value("CALLBOARD_POOL"), Some(&*house.name));
    assert_eq!(value("CALLBOARD_POOL_PID"), Some(&*std::process::id().to_string()));
    assert_eq!(value("CALLBOARD_INSTANCE"), Some(&*instance));
    assert!(value("CALLBOARD_LIFELINE").is_some_and(|lifeline| lifeline.contains(':')));
    assert_eq!(fs::read(house.folder.join("stdin")).expect("a file"), b"", "its standard input is at its end");
    assert_eq!(fs::read_to_string(house.folder.join("group")).expect("text").trim(), pid.to_string());
    house.shutdown(FOR_EVER);
    house.finish();
}

fn the_pool_is_ready_when_its_owner_says_so_of_all() {
    let mut house = House::of_script(2, "exec sleep 1000");
    let (first, second) = (house.started().0, house.started().0);
    let control = house.pool.control();
    wait(async {
        control.registered(first).await;
        control.registered(second).await;
    });
    assert_eq!(house.event(), PoolEvent::Ready { workers: 2 });
    let words: Vec<_> = control.status().seats.iter().map(|seat| seat.state.word()).collect();
    assert_eq!(words, ["registered", "registered"]);
    house.shutdown(FOR_EVER);
    house.finish();
    assert!(control.status().seats.iter().all(|seat| seat.state.word() == "empty"));
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

//! The users of the examples: a trait as the contract, called by its stub and from the shell, without its types.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Broker, Finished, Process, example};

/// A broker with the users worker, whose data are in a temporary directory.
struct Scene {
    broker: Broker,
    worker: Process,
    folder: TempDir,
}

impl Scene {
    fn start() -> Scene {
        let (broker, folder) = (Broker::start(), tempfile::tempdir().unwrap());
        let worker = start_worker(&broker, &folder);
        Scene { broker, worker, folder }
    }

    /// Runs `callboard WORDS...`, which must succeed, and returns its output.
    fn printed(&self, words: &[&str]) -> String {
        self.broker.command(words).printed()
    }
}

fn start_worker(broker: &Broker, folder: &TempDir) -> Process {
    let worker = Process::start(worker_of(broker, folder));
    broker.wait_for_service("user_statistics");
    worker
}

fn worker_of(broker: &Broker, folder: &TempDir) -> std::process::Command {
    let mut command = example("users-worker");
    command.env("CALLBOARD_BACKEND", &broker.backend);
    command.env("CALLBOARD_EXAMPLE_USERS_FILE", folder.path().join("users.json"));
    command
}

#[test]
fn the_client_of_the_example_uses_only_the_trait() {
    let scene = Scene::start();
    let mut client = example("users-client");
    client.arg(&scene.broker.frontend);
    let lines = [
        "user 5 is Zaru, Normal",
        "there is no user 7",
        "added Uru",
        "not added: user 7: already exist",
        "a guest: guest",
        "a guest: Uru",
        "2 of 3 ids belong to users",
        "user 6 is Saru",
        "user 4 is troll",
        "7 users, 2 of them guests",
    ];
    assert_eq!(Finished::of(client).printed().lines().collect::<Vec<_>>(), lines);
}

#[test]
fn a_restarted_worker_keeps_the_added_users() {
    let mut scene = Scene::start();
    let uru = json!({ "id": 7, "nickname": "Uru", "mail_address": "u@example.org", "user_type": "GUEST" });
    let added: Value =
        serde_json::from_str(&scene.printed(&["call", "user_manager.add_user", &format!("user={uru}")])).unwrap();
    assert_eq!(added, uru);
    scene.worker.kill();
    // Until the broker has detected the loss, it would still list the service of the lost worker.
    scene.broker.process.stderr.wait_for("worker lost");
    let _again = start_worker(&scene.broker, &scene.folder);
    let found: Value = serde_json::from_str(&scene.printed(&["call", "user_manager.get_user", "7"])).unwrap();
    assert_eq!(found, uru);
}

#[test]
fn a_second_worker_of_the_same_file_fails_with_a_clear_error() {
    let scene = Scene::start();
    let second = Finished::of(worker_of(&scene.broker, &scene.folder));
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.stderr.contains("another process owns these users"), "{second:?}");
    assert_eq!(scene.printed(&["call", "user_statistics.count"]), "6");
}

#[test]
fn the_shell_shows_an_application_error_with_code_name_text_and_content() {
    let scene = Scene::start();
    let stderr = scene.broker.call(&["user_manager.get_user", "7"]).failed(1);
    let (error, details) = stderr.split_once('\n').unwrap();
    assert!(error.starts_with("error: NOT_FOUND UserError: user 7: not found (executed: yes"), "{stderr}");
    assert_eq!(details, r#"  details: {"NotFound":{"id":7}}"#);
}

#[test]
fn describe_prints_methods_types_and_comments() {
    let scene = Scene::start();
    let text = scene.printed(&["describe", "user_manager"]);
    for expected in [
        "    Keeps users.",
        "get_user(id: u32) -> User, or UserError  [read]",
        "    Returns the user with this id.",
        "add_user(user: User) -> User, or UserError  [once]",
        "get_users_by_type(user_type: UserType) -> stream of User  [read, server stream]",
        "count_already_users(stream of u32) -> u64  [read, client stream]",
        "get_users_by_ids(stream of u32) -> stream of User  [read, bidirectional stream]",
        "User = {id: u32, nickname: text, mail_address: text, user_type: UserType}",
        r#"UserType = "ADMINISTRATOR" or "GUEST" or "NORMAL" or "DISABLED""#,
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected}: {text}");
    }
    let json: Value = serde_json::from_str(&scene.printed(&["describe", "user_manager", "--json"])).unwrap();
    assert_eq!(json["methods"][0]["arguments"], json!([{ "name": "id", "type": "u32" }]));
    let cddl = scene.printed(&["describe", "user_manager", "--cddl"]);
    assert!(cddl.contains("user_manager.get_user.arguments = [id: 0..4294967295] / { id: 0..4294967295 }"), "{cddl}");
    let method = scene.printed(&["describe", "user_manager.get_user"]);
    assert!(method.contains("get_user(id: u32) -> User, or UserError  [read]"), "{method}");
    assert!(method.contains("User = {id") && !method.contains("add_user") && !method.contains("Keeps"), "{method}");
    scene.broker.command(&["describe", "user_manager.get_usr"]).failed_with(1, &["no method get_usr", "get_user"]);
    let hash = text.lines().next().unwrap().rsplit(' ').next().unwrap();
    let services = scene.printed(&["services"]);
    assert!(services.contains(hash), "{hash}: {services}");
    for method in ["get_users_by_type(user_type) -> stream ", "count_already_users(stream) "] {
        assert!(services.contains(method), "{method}: {services}");
    }
}

#[test]
fn an_untyped_client_gets_the_items_of_a_stream() {
    let scene = Scene::start();
    let nicknames = |items: String| {
        let names = |line: &str| serde_json::from_str::<Value>(line).unwrap()["nickname"].as_str().unwrap().to_owned();
        items.lines().map(names).collect::<Vec<_>>()
    };
    let normal = scene.printed(&["call", "user_manager.get_users_by_type", "NORMAL"]);
    assert_eq!(nicknames(normal), ["foo", "Zaru", "Saru"]);
    scene.printed(&["call", "user_manager.get_users_by_type", "GUEST"]);
    let ids = "5\n99\n\n1\n";
    let piped = |method: &str| scene.broker.pipe(&["call", method], ids).printed();
    assert_eq!(piped("user_manager.count_already_users"), "2");
    assert_eq!(nicknames(piped("user_manager.get_users_by_ids")), ["Zaru", "admin"]);
    assert_eq!(nicknames(piped("user_manager.get_users_by_all_ids")), ["Zaru", "admin"]);
    assert_eq!(scene.broker.pipe(&["call", "user_manager.count_already_users"], "").printed(), "0");
}

#[test]
fn an_invalid_item_is_rejected_with_its_line_before_it_is_sent() {
    let scene = Scene::start();
    let wrong = scene.broker.pipe(&["call", "user_manager.count_already_users"], "1\n\n\"five\"\n");
    let stderr = wrong.failed(1);
    let (error, method) = stderr.split_once('\n').unwrap();
    assert_eq!(
        error,
        "error: INVALID_ARGUMENT: line 3 of standard input: expected u32, got text \"five\" (executed: maybe)"
    );
    assert_eq!(method, "  method: user_manager.count_already_users(stream of u32) -> u64");
}

#[test]
fn invalid_arguments_are_rejected_before_they_are_sent() {
    let scene = Scene::start();
    let stderr = scene.broker.call(&["user_manager.get_user", "five"]).failed(1);
    let lines: Vec<_> = stderr.lines().collect();
    let misfit = "argument id: expected u32, got text \"five\"";
    assert_eq!(lines[0], format!("error: INVALID_ARGUMENT ArgumentError: {misfit} (executed: no)"));
    let stderr = scene.broker.call(&["user_manager.get_user", "-1"]).failed(1);
    assert!(stderr.contains("argument id: expected u32, got -1 "), "{stderr}");
    assert_eq!(lines[2], "  method: user_manager.get_user(id: u32) -> User, or UserError");
    let user = r#"{"id": 8, "nickname": "x", "mail_address": "y", "user_type": "OWNER"}"#;
    let stderr = scene.broker.call(&["user_manager.add_user", user]).failed(1);
    let choice = r#"expected UserType: "ADMINISTRATOR" or "GUEST" or "NORMAL" or "DISABLED", got text "OWNER""#;
    assert!(stderr.contains(&format!("argument user.user_type: {choice}")), "{stderr}");
    assert_eq!(scene.printed(&["call", "user_statistics.count", "GUEST"]), "1");
}

#[test]
fn a_new_contract_is_compared_with_the_old_one() {
    let scene = Scene::start();
    let (old, new) = (scene.folder.path().join("old.json"), scene.folder.path().join("new.json"));
    let (old_name, new_name) = (old.to_str().unwrap(), new.to_str().unwrap());
    let json = scene.printed(&["describe", "user_manager", "--json"]);
    fs::write(&old, &json).unwrap();
    assert_eq!(scene.printed(&["contract", "diff", old_name, "user_manager"]), "no changes for callers");
    let mut changed: Value = serde_json::from_str(&json).unwrap();
    changed["types"]["User"]["type"]["record"]["fields"].as_array_mut().unwrap().remove(1);
    changed["methods"][0]["arguments"][0]["type"] = json!("u64");
    fs::write(&new, changed.to_string()).unwrap();
    let diff = scene.broker.command(&["contract", "diff", old_name, new_name]);
    assert_eq!((diff.code, diff.stderr.as_str()), (7, ""), "{diff:?}");
    let lines: Vec<_> = diff.stdout.lines().collect();
    assert_eq!(lines[0], "safe     get_user: argument id: u32 becomes u64");
    assert_eq!(lines[1], "breaks   get_user: result: field nickname is missing");
    let nonsense = scene.broker.command(&["contract", "diff", "no/such.json", old_name]);
    nonsense.failed_with(2, &["cannot read no/such.json"]);
}

#[test]
fn a_service_whose_workers_disagree_is_reported() {
    let scene = Scene::start();
    let other = callboard::Service::new("user_statistics").read("count", [], || 0_u8);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let worker = callboard::Worker::new().backend(&scene.broker.backend).name("other").serve(other);
    let _worker = runtime.block_on(async { worker.start() }).unwrap();
    crate::harness::until("both workers are registered", || {
        let services = scene.broker.command(&["services"]);
        services.stderr.contains("the workers of user_statistics have different contracts").then_some(())
    });
}

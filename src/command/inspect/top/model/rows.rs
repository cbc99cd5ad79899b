//! The rows of the lists.

use std::{cmp::Ordering, time::Duration};

use callboard::core::{
    broker::{DeadLetter, LimitsStatus, MethodStatus, ServiceStatus, WaitReason, WorkerStatus},
    text::{HumanBytes, HumanDuration},
};

use super::{
    history::{History, Series},
    snapshot::Snapshot,
    tab::{Scope, Tab},
};
use crate::command::{
    control::{pool_name::POOL_PREFIX, report::PoolReport},
    inspect::status::tables,
    output::escape::printable,
};

/// The text of an empty cell.
const NOTHING: &str = "-";

/// One row of a list.
#[derive(Debug)]
pub(crate) struct Row {
    /// What identifies it in its list, such as the name of a service.
    pub(crate) key: String,
    pub(crate) cells: Vec<Cell>,
    /// Whether it needs the attention of an operator.
    pub(crate) is_alert: bool,
}

/// One cell of a row.
#[derive(Debug)]
pub(crate) enum Cell {
    Text(String),
    /// A number with its text. It is sorted as a number.
    Number(f64, String),
    /// The rates of a sparkline, the oldest first.
    Samples(Vec<f64>),
}

/// The kind of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Samples,
}

/// One column of a list.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
}

impl Cell {
    /// Creates a cell with a text of a peer, which must not control the terminal.
    fn text(text: &str) -> Cell {
        Cell::Text(if text.is_empty() { NOTHING.to_owned() } else { printable(text) })
    }

    fn count(count: impl TryInto<u64>) -> Cell {
        let count = count.try_into().unwrap_or(u64::MAX);
        Cell::Number(count as f64, count.to_string())
    }

    fn bytes(bytes: usize) -> Cell {
        Cell::Number(bytes as f64, HumanBytes(u64::try_from(bytes).unwrap_or(u64::MAX)).to_string())
    }

    fn rate(rate: Option<f64>) -> Cell {
        Cell::Number(rate.unwrap_or(-1.0), rate.map_or_else(|| NOTHING.to_owned(), |rate| format!("{rate:.1}")))
    }

    fn span(millis: Option<u64>) -> Cell {
        let text = millis.map(|millis| HumanDuration(Duration::from_millis(millis)).to_string());
        Cell::Number(millis.map_or(-1.0, |millis| millis as f64), text.unwrap_or_else(|| NOTHING.to_owned()))
    }

    /// Returns the text of the cell, for the filter.
    fn filter_text(&self) -> &str {
        match self {
            Cell::Text(text) | Cell::Number(_, text) => text,
            Cell::Samples(_) => "",
        }
    }

    fn compare(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::Text(one), Cell::Text(other)) => natural(one).cmp(&natural(other)),
            (one, other) => one.number().total_cmp(&other.number()),
        }
    }

    fn number(&self) -> f64 {
        match self {
            Cell::Text(_) => 0.0,
            Cell::Number(number, _) => *number,
            Cell::Samples(samples) => samples.iter().sum(),
        }
    }
}

/// Splits a name such as `jobs-10` before its last number, so that it is sorted behind `jobs-9`.
fn natural(name: &str) -> (&str, Option<u64>) {
    let prefix = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    (prefix, name[prefix.len()..].parse().ok())
}

/// Sorts rows by one of their columns; rows that are equal keep their order.
pub(crate) fn sort(rows: &mut [Row], column: usize, is_descending: bool) {
    rows.sort_by(|one, other| {
        let order = match (one.cells.get(column), other.cells.get(column)) {
            (Some(one), Some(other)) => one.compare(other),
            _ => Ordering::Equal,
        };
        if is_descending { order.reverse() } else { order }
    });
}

/// Returns whether a cell of the row contains the text, in any case.
pub(crate) fn matches(row: &Row, filter: &str) -> bool {
    let filter = filter.to_lowercase();
    row.cells.iter().any(|cell| cell.filter_text().to_lowercase().contains(&filter))
}

/// Returns the columns of a list, the most important first. A narrow screen omits the last ones.
pub(crate) fn columns(tab: Tab) -> Vec<Column> {
    let column = |&(title, kind): &(&'static str, Kind)| Column { title, kind };
    let all: &[(&'static str, Kind)] = match tab {
        Tab::Services => &[
            ("SERVICE", Kind::Text),
            ("WORKERS", Kind::Number),
            ("SLOTS", Kind::Number),
            ("RUNNING", Kind::Number),
            ("WAITING", Kind::Number),
            ("OLDEST", Kind::Number),
            ("CALLS/s", Kind::Number),
            ("FAIL/s", Kind::Number),
            ("TREND", Kind::Samples),
        ],
        Tab::Methods => &[
            ("METHOD", Kind::Text),
            ("RUNNING", Kind::Number),
            ("EFFECT", Kind::Text),
            ("WORKERS", Kind::Number),
            ("SLOTS", Kind::Number),
            ("LIMIT", Kind::Text),
            ("ARGUMENTS", Kind::Text),
        ],
        Tab::Workers => &[
            ("WORKER", Kind::Text),
            ("STATE", Kind::Text),
            ("SLOTS", Kind::Number),
            ("RUNNING", Kind::Number),
            ("ANSWERED", Kind::Number),
            ("FAILED", Kind::Number),
            ("CALLS/s", Kind::Number),
            ("POOL", Kind::Text),
            ("TREND", Kind::Samples),
            ("PID", Kind::Number),
            ("RUNS", Kind::Text),
        ],
        Tab::Pools => &[
            ("POOL", Kind::Text),
            ("SERVING", Kind::Number),
            ("WANTED", Kind::Number),
            ("MIN", Kind::Number),
            ("MAX", Kind::Number),
            ("GENERATION", Kind::Number),
            ("RESTARTS", Kind::Number),
            ("STATE", Kind::Text),
        ],
        Tab::Calls => &[
            ("CALL", Kind::Text),
            ("METHOD", Kind::Text),
            ("STATE", Kind::Text),
            ("FOR", Kind::Number),
            ("TIMEOUT", Kind::Number),
            ("WORKER", Kind::Text),
            ("CLIENT", Kind::Text),
            ("REASON", Kind::Text),
        ],
        Tab::DeadLetters => &[
            ("ID", Kind::Number),
            ("METHOD", Kind::Text),
            ("EFFECT", Kind::Text),
            ("LOST", Kind::Number),
            ("AGE", Kind::Number),
            ("WORKER", Kind::Text),
            ("BYTES", Kind::Number),
            ("CALL", Kind::Text),
            ("REASON", Kind::Text),
        ],
    };
    all.iter().map(column).collect()
}

/// Returns the rows of a list in the order of the broker; `Err` is the reason why the broker does not return them.
pub(crate) fn rows(tab: Tab, scope: &Scope, snapshot: &Snapshot, history: &History) -> Result<Vec<Row>, String> {
    Ok(match tab {
        Tab::Services => service_rows(snapshot, history),
        Tab::Methods => method_rows(listed(snapshot.methods.as_ref())?, scope, &snapshot.limits),
        Tab::Workers => worker_rows(snapshot, scope, history),
        Tab::Pools => pool_rows(snapshot),
        Tab::Calls => {
            let calls = listed(snapshot.calls.as_ref())?.iter();
            calls.filter(|call| is_in_scope(call, scope)).map(call_row).collect()
        }
        Tab::DeadLetters => listed(snapshot.dead_letters.as_ref())?.iter().map(dead_letter_row).collect(),
    })
}

/// Returns a list that was queried.
fn listed<T>(list: Option<&Result<Vec<T>, String>>) -> Result<&[T], String> {
    match list {
        None => Err("waiting for the broker".to_owned()),
        Some(list) => list.as_deref().map_err(Clone::clone),
    }
}

fn service_rows(snapshot: &Snapshot, history: &History) -> Vec<Row> {
    let services = snapshot.status.broker.services.iter();
    let shown = services.filter(|service| !service.name.starts_with(POOL_PREFIX));
    shown.map(|service| service_row(service, &snapshot.limits, history)).collect()
}

fn service_row(service: &ServiceStatus, limits: &LimitsStatus, history: &History) -> Row {
    let rates = &service.rates;
    let samples = history.samples(&Series::Service(service.name.clone()));
    let cells = vec![
        Cell::text(&format!("{}{}", service.name, mark(limits, &service.name))),
        Cell::count(service.workers),
        Cell::count(service.slots),
        Cell::count(service.running),
        Cell::count(service.waiting),
        Cell::span((service.waiting > 0).then_some(service.oldest_wait_ms)),
        Cell::rate(Some(rates.answered + rates.failed)),
        Cell::rate(Some(rates.failed)),
        Cell::Samples(samples),
    ];
    Row { key: service.name.clone(), cells, is_alert: rates.failed > 0.0 || service.workers == 0 }
}

/// Returns the mark behind the name of a service that an operator has paused or limited.
fn mark(limits: &LimitsStatus, target: &str) -> &'static str {
    match limits.limits.iter().find(|limit| limit.target == target) {
        Some(limit) if limit.limit.paused => " (paused)",
        Some(_) => " (limited)",
        None => "",
    }
}

fn method_rows(services: &[ServiceStatus], scope: &Scope, limits: &LimitsStatus) -> Vec<Row> {
    let in_scope = |service: &&ServiceStatus| match scope {
        Scope::Service(name) => service.name == *name,
        _ => !service.name.starts_with(POOL_PREFIX),
    };
    let rows = |service: &ServiceStatus| {
        service.methods.iter().map(|method| method_row(service, method, limits)).collect::<Vec<_>>()
    };
    services.iter().filter(in_scope).flat_map(rows).collect()
}

fn method_row(service: &ServiceStatus, method: &MethodStatus, limits: &LimitsStatus) -> Row {
    let key = format!("{}.{}", service.name, method.name);
    let operators = limits.limits.iter().find(|limit| limit.target == key).map(|limit| limit.limit.to_string());
    let declared = method.concurrency.map(|max| format!("at most {max} at once"));
    let limit = operators.or(declared).unwrap_or_default();
    let cells = vec![
        Cell::text(&key),
        Cell::count(method.running),
        Cell::Text(format!("{:?}", method.effect).to_lowercase()),
        Cell::count(service.workers),
        Cell::count(service.slots),
        Cell::text(&limit),
        Cell::text(&method.arguments.join(", ")),
    ];
    Row { key, cells, is_alert: false }
}

fn worker_rows(snapshot: &Snapshot, scope: &Scope, history: &History) -> Vec<Row> {
    let in_scope = |pool: Option<&String>| match scope {
        Scope::Pool(name) => pool == Some(name),
        _ => true,
    };
    let (broker, pools) = (&snapshot.status.broker, &snapshot.status.pools);
    let workers = snapshot.workers().filter(|worker| in_scope(worker.pool.as_ref()));
    let connected = workers.map(|worker| worker_row(worker, snapshot, history));
    let is_known = |instance: &str| broker.workers.iter().any(|worker| worker.name == instance);
    let others = pools.iter().filter(|pool| in_scope(Some(&pool.name))).flat_map(|pool| {
        let replicas = pool.workers.iter().filter(|replica| !is_known(&replica.instance));
        replicas.map(|replica| replica_row(&pool.name, &replica.instance, &tables::replica_state(replica), replica.pid))
    });
    connected.chain(others).collect()
}

fn worker_row(worker: &WorkerStatus, snapshot: &Snapshot, history: &History) -> Row {
    let series = Series::Worker(worker.name.clone());
    let pool = snapshot.pool_of_worker(&worker.name);
    let replica = pool.and_then(|pool| pool.workers.iter().find(|replica| replica.instance == worker.name));
    let is_paused = snapshot.limits.paused_workers.contains(&worker.name);
    let state = if is_paused { "paused".to_owned() } else { tables::worker_state(worker, replica) };
    let cells = vec![
        Cell::text(&worker.name),
        Cell::text(&state),
        Cell::count(worker.slots),
        Cell::count(worker.running),
        Cell::count(worker.answered),
        Cell::count(worker.failed),
        Cell::rate(history.rate(&series)),
        Cell::text(worker.pool.as_deref().unwrap_or_default()),
        Cell::Samples(history.samples(&series)),
        worker.pid.map_or_else(|| Cell::rate(None), Cell::count),
        Cell::text(&tables::calls(worker.running, &worker.calls)),
    ];
    Row { key: worker.name.clone(), cells, is_alert: worker.stuck }
}

/// Returns the row of a pool's process that is not connected to the broker.
fn replica_row(pool: &str, instance: &str, state: &str, pid: Option<u32>) -> Row {
    let nothing = || Cell::rate(None);
    let cells = vec![
        Cell::text(instance),
        Cell::text(state),
        nothing(),
        nothing(),
        nothing(),
        nothing(),
        nothing(),
        Cell::text(pool),
        Cell::Samples(Vec::new()),
        pid.map_or_else(nothing, Cell::count),
        Cell::text(""),
    ];
    Row { key: instance.to_owned(), cells, is_alert: true }
}

fn pool_rows(snapshot: &Snapshot) -> Vec<Row> {
    let silent = |name: &String| {
        let mut cells = vec![Cell::text(name)];
        cells.extend((0..6).map(|_| Cell::rate(None)));
        cells.push(Cell::text("does not answer"));
        Row { key: name.clone(), cells, is_alert: true }
    };
    let pools = snapshot.status.pools.iter().map(pool_row);
    pools.chain(snapshot.status.silent_pools.iter().map(silent)).collect()
}

fn pool_row(pool: &PoolReport) -> Row {
    let restarts: u64 = pool.workers.iter().map(|replica| u64::from(replica.restarts)).sum();
    let cells = vec![
        Cell::text(&pool.name),
        Cell::count(pool.registered()),
        Cell::count(pool.size),
        Cell::count(pool.min),
        Cell::count(pool.max),
        Cell::count(pool.generation),
        Cell::count(restarts),
        Cell::text(&tables::pool_state(pool)),
    ];
    Row { key: pool.name.clone(), cells, is_alert: pool.verdict.is_some() }
}

fn is_in_scope(call: &WaitReason, scope: &Scope) -> bool {
    match scope {
        Scope::Method(method) => call.method == *method,
        Scope::Worker(worker) => call.worker == *worker && call.state != "waiting",
        _ => true,
    }
}

fn call_row(call: &WaitReason) -> Row {
    let cells = vec![
        Cell::text(&call.call),
        Cell::text(&call.method),
        Cell::text(&call.state),
        Cell::span(Some(call.since_ms)),
        Cell::span(call.left_ms),
        Cell::text(&call.worker),
        Cell::text(&call.client),
        Cell::text(&call.reason),
    ];
    Row { key: call.call.clone(), cells, is_alert: call.state == "stopping" }
}

fn dead_letter_row(letter: &DeadLetter) -> Row {
    let cells = vec![
        Cell::count(letter.id),
        Cell::text(&letter.method),
        Cell::Text(format!("{:?}", letter.effect).to_lowercase()),
        Cell::count(letter.lost),
        Cell::span(Some(letter.age_ms / 1_000 * 1_000)),
        Cell::text(&letter.worker),
        Cell::bytes(letter.bytes),
        Cell::text(&letter.call),
        Cell::text(&letter.reason),
    ];
    Row { key: letter.id.to_string(), cells, is_alert: false }
}

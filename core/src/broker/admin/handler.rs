//! The handler of calls to the service `callboard`.

use serde::Serialize;

use super::{
    super::{coordinator::state::Broker, outcome::Outcome, permissions, reserved::SERVICE},
    contracts, limits, load, methods, peers, status, wait_reason,
};
use crate::{
    auth::Principal,
    body::{self, ArgumentReader},
    time::Time,
    wire::{
        envelope::Request,
        limits::HEADER_BYTES_MAX,
        status::{Code, Executed, Failure},
        streams::Style,
    },
};

/// Checks whether a call to the broker's own service has a form that it allows, and the right of its caller.
///
/// # Errors
/// The failure that answers the call.
pub(crate) fn check_admin_call(caller: &Principal, request: &Request) -> Result<(), Box<Failure>> {
    if request.flags.broadcast {
        return Err(Box::new(methods::no_broadcast(&request.method)));
    }
    let style = request.streams.style;
    if style != Style::Unary {
        return Err(Box::new(methods::wrong_style(&request.method, style)));
    }
    let method = request.method.method();
    if (methods::FOR_OPERATORS.contains(&method) || methods::is_operation(method)) && !caller.is_operator() {
        let text = permissions::not_an_operator(caller, &format!("{SERVICE}.{method}"));
        return Err(Box::new(Failure::new(Code::PermissionDenied, Executed::No, text)));
    }
    Ok(())
}

/// Handles a call to the broker's own service that was checked. It changes only dead letters and the cache of results.
pub(crate) fn handle_admin_call(broker: &mut Broker, now: Time, caller: &Principal, request: &Request) -> Outcome {
    let result = result_of(broker, now, caller, request)?;
    let max = broker.settings.message_bytes_max.saturating_sub(HEADER_BYTES_MAX);
    let bytes = result.len();
    if bytes > max {
        let message = format!("the result has {bytes} bytes, and messages of this broker must not exceed {max}");
        return Err(Box::new(Failure::new(Code::ResourceExhausted, Executed::Yes, message)));
    }
    Ok(result)
}

fn result_of(broker: &mut Broker, now: Time, caller: &Principal, request: &Request) -> Outcome {
    let arguments = &request.body;
    match request.method.method() {
        "dead" | "dead_drop" | "dead_resend" | "dead_show" => broker.dead_letters.handle_admin_call(now, request),
        "describe" => {
            let mut reader = ArgumentReader::new(&["service"], arguments).map_err(Failure::from)?;
            encoded(&contracts::describe(broker, reader.next().map_err(Failure::from)?)?)
        }
        "gate" => encoded(&broker.gate),
        "limits" => encoded(&limits::limits(broker)),
        "load" => encoded(&load::load(broker, now, &pool_of(arguments)?)),
        "peers" => encoded(&peers::peers(broker, now, first_peer_of(arguments)?)),
        "ping" => encoded(&()),
        "services" => cached(broker, now, "services", |broker| encoded(&status::service_statuses(broker, now))),
        "status" if caller.is_operator() => {
            cached(broker, now, "status", |broker| encoded(&status::status(broker, now)))
        }
        "status" => {
            cached(broker, now, "status without peers", |broker| encoded(&status::status(broker, now).without_peers()))
        }
        "why" => why(broker, now, caller, arguments),
        method => Err(methods::unknown_method(method)),
    }
}

/// Answers `callboard.why`: what one call waits for, or without an argument the oldest open ones. A client without the
/// role operator must name the call, and gets no information about other clients.
fn why(broker: &mut Broker, now: Time, caller: &Principal, arguments: &[u8]) -> Outcome {
    let call = ArgumentReader::new(&["call"], arguments).and_then(|mut reader| reader.next::<Option<String>>());
    match call.map_err(|error| Box::new(Failure::from(error)))? {
        None if caller.is_operator() => {
            cached(broker, now, "why", |broker| encoded(&wait_reason::open_calls(broker, now)))
        }
        None => {
            let text = "the list of all open calls is for operators: name a call, or use a key with that role";
            Err(Box::new(Failure::new(Code::PermissionDenied, Executed::No, text)))
        }
        Some(text) => {
            let reason = wait_reason::find(broker, now, &text)?;
            encoded(&[if caller.is_operator() { reason } else { reason.without_others() }].as_slice())
        }
    }
}

/// Returns the cached result of that name, or computes and caches it.
fn cached(broker: &mut Broker, now: Time, name: &'static str, compute: impl FnOnce(&Broker) -> Outcome) -> Outcome {
    if let Some(result) = broker.admin.get(now, name) {
        return Ok(result);
    }
    let result = compute(broker)?;
    broker.admin.insert(now, name, result.clone());
    Ok(result)
}

fn encoded(result: &(impl Serialize + ?Sized)) -> Outcome {
    body::encode(result).map_err(|error| Box::new(Failure::new(Code::Internal, Executed::Yes, error.to_string())))
}

/// Returns the argument of `peers`, or its default.
fn first_peer_of(arguments: &[u8]) -> Result<u64, Box<Failure>> {
    let read = ArgumentReader::new(&["from"], arguments).and_then(|mut reader| reader.next::<Option<u64>>());
    let from = read.map_err(|error| Failure::new(Code::InvalidArgument, Executed::No, error.to_string()));
    Ok(from?.unwrap_or(0))
}

/// Returns the argument of `load`.
fn pool_of(arguments: &[u8]) -> Result<String, Box<Failure>> {
    let read = ArgumentReader::new(&["pool"], arguments).and_then(|mut reader| reader.next());
    read.map_err(|error| Box::new(Failure::new(Code::InvalidArgument, Executed::No, error.to_string())))
}

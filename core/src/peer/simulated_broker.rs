//! A broker for tests of clients and workers.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;

use super::Settings;
use crate::{
    body,
    time::Time,
    wire::{
        Bundler, Envelope,
        handshake::Welcome,
        ids::{BrokerId, SessionId, StartId},
        limits::{MESSAGE_BYTES_MAX, VERSION_MAX},
        status::{Code, Executed, Failure},
    },
};

/// The heartbeat of both sides.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(1_000);

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn at(millis: u64) -> Time {
    Time::ZERO + ms(millis)
}

pub(crate) fn settings() -> Settings {
    Settings { instance: "calculator-3".into(), heartbeat: HEARTBEAT, ..Settings::new(SessionId([7; 16])) }
}

/// Returns the welcome of the broker in the start with that number.
pub(crate) fn welcome(start: u8, credit_calls: u32, credit_bytes: u64) -> Envelope {
    Envelope::Welcome(body::encode(&welcome_body(start, credit_calls, credit_bytes)).unwrap())
}

pub(crate) fn welcome_body(start: u8, credit_calls: u32, credit_bytes: u64) -> Welcome {
    Welcome {
        version: VERSION_MAX,
        broker: BrokerId([1; 16]),
        start: StartId([start; 16]),
        frontend: "tcp://127.0.0.1:5559".into(),
        heartbeat_ms: 1_000,
        credit_calls,
        credit_bytes,
        message_bytes_max: MESSAGE_BYTES_MAX as u64,
        capabilities: Vec::new(),
        proof: None,
    }
}

pub(crate) fn goodbye(code: Code) -> Envelope {
    Envelope::Goodbye(Some(Box::new(Failure::new(code, Executed::No, "go"))))
}

/// Returns the messages in which the broker sends these envelopes in one turn.
pub(crate) fn messages(envelopes: &[Envelope]) -> Vec<Vec<Bytes>> {
    let mut bundler = Bundler::new();
    for envelope in envelopes {
        bundler.push(envelope);
    }
    bundler.take().map(|frames| frames.to_vec()).collect()
}

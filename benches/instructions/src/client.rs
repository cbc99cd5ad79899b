//! Calls through the client machine: a call in, a request out, a reply in, an outcome out.

use bytes::Bytes;
use callboard_core::{
    auth::Nonce,
    client::{Client, Event, NewCall, Ticket, Timeout, TimeoutSource},
    time::Time,
    wire::{Envelope, envelope::Priority, streams::Streams},
};

use crate::samples::{self, START, STEP, TIMEOUT};

/// Makes calls, one after the other.
pub(crate) fn calls(runs: usize) -> Box<dyn FnMut()> {
    let (mut client, mut now, mut out) = (connected(), START, Vec::new());
    let mut replies = samples::messages((1..=runs as u64).map(samples::reply));
    let mut ticket = 0;
    Box::new(move || {
        now = now + STEP;
        ticket += 1;
        client.handle_event(now, Event::Call(new_call(ticket, now)), &mut out);
        let reply = replies.next().expect("a run was prepared");
        client.handle_message(now, &reply, &mut out);
        assert_eq!(out.len(), 2, "{out:?}");
        out.clear();
    })
}

fn new_call(ticket: u64, made: Time) -> NewCall<u64> {
    NewCall {
        ticket: Ticket(ticket),
        token: ticket,
        method: samples::method(),
        body: samples::body(),
        extensions: Default::default(),
        made,
        timeout: Some(Timeout { span: TIMEOUT, source: TimeoutSource::Client }),
        effect: None,
        priority: Priority::Normal,
        wait_for_ready: false,
        broadcast: false,
        cast: false,
        key: None,
        streams: Streams::NONE,
    }
}

fn connected() -> Client<u64> {
    let mut client = Client::new(samples::settings());
    let mut out = Vec::new();
    client.handle_event(Time::ZERO, Event::Timeout, &mut out);
    client.handle_event(START, Event::Connected { nonce: Nonce([9; 32]), channel: None }, &mut out);
    for envelope in [Envelope::Challenge(Bytes::new()), samples::welcome()] {
        client.handle_message(START, &samples::frames(&[envelope]), &mut out);
    }
    assert!(client.is_connected(), "{out:?}");
    client
}

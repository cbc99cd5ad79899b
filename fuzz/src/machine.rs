//! The target `machine`: a script for a broker with clients, workers and unauthenticated peers.

use bytes::Bytes;
use callboard_core::{
    broker::Endpoint,
    wire::{Envelope, handshake::Role, ids::ConnectionId},
};

use super::{
    generate,
    peer::Peer,
    script::Script,
    world::{CLIENTS, WORKERS, World},
};

/// The maximum number of steps of a script. Longer ones would only be slow, because few steps reach any state.
const STEPS_MAX: usize = 300;

/// Runs the script, and then disconnects all peers.
///
/// The first byte selects whether clients and workers are connected at the start, and whether they and the broker have a key.
pub fn machine(input: &[u8]) {
    let mut script = Script::new(input);
    let setting = script.byte();
    let mut world = World::new(setting & 2 != 0);
    if setting & 1 != 0 {
        world.advance(std::time::Duration::ZERO);
        world.deliver_all();
    }
    let mut last = None;
    for _ in 0..STEPS_MAX {
        if script.has_ended() {
            break;
        }
        step(&mut world, &mut script, &mut last);
    }
    world.end();
}

fn step(world: &mut World, script: &mut Script<'_>, last: &mut Option<Vec<Bytes>>) {
    match script.below(24) {
        0..=3 => call(world, script),
        4 => cancel(world, script),
        5 | 6 => end_job(world, script),
        7 | 8 => world.deliver_all(),
        9 => on_some_connection(world, script, |world, connection| _ = world.deliver_to_broker(connection)),
        10 => on_some_connection(world, script, |world, connection| _ = world.deliver_to_peer(connection)),
        11 => _ = world.resolve_socket(script.place(CLIENTS + WORKERS), script.flag()),
        12 => world.advance(script.span()),
        13 => world.skip(script.span()),
        14 => on_some_connection(world, script, World::cut),
        15 => world.connect_stranger(script.pick(&[Endpoint::Frontend, Endpoint::Backend])),
        16 => send_handshake_step(world, script),
        17 | 18 => send_to_broker(world, script, last),
        19 => send_raw_to_broker(world, script),
        20 => send_to_peer(world, script),
        21 => send_again(world, script, last),
        22 => on_some_connection(world, script, record_activity),
        _ => end(world, script),
    }
}

fn call(world: &mut World, script: &mut Script<'_>) {
    let at = script.place(CLIENTS);
    if !world.clients[at].has_ended() {
        let actions = world.clients[at].call(world.now, script);
        world.apply_peer_actions(at, actions);
    }
}

fn cancel(world: &mut World, script: &mut Script<'_>) {
    let at = script.place(CLIENTS);
    if !world.clients[at].has_ended() {
        let actions = world.clients[at].cancel(world.now, script);
        world.apply_peer_actions(at, actions);
    }
}

fn end_job(world: &mut World, script: &mut Script<'_>) {
    let at = script.place(WORKERS);
    let actions = world.workers[at].end_one(world.now, script);
    world.apply_peer_actions(CLIENTS + at, actions);
}

/// Sends a step of a handshake on some connection.
fn send_handshake_step(world: &mut World, script: &mut Script<'_>) {
    let role = script.pick(&[Role::Client, Role::Worker]);
    let hello = script.flag().then(|| generate::hello(script, role));
    on_some_connection(world, script, |world, connection| {
        let envelope = hello.unwrap_or_else(|| world.broker.valid_proof(connection));
        generate::messages(&envelope).iter().for_each(|frames| world.receive_at_broker(connection, frames));
    });
}

/// Sends any envelope to the broker, on some connection.
fn send_to_broker(world: &mut World, script: &mut Script<'_>, last: &mut Option<Vec<Bytes>>) {
    let envelope = generate::to_broker(script);
    for frames in generate::messages(&envelope) {
        on_some_connection(world, script, |world, connection| world.receive_at_broker(connection, &frames));
        *last = Some(frames);
    }
}

fn send_raw_to_broker(world: &mut World, script: &mut Script<'_>) {
    let frames = generate::raw_message(script);
    on_some_connection(world, script, |world, connection| world.receive_at_broker(connection, &frames));
}

fn send_to_peer(world: &mut World, script: &mut Script<'_>) {
    let at = script.place(CLIENTS + WORKERS);
    match script.below(4) {
        0 => {
            let frames = generate::raw_message(script);
            world.receive_at_peer(at, &frames);
        }
        1 => send_envelope_to_peer(world, at, &Envelope::Welcome(generate::encoded(&generate::welcome(script)))),
        _ => send_envelope_to_peer(world, at, &generate::to_peer(script)),
    }
}

fn send_envelope_to_peer(world: &mut World, at: usize, envelope: &Envelope) {
    generate::messages(envelope).iter().for_each(|frames| world.receive_at_peer(at, frames));
}

/// Sends the last message again, possibly on another connection.
fn send_again(world: &mut World, script: &mut Script<'_>, last: &Option<Vec<Bytes>>) {
    let Some(frames) = last else { return };
    on_some_connection(world, script, |world, connection| world.receive_at_broker(connection, frames));
}

fn record_activity(world: &mut World, connection: ConnectionId) {
    let actions = world.broker.record_activity(world.now, connection);
    world.apply_broker_actions(actions);
}

fn end(world: &mut World, script: &mut Script<'_>) {
    let at = script.place(2);
    match script.below(8) {
        0 if !world.clients[at].has_ended() => {
            let actions = world.clients[at].close(world.now, script.span());
            world.apply_peer_actions(at, actions);
        }
        1 if !world.workers[at].has_ended() => {
            let actions = world.workers[at].shut_down(world.now, script.span());
            world.apply_peer_actions(CLIENTS + at, actions);
        }
        2 => world.shut_down(script.span()),
        3 => world.restart(),
        _ => {}
    }
}

/// Runs `act` on one of the broker's open connections.
fn on_some_connection(world: &mut World, script: &mut Script<'_>, act: impl FnOnce(&mut World, ConnectionId)) {
    let open = world.open_connections();
    if !open.is_empty() {
        let connection = open[script.place(open.len())];
        act(world, connection);
    }
}

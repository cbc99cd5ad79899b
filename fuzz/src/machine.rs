//! The target `machine`: a script for everybody.

use bytes::Bytes;
use callboard_core::{
    broker::Endpoint,
    wire::{Envelope, handshake::Role, ids::ConnectionId},
};

use super::{
    peer::Peer,
    said,
    script::Script,
    world::{CLIENTS, WORKERS, World},
};

/// A long input would only be slow: what matters happens between few steps.
const STEPS_MAX: usize = 300;

/// Runs the script, and then lets everybody leave.
///
/// The first byte says whether everybody is connected when it begins, and whether everybody but strangers has a key.
pub fn machine(input: &[u8]) {
    let mut script = Script::new(input);
    let setting = script.byte();
    let mut world = World::new(setting & 2 != 0);
    if setting & 1 != 0 {
        world.pass(std::time::Duration::ZERO);
        world.flow();
    }
    let mut last = None;
    for _ in 0..STEPS_MAX {
        if script.is_over() {
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
        7 | 8 => world.flow(),
        9 => on_some_link(world, script, |world, connection| _ = world.deliver_to_broker(connection)),
        10 => on_some_link(world, script, |world, connection| _ = world.deliver_to_peer(connection)),
        11 => _ = world.settle(script.place(CLIENTS + WORKERS), script.flag()),
        12 => world.pass(script.span()),
        13 => world.leap(script.span()),
        14 => on_some_link(world, script, World::cut),
        15 => world.open_link(script.pick(&[Endpoint::Frontend, Endpoint::Backend])),
        16 => greet(world, script),
        17 | 18 => say_to_broker(world, script, last),
        19 => say_raw_to_broker(world, script),
        20 => say_to_peer(world, script),
        21 => say_again(world, script, last),
        22 => on_some_link(world, script, heard),
        _ => end(world, script),
    }
}

fn call(world: &mut World, script: &mut Script<'_>) {
    let at = script.place(CLIENTS);
    if !world.clients[at].is_over() {
        let did = world.clients[at].call(world.now, script);
        world.carry(at, did);
    }
}

fn cancel(world: &mut World, script: &mut Script<'_>) {
    let at = script.place(CLIENTS);
    if !world.clients[at].is_over() {
        let did = world.clients[at].cancel(world.now, script);
        world.carry(at, did);
    }
}

fn end_job(world: &mut World, script: &mut Script<'_>) {
    let at = script.place(WORKERS);
    let did = world.workers[at].end_one(world.now, script);
    world.carry(CLIENTS + at, did);
}

/// The bare steps of a handshake, on some connection.
fn greet(world: &mut World, script: &mut Script<'_>) {
    let role = script.pick(&[Role::Client, Role::Worker]);
    let hello = script.flag().then(|| said::hello(script, role));
    on_some_link(world, script, |world, connection| {
        let envelope = hello.unwrap_or_else(|| world.broker.right_proof(connection));
        said::messages(&envelope).iter().for_each(|frames| world.tell_broker(connection, frames));
    });
}

/// Anything that somebody could say, from somebody's connection.
fn say_to_broker(world: &mut World, script: &mut Script<'_>, last: &mut Option<Vec<Bytes>>) {
    let envelope = said::to_broker(script);
    for frames in said::messages(&envelope) {
        on_some_link(world, script, |world, connection| world.tell_broker(connection, &frames));
        *last = Some(frames);
    }
}

fn say_raw_to_broker(world: &mut World, script: &mut Script<'_>) {
    let frames = said::raw_message(script);
    on_some_link(world, script, |world, connection| world.tell_broker(connection, &frames));
}

fn say_to_peer(world: &mut World, script: &mut Script<'_>) {
    let at = script.place(CLIENTS + WORKERS);
    match script.below(4) {
        0 => {
            let frames = said::raw_message(script);
            world.tell_peer(at, &frames);
        }
        1 => say_all_to_peer(world, at, &Envelope::Welcome(said::encoded(&said::welcome(script)))),
        _ => say_all_to_peer(world, at, &said::to_peer(script)),
    }
}

fn say_all_to_peer(world: &mut World, at: usize, envelope: &Envelope) {
    said::messages(envelope).iter().for_each(|frames| world.tell_peer(at, frames));
}

/// What was said last is said again, perhaps on another connection.
fn say_again(world: &mut World, script: &mut Script<'_>, last: &Option<Vec<Bytes>>) {
    let Some(frames) = last else { return };
    on_some_link(world, script, |world, connection| world.tell_broker(connection, frames));
}

fn heard(world: &mut World, connection: ConnectionId) {
    let done = world.broker.heard(world.now, connection);
    world.carry_out(done);
}

fn end(world: &mut World, script: &mut Script<'_>) {
    let at = script.place(2);
    match script.below(8) {
        0 if !world.clients[at].is_over() => {
            let did = world.clients[at].close(world.now, script.span());
            world.carry(at, did);
        }
        1 if !world.workers[at].is_over() => {
            let did = world.workers[at].shut_down(world.now, script.span());
            world.carry(CLIENTS + at, did);
        }
        2 => world.shut_down(script.span()),
        3 => world.restart(),
        _ => {}
    }
}

/// Does something with one of the connections that the broker has.
fn on_some_link(world: &mut World, script: &mut Script<'_>, act: impl FnOnce(&mut World, ConnectionId)) {
    let open = world.open();
    if !open.is_empty() {
        let connection = open[script.place(open.len())];
        act(world, connection);
    }
}

//! What a client of the endpoint cannot do: take memory, take all connections for ever, or delay calls.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::endpoint::{self, Endpoint};
use crate::harness::until;

/// More connections than the endpoint serves at a time.
const FLOOD: usize = 200;

#[test]
fn a_header_that_is_too_large_is_rejected() {
    let (_broker, endpoint) = endpoint::broker();
    let lines: String = (0..10_000).map(|number| format!("X-{number}: {number}\r\n")).collect();
    for headers in [lines, format!("X: {}\r\n", "x".repeat(100_000)), "X: y\r\n".repeat(100)] {
        let mut stream = endpoint.connect();
        let request = format!("GET /live HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        let _ = stream.write_all(request.as_bytes());
        let answer = first_line(&mut stream);
        // The response may be lost if the server closes the connection before it has read everything.
        assert!(answer.is_empty() || answer.contains("431") || answer.contains("400"), "{answer}");
    }
    endpoint.get("/live").assert(200, &["live"]);
}

#[test]
fn half_a_request_is_closed_after_a_while() {
    let (_broker, endpoint) = endpoint::broker();
    let began = Instant::now();
    let mut half = endpoint.connect();
    half.write_all(b"GET /live HTTP/1.1\r\nHos").unwrap();
    endpoint.get("/live").assert(200, &["live"]);
    first_line(&mut half);
    assert!(began.elapsed() >= Duration::from_secs(4), "it had time to send the rest");
}

#[test]
fn a_flood_of_connections_does_not_delay_calls_and_ends_by_itself() {
    let (broker, endpoint) = endpoint::broker();
    let _worker = broker.worker("calculator-worker", "calculator");
    let idle: Vec<_> = (0..FLOOD).map(|_| endpoint.connect()).collect();
    assert_eq!(broker.call(&["calculator.add", "2", "3"]).printed(), "5");
    // All of them time out, so the endpoint answers again while they are still open on this side.
    endpoint.get("/live").assert(200, &["live"]);
    assert_eq!(broker.call(&["calculator.add", "2", "3"]).printed(), "5");
    drop(idle);
}

#[test]
fn clients_that_do_not_read_do_not_keep_the_endpoint() {
    let (_broker, endpoint) = endpoint::broker();
    let unread: Vec<_> = (0..FLOOD).map(|_| requested(&endpoint)).collect();
    until("the endpoint answers", || (endpoint.get("/live").status == 200).then_some(()));
    drop(unread);
}

/// Returns a connection with a request whose response is not read.
fn requested(endpoint: &Endpoint) -> TcpStream {
    let mut stream = endpoint.connect();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    stream
}

fn first_line(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // An error means that the connection was reset.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned()
}

//! An admin endpoint, and requests to it.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::harness::{Broker, DEADLINE, Pool, Process};

/// The flags of an endpoint on a free port.
pub(super) const ANY_PORT: [&str; 2] = ["--admin", "127.0.0.1:0"];

/// The admin endpoint of a process.
pub(super) struct Endpoint {
    pub(super) address: String,
}

/// A response.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

/// The samples of a scrape, by name and labels as they are written.
#[derive(Debug)]
pub(super) struct Samples(BTreeMap<String, f64>);

/// Starts a broker with an endpoint.
pub(super) fn broker() -> (Broker, Endpoint) {
    let any_port = crate::harness::any_port();
    let broker = Broker::start_with(&[&["--frontend", &any_port, "--backend", &any_port], &ANY_PORT[..]].concat());
    let endpoint = Endpoint::of(&broker.process);
    (broker, endpoint)
}

/// Starts a pool of `pool-worker` with an endpoint.
pub(super) fn pool(broker: &Broker, size: u32) -> (Pool, Endpoint) {
    let pool = Pool::start_sized(broker, size, &ANY_PORT, &[]);
    let endpoint = Endpoint::of(&pool.process);
    (pool, endpoint)
}

impl Endpoint {
    /// Reads the address of a process's endpoint in its log.
    pub(super) fn of(process: &Process) -> Endpoint {
        let line = process.stderr.wait_for("admin endpoint open");
        let address = line.split_once("address=").map(|(_, rest)| rest.split_whitespace().next().unwrap());
        Endpoint { address: address.unwrap_or_else(|| panic!("no address: {line}")).to_owned() }
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    pub(super) fn get(&self, path: &str) -> Response {
        self.request("GET", path, "")
    }

    /// Makes a request with more header lines.
    pub(super) fn request(&self, method: &str, path: &str, headers: &str) -> Response {
        let mut stream = self.connect();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address);
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// Returns the samples of a scrape.
    pub(super) fn scrape(&self) -> Samples {
        let response = self.get("/metrics");
        assert_eq!(response.status, 200, "{}", response.body);
        let samples = response.body.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        };
        Samples(samples.map(sample).collect())
    }
}

impl Response {
    /// Asserts the status and that the body is one sentence which contains these words.
    #[track_caller]
    pub(super) fn assert(&self, status: u16, words: &[&str]) {
        assert!(self.status == status && self.body.lines().count() == 1, "{self:?}");
        assert!(words.iter().all(|word| self.body.contains(word)), "{words:?} are not in {self:?}");
    }
}

impl Samples {
    /// Returns the value of a sample, without the prefix of its name.
    pub(super) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(&format!("callboard_{name}")).copied()
    }

    /// Returns the value of a sample. Panics if it is missing.
    #[track_caller]
    pub(super) fn value(&self, name: &str) -> f64 {
        self.get(name).unwrap_or_else(|| panic!("the sample {name} is missing in {:#?}", self.0))
    }

    /// Returns the names of all samples that contain a text.
    pub(super) fn names_with(&self, text: &str) -> Vec<&str> {
        self.0.keys().map(String::as_str).filter(|name| name.contains(text)).collect()
    }
}

//! A relay between a peer and its broker: it records what passes, and may change it.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A relay. It listens until the test's process ends.
pub(crate) struct Relay {
    /// The address to connect to, in place of the broker's.
    pub(crate) address: String,
    recorded: Arc<Mutex<Vec<u8>>>,
}

/// What a relay does with the bytes that it has read: it may change them, before they go on.
type Change = dyn Fn(&mut Vec<u8>) + Send + Sync;

impl Relay {
    /// Starts a relay to `broker`, an address `tcp://HOST:PORT`, that changes nothing.
    pub(crate) fn start(broker: &str) -> Relay {
        Relay::with_change(broker, |_| ())
    }

    /// Starts a relay to `broker` that changes what it reads from either side.
    pub(crate) fn with_change(broker: &str, change: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> Relay {
        let broker: SocketAddr = broker.strip_prefix("tcp://").unwrap().parse().unwrap();
        let listener = TcpListener::bind((broker.ip(), 0)).unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let (record, change): (_, Arc<Change>) = (Arc::clone(&recorded), Arc::new(change));
        thread::spawn(move || {
            for peer in listener.incoming() {
                let (peer, broker) = (peer.unwrap(), TcpStream::connect(broker));
                // A broker that is gone refuses: the peer then loses its connection.
                let Ok(broker) = broker else { continue };
                let back = (broker.try_clone().unwrap(), peer.try_clone().unwrap());
                for (from, to) in [(peer, broker), back] {
                    let (record, change) = (Arc::clone(&record), Arc::clone(&change));
                    thread::spawn(move || pass_on(from, to, &record, &*change));
                }
            }
        });
        Relay { address, recorded }
    }

    /// Returns everything that was read so far, of both directions and all connections.
    pub(crate) fn recorded(&self) -> Vec<u8> {
        self.recorded.lock().unwrap().clone()
    }

    /// Returns whether these bytes were read, in one piece.
    pub(crate) fn has_seen(&self, bytes: &[u8]) -> bool {
        self.recorded().windows(bytes.len()).any(|seen| seen == bytes)
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, record: &Mutex<Vec<u8>>, change: &Change) {
    let mut buffer = vec![0; 64 * 1024];
    while let Some(count) = from.read(&mut buffer).ok().filter(|count| *count > 0) {
        let mut bytes = buffer[..count].to_vec();
        record.lock().unwrap().extend_from_slice(&bytes);
        change(&mut bytes);
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // The other side reads the end, or the connection is gone already.
    let _ = to.shutdown(Shutdown::Both);
}

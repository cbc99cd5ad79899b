//! The encrypted dealer against a scripted ROUTER with CURVE.

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    thread,
};

use bytes::{Bytes, BytesMut};
use callboard_core::{
    wire::Frames,
    zmtp::{
        Decoder, Encoder, Event,
        curve::{CurveServer, Entropy, SecretKey},
    },
};
use callboard_transport::{CurveKeys, Dealer, DealerError, DealerErrorKind};
use tokio::sync::oneshot;

use super::{both::ScriptedRouter, number, one, run};

/// The largest message of these tests.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

fn secret() -> SecretKey {
    SecretKey::from_bytes([7; 32])
}

fn keys() -> CurveKeys {
    CurveKeys::new(secret().public_key())
}

/// Connects, and retries timeouts of a slow machine.
async fn connect(address: &str, keys: &CurveKeys) -> Result<Dealer, DealerError> {
    loop {
        match Dealer::connect(address, Some(keys)).await {
            Err(error) if error.kind() == DealerErrorKind::TimedOut => {}
            connected => return connected,
        }
    }
}

/// A stream that a script reads and writes.
trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// One connection of a scripted ROUTER with CURVE, with blocking I/O on a thread of its own.
pub(crate) struct Router {
    stream: Box<dyn Stream>,
    decoder: Decoder,
    encoder: Encoder,
    input: Bytes,
}

impl Router {
    /// Listens, and runs `script` with the first connection that completes its handshake. Returns the address, and a receiver of the
    /// script's result.
    fn start<T: Send + 'static>(script: impl FnOnce(Router) -> T + Send + 'static) -> (String, oneshot::Receiver<T>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let accept = move || Box::new(listener.accept().unwrap().0) as Box<dyn Stream>;
        (address, Router::serve(accept, script))
    }

    fn serve<T: Send + 'static>(
        accept: impl Fn() -> Box<dyn Stream> + Send + 'static,
        script: impl FnOnce(Router) -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (done, end) = oneshot::channel();
        thread::spawn(move || {
            let router = std::iter::repeat_with(accept).find_map(Router::greet);
            done.send(script(router.unwrap())).is_ok()
        });
        end
    }

    /// Makes the handshake. `None` if the peer ends it.
    fn greet(stream: Box<dyn Stream>) -> Option<Router> {
        let server = CurveServer::new(secret(), Entropy::new([9; Entropy::BYTES]));
        let decoder = Decoder::curve_server(server, MESSAGE_BYTES_MAX);
        let mut router = Router { stream, decoder, encoder: Encoder::default(), input: Bytes::new() };
        router.stream.write_all(&router.decoder.first_bytes()).ok()?;
        loop {
            match router.next_event()? {
                Event::Transmit(bytes) => router.stream.write_all(&bytes).ok()?,
                Event::HandshakeDone { curve } => {
                    assert!(curve.is_some(), "the connection is encrypted");
                    router.encoder = router.decoder.take_encoder();
                    return Some(router);
                }
                other => panic!("{other:?} in the handshake"),
            }
        }
    }

    /// Returns the next event. `None` at the end of the stream, and after a violation.
    fn next_event(&mut self) -> Option<Event> {
        loop {
            match self.decoder.next(&mut self.input) {
                Ok(None) => {}
                Ok(event) => return event,
                Err(violation) => {
                    let error = self.decoder.error_command(violation);
                    let _ = self.stream.write_all(&error.unwrap_or_default());
                    return None;
                }
            }
            let mut bytes = vec![0; 64 * 1024];
            let count = self.stream.read(&mut bytes).ok().filter(|count| *count > 0)?;
            self.input = [&self.input[..], &bytes[..count]].concat().into();
        }
    }

    /// Returns the frames of the next message. `None` at the end of the stream.
    fn receive(&mut self) -> Option<Vec<Bytes>> {
        match self.next_event()? {
            Event::Message(message) => Some(message.frames().to_vec()),
            other => panic!("{other:?} after the handshake"),
        }
    }

    fn sealed(&mut self, frames: &Frames) -> BytesMut {
        let mut bytes = BytesMut::new();
        self.encoder.write_message(frames, &mut bytes).unwrap();
        bytes
    }

    fn send(&mut self, frames: &Frames) {
        let bytes = self.sealed(frames);
        self.stream.write_all(&bytes).unwrap();
    }
}

impl ScriptedRouter for Router {
    fn start<T: Send + 'static>(script: impl FnOnce(Router) -> T + Send + 'static) -> (String, oneshot::Receiver<T>) {
        Router::start(script)
    }

    async fn connect(address: &str) -> Dealer {
        connect(address, &keys()).await.unwrap()
    }

    fn send(&mut self, frame: Vec<u8>) {
        Router::send(self, &one(frame));
    }

    fn receive(&mut self) -> Option<Bytes> {
        Router::receive(self).map(|frames| frames[0].clone())
    }
}

#[test]
fn encrypted_frames_of_any_size_are_sent_and_received_over_every_transport() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("router");
        let listener = UnixListener::bind(&path).unwrap();
        let accept = move || Box::new(listener.accept().unwrap().0) as Box<dyn Stream>;
        let echo = |mut router: Router| {
            while let Some(frames) = router.receive() {
                let mut frames = frames.into_iter();
                router.send(&Frames { first: frames.next().unwrap(), large: frames.next() });
            }
        };
        let (tcp, _end) = Router::start(echo);
        let _end = Router::serve(accept, echo);
        for address in [tcp.replace("127.0.0.1", "localhost"), format!("ipc://{}", path.display())] {
            let mut dealer = connect(&address, &keys()).await.unwrap();
            for large in [None, Some(Bytes::new()), Some(Bytes::from(vec![7; 1024 * 1024]))] {
                for first in [Bytes::new(), Bytes::from_static(b"first"), Bytes::from(vec![5; 4096])] {
                    let expected: Vec<Bytes> = std::iter::once(first.clone()).chain(large.clone()).collect();
                    dealer.send(Frames { first, large: large.clone() });
                    dealer.flush();
                    assert_eq!(dealer.receive().await.unwrap(), expected);
                    assert_eq!(dealer.try_receive(), None);
                }
            }
        }
    });
}

#[test]
fn a_broker_with_another_key_rejects_with_its_reason() {
    run(async {
        let (address, _end) = Router::start(|_| ());
        let other = CurveKeys::new(SecretKey::from_bytes([8; 32]).public_key());
        let error = connect(&address, &other).await.err().expect("the attempt must fail");
        assert_eq!(error.kind(), DealerErrorKind::Rejected);
        assert!(error.to_string().contains("public key of this server"), "{error}");
    });
}

#[test]
fn a_dealer_with_a_server_key_tells_a_plain_broker_nothing() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let (done, end) = oneshot::channel();
        thread::spawn(move || {
            let mut longest = Vec::new();
            // A slow dealer may try more than once.
            for stream in listener.incoming() {
                let (mut stream, mut read) = (stream.unwrap(), Vec::new());
                stream.write_all(&callboard_core::zmtp::greeting()).unwrap();
                stream.write_all(&callboard_core::zmtp::ready()).unwrap();
                let _ = stream.read_to_end(&mut read);
                if read.len() >= 64 {
                    longest = read;
                    break;
                }
            }
            done.send(longest).is_ok()
        });
        let error = connect(&address, &keys()).await.err().expect("the attempt must fail");
        assert_eq!(error.kind(), DealerErrorKind::Encryption);
        assert!(error.to_string().contains("does not offer encryption"), "{error}");
        let read = end.await.unwrap();
        assert_eq!(read.len(), 64, "the dealer sent nothing but its greeting");
        assert!(read.windows(5).any(|bytes| bytes == b"CURVE"), "and that requires CURVE");
    });
}

#[test]
fn the_loss_of_an_encrypted_connection_is_reported_after_the_messages_that_arrived() {
    run(async {
        let (address, end) = Router::start(|mut router| {
            (0..100_u64).for_each(|number| router.send(&one(number.to_be_bytes().to_vec())))
        });
        let mut dealer = connect(&address, &keys()).await.unwrap();
        end.await.unwrap();
        dealer.send(one("to a lost peer"));
        dealer.flush();
        for expected in 0..100 {
            assert_eq!(number(&dealer.receive().await.unwrap()[0]), expected);
        }
        for _ in 0..3 {
            dealer.receive().await.expect_err("the connection stays lost");
        }
        assert_eq!(dealer.try_receive(), None);
        dealer.send(one("to a lost peer"));
        assert_eq!(dealer.unsent(), 0);
    });
}

#[test]
fn a_message_that_was_changed_on_the_way_ends_the_connection() {
    run(async {
        let (address, end) = Router::start(|mut router| {
            router.send(&one("unchanged"));
            let mut bytes = router.sealed(&one("changed"));
            *bytes.last_mut().unwrap() ^= 1;
            router.stream.write_all(&bytes).unwrap();
            router.send(&one("after it"));
            router
        });
        let mut dealer = connect(&address, &keys()).await.unwrap();
        let _router = end.await.unwrap();
        assert_eq!(dealer.receive().await.unwrap(), [Bytes::from_static(b"unchanged")]);
        let lost = dealer.receive().await.expect_err("the message is refused").to_string();
        assert!(lost.contains("changed on the way"), "{lost}");
    });
}

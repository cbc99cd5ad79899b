//! Raw TCP: the floor of a direct call. Frames with a length, several in one write, and results by their ids.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
};

use crate::{load::Echo, message::Message};

/// Frames that may wait to be written.
const WAITING_MAX: usize = 8_192;
/// Bytes of one write, about.
const WRITE_BYTES: usize = 128 * 1024;

/// The callers that wait, by the ids of their messages.
type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Message>>>>;

/// A client with its connection.
pub(super) struct RawClient {
    frames: mpsc::Sender<Bytes>,
    waiting: Waiting,
}

pub(super) async fn server() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ready {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let (results, frames) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write(writer, frames));
        tokio::spawn(async move {
            let mut buffer = BytesMut::new();
            let mut reader = reader;
            while let Some(frame) = read(&mut reader, &mut buffer).await? {
                results.send(Message::decode(&frame)?.encode()?).await?;
            }
            anyhow::Ok(())
        });
    }
}

pub(super) async fn connect(address: String) -> anyhow::Result<RawClient> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut reader, writer) = stream.into_split();
    let (frames, to_write) = mpsc::channel(WAITING_MAX);
    let waiting = Waiting::default();
    let callers = Arc::clone(&waiting);
    tokio::spawn(write(writer, to_write));
    tokio::spawn(async move {
        let mut buffer = BytesMut::new();
        while let Some(frame) = read(&mut reader, &mut buffer).await? {
            let message = Message::decode(&frame)?;
            let caller = callers.lock().unwrap_or_else(PoisonError::into_inner).remove(&message.id);
            // Fails if the caller has ended.
            caller.map(|caller| caller.send(message));
        }
        anyhow::Ok(())
    });
    Ok(RawClient { frames, waiting })
}

/// Writes frames, all that wait at once.
async fn write(mut writer: OwnedWriteHalf, mut frames: mpsc::Receiver<Bytes>) -> anyhow::Result<()> {
    let mut buffer = BytesMut::new();
    while let Some(frame) = frames.recv().await {
        add(&mut buffer, &frame)?;
        while let Some(frame) = (buffer.len() < WRITE_BYTES).then(|| frames.try_recv().ok()).flatten() {
            add(&mut buffer, &frame)?;
        }
        writer.write_all_buf(&mut buffer).await?;
    }
    Ok(())
}

fn add(buffer: &mut BytesMut, frame: &[u8]) -> anyhow::Result<()> {
    buffer.put_u32(u32::try_from(frame.len())?);
    buffer.extend_from_slice(frame);
    Ok(())
}

/// Reads the next frame; `None` at the end of the connection.
async fn read(reader: &mut OwnedReadHalf, buffer: &mut BytesMut) -> anyhow::Result<Option<BytesMut>> {
    loop {
        if let Some(length) = buffer.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize)
            && buffer.len() >= 4 + length
        {
            buffer.advance(4);
            return Ok(Some(buffer.split_to(length)));
        }
        buffer.reserve(WRITE_BYTES / 2);
        if reader.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

impl Echo for RawClient {
    async fn call(&self, message: Message) -> anyhow::Result<Message> {
        let (sender, result) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(message.id, sender);
        self.frames.send(message.encode()?).await?;
        result.await.context("the connection is lost")
    }
}

//! Stream: one transfer session, which both sides write to.

use super::{Event, Protocol, events::EventSender, frames};
use bytes::Bytes;
use futures::{AsyncReadExt as _, AsyncWriteExt as _, io::BufReader};
use nonos_mesh_proto::PeerId;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::sync::{
    OwnedSemaphorePermit,
    mpsc::{self, Receiver, Sender},
};
use tracing::debug;

/// Above so many bytes that wait, a stream is full.
pub const STREAM_QUEUE_BYTES_HIGH: usize = 1 << 20;
/// Below so many, it takes frames again.
pub const STREAM_QUEUE_BYTES_LOW: usize = 256 << 10;
/// Most frames that wait: whoever goes on when it is full loses the stream.
pub const STREAM_QUEUE_FRAMES_MAX: usize = 1_024;
/// How much is read from the connection at once.
const READ_BYTES: usize = 128 << 10;

/// What waits to be written.
#[derive(Debug, Default)]
struct Backlog {
    bytes: AtomicUsize,
    is_full: AtomicBool,
}

/// The writing end of a transfer stream.
#[derive(Debug)]
pub struct StreamWriter {
    queue: Sender<(Bytes, Bytes)>,
    backlog: Arc<Backlog>,
}

impl StreamWriter {
    /// Writes a frame in two parts. Whether it takes more; when not, [`Event::StreamWritable`] says when it does again.
    /// A stream that is gone takes everything.
    pub fn send(&self, head: Bytes, body: Bytes) -> bool {
        let length = head.len() + body.len();
        let backlog = &self.backlog;
        let waiting = backlog.bytes.fetch_add(length, Ordering::SeqCst) + length;
        if self.queue.try_send((head, body)).is_err() {
            // Gone, or its owner does not heed what it is told: the stream's end is reported by its reader.
            backlog.bytes.fetch_sub(length, Ordering::SeqCst);
            return true;
        }
        if waiting <= STREAM_QUEUE_BYTES_HIGH {
            return true;
        }
        backlog.is_full.store(true, Ordering::SeqCst);
        // Everything may have been written in between, and then nobody would say so.
        backlog.bytes.load(Ordering::SeqCst) < STREAM_QUEUE_BYTES_LOW && backlog.is_full.swap(false, Ordering::SeqCst)
    }
}

/// Runs a stream until either side ends it.
pub(super) async fn run(
    peer: PeerId,
    number: u64,
    stream: libp2p::Stream,
    events: EventSender,
    permit: Option<OwnedSemaphorePermit>,
) {
    let (queue, frames) = mpsc::channel(STREAM_QUEUE_FRAMES_MAX);
    let backlog = Arc::new(Backlog::default());
    let writer = StreamWriter { queue, backlog: backlog.clone() };
    if events.send(Event::StreamOpened { peer, stream: number, writer }).await.is_err() {
        return;
    }
    let (reader, writer) = stream.split();
    let write = write(peer, number, writer, frames, &backlog, &events);
    let read = read(peer, number, reader, &events);
    // Both ends: a session needs both directions, and what was written last is to arrive.
    tokio::select! {
        () = write => {}
        () = read => {}
    }
    drop(permit);
    // Nobody listens any more when this fails.
    let _ = events.send(Event::StreamClosed { peer, stream: number }).await;
}

async fn read(peer: PeerId, number: u64, reader: impl futures::AsyncRead + Unpin, events: &EventSender) {
    let mut reader = BufReader::with_capacity(READ_BYTES, reader);
    loop {
        match frames::read(&mut reader, Protocol::Transfer.frame_bytes_max()).await {
            Ok(Some(frame)) => {
                if events.send(Event::StreamFrame { peer, stream: number, frame }).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                debug!(%peer, number, %error, "a transfer stream ends");
                return;
            }
        }
    }
}

async fn write(
    peer: PeerId,
    number: u64,
    mut writer: impl futures::AsyncWrite + Unpin,
    mut queue: Receiver<(Bytes, Bytes)>,
    backlog: &Backlog,
    events: &EventSender,
) {
    while let Some((head, body)) = queue.recv().await {
        let written = async {
            frames::write(&mut writer, &[&head, &body]).await?;
            // As many as wait go together.
            if queue.is_empty() { writer.flush().await } else { Ok(()) }
        };
        if let Err(error) = written.await {
            debug!(%peer, number, %error, "a transfer stream breaks");
            return;
        }
        let length = head.len() + body.len();
        let waiting = backlog.bytes.fetch_sub(length, Ordering::SeqCst) - length;
        if waiting < STREAM_QUEUE_BYTES_LOW
            && backlog.is_full.swap(false, Ordering::SeqCst)
            && events.send(Event::StreamWritable { peer, stream: number }).await.is_err()
        {
            return;
        }
    }
    // It ends either way.
    let _ = writer.close().await;
}

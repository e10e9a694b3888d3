//! Serving: what uploads say is done.

use super::{Core, Done};
use bytes::Bytes;
use nonos_mesh::net::StreamWriter;
use nonos_mesh_proto::{
    PeerId,
    transfer::{Link, UploadOutput},
};
use nonos_store::mesh::{Change, Shelf};
use tracing::debug;

impl Core {
    pub(super) fn pump_upload(&mut self) {
        let now_ms = self.clock.ms();
        while let Some(output) = self.upload.poll(now_ms) {
            match output {
                UploadOutput::Read { read, root, offset, length } => {
                    let (folder, tell) = (self.folder.clone(), self.tell_done.clone());
                    tokio::task::spawn_blocking(move || {
                        let bytes = folder.read(root, offset, length);
                        if let Err(error) = &bytes {
                            // Nobody listens when the loop has ended.
                            let _ = tell.send(Done::Warn(format!("{root} cannot be read: {error}")));
                        }
                        let _ = tell.send(Done::Read { read, bytes: bytes.ok().map(Bytes::from) });
                    });
                }
                UploadOutput::Send { link, frame } => {
                    self.uploaded_bytes += frame.body.len() as u64;
                    let takes_more =
                        self.links.get(&link).is_none_or(|writer| writer.send(frame.head.into(), frame.body));
                    if !takes_more {
                        self.upload.handle_writable(now_ms, link, false);
                    }
                }
                UploadOutput::Acked { link, ack } => {
                    self.acked += 1;
                    let (said, downloader) = (ack.signed().ack(), ack.signed().downloader().id());
                    debug!(peer = %link.peer, bytes = said.bytes, "acknowledged");
                    // Without a ticket nobody pays for it.
                    if said.ticket.is_some() {
                        let key = [&said.session[..], downloader.as_bytes()].concat();
                        self.write("an acknowledgement", vec![Change::put(Shelf::Acks, key, ack.signed().to_bytes())]);
                    }
                }
                UploadOutput::Close { link, reason } => {
                    debug!(peer = %link.peer, ?reason, "a session is closed");
                    self.links.remove(&link);
                }
            }
        }
    }

    /// A transfer stream is there.
    pub(super) fn stream_opened(&mut self, peer: PeerId, stream: u64, writer: StreamWriter) {
        if stream % 2 == 1 {
            self.links.insert(Link { peer, stream }, writer);
        } else {
            self.fetch_stream_opened(peer, stream, writer);
        }
    }

    /// A transfer stream has ended.
    pub(super) fn stream_closed(&mut self, peer: PeerId, stream: u64) {
        if stream % 2 == 1 {
            self.links.remove(&Link { peer, stream });
            self.upload.handle_gone(self.clock.ms(), Link { peer, stream });
        } else {
            self.fetch_stream_closed(peer, stream);
        }
    }
}

//! Seeding: contents, who serves them, who downloads them: the state machines of production at both ends.
//!
//! A fake seeder serves other bytes of the same size, under statements that it signs about them in the name of the root.
//! Everything else it does as it should, or nobody would ask it.

use crate::keys::Keys;
use bytes::Bytes;
use nonos_keys::{PublicKey, Signature};
use nonos_mesh_proto::{
    PeerId,
    transfer::{
        BadRange, Content, Download, DownloadConfig, DownloadOutput, Fault, Frame, GROUP_BYTES, Link, Message,
        NumberSet, RangeStatement, SPAN_GROUPS, SizeProof, Upload, UploadLimits, UploadOutput,
    },
};
use nonos_types::Hash32;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use std::{collections::BTreeMap, sync::Arc};

/// How many contents there are.
pub(crate) const CONTENTS: u32 = 5;
/// Two spans, the second one of a group and a half: a path has one node.
const CONTENT_BYTES: usize = (SPAN_GROUPS as u64 * GROUP_BYTES + 3 * GROUP_BYTES / 2) as usize;
/// After how long without a new group a download fails.
const GIVE_UP_MS: u64 = 60_000;

/// Content, and what fake seeders serve in its place.
struct Held {
    content: Arc<Content>,
    bytes: Bytes,
    fake: Content,
    fake_bytes: Bytes,
}

struct Seeder {
    upload: Upload,
    lies: bool,
    /// By content and span: what it signed that is not so.
    lied: BTreeMap<(u32, u32), Signature>,
}

struct Loading {
    node: u32,
    content: u32,
    seeders: Vec<u32>,
    download: Download,
    is_whole: bool,
}

/// A true statement that a seeder signed, with what anybody needs to check it.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) statement: RangeStatement,
    pub(crate) signature: Signature,
    pub(crate) size_proof: SizeProof,
    pub(crate) seeder: PublicKey,
}

/// What should happen.
pub(crate) enum Output {
    /// A frame is on its way, in the stream of this download.
    Send { from: u32, to: u32, load: u32, frame: Bytes },
    /// A downloader has evidence against a seeder.
    Evidence { node: u32, liar: u32, bad: Box<BadRange> },
    /// A downloader found fault with a seeder that nobody else can check.
    Unproven { node: u32, seeder: u32, fault: Fault },
}

/// All transfers of a network.
pub(crate) struct Seeding {
    held: Vec<Held>,
    seeders: BTreeMap<u32, Seeder>,
    loads: BTreeMap<u32, Loading>,
    peer: fn(u32) -> PeerId,
    node: fn(PeerId) -> u32,
    /// What fake seeders signed.
    pub(crate) lie_signatures: u64,
}

impl Seeding {
    /// Nobody seeds yet.
    pub(crate) fn new(seed: u64, peer: fn(u32) -> PeerId, node: fn(PeerId) -> u32) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
        let mut made = || {
            let mut bytes = vec![0; CONTENT_BYTES];
            random.fill_bytes(&mut bytes);
            (Content::from_bytes(&bytes).expect("it is not too long"), Bytes::from(bytes))
        };
        let held = (0..CONTENTS).map(|_| {
            let ((content, bytes), (fake, fake_bytes)) = (made(), made());
            Held { content: Arc::new(content), bytes, fake, fake_bytes }
        });
        let held = held.collect();
        Self { held, seeders: BTreeMap::new(), loads: BTreeMap::new(), peer, node, lie_signatures: 0 }
    }

    /// A node seeds all contents from now on.
    pub(crate) fn seed(&mut self, node: u32, lies: bool, keys: &mut Keys) {
        let mut upload = Upload::new(keys.of(node), UploadLimits::default());
        for held in &self.held {
            upload.insert(held.content.clone(), NumberSet::full(held.content.shape().spans()));
        }
        self.seeders.insert(node, Seeder { upload, lies, lied: BTreeMap::new() });
    }

    /// A node begins to download a content. It knows no seeder yet.
    pub(crate) fn begin(&mut self, load: u32, node: u32, content: u32, keys: &mut Keys, now_ms: u64) -> Vec<Output> {
        let root = self.held[content as usize].content.root();
        let config = DownloadConfig { root, ticket: None, give_up_ms: GIVE_UP_MS };
        let download = Download::new(now_ms, config, keys.of(node), None);
        self.loads.insert(load, Loading { node, content, seeders: Vec::new(), download, is_whole: false });
        self.settle(load, now_ms, keys)
    }

    /// A downloader hears of a seeder.
    pub(crate) fn ask(&mut self, load: u32, seeder: u32, keys: &mut Keys, now_ms: u64) -> Vec<Output> {
        let Some(loading) = self.loads.get_mut(&load) else { return Vec::new() };
        let mut session = [0; 32];
        session[..4].copy_from_slice(&load.to_le_bytes());
        session[4..8].copy_from_slice(&seeder.to_le_bytes());
        loading.seeders.push(seeder);
        // Refused when the download is over.
        let _ = loading.download.handle_peer(now_ms, (self.peer)(seeder), keys.of(seeder).id(), session);
        self.settle(load, now_ms, keys)
    }

    pub(crate) fn on_frame(
        &mut self,
        (from, to, load): (u32, u32, u32),
        frame: &Bytes,
        keys: &mut Keys,
        now_ms: u64,
    ) -> Vec<Output> {
        let is_download = self.loads.get(&load).is_some_and(|loading| loading.node == to);
        if is_download {
            if let Some(loading) = self.loads.get_mut(&load) {
                loading.download.on_frame(now_ms, (self.peer)(from), frame);
            }
            return self.settle(load, now_ms, keys);
        }
        let link = Link { peer: (self.peer)(from), stream: load.into() };
        if let Some(seeder) = self.seeders.get_mut(&to) {
            seeder.upload.on_frame(now_ms, link, frame);
        }
        self.serve(to, keys, now_ms)
    }

    /// Some time has passed.
    pub(crate) fn handle_time(&mut self, keys: &mut Keys, now_ms: u64) -> Vec<Output> {
        let mut outputs = Vec::new();
        for load in self.loads.keys().copied().collect::<Vec<_>>() {
            if let Some(loading) = self.loads.get_mut(&load) {
                loading.download.handle_time(now_ms);
            }
            outputs.extend(self.settle(load, now_ms, keys));
        }
        for node in self.seeders.keys().copied().collect::<Vec<_>>() {
            if let Some(seeder) = self.seeders.get_mut(&node) {
                seeder.upload.handle_time(now_ms);
            }
            outputs.extend(self.serve(node, keys, now_ms));
        }
        outputs
    }

    /// Who downloads.
    pub(crate) fn downloader(&self, load: u32) -> Option<u32> {
        self.loads.get(&load).map(|loading| loading.node)
    }

    /// How many downloads there were, and how many have all bytes.
    pub(crate) fn loads(&self) -> (u32, u32) {
        (self.loads.len() as u32, self.loads.values().filter(|loading| loading.is_whole).count() as u32)
    }

    /// What a seeder said to a downloader, if the frame is a statement: true or not.
    pub(crate) fn signed(&self, load: u32, frame: &Bytes, seeder: &PublicKey) -> Option<Signed> {
        let Ok(Message::Statement(said)) = Message::decode(frame) else { return None };
        let content = &self.held[self.loads.get(&load)?.content as usize].content;
        let statement = RangeStatement::of(content, said.span)?;
        let size_proof = content.size_proof().clone();
        Some(Signed { statement, signature: said.signature, size_proof, seeder: seeder.clone() })
    }

    /// The proof of the size of another content than that with this root.
    pub(crate) fn another_size_proof(&self, root: Hash32) -> SizeProof {
        let another = self.held.iter().find(|held| held.content.root() != root);
        another.map(|held| held.content.size_proof().clone()).expect("there are more contents than one")
    }

    fn settle(&mut self, load: u32, now_ms: u64, keys: &mut Keys) -> Vec<Output> {
        let mut outputs = Vec::new();
        let Some(loading) = self.loads.get_mut(&load) else { return outputs };
        let Loading { node, content, ref seeders, .. } = *loading;
        let mut gone = Vec::new();
        while let Some(output) = loading.download.poll() {
            match output {
                DownloadOutput::Send { peer, frame } => {
                    let frame = frame.to_bytes();
                    outputs.push(Output::Send { from: node, to: (self.node)(peer), load, frame });
                }
                DownloadOutput::Write { offset, bytes } => {
                    let offset = offset as usize;
                    let right = &self.held[content as usize].bytes[offset..offset + bytes.len()];
                    assert!(right == bytes, "a wrong byte was written");
                }
                DownloadOutput::Evidence { peer, bad } => {
                    outputs.push(Output::Evidence { node, liar: (self.node)(peer), bad });
                }
                DownloadOutput::Drop { peer, fault } => {
                    gone.push((self.node)(peer));
                    if fault != Fault::Bad {
                        outputs.push(Output::Unproven { node, seeder: (self.node)(peer), fault });
                    }
                }
                DownloadOutput::Done { .. } => loading.is_whole = true,
                DownloadOutput::Release { .. } | DownloadOutput::WantPeers | DownloadOutput::Failed(_) => {}
            }
        }
        debug_assert!(gone.iter().all(|seeder| seeders.contains(seeder)));
        for seeder in gone {
            let link = Link { peer: (self.peer)(node), stream: load.into() };
            if let Some(seeder) = self.seeders.get_mut(&seeder) {
                seeder.upload.handle_gone(now_ms, link);
            }
            outputs.extend(self.serve(seeder, keys, now_ms));
        }
        outputs
    }

    /// Does what a seeder says has to be done; where it is a fake one, otherwise.
    fn serve(&mut self, node: u32, keys: &mut Keys, now_ms: u64) -> Vec<Output> {
        let mut outputs = Vec::new();
        let Some(seeder) = self.seeders.get_mut(&node) else { return outputs };
        while let Some(output) = seeder.upload.poll(now_ms) {
            match output {
                UploadOutput::Read { read, root, offset, length } => {
                    let held = self.held.iter().find(|held| held.content.root() == root);
                    let bytes = held.map(|held| if seeder.lies { &held.fake_bytes } else { &held.bytes });
                    let bytes = bytes.map(|bytes| bytes.slice(offset as usize..offset as usize + length));
                    seeder.upload.on_read(now_ms, read, bytes);
                }
                UploadOutput::Send { link, frame } => {
                    let load = link.stream as u32;
                    let content = self.loads.get(&load).map_or(0, |loading| loading.content);
                    let frame = if seeder.lies {
                        let (frame, signed) = lie(&self.held[content as usize], content, seeder, node, &frame, keys);
                        self.lie_signatures += u64::from(signed);
                        frame
                    } else {
                        frame.to_bytes()
                    };
                    outputs.push(Output::Send { from: node, to: (self.node)(link.peer), load, frame });
                }
                UploadOutput::Acked { .. } | UploadOutput::Close { .. } => {}
            }
        }
        outputs
    }
}

/// What a fake seeder makes of a frame, and whether it signed something for it.
fn lie(held: &Held, content: u32, seeder: &mut Seeder, node: u32, frame: &Frame, keys: &mut Keys) -> (Bytes, bool) {
    let bytes = frame.to_bytes();
    let Ok(Message::Statement(mut said)) = Message::decode(&bytes) else { return (bytes, false) };
    let Some((cv, path)) = held.fake.span(said.span) else { return (bytes, false) };
    let statement = RangeStatement { root: held.content.root(), span: said.span, cv, path };
    let mut signed = false;
    let signature = seeder.lied.entry((content, said.span)).or_insert_with(|| {
        signed = true;
        statement.sign(&keys.of(node))
    });
    said.signature = signature.clone();
    said.groups = held.fake.groups(said.span).to_vec();
    said.path = statement.path;
    (Message::Statement(said).encode().to_bytes(), signed)
}

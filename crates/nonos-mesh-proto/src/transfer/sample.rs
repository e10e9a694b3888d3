//! Keys, contents and a network in memory that the tests of this module share.

use super::{
    BadRange, Content, Data, Download, DownloadConfig, DownloadOutput, Failure, Fault, Have, Link, Message, NumberSet,
    RangeStatement, Resume, Statement, Upload, UploadLimits, UploadOutput, VerifiedAck,
};
use crate::PeerId;
use bytes::Bytes;
use nonos_keys::{SEED_BYTES, SecretKey, Validity};
use nonos_types::Hash32;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Three spans, the last of them short, the last group odd.
pub(crate) const SIZE: usize = (8 << 20) + 100_001;

pub(crate) fn key(number: u8) -> Arc<SecretKey> {
    Arc::new(SecretKey::from_seed(&[number; SEED_BYTES], Validity::ALWAYS))
}

pub(crate) fn bytes(size: usize) -> Bytes {
    let mut bytes = vec![0; size];
    StdRng::seed_from_u64(size as u64).fill_bytes(&mut bytes);
    bytes.into()
}

pub(crate) fn peer(number: u8) -> PeerId {
    PeerId::from_bytes([number; 32])
}

/// What a seeder does to what it should send.
pub(crate) type Lie = fn(&Seeder, Message) -> Vec<Message>;

pub(crate) fn honest(_: &Seeder, message: Message) -> Vec<Message> {
    vec![message]
}

pub(crate) struct Seeder {
    pub(crate) id: PeerId,
    pub(crate) key: Arc<SecretKey>,
    pub(crate) content: Arc<Content>,
    pub(crate) upload: Upload,
    pub(crate) lie: Lie,
    pub(crate) link: Option<Link>,
    to_it: VecDeque<Bytes>,
    from_it: VecDeque<Bytes>,
}

impl Seeder {
    /// Signs a statement that it changed.
    pub(crate) fn restate(&self, statement: &Statement, change: impl FnOnce(&mut RangeStatement)) -> Statement {
        let whole = self.content.shape().spans() == 1;
        let cv = super::tree::span_cv(&statement.groups, whole).unwrap();
        let mut said = RangeStatement {
            root: self.content.root(),
            span: statement.span,
            cv: Hash32::from_bytes(cv),
            path: statement.path.clone(),
        };
        change(&mut said);
        Statement { path: said.path.clone(), signature: said.sign(&self.key), ..statement.clone() }
    }
}

pub(crate) struct Network {
    pub(crate) now_ms: u64,
    pub(crate) config: DownloadConfig,
    pub(crate) key: Arc<SecretKey>,
    pub(crate) download: Download,
    pub(crate) bytes: Bytes,
    pub(crate) file: Vec<u8>,
    pub(crate) seeders: Vec<Seeder>,
    pub(crate) evidence: Vec<(PeerId, BadRange)>,
    pub(crate) drops: Vec<(PeerId, Fault)>,
    pub(crate) acks: BTreeMap<Link, VerifiedAck>,
    pub(crate) done: Option<u64>,
    pub(crate) failed: Option<Failure>,
    pub(crate) rng: StdRng,
    /// What downloader and disk do to a frame of theirs, before it is on its way: for hostile downloaders.
    pub(crate) streams: u64,
    /// Whether acknowledgements are lost on their way.
    pub(crate) no_acks: bool,
}

impl Network {
    /// A downloader, key 1, and as many seeders as there are lies, keys 10 and on.
    pub(crate) fn new(seed: u64, size: usize, lies: &[Lie]) -> Self {
        Self::with_limits(seed, size, lies, UploadLimits::default())
    }

    pub(crate) fn with_limits(seed: u64, size: usize, lies: &[Lie], limits: UploadLimits) -> Self {
        let bytes = bytes(size);
        let content = Arc::new(Content::from_bytes(&bytes).unwrap());
        let config = DownloadConfig { root: content.root(), ticket: None, give_up_ms: 600_000 };
        let mut seeders = Vec::new();
        for (number, lie) in (10..).zip(lies) {
            let key = key(number);
            let mut upload = Upload::new(key.clone(), limits);
            assert!(upload.insert(content.clone(), NumberSet::full(content.shape().spans())));
            seeders.push(Seeder {
                id: peer(number),
                key,
                content: content.clone(),
                upload,
                lie: *lie,
                link: None,
                to_it: VecDeque::new(),
                from_it: VecDeque::new(),
            });
        }
        let key = key(1);
        let download = Download::new(0, config, key.clone(), None);
        let mut network = Self {
            now_ms: 0,
            config,
            key,
            download,
            bytes,
            file: vec![0; size],
            seeders,
            evidence: Vec::new(),
            drops: Vec::new(),
            acks: BTreeMap::new(),
            done: None,
            failed: None,
            rng: StdRng::seed_from_u64(seed),
            streams: 0,
            no_acks: false,
        };
        network.connect();
        network
    }

    /// Tells the downloader of every seeder that it has no stream to.
    pub(crate) fn connect(&mut self) {
        for seeder in &mut self.seeders {
            let session = self.rng.random();
            if seeder.link.is_none()
                && self.download.handle_peer(self.now_ms, seeder.id, seeder.key.id(), session).is_ok()
            {
                self.streams += 1;
                // The downloader is peer 1 to all of them.
                seeder.link = Some(Link { peer: peer(1), stream: self.streams });
            }
        }
        self.settle();
    }

    /// A seeder's connection breaks.
    pub(crate) fn cut(&mut self, index: usize) {
        let seeder = &mut self.seeders[index];
        seeder.to_it.clear();
        seeder.from_it.clear();
        if let Some(link) = seeder.link.take() {
            seeder.upload.handle_gone(self.now_ms, link);
        }
        let id = seeder.id;
        self.download.handle_gone(self.now_ms, id);
        self.settle();
    }

    /// The downloader dies and comes back with what was on its disk.
    pub(crate) fn restart(&mut self) {
        let saved = self.download.resume().map(|resume| resume.to_bytes());
        for index in 0..self.seeders.len() {
            self.cut(index);
        }
        let resume = saved.map(|bytes| Resume::from_bytes(&bytes).unwrap());
        self.download = Download::new(self.now_ms, self.config, self.key.clone(), resume);
        self.connect();
    }

    /// Delivers one frame of a random stream, or lets time pass; false when nothing will ever happen.
    pub(crate) fn step(&mut self) -> bool {
        let ready: Vec<(usize, bool)> = (0..self.seeders.len())
            .flat_map(|index| [(index, true), (index, false)])
            .filter(|(index, to)| {
                let seeder = &self.seeders[*index];
                !(if *to { &seeder.to_it } else { &seeder.from_it }).is_empty()
            })
            .collect();
        if ready.is_empty() {
            let wakes = self.seeders.iter().filter_map(|seeder| seeder.upload.wake_at_ms());
            let Some(at_ms) = wakes.chain(self.download.wake_at_ms()).min() else { return false };
            self.now_ms = self.now_ms.max(at_ms);
            self.download.handle_time(self.now_ms);
            for seeder in &mut self.seeders {
                seeder.upload.handle_time(self.now_ms);
            }
        } else {
            let (index, to) = ready[self.rng.random_range(0..ready.len())];
            self.now_ms += u64::from(self.rng.random_range(0..8) == 0);
            let seeder = &mut self.seeders[index];
            if to {
                let frame = seeder.to_it.pop_front().unwrap();
                if let Some(link) = seeder.link {
                    seeder.upload.on_frame(self.now_ms, link, &frame);
                }
            } else {
                let frame = seeder.from_it.pop_front().unwrap();
                self.download.on_frame(self.now_ms, seeder.id, &frame);
            }
        }
        self.settle();
        self.done.is_none() && self.failed.is_none()
    }

    /// Does what both sides say has to be done.
    pub(crate) fn settle(&mut self) {
        while let Some(output) = self.download.poll() {
            match output {
                DownloadOutput::Send { peer, frame } => {
                    let ack = frame.head[1] == 8;
                    let seeder = self.seeders.iter_mut().find(|seeder| seeder.id == peer).unwrap();
                    if seeder.link.is_some() && !(ack && self.no_acks) {
                        seeder.to_it.push_back(frame.to_bytes());
                    }
                }
                DownloadOutput::Write { offset, bytes } => {
                    let offset = offset as usize;
                    assert_eq!(self.bytes.slice(offset..offset + bytes.len()), bytes, "a wrong byte was written");
                    self.file[offset..offset + bytes.len()].copy_from_slice(&bytes);
                }
                DownloadOutput::Evidence { peer, bad } => self.evidence.push((peer, *bad)),
                DownloadOutput::Drop { peer, fault } => {
                    self.drops.push((peer, fault));
                    let index = self.seeders.iter().position(|seeder| seeder.id == peer).unwrap();
                    self.hang_up(index);
                }
                DownloadOutput::Release { .. } | DownloadOutput::WantPeers => {}
                DownloadOutput::Done { size_bytes } => self.done = Some(size_bytes),
                DownloadOutput::Failed(failure) => self.failed = Some(failure),
            }
        }
        for index in 0..self.seeders.len() {
            self.settle_seeder(index);
        }
    }

    fn hang_up(&mut self, index: usize) {
        let seeder = &mut self.seeders[index];
        seeder.to_it.clear();
        seeder.from_it.clear();
        if let Some(link) = seeder.link.take() {
            seeder.upload.handle_gone(self.now_ms, link);
        }
    }

    fn settle_seeder(&mut self, index: usize) {
        loop {
            let seeder = &mut self.seeders[index];
            let Some(output) = seeder.upload.poll(self.now_ms) else { return };
            match output {
                UploadOutput::Read { read, offset, length, .. } => {
                    let offset = offset as usize;
                    seeder.upload.on_read(self.now_ms, read, Some(self.bytes.slice(offset..offset + length)));
                }
                UploadOutput::Send { link, frame } if seeder.link == Some(link) => {
                    let message = Message::decode(&frame.to_bytes()).unwrap();
                    let said = (seeder.lie)(seeder, message);
                    seeder.from_it.extend(said.iter().map(|message| message.encode().to_bytes()));
                }
                UploadOutput::Send { .. } => {}
                UploadOutput::Acked { link, ack } => {
                    self.acks.insert(link, *ack);
                }
                UploadOutput::Close { link, .. } => {
                    if seeder.link == Some(link) {
                        seeder.link = None;
                        // What was sent before still arrives.
                        let id = seeder.id;
                        if seeder.from_it.is_empty() {
                            self.download.handle_gone(self.now_ms, id);
                        }
                    }
                }
            }
        }
    }

    /// Until it is over.
    pub(crate) fn run(&mut self) {
        for _ in 0..1_000_000 {
            if !self.step() {
                // Last acknowledgements arrive.
                while self.seeders.iter().any(|seeder| !seeder.to_it.is_empty()) {
                    self.step();
                }
                return;
            }
        }
        panic!("it does not end");
    }

    #[track_caller]
    pub(crate) fn check_done(&self) {
        assert_eq!((self.done, self.failed), (Some(self.bytes.len() as u64), None), "{:?}", self.drops);
        assert!(self.file == self.bytes, "the file is what the root says");
    }
}

/// Changes what is in a message of one kind and hands on all others.
pub(crate) fn on_statement(message: Message, change: impl FnOnce(Statement) -> Statement) -> Vec<Message> {
    match message {
        Message::Statement(statement) => vec![Message::Statement(Box::new(change(*statement)))],
        other => vec![other],
    }
}

pub(crate) fn on_data(message: Message, change: impl FnOnce(Data) -> Vec<Data>) -> Vec<Message> {
    match message {
        Message::Data(data) => change(data).into_iter().map(Message::Data).collect(),
        other => vec![other],
    }
}

pub(crate) fn on_have(message: Message, change: impl FnOnce(&mut Have)) -> Vec<Message> {
    match message {
        Message::Have(mut have) => {
            change(&mut have);
            vec![Message::Have(have)]
        }
        other => vec![other],
    }
}

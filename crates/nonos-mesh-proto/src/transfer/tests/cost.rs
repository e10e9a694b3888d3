//! What checking, signing and acknowledging cost beside hashing.
//! `cargo test --release -p nonos-mesh-proto --lib cost -- --ignored --nocapture`.

use crate::transfer::{
    Ack, Content, Download, DownloadConfig, DownloadOutput, Link, NumberSet, SignedAck, Upload, UploadLimits,
    UploadOutput,
    sample::{Lie, Network, bytes, honest, key, on_statement, peer},
};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

fn timed<T>(what: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let value = what();
    (start.elapsed(), value)
}

/// One downloader and `seeders` seeders without a network between them: frames are handed over as they are.
/// Time in the seeders, time in the downloader.
fn transfer(data: &Bytes, content: &Arc<Content>, seeders: u8) -> (Duration, Duration, usize) {
    let config = DownloadConfig { root: content.root(), ticket: None, give_up_ms: 60_000 };
    let mut download = Download::new(0, config, key(1), None);
    let limits = UploadLimits { burst_bytes: 1 << 40, ..UploadLimits::default() };
    let link = Link { peer: peer(1), stream: 1 };
    let mut uploads: Vec<_> = (0..seeders)
        .map(|number| {
            let mut upload = Upload::new(key(10 + number), limits);
            upload.insert(content.clone(), NumberSet::full(content.shape().spans()));
            download.handle_peer(0, peer(10 + number), key(10 + number).id(), [number; 32]).unwrap();
            upload
        })
        .collect();
    let (mut seeding, mut loading, mut acks) = (Duration::ZERO, Duration::ZERO, 0);
    let mut written = 0u64;
    let mut over = false;
    while !over {
        while let (took, Some(output)) = timed(|| download.poll()) {
            loading += took;
            match output {
                DownloadOutput::Send { peer: to, frame } => {
                    let index = usize::from(to.as_bytes()[0] - 10);
                    let frame = frame.to_bytes();
                    seeding += timed(|| uploads[index].on_frame(0, link, &frame)).0;
                }
                DownloadOutput::Write { bytes, .. } => written += bytes.len() as u64,
                DownloadOutput::Done { .. } => over = true,
                other => {
                    assert!(!matches!(other, DownloadOutput::Drop { .. } | DownloadOutput::Failed(_)), "{other:?}");
                }
            }
        }
        for (number, upload) in (0u8..).zip(&mut uploads) {
            // As many frames as a socket would take at once.
            for _ in 0..64 {
                let (took, output) = timed(|| upload.poll(0));
                seeding += took;
                match output {
                    None => break,
                    Some(UploadOutput::Read { read, offset, length, .. }) => {
                        let bytes = data.slice(offset as usize..offset as usize + length);
                        seeding += timed(|| upload.on_read(0, read, Some(bytes))).0;
                    }
                    Some(UploadOutput::Send { frame, .. }) => {
                        // The socket's copy is not ours.
                        let frame = frame.to_bytes();
                        loading += timed(|| download.on_frame(0, peer(10 + number), &frame)).0;
                    }
                    Some(UploadOutput::Acked { .. }) => acks += 1,
                    Some(UploadOutput::Close { .. }) => {}
                }
            }
        }
    }
    assert_eq!(written, data.len() as u64);
    (seeding, loading, acks)
}

#[test]
#[ignore = "prints times; run it in release"]
#[expect(clippy::print_stdout, reason = "it is there to print")]
fn what_a_transfer_costs_beside_hashing() {
    let data = bytes(256 << 20);
    let best = |run: &dyn Fn()| (0..5).map(|_| timed(run).0).min().unwrap();
    let plain = best(&|| {
        std::hint::black_box(blake3::hash(&data));
    });
    println!("plain blake3 of 256 MiB      {plain:?}");
    let (built, content) = timed(|| Arc::new(Content::from_bytes(&data).unwrap()));
    println!("tree of 256 MiB              {built:?}");
    let secret = key(1);
    let said = crate::transfer::RangeStatement::of(&content, 0).unwrap();
    let (sign, signatures) = timed(|| (0..64).map(|_| said.sign(&secret)).collect::<Vec<_>>());
    let signature = &signatures[0];
    let (check, ()) = timed(|| (0..64).for_each(|_| said.check_signature(secret.public(), signature).unwrap()));
    println!("64 signatures, 64 checks     {sign:?}, {check:?}");
    let (groups, ()) = timed(|| {
        for (group, bytes) in (0u32..).zip(data.chunks(16_384)) {
            std::hint::black_box(crate::transfer::tree::group_cv(content.shape(), group, bytes));
        }
    });
    println!("every group of it by itself  {groups:?}");
    let ack = Ack {
        root: content.root(),
        session: [0; 32],
        seeder: secret.id(),
        ticket: None,
        bytes: 1,
        sequence: 1,
        last: false,
    };
    let ack = ack.sign(&secret).to_bytes();
    let (read, ()) = timed(|| (0..64).for_each(|_| drop(SignedAck::from_bytes(&ack).unwrap())));
    println!("64 acknowledgements read     {read:?}");
    for seeders in [1, 3] {
        let runs: Vec<_> = (0..5).map(|_| transfer(&data, &content, seeders)).collect();
        let (seeding, loading, acks) = *runs.iter().min_by_key(|run| run.0 + run.1).unwrap();
        let ratio = |time: Duration| time.as_micros() * 100 / plain.as_micros();
        println!(
            "{seeders} seeders: seeding {seeding:?} ({} % of plain), loading {loading:?} ({} % of plain), {acks} acks",
            ratio(seeding),
            ratio(loading)
        );
    }
}

#[test]
#[ignore = "a quarter of a gibibyte; run it in release"]
#[expect(clippy::print_stdout, reason = "it is there to print")]
fn a_quarter_of_a_gibibyte_from_three_seeders_one_of_which_lies() {
    let lie: Lie = |seeder, message| {
        on_statement(message, |mut statement| {
            statement.groups[7][7] ^= 7;
            seeder.restate(&statement, |_| {})
        })
    };
    let mut network = Network::new(1, 256 << 20, &[honest, lie, honest]);
    let (took, ()) = timed(|| network.run());
    network.check_done();
    let [(at, bad)] = &network.evidence[..] else { panic!("{} pieces of evidence", network.evidence.len()) };
    assert_eq!((*at, bad.verify()), (peer(11), Ok(key(11).id())));
    println!("256 MiB over a network in memory: {took:?}, evidence of {} bytes", bad.to_bytes().len());
}

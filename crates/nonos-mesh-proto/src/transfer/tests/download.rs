//! Downloads from honest seeders: sizes, losses, restarts, slow seeders, the end game.

use crate::transfer::{
    Content, Data, Download, DownloadOutput, Fault, Have, Message, NumberSet, Resume, Unknown, UploadLimits,
    sample::{Lie, Network, SIZE, bytes, honest, key, peer},
};
use bytes::Bytes;
use rand::RngExt;
use std::sync::Arc;

#[test]
fn content_of_every_size_comes_whole() {
    for size in [0, 1, 16_383, 16_384, 16_385, 1_000_003, (4 << 20) + 1, SIZE] {
        let mut network = Network::new(size as u64, size, &[honest, honest, honest]);
        network.run();
        network.check_done();
        assert_eq!((&network.evidence[..], &network.drops[..]), (&[][..], &[][..]));
    }
}

#[test]
fn what_was_delivered_is_acknowledged_to_the_byte() {
    let mut network = Network::new(5, SIZE, &[honest, honest, honest]);
    network.run();
    network.check_done();
    let acked: u64 = network.acks.values().map(|ack| ack.signed().ack().bytes).sum();
    let progress = network.download.progress();
    assert_eq!(acked, progress.verified_bytes + progress.duplicate_bytes);
    assert!(network.acks.values().all(|ack| ack.signed().ack().last));
    assert_eq!(network.acks.len(), 3, "every seeder had its share");
}

#[test]
fn the_end_game_doubles_little() {
    for seed in 0..20 {
        let mut network = Network::new(seed, SIZE, &[honest, honest, honest]);
        network.run();
        network.check_done();
        let twice = network.download.progress().duplicate_bytes;
        assert!(twice <= 4 << 20, "seed {seed}: {twice} bytes came twice");
    }
}

#[test]
fn a_download_goes_on_when_seeders_vanish_and_come_back() {
    for seed in 0..20 {
        let mut network = Network::new(seed, SIZE, &[honest, honest, honest]);
        let mut steps = 0;
        while network.step() {
            steps += 1;
            if steps % 97 == 0 {
                let index = network.rng.random_range(0..3);
                network.cut(index);
            }
            if steps % 131 == 0 {
                network.connect();
            }
        }
        network.check_done();
        assert_eq!(network.drops, [], "seed {seed}");
    }
}

#[test]
fn a_download_that_is_killed_at_any_step_goes_on_with_what_it_had() {
    // Each run is killed a little later than the one before, and every one again and again.
    for seed in 0..12 {
        let mut network = Network::new(seed, SIZE, &[honest, honest]);
        let every = 1 + 29 * seed;
        let mut steps = 0;
        let mut kills = 0;
        while network.step() {
            steps += 1;
            if steps % every == 0 && kills < 30 {
                let before = network.download.progress().verified_bytes;
                network.restart();
                kills += 1;
                assert_eq!(network.download.progress().verified_bytes, before, "seed {seed}, step {steps}");
            }
        }
        network.check_done();
        assert!(kills > 0 && network.drops.is_empty(), "seed {seed}: {kills} kills, {:?}", network.drops);
    }
}

#[test]
fn a_kill_at_each_single_step_loses_nothing_that_was_written() {
    let mut kill_at = 0;
    loop {
        let mut network = Network::new(kill_at, 1_500_000, &[honest, honest]);
        let over = (0..kill_at).any(|_| !network.step());
        if over {
            break;
        }
        let before = network.download.progress().verified_bytes;
        network.restart();
        assert_eq!(network.download.progress().verified_bytes, before, "killed at step {kill_at}");
        network.run();
        network.check_done();
        kill_at += 1;
    }
    assert!(kill_at > 90, "{kill_at} steps");
}

#[test]
fn a_whole_file_needs_nobody() {
    let mut network = Network::new(1, 100_000, &[honest]);
    network.run();
    let resume = network.download.resume().unwrap();
    assert!(resume.groups().is_full());
    let mut again = Download::new(0, network.config, network.key.clone(), Some(resume));
    assert_eq!(again.poll(), Some(DownloadOutput::Done { size_bytes: 100_000 }));
    assert_eq!((again.poll(), again.wake_at_ms()), (None, None));
}

#[test]
fn a_resume_record_of_other_content_is_left_alone() {
    let mut network = Network::new(1, 100_000, &[honest]);
    network.run();
    let other = Content::from_bytes(b"other").unwrap();
    let config = crate::transfer::DownloadConfig { root: other.root(), ..network.config };
    let download = Download::new(0, config, network.key.clone(), network.download.resume());
    assert_eq!(download.progress().verified_bytes, 0);
}

#[test]
fn the_same_events_give_the_same_outputs() {
    let run = || {
        let mut network = Network::new(9, SIZE, &[honest, honest, honest]);
        network.run();
        (network.now_ms, network.download.progress(), network.acks)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_slow_seeder_does_not_hold_up_the_end() {
    // It answers, and then gives one group a time that no timeout sees.
    let slow: Lie = |_, message| match message {
        Message::Data(data) if data.group % 8 == 7 => Vec::new(),
        other => vec![other],
    };
    let mut network = Network::new(2, SIZE, &[honest, slow]);
    network.run();
    network.check_done();
    assert!(network.now_ms < 60_000, "{} ms", network.now_ms);
}

#[test]
fn the_span_that_fewest_have_is_asked_for_first() {
    let mut network = Network::new(2, SIZE, &[honest, honest]);
    let content = network.seeders[0].content.clone();
    // One has the last span alone; the downloader hears of both before anything is asked of the second.
    let mut some = NumberSet::empty(3);
    some.insert(0);
    some.insert(1);
    let mut download = Download::new(0, network.config, network.key.clone(), None);
    let have = |number: u8, spans: NumberSet| {
        let session = [number; 32];
        let seeder = key(number).public().clone();
        let size_proof = content.size_proof().clone();
        Message::Have(Box::new(Have { session, size_proof, spans, window_bytes: 8 << 20, seeder })).encode().to_bytes()
    };
    for number in [10, 11, 12] {
        download.handle_peer(0, peer(number), key(number).id(), [number; 32]).unwrap();
    }
    download.on_frame(0, peer(10), &have(10, some.clone()));
    download.on_frame(0, peer(11), &have(11, some));
    while download.poll().is_some() {}
    download.on_frame(0, peer(12), &have(12, NumberSet::full(3)));
    let mut asked = Vec::new();
    while let Some(output) = download.poll() {
        if let DownloadOutput::Send { peer: to, frame } = output
            && let Ok(Message::Want(want)) = Message::decode(&frame.to_bytes())
        {
            assert_eq!(to, peer(12));
            asked.push(want.groups.start / 256);
        }
    }
    // Two requests: the short last span that nobody else has, then what is left.
    assert_eq!(asked.first(), Some(&2));
    network.run();
    network.check_done();
}

#[test]
fn a_partial_seeder_is_asked_only_for_what_it_has() {
    let mut network = Network::new(4, SIZE, &[honest, honest]);
    let content = network.seeders[0].content.clone();
    let mut halves = [NumberSet::empty(3), NumberSet::empty(3)];
    halves[0].insert(1);
    halves[1].insert(0);
    halves[1].insert(2);
    for (index, spans) in halves.into_iter().enumerate() {
        network.cut(index);
        assert!(network.seeders[index].upload.insert(content.clone(), spans));
    }
    network.connect();
    network.run();
    network.check_done();
    assert_eq!(network.drops, []);
}

#[test]
fn random_frames_from_a_seeder_never_panic_and_never_write() {
    let mut network = Network::new(11, 1_000_000, &[honest]);
    for seed in 0..300u64 {
        let mut download = Download::new(0, network.config, network.key.clone(), None);
        download.handle_peer(0, peer(9), key(9).id(), [0; 32]).unwrap();
        for now_ms in 0..50 {
            let length = network.rng.random_range(0..64);
            let mut frame: Vec<u8> = (0..length).map(|_| network.rng.random()).collect();
            if let Some([version, kind]) = frame.first_chunk_mut::<2>() {
                *version = 1;
                *kind %= 10;
            }
            download.on_frame(now_ms, peer(9), &Bytes::from(frame));
            download.handle_time(now_ms);
        }
        while let Some(output) = download.poll() {
            assert!(!matches!(output, DownloadOutput::Write { .. }), "seed {seed}");
        }
    }
}

#[test]
fn stale_data_after_a_cancel_is_counted_and_no_more_of_it_than_was_cancelled() {
    let size = 3 << 20;
    let content = Arc::new(Content::from_bytes(&bytes(size)).unwrap());
    let mut network = Network::new(3, size, &[honest, honest]);
    network.run();
    network.check_done();
    assert_eq!(network.drops, []);
    // After the end nothing that comes does anything.
    let late = Data { request: 1, group: 0, bytes: bytes(size).slice(..16_384) };
    network.download.on_frame(network.now_ms, peer(10), &Message::Data(late).encode().to_bytes());
    assert_eq!(network.download.poll(), None);
    assert_eq!(content.root(), network.config.root);
}

#[test]
fn a_silent_seeder_gets_its_pause_and_another_chance() {
    // Loses its voice in the middle, for some frames, then is cut: others finish, and it is not banned.
    let mut network = Network::new(6, SIZE, &[honest, |_, _| Vec::new()]);
    network.run();
    network.check_done();
    assert!(network.drops.iter().all(|(_, fault)| *fault == Fault::Offline));
    assert!(!network.drops.contains(&(peer(11), Fault::Unknown(Unknown::Frame))));
}

#[test]
fn a_resume_record_reads_as_it_was_written() {
    let mut network = Network::new(8, SIZE, &[honest]);
    for _ in 0..200 {
        network.step();
    }
    let resume = network.download.resume().unwrap();
    assert!(resume.groups().count() > 0 && !resume.groups().is_full());
    assert_eq!(Resume::from_bytes(&resume.to_bytes()), Ok(resume));
}

#[test]
fn a_seeder_that_trickles_is_let_go_and_what_it_gave_is_kept() {
    // A group in nine seconds: never silent for long, never done with a request.
    let limits = UploadLimits { rate_bytes_per_s: 1_820, burst_bytes: 0, ..UploadLimits::default() };
    let mut network = Network::with_limits(1, 2 << 20, &[honest], limits);
    network.run();
    assert_eq!(network.drops, [(peer(10), Fault::Offline)]);
    let kept = network.download.progress().verified_bytes;
    assert!(kept > 0 && network.failed.is_some(), "{kept} bytes");
    assert!(network.download.resume().is_some_and(|resume| resume.groups().count() > 0));
}

#[test]
fn small_windows_and_slow_rates_slow_it_down_and_no_more() {
    let limits = UploadLimits {
        window_bytes: 256 << 10,
        rate_bytes_per_s: 1 << 20,
        burst_bytes: 256 << 10,
        ..UploadLimits::default()
    };
    let mut network = Network::with_limits(1, 4 << 20, &[honest, honest], limits);
    network.run();
    network.check_done();
    assert_eq!(network.drops, []);
    // Two seeders of 1 MiB/s each, 4 MiB.
    assert!((1_500..10_000).contains(&network.now_ms), "{} ms", network.now_ms);
}

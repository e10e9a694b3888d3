//! Three seeders, one of which lies, in each way that there is.

use crate::transfer::{
    BadRange, Fault, Message, PeerRefused, RangeStatement, Refuse, RefuseReason, SizeProof, Unknown,
    sample::{Lie, Network, SIZE, Seeder, honest, key, on_data, on_have, on_statement, peer},
};
use bytes::Bytes;
use nonos_types::Hash32;

/// Runs it with one liar; the file is right, and the liar, and nobody else, is dropped for `expected`.
#[track_caller]
fn check(lie: Lie, expected: Fault) -> Network {
    let mut network = Network::new(7, SIZE, &[honest, lie, honest]);
    network.run();
    network.check_done();
    assert_eq!(network.drops, [(peer(11), expected)]);
    network
}

/// As [`check`], and what is left is evidence that a stranger who has nothing but its bytes can check.
#[track_caller]
fn check_convicted(lie: Lie) {
    let network = check(lie, Fault::Bad);
    let [(at, bad)] = &network.evidence[..] else { panic!("{} pieces of evidence", network.evidence.len()) };
    assert_eq!(*at, peer(11));
    let told = BadRange::from_bytes(&bad.to_bytes()).unwrap();
    assert_eq!(told.verify(), Ok(key(11).id()));
    assert_eq!(told.root(), network.config.root);
}

#[track_caller]
fn check_unproven(lie: Lie, unknown: Unknown) {
    assert_eq!(check(lie, Fault::Unknown(unknown)).evidence, []);
}

#[test]
fn a_wrong_group_under_a_signature_convicts() {
    check_convicted(|seeder, message| {
        on_statement(message, |mut statement| {
            statement.groups[3][0] ^= 1;
            seeder.restate(&statement, |_| {})
        })
    });
}

#[test]
fn a_wrong_node_of_the_path_convicts() {
    check_convicted(|seeder, message| {
        on_statement(message, |statement| seeder.restate(&statement, |said| said.path[0] = Hash32::from_bytes([9; 32])))
    });
}

#[test]
fn a_path_too_long_or_too_short_convicts() {
    check_convicted(|seeder, message| {
        on_statement(message, |statement| seeder.restate(&statement, |said| said.path.push(said.cv)))
    });
    check_convicted(|seeder, message| {
        on_statement(message, |statement| seeder.restate(&statement, |said| said.path.clear()))
    });
}

#[test]
fn another_span_in_place_of_the_one_asked_for_convicts() {
    check_convicted(|seeder, message| {
        on_statement(message, |mut statement| {
            let other = if statement.span == 0 { 1 } else { 0 };
            statement.groups = seeder.content.groups(other).to_vec();
            let path = seeder.content.span(other).unwrap().1;
            seeder.restate(&statement, |said| said.path = path)
        })
    });
}

#[test]
fn a_span_that_is_cut_short_under_a_signature_convicts() {
    check_convicted(|seeder, message| {
        on_statement(message, |mut statement| {
            statement.groups.truncate(statement.groups.len() / 2);
            seeder.restate(&statement, |_| {})
        })
    });
}

#[test]
fn a_size_that_is_not_the_roots_is_not_believed() {
    check_unproven(|_, message| on_have(message, |have| have.size_proof.size += 1), Unknown::Size);
    check_unproven(|_, message| on_have(message, |have| have.size_proof.size = 1 << 30), Unknown::Size);
    // The proof of other content.
    fn other(_: &Seeder, message: Message) -> Vec<Message> {
        let chunk = b"short".to_vec();
        on_have(message, |have| have.size_proof = SizeProof { size: 5, chunk, path: Vec::new() })
    }
    check_unproven(other, Unknown::Size);
}

#[test]
fn a_statement_for_another_root_proves_nothing_and_is_no_use() {
    check_unproven(
        |seeder, message| {
            on_statement(message, |statement| {
                seeder.restate(&statement, |said| said.root = Hash32::from_bytes([1; 32]))
            })
        },
        Unknown::Signature,
    );
}

#[test]
fn a_false_statement_with_somebody_elses_signature_proves_nothing() {
    check_unproven(
        |seeder, message| {
            on_statement(message, |mut statement| {
                statement.groups[0][0] ^= 1;
                let said = RangeStatement::of(&seeder.content, statement.span).unwrap();
                statement.signature = said.sign(&key(10));
                statement
            })
        },
        Unknown::Signature,
    );
}

#[test]
fn bytes_that_are_not_those_of_the_statement_are_not_written() {
    check_unproven(
        |_, message| {
            on_data(message, |mut data| {
                let mut bytes = data.bytes.to_vec();
                let last = bytes.len() - 1;
                bytes[last] ^= 0x80;
                data.bytes = bytes.into();
                vec![data]
            })
        },
        Unknown::WrongBytes,
    );
}

#[test]
fn a_group_that_is_cut_short_is_not_written() {
    check_unproven(
        |_, message| {
            on_data(message, |mut data| {
                data.bytes.truncate(100);
                vec![data]
            })
        },
        Unknown::WrongBytes,
    );
}

#[test]
fn data_that_was_not_asked_for_is_not_taken() {
    check_unproven(
        |_, message| {
            on_data(message, |mut data| {
                data.request += 1_000;
                vec![data]
            })
        },
        Unknown::Unsolicited,
    );
}

#[test]
fn data_in_another_order_is_not_taken() {
    check_unproven(
        |_, message| {
            on_data(message, |data| {
                let mut later = data.clone();
                later.group += 1;
                vec![later, data]
            })
        },
        Unknown::OutOfOrder,
    );
    // The same group twice.
    check_unproven(|_, message| on_data(message, |data| vec![data.clone(), data]), Unknown::OutOfOrder);
}

#[test]
fn data_before_its_statement_is_not_taken() {
    check_unproven(
        |_, message| if matches!(message, Message::Statement(_)) { Vec::new() } else { vec![message] },
        Unknown::Unsolicited,
    );
}

#[test]
fn a_statement_twice_or_unasked_is_not_taken() {
    check_unproven(
        |_, message| match message {
            Message::Statement(_) => vec![message.clone(), message],
            other => vec![other],
        },
        Unknown::Unsolicited,
    );
}

#[test]
fn a_seeder_under_another_key_is_not_believed() {
    check_unproven(|_, message| on_have(message, |have| have.seeder = key(10).public().clone()), Unknown::Key);
}

#[test]
fn messages_of_a_downloader_and_two_answers_make_no_sense_from_a_seeder() {
    check_unproven(
        |_, message| match message {
            Message::Have(_) => vec![message.clone(), message],
            other => vec![other],
        },
        Unknown::Unexpected,
    );
    check_unproven(|_, _| vec![Message::Cancel { request: 1 }], Unknown::Unexpected);
}

#[test]
fn a_frame_that_is_no_message_is_the_end() {
    let mut network = Network::new(3, SIZE, &[honest, honest]);
    network.download.on_frame(0, peer(10), &Bytes::from_static(&[1, 99]));
    network.settle();
    network.run();
    network.check_done();
    assert_eq!(network.drops, [(peer(10), Fault::Unknown(Unknown::Frame))]);
}

#[test]
fn a_seeder_that_says_nothing_is_let_go() {
    // From the beginning, and after it said what it has.
    let lies: [Lie; 2] =
        [|_, _| Vec::new(), |_, message| if matches!(message, Message::Have(_)) { vec![message] } else { Vec::new() }];
    for lie in lies {
        let mut network = Network::new(7, SIZE, &[lie]);
        network.run();
        assert_eq!(network.drops, [(peer(10), Fault::Offline)]);
        assert!(network.failed.is_some());
        // The others go on without it.
        let mut network = Network::new(7, SIZE, &[honest, lie]);
        network.run();
        network.check_done();
    }
}

#[test]
fn a_seeder_that_refuses_for_ever_is_let_go() {
    let refuse = Refuse { request: None, reason: RefuseReason::Busy, retry_after_ms: 1 };
    let mut network = Network::new(7, SIZE, &[|_, _| Vec::new()]);
    let frame = Message::Refuse(refuse).encode().to_bytes();
    for _ in 0..8 {
        network.download.on_frame(network.now_ms, peer(10), &frame);
        network.now_ms += 2;
        network.download.handle_time(network.now_ms);
    }
    network.settle();
    assert_eq!(network.drops, [(peer(10), Fault::Offline)]);
}

/// What it does to a message depends on the message: hands it on, mostly; drops it, doubles it, damages any byte of it,
/// signs a lie, or says something else.
fn chaos(seeder: &Seeder, message: Message) -> Vec<Message> {
    let frame = message.encode().to_bytes();
    let dice = *blake3::hash(&frame).as_bytes();
    match dice[0] {
        0..4 => Vec::new(),
        4..8 => vec![message.clone(), message],
        8..20 => {
            let mut bytes = frame.to_vec();
            let at = usize::from(dice[1]) * usize::from(dice[2]) % bytes.len();
            bytes[at] ^= dice[3];
            Message::decode(&bytes.into()).into_iter().collect()
        }
        20..28 => on_statement(message, |mut statement| {
            statement.groups[0][1] ^= dice[4];
            seeder.restate(&statement, |_| {})
        }),
        28..30 => {
            let reason = RefuseReason::Busy;
            let request = Some(u32::from(dice[5]));
            vec![Message::Refuse(Refuse { request, reason, retry_after_ms: u32::from(dice[6]) }), message]
        }
        _ => vec![message],
    }
}

#[test]
fn chaos_costs_time_and_convicts_nobody_who_is_honest() {
    let mut convicted = 0;
    for seed in 0..40 {
        // The order of things differs with the seed, the content with the size.
        let size = 1_000_000 + 16_411 * seed as usize;
        let mut network = Network::new(seed, size, &[chaos, honest, chaos]);
        network.run();
        network.check_done();
        for (at, bad) in &network.evidence {
            let liar = bad.verify().expect("evidence that is handed out convicts");
            assert!(liar == key(10).id() || liar == key(12).id(), "seed {seed}");
            assert!(*at != peer(11));
            convicted += 1;
        }
        assert!(network.drops.iter().all(|(at, _)| *at != peer(11)), "seed {seed}: {:?}", network.drops);
    }
    assert!(convicted > 0);
}

#[test]
fn a_liar_alone_gives_nothing_and_is_not_asked_again() {
    let lie: Lie = |seeder, message| {
        on_statement(message, |mut statement| {
            statement.groups[0][0] ^= 1;
            seeder.restate(&statement, |_| {})
        })
    };
    let mut network = Network::new(7, SIZE, &[lie]);
    while network.drops.is_empty() {
        network.step();
    }
    // Not at another connection either.
    let again = network.download.handle_peer(network.now_ms, peer(99), key(10).id(), [0; 32]);
    assert_eq!(again, Err(PeerRefused::Banned));
    network.run();
    assert_eq!((network.download.progress().verified_bytes, network.evidence.len()), (0, 1));
    assert!(network.failed.is_some());
}

//! Capsules found by name, and large content from several seeders of whom one lies.

use crate::{
    liar::{self, Lie},
    making::{self, key},
    peer::{Peer, bulk},
};

#[test]
fn a_capsule_is_announced_found_by_name_and_fetched() {
    let author_key = key(1);
    let capsule = making::good();
    let (mut author, mut reader) = (Peer::new(&author_key), Peer::new(&key(7)));
    author.start_here(None);
    reader.start_here(Some(&author.address()));
    std::fs::write(author.path("sample.mod"), capsule.encode()).unwrap();
    let seeded = author.ask(&["seed", author.path("sample.mod").to_str().unwrap()]);
    assert_eq!(seeded["announced"], true, "{seeded}");
    let id = capsule.id().to_string();
    reader.knows_holders(&id, 1);
    let found = reader.ask(&["find", "sample", "--wait", "0"]);
    let row = &found["found"][0];
    assert_eq!((row["name"].as_str(), row["version"].as_str()), (Some("sample"), Some("1.2.3")));
    assert_eq!(row["author"].as_str(), Some(author_key.id().to_string().as_str()));
    assert_eq!(row["fee_base"].as_str(), Some("0.0001 NONOS"));
    // By its author's name as well, and not under another's.
    let owned = format!("{}/sample", author_key.id());
    assert_eq!(reader.ask(&["find", &owned, "--wait", "0"])["found"][0]["capsule_id"], row["capsule_id"]);
    let other = format!("{}/sample", key(7).id());
    assert_eq!(reader.fails(&["find", &other, "--wait", "0"]).0, 30);

    let copy = reader.path("copy.mod");
    let fetched = reader.ask(&["fetch", "sample", "-o", copy.to_str().unwrap()]);
    assert_eq!(fetched["state"], "done");
    assert_eq!(std::fs::read(copy).unwrap(), capsule.encode());
    // It seeds it from now on, for its author.
    reader.knows_holders(&id, 2);
    assert_eq!(author.ask(&["peers"])["peers"].as_array().unwrap().len(), 1);
    reader.ask(&["seed", "--stop", &id]);
    assert_eq!(reader.ask(&["seed"])["holdings"].as_array().unwrap().len(), 0);
    assert_eq!(reader.fails(&["seed", "--stop", &id]).0, 30);
    author.stop();
    reader.stop();
}

#[test]
fn large_content_comes_from_three_seeders_and_the_one_that_lies_is_named_everywhere() {
    const BYTES: usize = 256 << 20;
    let liar_key = key(66);
    let liar_id = liar_key.id().to_string();
    let mut one = Peer::new(&key(1));
    one.start_here(None);
    let address = one.address();
    let (mut two, mut reader, mut witness) = (Peer::new(&key(2)), Peer::new(&key(3)), Peer::new(&key(4)));
    for peer in [&mut two, &mut reader, &mut witness] {
        peer.start_here(Some(&address));
    }
    let file = one.path("big");
    let id = bulk(&file, 1, BYTES);
    for seeder in [&one, &two] {
        assert_eq!(
            seeder.ask(&["seed", "--content", file.to_str().unwrap()])["holding"]["id"].as_str(),
            Some(id.as_str())
        );
    }
    // It lies about a second one as well.
    let second = one.path("second");
    let second_id = bulk(&second, 2, 8 << 20);
    one.ask(&["seed", "--content", second.to_str().unwrap()]);
    let lies = [&file, &second].map(|path| Lie::about(std::fs::read(path).unwrap()));
    liar::start(liar_key, lies.into(), &address);
    reader.knows_holders(&id, 3);

    let copy = reader.path("copy");
    let fetched = reader.ask(&["fetch", &id, "-o", copy.to_str().unwrap()]);
    assert!(std::fs::read(&copy).unwrap() == std::fs::read(&file).unwrap(), "the bytes are those of the hash");
    let of = |key: &str| {
        let seeders = fetched["seeders"].as_array().unwrap();
        seeders.iter().find(|seeder| seeder["key"] == key).map(|seeder| seeder["state"].as_str().unwrap().to_owned())
    };
    assert_eq!(of(&liar_id).as_deref(), Some("lied"), "{fetched}");
    assert_eq!(of(&key(1).id().to_string()).as_deref(), Some("released"));
    assert_eq!(of(&key(2).id().to_string()).as_deref(), Some("released"));
    let evidence = fetched["evidence"][0].as_str().unwrap();

    // A node that never met the liar has the evidence, checks it offline, and holds it against the liar.
    witness.wait_for("the evidence", |peer| {
        let rows = peer.ask(&["evidence"]);
        rows["evidence"].as_array().unwrap().iter().find(|row| row["id"] == evidence).map(drop)
    });
    let out = witness.path("liar.evidence");
    witness.ask(&["evidence", "get", evidence, "-o", out.to_str().unwrap()]);
    let verified = witness.ask(&["evidence", "verify", out.to_str().unwrap()]);
    assert_eq!((&verified["holds"], verified["accused"].as_str()), (&true.into(), Some(liar_id.as_str())));
    // The first fault is forgiven, and told; the second is not.
    let reasons = |peer: &Peer| {
        let keys = peer.ask(&["peers", "--keys"]);
        let row = keys["keys"].as_array().unwrap().iter().find(|row| row["key"] == liar_id.as_str()).cloned();
        row.map(|row| (row["score"].as_i64().unwrap(), row["allowed"].as_bool().unwrap(), row["reasons"].to_string()))
    };
    let (score, allowed, why) = reasons(&witness).expect("the liar is in the book");
    assert_eq!((score, allowed), (0, true));
    assert!(why.contains("served a range of a file with wrong bytes (first fault, forgiven)"), "{why}");
    witness.knows_holders(&second_id, 2);
    witness.ask(&["fetch", &second_id]);
    for peer in [&witness, &reader, &one, &two] {
        let (score, allowed) = peer.wait_for("the second fault", |peer| {
            let (score, allowed, _) = reasons(peer)?;
            (score < 0).then_some((score, allowed))
        });
        assert!(score <= -90_000 && !allowed, "it weighs 100 points, and it is refused: {score}");
    }
    // A changed piece of evidence convicts nobody.
    let mut spoiled = std::fs::read(&out).unwrap();
    let last = spoiled.len() - 1;
    spoiled[last] ^= 1;
    std::fs::write(&out, spoiled).unwrap();
    assert_eq!(witness.fails(&["evidence", "verify", out.to_str().unwrap()]).0, 32);
    assert_eq!(witness.fails(&["publish", out.to_str().unwrap()]).0, 29);
}

#[test]
fn a_bundle_carries_everything_to_a_node_without_a_network() {
    let capsule = making::good();
    let (mut here, mut there) = (Peer::new(&key(1)), Peer::new(&key(9)));
    here.start_here(None);
    there.start_here(None);
    std::fs::write(here.path("sample.mod"), capsule.encode()).unwrap();
    here.ask(&["seed", here.path("sample.mod").to_str().unwrap()]);
    bulk(&here.path("notes"), 2, 100_000);
    here.ask(&["seed", "--content", here.path("notes").to_str().unwrap()]);
    let bundle = here.path("all.nonos");
    here.ask(&["export", "-o", bundle.to_str().unwrap()]);
    let taken = there.ask(&["import", bundle.to_str().unwrap()]);
    assert_eq!((taken["holdings"].as_array().unwrap().len(), &taken["announcements"]), (2, &1.into()), "{taken}");
    let found = there.ask(&["find", "sample", "--wait", "0"]);
    assert_eq!((found["found"][0]["held"].as_bool(), found["found"][0]["name"].as_str()), (Some(true), Some("sample")));
    // A second time there is nothing new.
    let again = there.ask(&["import", bundle.to_str().unwrap()]);
    assert_eq!((again["holdings"].as_array().unwrap().len(), &again["known"]), (0, &3.into()));
    // A damaged one is refused whole.
    let bytes = std::fs::read(&bundle).unwrap();
    let mut third = Peer::new(&key(10));
    third.start_here(None);
    let place = bytes.windows(8).position(|window| window == *b"NONOSANN").unwrap() + 100;
    for (name, damaged) in [
        ("short", bytes[..bytes.len() / 2].to_vec()),
        ("changed", [&bytes[..place], &[bytes[place] ^ 1], &bytes[place + 1..]].concat()),
        ("none", b"this is no archive".to_vec()),
    ] {
        let path = third.path(name);
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(third.fails(&["import", path.to_str().unwrap()]).0, 29, "{name}");
        assert_eq!(third.ask(&["seed"])["holdings"].as_array().unwrap().len(), 0, "{name}: nothing is taken");
        assert_eq!(std::fs::read_dir(third.folder.join("content")).unwrap().count(), 0, "{name}: nothing is left");
    }
}

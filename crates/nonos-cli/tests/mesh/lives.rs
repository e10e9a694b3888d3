//! Nodes that are killed, refused, asked for nonsense, or out of disk.

use crate::{
    making::{self, key},
    peer::{Peer, bulk},
};
use std::time::Duration;

#[test]
fn a_node_that_is_killed_at_any_moment_keeps_what_it_said_it_has() {
    let capsule = making::good();
    let mut author = Peer::new(&key(1));
    author.start_here(None);
    let mut ids = Vec::new();
    for round in 0..6_u64 {
        let file = author.path("file");
        let id = bulk(&file, round, 3_000_000);
        author.ask(&["seed", "--content", file.to_str().unwrap()]);
        ids.push(id);
        // One more is on its way when it is killed; whether it is there is not promised.
        let last = author.path("last");
        bulk(&last, 100 + round, 5_000_000);
        std::thread::scope(|scope| {
            let peer = &author;
            scope.spawn(move || drop(peer.try_ask(&["seed", "--content", peer.path("last").to_str().unwrap()])));
            std::thread::sleep(Duration::from_millis(7 * round));
            let pid = nix::unistd::Pid::from_raw(peer.pid() as i32);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        });
        author.kill();
        author.start_here(None);
        let holdings = author.ask(&["seed"]);
        for id in &ids {
            let row = holdings["holdings"].as_array().unwrap().iter().find(|row| row["id"] == id.as_str());
            assert!(row.is_some(), "round {round}: {id} was acknowledged and is gone");
        }
    }
    let policy = key(5).id().to_string();
    author.ask(&["policy", "refuse", &policy]);
    std::fs::write(author.path("sample.mod"), capsule.encode()).unwrap();
    author.ask(&["seed", author.path("sample.mod").to_str().unwrap()]);
    author.kill();
    author.start_here(None);
    assert_eq!(author.ask(&["policy"])["policies"][0]["key"], policy.as_str());
    assert_eq!(author.ask(&["find", "sample", "--wait", "0"])["found"][0]["held"], true, "its word is not forgotten");
}

#[test]
fn a_download_that_was_killed_goes_on_where_it_was() {
    let (mut seeder, mut reader) = (Peer::new(&key(1)), Peer::new(&key(2)));
    // Slowly, so that there is time to kill it.
    seeder.start(&["--no-local", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--rate", "12000000"]);
    let address = seeder.address();
    reader.start_here(Some(&address));
    let file = seeder.path("big");
    let id = bulk(&file, 1, 120 << 20);
    seeder.ask(&["seed", "--content", file.to_str().unwrap()]);
    reader.knows_holders(&id, 1);
    std::thread::scope(|scope| {
        let (peer, id) = (&reader, id.clone());
        scope.spawn(move || drop(peer.try_ask(&["fetch", &id])));
        let part = peer.folder.join("parts").join(format!("{}.resume", id_of(peer)));
        peer.wait_for("a resume record", |_| part.exists().then_some(()));
        let pid = nix::unistd::Pid::from_raw(peer.pid() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    });
    reader.kill();
    reader.start_here(Some(&address));
    reader.knows_holders(&id, 1);
    let copy = reader.path("copy");
    let fetched = reader.ask(&["fetch", &id, "-o", copy.to_str().unwrap()]);
    assert!(fetched["resumed_bytes"].as_u64().unwrap() > 1 << 20, "{fetched}");
    assert!(std::fs::read(copy).unwrap() == std::fs::read(file).unwrap());
}

/// The only download of a peer.
fn id_of(peer: &Peer) -> String {
    peer.wait_for("a download", |peer| {
        let entry = std::fs::read_dir(peer.folder.join("parts")).ok()?.next()?.ok()?;
        let name = entry.file_name().into_string().ok()?;
        Some(name.trim_end_matches(".resume").to_owned()).filter(|name| name.len() == 64)
    })
}

#[test]
fn a_key_that_the_operator_refuses_is_disconnected_and_let_in_again() {
    let (mut one, mut other) = (Peer::new(&key(1)), Peer::new(&key(2)));
    one.start_here(None);
    other.start_here(Some(&one.address()));
    let refused = key(2).id().to_string();
    one.wait_for("its key", |peer| {
        let peers = peer.ask(&["peers"]);
        let keys = peers["peers"][0]["keys"].as_array()?;
        keys.iter().find(|key| **key == refused.as_str()).map(drop)
    });
    one.ask(&["policy", "refuse", &refused]);
    let count = |peer: &Peer| peer.ask(&["peers"])["peers"].as_array().unwrap().len();
    one.wait_for("its end", |peer| (count(peer) == 0).then_some(()));
    one.ask(&["policy", "clear", &refused]);
    // It tries again by itself.
    one.wait_for("its return", |peer| (count(peer) == 1).then_some(()));
}

#[test]
fn nonsense_is_answered_with_what_is_wrong_and_the_node_goes_on() {
    let mut node = Peer::new(&key(1));
    node.start_here(None);
    std::fs::write(node.path("nonsense"), b"nothing of the kind").unwrap();
    let nonsense = node.path("nonsense");
    let nonsense = nonsense.to_str().unwrap();
    let unknown = "00".repeat(32);
    for (arguments, code, says) in [
        (&["seed", nonsense][..], 29, "not a capsule"),
        (&["seed", "no/such/file"][..], 3, "no/such/file"),
        (&["seed", "--stop", &unknown][..], 30, "is not held here"),
        (&["find", "Not/An-Author"][..], 2, "author"),
        (&["fetch", "no-such-name"][..], 30, "nothing is found"),
        (&["fetch", &unknown, "--give-up", "1"][..], 31, "nobody who has it was found"),
        (&["publish", nonsense][..], 29, "neither a receipt nor evidence"),
        (&["import", nonsense][..], 29, "not a bundle"),
        (&["export", &unknown, "-o", "out"][..], 30, "is not held here"),
        (&["evidence", "get", &unknown, "-o", "out"][..], 30, "nothing with the id"),
        (&["evidence", "verify", nonsense][..], 32, "not evidence"),
        (&["policy", "refuse", "nobody"][..], 2, "neither the id of a key nor the name"),
    ] {
        let (got, said) = node.fails(arguments);
        assert_eq!(got, code, "{arguments:?}: {said}");
        assert!(said.contains(says) && said.contains("\"help\""), "{arguments:?}: {said}");
    }
    assert!(!node.path("out").exists());
    assert_eq!(node.ask(&["node", "status"])["peers"], 0);
    // A second node in the same folder is told so.
    let mut second = std::process::Command::new(env!("CARGO_BIN_EXE_nonos"));
    second.args(["node", "--data"]).arg(&node.folder).env("NONOS_HOME", node.path("home"));
    let output = second.output().unwrap();
    assert_eq!(output.status.code(), Some(29));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another node runs in this folder"));
    node.stop();
    let (code, said) = node.fails(&["find", "anything"]);
    assert!(code == 29 && said.contains("no node runs in"), "{said}");
}

#[test]
fn the_api_takes_nothing_without_its_token_and_bounds_what_it_takes() {
    let mut node = Peer::new(&key(1));
    node.start_here(None);
    let api: serde_json::Value = serde_json::from_slice(&std::fs::read(node.folder.join("api.json")).unwrap()).unwrap();
    let (url, token) = (api["url"].as_str().unwrap(), api["token"].as_str().unwrap());
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(node.folder.join("api.json")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    let status =
        |request: ureq::RequestBuilder<ureq::typestate::WithoutBody>| request.call().unwrap().status().as_u16();
    assert_eq!(status(agent.get(format!("{url}/health"))), 200);
    assert_eq!(status(agent.get(format!("{url}/openapi.json"))), 200);
    for path in ["/v1/status", "/metrics", "/v1/holdings", "/v1/evidence"] {
        assert_eq!(status(agent.get(format!("{url}{path}"))), 401, "{path}");
        assert_eq!(status(agent.get(format!("{url}{path}")).header("authorization", "Bearer 00")), 401, "{path}");
    }
    assert_eq!(agent.post(format!("{url}/v1/shutdown")).send_empty().unwrap().status().as_u16(), 401);
    let bearer = format!("Bearer {token}");
    assert_eq!(status(agent.get(format!("{url}/v1/status")).header("authorization", &bearer)), 200);
    assert_eq!(status(agent.get(format!("{url}/v1/nothing")).header("authorization", &bearer)), 404);
    assert_eq!(status(agent.delete(format!("{url}/v1/holdings/xyz")).header("authorization", &bearer)), 400);
    let huge = vec![0; 3 << 20];
    let answer = agent.post(format!("{url}/v1/publish")).header("authorization", &bearer).send(&huge[..]).unwrap();
    assert_eq!(answer.status().as_u16(), 413);
    assert!(node.ask(&["node", "metrics"])["metrics"].as_str().unwrap().contains("nonos_peers 0"));
}

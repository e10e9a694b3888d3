//! What somebody who means ill hands to a node, by a peer or by hand.

use nonos_capsule::{
    Capsule, CapsuleParts, LicenceText, Licences, Lock, ManifestToml, PackFacts, PrebuiltRecipe, ProofSchema, Recipe,
    Rung, Sbom, program_sha256,
};
use nonos_image::{Program, ProgramParts};
use nonos_keys::{SecretKey, Validity};
use nonos_mesh_proto::{
    PeerId,
    beacon::{AnnouncementBody, FeeSummary, Inventory, InventoryBody, Statement as _},
    transfer::UploadLimits,
    trust::{Evidence, InvalidProof, ReceiptStatement, TrustLimits},
};
use nonos_node::{Node, NodeConfig, NodeHandle, RequestError, proofs::receipt_hash};
use nonos_store::mesh::{Change, MeshStore, Shelf};
use nonos_types::{Amount, CapsuleId, Hash32, TicketId, codec::Writer};
use nonos_verifier::{Receipt, verify};
use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 64], Validity::ALWAYS)
}

fn start(folder: &Path, number: u8, bootstrap: &[String]) -> Node {
    Node::start(NodeConfig {
        folder: folder.to_owned(),
        key: Arc::new(key(number)),
        listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()],
        bootstrap: bootstrap.iter().map(|address| address.parse().unwrap()).collect(),
        local_discovery: false,
        upload: UploadLimits::default(),
        trust: TrustLimits::default(),
        revocations: Vec::new(),
    })
    .unwrap()
}

/// Waits at most a minute.
async fn until<F: Future<Output = bool>>(mut check: impl FnMut() -> F) {
    for _ in 0..600 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not come to that");
}

/// Where a node is reached.
async fn address(node: &NodeHandle) -> String {
    until(async || !node.status().await.unwrap().listening.is_empty()).await;
    node.status().await.unwrap().listening[0].clone()
}

/// Two nodes that are connected.
async fn pair(folders: [&Path; 2]) -> [Node; 2] {
    let one = start(folders[0], 1, &[]);
    let other = start(folders[1], 2, &[address(one.handle()).await]);
    until(async || other.handle().status().await.unwrap().peers == 1).await;
    until(async || one.handle().status().await.unwrap().peers == 1).await;
    [one, other]
}

async fn seed(node: &NodeHandle, bytes: &[u8], is_capsule: bool) -> Result<String, RequestError> {
    let mut file = node.taking().unwrap();
    file.write_all(bytes).unwrap();
    node.seed(file, is_capsule).await.map(|view| view.holding.id)
}

fn bundle(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

async fn import(node: &NodeHandle, bytes: &[u8]) -> Result<nonos_node::ImportView, RequestError> {
    let mut file = node.taking().unwrap();
    file.write_all(bytes).unwrap();
    node.import(file).await
}

/// A capsule that a key signed.
fn capsule(signer: &SecretKey) -> Capsule {
    let program = Program::new(ProgramParts {
        entry: 0x1_0000,
        text_start: 0x1_0000,
        text_end: 0x1_0008,
        memory_start: 0x1_0000,
        reserved_end: 0x1_1000,
        segments: &[(0x1_0000, &[0x93, 0x08, 0xd0, 0x05, 0x73, 0, 0, 0])],
    })
    .unwrap();
    let text = format!(
        "[meta]\nname = \"zk-search\"\nversion = \"1.0.3\"\nauthor = \"The sample group\"\n\
         [license]\nspdx = \"MIT\"\n[signers]\nkeys = [\"{}\"]\nthreshold = 1\n",
        signer.id()
    );
    let facts = PackFacts { program_sha256: program_sha256(&program), dependencies: BTreeMap::new() };
    let mut capsule = Capsule::pack(CapsuleParts {
        manifest: ManifestToml::parse(&text).unwrap().pack(&facts).unwrap(),
        program,
        proof_schema: ProofSchema::new(true, Rung::ReExecute),
        lock: Lock::new(Vec::new()).unwrap(),
        sbom: Sbom::new(r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#.to_owned()).unwrap(),
        recipe: Recipe::Prebuilt(PrebuiltRecipe::default()),
        licences: Licences::new(vec![LicenceText { name: "MIT".to_owned(), text: "Permission is".to_owned() }])
            .unwrap(),
        readme: None,
    })
    .unwrap();
    capsule.sign(signer, Vec::new(), now_s()).unwrap();
    capsule
}

/// A receipt that can be read and proves nothing: zeros, but for what it begins with and its one segment.
fn false_receipt() -> Vec<u8> {
    const SEGMENTS_AT: usize = 8 + 2 + 2 + 2 * 32 + 3 * 32 + 2 * 8 + 5 * 32 + 8;
    let mut w = Writer::new();
    w.raw(&nonos_verifier::receipt::MAGIC);
    w.u16(nonos_verifier::receipt::VERSION);
    let mut bytes = w.finish();
    bytes.resize(SEGMENTS_AT, 0);
    bytes.extend([1, 0, 0, 0]);
    bytes.resize(bytes.len() + 6 + 70 + 1 + 45, 0);
    // The version of the machine.
    (0..=u8::MAX)
        .map(|version| {
            bytes[10] = version;
            bytes.clone()
        })
        .find(|bytes| Receipt::from_bytes(bytes).is_ok())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_carries_evidence_of_a_false_proof_is_not_punished_for_the_proof() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [carrier, other] = pair([folders[0].path(), folders[1].path()]).await;
    let bytes = false_receipt();
    let receipt = Receipt::from_bytes(&bytes).unwrap();
    assert!(verify(&receipt).is_err());
    let statement = ReceiptStatement::sign(
        TicketId::from_bytes([3; 32]),
        receipt.claim.digest(),
        receipt.proofs_digest(),
        &key(66),
    );
    let evidence = Evidence::InvalidProof(Box::new(InvalidProof { statement, receipt: receipt_hash(&bytes) }));
    let carried = bundle(&[
        (format!("receipts/{}.receipt", receipt_hash(&bytes)), bytes),
        (format!("evidence/{}.evidence", evidence.id()), evidence.to_bytes()),
    ]);
    let view = import(carrier.handle(), &carried).await.unwrap();
    assert_eq!((view.receipts, view.evidence), (0, 1));
    assert_eq!(carrier.handle().evidence().await.unwrap().len(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let rows = other.handle().peers().await.unwrap();
    assert_eq!((rows.len(), rows[0].score_invalid), (1, 0));
    // It is carried on with the receipt.
    let exported = carrier.handle().export(Vec::new()).await.unwrap();
    let exported = std::fs::read(exported.path()).unwrap();
    let view = import(other.handle(), &exported).await.unwrap();
    assert_eq!((view.receipts, view.evidence), (0, 1));
    carrier.shutdown().await;
    other.shutdown().await;
}

fn inventory(signer: &SecretKey, sequence: u64, issued_s: u64) -> Inventory {
    InventoryBody {
        peer: PeerId::from_bytes([1; 32]),
        addresses: Vec::new(),
        capsules: Vec::new(),
        sequence,
        issued_s,
        expires_s: issued_s + 40_000,
    }
    .sign(signer)
    .unwrap()
}

async fn next_sequence(folder: &Path) -> u64 {
    let node = start(folder, 1, &[]);
    let before = node.handle().metrics().await.unwrap();
    let published = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("nonos_gossip_published_total ")).unwrap().to_owned();
        line.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = published(&before);
    until(async || published(&node.handle().metrics().await.unwrap()) > before).await;
    node.shutdown().await;
    let store = MeshStore::open(&folder.join("mesh.redb")).unwrap();
    let bytes = store.get(Shelf::Inventories, key(1).id().as_bytes()).unwrap().unwrap();
    Inventory::from_bytes(&bytes).unwrap().sequence()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_makes_no_key_sign_one_sequence_twice() {
    let folder = tempfile::tempdir().unwrap();
    // An earlier run, by whose clock it was a day later.
    let later_s = now_s() + 86_400;
    let said = inventory(&key(1), later_s, later_s);
    let store = MeshStore::open(&folder.path().join("mesh.redb")).unwrap();
    store.write(&[Change::put(Shelf::Inventories, *key(1).id().as_bytes(), said.to_bytes())]).unwrap();
    drop(store);
    let next = next_sequence(folder.path()).await;
    assert!(next > later_s);
    // Nor when the inventory itself is gone, having expired.
    let store = MeshStore::open(&folder.path().join("mesh.redb")).unwrap();
    store.write(&[Change::remove(Shelf::Inventories, *key(1).id().as_bytes())]).unwrap();
    drop(store);
    assert!(next_sequence(folder.path()).await > next);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_announcement_keeps_nobody_from_a_capsule() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [author, other] = pair([folders[0].path(), folders[1].path()]).await;
    let capsule = capsule(&key(1));
    // What a liar says about it comes first: under a name that does, to who has heard of nobody else.
    let lie = |root: Hash32, name: &str| {
        let body = AnnouncementBody {
            capsule: capsule.id(),
            package_root: root,
            package_bytes: 70_000,
            name: name.to_owned(),
            version: "9.0.0".to_owned(),
            summary: String::new(),
            tags: Vec::new(),
            fees: FeeSummary { base: Amount::ZERO, execution: Amount::ZERO, verification: Amount::ZERO },
            sequence: 1,
            issued_s: now_s(),
            expires_s: now_s() + 86_400,
        };
        let said = body.sign(&key(66)).unwrap();
        (format!("announcements/{}.announcement", said.id()), said.to_bytes())
    };
    // Other bytes, which the author happens to serve, and bytes that nobody has.
    let other_bytes = vec![7; 70_000];
    let served = seed(author.handle(), &other_bytes, false).await.unwrap();
    let mut lies = vec![lie(served.parse().unwrap(), "a")];
    lies.extend((0..30).map(|number| lie(Hash32::from_bytes([number; 32]), &format!("b{number}"))));
    import(other.handle(), &bundle(&lies)).await.unwrap();
    seed(author.handle(), &capsule.encode(), true).await.unwrap();
    until(async || {
        let rows = other.handle().find(capsule.id().to_string().parse().unwrap(), 0).await.unwrap();
        rows.len() == 32 && rows.iter().all(|row| !row.holders.is_empty())
    })
    .await;
    let mut watch = other.handle().fetch(capsule.id(), 60_000).await.unwrap().view;
    let view = watch.wait_for(|view| view.state == "done" || view.state == "failed").await.unwrap().clone();
    assert_eq!((view.state.as_str(), view.error), ("done", None));
    assert!(other.handle().path_of(capsule.id()).await.unwrap().exists());
    // The author has done nothing.
    let keys = other.handle().keys().await.unwrap();
    assert!(keys.iter().all(|row| row.score >= 0 && row.allowed), "{keys:?}");
    // What is false about it is gone, with the file that came of one of them.
    assert!(!folders[1].path().join("content").join(&served).exists());
    let rows = other.handle().find(capsule.id().to_string().parse().unwrap(), 0).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(std::fs::read_dir(folders[1].path().join("parts")).unwrap().count(), 0);
    author.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_there_whoever_releases_it_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path(), 1, &[]);
    let bytes = [5; 3_000];
    let id: CapsuleId = blake3::hash(&bytes).to_string().parse().unwrap();
    for round in 0..150_u64 {
        let releases = async {
            tokio::time::sleep(Duration::from_micros(round * 97 % 9_000)).await;
            node.handle().release(id).await
        };
        let (seeded, _) = tokio::join!(seed(node.handle(), &bytes, false), releases);
        seeded.unwrap();
        if let Ok(path) = node.handle().path_of(id).await {
            assert!(std::fs::read(path).is_ok_and(|read| read == bytes), "round {round}");
        }
    }
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_does_not_bring_more_than_an_inventory_can_say() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path(), 1, &[]);
    seed(node.handle(), b"one", false).await.unwrap();
    let files: Vec<_> =
        (0..512_u32).map(|number| (format!("content/{number}"), number.to_le_bytes().to_vec())).collect();
    assert!(matches!(import(node.handle(), &bundle(&files)).await, Err(RequestError::TooMany(512))));
    assert_eq!(node.handle().holdings().await.unwrap().len(), 1);
    assert_eq!(std::fs::read_dir(folder.path().join("content")).unwrap().count(), 2);
    node.shutdown().await;
}

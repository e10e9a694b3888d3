//! Nodes that do not run, and evidence that is none.

use crate::making::key;
use nonos_mesh_proto::{
    PeerId,
    beacon::{Equivocation, Inventory, InventoryBody},
    trust::{Evidence, InvalidProof, ReceiptStatement},
};
use nonos_types::{CapsuleId, Hash32, TicketId};

fn inventory(capsule: u8) -> Inventory {
    let body = InventoryBody {
        peer: PeerId::from_bytes([1; 32]),
        addresses: Vec::new(),
        capsules: vec![CapsuleId::from_bytes([capsule; 32])],
        sequence: 7,
        issued_s: 1_700_000_000,
        expires_s: 1_700_000_900,
    };
    body.sign(&key(1)).unwrap()
}

/// A key that stated two things under one number.
fn evidence() -> Vec<u8> {
    Evidence::Equivocation(Equivocation::of_inventories(inventory(1), inventory(2))).to_bytes()
}

/// A key that is said to have signed a receipt whose proof does not hold.
fn of_a_proof() -> Vec<u8> {
    let hash = |byte| Hash32::from_bytes([byte; 32]);
    let statement = ReceiptStatement::sign(TicketId::from_bytes([3; 32]), hash(4), hash(5), &key(1));
    Evidence::InvalidProof(Box::new(InvalidProof { statement, receipt: hash(6) })).to_bytes()
}

fn changed(at: impl Fn(usize) -> usize) -> Vec<u8> {
    let mut bytes = evidence();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    bytes
}

vectors! {
    node_status_without_a_node: |place| place => "node status";
    node_stop_without_a_node: |place| place => "node stop --data elsewhere";
    node_without_a_key: |place| place => "node";
    node_listens_on_no_address: |place| place.store_key("default", &key(1)) => "node --listen 127.0.0.1";
    node_begins_with_no_address: |place| place.store_key("default", &key(1)) => "node --bootstrap somewhere";
    node_folder_is_a_file: |place| place.store_key("default", &key(1)).write("file", "text") => "node --data file";
    seed_without_a_node: |place| place.write("a.mod", "anything") => "seed a.mod";
    find_without_a_node: |place| place => "find zk-search";
    fetch_without_a_node: |place| place => "fetch zk-search -o x.mod";
    fetch_that_gives_up_at_once: |place| place => "fetch zk-search --give-up 0";
    peers_without_a_node: |place| place => "peers";
    policy_without_a_node: |place| place => "policy";
    publish_without_a_node: |place| place.write("a.receipt", "anything") => "publish a.receipt";
    export_without_a_node: |place| place => "export -o all.nonos";
    import_without_a_node: |place| place.write("all.nonos", "anything") => "import all.nonos";
    seed_stop_of_no_id: |place| place => "seed --stop zk-search";
    api_file_is_none: |place| place.write("home/node/api.json", "{}") => "peers";
    api_of_a_node_that_was_killed: |place| place.write(
        "home/node/api.json", r#"{"url":"http://127.0.0.1:1","token":"00","pid":1}"#,
    ) => "peers";
    evidence_missing: |place| place => "evidence verify no.evidence";
    evidence_of_another_kind: |place| place.write("a.evidence", "anything else") => "evidence verify a.evidence";
    evidence_cut_short: |place| place.write("a.evidence", &evidence()[..900]) => "evidence verify a.evidence";
    evidence_with_a_byte_behind: |place| place.write("a.evidence", [evidence(), vec![0]].concat()) => "evidence verify a.evidence";
    evidence_of_a_newer_version: |place| place.write("a.evidence", changed(|_| 8)) => "evidence verify a.evidence";
    evidence_with_a_changed_signature: |place| place.write("a.evidence", changed(|length| length - 1)) => "evidence verify a.evidence";
    evidence_of_two_that_agree: |place| place.write(
        "a.evidence", Evidence::Equivocation(Equivocation::of_inventories(inventory(1), inventory(1))).to_bytes(),
    ) => "evidence verify a.evidence";
    evidence_of_a_proof_without_its_receipt: |place| place.write("a.evidence", of_a_proof()) => "evidence verify a.evidence";
    evidence_of_a_proof_with_another_receipt: |place| place.write("a.evidence", of_a_proof()).write("a.receipt", "other") => "evidence verify a.evidence --receipt a.receipt";
}

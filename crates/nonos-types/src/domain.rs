//! Domain strings: what keeps a hash or a signature made for one purpose from being used for another.
//!
//! Every BLAKE3 hash of ours that is not plainly "the hash of these bytes" is made in `derive_key` mode with
//! one of these contexts; every signature covers one of them. A string never changes its meaning: a new format
//! gets a new string.

/// Context of a capsule id.
pub const CAPSULE_ID: &str = "NONOS capsule id v1";
/// Context of a key id.
pub const KEY_ID: &str = "NONOS key id v1";
/// What a capsule signature covers.
pub const CAPSULE_SIGNATURE: &str = "NONOS capsule signature v1";
/// What a rotation statement covers.
pub const KEY_ROTATION: &str = "NONOS key rotation v1";
/// What a revocation statement covers.
pub const KEY_REVOCATION: &str = "NONOS key revocation v1";

/// Context of the digest of a source tree in a recipe.
pub const SOURCE_DIGEST: &str = "NONOS source digest v1";

/// Context of the digest of a claim, with which a proof's transcript starts.
pub const CLAIM: &str = "NONOS claim v1";
/// Context of the digest of the machine: its constraints, chips and parameters.
pub const MACHINE: &str = "NONOS machine v1";

/// Context of a ticket's id.
pub const TICKET_ID: &str = "NONOS ticket id v1";
/// What a ticket's signature covers.
pub const TICKET_SIGNATURE: &str = "NONOS ticket signature v1";
/// Context of what `random` is expanded from in a run that a ticket pays for.
pub const TICKET_SEED: &str = "NONOS ticket seed v1";

/// Context of an invoice's id.
pub const INVOICE_ID: &str = "NONOS invoice id v1";
/// What an invoice's signature covers.
pub const INVOICE_SIGNATURE: &str = "NONOS invoice signature v1";
/// Context of an attestation's id.
pub const ATTESTATION_ID: &str = "NONOS attestation id v1";
/// What an attestation's signature covers.
pub const ATTESTATION_SIGNATURE: &str = "NONOS attestation signature v1";
/// Context of the digest in an attestation: the witness of a check and who checked.
pub const ATTESTATION_DIGEST: &str = "NONOS attestation digest v1";
/// Context of the digest of the proofs of a receipt.
pub const PROOFS: &str = "NONOS proofs v1";
/// Context of the witness of a check of a receipt.
pub const WITNESS: &str = "NONOS verification witness v1";
/// Context of the order in which verifiers are drawn.
pub const VERIFIER_DRAW: &str = "NONOS verifier draw v1";
/// Context of the order in which tickets and receipts come when not all of them can be paid.
pub const PAY_ORDER: &str = "NONOS pay order v1";
/// Context of the hash of a record of a journal.
pub const JOURNAL: &str = "NONOS journal v1";

/// Context of an announcement's id.
pub const ANNOUNCEMENT_ID: &str = "NONOS announcement id v1";
/// What an announcement's signature covers.
pub const ANNOUNCEMENT_SIGNATURE: &str = "NONOS announcement signature v1";
/// Context of an inventory's id.
pub const INVENTORY_ID: &str = "NONOS inventory id v1";
/// What an inventory's signature covers.
pub const INVENTORY_SIGNATURE: &str = "NONOS inventory signature v1";
/// Context of a receipt statement's id.
pub const RECEIPT_STATEMENT_ID: &str = "NONOS receipt statement id v1";
/// What a receipt statement's signature covers.
pub const RECEIPT_STATEMENT_SIGNATURE: &str = "NONOS receipt statement signature v1";
/// Context of the digest of a range statement.
pub const RANGE_STATEMENT_ID: &str = "NONOS range statement id v1";
/// What a range statement's signature covers.
pub const RANGE_STATEMENT_SIGNATURE: &str = "NONOS range statement signature v1";
/// Context of a delivery acknowledgement's id.
pub const DELIVERY_ACK_ID: &str = "NONOS delivery acknowledgement id v1";
/// What a delivery acknowledgement's signature covers.
pub const DELIVERY_ACK_SIGNATURE: &str = "NONOS delivery acknowledgement signature v1";
/// Context of the id of a piece of evidence.
pub const EVIDENCE_ID: &str = "NONOS evidence id v1";
/// Context of a fault: what two pieces of evidence for one misdeed have in common.
pub const FAULT: &str = "NONOS fault v1";

/// Context of the name of a gossiped message.
pub const GOSSIP_MESSAGE: &str = "NONOS gossip message v1";

/// Tag (first element) of the layout block of an image id.
pub const TAG_IMAGE: u16 = 0x4901;
/// Tag of the header block of a committed byte string that is a run's input.
pub const TAG_INPUT: u16 = 0x4902;
/// Tag of the header block of a committed byte string that is a run's output.
pub const TAG_OUTPUT: u16 = 0x4903;
/// Tag of the header block of a committed byte string that was read as content.
pub const TAG_CONTENT: u16 = 0x4904;
/// Tag of the first scalar block of a checkpoint.
pub const TAG_CHECKPOINT: u16 = 0x4905;
/// Tag of a content event in the syscall transcript.
pub const TAG_CONTENT_EVENT: u16 = 0x4906;
/// Tag of a block of the `random` stream.
pub const TAG_RANDOM: u16 = 0x4907;
/// Tag of the header block of the root over the receipts of a batch.
pub const TAG_RECEIPTS: u16 = 0x4908;
/// Tag of the header block of the root over accounts.
pub const TAG_ACCOUNTS: u16 = 0x4909;

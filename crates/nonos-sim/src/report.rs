//! Report: what a scenario came to.

/// What attackers spent, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Keys under which they signed.
    pub keys: u32,
    /// Signatures that they made for the attack.
    pub signatures: u64,
    /// Frames that they sent.
    pub frames: u64,
    /// Bytes of these.
    pub bytes: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The seed.
    pub seed: u64,
    /// Nodes that do what they should.
    pub honest: u32,
    /// Nodes that attack.
    pub attackers: u32,
    /// Messages that honest nodes published.
    pub messages: u32,
    /// Honest nodes that had a message in the end, of those that could have it, in thousandths; the worst message.
    pub reach_permille: u32,
    /// Until half of all had a message; the middle one of all messages. None when they never had.
    pub reach50_ms: Option<u64>,
    /// Until 99 of 100 had it; the worst message that was published when the network was whole. None when they never had.
    pub reach99_ms: Option<u64>,
    /// How often an honest node ended a connection with another one for its score.
    pub honest_punished: u32,
    /// Attackers with whom at least one honest node ended the connection for its score.
    pub attackers_punished: u32,
    /// Of all places in honest nodes' meshes, those that attackers had at the end, in thousandths.
    pub attackers_in_mesh_permille: u32,
    /// What the attack cost those who attack.
    pub cost: Cost,
    /// Pieces of evidence that honest downloaders found.
    pub evidence: u32,
    /// Of the honest nodes, those that refuse the key of a fake seeder in the end, in thousandths; the one that is refused
    /// by least. None where nobody seeds fakes.
    pub refused_permille: Option<u32>,
    /// From when a fake seeder was found out with a second content, until 99 of 100 honest nodes refused its key; the
    /// slowest. None when they never did, or nobody seeds fakes.
    pub refused99_ms: Option<u64>,
    /// How many times an honest node has anything against the key of another honest one.
    pub honest_distrusted: u32,
    /// Downloads that were begun.
    pub downloads: u32,
    /// Downloads that have all bytes.
    pub downloads_whole: u32,
    /// What honest nodes sent.
    pub honest_frames: u64,
    /// See there.
    pub honest_bytes: u64,
    /// A digest of everything that happened, in order.
    pub trace: [u8; 32],
}

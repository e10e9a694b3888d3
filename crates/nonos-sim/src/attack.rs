//! Attack: what a node that attacks does with its router: which frames it keeps to itself, and which it adds.

use crate::message::{message, publisher};
use bytes::Bytes;
use nonos_mesh_proto::gossip::{Frame, IDS_MAX, MessageId, Topic, Verdict};

/// What attackers try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attack {
    /// Join every mesh and pass nothing on.
    Drop,
    /// As [`Attack::Drop`], and all of them connect to one honest node, the victim.
    Eclipse,
    /// Pass on everything but what the victim says.
    Censor,
    /// As [`Attack::Drop`], and be there before the others: honest nodes begin to connect when attackers have.
    ColdBoot,
    /// Behave, then pass nothing on.
    Flash {
        /// When.
        after_ms: u64,
    },
    /// As [`Attack::Drop`], all from one host.
    OneHost,
    /// Send bad messages to everybody.
    Spam,
    /// Send more than is allowed of everything: names, wishes, wishes to join, frames that are none.
    Flood,
    /// Seed other bytes than those of the root, under signed statements, and keep to themselves what others find out.
    FakeSeeders,
    /// Say that honest nodes did what they did not do.
    FalseAccusers,
    /// Send receipts that are not signed, that everybody has, that are too long.
    ReceiptSpam,
}

/// The honest node that some attacks are aimed at.
pub(crate) const VICTIM: u32 = 0;

impl Attack {
    /// Whether an attacker sends a frame that its router wants to send.
    pub(crate) fn sends(self, frame: &Bytes, now_ms: u64) -> bool {
        let is_about_messages =
            |frame: &Bytes| matches!(Frame::from_bytes(frame), Ok(Frame::Message { .. } | Frame::Have(_)));
        match self {
            Self::Drop | Self::Eclipse | Self::ColdBoot | Self::OneHost => !is_about_messages(frame),
            Self::Flash { after_ms } => now_ms < after_ms || !is_about_messages(frame),
            Self::Censor => match Frame::from_bytes(frame) {
                Ok(Frame::Message { bytes, .. }) => publisher(&bytes) != Some(VICTIM),
                // Names do not say whose they are: none are told.
                Ok(Frame::Have(_)) => false,
                _ => true,
            },
            // Nor do they here.
            Self::FakeSeeders => {
                !matches!(Frame::from_bytes(frame), Ok(Frame::Message { topic: Topic::Evidence, .. } | Frame::Have(_)))
            }
            Self::Spam | Self::Flood | Self::FalseAccusers | Self::ReceiptSpam => true,
        }
    }

    /// Whether content is served and downloaded.
    pub(crate) const fn seeds(self) -> bool {
        matches!(self, Self::FakeSeeders | Self::FalseAccusers)
    }

    /// What it sends to each of its peers each second, besides.
    pub(crate) fn adds(self, node: u32, beat: u64) -> Vec<Bytes> {
        match self {
            Self::Spam => (0..5)
                .map(|one| {
                    let bytes = message(Verdict::Reject, node, beat * 5 + one);
                    Frame::Message { topic: Topic::Receipts, bytes }.to_bytes()
                })
                .collect(),
            Self::Flood => {
                let id = |number: u64| MessageId::of(Topic::Receipts, &number.to_le_bytes());
                let mut ids: Vec<MessageId> = (0..IDS_MAX as u64).map(|one| id(beat * 1_000 + one)).collect();
                ids.sort_unstable();
                let have = Frame::Have(ids.clone()).to_bytes();
                let want = Frame::Want(ids).to_bytes();
                let junk = Bytes::from_static(&[1, 9, 9, 9]);
                [vec![have; 20], vec![want; 20], vec![Frame::Graft.to_bytes(); 20], vec![junk]].concat()
            }
            _ => Vec::new(),
        }
    }
}

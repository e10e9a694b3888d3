//! Batch: the receipts that were paid together, what it comes to for everybody, and two roots that a proof can open.
//!
//! Spec: `docs/spec/54-batch.md`.

use crate::account::{Account, AccountId};
use nonos_image::Compressor;
use nonos_types::{
    Digest, Hash32, KeyId, TicketId,
    codec::{CodecError, Reader, Writer},
    domain::{TAG_ACCOUNTS, TAG_RECEIPTS},
};

/// Most receipts of one batch; what is more waits for the next one.
pub const BATCH_RECEIPTS_MAX: usize = 1 << 16;
/// Most lines of net amounts of one batch: each receipt pays at most this many accounts on average.
const NET_MAX: usize = BATCH_RECEIPTS_MAX * 1_024;

/// A receipt that was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaidReceipt {
    /// For which ticket: the nullifier.
    pub ticket: TicketId,
    /// Run by whom.
    pub executor: KeyId,
    /// What was proven.
    pub claim: Hash32,
}

/// A closed batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its number, from 0.
    pub number: u64,
    /// The event that closed it.
    pub event: u64,
    /// When.
    pub time_s: u64,
    /// What was paid, in ascending order of tickets.
    pub receipts: Vec<PaidReceipt>,
    /// What each account gains by it, in base units; in ascending order of accounts. Sums to 0.
    pub net: Vec<(AccountId, i128)>,
    /// Root over `receipts`.
    pub receipts_root: Digest,
    /// Root over the balances of all accounts as they stand after it.
    pub accounts_root: Digest,
    /// The event that said it was settled.
    pub settled: Option<u64>,
}

impl Batch {
    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u64(self.number);
        w.u64(self.event);
        w.u64(self.time_s);
        w.count(self.receipts.len());
        for paid in &self.receipts {
            w.raw(paid.ticket.as_bytes());
            w.raw(paid.executor.as_bytes());
            w.raw(paid.claim.as_bytes());
        }
        w.count(self.net.len());
        for (account, amount) in &self.net {
            w.raw(&account.to_bytes());
            w.u128(amount.cast_unsigned());
        }
        w.raw(&self.receipts_root.to_bytes());
        w.raw(&self.accounts_root.to_bytes());
        w.bool(self.settled.is_some());
        w.u64(self.settled.unwrap_or_default());
        w.finish()
    }

    /// Reads what [`Batch::to_bytes`] gave.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut r = Reader::new(bytes);
        let (number, event, time_s) = (r.u64("number")?, r.u64("event")?, r.u64("time")?);
        let count = r.count("receipts", BATCH_RECEIPTS_MAX, 96)?;
        let mut receipts = Vec::with_capacity(count);
        for _ in 0..count {
            receipts.push(PaidReceipt {
                ticket: TicketId::from_bytes(r.array("ticket")?),
                executor: KeyId::from_bytes(r.array("executor")?),
                claim: Hash32::from_bytes(r.array("claim")?),
            });
        }
        let count = r.count("net amounts", NET_MAX, AccountId::BYTES + 16)?;
        let mut net = Vec::with_capacity(count);
        for _ in 0..count {
            net.push((AccountId::read(&mut r)?, r.u128("net amount")?.cast_signed()));
        }
        let receipts_root = read_digest(&mut r, "receipts root")?;
        let accounts_root = read_digest(&mut r, "accounts root")?;
        let settled = r.bool("settled")?;
        let by = r.u64("settled by")?;
        r.finish()?;
        let settled = settled.then_some(by);
        Ok(Self { number, event, time_s, receipts, net, receipts_root, accounts_root, settled })
    }
}

fn read_digest(r: &mut Reader<'_>, field: &'static str) -> Result<Digest, CodecError> {
    let at = r.at();
    let why = "an element is not below the field order";
    Digest::from_bytes(r.array(field)?).map_err(|_| CodecError::NotCanonical { at, field, why })
}

/// The way from a leaf to a root: what stands beside it on each level, from below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Which leaf, from 0.
    pub index: u32,
    /// Of how many.
    pub count: u32,
    /// What stands beside.
    pub siblings: Vec<Digest>,
}

/// Root over receipts, in the order given.
#[must_use]
pub fn receipts_root(c: &Compressor, receipts: &[PaidReceipt]) -> Digest {
    root(c, TAG_RECEIPTS, &levels(c, receipt_leaves(c, receipts)), receipts.len())
}

/// Root over the balances of accounts, in the order given: ascending, without those at 0. So it says where everybody
/// stands and nothing of how they came there.
#[must_use]
pub fn accounts_root(c: &Compressor, accounts: &[(AccountId, i128)]) -> Digest {
    root(c, TAG_ACCOUNTS, &account_levels(c, accounts), accounts.len())
}

/// What [`accounts_root`] is over.
#[must_use]
pub fn balances(accounts: &[(AccountId, Account)]) -> Vec<(AccountId, i128)> {
    let balances = accounts.iter().map(|(id, account)| (*id, account.balance()));
    balances.filter(|(_, balance)| *balance != 0).collect()
}

/// The way from an account to the root over all balances; none when it is not among them.
#[must_use]
pub fn open_account(c: &Compressor, accounts: &[(AccountId, i128)], id: AccountId) -> Option<Opening> {
    let at = accounts.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    let levels = account_levels(c, accounts);
    let beside = levels.iter().enumerate().take(levels.len() - 1).map(|(height, level)| {
        let beside = (at >> height) ^ 1;
        level.get(beside).copied().unwrap_or(Digest::ZERO)
    });
    Some(Opening { index: at as u32, count: accounts.len() as u32, siblings: beside.collect() })
}

/// Whether an account had this balance under a root.
#[must_use]
pub fn account_is_in(c: &Compressor, root: Digest, id: AccountId, balance: i128, opening: &Opening) -> bool {
    let Opening { index, count, siblings } = opening;
    // The height follows from the count: no root has leaves at two heights.
    let height = count.checked_next_power_of_two().map_or(32, u32::trailing_zeros) as usize;
    if index >= count || siblings.len() != height {
        return false;
    }
    let top = siblings.iter().enumerate().fold(account_leaf(c, id, balance), |node, (height, beside)| {
        if index >> height & 1 == 0 { c.pair(node, *beside) } else { c.pair(*beside, node) }
    });
    c.pair(top, header(c, TAG_ACCOUNTS, *count as usize)) == root
}

fn account_levels(c: &Compressor, accounts: &[(AccountId, i128)]) -> Vec<Vec<Digest>> {
    let halves: Vec<_> = accounts.iter().flat_map(|(id, balance)| account_blocks(*id, *balance)).collect();
    levels(c, c.pairs(&two_each(&c.blocks(&halves))))
}

fn account_leaf(c: &Compressor, id: AccountId, balance: i128) -> Digest {
    let [key, rest] = account_blocks(id, balance);
    c.pair(c.block(key), c.block(rest))
}

fn account_blocks(id: AccountId, balance: i128) -> [[u16; 16]; 2] {
    let mut rest = [0; 16];
    rest[0] = id.kind as u16;
    for (limb, two) in rest[8..].iter_mut().zip(balance.to_le_bytes().chunks(2)) {
        *limb = u16::from_le_bytes([two[0], two[1]]);
    }
    [limbs(id.key.as_bytes()), rest]
}

/// Of each: the pair of ticket and executor, and the claim.
fn receipt_leaves(c: &Compressor, receipts: &[PaidReceipt]) -> Vec<Digest> {
    let of = |part: fn(&PaidReceipt) -> &[u8; 32]| -> Vec<Digest> {
        c.blocks(&receipts.iter().map(|paid| limbs(part(paid))).collect::<Vec<_>>())
    };
    let together = |one: Vec<Digest>, other: Vec<Digest>| -> Vec<Digest> {
        c.pairs(&one.into_iter().zip(other).map(<[Digest; 2]>::from).collect::<Vec<_>>())
    };
    let who = together(of(|paid| paid.ticket.as_bytes()), of(|paid| paid.executor.as_bytes()));
    together(who, of(|paid| paid.claim.as_bytes()))
}

/// All levels from the leaves to the top; what is missing to a pair is zero.
fn levels(c: &Compressor, leaves: Vec<Digest>) -> Vec<Vec<Digest>> {
    let mut levels = vec![leaves];
    while let Some(level) = levels.last().filter(|level| level.len() > 1) {
        levels.push(c.pairs(&two_each(level)));
    }
    levels
}

/// In pairs; what is missing to the last one is zero.
fn two_each(digests: &[Digest]) -> Vec<[Digest; 2]> {
    digests.chunks(2).map(|two| [two[0], two.get(1).copied().unwrap_or(Digest::ZERO)]).collect()
}

fn root(c: &Compressor, tag: u16, levels: &[Vec<Digest>], count: usize) -> Digest {
    let top = levels.last().and_then(|level| level.first()).copied().unwrap_or(Digest::ZERO);
    c.pair(top, header(c, tag, count))
}

fn header(c: &Compressor, tag: u16, count: usize) -> Digest {
    let mut block = [0; 16];
    block[0] = tag;
    block[1] = count as u16;
    block[2] = (count >> 16) as u16;
    c.block(block)
}

fn limbs(bytes: &[u8; 32]) -> [u16; 16] {
    core::array::from_fn(|i| u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountKind;

    fn account(number: u8) -> AccountId {
        AccountId::new(AccountKind::Executor, KeyId::from_bytes([number; 32]))
    }

    #[test]
    fn every_balance_opens_under_the_root_and_nothing_else_does() {
        let c = Compressor::new();
        for count in [1usize, 2, 3, 4, 5, 8, 9] {
            let accounts: Vec<(AccountId, i128)> =
                (0..count).map(|at| (account(at as u8), at as i128 * 1_000_003 - 5)).collect();
            let root = accounts_root(&c, &accounts);
            for (id, balance) in &accounts {
                let opening = open_account(&c, &accounts, *id).unwrap();
                assert!(account_is_in(&c, root, *id, *balance, &opening));
                assert!(!account_is_in(&c, root, *id, *balance + 1, &opening), "another balance");
                assert!(!account_is_in(&c, root, account(99), *balance, &opening), "another account");
                let escrow = AccountId::new(AccountKind::Escrow, id.key);
                assert!(!account_is_in(&c, root, escrow, *balance, &opening), "another kind");
                let mut other = opening.clone();
                other.count += 1;
                assert!(!account_is_in(&c, root, *id, *balance, &other), "another count");
                let mut other = opening.clone();
                other.index ^= 1;
                assert!(!account_is_in(&c, root, *id, *balance, &other), "another place");
                let mut other = opening;
                other.siblings.push(Digest::ZERO);
                assert!(!account_is_in(&c, root, *id, *balance, &other), "another height");
            }
            assert_eq!(open_account(&c, &accounts, account(99)), None);
            // What fills a level up is no account.
            let filler = Opening { index: count as u32, count: count as u32 + 1, siblings: Vec::new() };
            assert!(!account_is_in(&c, root, account(0), 0, &filler));
        }
    }

    #[test]
    fn an_inner_node_is_no_leaf() {
        let c = Compressor::new();
        let receipts: Vec<PaidReceipt> = (0..4u8)
            .map(|at| PaidReceipt {
                ticket: TicketId::from_bytes([at; 32]),
                executor: KeyId::from_bytes([9; 32]),
                claim: Hash32::from_bytes([7; 32]),
            })
            .collect();
        let root = receipts_root(&c, &receipts);
        assert_ne!(root, receipts_root(&c, &receipts[..3]));
        assert_ne!(root, receipts_root(&c, &receipts[..2]));
        assert_ne!(receipts_root(&c, &[]), receipts_root(&c, &receipts[..1]));
    }
}

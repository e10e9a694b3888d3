//! Closing a batch: which receipts are paid, who is paid for checking them, and what it comes to.
//!
//! Everything follows from the receipts, the limits and what was settled before; not from the order in which receipts came
//! in. Two ledgers with the same of these decide the same. Spec: `docs/spec/52-ledger.md`, section "Closing a batch".

use super::{OrBook, Outcome, Step, VERIFIERS_PAID_MAX, accounts_of, exposure, is_verifier, pay_order};
use crate::{
    account::{AccountId, AccountKind, EntryKind},
    batch::{BATCH_RECEIPTS_MAX, Batch, PaidReceipt, accounts_root, balances, receipts_root},
    book::{Book, Candidate, TicketRecord, TicketState},
    fees::FeeTable,
    ledger::LedgerError,
    refusal::Refusal,
};
use nonos_capsule::CLOCK_SKEW_SECONDS_MAX;
use nonos_image::Compressor;
use nonos_types::{Amount, KeyId, TicketId, domain};
use std::collections::{BTreeMap, HashMap, hash_map::Entry};

/// A ticket with receipts.
struct Open {
    id: TicketId,
    record: TicketRecord,
    table: FeeTable,
    winner: usize,
    cost: Amount,
}

impl<B: Book> Step<'_, B> {
    pub(super) fn closed(&mut self) -> Outcome<B> {
        let mut ids = self.book.open().book()?;
        if ids.is_empty() {
            return Err(Refusal::NothingToClose.into());
        }
        // L6: tickets in the order of their hashes, as many as a batch takes.
        ids.sort_by_cached_key(|id| pay_order(&[id.as_bytes()]));
        ids.truncate(BATCH_RECEIPTS_MAX);
        let mut open = Vec::with_capacity(ids.len());
        let mut owed: HashMap<KeyId, u128> = HashMap::new();
        for id in ids {
            let record = self.book.ticket(id).book()?.ok_or(Refusal::UnknownTicket { ticket: id })?;
            let table = self.terms(record.capsule)?;
            let order = |at: &usize| pay_order(&[id.as_bytes(), record.candidates[*at].executor.as_bytes()]);
            let winner = (0..record.candidates.len()).min_by_key(order);
            let winner = winner.ok_or(Refusal::NotDue { ticket: id })?;
            let cost = self.cost(id, &record, &table, &record.candidates[winner])?;
            // What the payer owes without what the open batch has paid so far.
            if let Entry::Vacant(vacant) = owed.entry(record.payer) {
                vacant.insert(exposure(self.book, record.payer)?.units());
            }
            if let (TicketState::Open { posted: Some(at) }, Some(owed)) = (record.state, owed.get_mut(&record.payer)) {
                *owed -= self.cost(id, &record, &table, &record.candidates[at])?.units();
            }
            open.push(Open { id, record, table, winner, cost });
        }

        // L7: each payer's tickets are paid while its limit lasts. First everything that is not paid is taken back, then
        // everything that is paid is booked, so that no account passes its limit on the way.
        let mut selected = Vec::with_capacity(open.len());
        for one in &open {
            let limit = self.limit(one.record.payer)?.units();
            let owed = owed.entry(one.record.payer).or_default();
            let fits = *owed + one.cost.units() <= limit;
            if fits {
                *owed += one.cost.units();
            }
            selected.push(fits);
        }
        for (one, selected) in open.iter_mut().zip(&selected) {
            self.take_back(one, *selected)?;
        }
        let mut receipts = Vec::new();
        let mut net: BTreeMap<AccountId, i128> = BTreeMap::new();
        for (mut one, selected) in open.into_iter().zip(selected) {
            if selected {
                receipts.push(self.finish(&mut one, &mut net)?);
            } else if self.time_s > one.record.deadline_s.saturating_add(CLOCK_SKEW_SECONDS_MAX) {
                one.record.state = TicketState::Displaced { batch: self.head.batch };
                self.book.put_open(one.id, false).book()?;
            }
            self.book.put_ticket(one.id, &one.record).book()?;
            self.touched.push(*one.id.as_bytes());
            for candidate in &one.record.candidates {
                self.touched.push(*candidate.executor.as_bytes());
                self.touched.extend(candidate.attested.iter().map(|(verifier, _)| *verifier.as_bytes()));
            }
        }

        self.touched.sort_unstable();
        self.touched.dedup();
        receipts.sort_by_key(|paid| paid.ticket);
        let c = Compressor::new();
        let batch = Batch {
            number: self.head.batch,
            event: self.event,
            time_s: self.time_s,
            receipts_root: receipts_root(&c, &receipts),
            accounts_root: accounts_root(&c, &balances(&self.book.accounts().book()?)),
            receipts,
            net: net.into_iter().filter(|(_, amount)| *amount != 0).collect(),
            settled: None,
        };
        self.book.put_batch(&batch).book()?;
        self.head.batch += 1;
        Ok(())
    }

    /// Takes back what was paid for a receipt that does not stay.
    fn take_back(&mut self, one: &mut Open, selected: bool) -> Outcome<B> {
        let TicketState::Open { posted: Some(at) } = one.record.state else { return Ok(()) };
        if selected && at == one.winner {
            return Ok(());
        }
        let bill = Self::bill(one.id, &one.table, &one.record.candidates[at], Vec::new())?;
        for line in bill.lines() {
            self.post(EntryKind::Reverse, one.id, &mut one.record, line)?;
        }
        self.give_back(EntryKind::Release, one.id, &mut one.record)?;
        one.record.state = TicketState::Open { posted: None };
        Ok(())
    }

    /// Pays a receipt for good, its verifiers too.
    fn finish(&mut self, one: &mut Open, net: &mut BTreeMap<AccountId, i128>) -> Outcome<B, PaidReceipt> {
        let Open { id, record, table, winner, cost } = one;
        let candidate = record.candidates[*winner].clone();
        if record.state == (TicketState::Open { posted: None }) {
            self.set_aside(*id, record, *cost)?;
            self.pay(*id, record, table, &candidate)?;
        }
        let drawn = self.draw(&candidate)?;
        let bill = Self::bill(*id, table, &candidate, drawn)?;
        for line in bill.lines().iter().filter(|line| is_verifier(line)) {
            self.post(EntryKind::Post, *id, record, line)?;
        }
        self.give_back(EntryKind::Release, *id, record)?;
        record.state = TicketState::Paid { batch: self.head.batch, winner: *winner };
        self.book.put_open(*id, false).book()?;

        let mut add = |account: AccountId, amount: Amount, sign: i128| -> Outcome<B> {
            let sum = net.entry(account).or_default();
            *sum = sum.checked_add(sign * amount.units().cast_signed()).ok_or(LedgerError::Full)?;
            Ok(())
        };
        add(accounts_of(record.payer).0, bill.total(), -1)?;
        for line in bill.lines() {
            add(AccountId::new(AccountKind::from(line.role), line.payee), line.amount, 1)?;
        }
        Ok(PaidReceipt { ticket: *id, executor: candidate.executor, claim: candidate.claim })
    }

    /// The verifiers who are paid: those with the lowest hashes under the witness, which nobody knew before the proof was
    /// made, among those who attested rightly and are not excluded.
    fn draw(&self, candidate: &Candidate) -> Outcome<B, Vec<KeyId>> {
        let mut drawn = Vec::new();
        for (verifier, _) in candidate.attested.iter().filter(|(_, right)| *right) {
            if self.book.conduct(*verifier).book()?.excluded_until_s <= self.time_s {
                let mut hasher = blake3::Hasher::new_derive_key(domain::VERIFIER_DRAW);
                hasher.update(candidate.witness.as_bytes()).update(verifier.as_bytes());
                drawn.push((*hasher.finalize().as_bytes(), *verifier));
            }
        }
        drawn.sort_unstable();
        drawn.truncate(VERIFIERS_PAID_MAX);
        Ok(drawn.into_iter().map(|(_, verifier)| verifier).collect())
    }
}

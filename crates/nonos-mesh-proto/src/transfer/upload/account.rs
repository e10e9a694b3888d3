//! Account: what one peer may still have, over all its sessions.

use super::{FRAMES_BURST, FRAMES_PER_S, UploadLimits, WINDOW_FORGOTTEN_MS, WINDOWS_OWED_MAX};

/// A token bucket with whole tokens and a clock in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    /// In thousandths of a token, so that no millisecond is lost.
    milli_tokens: u128,
    at_ms: u64,
}

impl Bucket {
    pub(super) const fn full(now_ms: u64, burst: u64) -> Self {
        Self { milli_tokens: burst as u128 * 1_000, at_ms: now_ms }
    }

    /// Fills up to `now_ms`. A clock that goes back fills nothing.
    fn fill(&mut self, now_ms: u64, per_s: u64, burst: u64) {
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        let tokens = self.milli_tokens.saturating_add(u128::from(passed_ms) * u128::from(per_s));
        self.milli_tokens = tokens.min(u128::from(burst) * 1_000);
        self.at_ms = self.at_ms.max(now_ms);
    }

    /// How many tokens there are.
    pub(super) fn tokens(&mut self, now_ms: u64, per_s: u64, burst: u64) -> u64 {
        self.fill(now_ms, per_s, burst);
        u64::try_from(self.milli_tokens / 1_000).unwrap_or(u64::MAX)
    }

    /// Takes tokens that were seen to be there.
    pub(super) fn take(&mut self, tokens: u64) {
        self.milli_tokens = self.milli_tokens.saturating_sub(u128::from(tokens) * 1_000);
    }

    /// When there will be so many.
    pub(super) fn ready_at_ms(&self, tokens: u64, per_s: u64) -> u64 {
        let missing = (u128::from(tokens) * 1_000).saturating_sub(self.milli_tokens);
        let wait_ms = missing.div_ceil(u128::from(per_s.max(1)));
        self.at_ms.saturating_add(u64::try_from(wait_ms).unwrap_or(u64::MAX))
    }
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) sessions: usize,
    bytes: Bucket,
    frames: Bucket,
    quota_left: u64,
    quota_until_ms: u64,
    owed_bytes: u64,
    owed_at_ms: u64,
}

impl Account {
    pub(super) const fn new(now_ms: u64, limits: &UploadLimits) -> Self {
        Self {
            sessions: 0,
            bytes: Bucket::full(now_ms, limits.burst_bytes),
            frames: Bucket::full(now_ms, FRAMES_BURST),
            quota_left: limits.quota_bytes,
            quota_until_ms: now_ms.saturating_add(limits.quota_period_ms),
            owed_bytes: 0,
            owed_at_ms: now_ms,
        }
    }

    /// X20: one more frame; whether it may be.
    pub(super) fn frame(&mut self, now_ms: u64) -> bool {
        let ok = self.frames.tokens(now_ms, FRAMES_PER_S, FRAMES_BURST) > 0;
        self.frames.take(1);
        ok
    }

    /// X22: how many bytes it may have now.
    pub(super) fn bytes(&mut self, now_ms: u64, limits: &UploadLimits) -> u64 {
        self.bytes.tokens(now_ms, limits.rate_bytes_per_s, limits.burst_bytes)
    }

    /// When it may have so many.
    pub(super) fn bytes_at_ms(&self, bytes: u64, limits: &UploadLimits) -> u64 {
        self.bytes.ready_at_ms(bytes, limits.rate_bytes_per_s)
    }

    /// X23: what is left of its quota, and when it is whole again.
    pub(super) fn quota(&mut self, now_ms: u64, limits: &UploadLimits) -> (u64, u64) {
        if now_ms >= self.quota_until_ms {
            self.quota_left = limits.quota_bytes;
            self.quota_until_ms = now_ms.saturating_add(limits.quota_period_ms);
        }
        (self.quota_left, self.quota_until_ms)
    }

    /// It gets so many bytes.
    pub(super) fn give(&mut self, bytes: u64) {
        self.bytes.take(bytes);
        self.quota_left = self.quota_left.saturating_sub(bytes);
    }

    /// X24: a session ended with so many bytes unacknowledged.
    pub(super) fn owe(&mut self, now_ms: u64, bytes: u64, window_bytes: u64) {
        self.owed_bytes = self.owed(now_ms, window_bytes).saturating_add(bytes);
    }

    fn owed(&mut self, now_ms: u64, window_bytes: u64) -> u64 {
        let passed_ms = now_ms.saturating_sub(self.owed_at_ms);
        let forgotten = u128::from(passed_ms) * u128::from(window_bytes) / u128::from(WINDOW_FORGOTTEN_MS);
        // Time that forgets less than a byte stays on the clock.
        if forgotten > 0 || self.owed_bytes == 0 {
            self.owed_bytes = self.owed_bytes.saturating_sub(u64::try_from(forgotten).unwrap_or(u64::MAX));
            self.owed_at_ms = self.owed_at_ms.max(now_ms);
        }
        self.owed_bytes
    }

    /// Whether it owes too much for another session, if each that it has comes to owe a whole window.
    pub(super) fn owes_too_much(&mut self, now_ms: u64, window_bytes: u64) -> bool {
        let at_worst =
            window_bytes.saturating_mul(self.sessions as u64).saturating_add(self.owed(now_ms, window_bytes));
        at_worst >= WINDOWS_OWED_MAX.saturating_mul(window_bytes)
    }

    /// What forgetting it would give the peer again, in bytes.
    pub(super) fn used_bytes(&mut self, now_ms: u64, limits: &UploadLimits) -> u64 {
        let quota = limits.quota_bytes.saturating_sub(self.quota(now_ms, limits).0);
        quota.saturating_add(self.owed(now_ms, u64::from(limits.window_bytes)))
    }
}

//! The `content` syscall: one row per call. Spec: `docs/spec/air/content.md`.
//!
//! In: a `CALL` of the ecall chip. Out: the event in the transcript, an order to the words chip that moves the bytes from
//! a space of their own, and the root of that space's tree, which the event commits to. Never: that the bytes have the
//! hash that was asked for; that is what the transcript lets a verifier check.

use crate::{
    MachineBuilder,
    access::{Access, access},
    bus::{CALL, NODE, RANGE16, STREAM},
    columns, space,
    state::{compress, padded, thread},
    words::call,
};
use core::array;
use nonos_isa::Syscall;
use nonos_types::{
    domain::{TAG_CONTENT, TAG_CONTENT_EVENT},
    limits::SYSCALL_BYTES_MAX,
};
use p3_air::WindowAccess;
use p3_field::{Field, PrimeCharacteristicRing};

/// Words of a hash.
pub const HASH_WORDS: usize = 8;
/// Root of the tree that is zero everywhere, the one of no bytes; a test compares it with `nonos_image::Tree`.
pub const ZERO_ROOT: [u32; 8] = [1545937641, 73701038, 596263743, 1773306964, 666534886, 3359976, 482988363, 29687065];

columns! {
    /// The columns.
    pub struct ContentCols {
        /// Whether this row is a call.
        real: 1,
        /// The instruction's time base.
        ts: 1,
        /// Content calls of the segment before it.
        calls: 1,
        /// `a0`: where the hash stands.
        a0: 2,
        /// Its low limb divided by 4.
        hash_quarter: 1,
        /// Limbs of the hash.
        hash: 16,
        /// When each word of it was accessed last.
        hash_prev: 8,
        /// Whether the program may write it.
        hash_writable: 8,
        /// Whether reading it takes its page's mark.
        hash_touch: 8,
        /// Limbs of the offset: `a1`, `a2`.
        offset: 4,
        /// `a3`: where to copy.
        to: 2,
        /// `a4`: how many bytes are asked for.
        asked_bytes: 2,
        /// When `a2`, `a3`, `a4` were accessed last.
        argument_prev: 3,
        /// Limbs of the content's size.
        size: 4,
        /// The offset is at least the size and nothing is left.
        past: 1,
        /// `size - offset`, or `offset - size` if past.
        distance: 4,
        /// Its borrows.
        distance_borrow: 3,
        /// What is left at the offset.
        left: 4,
        /// `a4` is at least 2^16.
        big: 1,
        /// The inverse of its high limb, or 0.
        big_inv: 1,
        /// `min(a4, 65536)`.
        most: 1,
        /// All that is left is copied.
        all: 1,
        /// All: `most - left`; else `left - most - 1`.
        slack: 4,
        /// Carries of `slack + most + 1`.
        slack_carry: 3,
        /// Not all: `most - bytes` as 2 bits.
        rest: 2,
        /// Limbs of how many bytes are copied; the second is a bit.
        bytes: 2,
        /// How many bytes of the last word are not used.
        pad: 1,
        /// What is left behind the bytes copied.
        behind: 4,
        /// Carries of `slack + 1 + rest`.
        behind_carry: 3,
        /// It is at least 2^32.
        saturated: 1,
        /// The inverse of the sum of its high limbs, or 0.
        saturated_inv: 1,
        /// `a1` after.
        a1_after: 2,
        /// Bytes are copied.
        some: 1,
        /// The inverse of how many, or 0.
        some_inv: 1,
        /// The low limb of `a3` divided by 4.
        to_quarter: 1,
        /// Page marks that copying takes.
        data_touches: 1,
        /// The transcript before.
        transcript: 8,
        /// The transcript after.
        transcript_after: 8,
        /// Root of the tree over the bytes.
        root: 8,
        /// `C(hash)`.
        hash_node: 8,
        /// `C` of the numbers.
        numbers: 8,
        /// `C(hash_node || numbers)`.
        asked: 8,
        /// `C` of the bytes' header.
        head: 8,
        /// The commitment to the bytes.
        commitment: 8,
        /// `C(asked || commitment)`.
        event: 8,
    }
}

/// How many columns.
pub const WIDTH: usize = ContentCols::<u8>::WIDTH;
/// Whether a row looks at the next.
pub const NEXT: bool = false;
/// How many public values.
pub const PUBLIC: usize = 0;

/// The constraints and what the chip says on the buses.
#[allow(clippy::too_many_lines)]
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let c = ContentCols::from_row(main.current_slice());
    let n = AB::Expr::from_u32;
    let one = || AB::Expr::ONE;
    let zero = || AB::Expr::ZERO;
    let limb = || AB::Expr::from_u32(1 << 16);
    let wide = |limbs: [AB::Var; 2]| -> AB::Expr { limbs[0] + limbs[1] * n(1 << 16) };
    let exprs = |digest: [AB::Var; 8]| -> [AB::Expr; 8] { digest.map(Into::into) };
    let quarter = AB::Expr::from(crate::F::from_u32(4).inverse());
    let (real, ts): (AB::Expr, AB::Expr) = (c.real[0].into(), c.ts[0].into());
    let (all, some): (AB::Expr, AB::Expr) = (c.all[0].into(), c.some[0].into());
    let short = real.clone() - all.clone();
    let rest: AB::Expr = c.rest[0] + c.rest[1] + c.rest[1];

    let carries = c.distance_borrow.into_iter().chain(c.slack_carry).chain(c.behind_carry);
    for flag in carries.chain(c.rest).chain(c.hash_writable) {
        builder.assert_bool(flag);
    }
    for flag in c.hash_touch.into_iter().chain([c.all[0], c.past[0], c.saturated[0], c.some[0], c.bytes[1]]) {
        builder.assert_bool(flag);
        builder.assert_zero(flag * (one() - real.clone()));
    }
    builder.assert_bool(real.clone());

    // left = max(size - offset, 0), as integers of four limbs that are all in range.
    let sign = one() - c.past[0] - c.past[0];
    let mut borrow = zero();
    for i in 0..4 {
        let out: AB::Expr = c.distance_borrow.get(i).map_or(zero(), |borrow| (*borrow).into());
        let difference = sign.clone() * (c.size[i] - c.offset[i]) - borrow + out.clone() * limb();
        builder.assert_eq(difference, c.distance[i]);
        builder.assert_eq(c.left[i], (one() - c.past[0]) * c.distance[i]);
        borrow = out;
        for value in [c.size[i], c.distance[i], c.slack[i], c.behind[i]] {
            RANGE16.look_up(builder, [value], real.clone());
        }
    }

    // bytes = min(a4, 65536, left), rounded down to a multiple of 4 where that is not all that is left.
    builder.assert_eq(c.asked_bytes[1] * c.big_inv[0], c.big[0]);
    builder.assert_zero(c.asked_bytes[1] * (one() - c.big[0]));
    let asked_lo: AB::Expr = c.asked_bytes[0].into();
    builder.assert_eq(c.most[0], c.big[0] * (n(SYSCALL_BYTES_MAX) - asked_lo.clone()) + asked_lo);
    let bytes = wide(c.bytes);
    RANGE16.look_up(builder, [c.bytes[0]], real.clone());
    // All: left is bytes limb by limb (as one element it could be bytes + p), and most - bytes is a limb and one bit.
    for i in 0..2 {
        builder.assert_zero(all.clone() * (c.left[i] - c.bytes[i]));
    }
    builder.assert_zero(all.clone() * (c.most[0] - bytes.clone() - wide([c.slack[0], c.slack[1]])));
    builder.assert_zero(all.clone() * c.slack[1] * (one() - c.slack[1]));
    // Not all: slack + most + 1 = left and behind = slack + 1 + rest, limb by limb.
    builder.assert_zero(short.clone() * (c.most[0] - bytes.clone() - rest.clone()));
    builder.assert_zero(short.clone() * c.pad[0]);
    for bit in c.rest {
        builder.assert_zero(bit * (one() - short.clone()));
    }
    let big: AB::Expr = c.big[0].into();
    let most = [c.most[0] - big.clone() * limb() + one(), big, zero(), zero()];
    let behind = [one() + rest, zero(), zero(), zero()];
    let (mut slack_in, mut behind_in) = (zero(), zero());
    for i in 0..4 {
        let slack_out: AB::Expr = c.slack_carry.get(i).map_or(zero(), |carry| (*carry).into());
        let behind_out: AB::Expr = c.behind_carry.get(i).map_or(zero(), |carry| (*carry).into());
        let sum = most[i].clone() + c.slack[i] + slack_in - slack_out.clone() * limb();
        builder.assert_zero(short.clone() * (sum - c.left[i]));
        let sum = behind[i].clone() + c.slack[i] + behind_in - behind_out.clone() * limb();
        builder.assert_zero(short.clone() * (sum - c.behind[i]));
        builder.assert_zero(all.clone() * c.behind[i]);
        (slack_in, behind_in) = (slack_out, behind_out);
    }
    for i in 2..4 {
        builder.assert_zero(all.clone() * c.left[i]);
        builder.assert_zero(all.clone() * c.slack[i]);
    }
    for carry in c.slack_carry.into_iter().chain(c.behind_carry) {
        builder.assert_zero(carry * all.clone());
    }
    // a1 = min(behind, 2^32 - 1).
    let high = c.behind[2] + c.behind[3];
    builder.assert_eq(high * c.saturated_inv[0], c.saturated[0]);
    for i in 0..2 {
        builder.assert_zero(c.behind[2 + i] * (one() - c.saturated[0]));
        builder.assert_eq(c.a1_after[i], (n(0xffff) - c.behind[i]) * c.saturated[0] + c.behind[i]);
    }

    // The hash, and the other arguments.
    builder.assert_zero(real.clone() * (c.hash_quarter[0] * n(4) - c.a0[0]));
    RANGE16.look_up(builder, [c.hash_quarter[0]], real.clone());
    for j in 0..HASH_WORDS {
        let word = [c.hash[2 * j].into(), c.hash[2 * j + 1].into()];
        let read = Access {
            space: n(space::MEMORY),
            addr: c.hash_quarter[0] + c.a0[1] * n(1 << 14) + AB::Expr::from_usize(j),
            before: word.clone(),
            after: word,
            prev_ts: c.hash_prev[j].into(),
            ts: ts.clone() + one(),
            writable: c.hash_writable[j].into(),
            touch: c.hash_touch[j].into(),
        };
        access(builder, read, real.clone());
    }
    let arguments = [[c.offset[2], c.offset[3]], c.to, c.asked_bytes];
    for (i, argument) in arguments.into_iter().enumerate() {
        let value = argument.map(Into::<AB::Expr>::into);
        let read = Access {
            space: n(space::REGISTERS),
            addr: AB::Expr::from_usize(12 + i),
            before: value.clone(),
            after: value,
            prev_ts: c.argument_prev[i].into(),
            ts: ts.clone() + one(),
            writable: one(),
            touch: zero(),
        };
        access(builder, read, real.clone());
    }

    // The bytes: moved by the words chip from a space whose root the event commits to.
    builder.assert_eq(bytes.clone() * c.some_inv[0], some.clone());
    builder.assert_zero(bytes.clone() * (one() - some.clone()));
    builder.assert_zero(some.clone() * (c.to_quarter[0] * n(4) - c.to[0]));
    builder.assert_zero(c.to_quarter[0] * (one() - some.clone()));
    builder.assert_zero(c.data_touches[0] * (one() - some.clone()));
    RANGE16.look_up(builder, [c.to_quarter[0]], some.clone());
    let place: AB::Expr = c.calls[0] + n(space::CONTENT);
    let order = [
        n(call::FROM_CELLS),
        ts.clone(),
        place.clone(),
        c.to_quarter[0] + c.to[1] * n(1 << 14),
        zero(),
        (bytes.clone() + c.pad[0]) * quarter,
        c.pad[0].into(),
        c.data_touches[0].into(),
    ];
    CALL.send(builder, padded::<AB::Expr, 8, 12>(order), some.clone());
    let head = [place, n(27), zero()];
    let node: [AB::Expr; 19] = array::from_fn(|i| match i {
        0..3 => head[i].clone(),
        3..11 => c.root[i - 3].into(),
        _ => c.root[i - 11].into(),
    });
    NODE.send(builder, node, some.clone());
    for (root, zero_root) in c.root.into_iter().zip(ZERO_ROOT) {
        builder.assert_zero((real.clone() - some.clone()) * (root - n(zero_root)));
    }

    // The event.
    let count = || real.clone();
    let low: [AB::Expr; 8] = array::from_fn(|i| c.hash[i].into());
    let high: [AB::Expr; 8] = array::from_fn(|i| c.hash[8 + i].into());
    compress(builder, &low, &high, &exprs(c.hash_node), count());
    let [o0, o1, o2, o3] = c.offset.map(Into::<AB::Expr>::into);
    let [s0, s1, s2, s3] = c.size.map(Into::<AB::Expr>::into);
    let [bytes_lo, bytes_hi] = c.bytes.map(Into::<AB::Expr>::into);
    let low = [n(TAG_CONTENT_EVENT.into()), o0, o1, o2, o3, s0, s1, s2];
    let high = padded([s3, bytes_lo.clone(), bytes_hi.clone()]);
    compress(builder, &low, &high, &exprs(c.numbers), count());
    compress(builder, &exprs(c.hash_node), &exprs(c.numbers), &exprs(c.asked), count());
    let low = padded([n(TAG_CONTENT.into()), bytes_lo, bytes_hi]);
    compress(builder, &low, &array::from_fn(|_| zero()), &exprs(c.head), count());
    compress(builder, &exprs(c.root), &exprs(c.head), &exprs(c.commitment), count());
    compress(builder, &exprs(c.asked), &exprs(c.commitment), &exprs(c.event), count());
    compress(builder, &exprs(c.transcript), &exprs(c.event), &exprs(c.transcript_after), count());
    let story = |calls: AB::Expr, transcript: [AB::Var; 8]| -> [AB::Expr; 10] {
        array::from_fn(|i| match i {
            0 => n(thread::TRANSCRIPT),
            1 => calls.clone(),
            _ => transcript[i - 2].into(),
        })
    };
    STREAM.receive(builder, story(c.calls[0].into(), c.transcript), count());
    STREAM.send(builder, story(c.calls[0] + one(), c.transcript_after), count());

    let touches = c.hash_touch.into_iter().map(Into::<AB::Expr>::into).sum::<AB::Expr>() + c.data_touches[0];
    let message = [
        n(Syscall::Content.number()),
        ts,
        c.calls[0].into(),
        c.a0[0].into(),
        c.a0[1].into(),
        c.offset[0].into(),
        c.offset[1].into(),
        bytes,
        c.pad[0].into(),
        c.a1_after[0].into(),
        c.a1_after[1].into(),
        touches,
    ];
    CALL.receive(builder, message, real);
}

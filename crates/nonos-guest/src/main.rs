//! A receipt in, the digest of its claim out, in the machine: `nonos-verifier` as a guest.
//!
//! Input: one byte that names the kernels ([`SOFTWARE`], [`SYSCALL`]), then the receipt. Output: the digest of the
//! verified claim, 32 bytes. A receipt that is refused gives no output and status 1; the log says why.
//!
//! `cargo xtask guest-verifier` builds and runs it; why it needs flags of its own is in
//! `docs/adr/0007-kernels-of-the-verifier.md`.
#![cfg_attr(target_arch = "riscv32", no_std, no_main)]

use nonos_verifier::{
    Receipt, VerifyError,
    kernels::{F, Kernels, Software, Software16, elements, words},
    receipt::ReceiptError,
    verify_with,
};
use thiserror::Error;

/// First byte of the input: the proof library's code for everything.
const SOFTWARE: u8 = 0;
/// First byte of the input: width 16 by the machine's `poseidon2` syscall, which must be granted.
const SYSCALL: u8 = 1;

nonos_sdk::entry!(main);

fn main() -> Result<(), Refused> {
    let input = nonos_sdk::input::bytes();
    let (kernels, receipt): (&'static dyn Kernels, &[u8]) = match input.split_first() {
        Some((&SOFTWARE, receipt)) => (&Software, receipt),
        Some((&SYSCALL, receipt)) => (&Syscalls, receipt),
        _ => return Err(Refused::Kernels),
    };
    let verified = verify_with(&Receipt::from_bytes(receipt)?, kernels)?;
    nonos_sdk::output::write_bytes(verified.claim().digest().as_bytes());
    Ok(())
}

/// What the machine has accelerators for.
#[derive(Debug)]
struct Syscalls;

impl Kernels for Syscalls {
    fn permute_16(&self, _: &Software16, state: &mut [F; 16]) {
        let mut canonical = words(state);
        nonos_sdk::hash::poseidon2(&mut canonical);
        *state = elements(&canonical);
    }
}

/// Why there is no output.
#[derive(Debug, Error)]
enum Refused {
    #[error("the first byte names no kernels")]
    Kernels,
    #[error("V1: {0}")]
    Receipt(#[from] ReceiptError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_sdk::mock::Mock;

    #[test]
    fn the_syscall_permutes_as_the_software_does() {
        let run = Mock::new().grants(["poseidon2"]).run(|| {
            let software = Software16::new();
            for seed in 0..100u32 {
                let start: [F; 16] = elements(&core::array::from_fn(|i| seed.wrapping_mul(0x9e37_79b9) >> (i % 7)));
                let (mut one, mut other) = (start, start);
                Software.permute_16(&software, &mut one);
                Syscalls.permute_16(&software, &mut other);
                assert_eq!(one, other, "{start:?}");
            }
        });
        assert_eq!(run.status, Ok(0), "{}", run.log);
    }

    #[test]
    fn an_input_that_is_no_receipt_is_refused() {
        let check = |input: &[u8], why: &str| {
            let run = Mock::new().input(input).run(main);
            assert_eq!((run.status, run.output.as_slice()), (Ok(1), &[][..]));
            assert!(run.log.contains(why), "{}", run.log);
        };
        check(b"", "names no kernels");
        check(b"\x02NONOSRCP", "names no kernels");
        check(b"\x00NONOSRCP", "V1: ");
    }
}

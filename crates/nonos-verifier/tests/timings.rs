//! What proofs cost, to choose parameters by. Printed, not checked:
//! `cargo test -p nonos-verifier --test timings -- --ignored --nocapture`.

#![allow(clippy::print_stdout, reason = "prints what it measures")]

mod toy;

use nonos_air::F;
use nonos_verifier::{
    config::{HidingConfig, PublicConfig},
    parameters::{ParameterSet, security},
    proof::verify,
    shape::prepare,
};
use p3_challenger::GrindingChallenger;
use p3_field::PrimeCharacteristicRing;
use p3_uni_stark::StarkGenericConfig;
use std::time::Instant;
use toy::{Kind, run};

fn time<K: Kind>(set: ParameterSet, more: usize, log_height: usize) {
    let low = set.parameters().min_log_height;
    let log_height = log_height.max(low).min(set.parameters().max_log_height);
    let run = run(more, log_height, low, log_height.min(10).max(low), 1);
    let prover = K::prover(set, &[F::ONE]);
    let heights = [log_height, low, log_height.min(10).max(low)];
    let (common, shape) = prepare(&prover, &run.airs, &heights).expect("heights");
    let start = Instant::now();
    let proof = prover.prove(&run, common);
    let proving = start.elapsed();
    let bytes = nonos_verifier::codec::encode(&proof, &shape).expect("shape");
    let verifier = K::verifier(set, &[F::ONE]);
    let start = Instant::now();
    verify(&verifier, &run.airs, &run.publics, &bytes).expect("honest");
    let verifying = start.elapsed();
    let bits = security(shape.tables(), set);
    println!(
        "{set:?}: {} columns of 2^{log_height}: prove {proving:.2?}, verify {verifying:.2?}, {} bytes, proven {:.1}, conjectured {:.1}",
        5 + more,
        bytes.len(),
        bits.proven,
        bits.conjectured,
    );
}

#[test]
#[ignore = "measures"]
fn print_what_each_set_costs() {
    for (more, log_height) in [(59, 8), (59, 16)] {
        for set in ParameterSet::ALL {
            if set.is_hiding() {
                time::<HidingConfig>(set, more, log_height);
            } else {
                time::<PublicConfig>(set, more, log_height);
            }
        }
    }
}

#[test]
#[ignore = "measures"]
fn print_what_work_costs() {
    for bits in [12, 16, 18, 20, 22] {
        let start = Instant::now();
        const TIMES: u32 = 16;
        for time in 0..TIMES {
            let seed = [F::from_u32(time)];
            let config = PublicConfig::new(ParameterSet::PublicFast, &seed).expect("public");
            let mut challenger = config.initialise_challenger();
            let _ = challenger.grind(bits);
        }
        println!("{bits} bits: {:.2?}", start.elapsed() / TIMES);
    }
}

//! The fast interpreter does what the plain one does, on random programs. The long version is `cargo xtask oracle`.

use nonos_image::UNSALTED;
use nonos_testkit::{
    CAN_GO_WRONG, Shape, edge_program,
    lockstep::{Compared, Divergence, at_boundaries, at_breakpoints, at_fuel},
    random_program,
};
use nonos_vm::Job;

const FUEL_CYCLES: u64 = 1 << 40;

fn check(seed: u64, result: Result<Compared, Divergence>) -> Compared {
    result.unwrap_or_else(|divergence| panic!("seed {seed}: {divergence}"))
}

#[test]
fn every_instruction_agrees_on_every_edge_value() {
    let compared = check(0, at_boundaries(&edge_program(), Job::new(&[], UNSALTED, FUEL_CYCLES).unwrap()));
    assert!(compared.instructions > 20_000, "{compared:?}");
}

#[test]
fn long_random_programs_agree_at_every_boundary() {
    let input: Vec<u8> = (0..9000u32).map(|i| (i ^ i >> 3) as u8).collect();
    let mut compared = Compared::default();
    for seed in 1000..1012 {
        let fault = (seed % 4 == 0).then(|| CAN_GO_WRONG[seed as usize / 4 % CAN_GO_WRONG.len()]);
        let image = random_program(seed, Shape { syscalls: seed % 2 == 0, fault, ..Shape::LONG });
        compared.add(check(seed, at_boundaries(&image, Job::new(&input, UNSALTED, FUEL_CYCLES).unwrap())));
    }
    assert!(compared.instructions > 200_000 && compared.boundaries > 20, "{compared:?}");
}

#[test]
fn random_programs_that_go_wrong_agree_on_how() {
    for (number, fault) in CAN_GO_WRONG.into_iter().enumerate() {
        for round in 0..3 {
            let seed = 2000 + 100 * round + number as u64;
            let image = random_program(seed, Shape { fault: Some(fault), ..Shape::SHORT });
            check(seed, at_boundaries(&image, Job::new(&[1; 50], UNSALTED, FUEL_CYCLES).unwrap()));
        }
    }
}

#[test]
fn short_random_programs_agree_after_every_number_of_cycles() {
    for seed in 3000..3002 {
        let image = random_program(seed, Shape { items: 60, rounds: 3, syscalls: seed % 2 == 0, fault: None });
        let compared = check(seed, at_fuel(&image, Job::new(&[2; 900], UNSALTED, FUEL_CYCLES).unwrap(), 1, 600));
        assert!(compared.states > 300, "seed {seed}: {compared:?}");
    }
}

#[test]
fn short_random_programs_agree_with_a_breakpoint_anywhere() {
    for seed in 4000..4002 {
        let image = random_program(seed, Shape { items: 60, rounds: 8, syscalls: seed % 2 == 0, fault: None });
        check(seed, at_breakpoints(&image, Job::new(&[2; 900], UNSALTED, FUEL_CYCLES).unwrap(), 1));
    }
}

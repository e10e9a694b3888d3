//! The edge program: every instruction that computes or branches, on every pair of [`EDGE_VALUES`].
//!
//! Random programs seldom divide -2^31 by -1; this one does. It stores every result, so that two machines that differ in
//! one of them differ in memory at the end, too.

use crate::{
    Asm, EDGE_VALUES,
    assembler::{A0, A1, A2, DATA, S0, S1, S2, S3, S4, ZERO},
};
use nonos_image::Image;
use nonos_isa::{Format, Opcode, TABLE};

const IMMEDIATES: [i32; 8] = [0, 1, -1, 2047, -2048, 31, 16, 0x7f];
/// Where the results go: behind the values.
const RESULTS: u32 = DATA + 1024;

/// The program. It halts with status 0.
#[must_use]
pub fn edge_program() -> Image {
    let bytes: Vec<u8> = EDGE_VALUES.iter().flat_map(|value| value.to_le_bytes()).collect();
    let end = DATA + bytes.len() as u32;
    let mut asm = Asm::new()
        .data(DATA, &bytes)
        .li(S2, RESULTS)
        .li(S3, end)
        .li(S0, DATA)
        .label("a")
        .li(S1, DATA)
        .label("b")
        .load(Opcode::Lw, A0, 0, S0)
        .load(Opcode::Lw, A1, 0, S1);
    let mut results = 0;
    for row in TABLE {
        match row.format {
            Format::R => asm = asm.rrr(row.opcode, A2, A0, A1).store(Opcode::Sw, A2, 4 * results, S2),
            Format::B => {
                let label = format!("{} taken", row.name);
                asm = asm.li(A2, 1).branch(row.opcode, A0, A1, &label).li(A2, 0).label(&label).store(
                    Opcode::Sw,
                    A2,
                    4 * results,
                    S2,
                );
            }
            _ => continue,
        }
        results += 1;
    }
    // Behind the results of one pair come those of the next.
    asm = asm
        .addi(S2, S2, 4 * results)
        .addi(S1, S1, 4)
        .branch(Opcode::Beq, S1, S3, "b done")
        .jal(ZERO, "b")
        .label("b done")
        .load(Opcode::Lw, A0, 0, S0);
    results = 0;
    for row in TABLE {
        let is_computing = !matches!(row.opcode, Opcode::Jalr)
            && !matches!(row.opcode, Opcode::Lb | Opcode::Lh | Opcode::Lw | Opcode::Lbu | Opcode::Lhu);
        let immediates: Vec<i32> = match row.format {
            Format::I if is_computing => IMMEDIATES.into(),
            Format::Shift => (0..32).step_by(5).chain([31]).collect(),
            _ => continue,
        };
        for imm in immediates {
            asm = asm.op(row.opcode, A2, A0, 0, imm).store(Opcode::Sw, A2, 4 * results, S2);
            results += 1;
        }
    }
    // Bytes and halfwords of the value just loaded, with their signs.
    for (opcode, offsets) in
        [(Opcode::Lb, &[0, 1, 2, 3][..]), (Opcode::Lbu, &[0, 1, 2, 3]), (Opcode::Lh, &[0, 2]), (Opcode::Lhu, &[0, 2])]
    {
        for offset in offsets {
            asm = asm.load(opcode, A2, *offset, S0).store(Opcode::Sw, A2, 4 * results, S2);
            results += 1;
        }
    }
    for (opcode, offsets) in [(Opcode::Sb, &[0, 1, 2, 3][..]), (Opcode::Sh, &[0, 2])] {
        for offset in offsets {
            asm = asm.store(opcode, A0, 4 * results + offset, S2);
        }
        results += 1;
    }
    asm.addi(S2, S2, 4 * results)
        .addi(S0, S0, 4)
        .branch(Opcode::Beq, S0, S3, "done")
        .jal(ZERO, "a")
        .label("done")
        .addi(S4, S2, 0)
        .halt(0)
        .image()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lockstep;
    use nonos_image::UNSALTED;
    use nonos_vm::{Event, Exit, Job, Machine};

    #[test]
    fn every_edge_gives_on_both_interpreters_what_the_manual_says() {
        let image = edge_program();
        let job = Job::new(&[], UNSALTED, 1 << 30).unwrap();
        lockstep::at_boundaries(&image, job).unwrap();
        let mut machine = Machine::new(&image, UNSALTED, job);
        assert_eq!(machine.run_fast(), Event::Exit(Exit::Halted { status: 0 }));
        // The places of `div` and the three behind it among the results of one pair, and those of -2^31 and -1.
        let computed: Vec<Opcode> =
            TABLE.iter().filter(|row| matches!(row.format, Format::R | Format::B)).map(|row| row.opcode).collect();
        let place = |opcode| computed.iter().position(|one| *one == opcode).unwrap() as u32;
        let value = |value| EDGE_VALUES.iter().position(|one| *one == value).unwrap() as u32;
        let last = machine.registers()[usize::from(S4)];
        let row_bytes = (last - RESULTS) / EDGE_VALUES.len() as u32;
        let result = |opcode, a, b| {
            let pair = RESULTS + value(a) * row_bytes + value(b) * computed.len() as u32 * 4;
            machine.word(pair + 4 * place(opcode)).unwrap()
        };
        let least = 0x8000_0000;
        assert_eq!([Opcode::Div, Opcode::Rem].map(|one| result(one, least, u32::MAX)), [least, 0]);
        assert_eq!([Opcode::Divu, Opcode::Remu].map(|one| result(one, least, u32::MAX)), [0, least]);
        let by_zero = [Opcode::Div, Opcode::Divu, Opcode::Rem, Opcode::Remu].map(|one| result(one, 31, 0));
        assert_eq!(by_zero, [u32::MAX, u32::MAX, 31, 31]);
        let high = [Opcode::Mulh, Opcode::Mulhsu, Opcode::Mulhu].map(|one| result(one, u32::MAX, u32::MAX));
        assert_eq!(high, [0, u32::MAX, 0xffff_fffe]);
        assert_eq!([Opcode::Sltu, Opcode::Slt].map(|one| result(one, 0, u32::MAX)), [1, 0]);
    }
}

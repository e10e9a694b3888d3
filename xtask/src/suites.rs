//! `cargo xtask suites`: the official test programs.

use crate::{forge::provable, print_json, root};
use anyhow::{Result, ensure};
use clap::Args;
use nonos_image::Image;
use nonos_testkit::{
    oracle::Oracle,
    suite::{Beside, Judged, Outcome, Verdict, run_picorv32, run_vexriscv},
};
use nonos_vm::Job;
use serde_json::{Value, json};

/// What both packages hold for this machine: 48 programs of riscv-tests as hex (one of them twice), 53 compliance programs
/// without CSRs, 45 programs of riscv-tests as assembly.
const PASSED: usize = 48 + 53 + 45;

/// See [`crate::Command::Suites`].
#[derive(Debug, Args)]
pub(crate) struct Suites {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Suites {
    pub(crate) fn run(&self) -> Result<()> {
        let oracle = Oracle::load(&root())?;
        let provable =
            |image: &Image, job: Job<'_>| provable(image, job).map(drop).map_err(|error| format!("{error:#}"));
        let beside = Beside { oracle: &oracle, also: &provable };
        let mut outcomes = run_vexriscv(&root(), &beside)?;
        outcomes.extend(run_picorv32(&root(), &beside)?);
        let count = |wanted: fn(&Verdict) -> bool| outcomes.iter().filter(|one| wanted(&one.verdict)).count();
        let passed = count(|verdict| matches!(verdict, Verdict::Passed { .. }));
        let failed = count(|verdict| matches!(verdict, Verdict::Failed { .. }));
        let skipped = count(|verdict| matches!(verdict, Verdict::Skipped { .. }));
        if self.json {
            let programs: Vec<Value> = outcomes.iter().map(value).collect();
            print_json(&json!({ "passed": passed, "failed": failed, "skipped": skipped, "programs": programs }))?;
        } else {
            for outcome in &outcomes {
                println!("{}", line(outcome));
            }
            println!("suites: {passed} passed, {failed} failed, {skipped} skipped (for another machine)");
        }
        ensure!(failed == 0, "{failed} programs failed");
        ensure!(passed == PASSED, "{passed} programs ran, {PASSED} are for this machine");
        Ok(())
    }
}

fn line(outcome: &Outcome) -> String {
    let Outcome { suite, program, verdict } = outcome;
    match verdict {
        Verdict::Passed { instructions, compared, judged, rewritten } => {
            let changed =
                rewritten.csr_reads + rewritten.csr_writes + rewritten.returns + rewritten.ends + rewritten.prints;
            let judged = match judged {
                Judged::Tests(count) => format!("{count} tests"),
                Judged::Signature => "signature equal".to_owned(),
                Judged::StoreToText => "traps with store-to-text, as it must".to_owned(),
            };
            format!(
                "passed  {suite} {program}: {judged}, {instructions} instructions, {compared} compared, \
                 {changed} words rewritten"
            )
        }
        Verdict::Failed { why } => format!("FAILED  {suite} {program}: {why}"),
        Verdict::Skipped { why } => format!("skipped {suite} {program}: {why}"),
    }
}

fn value(outcome: &Outcome) -> Value {
    let Outcome { suite, program, verdict } = outcome;
    match verdict {
        Verdict::Passed { instructions, compared, judged, rewritten } => json!({
            "suite": suite, "program": program, "verdict": "passed",
            "judged_by": match judged {
                Judged::Tests(count) => json!({ "tests": count }),
                Judged::Signature => json!("signature"),
                Judged::StoreToText => json!("store-to-text"),
            },
            "instructions": instructions, "instructions_compared": compared,
            "rewritten": {
                "csr_reads": rewritten.csr_reads, "csr_writes": rewritten.csr_writes, "mret": rewritten.returns,
                "ecall": rewritten.ends, "signature_loop": rewritten.prints,
            },
        }),
        Verdict::Failed { why } => json!({ "suite": suite, "program": program, "verdict": "failed", "why": why }),
        Verdict::Skipped { why } => json!({ "suite": suite, "program": program, "verdict": "skipped", "why": why }),
    }
}

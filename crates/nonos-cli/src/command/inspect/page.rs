//! Page: the facts about a capsule as a person reads them.

use super::{facts::Facts, short};
use crate::{calendar, number};
use nonos_capsule::{EXECUTION_PRICE_CYCLES, Recipe};
use nonos_isa::Syscall;
use std::fmt::Write as _;

/// How wide the names at the left are.
const NAME_WIDTH: usize = 12;

/// The page.
pub(super) fn of(facts: &Facts<'_>) -> String {
    let mut page = Page(String::new());
    head(&mut page, facts);
    signatures(&mut page, facts);
    machine(&mut page, facts);
    fees(&mut page, facts);
    rest(&mut page, facts);
    page.0
}

struct Page(String);

impl Page {
    fn row(&mut self, name: &str, text: impl std::fmt::Display) {
        // Writing to a text does not fail.
        let _ = writeln!(self.0, "{name:NAME_WIDTH$} {text}");
    }

    fn part(&mut self, title: &str) {
        let _ = writeln!(self.0, "\n{title}");
    }
}

fn head(page: &mut Page, facts: &Facts<'_>) {
    let capsule = facts.capsule;
    let manifest = capsule.manifest();
    page.row("capsule", format_args!("{} {}", manifest.name(), manifest.version()));
    if let Some(description) = manifest.description() {
        page.row("", printable(description));
    }
    page.row("author", format_args!("{} (in their own words)", printable(manifest.author())));
    if let Some(homepage) = manifest.homepage() {
        page.row("homepage", homepage);
    }
    if !manifest.tags().is_empty() {
        page.row("tags", manifest.tags().join(", "));
    }
    page.row("licence", manifest.license().unwrap_or("none stated"));
    page.row("capsule id", capsule.id());
    page.row("image id", capsule.image_id());
    page.row("file", number::bytes(capsule.encode().len() as u64));
}

fn signatures(page: &mut Page, facts: &Facts<'_>) {
    page.part("Signatures");
    let manifest = facts.capsule.manifest();
    match &facts.verified {
        Ok(verified) => {
            let (counted, listed) = (verified.counted().len(), manifest.signers().len());
            page.row("verified", format_args!("{counted} of {listed} signers signed, {} needed", manifest.threshold()));
        }
        Err(error) => page.row("PROBLEM", error),
    }
    for signer in &facts.signers {
        page.row("signer", signer.id);
        page.row("", &signer.state);
        if let Some((key, at)) = signer.signed {
            let rotated =
                if key == signer.id { String::new() } else { format!(" by key {key}, which follows from it") };
            page.row("", format_args!("{}{rotated}", calendar::print(at)));
        }
    }
}

fn machine(page: &mut Page, facts: &Facts<'_>) {
    page.part("Machine");
    let manifest = facts.capsule.manifest();
    let program = facts.capsule.program();
    page.row("memory", number::bytes(u64::from(manifest.memory_bytes())));
    page.row(
        "processor",
        format_args!("{} of 1,000 millicores", number::grouped(u64::from(manifest.cpu_millicores()))),
    );
    page.row("fuel", format_args!("{} cycles", number::grouped(manifest.fuel_cycles())));
    page.row("net", manifest.net().name());
    page.row("may call", manifest.grants().iter().map(Syscall::name).collect::<Vec<_>>().join(", "));
    let text_bytes = u64::from(program.text_end() - program.text_start());
    page.row(
        "text",
        format_args!(
            "{} from {:#010x}, entry {:#010x}",
            number::bytes(text_bytes),
            program.text_start(),
            program.entry()
        ),
    );
    page.row("data", format_args!("{} of 1 KiB in all", number::counted(program.pages().len() as u64, "page")));
}

fn fees(page: &mut Page, facts: &Facts<'_>) {
    page.part("Fees: who gets what");
    let name_width = facts.fees.iter().map(|fee| fee.payee.len()).max().unwrap_or_default();
    for fee in &facts.fees {
        let unit = match fee.fee {
            "execution" => format!("for each {} cycles", number::grouped(EXECUTION_PRICE_CYCLES.get())),
            "base" => format!("{}.{:02} % of the base fee", fee.basis_points / 100, fee.basis_points % 100),
            _ => "for each run that is verified".to_owned(),
        };
        page.row(fee.fee, format_args!("{:name_width$}  {:<24} {unit}", fee.payee, fee.amount.to_string()));
    }
    page.row("at most", format_args!("{} for a run that uses all of its fuel", facts.cost_max));
}

fn rest(page: &mut Page, facts: &Facts<'_>) {
    let capsule = facts.capsule;
    let manifest = capsule.manifest();
    page.part("Proof");
    page.row("rung", format_args!("{} or higher", manifest.rung().name()));
    page.row("hiding", if manifest.hiding() { "yes: a proof that leaves the executor hides the run" } else { "no" });
    if !manifest.dependencies().is_empty() {
        page.part("Dependencies");
        for dependency in manifest.dependencies() {
            page.row(&dependency.name, format_args!("{} {}", dependency.version, short(&dependency.id)));
        }
    }
    page.part("Recipe");
    match capsule.recipe() {
        Recipe::Cargo(cargo) => {
            page.row("built by", format_args!("{}, {}", cargo.rustc, cargo.linker));
            page.row("target", &cargo.target);
            page.row("binary", &cargo.binary);
            if !cargo.features.is_empty() {
                page.row("features", cargo.features.join(", "));
            }
            page.row("sources", cargo.source_digest);
            page.row("again", "nonos rebuild FILE.mod --source DIR");
        }
        Recipe::Prebuilt(prebuilt) => {
            page.row(
                "built by",
                if prebuilt.tools.is_empty() { "unknown tools".to_owned() } else { prebuilt.tools.join(", ") },
            );
            let sources = prebuilt.source_digest.map_or_else(|| "not stated".to_owned(), |digest| digest.to_string());
            page.row("sources", sources);
            page.row("again", "not from this recipe: the program came as an ELF file");
        }
    }
    page.part("Sections");
    for entry in capsule.table() {
        page.row(
            entry.kind.name(),
            format_args!("{:>10} bytes  blake3 {}", number::grouped(entry.length_bytes), entry.hash),
        );
    }
    if let Some(readme) = capsule.readme() {
        page.part("Readme");
        for line in readme.lines() {
            let _ = writeln!(page.0, "    {}", printable(line));
        }
    }
}

/// What an author wrote is not ours: nothing in it may steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

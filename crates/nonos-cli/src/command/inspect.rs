//! `nonos inspect`: everything about a capsule that a person wants to know before they run it.

mod facts;
mod page;

use crate::{Context, calendar, elf_file, exit::ExitClass, failure::Failure, file, number, package};
use clap::Args;
use facts::Facts;
use nonos_capsule::{Capsule, SectionKind};
use nonos_isa::decode;
use nonos_types::CapsuleId;
use serde_json::json;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// Show what a capsule is: ids, signers, grants, fees, licence, recipe.
///
/// It reads the file and runs nothing. That a capsule can be inspected does not say that it is signed; the line
/// `signatures` does, and `nonos verify-package` says it with an exit code.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos inspect zk-search.mod\n    \
    nonos inspect zk-search.mod --json | jq .fees\n    \
    nonos inspect zk-search.mod --toml > nonos.toml\n    \
    nonos inspect zk-search.mod --disassemble --limit 20\n    \
    nonos inspect zk-search.mod --section sbom -o sbom.json")]
pub(crate) struct InspectArgs {
    /// The capsule.
    #[arg(value_name = "FILE.mod")]
    capsule: PathBuf,

    /// Print the manifest as TOML, with every default written out.
    #[arg(long, group = "what")]
    toml: bool,

    /// Print the program's instructions from the entry on.
    #[arg(long, group = "what")]
    disassemble: bool,

    /// Most instructions to print.
    #[arg(long, value_name = "N", requires = "disassemble")]
    limit: Option<usize>,

    /// Where to start, such as 0x00010000 (default: the start of the text).
    #[arg(long, value_name = "ADDRESS", requires = "disassemble", value_parser = parse_address)]
    from: Option<u32>,

    /// Write the program as an ELF file, for a debugger or another emulator.
    #[arg(long, value_name = "FILE", group = "what")]
    elf: Option<PathBuf>,

    /// Write one section as it is: manifest, program, proof-schema, lock, sbom, recipe, licences, readme, signatures.
    #[arg(long, value_name = "NAME", group = "what", value_parser = parse_section)]
    section: Option<SectionKind>,

    /// Where --section goes (default: stdout).
    #[arg(short, long, value_name = "FILE", requires = "section")]
    output: Option<PathBuf>,

    /// Revocations to heed besides those of the home; may be given several times.
    #[arg(long, value_name = "FILE")]
    revocations: Vec<PathBuf>,
}

/// Shows a capsule.
pub(crate) fn inspect(args: &InspectArgs, context: &Context) -> Result<ExitClass, Failure> {
    let capsule = package::open(&args.capsule)?;
    let terminal = context.terminal;
    if args.toml {
        let toml = capsule.manifest().to_toml();
        terminal.result(&json!({ "manifest_toml": toml }), &toml)?;
    } else if args.disassemble {
        disassemble(&capsule, args, context)?;
    } else if let Some(path) = &args.elf {
        write_elf(&capsule, path, context)?;
    } else if let Some(kind) = args.section {
        write_section(&capsule, kind, args.output.as_deref(), context)?;
    } else {
        let revocations = package::revocations(&args.revocations, context)?;
        let facts = Facts::new(&capsule, calendar::now_s(), &revocations);
        terminal.result(&facts.json(), page::of(&facts))?;
    }
    Ok(ExitClass::Ok)
}

fn disassemble(capsule: &Capsule, args: &InspectArgs, context: &Context) -> Result<(), Failure> {
    let program = capsule.program();
    let (start, end) = (program.text_start(), program.text_end());
    let from = args.from.unwrap_or(start);
    if !(start..end).contains(&from) || !from.is_multiple_of(4) {
        let message = format!("--from {from:#010x} is no instruction of the text {start:#010x}..{end:#010x}");
        return Err(Failure::new(ExitClass::Usage, message, "give a multiple of 4 inside the text"));
    }
    let word = |address: u32| {
        let page = program.pages().get(&(address / nonos_image::PAGE_BYTES));
        page.map_or(0, |page| page[(address % nonos_image::PAGE_BYTES) as usize / 4])
    };
    let rows = (from..end).step_by(4).take(args.limit.unwrap_or(usize::MAX)).map(|address| {
        let word = word(address);
        (address, word, decode(word).map_or_else(|| "illegal".to_owned(), |instruction| instruction.to_string()))
    });
    if context.terminal.json {
        let row = |(address, word, text): (u32, u32, String)| json!({ "address": number::json_address(address), "word": number::json_address(word), "instruction": text });
        return context.terminal.out_json(&json!({ "entry": number::json_address(program.entry()), "instructions": rows.map(row).collect::<Vec<_>>() }));
    }
    let mut text = String::new();
    for (address, word, instruction) in rows {
        let mark = if address == program.entry() { "  <- entry" } else { "" };
        // Writing to a text does not fail.
        let _ = writeln!(text, "{address:08x}  {word:08x}  {instruction}{mark}");
    }
    context.terminal.out(text)
}

fn write_elf(capsule: &Capsule, path: &Path, context: &Context) -> Result<(), Failure> {
    let program = capsule.program();
    let Some(elf) = elf_file::of_program(program, program.reserved_end()) else {
        let help = "use --section program instead";
        return Err(Failure::new(
            ExitClass::Program,
            "the program is too large for an ELF file that can be packed again",
            help,
        ));
    };
    file::write(path, &elf, context.terminal)?;
    if context.terminal.json && !file::is_stream(path) {
        context.terminal.out_json(&json!({ "elf_file": path.display().to_string(), "elf_bytes": elf.len() }))?;
    }
    Ok(())
}

fn write_section(capsule: &Capsule, kind: SectionKind, to: Option<&Path>, context: &Context) -> Result<(), Failure> {
    let Some((offset, length)) = section_range(capsule, kind) else {
        let have = capsule.table().iter().map(|entry| entry.kind.name()).collect::<Vec<_>>().join(", ");
        let message = format!("the capsule has no section `{kind}`");
        return Err(Failure::new(ExitClass::Usage, message, format_args!("it has {have}, signatures")));
    };
    // A capsule has one encoding: this is the file.
    let file_bytes = capsule.encode();
    let bytes = file_bytes.get(offset..).and_then(|rest| rest.get(..length)).unwrap_or_default();
    let to = to.unwrap_or(Path::new("-"));
    if context.terminal.json && file::is_stream(to) {
        return context
            .terminal
            .out_json(&json!({ "section": kind.name(), "bytes": length, "hex": hex::encode(bytes) }));
    }
    file::write(to, bytes, context.terminal)?;
    if context.terminal.json {
        context
            .terminal
            .out_json(&json!({ "section": kind.name(), "bytes": length, "file": to.display().to_string() }))?;
    }
    Ok(())
}

/// Offset and length of a section in the file.
fn section_range(capsule: &Capsule, kind: SectionKind) -> Option<(usize, usize)> {
    let range = |entry: &nonos_capsule::SectionEntry| (entry.offset as usize, entry.length_bytes as usize);
    if kind == SectionKind::Signatures {
        // The last section: from behind the others to the end of the file.
        let (offset, length) = range(capsule.table().last()?);
        return Some((offset + length, capsule.encode().len() - offset - length));
    }
    capsule.table().iter().find(|entry| entry.kind == kind).map(range)
}

fn parse_section(name: &str) -> Result<SectionKind, String> {
    let known = || SectionKind::ALL.map(SectionKind::name).join(", ");
    SectionKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| format!("a section is one of {}", known()))
}

fn parse_address(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u32::from_str_radix(digits, 16).map_err(|_| "an address is hexadecimal, such as 0x00010000".to_owned())
}

/// The first digits of an id, as tables have them.
fn short(id: &CapsuleId) -> String {
    id.short()
}

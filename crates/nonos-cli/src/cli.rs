//! The command line: what `nonos` takes. Man pages, completions and help are made of this.

use crate::command::{
    audit::AuditArgs,
    bench::BenchArgs,
    build::BuildArgs,
    completions::CompletionsArgs,
    demo::DemoArgs,
    diff::DiffArgs,
    evidence::EvidenceArgs,
    explain::ExplainArgs,
    inspect::InspectArgs,
    key::KeyArgs,
    keygen::KeygenArgs,
    ledger::LedgerArgs,
    man::ManArgs,
    mesh::{ExportArgs, FetchArgs, FindArgs, ImportArgs, PeersArgs, PolicyArgs, PublishArgs, SeedArgs},
    new::NewArgs,
    node::NodeArgs,
    prove::ProveArgs,
    quote::QuoteArgs,
    rebuild::RebuildArgs,
    resume::ResumeArgs,
    run::RunArgs,
    sign::SignArgs,
    sign_work::{AttestArgs, InvoiceArgs},
    ticket::TicketArgs,
    verify::VerifyArgs,
    verify_package::VerifyPackageArgs,
};
use clap::{ArgAction, Parser, Subcommand};
use std::path::PathBuf;

/// Write capsules, pack them, sign them, run them, prove and verify runs.
///
/// A capsule is a program in one signed file that gives the same result on every machine.
#[derive(Debug, Parser)]
#[command(
    name = "nonos",
    version,
    subcommand_required = true,
    after_help = "First steps:\n    nonos demo\n    nonos keygen && nonos new my-capsule && cd my-capsule && nonos build\n    \
                  nonos run my-capsule.mod --input FILE\n    \
                  nonos prove my-capsule.mod --input FILE -o run.receipt && nonos verify run.receipt\n\n`nonos help exit-codes` lists the exit codes."
)]
pub(crate) struct Cli {
    /// Where keys and key statements rest (default: $NONOS_HOME, or the user's data folder).
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) home: Option<PathBuf>,

    /// Print one JSON object on stdout instead of text.
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,

    /// Say more on stderr (-vv: much more).
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet", help_heading = "Global options")]
    pub(crate) verbose: u8,

    /// Say nothing on stderr but errors.
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Keygen(KeygenArgs),
    Key(KeyArgs),
    New(NewArgs),
    Build(BuildArgs),
    Sign(SignArgs),
    Inspect(InspectArgs),
    VerifyPackage(VerifyPackageArgs),
    Run(RunArgs),
    Resume(ResumeArgs),
    Quote(QuoteArgs),
    Ticket(TicketArgs),
    Prove(ProveArgs),
    Verify(VerifyArgs),
    Invoice(InvoiceArgs),
    Attest(AttestArgs),
    Ledger(LedgerArgs),
    Explain(ExplainArgs),
    Audit(AuditArgs),
    Node(NodeArgs),
    Seed(SeedArgs),
    Find(FindArgs),
    Fetch(FetchArgs),
    Peers(PeersArgs),
    Policy(PolicyArgs),
    Evidence(EvidenceArgs),
    Publish(PublishArgs),
    Export(ExportArgs),
    Import(ImportArgs),
    Diff(DiffArgs),
    Rebuild(RebuildArgs),
    Doctor(crate::command::doctor::DoctorArgs),
    Bench(BenchArgs),
    /// List the exit codes.
    #[command(name = "exit-codes", long_about = long_exit_codes())]
    ExitCodes,
    Completions(CompletionsArgs),
    Man(ManArgs),
}

fn long_exit_codes() -> String {
    format!("Every command ends with one of these exit codes.\n\n{}", crate::exit::table())
}

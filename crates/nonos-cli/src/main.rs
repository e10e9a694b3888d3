//! The `nonos` command: assembly of the libraries, with texts for people and JSON for programs.
//!
//! Results go to stdout, everything else to stderr. Whatever fails says what is wrong and what to do next, has the exit
//! code of its class, and has written nothing. Guide: `docs/guide/50-commands.md`.

#![forbid(unsafe_code)]

mod building;
mod calendar;
mod cli;
mod command;
mod elf_file;
mod example;
mod execution;
mod exit;
mod failure;
mod fees;
mod file;
mod ledger;
mod node;
mod number;
mod package;
mod passphrase;
mod receipt;
mod record;
mod signing;
mod terminal;
mod ticket;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use exit::ExitClass;
use failure::Failure;
use nonos_author::home::Home;
use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};
use terminal::Terminal;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// What every command is given.
pub(crate) struct Context {
    pub(crate) terminal: Terminal,
    home: Option<std::path::PathBuf>,
}

impl Context {
    /// Where keys rest.
    pub(crate) fn home(&self) -> Result<Home, Failure> {
        match &self.home {
            // A relative folder is relative to where the command runs.
            Some(home) => std::path::absolute(home).map(Home::at).map_err(|error| Failure::io("use", home, &error)),
            None => Ok(Home::locate()?),
        }
    }
}

fn main() -> ExitCode {
    if std::env::args_os().len() < 2 {
        // Nothing is asked: show what there is.
        let _ = Cli::command().print_help();
        return ExitCode::from(ExitClass::Usage.code());
    }
    let cli = Cli::parse();
    start_log(&cli);
    let context = Context { terminal: Terminal { json: cli.json, quiet: cli.quiet }, home: cli.home };
    let class = match dispatch(cli.command, &context) {
        Ok(class) => class,
        Err(failure) => {
            if let Some(report) = failure.report(context.terminal.json, Terminal::color()) {
                // Nobody listens: the exit code still tells.
                let _ = std::io::stderr().lock().write_all(report.as_bytes());
            }
            failure.class()
        }
    };
    ExitCode::from(class.code())
}

fn dispatch(command: Command, context: &Context) -> Result<ExitClass, Failure> {
    match command {
        Command::Demo(args) => command::demo::demo(&args, context),
        Command::Keygen(args) => command::keygen::keygen(&args, context),
        Command::Key(args) => command::key::key(&args, context),
        Command::New(args) => command::new::new(&args, context),
        Command::Build(args) => command::build::build(&args, context),
        Command::Sign(args) => command::sign::sign(&args, context),
        Command::Inspect(args) => command::inspect::inspect(&args, context),
        Command::VerifyPackage(args) => command::verify_package::verify_package(&args, context),
        Command::Run(args) => command::run::run(&args, context),
        Command::Resume(args) => command::resume::resume(&args, context),
        Command::Quote(args) => command::quote::quote(&args, context),
        Command::Ticket(args) => command::ticket::ticket(&args, context),
        Command::Invoice(args) => command::sign_work::invoice(&args, context),
        Command::Attest(args) => command::sign_work::attest(&args, context),
        Command::Ledger(args) => command::ledger::ledger(&args, context),
        Command::Explain(args) => command::explain::explain(&args, context),
        Command::Audit(args) => command::audit::audit(&args, context),
        Command::Node(args) => command::node::node(&args, context),
        Command::Seed(args) => command::mesh::seed(&args, context),
        Command::Find(args) => command::mesh::find(&args, context),
        Command::Fetch(args) => command::mesh::fetch(&args, context),
        Command::Peers(args) => command::mesh::peers(&args, context),
        Command::Policy(args) => command::mesh::policy(&args, context),
        Command::Evidence(args) => command::evidence::evidence(&args, context),
        Command::Publish(args) => command::mesh::publish(&args, context),
        Command::Export(args) => command::mesh::export(&args, context),
        Command::Import(args) => command::mesh::import(&args, context),
        Command::Prove(args) => command::prove::prove(&args, context),
        Command::Verify(args) => command::verify::check(&args, context),
        Command::Diff(args) => command::diff::diff(&args, context),
        Command::Rebuild(args) => command::rebuild::rebuild(&args, context),
        Command::Doctor(args) => command::doctor::doctor(&args, context),
        Command::Bench(args) => command::bench::bench(&args, context),
        Command::ExitCodes => command::exit_codes::exit_codes(context),
        Command::Completions(args) => command::completions::completions(&args, context),
        Command::Man(args) => command::man::man(&args, context),
    }
}

/// Parts of the connections' library that say something in its ordinary course.
const LIBP2P: [&str; 4] = ["libp2p_kad", "libp2p_swarm", "libp2p_mdns", "libp2p_relay"];

fn start_log(cli: &Cli) {
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => LevelFilter::OFF,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    };
    // What the connections' library says about its own workings is for whoever asks for much.
    let theirs = if cli.verbose > 1 { level } else { level.min(LevelFilter::ERROR) };
    let filter = Targets::new().with_default(level).with_targets(LIBP2P.map(|target| (target, theirs)));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && Terminal::color())
        .with_target(false)
        .without_time();
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}
